"""Motion into f_v (beyond the paper): what moves, and how fast for this scene, added to each level of the pyramid.

A skateboarder and a walker look alike in one frame. The field of velocities between neighbouring frames
(`video/motion.py`) is described relative to the camera's own motion and to what else moves, and a few convolutions
add it to the vision features of Eq. 6, so that words, prompts and masks all see it. Where the motion is unknown
(a single image) nothing is added.
"""

import torch
from torch import nn

from lavida.model.vision import VisionFeatures

FEATURES = 7
SPEED = 10.0  # log(1 + SPEED * s): a slow walk is about 0.1 frame heights a second, a fast object 1


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
        return VisionFeatures(tuple(levels), f_v.class_logits)


def motion_features(motion: torch.Tensor) -> torch.Tensor:
    """`[N,4,h,w]` -> `[N,7,h,w]`: own and relative speed, direction, change, and how much moves in the scene."""
    velocity = motion[:, :2].float()
    camera = velocity.flatten(2).median(-1).values[..., None, None]  # most of a picture is not the moving object
    own = velocity - camera
    speed = own.norm(dim=1, keepdim=True)
    fastest = speed.flatten(1).kthvalue(max(1, round(0.98 * speed[0].numel())), -1).values[:, None, None, None]
    mean = speed.mean((2, 3), keepdim=True)
    direction = own / (speed + 0.05)
    scene = torch.cat([_log(mean), _log(fastest)], 1).expand(-1, -1, *speed.shape[-2:])
    relative = speed / (fastest + 0.02)
    return torch.cat([_log(speed), relative.clamp(max=3), direction, 4 * motion[:, 2:3].float(), scene], 1)


def _log(speed: torch.Tensor) -> torch.Tensor:
    return torch.log1p(SPEED * speed)


def _conv(dim: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1), nn.GELU())
