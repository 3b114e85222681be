"""The visual tokens of a clip: seen by the vision tower, thinned out, merged; and a map of what happened to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lavida.model.compression import (
    CompressedClips,
    assign,
    background_references,
    compress_clips,
    local_density,
    reference_count,
    reverse_attention_weights,
    segment_sums,
)
from lavida.model.mllm import Family, Grid


@dataclass(frozen=True)
class ClipTokens:
    """One clip's visual tokens; L of the L_z on its grid.

    Attributes:
        grid: Where all L_z tokens stand.
        tokens: `[L, D_z]`.
        deepstack: What goes with them into deeper layers, each `[L, D_z]`.
        places: `[L]` int64, ascending: their indices in L_z; None: all of them.
    """

    grid: Grid
    tokens: Tensor
    deepstack: tuple[Tensor, ...]
    places: Tensor | None = None


@dataclass(frozen=True)
class TokenMap:
    """What compression does to the visual tokens of one clip, on their grid of G groups of frames, h rows, w columns.

    Attributes:
        density: `[G, h, w]`, rho of Eq. 3.
        weight: `[G, h, w]`, each token's reverse-attention weight in the one it is merged into (Eq. 4).
        merged: int64 `[G, h, w]`, how many tokens share those weights, which sum to 1; the token itself is one.
        kept: bool `[G, h, w]`, the places at which the merged tokens stand.

    All are 0 at tokens that were dropped as static before.
    """

    density: Tensor
    weight: Tensor
    merged: Tensor
    kept: Tensor


def see(
    family: Family, mllm: PreTrainedModel, frames: Tensor | Sequence[Tensor], *, static_drop: float | None
) -> list[ClipTokens]:
    """The visual tokens of each clip; clips of one shape go through the vision tower together.

    Args:
        family: That of `mllm`.
        mllm: Has the vision tower.
        frames: `[B, T, 3, H, W]` or a list of `[T, 3, H, W]`, in 0..255.
        static_drop: Leave out tokens whose pixels have a cosine distance below this to those of the first group of
            frames (at the same place); None: none.
    """
    if isinstance(frames, Tensor):
        return _see_alike(family, mllm, frames, static_drop)
    seen: dict[int, ClipTokens] = {}
    for indices in _alike(clip.shape for clip in frames):
        alike = torch.stack([frames[index] for index in indices])
        seen |= dict(zip(indices, _see_alike(family, mllm, alike, static_drop), strict=True))
    return [seen[index] for index in range(len(frames))]


def _alike(shapes: Iterable[torch.Size]) -> Iterable[list[int]]:
    """The indices that have the same shape, together."""
    groups: dict[torch.Size, list[int]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(index)
    return groups.values()


def _see_alike(family: Family, mllm: PreTrainedModel, frames: Tensor, static_drop: float | None) -> list[ClipTokens]:
    grid = family.grid(frames)
    visual = family.visual_tokens(mllm, frames, grid)
    clips = [
        ClipTokens(grid, tokens, tuple(layer[i] for layer in visual.deepstack))
        for i, tokens in enumerate(visual.tokens)
    ]
    if static_drop is None:
        return clips
    static = family.static(frames, grid, static_drop).to(visual.tokens.device)  # [B, L_z]
    return [_only(clip, (~drop).nonzero().squeeze(1)) for clip, drop in zip(clips, static, strict=True)]


def _only(clip: ClipTokens, places: Tensor) -> ClipTokens:
    return ClipTokens(clip.grid, clip.tokens[places], tuple(layer[places] for layer in clip.deepstack), places)


def compressed(clips: Sequence[ClipTokens], *, ratio: float, k: int, mode: str) -> list[ClipTokens]:
    """The merged tokens of Eq. 4 for each clip; `places` are those of the references, never None.

    Clips of one length are compressed together.
    """
    done: dict[int, ClipTokens] = {}
    for indices in _alike(clip.tokens.shape for clip in clips):
        merged = compress_clips(torch.stack([clips[index].tokens for index in indices]), ratio, k=k, mode=mode)
        for i, index in enumerate(indices):
            done[index] = _merged(clips[index], merged, i)
    return [done[index] for index in range(len(clips))]


def _merged(clip: ClipTokens, compression: CompressedClips, i: int) -> ClipTokens:
    tokens, keep = compression.merged[i], compression.keep[i]
    deepstack = clip.deepstack
    if len(keep) < len(clip.tokens):
        # A merged token mostly says what differs from its background reference. The reference's own deep features
        # would contradict that, so deep features are merged too, by the weights of their tokens.
        weights, assignment = compression.weights[i], compression.assignment[i]
        deepstack = tuple(_weighted_sums(layer, weights, assignment, len(keep)) for layer in deepstack)
    return ClipTokens(clip.grid, tokens, deepstack, keep if clip.places is None else clip.places[keep])


def _weighted_sums(features: Tensor, weights: Tensor, assignment: Tensor, count: int) -> Tensor:
    """`[count, D]` of features `[L, D]` by what they are assigned to, in their dtype."""
    return segment_sums(features.to(weights.dtype), assignment, count, scale=weights).to(features.dtype)


def token_map(clip: ClipTokens, *, ratio: float, k: int) -> TokenMap:
    """The numbers behind the compression of one clip."""
    tokens = clip.tokens
    density = local_density(tokens, k)
    keep = background_references(density, reference_count(len(tokens), ratio))
    assignment = assign(tokens, keep)
    weight = reverse_attention_weights(tokens, keep, assignment)
    merged = assignment.bincount(minlength=len(keep))[assignment]
    kept = torch.zeros_like(assignment, dtype=torch.bool).index_fill(0, keep, True)
    return TokenMap(*(_on_grid(values, clip) for values in (density, weight, merged, kept)))


def _on_grid(values: Tensor, clip: ClipTokens) -> Tensor:
    """`[G, h, w]` of one value a token that is left, 0 at the others."""
    if clip.places is not None:
        values = values.new_zeros(clip.grid.tokens).index_put((clip.places,), values)
    return values.unflatten(0, clip.grid)
