"""The network in four parts that can be exported, each a module of tensors in, tensors out, for one clip.

Weights are the model's own. What depends on texts as such (tokens, prompts, nouns and qualifiers) stays in Python.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.qwen2_vl.modeling_qwen2_vl import apply_rotary_pos_emb_vision

from lavida.graphs.compression import compress_graph
from lavida.model.lavida import LavidaNetwork, TextFeatures
from lavida.model.text import CategoryEncoder
from lavida.model.vision import VisionFeatures


class VisionGraph(nn.Module):
    """Frames uint8 `[T,3,H,W]` and, where the model sees it, motion float32 `[T,4,H/4,W/4]` to f_v (Eq. 6).

    Gives the levels at strides 4, 8, 16, then class logits and cues as far as the model has them.
    """

    def __init__(self, network: LavidaNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, motion: Tensor | None = None) -> tuple[Tensor, ...]:
        f_v = self.network.encode(frames[None], None if motion is None else motion[None])
        return (*f_v.levels, *(maps for maps in (f_v.class_logits, f_v.cues) if maps is not None))


class DecoderGraph(nn.Module):
    """What `VisionGraph` gives, f_sem `[D_llm]` and the features of K categories to scores and maps (Eq. 7-9).

    Gives frame logits `[T]`, pixel logits and pixel maps `[T,H/4,W/4]`, and with alignment category logits `[T,K]` and
    evidence `[T,K,H/8,W/8]`.
    """

    def __init__(self, network: LavidaNetwork, *, inputs: list[str]) -> None:
        super().__init__()
        self.network = network
        self.inputs = inputs

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Tensors by the names in `inputs`."""
        named = dict(zip(self.inputs, given, strict=True))
        f_v = VisionFeatures(
            (named["fine"], named["middle"], named["coarse"]), named.get("class_logits"), cues=named.get("cues")
        )
        f_c = named["f_c"][None]
        more = ("f_noun", "f_qualifier", "f_named", "present")
        texts = TextFeatures(
            f_c,
            torch.ones(f_c.shape[:2], dtype=torch.bool),
            **{name: named[name][None] for name in more if name in named},
        )
        output = self.network.decode_features(f_v, named["f_sem"][None], texts)
        maps = (output.frame_logits, output.pixel_logits, self.network.pixel_maps(output))
        of_each = (output.category_logits, output.evidence)
        return tuple(values[0] for values in (*maps, *of_each) if values is not None)


class TextGraph(nn.Module):
    """Token ids int64 `[K,L]` and what of them is no padding int64 `[K,L]` to f_c `[K,D_t]`."""

    def __init__(self, text: CategoryEncoder) -> None:
        super().__init__()
        self.encoder, self.pooling = text.encoder, text.pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        if self.pooling == "projection":
            return output.text_embeds
        mask = attention_mask[..., None].float()
        return F.normalize((output.last_hidden_state * mask).sum(1) / mask.sum(1), dim=-1)


class LanguageGraph(nn.Module):
    """Qwen2-VL from patches to f_sem, with the compression of Eq. 3 and 4 and the prefill of Eq. 5.

    Args:
        mllm: Its layers are taken one by one: its own `forward` makes lists of lengths, which no graph can hold.
        k: Neighbours of Eq. 3.
        compressed: Whether the ratio is below 1.
        keep_positions: As in `LavidaConfig`.
    """

    def __init__(self, mllm: PreTrainedModel, *, k: int, compressed: bool, keep_positions: bool) -> None:
        super().__init__()
        self.visual, self.language = mllm.model.visual, mllm.model.language_model
        self.k, self.compressed, self.keep_positions = k, compressed, keep_positions

    def forward(
        self, patches: Tensor, cells: Tensor, slots: Tensor, before: Tensor, after: Tensor, positions: Tensor
    ) -> Tensor:
        """f_sem `[D_llm]`.

        Args:
            patches: float32 `[groups, N, D_patch]`, normalised, of each group of frames.
            cells: int64 `[N, 2]`, row and column of each patch.
            slots: int64 `[R]`, `arange(R)`: how many visual tokens are kept.
            before: int64 `[A]`, token ids in front of the clip.
            after: int64 `[C]`, those behind it, `<SEG>` the last.
            positions: int64 `[3, A + L_z + C]`, of the full sequence.
        """
        tokens = self._see(patches, cells)  # Z, [L_z, D_z]
        start, end = before.shape[0], before.shape[0] + tokens.shape[0]
        at = positions[:, start:end]
        if self.compressed:
            tokens, keep = compress_graph(tokens, slots, self.k)
            at = at[:, keep]
        embed = self.language.embed_tokens
        embeds = torch.cat([embed(before), tokens, embed(after)])
        read = torch.cat([positions[:, :start], at, positions[:, end:]], 1)
        order = torch.arange(embeds.shape[0])
        if not self.keep_positions:
            read = order.expand(3, -1)
        later = order[None, :] > order[:, None]
        mask = torch.zeros_like(later, dtype=embeds.dtype).masked_fill(later, torch.finfo(embeds.dtype).min)[None, None]
        output = self.language(
            inputs_embeds=embeds[None],
            position_ids=read[:, None],
            attention_mask={"full_attention": mask},
            use_cache=False,
        )
        return output.last_hidden_state[0, -1]

    def _see(self, patches: Tensor, cells: Tensor) -> Tensor:
        """Qwen2-VL's vision tower with the groups of frames as a batch, since none attends to another."""
        visual, (groups, count, _) = self.visual, patches.shape
        x = visual.patch_embed(patches.flatten(0, 1)).unflatten(0, (groups, count))  # [G, N, D]
        cos, sin = visual.rotary_pos_emb(x[0], cells)
        for block in visual.blocks:
            attention = block.attn
            qkv = attention.qkv(block.norm1(x)).unflatten(-1, (3, attention.num_heads, -1))
            q, k, v = (each.flatten(0, 0) for each in qkv.unbind(2))  # [G, N, heads, d]
            q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
            mixed = F.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (q, k, v)))
            x = x + attention.proj(mixed.transpose(1, 2).flatten(2))
            x = x + block.mlp(block.norm2(x))
        return visual.merger(x.flatten(0, 1))
