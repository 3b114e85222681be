"""What is decoded for the page: is it a video, one frame of it, a copy that browsers play, an overlay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.detection import Detection
from lavida.errors import InputError, reason
from lavida.export.film import encoder
from lavida.export.overlay import overlay_size, write_overlay
from lavida.files import atomic_file
from lavida.serve.places import named
from lavida.serve.settings import Limits
from lavida.video.decode import open_source
from lavida.video.excerpt import read_frames
from lavida.video.stream import Reading, demuxed, opened
from lavida.video.video_file import VideoFile

PLAYED = {"mov": {"h264", "av1", "vp9"}, "matroska": {"vp8", "vp9", "av1"}}  # codecs by container
PLAYED_SUFFIXES = {"mov": {".mp4", ".m4v"}, "matroska": {".webm"}}
MOST_WIDTH = 1920  # of a picture that is fetched
JPEG_QUALITY = 88
STILL = 10**9  # a stride that selects next to nothing: only times are wanted
SAME = 0.02  # of a step: what rounding makes of equal ones


@dataclass(frozen=True, slots=True)
class Looked:
    """What a first look at a video tells; `plays`: in browsers, as it is, at the times that the scores have."""

    width: int
    height: int
    fps: float
    expected: int | None
    plays: bool


def look(path: str, name: str, limits: Limits) -> Looked:
    """Open a video and decode its first frame.

    Whether browsers play it takes half of the time at most: the whole file is looked through for that.

    Args:
        path: where it lies.
        name: what it is called, for messages.
        limits: what is taken.

    Raises:
        InputError: it is no video, or too long or too large.
    """
    try:
        info = open_source(path).info
    except InputError as error:
        raise named(error, path, name) from error
    if max(info.width, info.height) > limits.side:
        raise InputError(
            f"the pictures are too large: {name}, {info.width}x{info.height}; at most {limits.side} pixels a side"
        )
    if info.frames_hint is not None and info.frames_hint / info.fps > limits.length_s:
        raise InputError(f"the video is too long: {name}; at most {limits.length_s / 3600:g} hours are taken")
    return Looked(info.width, info.height, info.fps, info.frames_hint, plays(Path(path), within_s=limits.look_s / 2))


def plays(path: Path, *, within_s: float) -> bool:
    """Whether browsers play it as it is, and show each frame at the very time that it has here.

    Asked for are a container and a codec that all of them know, upright pictures with square pixels, a clock that
    starts at zero and equal steps; what does not have them is copied, and what is not seen to have them in time.

    Args:
        path: the video.
        within_s: seconds to find out.
    """
    until = time.monotonic() + within_s
    try:
        with opened(path) as reading:
            stream = reading.stream
            context = stream.codec_context
            known = context.name in PLAYED.get(reading.kind, ()) or (context.name, reading.kind) == ("libdav1d", "mov")
            plain = context.pix_fmt in ("yuv420p", "yuvj420p") and (stream.sample_aspect_ratio or 1) == 1
            single = reading.streams == 1 and not (stream.start_time or 0) and not (reading.container.start_time or 0)
            suffix = path.suffix.lower() in PLAYED_SUFFIXES.get(reading.kind, ())
            fits = bool(known and plain and single and suffix)
            return fits and _is_steady(reading, until) and not _is_turned(reading)
    except (InputError, av.error.FFmpegError):
        return False


def _is_steady(reading: Reading, until: float) -> bool:
    stamps: list[int] = []
    for packet in demuxed(reading.container, reading.stream):
        if time.monotonic() > until:
            return False
        if not packet.size:
            continue
        if packet.pts is None or packet.is_discard or packet.is_corrupt:
            return False
        stamps.append(packet.pts)
    stamps.sort()
    steps = [after - before for before, after in pairwise(stamps)]
    if not stamps or stamps[0] != 0 or (steps and min(steps) <= 0):
        return False
    rounding = 1 if reading.kind == "matroska" else 0  # whole milliseconds
    return not steps or max(steps) - min(steps) <= max(SAME * min(steps), rounding)


def _is_turned(reading: Reading) -> bool:
    reading.container.seek(0)
    frame = next(reading.frames(), None)
    return frame is None or bool(frame.rotation)


def picture(
    path: str, *, frame: int, time_s: float, seeks: bool, width: int | None, last_s: float | None = None
) -> bytes:
    """Frame number `frame` as a JPEG.

    Args:
        path: the video.
        frame: its number.
        time_s: its time.
        seeks: whether the file's own stamps are the times, so that one may jump there.
        width: in pixels; that of the video if None.
        last_s: the time of the last frame; None where it is not known yet.

    Raises:
        InputError: it cannot be read.
    """
    image = _sought(path, time_s) if seeks else _read(path, frame, time_s, last_s)
    if image is None:
        raise InputError(f"frame {frame} cannot be read; choose another one")
    wanted = min(width or image.shape[1], MOST_WIDTH)
    if wanted < image.shape[1]:
        size = (wanted, max(1, round(image.shape[0] * wanted / image.shape[1])))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _jpeg(image)


def _read(path: str, frame: int, time_s: float, last_s: float | None) -> NDArray[np.uint8] | None:
    """A frame by its number, from the key frame before it on if that is exact, else from the start."""
    source = open_source(path)
    image = None
    if isinstance(source, VideoFile) and last_s is not None:
        image = source.picture_at(time_s, last_s=last_s)
    return read_frames(source, [frame]).get(frame) if image is None else image


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise InputError("the picture cannot be coded as JPEG")
    return data.tobytes()


def _sought(path: str, time_s: float) -> NDArray[np.uint8] | None:
    """The frame that is shown at a time: the last one that begins no later."""
    found = None
    with opened(Path(path)) as reading:
        stream = reading.stream
        unit = float(stream.time_base or 1)
        reading.container.seek(int(time_s / unit), stream=stream)
        for frame in reading.frames():
            stamp = reading.stamp_of(frame)
            if found is not None and stamp is not None and stamp > time_s + unit:
                break
            found = frame
        return None if found is None else np.asarray(found.to_ndarray(format="rgb24"), np.uint8)


def copy(path: str, target: str, longest_s: float) -> None:
    """Write a copy that browsers play: H.264, at most 1280 pixels wide, each frame at its own time.

    Raises:
        InputError: the video cannot be read or is too long, or the copy cannot be written.
    """
    source = open_source(path)
    info, times = source.info, list[float]()
    for frame in source.read(stride=STILL, size=(16, 16)):
        times.append(frame.time_s)
        if frame.time_s > longest_s:
            raise InputError(f"the video is too long to be copied; at most {longest_s / 3600:g} hours are")
    size = overlay_size(height=info.height, width=info.width)
    end_s = times[-1] + 1 / info.fps
    try:
        with (
            atomic_file(target) as partial,
            encoder(partial, size=size, fps=info.fps, times=np.array(times), end_s=end_s) as encode,
        ):
            image = np.zeros((*size, 3), np.uint8)
            for frame in source.read(stride=1, size=size):
                image = image if frame.image is None else frame.image  # a damaged one shows the picture before it
                encode(image)
    except av.error.ExternalError as error:
        raise InputError(f"the video cannot be copied ({reason(error)})") from error


def overlay(path: str, folder: str, threshold: float, target: str) -> None:
    """Draw the overlay of a result at a threshold.

    Raises:
        InputError: the result or the video cannot be read, or the overlay cannot be written.
    """
    with atomic_file(target) as partial:
        write_overlay(Detection.load(folder).at(threshold), partial, source=open_source(path))
