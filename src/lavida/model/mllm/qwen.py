"""The Qwen-VL families: frame pairs, any aspect, 3-D rotary positions. Qwen2-VL has what they share."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lavida.model.grid import fit_grid
from lavida.model.mllm.family import Family, Grid, VisualTokens
from lavida.model.mllm.patches import CLIP_MEAN, CLIP_STD, HALF, PatchProjection, patchify, pixel_values
from lavida.model.prompt import ChatFormat, EncodedPrompt

VIDEO_TYPE = 2  # transformers' modality code for video in `mm_token_type_ids`
FRAMES_PER_SECOND = 2.0  # at which the processors of Qwen2.5-VL and Qwen3-VL sample videos


class Qwen2VL(Family):
    """Qwen2-VL (Wang et al. 2024). Without the system turn of its chat template: `nano` was trained so."""

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

    def prepare(self, mllm: PreTrainedModel) -> None:
        embed = mllm.model.visual.patch_embed
        embed.proj = PatchProjection(embed.proj)

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


class Qwen25VL(Qwen2VL):
    """Qwen2.5-VL (Bai et al. 2025): window attention in the vision tower and positions in seconds.

    A clip counts as sampled at 2 frames a second, whatever its stride: the rate that the model knows.
    """

    model_type = "qwen2_5_vl"
    chat = replace(
        Qwen2VL.chat,
        before_video="<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    )

    def rope_extras(self) -> dict:
        return {"second_per_grid_ts": torch.tensor([self.temporal / FRAMES_PER_SECOND])}


class Qwen3VL(Qwen2VL):
    """Qwen3-VL: DeepStack (Meng et al. 2024) and a time stamp before each group of frames.

    The time stamps say 2 frames a second, whatever the stride, so that all clips share a prompt. DeepStack: the
    vision tower also gives features of some of its layers, which the language model adds to the visual tokens after
    its first layers. `Semantics` merges them as it merges the tokens they belong to.
    """

    model_type = "qwen3_vl"
    mean, std = HALF, HALF

    def clip_markup(self, grid: Grid) -> Sequence[str | int]:
        markup: list[str | int] = []
        text = ""
        for group in range(grid.groups):
            seconds = (group * self.temporal + (self.temporal - 1) / 2) / FRAMES_PER_SECOND  # of the group's middle
            markup += [f"{text}<{seconds:.1f} seconds><|vision_start|>", grid.rows * grid.cols]
            text = "<|vision_end|>"
        return [*markup, text]

    def language_extras(self, visual: Tensor, deepstack: Sequence[Tensor]) -> dict:
        return {"visual_pos_masks": visual, "deepstack_visual_embeds": list(deepstack)}
