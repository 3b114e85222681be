import pytest
import torch
from tiny import tiny_lavida
from torch import nn

from lavida.errors import InputError
from lavida.training.recipe import TrainRecipe
from lavida.training.steps import build_optimiser, fit_for_sharding, outside_forward


def test_only_trained_weights_are_optimised():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    optimiser, _ = build_optimiser(model.parameters(), TrainRecipe(steps=5, learning_rate=0.5, weight_decay=0.25))
    (group,) = optimiser.param_groups
    assert {id(weight) for weight in group["params"]} == {id(weight) for weight in model[1].parameters()}
    assert group["weight_decay"] == 0.25 and group["betas"] == (0.9, 0.95)


@pytest.mark.slow
def test_what_fsdp_cannot_cut_is_made_cuttable_or_told():
    with pytest.raises(InputError, match="alignment.scale") as caught:
        fit_for_sharding(tiny_lavida())
    assert "\n" not in str(caught.value)
    model = tiny_lavida(alignment=False, classifier_evidence=False, residual_evidence=False)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    assert not all(weight.is_contiguous() for weight in model.parameters())  # a backbone in channels-last
    fit_for_sharding(model)
    # torch calls a weight of 1 x 1 pixels contiguous whatever its strides, DeepSpeed does not
    assert all(weight.is_contiguous() and weight.stride(-1) == 1 for weight in model.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


class Sharded(nn.Module):
    """Notes what it is told, as an FSDP module is."""

    def __init__(self):
        super().__init__()
        self.told = []

    def unshard(self):
        self.told.append("whole")

    def reshard(self):
        self.told.append("cut")


def test_a_sharded_model_is_whole_while_its_parts_are_called():
    model = Sharded()
    with pytest.raises(KeyError), outside_forward(model):
        assert model.told == ["whole"]
        raise KeyError
    assert model.told == ["whole", "cut"]
    with outside_forward(nn.Linear(1, 1)):
        pass
