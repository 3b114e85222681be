"""Anomaly semantics at `<SEG>` from one prefill of the MLLM over compressed visual tokens (Eq. 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lavida.model.compression import (
    assign,
    background_references,
    compress,
    local_density,
    reference_count,
    reverse_attention_weights,
)
from lavida.model.mllm import QwenVL
from lavida.model.prompt import IGNORED, EncodedPrompt, encode_prompt

PROMPT_CACHE_SIZE = 256


@dataclass(frozen=True)
class SemanticsOutput:
    """What the MLLM says about a batch of clips.

    Attributes:
        f_sem: `[B, D_llm]`, the last hidden state at `<SEG>`.
        text_loss: Scalar L_txt of Eq. 10, None unless asked for.
        kept: Per clip the int64 indices of the visual tokens that survived compression, ascending.
        lengths: Per clip the length of the sequence that the language model read.
    """

    f_sem: Tensor
    text_loss: Tensor | None
    kept: list[Tensor]
    lengths: list[int]


@dataclass(frozen=True)
class TokenMap:
    """What compression does to the visual tokens of one clip, on their grid of G groups of frames, h rows, w columns.

    Attributes:
        density: `[G, h, w]`, rho of Eq. 3.
        weight: `[G, h, w]`, each token's reverse-attention weight in the one it is merged into (Eq. 4).
        merged: int64 `[G, h, w]`, how many tokens share those weights, which sum to 1; the token itself is one.
        kept: bool `[G, h, w]`, the places at which the merged tokens stand.
    """

    density: Tensor
    weight: Tensor
    merged: Tensor
    kept: Tensor


@dataclass(frozen=True)
class _Prompt:
    encoded: EncodedPrompt
    positions: Tensor  # [3, L], before compression


class Semantics(nn.Module):
    """Phi_MLLM of Eq. 5: clips and categories to the anomaly semantic feature f_sem.

    Args:
        mllm: A Qwen2-VL model whose vocabulary holds `<SEG>`.
        tokenizer: Its fast tokenizer.
        ratio: Share of the visual tokens that compression keeps, in (0, 1]; 1 keeps every token unchanged.
        k: Neighbours in the density estimate (Eq. 3).
        tokens_per_pair: Most visual tokens for one pair of frames, before compression.
        compression: Mode of `compress`.
        keep_positions: Kept tokens keep their 3-D positions in the full sequence; else they are numbered anew.
    """

    def __init__(
        self,
        mllm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        ratio: float,
        k: int,
        tokens_per_pair: int,
        compression: str = "exact",
        keep_positions: bool = True,
    ) -> None:
        super().__init__()
        self.mllm = mllm
        self.tokenizer = tokenizer
        self.family = QwenVL(mllm, tokens_per_pair=tokens_per_pair)
        self.ratio = ratio
        self.k = k
        self.compression = compression
        self.keep_positions = keep_positions
        self._prompts: dict[tuple, _Prompt] = {}

    @property
    def hidden_size(self) -> int:
        """D_llm."""
        return self.mllm.config.get_text_config().hidden_size

    def forward(
        self,
        frames: Tensor,
        categories: Sequence[Sequence[str]],
        *,
        template: Sequence[int] | None = None,
        with_text_loss: bool = False,
    ) -> SemanticsOutput:
        """Read B clips, each with its own categories, in one prefill.

        Args:
            frames: `[B, T, 3, H, W]` RGB in 0..255, uint8 or float; uint8 on the CPU is resized fastest.
            categories: For each clip its anomaly descriptions.
            template: For each clip an index into `prompt.TEMPLATES`; the paper's prompt (0) by default.
            with_text_loss: Also compute L_txt over the assistant's answer.

        Raises:
            InputError: If a clip has no category or an empty one.
        """
        template = [0] * len(frames) if template is None else template
        if not len(frames) == len(categories) == len(template):
            raise ValueError(f"{len(frames)} clips, {len(categories)} categories, {len(template)} templates")
        grid = self.family.grid(frames)
        prompts = [self._prompt(tuple(c), t, grid) for c, t in zip(categories, template, strict=True)]
        kept, sequences, positions = [], [], []
        for prompt, tokens in zip(prompts, self.family.visual_tokens(self.mllm, frames, grid), strict=True):
            merged, keep = compress(tokens, self.ratio, k=self.k, mode=self.compression)  # [L_r, D], [L_r]
            kept.append(keep)
            sequences.append(self._embed(prompt.encoded, merged))  # [L_r + text, D]
            positions.append(self._positions(prompt, keep))
        hidden = self._prefill(sequences, positions)  # [B, L, D]
        rows = zip(hidden, prompts, kept, strict=True)
        return SemanticsOutput(
            f_sem=torch.stack([row[_seg_index(prompt.encoded, keep)] for row, prompt, keep in rows]),
            text_loss=self._text_loss(hidden, prompts, kept) if with_text_loss else None,
            kept=kept,
            lengths=[len(sequence) for sequence in sequences],
        )

    @torch.no_grad()
    def token_map(self, frames: Tensor) -> list[TokenMap]:
        """The numbers behind compression, for pictures of it (Figure 6); one for each of B clips.

        Args:
            frames: As in `forward`.
        """
        grid = self.family.grid(frames)
        shape = grid[0], grid[1] // self.family.merge, grid[2] // self.family.merge
        maps = []
        for tokens in self.family.visual_tokens(self.mllm, frames, grid):
            density = local_density(tokens, self.k)
            keep = background_references(density, reference_count(len(tokens), self.ratio))
            assignment = assign(tokens, keep)
            weight = reverse_attention_weights(tokens, keep, assignment)
            merged = assignment.bincount(minlength=len(keep))[assignment]
            kept = torch.zeros_like(assignment, dtype=torch.bool).index_fill(0, keep, True)
            maps.append(TokenMap(*(values.unflatten(0, shape) for values in (density, weight, merged, kept))))
        return maps

    def _prompt(self, categories: tuple[str, ...], template: int, grid: tuple[int, int, int]) -> _Prompt:
        """Remembered, since the clips of a video share it."""
        key = (categories, template, grid)
        if (prompt := self._prompts.get(key)) is not None:
            return prompt
        encoded = encode_prompt(
            self.tokenizer,
            categories,
            video_tokens=self.family.token_count(grid),
            template=template,
            chat=self.family.chat,
        )
        prompt = _Prompt(encoded, self.family.positions(self.mllm, encoded, grid))
        if len(self._prompts) >= PROMPT_CACHE_SIZE:
            self._prompts.pop(next(iter(self._prompts)))
        self._prompts[key] = prompt
        return prompt

    def _positions(self, prompt: _Prompt, keep: Tensor) -> Tensor:
        """Rotary positions of what outlives compression, `[L_r + text, 3]`."""
        kept = _select(prompt.positions.to(keep.device), prompt.encoded, keep).T
        if self.keep_positions:
            return kept
        return torch.arange(len(kept), device=keep.device)[:, None].expand(-1, 3)

    def _embed(self, prompt: EncodedPrompt, visual: Tensor) -> Tensor:
        """Text embeddings with the compressed visual tokens in their place, `[L_r + text, D]`."""
        start, end = prompt.video_start, prompt.video_start + prompt.video_tokens
        text_ids = torch.cat([prompt.input_ids[:start], prompt.input_ids[end:]])
        text = self.mllm.get_input_embeddings()(text_ids.to(visual.device))
        return torch.cat([text[:start], visual.to(text.dtype), text[start:]])

    def _prefill(self, sequences: list[Tensor], positions: list[Tensor]) -> Tensor:
        """Pad on the right, where a causal model cannot see it, and run the language model once."""
        device = sequences[0].device
        lengths = torch.tensor([len(sequence) for sequence in sequences], device=device)
        return self.family.language(
            self.mllm,
            pad_sequence(sequences, batch_first=True),  # [B, L, D]
            pad_sequence(positions, batch_first=True).permute(2, 0, 1),  # [3, B, L]
            (torch.arange(lengths.max(), device=device) < lengths[:, None]).long(),  # [B, L]
        )

    def _text_loss(self, hidden: Tensor, prompts: list[_Prompt], kept: list[Tensor]) -> Tensor:
        """L_txt of Eq. 10: next-token cross-entropy, with logits only where an answer token is predicted."""
        states, targets = [], []
        for row, prompt, keep in zip(hidden, prompts, kept, strict=True):
            labels = _select(prompt.encoded.labels.to(keep.device), prompt.encoded, keep)
            answer = (labels != IGNORED).nonzero().squeeze(1)
            states.append(row[answer - 1])
            targets.append(labels[answer])
        logits = self.mllm.get_output_embeddings()(torch.cat(states))  # [answer tokens, vocabulary]
        return F.cross_entropy(logits.float(), torch.cat(targets))


def _select(full: Tensor, prompt: EncodedPrompt, keep: Tensor) -> Tensor:
    """The entries of a per-token tensor `[..., L]` that outlive compression: text and kept visual tokens."""
    start, end = prompt.video_start, prompt.video_start + prompt.video_tokens
    return torch.cat([full[..., :start], full[..., start + keep], full[..., end:]], dim=-1)


def _seg_index(prompt: EncodedPrompt, keep: Tensor) -> int:
    return prompt.seg_position - prompt.video_tokens + len(keep)
