"""A predictor gives the answers of the one it was made from, and leaves that one alone."""

from dataclasses import fields

import pytest
import torch
from tiny import clips, tiny_lavida

from lavida.checkpoints.pretrained import LavidaModel
from lavida.device import autocast, has_fast_bf16
from lavida.model.lavida import LavidaOutput
from lavida.model.predictor import Predictor

CPU = torch.device("cpu")
CATEGORIES = [["bicycle", "a person riding a bicycle"], ["smoke"]]
LENGTH, SIZE = 3, (64, 96)


@pytest.fixture(scope="module")
def model() -> LavidaModel:
    return tiny_lavida(motion=True)


@pytest.fixture(scope="module")
def seen() -> dict[str, torch.Tensor]:
    motion = torch.rand(2, LENGTH, 4, 16, 24, generator=torch.Generator().manual_seed(3)).half()
    motion[:, :, 3] = 1
    motion[0, 0] = 0  # nothing known
    return {"frames": clips(2, LENGTH, size=SIZE), "motion": motion}


def tensors(output: LavidaOutput) -> dict[str, torch.Tensor]:
    named = {f.name: getattr(output, f.name) for f in fields(output) if f.name not in ("decoded", "text_loss")}
    return named | {f.name: getattr(output.decoded, f.name) for f in fields(output.decoded)}


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("frames_at_once", [1, 2, LENGTH])
@pytest.mark.parametrize("moving", [True, False])
def test_in_full_precision_the_answers_are_the_same(model, seen, frames_at_once, moving):
    pixels = frames_at_once * 2 * SIZE[0] * SIZE[1]  # of two clips
    predictor = Predictor(model, device=CPU, dtype=None, pixels_at_once=pixels)
    asked = {"motion": seen["motion"] if moving else None, "template": [1, 2]}
    expected = tensors(model(seen["frames"], CATEGORIES, **asked))
    given = tensors(predictor(seen["frames"], CATEGORIES, **asked))
    for name, tensor in expected.items():
        torch.testing.assert_close(given[name], tensor, atol=1e-4, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}")


@torch.inference_mode()
@pytest.mark.skipif(not has_fast_bf16(CPU), reason="this processor is not asked in bf16")
def test_in_half_precision_they_are_as_near_as_its_rounding(model, seen):
    exact = model(seen["frames"], CATEGORIES, motion=seen["motion"]).frame_logits
    with autocast(CPU)():
        plain = model(seen["frames"], CATEGORIES, motion=seen["motion"]).frame_logits
        given = Predictor(model, device=CPU)(seen["frames"], CATEGORIES, motion=seen["motion"])
    rounding = (plain - exact).abs().max()
    assert (given.frame_logits - plain).abs().max() <= 2 * rounding


@torch.inference_mode()
def test_the_model_itself_stays_as_it_was(model, seen):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    trainable = {name: weight.requires_grad for name, weight in model.named_parameters()}
    with autocast(CPU)():
        Predictor(model, device=CPU)(seen["frames"], CATEGORIES, motion=seen["motion"])
    after = model.state_dict()
    assert after.keys() == before.keys()
    for name, weight in before.items():
        assert after[name].dtype == weight.dtype and torch.equal(after[name], weight), name
    assert trainable == {name: weight.requires_grad for name, weight in model.named_parameters()}


@pytest.mark.slow
@torch.inference_mode()
def test_a_model_without_motion_and_alignment_is_prepared_too(seen):
    plain = tiny_lavida(alignment=False, residual_evidence=False, classifier_evidence=False)
    with autocast(CPU)():
        output = Predictor(plain, device=CPU)(seen["frames"], CATEGORIES)
    assert output.category_logits is None and output.evidence is None
    assert output.pixel_logits.shape == (2, LENGTH, 16, 24)
