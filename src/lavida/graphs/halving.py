"""Weights of a graph in fewer bytes on disk; a runtime that loads it computes in float32 as before."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from lavida.model.rounding import whole_keeping_sums

SMALLEST = 1024  # numbers: fewer would save nothing
LEAST_ROWS = 10_000  # a table of words, of which a prompt reads a few rows
LEAST_MATRIX = 65_536  # numbers: eleven nodes that turn it back are not worth less


def halve(path: Path, *, matrices: bool = True) -> None:
    """Rewrite a graph: large weights with twelve bits a number, other float32 weights in half precision.

    `matrices`: not only tables of words are large. A runtime that opens the graph for many runs takes ten times the
    memory of its matrices for a moment.

    A table of words or a matrix `[N, D]` is stored as integers with a scale for each row; a table is turned back only
    in the rows that are read. Weights that are too large for half precision stay as they are.
    """
    model = onnx.load(path)
    uses = Counter(_read_by(model.graph))
    readers = {name: node for node in model.graph.node for name in node.input}
    kept: list[TensorProto] = []
    before: list[NodeProto] = []
    tables: dict[str, list[NodeProto]] = {}
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            kept.append(weight)
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            kept.append(weight)
            continue
        reader = readers.get(weight.name)
        read_alone = reader is not None and _reads_rows(reader, weight.name) and uses[weight.name] == 1
        rows = values.reshape(len(values), -1)
        even = rows.shape[1] % 2 == 0
        if reader is not None and read_alone and len(values) >= LEAST_ROWS and even and values.ndim == 2:
            kept += _stored(weight.name, rows)
            tables[reader.output[0]] = _read(weight.name, reader)
        elif matrices and values.size >= LEAST_MATRIX and even:
            kept += [*_stored(weight.name, rows), _number(weight.name, "shape", np.array(values.shape, np.int64))]
            before += _whole(weight.name)
        else:
            kept.append(numpy_helper.from_array(half, f"{weight.name}.half"))
            before.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
    nodes = [
        new for node in model.graph.node for new in (tables.get(node.output[0], [node]) if node.output else [node])
    ]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(before + nodes)
    onnx.save(model, path)


def _read_by(graph: GraphProto) -> Iterator[str]:
    """The names that its nodes read, those of graphs within them among these; one for each reading."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _read_by(inner)


def _reads_rows(node: NodeProto, name: str) -> bool:
    axis = next((helper.get_attribute_value(each) for each in node.attribute if each.name == "axis"), 0)
    return node.op_type == "Gather" and axis == 0 and node.input[0] == name


def _stored(name: str, values: NDArray[np.float32]) -> list[TensorProto]:
    """Rows of numbers `scale * (byte + (four_bits - 8) / 16)`.

    Four bits of the left half of a row are the high ones of a byte, those of the right half the low ones.
    """
    half = values.shape[1] // 2
    scale = np.maximum(np.abs(values).max(-1, keepdims=True), np.finfo(np.float32).tiny) / 127
    steps = whole_keeping_sums(values.astype(np.float64) / scale * 16) + 8
    whole, rest = steps >> 4, (steps & 15).astype(np.uint8)
    constants = {"sixteen": 16.0, "eight": 8.0, "sixteenth": 1 / 16}
    return [
        _number(name, "bytes", whole.astype(np.int8)),
        _number(name, "rest", rest[:, :half] << 4 | rest[:, half:]),
        _number(name, "scale", scale.astype(np.float32)),
        *(_number(name, each, np.array(value, np.float32)) for each, value in constants.items()),
    ]


def _number(name: str, what: str, values: NDArray[Any]) -> TensorProto:
    return numpy_helper.from_array(values, f"{name}.{what}")


def _read(name: str, gather: NodeProto) -> list[NodeProto]:
    """What reads rows of a stored table instead of `gather`."""
    stored, rows = ("bytes", "rest", "scale"), gather.input[1]
    gathers = [helper.make_node("Gather", [f"{name}.{each}", rows], [f"{name}.{each}_read"], axis=0) for each in stored]
    return gathers + _turned_back(name, "bytes_read", "rest_read", "scale_read", gather.output[0])


def _whole(name: str) -> list[NodeProto]:
    """What gives a stored matrix its shape and values back."""
    turned_back = _turned_back(name, "bytes", "rest", "scale", f"{name}.rows")
    return [*turned_back, helper.make_node("Reshape", [f"{name}.rows", f"{name}.shape"], [name])]


def _turned_back(name: str, stored_bytes: str, rest: str, scale: str, output: str) -> list[NodeProto]:
    def node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(kind, [f"{name}.{each}" for each in inputs.split()], [f"{name}.{output}"], **attributes)

    return [
        node("Cast", stored_bytes, "whole", to=TensorProto.FLOAT),
        node("Cast", rest, "both", to=TensorProto.FLOAT),
        node("Mul", "both sixteenth", "shifted"),
        node("Floor", "shifted", "left"),
        node("Mul", "left sixteen", "left_high"),
        node("Sub", "both left_high", "right"),
        node("Concat", "left right", "four_bits", axis=-1),
        node("Sub", "four_bits eight", "centred"),
        node("Mul", "centred sixteenth", "fraction"),
        node("Add", "whole fraction", "steps"),
        helper.make_node("Mul", [f"{name}.steps", f"{name}.{scale}"], [output]),
    ]
