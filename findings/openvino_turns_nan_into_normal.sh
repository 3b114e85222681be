#!/usr/bin/env bash
# OpenVINO: a score that is NaN leaves the model as 0.0, "nothing unusual".
#
# Expected  NaN goes through a network: Relu, Clip and Max of NaN are NaN, as in ONNX Runtime and torch.
# Happens   On x86 CPUs OpenVINO's Relu, Clip and Max give 0.0, the lower bound; Sigmoid and Softmax keep NaN. So a
#           broken weight or frame shows at the end of one model and is hidden by the next layer of another.
# Matters   A detector that breaks has to be seen to be broken: `isnan` on the output finds nothing here, and the score
#           says "normal". Check the inputs, or a layer before the first Relu.
# Source    github.com/openvinotoolkit/openvino/issues/35649 (open, Relu)
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "this finding is about x86-64" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"  # `import onnxruntime` leaves a telemetry session number in the temporary folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

onnxruntime.disable_telemetry_events()
print(f"OpenVINO {openvino.__version__}, ONNX Runtime {onnxruntime.__version__}")
scores = np.array([[np.nan, 0.25, -1.0, 2.0]], np.float32)


def run(operator, *bounds):
    """What OpenVINO and ONNX Runtime make of the scores."""
    names = [f"bound{number}" for number in range(len(bounds))]
    constants = [helper.make_tensor(name, TensorProto.FLOAT, [], [bound]) for name, bound in zip(names, bounds)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x", *names], ["y"])], "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [str(float(output[0, 0])) for output in (compiled([scores])[0], session.run(None, {"x": scores})[0])]


seen = {
    "Relu": run("Relu"),
    "Clip to 0..1": run("Clip", 0.0, 1.0),
    "Max with 0": run("Max", 0.0),
    "Sigmoid": run("Sigmoid"),
    "Softmax": run("Softmax"),
}
print(*(f"{name} of NaN: OpenVINO {one}, ONNX Runtime {other}" for name, (one, other) in seen.items()), sep="\n")

hidden, kept = ["0.0", "nan"], ["nan", "nan"]
assert list(seen.values()) == [hidden, hidden, hidden, kept, kept], "an operator has changed"
PY
