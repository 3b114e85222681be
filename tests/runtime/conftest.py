"""Exported models of toy size, each written once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import tiny_lavida

from lavida.checkpoints.pretrained import LavidaModel


class Pair(NamedTuple):
    """A model and the folder of its export."""

    model: LavidaModel
    folder: Path


KINDS = {
    "plain": {"alignment": False, "classifier_evidence": False, "residual_evidence": False},
    "whole": {"motion": True, "qualifiers": True, "expected_maps": True, "clean_masks": True},
    "uncompressed": {"compression_ratio": 1.0, "keep_positions": False, "projector": "mlp"},
}


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """Gives a tiny model of a kind and its export."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from lavida.graphs.writing import export_model

    @cache
    def made(kind: str) -> Pair:
        root = tmp_path_factory.mktemp(kind)
        source, folder = root / "source", root / "exported"
        tiny_lavida(clip_length=4, tokens_per_pair=12, **KINDS[kind]).save_pretrained(source)
        model = LavidaModel.from_pretrained(source)
        folder.mkdir()
        export_model(model, source, folder)
        return Pair(model, folder)

    return made
