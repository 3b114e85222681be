"""A saved model that gets weights for qualifiers: what has none of them in its text is answered as before."""

import pytest
import torch

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.files import EMBEDDED
from lavida.training.recipe import Recipe
from lavida.training.start import build_model, check_model, model_settings

FRAMES = torch.randint(0, 256, (1, 1, 3, 64, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.slow
def test_the_embedded_model_gets_qualifiers_and_keeps_its_answers():
    model = {"preset": "nano", "start": str(EMBEDDED), "qualifiers": True}
    check_model(model)
    assert model_settings(model, ["qualifiers"]) == {"qualifiers": True}
    before, after = LavidaModel.from_pretrained(EMBEDDED).eval(), build_model(Recipe(model=model)).eval()
    with torch.inference_mode():
        bare, old = after(FRAMES, [["car", "dog"]]), before(FRAMES, [["car", "dog"]])
        more = after(FRAMES, [["red car", "dog"]])
    assert torch.allclose(bare.frame_logits, old.frame_logits, atol=1e-4)
    assert torch.allclose(more.noun_evidence, old.evidence, atol=1e-4)  # "red car" has the noun's map beside its own
    assert (more.evidence[0, 0, 0] < more.noun_evidence[0, 0, 0]).all()
    assert torch.allclose(more.evidence[0, 0, 1], more.noun_evidence[0, 0, 1])


@pytest.mark.slow
def test_a_model_without_alignment_gets_none():
    model = LavidaModel.from_pretrained(EMBEDDED)
    model.config.alignment = False
    with pytest.raises(InputError, match="qualifiers need a model with alignment"):
        model.add_qualifiers()


@pytest.mark.slow
def test_probes_have_maps_and_the_qualifiers_learn_from_them():
    model = build_model(Recipe(model={"preset": "nano", "start": str(EMBEDDED), "qualifiers": True})).train()
    probes = [["red car", "car on the left", "dog"]]
    output = model(FRAMES, [["car"]], probes=probes)
    assert output.probe_evidence.shape == (1, 1, 3, *output.evidence.shape[-2:])
    asked = model(FRAMES, probes).evidence  # a probe's map is what it would be as a category
    model.alignment.drop = 0.0
    assert torch.allclose(model(FRAMES, [["car"]], probes=probes).probe_evidence, model(FRAMES, probes).evidence)
    assert asked.shape == output.probe_evidence.shape
    output.probe_evidence[:, :, :2].sum().backward()
    assert all(weight.grad.any() for weight in model.qualifiers.text.parameters())
