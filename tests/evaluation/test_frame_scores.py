import numpy as np
import pytest

from lavida.evaluation.protocols import Protocol


def _scores(scores, sampled, frames, *, logits=False, **choices):
    protocol = Protocol(name="p", **choices)
    return protocol.frame_scores(np.array(scores, dtype=np.float64), np.array(sampled), frames=frames, logits=logits)


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


def test_a_detectors_logits_stay_or_become_probabilities():
    logits = [-800.0, 0.0, np.log(4), 800.0]
    assert _scores(logits, range(4), 4, logits=True, scale="logit") == pytest.approx(logits)
    assert _scores(logits, range(4), 4, logits=True, scale="probability") == pytest.approx([0, 0.5, 0.8, 1])


def test_logits_tell_sure_frames_apart():
    """The probabilities of both are 1 in single precision, of which the logit would be 16.6."""
    assert _scores([18.0, 25.0], range(2), 2, logits=True, scale="logit").tolist() == [18, 25]


@pytest.mark.parametrize(("scale", "between"), [("probability", (0.5 + 0.8) / 2), ("logit", np.log(4) / 2)])
def test_frames_between_are_filled_on_the_scale_that_was_chosen(scale, between):
    found = _scores([0.0, np.log(4)], [0, 2], 3, logits=True, scale=scale)
    assert found[1] == pytest.approx(between)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_a_baseline_keeps_its_scores(scale):
    levels = [3.0, 200.0]
    assert _scores(levels, range(2), 2, scale=scale).tolist() == levels


@pytest.mark.parametrize("sigma", [0.4, 2.0, 15.0])
def test_smoothing_is_a_gaussian_of_which_the_ends_go_on_outside(sigma):
    scores = np.random.default_rng(0).random(50)
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    by_hand = np.convolve(np.pad(scores, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
    assert _scores(scores, range(50), 50, smoothing=sigma) == pytest.approx(by_hand, abs=1e-6)


def test_normalisation_is_within_the_video_and_leaves_constant_scores_constant():
    assert _scores([0.2, 0.4, 0.3], range(3), 3, normalisation="min-max") == pytest.approx([0, 1, 0.5])
    assert _scores([0.7, 0.7], range(2), 2, normalisation="min-max").tolist() == [0, 0]
