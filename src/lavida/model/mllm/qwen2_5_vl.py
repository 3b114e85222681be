"""Qwen2.5-VL (Bai et al. 2025): Qwen2-VL with window attention in the vision tower and positions in seconds."""

import torch

from lavida.model.mllm.qwen2_vl import Qwen2VL
from lavida.model.prompt import ChatFormat

FRAMES_PER_SECOND = 2.0  # at which its processor samples videos


class Qwen25VL(Qwen2VL):
    """Qwen2.5-VL. A clip counts as sampled at 2 frames a second, whatever its stride: the rate that the model knows."""

    model_type = "qwen2_5_vl"
    chat = ChatFormat(
        before_video="<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
        video_token="<|video_pad|>",
        before_answer="<|im_end|>\n<|im_start|>assistant\n",
        after_answer="<|im_end|>",
    )

    def rope_extras(self) -> dict:
        return {"second_per_grid_ts": torch.tensor([self.temporal / FRAMES_PER_SECOND])}
