"""Weights that two graphs have in common, in one file beside both (ONNX's external data)."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

SMALLEST = 1024  # bytes: fewer stay in the graph
ALIGNED = 64  # bytes: runtimes map the file and read a weight where it lies


def share_weights(paths: Sequence[Path], data: Path) -> None:
    """Rewrite graphs in one folder such that what more than one of them holds is in `data`, once."""
    models = [onnx.load(path) for path in paths]
    held = [{bytes(weight.raw_data) for weight in model.graph.initializer if _is_large(weight)} for model in models]
    common = {weight for i, some in enumerate(held) for weight in some if any(weight in other for other in held[:i])}
    places: dict[bytes, int] = {}
    with data.open("wb") as file:
        for model in models:
            for weight in model.graph.initializer:
                content = bytes(weight.raw_data)
                if content not in common:
                    continue
                if content not in places:
                    file.write(bytes(-file.tell() % ALIGNED))
                    places[content] = file.tell()
                    file.write(content)
                _refer(weight, data.name, places[content], len(content))
    for model, path in zip(models, paths, strict=True):
        onnx.save(model, path)


def _is_large(weight: TensorProto) -> bool:
    return weight.HasField("raw_data") and len(weight.raw_data) >= SMALLEST


def _refer(weight: TensorProto, file: str, offset: int, length: int) -> None:
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=str(value))
