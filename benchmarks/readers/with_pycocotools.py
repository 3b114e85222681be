"""coco.json by pycocotools: masks, boxes, areas, scores, categories."""

import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

from pycocotools.coco import COCO

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO(str(folder / "coco.json"))
names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
got = {(one["image_id"], names[one["category_id"]]): one for one in coco.loadAnns(coco.getAnnIds())}
assert len(got) == len(expected["masks"]) > 0
for mask in expected["masks"]:
    one = got[mask["frame"], mask["category"]]
    pixels = coco.annToMask(one)
    assert ["".join(map(str, row)) for row in pixels.tolist()] == mask["rows"]
    assert (one["bbox"], one["area"], one["score"]) == (mask["box"], pixels.sum(), mask["score"])
images = coco.loadImgs(coco.getImgIds())
assert [image["id"] for image in images] == expected["sampled"]
assert [image["time_s"] for image in images] == [expected["times"][frame] for frame in expected["sampled"]]
labels = [{name: label[name] for name in expected["labels"][0]} for label in coco.dataset["info"]["labels"]]
assert labels == expected["labels"]
print(f"pycocotools {version('pycocotools')}: {len(got)} masks, {len(images)} images, {len(labels)} labels")
