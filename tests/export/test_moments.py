from pathlib import Path

import numpy as np
import pytest

from lavida.detection import Detection
from lavida.errors import InputError
from lavida.export.moments import frames_at, stretches, telling_moments
from lavida.video.decode import SourceInfo

FPS = 10.0


def detection_of(scores, *, stride: int = 1) -> Detection:
    scores = np.asarray(scores, dtype=np.float32)
    frames = (len(scores) - 1) * stride + 1
    return Detection(
        info=SourceInfo(Path("clip.mp4"), "clip", 64, 48, FPS, frames),
        categories=("fire",),
        times=np.arange(frames) / FPS,
        sampled=np.arange(0, frames, stride),
        sampled_scores=scores,
        sampled_category_scores=scores[:, None],
        threshold=0.5,
    )


def quiet(frames: int, **peaks: float) -> np.ndarray:
    """Scores of 0.1 but for frames named `at_<frame>`, with their neighbours."""
    scores = np.full(frames, 0.1)
    for key, peak in peaks.items():
        at = int(key.removeprefix("at_"))
        scores[at - 2 : at + 3] = peak - 0.05
        scores[at] = peak
    return scores


def test_peaks_of_events_and_a_quiet_frame_are_shown():
    scores = quiet(100, at_20=0.8, at_70=0.9)
    scores[50] = 0.01
    assert telling_moments(detection_of(scores), None, count=3) == [20, 50, 70]


def test_a_missed_stretch_is_shown_as_well_as_the_found_one():
    scores, labels = quiet(100, at_20=0.8), np.zeros(100, dtype=np.uint8)
    labels[18:23], labels[60:80] = 1, 1
    scores[66] = 0.3  # the most that the model said about the missed one
    assert {20, 66} <= set(telling_moments(detection_of(scores), labels, count=4))


def test_the_quiet_frame_is_a_normal_one_where_that_is_known():
    scores, labels = quiet(40, at_10=0.9), np.zeros(40, dtype=np.uint8)
    labels[5:30] = 1
    scores[25], scores[35] = 0.01, 0.05
    chosen = telling_moments(detection_of(scores), labels, count=2)
    assert 35 in chosen and 25 not in chosen


@pytest.mark.parametrize("count", [1, 4, 6])
def test_as_many_as_asked_for_are_spread_over_a_video_in_which_nothing_happens(count):
    chosen = telling_moments(detection_of(np.full(61, 0.2)), None, count=count)
    assert len(set(chosen)) == count and chosen == sorted(chosen)
    assert count < 4 or {0, 60} <= set(chosen)


def test_only_analysed_frames_are_shown_and_no_more_than_there_are():
    found = detection_of([0.1, 0.9, 0.9, 0.1], stride=7)
    assert telling_moments(found, None, count=9) == [0, 7, 14, 21]
    assert telling_moments(detection_of([0.9]), np.ones(1, dtype=np.uint8), count=5) == [0]


def test_moments_can_be_chosen_by_time():
    found = detection_of([0.1] * 8, stride=5)
    assert frames_at(found, [1.6, 0.1, 1.4]) == [0, 15]
    with pytest.raises(InputError, match="--at 9: the video goes from 0.00 s to 3.50 s"):
        frames_at(found, [9.0])


def test_stretches_are_half_open():
    assert stretches(np.array([1, 0, 0, 1, 1], dtype=np.uint8)) == [(0, 1), (3, 5)]
    assert stretches(np.zeros(3, dtype=np.uint8)) == []
