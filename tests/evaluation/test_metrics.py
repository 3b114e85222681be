import pickle

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from lavida.errors import InputError
from lavida.evaluation.metrics import FrameMetrics, PixelMetrics


def _pixel(scores, labels, **settings) -> dict:
    metrics = PixelMetrics(**settings)
    metrics.update(scores, labels)
    return metrics.compute()


def test_micro_auc_and_ap_rank_all_frames_in_one_list():
    rng = np.random.default_rng(0)
    metrics, scores, labels = FrameMetrics(), [], []
    for video in "abc":
        label = rng.integers(0, 2, 40)
        score = rng.normal(size=40).round(1) + label  # rounded: ties
        metrics.update(video, score, label)
        scores.append(score)
        labels.append(label)
    result = metrics.compute()
    assert result["frame_auc_micro"] == pytest.approx(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))
    assert result["frame_ap"] == pytest.approx(average_precision_score(np.concatenate(labels), np.concatenate(scores)))


def test_macro_auc_counts_a_video_of_one_class_by_padding():
    metrics = FrameMetrics()
    metrics.update("separated", [0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1])
    metrics.update("all abnormal", [5.0, 6.0, 7.0], [1, 1, 1])
    # The second gets a normal frame at 5, which ties with one of its four abnormal ones (5, 6, 7 and 7).
    assert metrics.compute()["frame_auc_macro"] == pytest.approx((1.0 + 3.5 / 4) / 2)


def test_macro_auc_does_not_depend_on_the_scale_of_a_video():
    metrics = FrameMetrics()
    metrics.update("small", [0.0, 0.1], [0, 1])
    metrics.update("large", [100.0, 200.0], [0, 1])
    result = metrics.compute()
    assert result["frame_auc_macro"] == 1.0
    assert result["frame_auc_micro"] == 0.75


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_overall_has_no_frame_metrics(label):
    metrics = FrameMetrics()
    metrics.update("v", [0.1, 0.9], [label, label])
    assert set(metrics.compute().values()) == {None}


def test_constant_frame_scores_are_chance():
    metrics = FrameMetrics()
    metrics.update("v", [0.5] * 4, [0, 1, 1, 1])
    assert metrics.compute() == {"frame_auc_micro": 0.5, "frame_auc_macro": 0.5, "frame_ap": 0.75}


def _trapezoid(labels, scores) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    return auc(recall, precision)


def test_ap_by_the_trapezoid_rule():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    scores = (rng.normal(size=60) + labels).round(1)
    metrics = FrameMetrics(average_precision="trapezoid")
    metrics.update("v", scores, labels)
    assert metrics.compute()["frame_ap"] == pytest.approx(_trapezoid(labels, scores))
    assert metrics.compute()["frame_ap"] != pytest.approx(average_precision_score(labels, scores), abs=1e-4)


def test_a_point_at_zero_and_one_at_one_among_logits_changes_the_list_of_all_frames():
    scores, labels = [-3.0, -2.0, 4.0, 2.0], [0, 1, 1, 0]
    padded = FrameMetrics(auc_padding="zero-one")
    padded.update("v", scores, labels)
    expected = roc_auc_score([*labels, 0, 1], [*scores, 0, 1])
    assert padded.compute()["frame_auc_micro"] == pytest.approx(expected) == 6 / 9
    assert padded.compute()["frame_ap"] == pytest.approx(average_precision_score([*labels, 0, 1], [*scores, 0, 1]))


@pytest.mark.parametrize(
    ("padding", "expected"),
    # the first video alone has an AUC of 1; the second has abnormal frames of 5 and 6 only
    [("extremes", (1 + 2.5 / 3) / 2), ("none", 1.0), ("zero-one", (8.5 / 9 + 1) / 2)],
)
def test_padding_of_each_video(padding, expected):
    metrics = FrameMetrics(macro_padding=padding)
    metrics.update("separated", [0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1])
    metrics.update("all abnormal", [5.0, 6.0], [1, 1])
    assert metrics.compute()["frame_auc_macro"] == pytest.approx(expected)


@pytest.mark.parametrize("label", [0, 1])
def test_without_padding_a_video_of_one_class_does_not_count(label):
    metrics = FrameMetrics(macro_padding="none")
    metrics.update("one class", [1.0, 2.0], [label] * 2)
    metrics.update("other class", [1.0, 2.0], [1 - label] * 2)
    assert metrics.compute()["frame_auc_macro"] is None and metrics.compute()["frame_auc_micro"] == 0.5


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ([0.1, float("nan")], [0, 1]),
        ([0.1, float("inf")], [0, 1]),
        ([0.1], [0, 1]),
        ([], []),
        ([0.1, 0.2], [0, 2]),
    ],
)
def test_bad_frame_input_names_the_video(scores, labels):
    with pytest.raises(InputError, match="Test007"):
        FrameMetrics().update("Test007", scores, labels)


