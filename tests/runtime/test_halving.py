"""Weights in fewer bytes: what is stored, and that the same comes out."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lavida.graphs.halving import LEAST_MATRIX, LEAST_ROWS, halve  # noqa: E402
from lavida.runtime.session import OnnxSession  # noqa: E402


def graph(path, table, weight, bias):
    """Rows of a table, times a weight, plus a bias."""
    nodes = [
        helper.make_node("Gather", ["table", "rows"], ["read"]),
        helper.make_node("MatMul", ["read", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
    ]
    inputs = [helper.make_tensor_value_info("rows", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", weight.shape[1]])]
    named = {"table": table, "weight": weight, "bias": bias}
    weights = [numpy_helper.from_array(values, name) for name, values in named.items()]
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, weights), opset_imports=opset), path)


def test_halved(tmp_path):
    random = np.random.default_rng(0)
    table = random.normal(size=(LEAST_ROWS, 32)).astype(np.float32)
    table[5] = 0  # no scale
    weight, bias = random.normal(size=(32, 64)).astype(np.float32), np.full(64, 10, np.float32)
    path = tmp_path / "graph.onnx"
    graph(path, table, weight, bias)
    before = path.stat().st_size
    rows = np.array([0, 5, LEAST_ROWS - 1])
    (plain,) = onnxruntime.InferenceSession(path).run(None, {"rows": rows})
    halve(path)
    stored = {each.name: each.data_type for each in onnx.load(path).graph.initializer}
    assert stored["table.bytes"] == TensorProto.INT8 and stored["weight.half"] == TensorProto.FLOAT16
    assert stored["bias"] == TensorProto.FLOAT  # small
    assert path.stat().st_size < 0.42 * before
    (halved,) = onnxruntime.InferenceSession(path).run(None, {"rows": rows})
    np.testing.assert_allclose(halved, plain, atol=0.01)
    np.testing.assert_array_equal(halved[1], plain[1])
    assert not np.array_equal(halved[0], plain[0])


@pytest.mark.parametrize("columns", [32, 31])
def test_rows_of_a_table_keep_twelve_bits_or_half_precision(tmp_path, columns):
    table = np.random.default_rng(0).normal(size=(LEAST_ROWS, columns)).astype(np.float32)
    path, rows = tmp_path / "graph.onnx", np.arange(0, LEAST_ROWS, 7)
    graph(path, table, np.eye(columns, dtype=np.float32), np.zeros(columns, np.float32))
    halve(path)
    (read,) = onnxruntime.InferenceSession(path).run(None, {"rows": rows})
    step = np.abs(table[rows]).max(-1, keepdims=True) / (127 * 16)
    # the largest step down of the four bits is -8, the largest one up 7
    assert (np.abs(read - table[rows]) < 1.001 * step).all()
    assert np.abs(read - table[rows]).mean() < 0.3 * step.mean()


@pytest.mark.parametrize("shape", [(LEAST_MATRIX // 256, 256), (LEAST_MATRIX // 64, 16, 2, 2)])
def test_large_matrices_keep_twelve_bits_of_their_rows(tmp_path, shape):
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rows, path = weight.reshape(len(weight), -1), tmp_path / "graph.onnx"
    nodes = [
        helper.make_node("Shape", ["weight"], ["shape"]),
        helper.make_node("Reshape", ["given", "shape"], ["turned"]),
        helper.make_node("Add", ["turned", "weight"], ["sum"]),
    ]
    inputs = [helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n"])]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)]
    made = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]), path)
    halve(path)
    assert path.stat().st_size < 0.41 * weight.nbytes  # 12 of 32 bits, the scales and the nodes
    (read,) = onnxruntime.InferenceSession(path).run(None, {"given": np.zeros(weight.size, np.float32)})
    step = np.abs(rows).max(-1, keepdims=True) / (127 * 16)
    assert read.shape == shape
    assert (np.abs(read.reshape(rows.shape) - rows) < 1.001 * step).all()


def test_a_graph_that_is_seldom_run_turns_its_weights_back_at_each_run_to_the_same(tmp_path):
    random = np.random.default_rng(0)
    table, weight = (random.normal(size=shape).astype(np.float32) for shape in ((50, 256), (256, LEAST_MATRIX // 256)))
    path, rows = tmp_path / "graph.onnx", np.arange(50)
    graph(path, table, weight, np.zeros(weight.shape[1], np.float32))
    halve(path)
    often, seldom = (OnnxSession(path, 1, seldom=each).run({"rows": rows})[0] for each in (False, True))
    np.testing.assert_allclose(seldom, often, rtol=1e-4, atol=1e-4)
    assert np.ptp(often) > 10


def test_a_graph_whose_matrices_stay_has_them_in_half_precision(tmp_path):
    path = tmp_path / "graph.onnx"
    graph(path, np.ones((4, 256), np.float32), np.ones((256, 512), np.float32), np.ones(512, np.float32))
    halve(path, matrices=False)
    assert "weight.half" in {each.name for each in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("axis", [0, 1])
def test_only_rows_are_read_as_rows(tmp_path, axis):
    table = np.random.default_rng(0).normal(size=(LEAST_ROWS, 32)).astype(np.float32)
    node = helper.make_node("Gather", ["table", "rows"], ["read"], axis=axis)
    inputs = [helper.make_tensor_value_info("rows", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("read", TensorProto.FLOAT, None)]
    made = helper.make_graph([node], "g", inputs, outputs, [numpy_helper.from_array(table, "table")])
    path, rows = tmp_path / "graph.onnx", np.array([3, 30])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    halve(path)
    (read,) = onnxruntime.InferenceSession(path).run(None, {"rows": rows})
    np.testing.assert_allclose(read, table.take(rows, axis), atol=0.01)


def test_what_half_precision_cannot_hold_stays(tmp_path):
    weight = np.full((64, 64), 1e6, np.float32)
    path = tmp_path / "graph.onnx"
    graph(path, np.ones((4, 64), np.float32), weight, np.ones(64, np.float32))
    halve(path)
    assert "weight" in {each.name for each in onnx.load(path).graph.initializer}
