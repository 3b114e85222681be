"""Frame-level semantics f_a (Eq. 7): cross-attention from category features to vision features."""

import torch
from torch import nn
from torch.nn import functional as F


class FrameSemantics(nn.Module):
    """f_a = W_o · CrossAttn(W_c f_c, W_v f_v, W_v f_v), with the residual and layer norm of the published code."""

    def __init__(self, *, text_dim: int, vision_dim: int, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.w_c = nn.Linear(text_dim, dim)
        self.w_v = nn.Linear(vision_dim, dim)
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.norm = nn.LayerNorm(dim)
        self.w_o = nn.Linear(dim, dim)

    def forward(self, f_c: torch.Tensor, f_v: torch.Tensor) -> torch.Tensor:
        """`f_c` `[B,K,D_t]`, `f_v` `[B,T,D_v,h,w]` -> f_a `[B,T,K,D_a]`."""
        batch, length = f_v.shape[:2]
        queries = self.w_c(f_c)[:, None].expand(-1, length, -1, -1).flatten(0, 1)  # [B*T, K, D_a]
        patches = self.w_v(f_v.flatten(0, 1).flatten(2).transpose(1, 2))  # [B*T, h*w, D_a]
        attended = F.scaled_dot_product_attention(
            self._split(self.to_q(queries)), self._split(self.to_k(patches)), self._split(self.to_v(patches))
        )  # [B*T, heads, K, D_a/heads]
        f_a = self.w_o(self.norm(queries + attended.transpose(1, 2).flatten(2)))
        return f_a.unflatten(0, (batch, length))  # [B, T, K, D_a]

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
