#!/usr/bin/env bash
# ONNX Runtime: a padding with zeros is fused into its convolution, unless its unused third input is written as "".
#
# Expected  An optional input of ONNX that is left out and one that is named "" are the same ("an empty string may be
#           used in place of an actual argument's name"). ONNX Runtime fuses Pad with zeros into the Conv behind it.
# Happens   Pad(x, pads) is fused. Pad(x, pads, "") stays, and with it one reorder out of the blocked layout of
#           convolutions before it and one back into it: on a map of 96 channels as much time as the convolutions take.
#           The answers are equal, nothing is logged.
# Matters   PyTorch's TorchScript exporter writes F.pad with the empty third input. A backbone with TensorFlow's padding
#           (EfficientNet) exported by it runs its 64 paddings apart; a detector of ours took 1.3 times as long. Take
#           trailing empty inputs off the Pad nodes, or write the padding into the `pads` of Conv, before it is loaded.
# Source    onnx.ai, IR specification: "Optional Inputs and Outputs"; github.com/microsoft/onnxruntime/pull/18136 (the
#           fusion, which wants the value, where there is one, to be a constant); found in the profile of a model
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

print(f"ONNX Runtime {onnxruntime.__version__}, onnx {onnx.__version__}")
random = np.random.default_rng(0)
KERNELS = {"first": (96, 16, 1, 1), "second": (96, 1, 3, 3)}


def session(*more):
    """A convolution, Relu, a padding by one behind each side, and a convolution of stride 2."""
    random = np.random.default_rng(0)
    weights = [numpy_helper.from_array(random.random(shape, np.float32), name) for name, shape in KERNELS.items()]
    weights.append(numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1]), "sides"))
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Pad", ["b", "sides", *more], ["c"], mode="constant"),
        helper.make_node("Conv", ["c", "second"], ["y"], strides=[2, 2], group=96),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 96, "i", "j"])
    model = helper.make_model(
        helper.make_graph(nodes, "padded", [x], [y], weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = "optimised.onnx"
    options.log_severity_level = 3  # it says that the optimised model is for this machine alone
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return made, [node.op_type for node in onnx.load("optimised.onnx").graph.node]


given = {"x": random.random((1, 16, 192, 352), np.float32)}
answers, kept = {}, {}
for name, more in {"two inputs": (), 'two and ""': ("",)}.items():
    made, kept[name] = session(*more)
    answers[name] = made.run(None, given)[0]
    started = time.perf_counter()
    for _ in range(20):
        made.run(None, given)
    print(f"{name:10} {50 * (time.perf_counter() - started):5.1f} ms  {' '.join(kept[name])}")

assert np.array_equal(*answers.values()), "the answers differ"
assert "Pad" not in kept["two inputs"], "a padding with two inputs is no longer fused"
assert "Pad" in kept['two and ""'], "a padding with an empty third input is fused now"
assert sum("Reorder" in kind for kind in kept['two and ""']) == sum("Reorder" in kind for kind in kept["two inputs"]) + 2
PY
