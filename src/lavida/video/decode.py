"""From a path to its frames: `open_source` for a video file or a folder of images."""

from pathlib import Path

from lavida.errors import InputError
from lavida.video.image_folder import FOLDER_FPS, ImageFolder
from lavida.video.source import Frame, Source, SourceInfo, default_stride

__all__ = ["Frame", "ImageFolder", "Source", "SourceInfo", "default_stride", "open_source"]


def open_source(path: str | Path, *, fps: float | None = None) -> Source:
    """A source of frames from a video file or a folder of images in natural order (`2.png` before `10.png`).

    Nothing but the first frame is decoded here.

    Args:
        path: a video file, or a folder of TIFF, PNG, JPEG or BMP images of one size.
        fps: frames a second of a folder of images, 25 if None; a video file knows its own.

    Raises:
        InputError: there is no such path, or it holds no frames that can be decoded.
    """
    if path == "":  # an unset variable of a script, not the current folder
        raise InputError("no such file: the path is empty; give a video file or a folder of images")
    path = Path(path)
    try:
        if path.is_dir():
            return ImageFolder(path, fps=FOLDER_FPS if fps is None else fps)
        if path.is_file():
            from lavida.video.video_file import VideoFile  # needs PyAV, which pictures and training do without

            return VideoFile(path)
    except PermissionError as error:
        raise InputError(f"no permission to read: {path}; change its permissions or copy it") from error
    except OSError as error:
        raise InputError(f"cannot be read: {path}; {error.strerror or error}; check the path") from error
    raise InputError(f"no such file: {path}; give a video file or a folder of images")
