"""Qwen3-VL: Qwen2-VL with DeepStack (Meng et al. 2024) and a time stamp before each group of frames."""

from collections.abc import Sequence

from torch import Tensor

from lavida.model.mllm.family import Grid
from lavida.model.mllm.patches import HALF
from lavida.model.mllm.qwen2_vl import Qwen2VL

FRAMES_PER_SECOND = 2.0  # at which its processor samples videos


class Qwen3VL(Qwen2VL):
    """Qwen3-VL. The time stamps say 2 frames a second, whatever the stride, so that all clips share a prompt.

    DeepStack: the vision tower also gives features of some of its layers, which the language model adds to the
    visual tokens after its first layers. `Semantics` merges them as it merges the tokens they belong to.
    """

    model_type = "qwen3_vl"
    mean, std = HALF, HALF

    def clip_markup(self, grid: Grid) -> Sequence[str | int]:
        markup: list[str | int] = [""]
        for group in range(grid.groups):
            seconds = (group * self.temporal + (self.temporal - 1) / 2) / FRAMES_PER_SECOND  # of the group's middle
            markup[-1] += f"<{seconds:.1f} seconds><|vision_start|>"
            markup += [grid.rows * grid.cols, "<|vision_end|>"]
        return markup

    def language_extras(self, visual: Tensor, deepstack: Sequence[Tensor]) -> dict:
        return {"visual_pos_masks": visual, "deepstack_visual_embeds": list(deepstack)}
