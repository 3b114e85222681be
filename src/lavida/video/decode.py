"""From a path to its frames: `open_source`, and a thread that decodes ahead while the model works."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeGuard, TypeVar

import numpy as np

from lavida.errors import InputError, reason
from lavida.timing import StageClock
from lavida.video.arrays import array_source
from lavida.video.image_folder import FOLDER_FPS, ImageFolder, PictureFile
from lavida.video.motion import with_motion
from lavida.video.picture_file import IMAGE_SUFFIXES, Page, pages
from lavida.video.sampling import default_stride
from lavida.video.source import Frame, Source, SourceAround, SourceInfo

__all__ = ["Footage", "Frame", "ImageFolder", "Source", "SourceInfo", "default_stride", "open_source"]

T = TypeVar("T")

PICTURES_AHEAD = 6  # most of a clip: enough to bridge one step of the model, some 6 MB
MOST_IN_A_RUN = 64  # frames without a picture that are handed over at once
POLL_S = 0.1
PATIENCE_S = 5.0  # a thread that hangs in a dead network disk must not hang the program

# a path, an opened source, uint8 RGB [T, H, W, 3], pictures, or (frame, time_s) one by one
Footage = str | Path | Source | np.ndarray | Iterable[Any]
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


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
        return path if _is_source(path) else array_source(path, fps=FOLDER_FPS if fps is None else fps)
    if path == "":  # an unset variable of a script, not the current folder
        raise InputError("no such file: the path is empty; give a video file, a picture or a folder of pictures")
    address = _ADDRESS.match(str(path))
    path = Path(path)
    try:
        rate = FOLDER_FPS if fps is None else fps
        if path.is_dir():
            return ImageFolder(path, fps=rate)
        if path.is_file():
            page = next(pages(path)) if path.suffix.lower() in IMAGE_SUFFIXES else None
            return _video(path, page) if page is None or page.header is None else PictureFile(path, fps=rate)
    except PermissionError as error:
        raise InputError(f"no permission to read: {path}; change its permissions or copy it") from error
    except OSError as error:
        raise InputError(f"cannot be read: {path}; {reason(error)}; check the path") from error
    if path.exists():
        raise InputError(f"a pipe or a device cannot be read twice: {path}; save it to a file first and give that")
    if address:  # not repeated: it may hold a password
        raise InputError(f"an address is no file: {address[0]}...; lavida watch looks at streams, save a video first")
    raise InputError(f"no such file: {path}; give a video file, a picture or a folder of pictures")


def _video(path: Path, page: Page | None) -> Source:
    """A video file, also where it is called a picture: what Pillow cannot read, FFmpeg may."""
    from lavida.video.stream import TiledPhoto  # needs PyAV, which pictures and training do without
    from lavida.video.video_file import VideoFile

    try:
        return VideoFile(path)
    except TiledPhoto:
        raise
    except InputError as error:
        if page is None:
            raise
        raise InputError(f"no image can be decoded: {path}; {page.flaw}; replace it") from error


def _is_source(footage: Footage) -> TypeGuard[Source]:
    return hasattr(footage, "read") and hasattr(footage, "info")


@contextmanager
def decoded_ahead(source: Footage, *, fps: float | None = None) -> Iterator[Source]:
    """A path opened (`open_source`) and decoded ahead; what the caller opened is the caller's to read ahead."""
    if not isinstance(source, str | Path):
        yield open_source(source, fps=fps)
        return
    with ReadAhead(open_source(source, fps=fps)) as ahead:
        yield ahead


class ReadAhead(SourceAround):
    """A source (see `Source`) that is decoded a few pictures ahead of whoever reads it; FFmpeg frees the GIL.

    Frames come with their motion, if pairs are asked for. `clock` has the time that the thread took for "decode" and
    "motion" in the last reading.

    Leaving its `with` block ends the thread, whether the source was read to its end or not:

        with ReadAhead(open_source(path)) as source:
            detection = detector.detect(source, anomalies)
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.clock = StageClock()
        self._readings: list[Generator[Any, None, None]] = []

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`; what goes wrong in the thread is raised here."""
        self.clock = clock = StageClock()
        frames = clock.iterate("decode", self._source.read(stride=stride, size=size, pair_size=pair_size))
        frames = with_motion(frames, clock)
        runs = produced_ahead(_runs(frames), most=PICTURES_AHEAD)
        self._readings.append(runs)
        return (frame for run in runs for frame in run)

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reading in self._readings:
            reading.close()
        self._readings.clear()


def produced_ahead(items: Generator[T, None, None], *, most: int) -> Generator[T, None, None]:
    """Yield the items in order while a thread produces up to `most` in advance.

    An exception of `items` is raised after the items before it. Closing the generator ends the thread.
    """
    ready: Queue[tuple[bool, Any]] = Queue(maxsize=most)  # (True, item), or (False, None or the exception) at the end
    stop = Event()

    def hand_over(entry: tuple[bool, Any]) -> None:
        while not stop.is_set():
            try:
                return ready.put(entry, timeout=POLL_S)
            except Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                hand_over((True, item))
                if stop.is_set():
                    break
        except BaseException as error:  # raised again by the reader
            hand_over((False, error))
        else:
            hand_over((False, None))
        finally:
            items.close()  # in the thread that opened the file

    thread = Thread(target=produce, name="lavida-decode", daemon=True)
    thread.start()
    try:
        while True:
            is_item, entry = ready.get()
            if not is_item:
                break
            yield entry
        if entry is not None:
            raise entry
    finally:
        stop.set()
        _drain(ready)
        thread.join(PATIENCE_S)


def _drain(queue: Queue[Any]) -> None:
    """Make room, so that a thread that waits for it goes on at once."""
    try:
        while True:
            queue.get_nowait()
    except Empty:
        return


def _runs(frames: Iterator[Frame]) -> Generator[list[Frame], None, None]:
    """Frames in lists that end with a picture: the queue then bounds pictures, which is where the memory is."""
    run: list[Frame] = []
    for frame in frames:
        run.append(frame)
        if frame.image is not None or len(run) == MOST_IN_A_RUN:
            yield run
            run = []
    if run:
        yield run
