"""A stand-in for the model whose answers the tests know: what is bright is abnormal."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional

from lavida.checkpoints.pretrained import LavidaModel
from lavida.detector import Detector
from lavida.model.lavida import LavidaOutput

CLIP_LENGTH = 4


class BrightModel(nn.Module):
    """The first category is what is bright in the left half of a frame, the last one what is in the right half.

    A frame's score is that of its brightest pixel; 225 of 255 is undecided.
    """

    def __init__(self, *, tells_categories: bool = True, broken: bool = False) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            clip_length=CLIP_LENGTH,
            frame_side=64,
            frame_multiple=16,
            motion=False,
            expected_maps=False,
            clean_masks=False,
            calibration_temperature=1.0,
            calibration_bias=0.0,
        )
        self.tells_categories, self.broken = tells_categories, broken

    def unfamiliar(self, categories: list[str]) -> list[str]:
        return []

    def forward(self, frames: torch.Tensor, categories: list[list[str]], *, motion=None) -> LavidaOutput:
        light = ((frames.float().mean(2) - 225) / 10).clamp(-3, 3)  # [1, T, H, W]
        if self.broken:
            light = light * torch.nan
        evidence = None
        if self.tells_categories:
            evidence = torch.full((*light.shape[:2], len(categories[0]), *light.shape[2:]), -9.0)  # [1, T, K, H, W]
            half = light.shape[3] // 2
            evidence[:, :, 0, :, :half] = light[..., :half]
            evidence[:, :, -1, :, half:] = light[..., half:]
        return LavidaOutput(
            frame_logits=light.amax((2, 3)),
            pixel_logits=functional.avg_pool2d(light, 4),
            category_logits=None if evidence is None else evidence.amax((3, 4)),
            evidence=evidence,
            decoded=None,
            text_loss=None,
        )

    pixel_maps = LavidaModel.pixel_maps


def bright_detector(*, smoothing: bool = False, **model) -> Detector:
    detector = Detector.of(BrightModel(**model), name="bright", device=torch.device("cpu"))
    detector.smoothing = smoothing  # without it a frame's score is known from its own pixels
    return detector