def _many_maps() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(3)
    labels = rng.random((6, 40, 60)) < 0.05
    noise = rng.normal(size=labels.shape)
    return {
        "logits": (5 * noise - 4 + 6 * labels, labels),
        "large logits": (300 * noise + 200 * labels, labels),
        "tiny differences near zero": (1e-4 * (noise + labels), labels),
        "gray levels": (np.abs(20 * noise) + 15 * labels, labels),
        "ties": ((noise + labels).round(), labels),
        "beyond the bins": (np.where(labels, 1e6, -1e6) * (noise > -1), labels),
        "inverted": (-noise - 3 * labels, labels),
    }


@pytest.mark.parametrize("case", _many_maps())
def test_binned_pixel_metrics_agree_with_exact_ones(case):
    scores, labels = _many_maps()[case]
    result = _pixel(scores, labels)
    assert result["pixel_auc"] == pytest.approx(roc_auc_score(labels.ravel(), scores.ravel()), abs=1e-4)
    assert result["pixel_ap"] == pytest.approx(average_precision_score(labels.ravel(), scores.ravel()), abs=1e-4)


def test_half_precision_logits_are_measured_exactly():
    scores, labels = _many_maps()["logits"]
    half = scores.astype(np.float16)
    result = _pixel(half, labels)
    assert result["pixel_auc"] == pytest.approx(roc_auc_score(labels.ravel(), half.ravel()), abs=1e-12)
    assert result["pixel_ap"] == pytest.approx(average_precision_score(labels.ravel(), half.ravel()), abs=1e-12)


def test_pixel_metrics_do_not_depend_on_how_maps_arrive():
    scores, labels = _many_maps()["logits"]
    one_by_one = PixelMetrics()
    for score_map, label in zip(scores, labels, strict=True):
        one_by_one.update(score_map, label)
    assert one_by_one.compute() == _pixel(scores, labels)


@pytest.mark.parametrize("case", ["logits", "ties", "inverted"])
def test_pixel_ap_by_the_trapezoid_rule(case):
    scores, labels = _many_maps()[case]
    half = scores.astype(np.float16)
    result = _pixel(half, labels, average_precision="trapezoid")
    assert result["pixel_ap"] == pytest.approx(_trapezoid(labels.ravel(), half.ravel()), abs=1e-12)


def test_counts_of_videos_add_up_in_any_order_and_are_small():
    scores, labels = _many_maps()["logits"]
    counts = []
    for score_map, label in zip(scores.astype(np.float16), labels, strict=True):
        metrics = PixelMetrics()
        metrics.update(score_map, label)
        counts.append(pickle.loads(pickle.dumps(metrics.counts())))
    merged = PixelMetrics()
    for count in counts[::-1]:
        merged.merge(count)
    assert merged.compute() == _pixel(scores.astype(np.float16), labels)
    assert all(len(count.bins) <= labels[0].size for count in counts)


def test_constant_map_is_chance():
    labels = np.arange(20).reshape(4, 5) < 5
    assert _pixel(np.zeros((4, 5)), labels) == {"pixel_auc": 0.5, "pixel_ap": 0.25}


def test_minus_zero_ties_with_zero():
    assert _pixel(np.array([[-0.0, 0.0]]), np.array([[False, True]]))["pixel_auc"] == 0.5


def test_infinite_logits_are_extremes():
    assert _pixel(np.array([[-np.inf, 0.0, np.inf]]), np.array([[False, False, True]]))["pixel_auc"] == 1.0


@pytest.mark.parametrize("label", [False, True])
def test_one_class_overall_has_no_pixel_metrics(label):
    assert _pixel(np.ones((2, 2)), np.full((2, 2), label)) == {"pixel_auc": None, "pixel_ap": None}


def test_bad_pixel_maps_name_the_video():
    with pytest.raises(InputError, match="Test007.*NaN"):
        PixelMetrics().update(np.array([[np.nan, 1.0]]), np.array([[True, False]]), video="Test007")
    with pytest.raises(InputError, match="Test007"):
        PixelMetrics().update(np.zeros((2, 2)), np.zeros((2, 3), dtype=bool), video="Test007")
