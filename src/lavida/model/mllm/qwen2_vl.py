"""Qwen2-VL (Wang et al. 2024): frame pairs, any aspect, 3-D rotary positions. What the Qwen-VL families share."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lavida.model.mllm.family import Family, Grid, VisualTokens
from lavida.model.mllm.patches import CLIP_MEAN, CLIP_STD, PatchProjection, fit_grid, patchify, pixel_values
from lavida.model.prompt import ChatFormat, EncodedPrompt

VIDEO_TYPE = 2  # transformers' modality code for video in `mm_token_type_ids`


class Qwen2VL(Family):
    """Qwen2-VL. Without the system turn of its chat template: `nano` was trained so."""

    model_type = "qwen2_vl"
    chat = ChatFormat(
        before_video="<|im_start|>user\n",
        video_token="<|video_pad|>",
        before_answer="<|im_end|>\n<|im_start|>assistant\n",
        after_answer="<|im_end|>",
    )
    mean, std = CLIP_MEAN, CLIP_STD
    axes = 3

    def __init__(self, mllm: PreTrainedModel, *, tokens_per_pair: int) -> None:
        super().__init__(mllm, tokens_per_pair=tokens_per_pair)
        vision = mllm.config.vision_config
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.temporal = vision.temporal_patch_size
        self.cell = self.patch * self.merge
        PatchProjection.of(mllm.model.visual.patch_embed.proj)

    def grid(self, frames: Tensor) -> Grid:
        rows, cols = fit_grid(*frames.shape[-2:], cell=self.cell, max_cells=self.tokens_per_pair)
        return Grid(math.ceil(frames.shape[-4] / self.temporal), rows, cols)

    def clip_markup(self, grid: Grid) -> Sequence[str | int]:
        return ["<|vision_start|>", grid.tokens, "<|vision_end|>"]

    def patches(self, grid: Grid) -> Tensor:
        """transformers' `grid_thw`, `[1, 3]`: patches of one clip in time, height and width."""
        return torch.tensor([[grid.groups, grid.rows * self.merge, grid.cols * self.merge]])

    def visual_tokens(self, mllm: PreTrainedModel, frames: Tensor, grid: Grid) -> VisualTokens:
        size = grid.rows * self.cell, grid.cols * self.cell
        pixels = pixel_values(frames, size, mean=self.mean, std=self.std)  # [B, T, 3, h, w]
        patches = patchify(pixels, patch=self.patch, merge=self.merge, temporal=self.temporal)
        visual = mllm.model.visual
        flat = patches.flatten(0, 1).to(device=visual.device, dtype=visual.dtype)  # [B * N, D_patch]
        out = visual(flat, grid_thw=self.patches(grid).expand(len(frames), -1).to(visual.device))
        deepstack = getattr(out, "deepstack_features", None) or ()
        return VisualTokens(
            out.pooler_output.unflatten(0, (len(frames), -1)),
            tuple(features.unflatten(0, (len(frames), -1)) for features in deepstack),
        )

    def positions(self, mllm: PreTrainedModel, prompt: EncodedPrompt, grid: Grid) -> Tensor:
        types = torch.zeros_like(prompt.input_ids)
        types[prompt.visual] = VIDEO_TYPE
        positions, _ = mllm.model.get_rope_index(
            input_ids=prompt.input_ids[None],
            mm_token_type_ids=types[None],
            video_grid_thw=self.patches(grid),
            **self.rope_extras(),
        )
        return positions[:, 0]

    def rope_extras(self) -> dict:
        """Further arguments of the family's `get_rope_index`."""
        return {}
