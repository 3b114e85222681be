"""Named evaluation protocols: every choice between scores and numbers, written next to the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lavida.resizing import nearest


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The choices that turn scores into numbers.

    Attributes:
        name: the name on the command line and in `metrics.json`.
        stride: the model analyses frames 0, stride, 2 * stride, ... and the last; 1 is every frame.
        pixel_size: (height, width) to which pixel maps and masks are brought, by nearest neighbour.
        pixel_resize: how they are brought there.
        smoothing: smoothing of frame scores over time; None is off (it looks into the future).
        normalisation: rescaling of frame scores within a video; None is off (it looks at the whole video).
        average_precision: which area under the precision-recall curve.
        macro_padding: what is added to each video for the macro AUC.
    """

    name: str
    stride: int
    pixel_size: tuple[int, int]
    pixel_resize: str = "nearest"
    smoothing: str | None = None
    normalisation: str | None = None
    average_precision: str = "step-wise"
    macro_padding: str = "one normal frame at the lowest score, one abnormal at the highest"

    def resize(self, image: NDArray[Any]) -> NDArray[Any]:
        """Brings a map or mask `[H, W]` to `pixel_size`."""
        return nearest(image, self.pixel_size)  # [h, w]


STANDARD = Protocol(name="standard", stride=1, pixel_size=(158, 238))

PROTOCOLS = {STANDARD.name: STANDARD}
