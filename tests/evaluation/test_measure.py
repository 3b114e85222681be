import pickle
from functools import partial
from itertools import islice

import numpy as np
import pytest

from evaluation.toy_benchmark import Given, Guesser, Toy
from lavida.errors import InputError
from lavida.evaluation.benchmarks import Interval, IntervalRule
from lavida.evaluation.measure import measure_video, start_measuring
from lavida.evaluation.metrics import PixelMetrics
from lavida.evaluation.protocols import LAVIDA_UPSTREAM, STANDARD, Protocol
from lavida.evaluation.regions import region_metrics
from lavida.evaluation.scorers import random_templates

LABELS = [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
SCORES = [0.1, 0.2, 0.9, 0.8, 0.7, 0.3, 0.2, 0.1, 0.0, 0.05]


def _measure(scores=SCORES, labels=LABELS, *, scorer=Given, benchmark=None, protocol=None, **choices):
    benchmark = benchmark or Toy({"v": list(labels)})
    protocol = protocol or Protocol(name="p", **choices)
    return measure_video(benchmark, benchmark.videos[0], scorer({"v": list(scores)}), protocol)


def test_every_frame_gets_its_score_and_label():
    measure = _measure()
    assert measure.scores == pytest.approx(SCORES) and measure.scores.dtype == np.float32
    assert measure.labels.tolist() == LABELS and measure.labels.dtype == np.uint8
    assert (measure.read, measure.analysed, measure.pixel_frames) == (10, 10, 10)
    assert measure.scorer.kind == "baseline" and measure.skipped is None
    assert len(measure.latencies) == 10 and (measure.latencies >= 0).all()


def test_pixels_and_regions_are_counted():
    measure = _measure(protocol=STANDARD.on("toy"))
    pixels = PixelMetrics()
    pixels.merge(measure.pixels)
    maps = np.repeat([[s] * 3 + [0.0] * 3 for s in np.float16(SCORES)], 4, axis=0)
    exact = PixelMetrics()
    exact.update(maps, np.repeat([[bool(y)] * 3 + [False] * 3 for y in LABELS], 4, axis=0))
    assert pixels.compute() == pytest.approx(exact.compute())
    assert region_metrics(measure.regions)["tbdc"] == 1.0 and measure.regions.tracks == 1


def test_a_benchmark_without_masks_has_no_counts():
    measure = _measure(benchmark=Toy({"v": LABELS}, has_pixel_labels=False))
    assert measure.pixels is None and measure.regions is None and measure.pixel_frames == 0


# --- the choices of a protocol


@pytest.mark.parametrize("scorer", [Given, Guesser])
def test_stride_and_fill_hold_for_baselines_and_detectors_alike(scorer):
    measure = _measure(scorer=scorer, stride=4, fill="hold", scale="logit")
    assert measure.scores == pytest.approx([0.1] * 4 + [0.7] * 4 + [0.0, 0.05])
    assert (measure.analysed, measure.pixel_frames) == (4, 4)  # 0, 4, 8 and the last


@pytest.mark.parametrize("scorer", [Given, Guesser])
def test_a_dropped_tail_counts_nowhere(scorer):
    measure = _measure(scorer=scorer, stride=2, clip_length=4, tails="dropped", fill="hold", scale="logit")
    assert len(measure.scores) == len(measure.labels) == 8 and measure.read == 10
    assert (measure.analysed, measure.pixel_frames) == (4, 4)
    assert measure.scores == pytest.approx([0.1, 0.1, 0.9, 0.9, 0.7, 0.7, 0.2, 0.2])


def test_the_last_frame_is_no_stop_of_its_own_when_tails_are_dropped():
    measure = _measure(stride=3, clip_length=1, tails="dropped", fill="hold", scores=SCORES[:9], labels=LABELS[:9])
    assert measure.analysed == 3 and measure.scores[8] == pytest.approx(0.2)


def test_short_videos_are_skipped_with_the_reason():
    measure = _measure(stride=2, clip_length=8, short_videos="skipped")
    assert "10 frames" in measure.skipped and "8 x 2" in measure.skipped and not len(measure.scores)
    assert _measure(stride=2, clip_length=8, short_videos="kept").skipped is None


def test_normal_videos_are_skipped_where_only_abnormal_ones_count():
    assert _measure(labels=[0] * 10, videos="abnormal").skipped == "it is normal"
    assert _measure(labels=[0] * 10).skipped is None
    assert _measure(videos="abnormal").skipped is None


@pytest.mark.parametrize(("scale", "expected"), [("probability", [0.5, 0.8]), ("logit", [0, np.log(4)])])
def test_a_detectors_scores_are_probabilities_or_logits(scale, expected):
    measure = _measure([0, np.log(4)], [0, 1], scorer=Guesser, scale=scale)
    assert measure.scores == pytest.approx(expected)


def test_scores_are_smoothed_and_normalised():
    assert _measure(smoothing=2.0).scores.max() < 0.8
    assert _measure(normalisation="min-max").scores.max() == 1


def test_the_size_of_maps():
    def pixels(**choices):
        return int(_measure(**choices).pixels.counts.sum())

    assert pixels(pixel_size=None) == 10 * 4 * 6
    assert pixels(pixel_size=(5, 7)) == 10 * 5 * 7


def test_how_maps_are_resized():
    nearest, bilinear = (_measure(pixel_size=(8, 12), pixel_resize=how).pixels for how in ("nearest", "bilinear"))
    assert len(bilinear.bins) > len(nearest.bins)  # values between those of the map


def test_maps_of_frames_without_an_object_are_floored_where_the_protocol_says_so(tmp_path):
    """A detector's alone: the scores of a baseline are no logits."""

    def saved(scorer, how: str) -> list[float]:
        toy, protocol = Toy({"v": [1, 1, 0]}), Protocol(name="p", quiet_maps=how)
        measure_video(toy, toy.videos[0], scorer({"v": [-1, 0, 2]}), protocol, maps_to=tmp_path)
        return np.load(tmp_path / "v.npy").max((1, 2)).tolist()

    assert saved(Guesser, "kept") == [-1, 0, 2]
    assert saved(Guesser, "floored") == [-1024, -1024, 2]
    assert saved(Given, "floored") == saved(Given, "kept") == [0, 0, 2]


@pytest.mark.parametrize(("iou", "overlap", "rbdc", "tbdc"), [(0.1, 0.1, 1, 1), (0.6, 0.1, 0, 0)])
def test_what_a_detected_region_is(iou, overlap, rbdc, tbdc):
    class Wide(Given):
        def score(self, source):
            return (f._replace(pixel_map=np.full((4, 6), f.score, np.float32)) for f in super().score(source))

    found = _measure(scorer=Wide, region_iou=iou, track_overlap=overlap)
    assert region_metrics(found.regions) == {"rbdc": pytest.approx(rbdc), "tbdc": pytest.approx(tbdc)}


def test_more_thresholds_cut_out_more_regions():
    assert len(_measure(region_steps=8).regions.false_positives) > len(_measure().regions.false_positives)


@pytest.mark.parametrize(
    ("choices", "abnormal"),
    [
        ({}, [2, 3]),  # the benchmark's own rule: from 1, the end included
        ({"interval_start": "zero"}, [3, 4]),
        ({"interval_ends": "exclusive"}, [2]),
        ({"interval_start": "zero", "interval_ends": "exclusive"}, [3]),
    ],
)
def test_intervals_are_read_as_the_protocol_says(choices, abnormal):
    rule = IntervalRule(first_number=1, end_inclusive=True)
    benchmark = Toy({"v": LABELS}, has_pixel_labels=False, interval_rule=rule, stretches={"v": [Interval(3, 4)]})
    assert np.flatnonzero(_measure(benchmark=benchmark, **choices).labels).tolist() == abnormal


def test_intervals_cannot_be_changed_where_there_are_none():
    with pytest.raises(InputError, match="toy is labelled frame by frame.*interval_ends"):
        _measure(interval_ends="exclusive")


def test_random_prompts_reach_the_detector_and_are_the_same_in_every_run():
    detector = Guesser({"v": SCORES})
    for protocol in (STANDARD, LAVIDA_UPSTREAM):
        measure_video(Toy({"v": LABELS}), Toy({"v": LABELS}).videos[0], detector, protocol.on("toy"))
    paper, upstream = detector.asked
    assert paper.templates is None
    assert list(islice(upstream.templates, 20)) == list(islice(random_templates("v"), 20))
    assert len(set(islice(random_templates("v"), 50))) > 3


# --- what does not fit


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("scorer", [Given, Guesser])
def test_a_score_that_is_no_number_names_video_and_frame(wrong, scorer):
    with pytest.raises(InputError, match="v: the score of frame 3 is"):
        _measure([*SCORES[:3], wrong, *SCORES[4:]], scorer=scorer)


def test_nan_in_a_map_names_the_video():
    class Holed(Given):
        def score(self, source):
            return (f._replace(pixel_map=np.full((4, 6), np.nan)) for f in super().score(source))

    with pytest.raises(InputError, match="v: NaN in the score map"):
        _measure(scorer=Holed)


@pytest.mark.parametrize("frames", [9, 11])
def test_another_number_of_frames_names_the_video(frames):
    with pytest.raises(InputError, match=f"v: {frames} scores for 10 labels"):
        _measure((SCORES * 2)[:frames])


def _announced(frames, **options):
    rule = IntervalRule(first_number=0, end_inclusive=True)
    return Toy(
        {"v": [0] * frames},
        has_pixel_labels=False,
        interval_rule=rule,
        stretches={"v": [Interval(3, frames)]},
        **options,
    )


@pytest.mark.parametrize("read", [8, 12])
def test_a_header_that_is_a_little_wrong_is_corrected_where_intervals_label_any_length(read):
    measure = _measure((SCORES * 2)[:read], benchmark=_announced(10))
    assert measure.read == len(measure.scores) == read
    assert np.flatnonzero(measure.labels).tolist() == list(range(3, min(read, 11)))


def test_a_header_that_is_far_off_is_a_damaged_video():
    with pytest.raises(InputError, match="v: 10 scores for 100 labels"):
        _measure(SCORES, benchmark=_announced(100))


# --- in other processes


def test_work_and_result_can_be_sent():
    toy = Toy({"v": LABELS})
    start = partial(start_measuring, toy, partial(Given, {"v": SCORES}), STANDARD.on("toy"))
    measure = pickle.loads(pickle.dumps(start))()
    sent = pickle.loads(pickle.dumps(measure(toy.videos[0])))
    assert np.array_equal(sent.scores, _measure().scores)
    assert len(pickle.dumps(sent)) < 20_000


def test_saved_maps_are_what_was_measured(tmp_path):
    toy = Toy({"v": LABELS})
    protocol = Protocol(name="p", stride=4, pixel_size=(5, 7))
    measure_video(toy, toy.videos[0], Given({"v": SCORES}), protocol, maps_to=tmp_path / "maps")
    maps, masks = np.load(tmp_path / "maps" / "v.npy"), np.load(tmp_path / "maps" / "v.mask.npy")
    assert maps.dtype == np.float16 and maps.shape == masks.shape == (4, 5, 7) and masks.dtype == bool
    assert maps[:, 0, 0] == pytest.approx([0.1, 0.7, 0.0, 0.05], abs=1e-3)
    assert masks.any(axis=(1, 2)).tolist() == [False, True, False, False]


def test_maps_are_not_held():
    class Long(Given):
        alive = most = 0

        def score(self, source):
            import weakref

            for frame in super().score(source):
                self.alive += 1
                self.most = max(self.most, self.alive)
                weakref.finalize(frame.pixel_map, self._died)
                yield frame
                del frame

        def _died(self):
            self.alive -= 1

    scorer = Long({"v": SCORES * 20})
    measure_video(Toy({"v": LABELS * 20}), Toy({"v": LABELS * 20}).videos[0], scorer, STANDARD.on("toy"))
    assert scorer.most <= 4 and scorer.alive <= 1
