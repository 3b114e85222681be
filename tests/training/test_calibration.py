from types import SimpleNamespace

import numpy as np
import pytest
from tiny import tiny_lavida

from lavida.answer import Calibration
from lavida.evaluation.held_out import QueryAnswer, reliability_curve
from lavida.training import saving
from lavida.training.saving import calibrate, fit


def answer(logit: float, positive: bool, calibrates: bool = True) -> QueryAnswer:
    return QueryAnswer(positive=positive, logit=logit, iou=None, named=None, calibrates=calibrates)


def answers(temperature: float, bias: float, *, times: int = 1, spread: float = 4.0) -> list[QueryAnswer]:
    """Logits whose share of positives is sigmoid((logit - bias) / temperature)."""
    made = []
    for z in np.linspace(-spread, spread, 41):
        share = 1 / (1 + np.exp(-z))
        positives = round(200 * share)
        logit = float(bias + temperature * z)
        made += [answer(logit, True)] * positives + [answer(logit, False)] * (200 - positives)
    return made * times


def test_it_finds_the_temperature_and_bias_that_made_the_answers():
    temperature, bias = fit([answers(2.5, -1.5)])
    assert temperature == pytest.approx(2.5, rel=0.02) and bias == pytest.approx(-1.5, abs=0.03)


def test_every_set_weighs_the_same_whatever_its_size():
    one, other = answers(1.0, 0.0), answers(3.0, 2.0)
    assert fit([one, other]) == pytest.approx(fit([one, other * 5]), rel=1e-3)
    assert fit([one, other]) != pytest.approx(fit([one]), rel=0.1)


def test_positives_and_negatives_weigh_the_same():
    balanced = answers(1.5, 1.0)
    more_negatives = balanced + [each for each in balanced if not each.positive] * 4
    assert fit([more_negatives]) == pytest.approx(fit([balanced]), rel=1e-3)


def test_the_measuring_half_is_not_learnt_from():
    lies = [answer(-logit, logit > 0, calibrates=False) for logit in np.linspace(-9, 9, 400)]
    assert fit([answers(2.0, 0.5) + lies]) == pytest.approx(fit([answers(2.0, 0.5)]), rel=1e-6)


def test_a_calibrated_detector_says_the_share_of_positives(monkeypatch):
    detector = SimpleNamespace(model=tiny_lavida(calibration_temperature=7.0))
    monkeypatch.setattr(saving, "exposure_answers", lambda *_, **__: iter([("a", answers(2.0, -3.0))]))
    calibrate(detector, "anywhere")
    config = detector.model.config
    fitted = Calibration(config.calibration_temperature, config.calibration_bias)
    assert fitted.logits(np.array([-3.0, -1.0, -5.0])) == pytest.approx([0.0, 1.0, -1.0], abs=0.05)


def test_reliability_by_hand():
    probabilities = np.array([0.02, 0.08, 0.55, 0.55, 0.55, 0.51, 1.0, 0.95])
    positive = np.array([False, False, True, True, True, False, True, False])
    curve = reliability_curve(probabilities, positive)
    assert curve["prompts"] == [2, 4, 2]  # bins 0, 5 and 9; a score of 1 belongs to the last
    assert curve["score"] == pytest.approx([0.05, 0.54, 0.975])
    assert curve["positive_share"] == pytest.approx([0.0, 0.75, 0.5])
    expected = (2 * 0.05 + 4 * 0.21 + 2 * 0.475) / 8
    assert curve["expected_calibration_error"] == pytest.approx(expected)


def test_scores_that_are_right_have_no_calibration_error():
    probabilities = np.repeat([0.25, 0.75], 100)
    positive = np.concatenate([np.arange(100) < 25, np.arange(100) < 75])
    assert reliability_curve(probabilities, positive)["expected_calibration_error"] == pytest.approx(0)


def test_a_model_that_ranks_worse_than_chance_keeps_its_logits():
    flipped = [answer(-each.logit, each.positive) for each in answers(2.0, 0.5)]
    assert fit([flipped]) == (1.0, 0.0)
