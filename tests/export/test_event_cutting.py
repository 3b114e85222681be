"""Events cut frame by frame are those that the whole series of scores gives, however it comes."""

import itertools

import numpy as np
import pytest

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.events import Event, EventCutter, EventSettings, ScoredFrame, between, cut, shortest

TIMES = ("min_length_s", "merge_gap_s", "cool_down_s")


def spans_of_the_whole(scores, times, ends, *, threshold, gap_s) -> list[slice]:
    """What hysteresis and merging mean, by arrays of the whole video."""
    over = np.concatenate([[False], scores >= 0.7 * threshold, [False]])
    edges = np.flatnonzero(over[1:] != over[:-1])
    merged: list[slice] = []
    for first, stop in edges.reshape(-1, 2).tolist():
        if scores[first:stop].max() < threshold:
            continue
        if merged and times[first] - ends[merged[-1].stop - 1] < gap_s:
            merged[-1] = slice(merged[-1].start, stop)
        else:
            merged.append(slice(first, stop))
    return merged


def events_of_the_whole(found, settings) -> list[Event]:
    """The definition of `Detection.events`, with everything at hand."""
    times, scores, masks = found.times, found.scores, found.masks_over(settings.threshold)
    ends = np.append(times[1:], found.end_s)
    events = []
    for span in spans_of_the_whole(scores, times, ends, threshold=settings.threshold, gap_s=settings.merge_gap_s):
        lasts = ends[span.stop - 1] - times[span.start]
        analysed = np.array([frame for frame in found.sampled if span.start <= frame < span.stop], int)
        if settings.min_length_s is None:
            certain = settings.threshold + 0.5 * (1 - settings.threshold)
            brief = len(found.sampled) > 1 and len(analysed) < 2 and lasts < 0.25
            if brief and scores[span].max() < certain:
                continue
        elif lasts < settings.min_length_s:
            continue
        inside = analysed if len(analysed) else np.arange(span.start, span.stop)
        peak = int(inside[scores[inside].argmax()])
        category = found.categories[int(found.category_scores[span].mean(axis=0, dtype=np.float64).argmax())]
        near = [mask for mask in masks if span.start <= mask.frame < span.stop]
        near.sort(key=lambda m: (abs(times[m.frame] - times[peak]), m.category != category, -m.score))
        box = next((box for mask in near if (box := mask.box) is not None), None)
        start_s, end_s = float(times[span.start]), float(ends[span.stop - 1])
        events.append(Event(start_s, end_s, float(times[peak]), shortest(scores[peak]), category, box))
    return events


def masks_of(rng, sampled, categories) -> list[Mask]:
    masks = []
    for frame in sampled.tolist():
        for category in categories:
            if rng.random() < 0.25:
                pixels = np.zeros((48, 64), bool)
                x = int(rng.integers(0, 60))
                pixels[5 : int(rng.integers(5, 9)), x : x + 3] = True  # sometimes empty
                score = float(rng.choice([0.6, 0.7, 0.8]))
                masks.append(Mask.from_pixels(pixels, frame=frame, category=category, score=score))
    return masks


def random_detection(detection_of, seed):
    rng = np.random.default_rng(seed)
    stride, categories = int(rng.integers(1, 6)), ("fire", "smoke", "riot")[: int(rng.integers(1, 4))]
    count = int(rng.integers(1, 150))
    walk = np.clip(np.cumsum(rng.normal(0, rng.choice([0.1, 0.4]), (count, len(categories))), axis=0) + 0.4, 0, 1)
    if rng.random() < 0.3:
        walk = walk.round(1)  # ties
    frames = (count - 1) * stride + 1
    times = np.append(0.0, np.cumsum(rng.choice([0.0, 0.04, 0.2], frames - 1, p=[0.1, 0.7, 0.2])))
    sampled = np.arange(0, frames, stride)
    masks = masks_of(rng, sampled, categories)
    return detection_of(
        walk.max(axis=1), stride=stride, categories=categories, category_scores=walk, times=times, candidates=masks
    )


@pytest.mark.parametrize("seed", range(24))
def test_frame_by_frame_gives_the_events_of_the_whole_video_to_the_last_bit(detection_of, seed):
    found = random_detection(detection_of, seed)
    for threshold, least, gap in itertools.product((0.3, 0.5, 0.8), (None, 0.0, 0.3), (0.0, 0.5, 2.0)):
        settings = EventSettings(threshold=threshold, min_length_s=least, merge_gap_s=gap)
        cut_anew = found.events(threshold, min_length_s=least, merge_gap_s=gap)
        assert cut_anew == events_of_the_whole(found, settings)


@pytest.mark.parametrize("seed", range(10))
def test_an_event_is_told_at_its_start_and_again_at_its_end(detection_of, seed):
    found = random_detection(detection_of, seed)
    cutter = EventCutter(found.categories, EventSettings(threshold=0.5))
    told = []
    for frame in found._scored_frames(found.masks):
        told += [(frame.time_s, change) for change in cutter.add(frame)]
        current = cutter.current
        assert (current is not None) == (bool(told) and told[-1][1].phase == "start")
        assert current is None or current.start_s == told[-1][1].event.start_s
    told += [(found.end_s, change) for change in cutter.finish(found.end_s)]
    assert [change.phase for _, change in told] == ["start", "end"] * len(found.events())
    assert [change.event for _, change in told if change.phase == "end"] == found.events()
    for (begun_s, begun), (ended_s, ended) in zip(told[::2], told[1::2], strict=True):
        assert begun.event.start_s == ended.event.start_s <= begun_s <= ended_s


