#!/usr/bin/env bash
# OpenVINO: with CACHE_DIR a model whose file of weights was replaced answers with the old weights.
#
# Expected  A cached model is compiled anew when the model has changed.
# Happens   A model that is compiled by its path is told apart by that path and the time of change of the .onnx. Its
#           external data, which is where ONNX keeps weights over 2 GB and where two graphs share theirs, is not looked
#           at: the cached graph answers 1 where the weights say 7, and nothing is logged. Read first (read_model) and
#           compiled then, the same model gets a blob of its own; so does one whose .onnx was touched.
# Matters   A detector trained on and exported again into the same file of weights goes on with the earlier ones. Give
#           each export a cache folder of its own, named after its content, or compile what read_model returned.
# Source    docs.openvino.ai, "Model Caching Overview"; onnx.ai, "External Data"; found while a cache was added
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import os
import time

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper

print(f"OpenVINO {openvino.__version__}, onnx {onnx.__version__}")
COUNT = 1024


def write_weights(value):
    np.full(COUNT, value, np.float32).tofile("weights.bin")


def ask(*, cached, read_first=False):
    """What the model makes of ones: its weights."""
    core = openvino.Core()
    model = core.read_model("model.onnx") if read_first else "model.onnx"
    compiled = core.compile_model(model, "CPU", {"CACHE_DIR": "cache"} if cached else {})
    return float(compiled(np.ones(COUNT, np.float32))[0][0])


x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [COUNT]) for name in "xy")
weights = helper.make_tensor("w", TensorProto.FLOAT, [COUNT], np.ones(COUNT, np.float32).tobytes(), raw=True)
graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "scaled", [x], [y], [weights])
made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save_model(made, "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
onnx.checker.check_model("model.onnx", full_check=True)

first = ask(cached=True)
time.sleep(3)
write_weights(7)
seen = {
    "weights of 1": first,
    "weights of 7, not cached": ask(cached=False),
    "weights of 7, cached": ask(cached=True),
    "weights of 7, read first, cached": ask(cached=True, read_first=True),
}
os.utime("model.onnx")
seen["weights of 7, cached, the .onnx touched"] = ask(cached=True)
for name, answer in seen.items():
    print(f"{name:42} {answer:.0f}")
assert list(seen.values()) == [1, 7, 1, 7, 7], "the behaviour has changed"
PY
