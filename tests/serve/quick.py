"""An analyst that answers at once: a frame's score is its brightness; videos and a server for the tests."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.video.decode import open_source
from lavida.video.source import SourceInfo

CLIP = 4
LEVELS = [20] * 25 + [230] * 25 + [20] * 25 + [150] * 25  # two events, one of them sure


@dataclass
class QuickClip:
    indices: np.ndarray
    times: np.ndarray
    scores: np.ndarray
    category_scores: np.ndarray
    size: tuple[int, int]

    def masks_over(self, floor: float, t: int, categories: Sequence[str]) -> list[Mask]:
        if self.scores[t] < floor:
            return []
        pixels = np.zeros(self.size, bool)
        pixels[4:20, 8:30] = True
        frame, score = int(self.indices[t]), float(self.scores[t])
        return [Mask.from_pixels(pixels, frame=frame, category=categories[0], score=score)]


@dataclass
class QuickAnalyst:
    """A frame's score for the first category is its brightness, for the others half of it.

    The words may ask for more: "slow" for a pause at each clip; at the third one "much" takes memory, "kill" and
    "defect" end it, and for "away" the database is, once.
    """

    pause_s: float = 0.0

    def detect(
        self,
        source: str,
        anomalies: Sequence[str],
        *,
        stride: int | None,
        threshold: float,
        scored: Callable[[QuickClip], object],
    ) -> Detection:
        opened, clip, clips, times = open_source(source), [], [], []
        if "nothing" in anomalies:
            raise InputError("this is not looked at: choose other words")
        for frame in opened.read(stride=stride or 5, size=(24, 32)):
            times.append(frame.time_s)
            if frame.image is not None:
                clip.append(frame)
            if len(clip) == CLIP:
                clips.append(self._scored(clip, anomalies, opened.info))
                self._told(clips, anomalies, scored)
                if "away" in anomalies and len(clips) == 3:
                    _away_once(Path(source + ".away"))
                clip = []
        if clip:
            clips.append(self._scored(clip, anomalies, opened.info))
            self._told(clips, anomalies, scored)
        sampled, scores = (np.concatenate([getattr(c, name) for c in clips]) for name in ("indices", "scores"))
        masks = [mask for c in clips for t in range(len(c.indices)) for mask in c.masks_over(0.2, t, anomalies)]
        rows = np.concatenate([c.category_scores for c in clips])
        return Detection(
            info=opened.info,
            categories=tuple(anomalies),
            times=np.array(times),
            sampled=sampled,
            sampled_scores=scores,
            sampled_category_scores=rows,
            threshold=threshold,
            candidates=masks,
            source=opened,
            run={"frames": len(times), "settings": {}},
        )

    def _scored(self, frames: list, anomalies: Sequence[str], info: SourceInfo) -> QuickClip:
        scores = np.array([frame.image.mean() / 255 for frame in frames], np.float32)
        rows = np.stack([scores, *[scores / 2] * (len(anomalies) - 1)], axis=1)
        numbers, times = ([getattr(frame, name) for frame in frames] for name in ("index", "time_s"))
        return QuickClip(np.array(numbers), np.array(times), scores, rows, (info.height, info.width))

    def _told(self, clips: list[QuickClip], anomalies: Sequence[str], scored: Callable[[QuickClip], object]) -> None:
        time.sleep(0.3 if "slow" in anomalies else self.pause_s)
        scored(clips[-1])
        if len(clips) == 3 and "much" in anomalies:
            taken = bytearray(b"1") * 2**28
            time.sleep(30)
            assert taken
        if len(clips) == 3 and "kill" in anomalies:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(clips) == 3 and "defect" in anomalies:
            raise TypeError("a bug\nof two lines")


def _away_once(flag: Path) -> None:
    from sqlalchemy.exc import OperationalError

    if not flag.exists():
        flag.touch()
        raise OperationalError("UPDATE jobs", {}, Exception("the database is locked"))


def quick() -> QuickAnalyst:
    return QuickAnalyst()


def silent() -> QuickAnalyst:
    return QuickAnalyst(pause_s=30.0)


def unhurried() -> QuickAnalyst:
    return QuickAnalyst(pause_s=0.1)


def stand_in(model: str, device: str, profile: object = None) -> QuickAnalyst:
    """Takes the place of `load_detector`."""
    return quick()


def no_model() -> QuickAnalyst:
    raise InputError("no such model: toy; give a folder")


def video(
    path: Path,
    levels: Sequence[int] = LEVELS,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (96, 64),
    fps: int = 25,
    stamps: Sequence[int] | None = None,
) -> Path:
    """A video whose frame i is gray of `levels[i]`, at `stamps[i]` / fps seconds if given."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.gop_size = 10
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index if stamps is None else stamps[index], Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def bright(jpeg: bytes) -> float:
    """Mean level of a picture."""
    import cv2

    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean())


def waited(done: Callable[[], object], *, within: float = 30.0, pause_s: float = 0.05):
    """What `done` says as soon as it says anything; most ask a server, which takes its time to answer."""
    deadline = time.monotonic() + within
    while not (found := done()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(pause_s)
    return found
