"""From a path to its frames: `open_source` for a video file or a folder of images."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lavida.errors import InputError
from lavida.video.arrays import array_source
from lavida.video.image_folder import FOLDER_FPS, ImageFolder, PictureFile
from lavida.video.picture_file import IMAGE_SUFFIXES, pages
from lavida.video.sampling import default_stride
from lavida.video.source import Frame, Source, SourceInfo

__all__ = ["Footage", "Frame", "ImageFolder", "Source", "SourceInfo", "default_stride", "open_source"]

# a path, an opened source, uint8 RGB [T, H, W, 3], pictures, or (frame, time_s) one by one
Footage = str | Path | Source | np.ndarray | Iterable[Any]


def open_source(path: Footage, *, fps: float | None = None) -> Source:
    """A source of frames from a video file, pictures in natural order (`2.png` before `10.png`), or memory.

    Nothing but the first frame is decoded here.

    Args:
        path: a video file, a picture file, a folder of pictures of one size, or frames that a program has
            (`array_source`); an opened source is given back.
        fps: frames a second of pictures, 25 if None; a video file or an animation knows its own.

    Raises:
        InputError: there is no such path, or it holds no frames that can be decoded.
    """
    if not isinstance(path, str | Path):
        opened = hasattr(path, "read") and hasattr(path, "info")
        return path if opened else array_source(path, fps=FOLDER_FPS if fps is None else fps)
    if path == "":  # an unset variable of a script, not the current folder
        raise InputError("no such file: the path is empty; give a video file or a folder of images")
    path = Path(path)
    try:
        rate = FOLDER_FPS if fps is None else fps
        if path.is_dir():
            return ImageFolder(path, fps=rate)
        if path.is_file():
            # what Pillow cannot read, FFmpeg may
            if path.suffix.lower() in IMAGE_SUFFIXES and next(pages(path)).header is not None:
                return PictureFile(path, fps=rate)
            from lavida.video.video_file import VideoFile  # needs PyAV, which pictures and training do without

            return VideoFile(path)
    except PermissionError as error:
        raise InputError(f"no permission to read: {path}; change its permissions or copy it") from error
    except OSError as error:
        raise InputError(f"cannot be read: {path}; {error.strerror or error}; check the path") from error
    if path.exists():
        raise InputError(f"a pipe or a device cannot be read twice: {path}; save it to a file first and give that")
    raise InputError(f"no such file: {path}; give a video file or a folder of images")
