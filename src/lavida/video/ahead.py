"""Decoding in a thread of its own, so that it goes on while the model works."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeVar

from lavida.timing import StageClock
from lavida.video.decode import Frame, Source, SourceInfo
from lavida.video.motion import with_motion

T = TypeVar("T")

PICTURES_AHEAD = 16  # about two clips: enough to bridge one step of the model, some 10 MB
MOST_IN_A_RUN = 64  # frames without a picture that are handed over at once
POLL_S = 0.1
PATIENCE_S = 5.0  # a thread that hangs in a dead network disk must not hang the program


class ReadAhead:
    """A source (see `Source`) that is decoded up to 16 pictures ahead of whoever reads it; FFmpeg frees the GIL.

    Frames come with their motion, if pairs are asked for. `clock` has the time that the thread took for "decode" and
    "motion" in the last reading.

    Leaving its `with` block ends the thread, whether the source was read to its end or not:

        with ReadAhead(open_source(path)) as source:
            detection = detector.detect(source, anomalies)
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.clock = StageClock()
        self._readings: list[Generator[Any, None, None]] = []

    @property
    def info(self) -> SourceInfo:
        return self.source.info

    @property
    def warnings(self) -> list[str]:
        return self.source.warnings

    @property
    def notes(self) -> list[str]:
        return list(getattr(self.source, "notes", ()))

    def read(
        self,
        *,
        stride: int | None = None,
        size: tuple[int, int] | None = None,
        pair_size: tuple[int, int] | None = None,
    ) -> Iterator[Frame]:
        """See `Source.read`; what goes wrong in the thread is raised here."""
        self.clock = clock = StageClock()
        frames = clock.iterate("decode", self.source.read(stride=stride, size=size, pair_size=pair_size))
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


def _drain(queue: Queue) -> None:
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
