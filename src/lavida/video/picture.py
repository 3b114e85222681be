"""How the pictures of a video stream are shown: cut, upright, with square pixels, in the colours that players give."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from lavida.video.crop import Crop
from lavida.video.pixels import EXIF_ORIENTATION, EXIF_TURNS, Contrast, Turn

UNKNOWN = 2  # FFmpeg's number of a colour matrix or transfer curve that nobody has told
HD_WIDTH, HD_HEIGHT = 1280, 576  # from this width, or above this height, players take an untagged video for BT.709
# FFmpeg swaps the bytes of these on the short way to 24 bits
SWAPPED = frozenset({"rgb565be", "rgb555be", "bgr565be", "bgr555be"})
SIXTEEN_BITS = ("gray16", "rgb48", "bgr48", "rgba64", "bgra64", "gbrp16", "gbrap16", "ya16")
# EXIF's orientation by FFmpeg's degrees, anticlockwise
_BY_DEGREES = {0: 1, 90: 8, -90: 6, 180: 3, -180: 3}


def turn_of(frame: av.VideoFrame, packet: av.Packet | None) -> Turn:
    """How the pictures of a stream are turned, by its first one.

    Args:
        frame: the first decoded frame.
        packet: what it was decoded from; a JPEG says there what FFmpeg does not tell of it.
    """
    try:
        matrix = bytes(frame.side_data["DISPLAYMATRIX"])  # type: ignore[typeddict-item]  # its stub is of motion vectors
    except ValueError:  # a kind of side data that PyAV has no name for, such as EXIF
        return EXIF_TURNS[_exif_orientation(packet) or _BY_DEGREES.get(frame.rotation, 1)]
    except KeyError:
        return Turn()
    # Stored pixel (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(True, b < 0, c < 0)
    return Turn(False, d < 0, a < 0)


def _exif_orientation(packet: av.Packet | None) -> int | None:
    if packet is None:
        return None
    try:
        with Image.open(io.BytesIO(bytes(packet))) as image:
            orientation = image.getexif().get(EXIF_ORIENTATION)
    except Exception:  # no picture that Pillow knows
        return None
    return orientation if orientation in EXIF_TURNS else None


@dataclass(frozen=True, slots=True)
class Look:
    """How the frames of one stream are shown.

    Attributes:
        width: displayed pixels.
        height: displayed pixels.
        turn: what makes them upright.
        stored: width and height of the first frame; where the size changes on the way, the rest is fitted in.
        crop: the part of a frame of this size that is shown, in stored pixels; None: all of it.
        guess_hd: whether an untagged frame has the colours of HD video.
        contrast: how 16 bits become 8; None: by the whole range.
    """

    width: int
    height: int
    turn: Turn
    stored: tuple[int, int]
    crop: Crop | None = None
    guess_hd: bool = False
    contrast: Contrast | None = None

    def shown(
        self, frame: av.VideoFrame, size: tuple[int, int], scaler: VideoReformatter, *, gray: bool = False
    ) -> NDArray[np.uint8]:
        """`[H, W, 3]`, or `[H, W]` if `gray`, upright, of `size` (H, W)."""
        height, width = size[::-1] if self.turn.swap else size
        crop = self.crop if (frame.width, frame.height) == self.stored else None
        whole = (width, height) if crop is None else self.stored
        if self.contrast is None:
            image = self._scaled(frame, *whole, "gray" if gray else "rgb24", scaler).to_ndarray()
        else:
            values = self.contrast.eight_bit(sixteen_bits(frame, scaler, size=whole))
            image = np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY), np.uint8) if gray else values
        if crop is not None:
            part = image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
            image = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return self.turn.applied(image)

    def _scaled(
        self, frame: av.VideoFrame, width: int, height: int, pixels: str, scaler: VideoReformatter
    ) -> av.VideoFrame:
        if frame.format.name in SWAPPED:
            frame = VideoReformatter().reformat(frame, format="gbrp")
        guessed = Colorspace.ITU709 if self.guess_hd and frame.colorspace == UNKNOWN else None
        try:
            return scaler.reformat(frame, width, height, pixels, src_colorspace=guessed, interpolation="BILINEAR")
        except av.error.FFmpegError:
            # FFmpeg's scaler refuses reserved and exotic colour tags: read them as the common one.
            common = Colorspace.ITU709
            return scaler.reformat(frame, width, height, pixels, common, common, interpolation="BILINEAR")


def look_of(
    stream: VideoStream, frame: av.VideoFrame, packet: av.Packet | None, *, crop: Crop | None, contrast: Contrast | None
) -> Look:
    """How the frames of a stream are shown, by its first one; see `turn_of` and `Look`."""
    turn = turn_of(frame, packet)
    width, height = (frame.width, frame.height) if crop is None else (crop.width, crop.height)
    aspect = stream.sample_aspect_ratio if crop is None or crop.aspect is None else crop.aspect
    width = square_width(width, aspect)
    hd = frame.width >= HD_WIDTH or frame.height > HD_HEIGHT
    shown = (height, width) if turn.swap else (width, height)
    guess_hd = hd and not frame.format.is_rgb
    return Look(*shown, turn, (frame.width, frame.height), crop=crop, guess_hd=guess_hd, contrast=contrast)


def square_width(width: int, aspect: Fraction | None) -> int:
    """The width at which pixels of this aspect ratio become square."""
    # An absurd ratio is a broken header; following it would ask for gigabytes.
    if not aspect or aspect == 1 or not 1 / 8 <= aspect <= 8:
        return width
    return max(2, 2 * round(width * float(aspect) / 2))


def has_sixteen_bits(frame: av.VideoFrame) -> bool:
    """Whether a frame is gray or RGB of 16 bits, and no transfer curve says how bright that is."""
    name = frame.format.name
    return name.removesuffix("le").removesuffix("be") in SIXTEEN_BITS and frame.color_trc in (0, UNKNOWN)


def sixteen_bits(
    frame: av.VideoFrame, scaler: VideoReformatter, *, size: tuple[int, int] | None = None
) -> NDArray[np.uint16]:
    """A frame of 16 bits as it is, `[H, W, 3]`; of `size` (width, height) if given."""
    deep = scaler.reformat(frame, *(size or (frame.width, frame.height)), "rgb48le", interpolation="BILINEAR")
    return deep.to_ndarray().astype(np.uint16, copy=False)
