"""LLaVA-OneVision (Li et al. 2024): square frames, features pooled for videos, one newline token; 1-D positions."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from lavida.model.grid import fit_square
from lavida.model.mllm.family import Family, Grid, VisualTokens
from lavida.model.mllm.patches import HALF, pixel_values
from lavida.model.prompt import ChatFormat

POOLING = 2  # of a video's features, each way


class LlavaOnevision(Family):
    """LLaVA-OneVision. Frames lose their aspect, as in its processor.

    Its checkpoints use SigLIP's normalisation, not the default of the processor's class. The model pools a frame
    of 27 x 27 features to 14 x 14 tokens; a smaller `tokens_per_pair` is met by averaging these once more.
    """

    model_type = "llava_onevision"
    chat = ChatFormat(
        before_video="<|im_start|>user ",
        video_token="<video>",
        after_video="\n",
        before_answer="<|im_end|><|im_start|>assistant\n",
        after_answer="<|im_end|>",
    )
    mean, std = HALF, HALF
    axes = 1

    def __init__(self, mllm: PreTrainedModel, *, tokens_per_pair: int) -> None:
        super().__init__(mllm, tokens_per_pair=tokens_per_pair)
        vision = mllm.config.vision_config
        self.image_size = vision.image_size
        self.cell = vision.patch_size * POOLING
        self.side = math.ceil(vision.image_size // vision.patch_size / POOLING)

    def grid(self, frames: Tensor) -> Grid:
        side = fit_square(self.side, max_cells=self.tokens_per_pair // 2)
        return Grid(frames.shape[-4], side, side)

    def clip_markup(self, grid: Grid) -> Sequence[str | int]:
        return [grid.tokens, self.chat.video_token]  # the last one is the newline, never compressed

    def visual_tokens(self, mllm: PreTrainedModel, frames: Tensor, grid: Grid) -> VisualTokens:
        pixels = pixel_values(frames, (self.image_size, self.image_size), mean=self.mean, std=self.std)
        vision = mllm.model.vision_tower
        out = mllm.model.get_video_features(pixels.to(device=vision.device, dtype=vision.dtype))
        tokens = out.pooler_output[:, :-1]  # [B, T * side * side, D_z], without the newline
        if grid.rows < self.side:
            maps = tokens.unflatten(1, (-1, self.side, self.side)).flatten(0, 1).movedim(-1, 1)  # [B * T, D_z, s, s]
            maps = F.adaptive_avg_pool2d(maps, (grid.rows, grid.cols)).movedim(1, -1)
            tokens = maps.unflatten(0, frames.shape[:2]).flatten(1, 3)
        return VisualTokens(tokens)

    def embed(self, mllm: PreTrainedModel, input_ids: Tensor) -> Tensor:
        embeds = super().embed(mllm, input_ids)
        newline = input_ids == mllm.config.video_token_id
        return embeds.where(~newline[:, None], mllm.model.image_newline.to(embeds.dtype))
