#!/usr/bin/env bash
# OpenVINO, ONNX Runtime: an antialiased Resize is not antialiased in one, and not Pillow's at the border in the other.
#
# Expected  ONNX `Resize` with antialias=1 (opset 18) makes pictures small as Pillow and torch (antialias=True) do.
# Happens   OpenVINO reads the attribute, says nothing, and gives what it gives for antialias=0: 43 of 216 gray levels
#           away. ONNX Runtime equals Pillow inside, and is 12 levels off along the border, unless exclude_outside=1 is
#           set: by the standard's default, weights outside the picture count as copies of the edge.
# Matters   Preprocessing that was put into the model changes its answers with the runtime: small, distant people are
#           where aliasing hits. Compare the first layer's input, or resize before the model.
# Source    github.com/openvinotoolkit/openvino/issues/35893 (open, cubic); onnx.ai, Resize, exclude_outside
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR="$folder"  # `import onnxruntime` leaves a telemetry session number in the temporary folder
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 pillow==11.3.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper
from PIL import Image

onnxruntime.disable_telemetry_events()
print(f"OpenVINO {openvino.__version__}, ONNX Runtime {onnxruntime.__version__}, Pillow {Image.__version__}")
picture = np.tile((np.arange(64).reshape(8, 8) % 7 * 36).astype(np.float32), (8, 8))  # 64x64, 0 to 216
wanted = np.asarray(Image.fromarray(picture).resize((16, 16), Image.BILINEAR))


def resize(**attributes):
    """The picture at 16x16 by ONNX Runtime and by OpenVINO."""
    node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], mode="linear", **attributes)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, n, n]) for name, n in (("x", 64), ("y", 16))]
    size = helper.make_tensor("size", TensorProto.INT64, [4], [1, 1, 16, 16])
    graph = helper.make_graph([node], "resize", ends[:1], ends[1:], [size])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": picture[None, None]})[0][0, 0], compiled([picture[None, None]])[0][0, 0]


def apart(one, other):
    return round(float(abs(one - other).max()), 1)


plain_runtime, plain_openvino = resize()
runtime, with_openvino = resize(antialias=1)
bounded_runtime, bounded_openvino = resize(antialias=1, exclude_outside=1)
seen = {
    "without antialias, OpenVINO to ONNX Runtime": apart(plain_openvino, plain_runtime),
    "antialias=1, OpenVINO to its own without": apart(with_openvino, plain_openvino),
    "antialias=1, OpenVINO to Pillow": apart(with_openvino, wanted),
    "antialias=1, ONNX Runtime to Pillow": apart(runtime, wanted),
    "antialias=1, ONNX Runtime to Pillow, inside": apart(runtime[2:-2, 2:-2], wanted[2:-2, 2:-2]),
    "exclude_outside=1, ONNX Runtime to Pillow": apart(bounded_runtime, wanted),
    "exclude_outside=1, OpenVINO to Pillow": apart(bounded_openvino, wanted),
}
print(*(f"largest difference, {what}: {levels}" for what, levels in seen.items()), sep="\n")

assert list(seen.values()) == [0.0, 0.0, 42.7, 11.8, 0.0, 0.0, 42.7], "a runtime has changed"
PY
