import pickle
from itertools import pairwise

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.evaluation.regions import (
    RegionMetrics,
    area_up_to_one,
    region_metrics,
    thresholds,
    tracks_from_masks,
)

HIGH, LOW = 4.0, -4.0


def _frame(*boxes, value=1, size=(10, 12), empty=0):
    """`[H, W]` with `value` in the boxes (top, bottom, left, right)."""
    image = np.full(size, empty, dtype=np.result_type(type(value), type(empty)))
    for top, bottom, left, right in boxes:
        image[top:bottom, left:right] = value
    return image


def _map(*boxes):
    return _frame(*boxes, value=HIGH, empty=LOW)


def _measured(maps, tracks, **settings) -> dict:
    metrics = RegionMetrics(**settings)
    for score_map, track in zip(maps, tracks, strict=True):
        metrics.update(score_map, track)
    return region_metrics(metrics.counts())


# --- an independent computation, straight from the paper's definitions, with sets of pixels


def _parts(cut) -> list[set]:
    left = {tuple(p) for p in np.argwhere(cut).tolist()}
    parts = []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        parts.append(part)
    return parts


def _literal(maps, tracks, cuts, beta=0.1, alpha=0.1) -> tuple[float, float]:
    points = []
    for cut in sorted(cuts, reverse=True):
        false, hits = 0, {}
        for score_map, track in zip(maps, tracks, strict=True):
            found = _parts(score_map >= cut)
            truth = {n: {tuple(p) for p in np.argwhere(track == n).tolist()} for n in np.unique(track[track > 0])}
            for n, region in truth.items():
                hits.setdefault(n, []).append(any(len(region & d) / len(region | d) >= beta for d in found))
            false += sum(all(len(r & d) / len(r | d) < beta for r in truth.values()) for d in found)
        regions = np.concatenate(list(hits.values())).mean()
        points.append((false / len(maps), regions, np.mean([np.mean(h) >= alpha for h in hits.values()])))
    return tuple(_literal_area([(0.0, 0.0), *((p[0], p[i]) for p in points)]) for i in (1, 2))


def _literal_area(points) -> float:
    area, x, y = 0.0, 0.0, 0.0
    for (_, _), (x_next, y_next) in pairwise(points):
        x_next, y_next = max(x, x_next), max(y, y_next)
        if x_next > 1:
            share = (1 - x) / (x_next - x)
            return area + (1 - x) * (y + y + share * (y_next - y)) / 2
        area += (x_next - x) * (y + y_next) / 2
        x, y = x_next, y_next
    return area + (1 - x) * y


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("beta", "alpha"), [(0.1, 0.1), (0.3, 0.6)])
def test_agrees_with_the_definitions_taken_literally(seed, beta, alpha):
    rng = np.random.default_rng(seed)
    tracks, maps = [], []
    for index in range(6):
        track = np.zeros((14, 16), dtype=np.int32)
        track[2:6, 1 + index : 5 + index] = 1
        if index > 2:
            track[9:12, 10:13] = 2
        coarse = rng.normal(size=(7, 8)).repeat(2, axis=0).repeat(2, axis=1)
        tracks.append(track if index != 4 else np.zeros_like(track))
        maps.append(1.5 * coarse + rng.normal(size=track.shape) / 5 + 2 * (tracks[-1] > 0))
    result = _measured(maps, tracks, steps=3, region_iou=beta, track_overlap=alpha)
    rbdc, tbdc = _literal(maps, tracks, thresholds(3), beta, alpha)
    assert result["rbdc"] == pytest.approx(rbdc) and result["tbdc"] == pytest.approx(tbdc)
    assert 0 < result["rbdc"] < 1


# --- hand-made cases


def test_a_perfect_map_is_perfect():
    truth = [_frame((2, 5, 2, 5)), _frame()]
    assert _measured([_map((2, 5, 2, 5)), _map()], truth) == {"rbdc": 1.0, "tbdc": 1.0}


def test_nothing_is_found_in_the_wrong_place():
    assert _measured([_map((7, 9, 7, 9))], [_frame((2, 5, 2, 5))]) == {"rbdc": 0.0, "tbdc": 0.0}


def test_all_normal_has_no_region_metrics():
    assert _measured([_map((2, 5, 2, 5))], [_frame()]) == {"rbdc": None, "tbdc": None}
    assert region_metrics(None) == {"rbdc": None, "tbdc": None}


def test_all_abnormal_everywhere_is_one_region():
    assert _measured([np.full((4, 5), HIGH)], [np.ones((4, 5), dtype=int)]) == {"rbdc": 1.0, "tbdc": 1.0}


def test_a_constant_map_is_one_false_positive_a_frame():
    # one region as large as the picture, which overlaps the small truth by less than 0.1
    assert _measured([np.zeros((10, 12))], [_frame((2, 4, 2, 4))])["rbdc"] == 0.0


