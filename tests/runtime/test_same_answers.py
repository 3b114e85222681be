"""An exported model says what the model says, whatever the number of frames and categories and the size of pictures."""

from contextlib import nullcontext
from itertools import islice

import numpy as np
import pytest
import torch
from tiny import CATEGORIES, clips

from lavida.files import EMBEDDED
from lavida.runtime.compiled import compiled_folder
from lavida.runtime.exported import ExportedModel
from lavida.runtime.manifest import MANIFEST
from lavida.torch_backend import TorchBackend
from lavida.video.clips import Clip
from lavida.video.decode import open_source

from .conftest import KINDS

MANY = tuple(f"{colour} thing number {i} on the left" for i in range(100) for colour in ("red", "large"))
ASKED = {  # frames, height, width, categories
    "a clip": (4, 64, 96, CATEGORIES),
    "one frame, one category": (1, 64, 96, CATEGORIES[:1]),
    "upright": (3, 128, 64, ("red car", *CATEGORIES)),
    "as long as can be": (2, 32, 256, CATEGORIES[:2]),
    "200 categories": (2, 64, 64, MANY),
}
CASES = [*((kind, "onnx") for kind in (*KINDS, "small")), ("whole", "openvino"), ("small", "openvino")]
FIELDS = ("frame_logits", "scores", "category_scores", "pixel_logits")


def clip_of(length: int, height: int, width: int, *, moves: bool) -> Clip:
    frames = clips(1, length, size=(height, width), seed=height)[0].numpy()
    motion = np.random.default_rng(0).normal(0, 0.2, (length, 4, height // 4, width // 4)).astype(np.float16)
    motion[:, 3] = 1
    return Clip(frames, np.arange(length), np.arange(length) / 5, motion if moves else None)


def answers(model, exported, clip, categories):
    backend = TorchBackend(model, torch.device("cpu"))
    backend.autocast = nullcontext  # bf16 would hide what is compared
    plain = backend.answer(clip.frames, categories, motion=clip.motion)
    return plain, exported.answer(clip.frames, categories, motion=clip.motion)


def assert_same(plain, other, *, atol: float = 1e-4):
    for name in FIELDS:
        np.testing.assert_allclose(getattr(other, name), getattr(plain, name), atol=atol, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(other.pixel_maps(), plain.pixel_maps(), atol=atol, rtol=1e-4)
    assert other.clean_masks == plain.clean_masks and (other.strongest is None) == (plain.strongest is None)
    if plain.strongest is not None:
        assert (other.strongest(0) == plain.strongest(0)).mean() > 0.99  # ties


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "runtime"), CASES)
def test_the_same_answers(kind, runtime, pair, tmp_path, monkeypatch):
    if runtime == "openvino":
        pytest.importorskip("openvino")
        pytest.importorskip("platformdirs")
        # where other tests compile, one of them may be at it when this one counts
        monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / name)
    model, folder = pair(kind)
    exported = ExportedModel(folder, runtime=runtime)
    seen = set()
    for i, (case, (length, height, width, categories)) in enumerate(ASKED.items()):
        moves = model.config.motion and i % 2 == 0
        plain, other = answers(model, exported, clip_of(length, height, width, moves=moves), categories)
        try:
            assert_same(plain, other)
        except AssertionError as error:
            raise AssertionError(f"{case}, moves={moves}: {error}") from error
        seen |= set(plain.frame_logits.round(3).tolist())
    assert len(seen) > 5, "a model that says the same of everything would hide a difference"
    if runtime == "openvino":
        kept = compiled_folder(folder / MANIFEST, caches=tmp_path / "lavida", size=exported.manifest.size)
        joined = list(kept.rglob("graph.xml"))  # of several sizes
        assert len(list(kept.glob("*.blob"))) == len(joined) > 1


@pytest.mark.slow
def test_the_embedded_model_says_the_same_of_real_frames(kit, tmp_path):
    pytest.importorskip("onnxruntime")
    from lavida.checkpoints.pretrained import LavidaModel
    from lavida.graphs.comparing import compare
    from lavida.graphs.writing import export_model

    model = LavidaModel.from_pretrained(EMBEDDED)
    export_model(model, EMBEDDED, tmp_path)
    exported = ExportedModel(tmp_path, runtime="onnx")
    video = open_source(sorted((kit / "videos").glob("*.mp4"))[0]).read(stride=1)
    band = np.stack([frame.image[100:300] for frame in islice(video, 7)])  # every pixel takes its time
    differences = compare(model, exported, source=band, categories=["bottle", "red car on the left", "person"])
    # compression keeps another one of two tokens whose weights differ by rounding alone: f_sem shows it, no score does
    assert differences.pop("f_sem") < 5e-3
    assert max(differences.values()) < 1e-4, differences
