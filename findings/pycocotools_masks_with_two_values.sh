#!/usr/bin/env bash
# pycocotools: a mask with two values besides 0 is encoded as something else entirely.
#
# Expected  `encode` takes what is not 0 as the object; 255 for 1 does work.
# Happens   The run-length code counts CHANGES of value. 255 alone is fine; where 1 meets 255, or class 2 meets class 7,
#           a run of "nothing" begins. One pixel of 255 within a square of 1 is a hole; as the square's last pixel it
#           turns all that follows inside out: 57 pixels for 36, a box that is as high as the picture.
# Matters   Label pictures with 255 for "ignore", soft edges, several classes or instance numbers are the field's usual
#           masks. Area, box, IoU and AP come out wrong, no error. Encode `mask == value` or `mask > 0` as uint8.
# Source    github.com/cocodataset/cocoapi, common/maskApi.c, rleEncode: `if (M[j] != p) ...`
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  pycocotools==2.0.11 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco

print(f"pycocotools {version('pycocotools')}")
square = np.zeros((10, 10), np.uint8)
square[2:8, 2:8] = 1
one_pixel_of_255 = square.copy()
one_pixel_of_255[4, 4] = 255
last_corner_of_255 = square.copy()
last_corner_of_255[7, 7] = 255
nested = square * 2
nested[3:7, 3:7] = 7

seen = {}
for name, mask in (
    ("1", square),
    ("255", square * 255),
    ("1, one pixel of 255", one_pixel_of_255),
    ("1, last pixel 255", last_corner_of_255),
    ("class 7 in class 2", nested),
):
    code = coco.encode(np.asfortranarray(mask))
    seen[name] = int(coco.area(code)), coco.toBbox(code).tolist()
    print(f"{name}: {np.count_nonzero(mask)} pixels, encoded {seen[name][0]}, box {seen[name][1]}")

assert seen["1"] == seen["255"] == (36, [2, 2, 6, 6]), "one value has changed"
assert seen["1, one pixel of 255"] == (35, [2, 2, 6, 6]), "a pixel of another value has changed"
assert seen["1, last pixel 255"] == (57, [2, 0, 8, 10]), "the last pixel has changed"
assert seen["class 7 in class 2"] == (20, [2, 2, 6, 6]), "two classes have changed"
PY
