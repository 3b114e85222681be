"""Weights of a graph in fewer bytes on disk; a runtime that loads it computes in float32 as before."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

SMALLEST = 1024  # numbers: fewer would save nothing
LEAST_ROWS = 10_000  # a table of words, of which a prompt reads a few rows


def halve(path: Path) -> None:
    """Rewrite a graph: float32 weights in half precision, and tables of words with twelve bits a number.

    A table `[N, D]` is stored as integers with a scale for each row, and turned back only in the rows that are read.
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
        read_alone = reader is not None and reader.op_type == "Gather" and uses[weight.name] == 1
        if reader is not None and read_alone and len(values) >= LEAST_ROWS and values.shape[-1] % 2 == 0:
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
    """The stored table, and what reads rows of it instead of `gather`.

    A number is `scale * (byte + (four_bits - 8) / 16)`; four bits of the left half of a row are the high ones of a
    byte, those of the right half the low ones.
    """
    half = values.shape[1] // 2
    scale = np.maximum(np.abs(values).max(-1, keepdims=True), np.finfo(np.float32).tiny) / 127
    whole = np.rint(values / scale)
    rest = np.rint((values / scale - whole) * 16 + 8).clip(0, 15).astype(np.uint8)
    constants = {"sixteen": 16.0, "eight": 8.0, "sixteenth": 1 / 16}
    stored = [
        numpy_helper.from_array(whole.astype(np.int8), f"{name}.bytes"),
        numpy_helper.from_array(rest[:, :half] << 4 | rest[:, half:], f"{name}.rest"),
        numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"),
        *(numpy_helper.from_array(np.array(value, np.float32), f"{name}.{each}") for each, value in constants.items()),
    ]

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(kind, [f"{name}.{each}" for each in inputs.split()], [f"{name}.{output}"], **attributes)

    rows, read = gather.input[1], gather.output[0]
    nodes = [
        *(
            helper.make_node("Gather", [f"{name}.{each}", rows], [f"{name}.{each}_read"], axis=0)
            for each in ("bytes", "rest", "scale")
        ),
        node("Cast", "bytes_read", "whole", to=TensorProto.FLOAT),
        node("Cast", "rest_read", "both", to=TensorProto.FLOAT),
        node("Mul", "both sixteenth", "shifted"),
        node("Floor", "shifted", "left"),
        node("Mul", "left sixteen", "left_high"),
        node("Sub", "both left_high", "right"),
        node("Concat", "left right", "four_bits", axis=-1),
        node("Sub", "four_bits eight", "centred"),
        node("Mul", "centred sixteenth", "fraction"),
        node("Add", "whole fraction", "steps"),
        helper.make_node("Mul", [f"{name}.steps", f"{name}.scale_read"], [read]),
    ]
    return stored, nodes
