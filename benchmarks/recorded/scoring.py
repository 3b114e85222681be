"""Detection and overlay of a recording: their clocks have to be that of its rows."""

from functools import cache
from pathlib import Path

import av
import numpy as np

import lavida
from recorded.checking import ROUNDED_S, Right
from recorded.numbered import number_in

OVERLAY_ROUNDED_S = 0.01


@cache
def _detector() -> lavida.Detector:
    return lavida.load("nano")


def scoring(path: Path, right: Right, out: Path) -> list[str]:
    """What differs: times of the detection, and which picture the overlay shows when."""
    result = _detector().detect(path, ["person"])
    times = np.asarray(result.times)
    if len(times) != len(right.times) or np.abs(times - right.times).max() > ROUNDED_S:
        return [f"the detection has {len(times)} times to {times[-1]:.4g} s"]
    folder = result.save(out)
    shown = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in _frames(folder / "overlay.mp4")]
    starts, found = np.array([time for time, _ in shown]) - shown[0][0], []
    for number, time in zip(right.numbers, right.times, strict=True):
        at = int(np.searchsorted(starts, time + OVERLAY_ROUNDED_S)) - 1
        if number_in(shown[at][1]) != number:
            found.append(f"the overlay shows {number_in(shown[at][1])} for {number} at {time:.4g} s")
            break
    return found


def _frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))
