import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lavida.evaluation.frame_scores import frame_scores, smoothed
from lavida.evaluation.protocols import Protocol


def _scores(scores, sampled, frames, *, probabilities=True, **choices):
    protocol = Protocol(name="p", **choices)
    return frame_scores(
        np.array(scores, dtype=np.float64),
        np.array(sampled),
        frames=frames,
        probabilities=probabilities,
        protocol=protocol,
    )


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("linear", [0, 0.25, 0.5, 0.75, 1.0, 0.6, 0.2, 0.2]),
        ("nearest", [0, 0, 0, 1.0, 1.0, 1.0, 0.2, 0.2]),  # frame 2 is half-way: the earlier one
        ("hold", [0, 0, 0, 0, 1.0, 1.0, 0.2, 0.2]),
    ],
)
def test_frames_between_are_filled(fill, expected):
    assert _scores([0, 1, 0.2], [0, 4, 6], 8, fill=fill) == pytest.approx(expected)


@pytest.mark.parametrize("fill", ["linear", "nearest", "hold"])
def test_frames_before_the_first_readable_one_take_its_score(fill):
    assert _scores([0.3, 0.5], [2, 3], 4, fill=fill) == pytest.approx([0.3, 0.3, 0.3, 0.5])


def test_logits_are_those_of_probabilities_and_finite():
    logits = _scores([0.0, 0.5, 0.8, 1.0], range(4), 4, scale="logit")
    assert logits[1:3] == pytest.approx([0, np.log(4)]) and np.isfinite(logits).all()
    assert logits[0] == -logits[3] and logits[3] > 16


def test_a_baseline_has_no_logits():
    levels = [3.0, 200.0]
    assert _scores(levels, range(2), 2, probabilities=False, scale="logit").tolist() == levels


@pytest.mark.parametrize("sigma", [0.4, 2.0, 15.0])
def test_smoothing_agrees_with_scipy(sigma):
    scores = np.random.default_rng(0).random(50)
    assert smoothed(scores, sigma=sigma) == pytest.approx(gaussian_filter1d(scores, sigma, mode="nearest"), abs=1e-12)
    assert _scores(scores, range(50), 50, smoothing=sigma) == pytest.approx(smoothed(scores, sigma=sigma), abs=1e-6)


def test_normalisation_is_within_the_video_and_leaves_constant_scores_constant():
    assert _scores([0.2, 0.4, 0.3], range(3), 3, normalisation="min-max") == pytest.approx([0, 1, 0.5])
    assert _scores([0.7, 0.7], range(2), 2, normalisation="min-max").tolist() == [0, 0]
