import itertools

import numpy as np
import pytest

from lavida.detection import Mask


def spans(detection) -> list[tuple[float, float]]:
    return [(round(event.start_s, 6), round(event.end_s, 6)) for event in detection.events()]


def square(frame: int, x: int, *, category="fire", score=0.8) -> Mask:
    pixels = np.zeros((48, 64), dtype=bool)
    pixels[5:9, x : x + 3] = True
    return Mask.from_pixels(pixels, frame=frame, category=category, score=score)


def test_no_score_reaches_the_threshold_no_event(detection_of):
    assert detection_of([0.1, 0.49, 0.49, 0.2]).events() == []


def test_a_score_that_trembles_around_the_threshold_is_one_event(detection_of):
    found = detection_of([0.1, 0.6, 0.45, 0.55, 0.4, 0.7, 0.1], fps=1.0)
    assert spans(found) == [(1, 6)]


def test_an_event_reaches_out_to_the_lower_threshold_on_both_sides(detection_of):
    found = detection_of([0.34, 0.36, 0.6, 0.6, 0.36, 0.34], fps=10.0)
    assert spans(found) == [(0.1, 0.5)]


def test_the_threshold_itself_counts(detection_of):
    assert spans(detection_of([0.0, 0.7, 0.7, 0.0], fps=1.0, threshold=0.7)) == [(1, 3)]


@pytest.mark.parametrize(("gap_frames", "events"), [(4, 1), (6, 2)])
def test_events_less_than_half_a_second_apart_are_one(detection_of, gap_frames, events):
    found = detection_of([0.9, 0.9, 0.9] + [0.0] * gap_frames + [0.9, 0.9, 0.9], fps=10.0)
    assert len(found.events()) == events


def test_an_event_at_the_end_lasts_until_the_last_frame_is_over(detection_of):
    assert spans(detection_of([0.0, 0.0, 0.9, 0.9], fps=10.0)) == [(0.2, 0.4)]


def test_the_end_is_the_time_of_the_next_frame_at_a_varying_rate(detection_of):
    found = detection_of([0.9, 0.9, 0.0, 0.0], times=np.array([0.0, 0.5, 2.0, 2.1]))
    assert spans(found) == [(0, 2)]


@pytest.mark.parametrize(("peak", "kept"), [(0.6, False), (0.74, False), (0.75, True), (1.0, True)])
def test_one_analysed_frame_alone_must_be_sure(detection_of, peak, kept):
    assert bool(detection_of([0, 0, peak, 0, 0]).events()) == kept
    assert bool(detection_of([0, 0, peak, 0, 0], stride=5).events()) == kept


def test_two_analysed_frames_or_a_quarter_second_are_enough(detection_of):
    assert len(detection_of([0, 0, 0.6, 0.6, 0, 0]).events()) == 1
    assert len(detection_of([0, 0, 0.6, 0, 0], stride=50).events()) == 1


def test_a_single_picture_is_an_event_when_it_is_over_the_threshold(detection_of):
    (event,) = detection_of([0.55]).events()
    assert (event.start_s, event.peak_s, event.end_s) == (0, 0, 0.04)


def test_the_peak_is_the_first_analysed_frame_with_the_highest_score(detection_of):
    (event,) = detection_of([0.1, 0.6, 0.87, 0.87, 0.1], stride=5).events()
    assert event.peak_s == pytest.approx(10 / 25)
    assert event.peak_score == 0.87


def test_the_category_is_the_one_with_the_highest_mean_not_the_highest_peak(detection_of):
    scores = np.array([[0.6, 0.1], [0.6, 0.9], [0.6, 0.1], [0.6, 0.1]])
    found = detection_of(scores.max(axis=1), category_scores=scores, categories=("smoke", "fire"))
    assert found.events()[0].category == "smoke"


def test_the_box_is_that_of_the_mask_nearest_the_peak_inside_the_event(detection_of):
    scores = [0, 0.6, 0.7, 0.9, 0.6, 0, 0, 0, 0]
    found = detection_of(scores, fps=2.0, masks=[square(1, 10), square(4, 40), square(7, 50)])
    assert found.events()[0].box == (40, 5, 3, 4)


def test_of_two_masks_at_the_peak_the_events_category_gives_the_box(detection_of):
    masks = [square(1, 10, category="smoke", score=0.9), square(1, 30, category="fire", score=0.7)]
    scores = np.array([[0.7, 0.6]] * 3)
    found = detection_of([0.7] * 3, category_scores=scores, categories=("fire", "smoke"), masks=masks)
    assert found.events()[0].box == (30, 5, 3, 4)


def test_an_event_without_pixels_has_no_box(detection_of):
    empty = Mask.from_pixels(np.zeros((48, 64), dtype=bool), frame=1, category="fire", score=0.9)
    assert detection_of([0.9] * 3, masks=[empty]).events()[0].box is None
    assert detection_of([0.9] * 3).events()[0].to_json()["box"] is None


@pytest.mark.parametrize("seed", range(20))
def test_events_are_ordered_apart_and_hold_their_peak(detection_of, seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(np.cumsum(rng.normal(0, 0.15, 200)) + 0.4, 0, 1)
    times = np.cumsum(rng.choice([0.0, 0.04, 0.2], 796))
    found = detection_of(scores, stride=4, times=np.append(times, times[-1] + 0.04))
    events = found.events()
    for event in events:
        assert event.start_s <= event.peak_s < event.end_s
        inside = (found.times >= event.start_s) & (found.times < event.end_s)
        assert found.scores[inside].max() == np.float32(event.peak_score)
        assert event.peak_score >= found.threshold
        assert event.peak_s in found.times[found.sampled]
    for before, after in itertools.pairwise(events):
        assert after.start_s - before.end_s >= 0.5
