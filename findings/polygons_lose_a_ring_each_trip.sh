#!/usr/bin/env bash
# OpenCV and pycocotools: mask to polygon to mask takes a row and a column off the object on every trip.
#
# Expected  The polygon that `findContours` gives for a mask, drawn again, is that mask.
# Happens   OpenCV's points are centres of border pixels, which count as inside; COCO's are corners in a plane where a
#           pixel is a square. The same square polygon has 25 pixels in cv2.fillPoly, Pillow and scikit-image, and 16
#           in pycocotools; `contourArea` says 16 of 25, too. 10x10 pixels are 9x9 after one trip, 4x4 after six; a
#           line or a dot is gone after the first.
# Matters   Converters do this (mask -> COCO polygon -> mask): small, distant people shrink by a third, IoU of a perfect
#           answer is under 1, and thin objects leave the ground truth. Keep run lengths, or shift the points outward.
# Source    github.com/cocodataset/cocoapi/issues/658; OpenCV docs of contourArea (not the pixels drawn)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  pycocotools==2.0.11 opencv-python-headless==5.0.0.93 scikit-image==0.26.0 pillow==11.3.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from skimage.draw import polygon2mask

print(*(f"{name} {version(name)}" for name in ("pycocotools", "opencv-python-headless", "scikit-image", "pillow")))
SIZE = 40
corners = np.array([[2, 2], [6, 2], [6, 6], [2, 6]])


def with_opencv(points):
    return cv2.fillPoly(np.zeros((SIZE, SIZE), np.uint8), [points], 1)


def with_pillow(points):
    picture = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(picture).polygon([tuple(point) for point in points.tolist()], fill=1)
    return np.asarray(picture)


def with_skimage(points):
    return polygon2mask((SIZE, SIZE), points[:, ::-1])


def with_coco(*polygons):
    return coco.decode(coco.merge(coco.frPyObjects([points.ravel().tolist() for points in polygons], SIZE, SIZE)))


drawn = [int(draw(corners).sum()) for draw in (with_opencv, with_pillow, with_skimage, with_coco)]
area = cv2.contourArea(corners)
print(f"one square polygon: OpenCV, Pillow, scikit-image, pycocotools {drawn} pixels, contourArea {area}")


def trips(mask, count=6):
    pixels = [int(mask.sum())]
    for _ in range(count):
        found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        polygons = [points[:, 0].astype(float) for points in found if len(points) > 2]
        mask = with_coco(*polygons) if polygons else np.zeros_like(mask)
        pixels.append(int(mask.sum()))
    return pixels


square, line = np.zeros((2, SIZE, SIZE), np.uint8)
square[10:20, 10:20] = 1
line[5, 5:35] = 1
seen = trips(square), trips(line, 1)
print(f"pixels after each trip: square {seen[0]}, line {seen[1]}")

assert (drawn, area) == ([25, 25, 25, 16], 16.0), "one polygon has changed"
assert seen == ([100, 81, 64, 49, 36, 25, 16], [30, 0]), "the trips have changed"
PY
