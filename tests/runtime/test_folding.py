"""Paddings that become part of a convolution: the same numbers, and what is no such padding stays."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lavida.graphs.folding import fold_paddings  # noqa: E402

RANDOM = np.random.default_rng(0)


def graph(path, *, sides=(0, 0, 0, 1, 0, 0, 2, 3), mode="constant", value=0.0, twice=False, own=None):
    """A padding in front of a convolution; where it ends is computed by a Cast, as PyTorch's exporter writes it."""
    weights = [
        numpy_helper.from_array(RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32), "kernel"),
        numpy_helper.from_array(np.array(sides, np.int32), "sides"),
        numpy_helper.from_array(np.float32(value), "value"),
    ]
    nodes = [
        helper.make_node("Cast", ["sides"], ["ends"], to=TensorProto.INT64),
        helper.make_node("Pad", ["x", "ends", "value"], ["padded"], mode=mode),
        helper.make_node("Conv", ["padded", "kernel"], ["y"], strides=[2, 2], **({} if own is None else {"pads": own})),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    if twice:
        nodes.append(helper.make_node("Relu", ["padded"], ["z"]))
        outputs.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    made = helper.make_graph(nodes, "padded", [x], outputs, weights)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


def answer(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": np.arange(2 * 3 * 8 * 9, dtype=np.float32).reshape(2, 3, 8, 9) / 100})[0]


@pytest.mark.parametrize("own", [None, [1, 0, 1, 2]])
def test_a_padding_becomes_part_of_the_convolution(tmp_path, own):
    path = tmp_path / "graph.onnx"
    graph(path, own=own)
    before = answer(path)
    assert fold_paddings(path) == 1
    assert [node.op_type for node in onnx.load(path).graph.node if node.op_type in ("Pad", "Conv")] == ["Conv"]
    np.testing.assert_allclose(answer(path), before, rtol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "reflect"},
        {"value": 1.0},
        {"twice": True},
        {"sides": (0, 0, -1, 0, 0, 0, 0, 1)},
        {"sides": (0, 0, 1, 0, 1, 0, 0, 1)},
    ],
)
def test_any_other_padding_stays(tmp_path, other):
    path = tmp_path / "graph.onnx"
    graph(path, **other)
    before = answer(path)
    assert fold_paddings(path) == 0
    np.testing.assert_array_equal(answer(path), before)


def test_numbers_that_several_nodes_compute_are_read_in_the_graphs_order(tmp_path):
    path = tmp_path / "graph.onnx"
    graph(path, sides=(0, 0, 0, 0, 0, 0, 1, 2))
    model = onnx.load(path)
    cast = next(node for node in model.graph.node if node.op_type == "Cast")
    cast.output[0] = "half"  # both what is added and what it is added to come from it
    more = [
        helper.make_node("Sub", ["half", "half"], ["none"]),
        helper.make_node("Add", ["half", "none"], ["ends"]),
    ]
    model.graph.node.insert(1, more[0])
    model.graph.node.insert(2, more[1])
    onnx.save(model, path)
    before = answer(path)
    assert fold_paddings(path) == 1
    np.testing.assert_allclose(answer(path), before, rtol=1e-6)
