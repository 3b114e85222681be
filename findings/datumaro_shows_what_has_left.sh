#!/usr/bin/env bash
# Datumaro: what has left the picture in CVAT is present in YOLO, COCO and MOT, and frames without objects are gone.
#
# Expected  CVAT ends a track with a shape `outside="1"` ("not visible from here on"); a converter leaves that one out.
#           Frames without an object stay, with no annotation.
# Happens   Datumaro reads the shape as a box like the others, with an attribute that YOLO and MOT cannot hold: the last
#           frame of every track has a label where nobody is. Of 10 frames with pictures it knows only those that a
#           track touches, 6; the empty ones are no negatives, they are not there.
# Matters   One false label at each end of a track teaches a detector empty street as "person" and counts as a miss when
#           measured. Drop `outside` yourself before the export, and add the empty frames.
# Source    docs.cvat.ai/docs/other/xml_format; found here in datumaro's `cvat` importer
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0
cd "$folder"
venv/bin/python - <<'PY'
import json
import logging
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datumaro import Dataset
from PIL import Image

logging.disable(logging.WARNING)
print(f"Datumaro {version('datumaro')}")
BOX = '<box frame="{}" outside="{}" occluded="0" keyframe="1" xtl="{}" ytl="10" xbr="{}" ybr="50" z_order="0"></box>'
boxes = [BOX.format(number, int(number == 5), 10 + 20 * number, 30 + 20 * number) for number in range(6)]
Path("cvat/images").mkdir(parents=True)
Path("cvat/annotations.xml").write_text(f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><size>10</size><mode>interpolation</mode><start_frame>0</start_frame><stop_frame>9</stop_frame>
<labels><label><name>person</name><attributes></attributes></label></labels>
<original_size><width>160</width><height>120</height></original_size></task></meta>
<track id="0" label="person">{"".join(boxes)}</track>
</annotations>""")
for number in range(10):
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(f"cvat/images/frame_{number:06d}.png")

dataset = Dataset.import_from("cvat", "cvat")
for form in ("yolo", "coco_instances", "mot_seq_gt"):
    dataset.export(form, form)
yolo = {path.stem: path.read_text().splitlines() for path in sorted(Path("yolo").glob("obj_*/*.txt"))}
coco = json.loads(next(Path("coco_instances/annotations").glob("*.json")).read_text())
mot = Path("mot_seq_gt/gt/gt.txt").read_text().splitlines()
print(f"frame_000005 (outside): YOLO {yolo['frame_000005']}, COCO box {coco['annotations'][-1]['bbox']}, MOT {mot[-1]}")
print(f"frames of 10: YOLO {len(yolo)}, COCO {len(coco['images'])}")

assert yolo["frame_000005"] == ["0 0.750000 0.250000 0.125000 0.333333"], "YOLO has changed"
assert [box["bbox"][0] for box in coco["annotations"]] == [10, 30, 50, 70, 90, 110], "COCO has changed"
assert len(mot) == 6, "MOT has changed"
assert (len(yolo), len(coco["images"])) == (6, 6), "empty frames have changed"
PY