def series(*scores: float, step=1.0, start=0.0) -> list[ScoredFrame]:
    return [ScoredFrame(start + step * i, float(np.float32(s)), np.float32([s]), True) for i, s in enumerate(scores)]


def test_an_event_is_told_as_soon_as_two_frames_bear_it_out():
    cutter = EventCutter(["fire"], EventSettings(threshold=0.5))
    phases = [[change.phase for change in cutter.add(f)] for f in series(0, 0.6, 0.6, 0.6, 0, 0, step=0.2)]
    assert phases == [[], [], ["start"], [], [], []]
    assert [change.phase for change in cutter.settle(1.0)] == []  # it may go on within the merge gap
    assert [change.phase for change in cutter.settle(1.4)] == ["end"]
    assert cutter.finish(9) == []


def test_frames_between_analysed_ones_have_the_scores_that_a_file_gives_them(detection_of):
    found = detection_of([0.1, 0.9, 0.35, 0.62], stride=5, categories=("fire", "smoke"))
    frames = list(found._scored_frames([]))
    for first in range(0, 15, 5):
        times = [frame.time_s for frame in frames[first + 1 : first + 5]]
        filled = list(between(frames[first], frames[first + 5], times))
        assert [(f.time_s, f.score) for f in filled] == [(f.time_s, f.score) for f in frames[first + 1 : first + 5]]
        assert all(
            np.array_equal(a.category_scores, b.category_scores)
            for a, b in zip(filled, frames[first + 1 :], strict=False)
        )


def test_what_is_over_within_the_cool_down_is_left_out_and_counted():
    frames = series(0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0)
    settings = EventSettings(threshold=0.5, merge_gap_s=0, cool_down_s=5)
    assert [(e.start_s, e.end_s) for e in cut(frames, ["fire"], settings, end_s=15)] == [(1, 3), (12, 14)]
    cutter = EventCutter(["fire"], settings)
    for frame in frames:
        cutter.add(frame)
    assert cutter.held_back == 1


def test_what_comes_again_and_again_is_one_alarm():
    frames = series(*[0, 1, 1, 0] * 10, 0, 0, 0, 0, 1, 1, 0)
    settings = EventSettings(threshold=0.5, merge_gap_s=0, cool_down_s=5)
    assert [e.start_s for e in cut(frames, ["fire"], settings, end_s=47)] == [1, 44]


def test_what_outlasts_the_cool_down_is_told_with_its_true_start():
    frames = series(0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0)
    settings = EventSettings(threshold=0.5, merge_gap_s=0, cool_down_s=5)
    assert [(e.start_s, e.end_s) for e in cut(frames, ["fire"], settings, end_s=11)] == [(1, 3), (4, 10)]


def test_an_outage_ends_what_goes_on_at_the_last_frame():
    cutter = EventCutter(["fire"], EventSettings(threshold=0.5))
    for frame in series(0, 1, 1, 1):
        cutter.add(frame)
    cutter.pause(4.0)
    changes = [change for frame in series(1, 1, 0, start=60) for change in cutter.add(frame)]
    changes += cutter.finish(63)
    assert [(c.phase, c.event.start_s, c.event.end_s) for c in changes if c.phase == "end"] == [
        ("end", 1, 4),
        ("end", 60, 62),
    ]


def test_a_short_outage_does_not_end_it():
    cutter = EventCutter(["fire"], EventSettings(threshold=0.5, merge_gap_s=10))
    for frame in series(0, 1, 1):
        cutter.add(frame)
    cutter.pause(3.0)
    for frame in series(1, 1, 0, start=8):
        cutter.add(frame)
    assert [(c.event.start_s, c.event.end_s) for c in cutter.finish(11)] == [(1, 10)]


def test_a_day_of_one_event_takes_no_more_memory_than_a_minute():
    cutter, pixels = EventCutter(["fire"], EventSettings(threshold=0.5)), np.ones((4, 4), bool)
    rng = np.random.default_rng(0)
    for index, score in enumerate(rng.uniform(0.5, 1, 5000).astype(np.float32)):
        mask = Mask.from_pixels(pixels, frame=index, category="fire", score=0.9)
        cutter.add(ScoredFrame(float(index), float(score), np.array([score]), True, [mask]))
    peak = cutter._event.peak
    assert len(peak.near) + len(peak.first) + len(peak.latest) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"merge_gap_s": -1},
        {"min_length_s": -1},
        {"cool_down_s": -1},
        *({name: value} for name in TIMES for value in (float("nan"), float("inf"))),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="between 0 and 1|give 0 or more"):
        EventSettings(**{"threshold": 0.5, **wrong})
