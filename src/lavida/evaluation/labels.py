"""What is true of a video's frames and pixels under a protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Benchmark, Video
from lavida.evaluation.protocols import OFFICIAL, Protocol
from lavida.evaluation.regions import tracks_from_masks

_FIRST_NUMBERS = {"zero": 0, "one": 1}


def frame_labels(
    benchmark: Benchmark, video: Video, protocol: Protocol, *, frames: int | None = None
) -> NDArray[np.uint8]:
    """Labels `[frames]`, 1 where the frame is abnormal.

    Args:
        benchmark: where the video belongs.
        video: one of its videos.
        protocol: may read annotated intervals in another way than the benchmark.
        frames: how many frames were decoded; None is `video.frames`.

    Raises:
        InputError: the protocol changes intervals that the benchmark does not have, or the annotation has another
            number of frames.
    """
    changes: dict[str, Any] = {}
    if protocol.interval_start != OFFICIAL:
        changes["first_number"] = _FIRST_NUMBERS[protocol.interval_start]
    if protocol.interval_ends != OFFICIAL:
        changes["end_inclusive"] = protocol.interval_ends == "inclusive"
    if not changes:
        return benchmark.frame_labels(video) if frames is None else benchmark.frame_labels(video, frames)
    if not has_intervals(benchmark):
        raise InputError(
            f"{benchmark.name} is labelled frame by frame, not by intervals; leave interval_start and interval_ends out"
        )
    rule = replace(benchmark.interval_rule, **changes)
    return rule.labels(benchmark.intervals(video), video.frames if frames is None else frames)


def has_intervals(benchmark: Benchmark) -> bool:
    """Whether the annotation gives intervals, so that any length of a video has labels."""
    return getattr(benchmark, "interval_rule", None) is not None


def tracks(benchmark: Benchmark, video: Video) -> Iterator[NDArray[np.integer]]:
    """One map `[H, W]` for each frame: 0 is normal, n is anomalous track n; nothing for a video without masks."""
    if not benchmark.has_pixel_labels:
        return iter(())
    if hasattr(benchmark, "tracks"):
        return benchmark.tracks(video)
    return tracks_from_masks(benchmark.pixel_labels(video))
