"""coco.json and cvat.xml by Datumaro: masks, and of CVAT the tracks with their verdicts."""

import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
height, width = expected["size"]
wanted = {(mask["frame"], mask["category"]): mask["rows"] for mask in expected["masks"]}


def rows(pixels: np.ndarray) -> list[str]:
    return ["".join(map(str, row)) for row in np.asarray(pixels).astype(int).tolist()]


with tempfile.TemporaryDirectory() as place:
    root = Path(place) / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    shutil.copy(folder / "coco.json", root / "annotations" / "instances_all.json")
    coco = Dataset.import_from(str(root), "coco_instances")
    names = [label.name for label in coco.categories()[AnnotationType.label]]
    got = {}
    for item in coco:
        for one in item.annotations:
            if one.type == AnnotationType.mask:
                got[int(item.attributes["id"]), names[one.label]] = rows(one.image)
    assert got == wanted, (sorted(got), sorted(wanted))

    cvat = Dataset.import_from(str(shutil.copy(folder / "cvat.xml", Path(place) / "cvat.xml")), "cvat")
    names = [label.name for label in cvat.categories()[AnnotationType.label]]
    masks, verdicts = {}, {}
    for item in cvat:
        frame = int(item.attributes.get("frame", item.id.split("_")[-1]))
        for one in item.annotations:
            if one.type == AnnotationType.mask and not one.attributes.get("outside"):
                masks[frame, names[one.label]] = rows(one.image)
            elif one.type == AnnotationType.bbox and one.attributes.get("verdict"):
                verdicts.setdefault((one.attributes["track_id"], names[one.label]), []).append(
                    (frame, str(one.attributes["verdict"]).lower(), one.attributes.get("outside"))
                )
    assert len(verdicts) == len(expected["labels"]), verdicts
    for (_, name), shapes in sorted(verdicts.items()):
        first = min(frame for frame, _, outside in shapes if not outside)
        assert any(
            label["category"] == name
            and label["verdict"] == shapes[0][1]
            and label["start_s"] == expected["times"][first]
            for label in expected["labels"]
        ), (name, shapes)
    lost = {key for key in wanted if masks.get(key) != wanted[key]}
    assert not masks or not lost, sorted(lost)
    what = (
        f"{len(masks)} masks and {len(verdicts)} labels of CVAT"
        if masks
        else f"{len(verdicts)} labels of CVAT (it reads no masks there)"
    )
print(f"Datumaro {version('datumaro')}: {len(got)} masks of COCO, {what}")
