"""Multi-scale semantic projector (Eq. 8): [W_LLM f_sem, f_a] -> f_proj, with the alternatives of Table 4."""

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention with separate query and context; `mask` `[N, L_c]` is True where context exists."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`[N, L_x, D]` of `x` `[N, L_x, D]` and `context` `[N, L_c, D]`."""
        q, k, v = (
            proj(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj, y in ((self.to_q, x), (self.to_k, context), (self.to_v, context))
        )
        bias = None if mask is None else mask[:, None, None]  # [N, 1, 1, L_c]
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2))


def _mlp(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


class QueryBlock(nn.Module):
    """Queries attend to themselves and to the tokens, MLP; then, if `two_way`, the tokens attend to the queries.

    With it SAM's order; without it BLIP-2's, where the tokens are read and never updated.
    """

    def __init__(self, dim: int, heads: int, mlp_dim: int, *, two_way: bool):
        super().__init__()
        self.self_attention = Attention(dim, heads)
        self.to_tokens = Attention(dim, heads)
        self.to_queries = Attention(dim, heads) if two_way else None
        self.mlp = _mlp(dim, mlp_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4 if two_way else 3))

    def forward(
        self, queries: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`queries` `[N, Q, D]` and `tokens` `[N, L, D]` after the block; `mask` `[N, L]`: there is a token."""
        queries = self.norms[0](queries + self.self_attention(queries, queries))
        queries = self.norms[1](queries + self.to_tokens(queries, tokens, mask))
        queries = self.norms[2](queries + self.mlp(queries))
        if self.to_queries is not None:
            tokens = self.norms[3](tokens + self.to_queries(tokens, queries))
        return queries, tokens


class QueryProjector(nn.Module):
    """Learnable queries over [W_LLM f_sem, f_a], flattened to `prompts` sparse prompts a frame."""

    def __init__(
        self,
        *,
        two_way: bool,
        dim: int,
        out_dim: int,
        layers: int,
        heads: int,
        mlp_dim: int,
        queries: int,
        prompts: int,
    ):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, dim) * 0.02)
        self.blocks = nn.ModuleList(QueryBlock(dim, heads, mlp_dim, two_way=two_way) for _ in range(layers))
        # as in SAM, the queries read the tokens once more after the last block has updated them
        self.last_look = Attention(dim, heads) if two_way else None
        self.norm = nn.LayerNorm(dim)
        self.prompts = prompts
        self.out = nn.Linear(queries * dim, prompts * out_dim)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`tokens` `[N, 1+K, D_a]`, `mask` `[N, 1+K]` True where a token exists -> `[N, P, D_m]`."""
        queries = self.queries.expand(tokens.shape[0], -1, -1)
        for block in self.blocks:
            queries, tokens = block(queries, tokens, mask)
        if self.last_look is not None:
            queries = queries + self.last_look(queries, tokens, mask)
        return self.out(self.norm(queries).flatten(1)).unflatten(-1, (self.prompts, -1))


class MlpProjector(nn.Module):
    """The plain alternative: an MLP over f_sem and the mean of the category tokens."""

    def __init__(self, *, dim: int, out_dim: int, mlp_dim: int, prompts: int):
        super().__init__()
        self.prompts = prompts
        self.mlp = nn.Sequential(nn.Linear(2 * dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, prompts * out_dim))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """As `QueryProjector.forward`."""
        f_sem, f_a, present = tokens[:, 0], tokens[:, 1:], mask[:, 1:, None].to(tokens.dtype)
        mean = (f_a * present).sum(1) / present.sum(1).clamp(min=1)
        return self.mlp(torch.cat([f_sem, mean], -1)).unflatten(-1, (self.prompts, -1))


def build_projector(
    kind: str, *, dim: int, out_dim: int, mlp_dim: int, prompts: int, layers: int, heads: int, queries: int
) -> nn.Module:
    """`two_way` (proposed), `q_former` or `mlp`: the three rows of Table 4. Raises ValueError for another `kind`."""
    if kind not in ("two_way", "q_former", "mlp"):
        raise ValueError(f"unknown projector {kind!r}: choose two_way, q_former or mlp")
    sizes = {"dim": dim, "out_dim": out_dim, "mlp_dim": mlp_dim, "prompts": prompts}
    if kind == "mlp":
        return MlpProjector(**sizes)
    return QueryProjector(two_way=kind == "two_way", layers=layers, heads=heads, queries=queries, **sizes)


class SemanticProjector(nn.Module):
    """Eq. 8: expands f_sem over time, maps it by W_LLM, joins it with f_a and projects each frame."""

    def __init__(self, projector: nn.Module, *, llm_dim: int, dim: int):
        super().__init__()
        self.w_llm = nn.Linear(llm_dim, dim)
        self.projector = projector

    def forward(self, f_sem: torch.Tensor, f_a: torch.Tensor, category_mask: torch.Tensor) -> torch.Tensor:
        """`f_sem` `[B,D_llm]`, `f_a` `[B,T,K,D_a]`, `category_mask` `[B,K]` bool -> f_proj `[B,T,P,D_m]`."""
        batch, length = f_a.shape[:2]
        semantic = self.w_llm(f_sem)[:, None, None].expand(-1, length, -1, -1)  # [B, T, 1, D_a]
        tokens = torch.cat([semantic, f_a], 2).flatten(0, 1)  # [B*T, 1+K, D_a]
        mask = F.pad(category_mask, (1, 0), value=True)[:, None].expand(-1, length, -1).flatten(0, 1)
        return self.projector(tokens, mask).unflatten(0, (batch, length))
