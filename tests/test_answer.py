"""What is made of the logits of a network, whichever runs it."""

import numpy as np
import pytest
import torch
from tiny import CATEGORIES, clips, tiny_lavida

from lavida.answer import Answer, Calibration, sigmoid
from lavida.torch_backend import TorchBackend

ALIGNMENT = ("alignment", "classifier_evidence", "residual_evidence")
EVEN = Calibration(temperature=2.0, bias=-3.0)


def answer(frame_logits: list[float], category_logits: list[list[float]] | None, *, count: int = 3) -> Answer:
    frames = np.array(frame_logits, np.float32)
    categories = None if category_logits is None else np.array(category_logits, np.float32)
    maps = np.zeros((len(frames), 2, 2), np.float32)
    rest = {"pixel_logits": maps, "pixel_maps": lambda: maps, "strongest": None, "clean_masks": False}
    return Answer.of(frames, categories, EVEN, count=count, **rest)


def test_calibration_moves_the_point_of_even_odds():
    assert EVEN.logits(np.array([-3.0, -1.0, -5.0])).tolist() == [0.0, 1.0, -1.0]
    assert EVEN.probabilities(np.array([-3.0])) == [0.5] and EVEN.probabilities(np.array([0])).dtype == np.float32


def test_the_strongest_category_has_the_score_of_its_frame_and_others_as_much_less_as_they_are():
    found = answer([-3.0, 1.0], [[5.0, 3.0, -1.0], [0.0, 2.0, 2.0]])
    assert found.frame_logits.tolist() == [0.0, 2.0]
    np.testing.assert_allclose(found.category_scores, sigmoid(np.array([[0.0, -1, -3], [1, 2, 2]])), rtol=1e-6)
    assert np.array_equal(found.scores, found.category_scores.max(-1))


def test_where_categories_are_not_told_apart_each_has_the_score_of_its_frame():
    found = answer([-3.0, 1.0], None)
    assert np.array_equal(found.category_scores, np.repeat(found.scores[:, None], 3, 1))


def test_sigmoid_has_no_overflow():
    with np.errstate(all="raise"):
        found = sigmoid(np.array([-80, -1, 0, 1, 80], np.float32))
    np.testing.assert_allclose(found, torch.tensor([-80.0, -1, 0, 1, 80]).sigmoid().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "settings", [{}, {"alignment": False, "classifier_evidence": False, "residual_evidence": False}]
)
def test_a_calibration_that_comes_later_is_seen_by_a_prepared_model(settings):
    model, frames = tiny_lavida(**settings), clips(1, 2)[0].numpy()
    backend = TorchBackend(model, torch.device("cpu"))
    backend.prepare()
    before = backend.answer(frames, CATEGORIES[:3])
    model.config.calibration_bias = 2.0
    after = backend.answer(frames, CATEGORIES[:3])
    np.testing.assert_allclose(after.frame_logits, before.frame_logits - 2, atol=1e-5)
    assert after.category_scores.shape == (2, 3)
    assert np.array_equal(after.category_scores.max(-1), after.scores)
