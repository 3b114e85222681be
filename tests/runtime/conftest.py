"""Exported models of toy size and what OpenVINO compiles of them, each made once for all test processes."""

from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from importlib.util import find_spec
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
from lavida.graphs.writing import export_model


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
    """Save a model and export it.

    `bare` is exported by the command, over an earlier export, and what it told is kept beside them. The command asks
    each runtime, for which OpenVINO compiles every graph: of the others the tests do that themselves.
    """
    source, folder = root / "source", root / "exported"
    built(kind, root / "parts").save_pretrained(source)
    folder.mkdir()
    if kind != "bare":
        export_model(LavidaModel.from_pretrained(source), source, folder)
        return
    (folder / "manifest.json").write_text('{"format": 1, "graphs": {}}')
    (folder / "noun_decoder.onnx").touch()
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert run(["models", "export", str(source), "--out", str(folder)]) == 0, err.getvalue()
    (root / "stdout").write_text(out.getvalue())
    (root / "stderr").write_text(err.getvalue())


@pytest.fixture(scope="session", autouse=True)
def caches(made_once) -> Iterator[Path]:
    """Where OpenVINO keeps what it compiled in these tests: not the user's own folder."""
    folder = made_once("caches", Path.touch)
    with pytest.MonkeyPatch.context() as patch:
        if find_spec("platformdirs") is not None:
            patch.setattr("platformdirs.user_cache_path", lambda name, **other: folder / name)
        yield folder / "lavida"


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
