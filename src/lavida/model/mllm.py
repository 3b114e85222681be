"""What differs between MLLM families: patches, visual tokens, positions, the text model."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from lavida.model.prompt import QWEN_CHAT, EncodedPrompt

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
VIDEO_TYPE = 2  # transformers' modality code for video in `mm_token_type_ids`
RESIZE_CHUNK = 2  # frames held as float32 at full size at a time


def fit_grid(height: int, width: int, *, cell: int, max_cells: int) -> tuple[int, int]:
    """Rows and columns of `cell`-pixel squares for a frame: its aspect, at most `max_cells`, no enlarging."""
    scale = min(1.0, math.sqrt(max_cells * cell * cell / (height * width)))
    fit = round if scale == 1.0 else math.floor
    rows = min(max(1, fit(height * scale / cell)), max_cells)
    cols = min(max(1, fit(width * scale / cell)), max_cells)
    if rows * cols > max_cells:  # a very long frame, or both sides rounded up: shorten the longer side
        rows, cols = (max_cells // cols, cols) if rows > cols else (rows, max_cells // rows)
    return rows, cols


def resize_frames(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of `[N, 3, H, W]` frames in 0..255 to float32 `[N, 3, h, w]`."""
    resize = {"size": size, "mode": "bilinear", "antialias": True, "align_corners": False}
    if frames.dtype == torch.uint8 and frames.device.type == "cpu":  # 5 times faster, within 1 grey level
        return F.interpolate(frames, **resize).float()
    return torch.cat([F.interpolate(part.float(), **resize) for part in frames.split(RESIZE_CHUNK)])


def patchify(frames: Tensor, *, patch: int, merge: int, temporal: int) -> Tensor:
    """Cut normalised frames into Qwen-VL's flat patches; too short a last group of frames repeats its last.

    Args:
        frames: `[B, T, C, H, W]`, H and W multiples of `patch * merge`.
        patch: Side of a patch in pixels.
        merge: Patches per side that the vision tower merges to one token; these are neighbours in the output.
        temporal: Frames per patch.

    Returns:
        `[B, N, C * temporal * patch * patch]`.
    """
    if short := -frames.shape[1] % temporal:
        frames = torch.cat([frames, frames[:, -1:].expand(-1, short, -1, -1, -1)], dim=1)
    b, t, c, h, w = frames.shape
    groups, rows, cols = t // temporal, h // (patch * merge), w // (patch * merge)
    x = frames.reshape(b, groups, temporal, c, rows, merge, patch, cols, merge, patch)
    x = x.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9)  # [B, group, row, col, merge, merge, C, time, patch, patch]
    return x.reshape(b, groups * rows * cols * merge**2, c * temporal * patch**2)


class QwenVL:
    """Qwen2-VL behind the interface that `Semantics` uses; another family provides the same members."""

    chat = QWEN_CHAT

    def __init__(self, mllm: PreTrainedModel, *, tokens_per_pair: int) -> None:
        vision = mllm.config.vision_config
        self.patch, self.merge = vision.patch_size, vision.spatial_merge_size
        self.temporal = vision.temporal_patch_size
        self.tokens_per_pair = tokens_per_pair

    def grid(self, frames: Tensor) -> tuple[int, int, int]:
        """Patches in time, height and width for clips `[B, T, 3, H, W]`."""
        height, width = frames.shape[-2:]
        cell = self.patch * self.merge
        rows, cols = fit_grid(height, width, cell=cell, max_cells=self.tokens_per_pair)
        return math.ceil(frames.shape[1] / self.temporal), rows * self.merge, cols * self.merge

    def token_count(self, grid: tuple[int, int, int]) -> int:
        """Visual tokens of one clip, L_z."""
        return math.prod(grid) // self.merge**2

    def visual_tokens(self, mllm: PreTrainedModel, frames: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Z of Eq. 3: clips `[B, T, 3, H, W]` in 0..255 to `[B, L_z, D_z]`."""
        b, t = frames.shape[:2]
        size = grid[1] * self.patch, grid[2] * self.patch
        small = resize_frames(frames.flatten(0, 1), size)  # [B*T, 3, h, w]
        mean = small.new_tensor(CLIP_MEAN).view(3, 1, 1)
        std = small.new_tensor(CLIP_STD).view(3, 1, 1)
        pixels = ((small / 255 - mean) / std).unflatten(0, (b, t))  # [B, T, 3, h, w]
        patches = patchify(pixels, patch=self.patch, merge=self.merge, temporal=self.temporal)
        visual = mllm.model.visual
        flat = patches.flatten(0, 1).to(device=visual.device, dtype=visual.dtype)  # [B * N, D_patch]
        out = visual(flat, grid_thw=torch.tensor([grid] * b, device=visual.device))
        return out.pooler_output.unflatten(0, (b, -1))

    def positions(self, mllm: PreTrainedModel, prompt: EncodedPrompt, grid: tuple[int, int, int]) -> Tensor:
        """3-D rotary positions `[3, L]` of the full sequence, before compression."""
        types = torch.zeros_like(prompt.input_ids)
        types[prompt.video_start : prompt.video_start + prompt.video_tokens] = VIDEO_TYPE
        positions, _ = mllm.model.get_rope_index(
            input_ids=prompt.input_ids[None],
            mm_token_type_ids=types[None],
            video_grid_thw=torch.tensor([grid]),
        )
        return positions[:, 0]

    def language(self, mllm: PreTrainedModel, embeds: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Last hidden state `[B, L, D_llm]` after the final norm, one prefill without a cache."""
        return mllm.model.language_model(
            inputs_embeds=embeds, position_ids=positions, attention_mask=mask, use_cache=False
        ).last_hidden_state
