"""Vision features f_v (Eq. 6): frames -> the feature pyramid of SAM 2's encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Sam2Model
from transformers.models.sam2.modeling_sam2 import Sam2VisionNeck


@dataclass(frozen=True, slots=True)
class VisionFeatures:
    """f_v of N frames.

    `levels`: finest first, `[N, D_v, h, w]` at strides 4, 8 and 16. `class_logits`: `[N, C, h, w]` at stride 32
    where the backbone carries a classifier, else None.
    """

    levels: tuple[torch.Tensor, ...]
    class_logits: torch.Tensor | None

    @property
    def coarsest(self) -> torch.Tensor:
        """`[N, D_v, h, w]`: the level that Eq. 7 and the mask decoder attend to."""
        return self.levels[-1]


class VisionEncoder(nn.Module):
    """Normalises frames and runs the vision encoder of a `Sam2Model` (Hiera or a lighter backbone)."""

    def __init__(self, sam2: Sam2Model, *, mean: list[float], std: list[float]):
        super().__init__()
        # kept in a tuple so that the parameters are registered once, in LavidaModel.sam2
        self._encoder = (sam2.vision_encoder,)
        self.mean, self.std = mean, std

    def forward(self, frames: torch.Tensor) -> VisionFeatures:
        """`frames`: uint8 or float `[N,3,H,W]` in 0..255, sides multiples of 32."""
        encoder = self._encoder[0]
        mean = torch.tensor(self.mean, device=frames.device).view(1, 3, 1, 1) * 255
        std = torch.tensor(self.std, device=frames.device).view(1, 3, 1, 1) * 255
        output = encoder.backbone((frames.float() - mean) / std)
        pyramid = _pyramid(encoder.neck, output.intermediate_hidden_states)  # coarsest first
        levels = pyramid[-encoder.num_feature_levels :][::-1]
        return VisionFeatures(tuple(levels), getattr(output, "class_logits", None))


def _pyramid(neck: Sam2VisionNeck, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """SAM 2's feature pyramid from maps `[N,h,w,C]`, finest first -> `[N,D_v,h,w]`, coarsest first.

    The neck's own `forward` also makes position encodings for every level, which nobody here reads.
    """
    levels: list[torch.Tensor] = []
    for index, conv in zip(reversed(range(len(maps))), neck.convs, strict=True):
        level = conv(maps[index].permute(0, 3, 1, 2))
        if levels and index in neck.fpn_top_down_levels:
            level = level + F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
        levels.append(level)
    return levels
