"""Exported models of toy size, each written once for all test processes."""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from checkpoints import SIZES, save_sources
from tiny import tiny_lavida

from lavida.checkpoints.assemble import assemble
from lavida.checkpoints.pretrained import LavidaModel
from lavida.cli import run


class Pair(NamedTuple):
    """A model and the folder of its export."""

    model: LavidaModel
    folder: Path


BARE = ("alignment", "classifier_evidence", "residual_evidence", "keep_positions")
KINDS = {
    "whole": {"motion": True, "qualifiers": True, "expected_maps": True, "clean_masks": True},
    "bare": dict.fromkeys(BARE, False) | {"compression_ratio": 1.0, "projector": "mlp"},
}


def built(kind: str, parts: Path) -> LavidaModel:
    """`small` is of the shape of the preset, Qwen2-VL, SAM 2's Hiera and CLIP, and its parts were saved in `parts`."""
    if kind in KINDS:
        return tiny_lavida(clip_length=4, tokens_per_pair=12, **KINDS[kind])
    torch.manual_seed(0)
    return assemble(save_sources(parts), **(SIZES | {"clip_length": 4, "frame_side": 96}))


def write(kind: str, root: Path) -> None:
    """Save a model and export it by the command, over an earlier export; what it told is kept beside them."""
    source, folder = root / "source", root / "exported"
    built(kind, root / "parts").save_pretrained(source)
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (folder / "earlier.onnx").touch()
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert run(["models", "export", str(source), "--out", str(folder)]) == 0, err.getvalue()
    (root / "stdout").write_text(out.getvalue())
    (root / "stderr").write_text(err.getvalue())


@pytest.fixture(scope="session")
def pair(made_once) -> Callable[[str], Pair]:
    """Gives a tiny model of a kind and its export."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    @cache
    def made(kind: str) -> Pair:
        root = made_once(f"exported-{kind}", partial(write, kind))
        return Pair(LavidaModel.from_pretrained(root / "source"), root / "exported")

    return made
