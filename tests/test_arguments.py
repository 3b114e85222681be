"""The Python API, given what is of another kind or out of range."""

import numpy as np
import pytest
import torch

from lavida.errors import InputError
from lavida.loading import load


@pytest.mark.slow
def test_templates_and_knobs_that_do_not_fit_are_one_line(tiny_model_dir):
    detector, frames = load(tiny_model_dir, device="cpu"), np.zeros((4, 48, 64, 3), np.uint8)  # two clips
    assert len(list(detector.stream(frames, ["dog"], stride=1, templates=[0, 5]))) == 2
    for templates in ([0], [0, 6], [0, -1], [0, "1"]):
        with pytest.raises(InputError, match="templates: give each clip a number from 0 to 5"):
            list(detector.stream(frames, ["dog"], stride=1, templates=templates))
    with pytest.raises(InputError, match="unknown knob foo: choose .*motion"), detector.changed(motion=False, foo=1):
        pass
    assert detector.knobs == load(tiny_model_dir, device="cpu").knobs


@pytest.mark.parametrize("model", [None, 3, b"nano"])
def test_a_model_that_is_no_text_is_refused(model):
    with pytest.raises(InputError, match="no such model: "):
        load(model)


@pytest.mark.slow
def test_pytorchs_devices_are_devices():
    assert load("nano", runtime="onnx", device=torch.device("cpu")).name == "nano"
    with pytest.raises(InputError, match="runs on the CPU: leave --device cuda:1 out"):
        load("nano", runtime="onnx", device=torch.device("cuda", 1))