def test_false_positives_count_by_the_frame():
    truth = [_frame((2, 5, 2, 5))] + [_frame()] * 3
    noisy = [np.maximum(_map((2, 5, 2, 5)), 2 * _map((8, 9, 8, 9)))] + [_map()] * 3
    # above 4 only the false region (1/4 a frame, nothing found), from 4 on both: the area from 1/4 on
    assert _measured(noisy, truth)["rbdc"] == pytest.approx(0.75)


def test_a_track_is_found_when_a_tenth_of_it_is():
    truth = [_frame((2, 5, 2, 5))] * 20
    for found, tbdc in ((1, 0.0), (2, 1.0)):
        maps = [_map((2, 5, 2, 5))] * found + [_map()] * (20 - found)
        assert _measured(maps, truth) == {"rbdc": pytest.approx(found / 20), "tbdc": tbdc}


def test_one_detected_region_may_cover_two_tracks():
    truth = _frame((2, 5, 2, 5)) + 2 * _frame((2, 5, 6, 9))
    assert _measured([_map((2, 5, 2, 9))], [truth]) == {"rbdc": 1.0, "tbdc": 1.0}


def test_corners_touch():
    assert _measured([_map((2, 4, 2, 4), (4, 6, 4, 6))], [_frame((2, 4, 2, 4), (4, 6, 4, 6))])["rbdc"] == 1.0


@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_the_scale_of_the_scores_hardly_matters(scale):
    rng = np.random.default_rng(0)
    truth = [_frame((2, 5, 2, 5)), _frame((3, 6, 2, 5)), _frame()] * 4
    maps = [np.exp(rng.normal(size=(10, 12)) + 2 * (t > 0)) for t in truth]
    one, other = (_measured([s * m for m in maps], truth, steps=8)["rbdc"] for s in (1.0, scale))
    assert one == pytest.approx(other, abs=0.03)


def test_counts_of_videos_add_up_in_any_order():
    rng = np.random.default_rng(1)
    truth = [_frame((2, 5, 2, 5)), _frame((3, 6, 3, 6))]
    counts = []
    for _ in range(3):
        metrics = RegionMetrics()
        for track in truth:
            metrics.update(rng.normal(size=track.shape) + 2 * track, track)
        counts.append(pickle.loads(pickle.dumps(metrics.counts())))
    forward = region_metrics(counts[0] + counts[1] + counts[2])
    assert forward == region_metrics(counts[2] + counts[0] + counts[1])
    assert (counts[0] + counts[1]).tracks == 2 and (counts[0] + counts[1]).frames == 4


def test_bad_maps_name_the_video():
    with pytest.raises(InputError, match="Test007.*NaN"):
        RegionMetrics().update(np.full((2, 2), np.nan), np.zeros((2, 2)), video="Test007")
    with pytest.raises(InputError, match="Test007"):
        RegionMetrics().update(np.zeros((2, 3)), np.zeros((2, 2)), video="Test007")


@pytest.mark.parametrize(
    ("false_positives", "rate", "area"),
    [
        ([0.0, 2.0], [0.5, 1.0], 0.625),  # half-way at one a frame: 0.5 to 0.75
        ([0.0, 0.5], [1.0, 1.0], 1.0),
        ([0.5, 0.5], [0.0, 1.0], 0.5),
        ([3.0, 0.2], [0.3, 1.0], 0.05),  # beyond one a frame nothing counts, though false positives fall again
        ([0.0, 0.5], [0.8, 0.2], 0.8),  # a rate that falls is not taken back
    ],
)
def test_area_up_to_one_false_positive_a_frame(false_positives, rate, area):
    assert area_up_to_one(np.array(false_positives), np.array(rate)) == pytest.approx(area)


# --- tracks


def test_what_overlaps_from_frame_to_frame_is_one_track():
    masks = [_frame((2, 5, c, c + 4), value=True, empty=False) for c in (0, 2, 4)] + [_frame(value=True, empty=False)]
    masks.append(masks[2])
    tracks = list(tracks_from_masks(masks))
    assert [sorted(np.unique(t).tolist()) for t in tracks] == [[0, 1], [0, 1], [0, 1], [0], [0, 2]]
    assert all(((t > 0) == m).all() for t, m in zip(tracks, masks, strict=True))
    assert tracks[0].dtype == np.int32


def test_two_things_are_two_tracks_and_parts_of_one_are_one():
    apart = _frame((0, 3, 0, 3), (0, 3, 6, 12), value=True, empty=False)
    split = _frame((0, 3, 0, 3), (0, 3, 6, 8), (0, 3, 9, 12), value=True, empty=False)
    together = _frame((0, 3, 0, 12), value=True, empty=False)
    tracks = list(tracks_from_masks([apart, split, together]))
    assert tracks[0][0, 0] != tracks[0][0, 6]
    assert tracks[1][0, 6] == tracks[1][0, 11] == tracks[0][0, 6]
    assert np.unique(tracks[2]).tolist() == [0, tracks[0][0, 6]]  # the larger one's number


def test_tracks_are_made_one_frame_at_a_time():
    def endless():
        while True:
            yield _frame((2, 5, 2, 5), value=True, empty=False)

    tracks = tracks_from_masks(endless())
    assert next(tracks).max() == next(tracks).max() == 1
