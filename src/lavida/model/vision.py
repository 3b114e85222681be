"""Vision features f_v (Eq. 6): frames -> the feature pyramid of SAM 2's encoder; and what moves in them.

Motion (beyond the paper): a skateboarder and a walker look alike in one frame. The field of velocities between
neighbouring frames (`video/motion.py`) is described relative to the camera's own motion and to what else moves, and a
few convolutions add it to f_v, so that words, prompts and masks all see it. Where the motion is unknown (a single
image) nothing is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Sam2Model
from transformers.models.sam2.modeling_sam2 import Sam2VisionNeck

from lavida.model.kernels import at_least_one, exporting, kth_smallest

FEATURES = 7
CUES = 13
SPEED = 10.0  # log(1 + SPEED * s): a slow walk is about 0.1 frame heights a second, a fast object 1


@dataclass(frozen=True, slots=True)
class VisionFeatures:
    """f_v of `clips` = B clips of T frames, N = B * T; no prompt changes it.

    `levels`: finest first, `[N, D_v, h, w]` at strides 4, 8 and 16. `class_logits`: `[N, C, h, w]` at stride 32
    where the backbone carries a classifier, else None. `cues`: `[N, CUES, h, w]` at stride 8 for the qualifiers of
    a thing (`vision_cues`), else None.
    """

    levels: tuple[torch.Tensor, ...]
    class_logits: torch.Tensor | None
    clips: int = 1
    cues: torch.Tensor | None = None

    @property
    def coarsest(self) -> torch.Tensor:
        """`[N, D_v, h, w]`: the level that Eq. 7 and the mask decoder attend to."""
        return self.levels[-1]

    def repeated(self, times: int) -> "VisionFeatures":
        """All clips `times` times one after another: for so many prompts about each."""
        if times == 1:
            return self

        def again(maps: torch.Tensor | None) -> torch.Tensor | None:
            return None if maps is None else maps.repeat(times, 1, 1, 1)

        levels = tuple(level.repeat(times, 1, 1, 1) for level in self.levels)
        return VisionFeatures(levels, again(self.class_logits), times * self.clips, again(self.cues))


def vision_features(sam2: Sam2Model, frames: torch.Tensor, *, mean: list[float], std: list[float]) -> VisionFeatures:
    """Normalise frames and run the vision encoder of a `Sam2Model` (Hiera or a lighter backbone): Eq. 6.

    `frames`: uint8 or float `[B,T,3,H,W]` in 0..255, sides multiples of 32; `mean`, `std`: of channels in 0..1.
    """
    encoder = sam2.vision_encoder
    scaled_mean, scaled_std = (
        torch.tensor(values, device=frames.device).view(1, 3, 1, 1) * 255 for values in (mean, std)
    )
    output = encoder.backbone((frames.flatten(0, 1).float() - scaled_mean) / scaled_std)
    pyramid = _pyramid(encoder.neck, output.intermediate_hidden_states)  # coarsest first
    levels = pyramid[-encoder.num_feature_levels :][::-1]
    return VisionFeatures(tuple(levels), getattr(output, "class_logits", None), clips=len(frames))


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


class MotionEncoder(nn.Module):
    """Adds motion features to the levels at strides 4, 8 and 16."""

    def __init__(self, *, vision_dim: int, dim: int = 32):
        super().__init__()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(FEATURES, dim, 3, padding=1), nn.GELU()),
                nn.Sequential(nn.Conv2d(dim, 2 * dim, 3, stride=2, padding=1), nn.GELU(), _conv(2 * dim)),
                nn.Sequential(nn.Conv2d(2 * dim, 2 * dim, 3, stride=2, padding=1), nn.GELU(), _conv(2 * dim)),
            ]
        )
        self.to_levels = nn.ModuleList(nn.Conv2d(width, vision_dim, 1) for width in (dim, 2 * dim, 2 * dim))

    def forward(self, f_v: VisionFeatures, motion: torch.Tensor) -> VisionFeatures:
        """`motion` `[N,4,H/4,W/4]` of `video.motion.motion_field` -> f_v with motion."""
        known = motion[:, 3:].amax((2, 3), keepdim=True).to(f_v.coarsest.dtype)  # [N, 1, 1, 1]
        x = motion_features(motion).contiguous(memory_format=torch.channels_last)
        levels = []
        for level, stage, to_level in zip(f_v.levels, self.stages, self.to_levels, strict=True):
            x = stage(x)
            levels.append(torch.addcmul(level, known, to_level(x)))
        return replace(f_v, levels=tuple(levels))


def vision_cues(frames: torch.Tensor, motion: torch.Tensor | None) -> torch.Tensor:
    """What the encoder's features may have forgotten: colour and motion, `[N,13,H/8,W/8]`.

    Colour in -1..1; `motion_features`; speed against the mean speed around, and how far a place moves with or against
    the mean motion around; whether the motion is known, without which all of it is 0.

    Args:
        frames: `[B,T,3,H,W]` in 0..255.
        motion: `[N,4,H/4,W/4]`, or None.
    """
    colour = F.avg_pool2d(frames.flatten(0, 1).float(), 8) / 127.5 - 1
    if motion is None:
        return F.pad(colour, (0, 0, 0, 0, 0, CUES - 3))
    known = motion[:, 3:].amax((2, 3), keepdim=True).float()
    small = F.avg_pool2d(motion.float(), 2)
    velocity = small[:, :2]
    around = _around(velocity)
    speed = velocity.norm(dim=1, keepdim=True)
    contrast = _log(speed) - _log(_around(speed))
    along = (velocity * around).sum(1, keepdim=True) / (speed * around.norm(dim=1, keepdim=True) + 0.005)
    moving = torch.cat([F.avg_pool2d(motion_features(motion), 2), contrast, along], 1) * known
    return torch.cat([colour, moving, known.expand(-1, -1, *colour.shape[-2:])], 1)


def _around(maps: torch.Tensor) -> torch.Tensor:
    """The mean over about a quarter of the picture around each place of `[N,C,h,w]`."""
    reach = at_least_one(maps.shape[-2] // 8)
    if exporting():  # a graph's pooling has one size for good
        down, across = (_band(n, reach, maps) for n in maps.shape[-2:])
        return down @ maps @ across.T
    return F.avg_pool2d(maps, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)


def _band(n: int, reach: int, like: torch.Tensor) -> torch.Tensor:
    """`[n,n]`: each row averages the places within `reach` of its own."""
    at = torch.arange(n, device=like.device)
    near = ((at[:, None] - at).abs() <= reach).to(like.dtype)
    return near / near.sum(1, keepdim=True)


def motion_features(motion: torch.Tensor) -> torch.Tensor:
    """`[N,4,h,w]` -> `[N,7,h,w]`: own and relative speed, direction, change, and how much moves in the scene."""
    velocity = motion[:, :2].float()
    places = velocity.shape[-2] * velocity.shape[-1]
    # the lower median: most of a picture is not the moving object
    camera = kth_smallest(velocity.flatten(2), (places + 1) // 2)[..., None, None]
    own = velocity - camera
    speed = own.norm(dim=1, keepdim=True)
    fastest = -kth_smallest(-speed.flatten(1), places - (98 * places + 50) // 100 + 1)[:, None, None, None]
    mean = speed.mean((2, 3), keepdim=True)
    direction = own / (speed + 0.05)
    scene = torch.cat([_log(mean), _log(fastest)], 1).expand(-1, -1, *speed.shape[-2:])
    relative = speed / (fastest + 0.02)
    return torch.cat([_log(speed), relative.clamp(max=3), direction, 4 * motion[:, 2:3].float(), scene], 1)


def _log(speed: torch.Tensor) -> torch.Tensor:
    return torch.log1p(SPEED * speed)


def _conv(dim: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.GELU())
