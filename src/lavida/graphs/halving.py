"""Weights of a graph in fewer bytes on disk; a runtime that loads it computes in float32 as before."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

SMALLEST = 1024  # numbers: fewer would save nothing
LEAST_ROWS = 10_000  # a table of words, of which a prompt reads a few rows


def halve(path: Path) -> None:
    """Rewrite a graph: float32 weights in half precision, and tables of words with a byte a number.

    A table `[N, D]` is stored as `int8` with a scale for each row, and turned back only in the rows that are read.
    Weights that half precision cannot hold stay as they are.
    """
    model = onnx.load(path)
    uses = Counter(name for node in model.graph.node for name in node.input)
    readers = {name: node for node in model.graph.node for name in node.input}
    kept: list[TensorProto] = []
    before: list[NodeProto] = []
    tables: dict[str, list[NodeProto]] = {}
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            kept.append(weight)
            continue
        reader = readers.get(weight.name)
        if reader is not None and reader.op_type == "Gather" and uses[weight.name] == 1 and len(values) >= LEAST_ROWS:
            stored, tables[reader.output[0]] = _table(weight.name, values, reader)
            kept += stored
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            kept.append(weight)
            continue
        kept.append(numpy_helper.from_array(half, f"{weight.name}.half"))
        before.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
    nodes = [
        new for node in model.graph.node for new in (tables.get(node.output[0], [node]) if node.output else [node])
    ]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(before + nodes)
    onnx.save(model, path)


def _table(name: str, values: NDArray[np.float32], gather: NodeProto) -> tuple[list[TensorProto], list[NodeProto]]:
    """The stored table, and what reads rows of it instead of `gather`."""
    scale = np.maximum(np.abs(values).max(-1, keepdims=True), np.finfo(np.float32).tiny) / 127
    stored = [
        numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}.bytes"),
        numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"),
    ]
    rows = gather.input[1]
    nodes = [
        helper.make_node("Gather", [f"{name}.bytes", rows], [f"{name}.rows"], axis=0),
        helper.make_node("Gather", [f"{name}.scale", rows], [f"{name}.row_scale"], axis=0),
        helper.make_node("Cast", [f"{name}.rows"], [f"{name}.wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.wide", f"{name}.row_scale"], [gather.output[0]]),
    ]
    return stored, nodes
