"""The examples in the public docstrings do what they say."""

import doctest
import importlib.util

import pytest
import torch
from tiny import tiny_lavida

import lavida
from lavida.checkpoints.pretrained import LavidaModel
from lavida.detection import Detection
from lavida.detector import Detector
from lavida.loading import load
from lavida.model.compression import compress

PUBLIC = (
    load,
    Detector.detect,
    Detection.events,
    Detection.save,
    Detection.to_supervision,
    LavidaModel.from_pretrained,
    compress,
)


@pytest.fixture(scope="module")
def tiny() -> Detector:
    return Detector.of(tiny_lavida(), name="nano", device=torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__qualname__)
def test_the_example_gives_what_it_shows(public, tiny, monkeypatch):
    if public is Detection.to_supervision and importlib.util.find_spec("supervision") is None:
        pytest.skip("supervision is not installed")
    if public is not load:  # the embedded model would take its time
        monkeypatch.setattr(lavida, "load", lambda model: tiny, raising=False)
    (example,) = doctest.DocTestFinder(recurse=False).find(public, public.__qualname__, globs={})
    assert example.examples
    wrong: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=wrong.append)
    assert not wrong, "".join(wrong)
