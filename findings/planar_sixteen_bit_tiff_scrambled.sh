#!/usr/bin/env bash
# Pillow and OpenCV: a colour TIFF of 16 bits whose colours lie in separate planes is another picture, and no error.
#
# Expected  PlanarConfiguration = 2 (TIFF 6.0, section 20: all red values, then all green, then all blue) is read like
#           1, or refused. libtiff, below both readers, hands out such planes one by one.
# Happens   Pillow opens it as 8-bit RGB and takes the two bytes of each value for two pixels: noise. OpenCV returns
#           uint16 of the right shape in which the values are in the wrong places.
# Matters   Scanners, microscopes and tifffile (from an array [3, H, W], without being asked to) write it. A folder of
#           them, or a training set, is noise to a model, and nothing says so.
# Source    TIFF 6.0, page 38; the value was checked against tifffile, whose own reader is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  pillow==13.0.0 opencv-python-headless==5.0.0.93 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

print(f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}, tifffile {tifffile.__version__}")

smooth = np.linspace(0, 65535, 64 * 48).reshape(48, 64)  # a ramp: values change slowly from place to place
picture = np.stack([smooth, smooth[::-1], np.full((48, 64), 30_000)]).astype(np.uint16)  # [3, H, W]
right = picture.transpose(1, 2, 0)
seen = {}
for name, data, planes in (("together.tif", right, 1), ("apart.tif", picture, 2)):
    tifffile.imwrite(name, data, photometric="rgb")
    with tifffile.TiffFile(name) as written:
        assert written.pages[0].planarconfig == planes and (written.asarray() == data).all()
    with Image.open(name) as opened:
        by_pillow = np.asarray(opened).astype(int)
    by_opencv = cv2.imread(name, cv2.IMREAD_UNCHANGED)[..., ::-1]  # blue, green, red
    seen[name] = {
        "Pillow": float(np.abs(by_pillow - right // 257).max()),
        "OpenCV": float(np.abs(by_opencv.astype(int) - right).max() / 257),
    }
    print(f"{name}: largest error in gray levels of 8 bits: {seen[name]}")

assert max(seen["together.tif"].values()) <= 1, "even interleaved colours have changed"
assert seen["apart.tif"]["Pillow"] > 100, "Pillow has changed"
assert seen["apart.tif"]["OpenCV"] > 100, "OpenCV has changed"
PY
