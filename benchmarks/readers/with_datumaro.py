"""coco.json and cvat.xml by Datumaro: masks, and of CVAT the labels.

Its reader of CVAT fails at any mask within a track, where it looks for the size of an `<image>` that is not there. The
shapes are therefore put into images as they are, and the tracks of boxes are read by themselves.
"""

import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
height, width = expected["size"]
wanted = {(mask["frame"], mask["category"]): mask["rows"] for mask in expected["masks"]}


def masks_of(dataset: Dataset, frame_of) -> dict:
    names = [label.name for label in dataset.categories()[AnnotationType.label]]
    return {
        (frame_of(item), names[one.label]): [
            "".join(map(str, row)) for row in np.asarray(one.image).astype(int).tolist()
        ]
        for item in dataset
        for one in item.annotations
        if one.type == AnnotationType.mask
    }


def read_cvat(root: ElementTree.Element, place: Path) -> Dataset:
    (place / "images").mkdir(parents=True)
    for image in root.iter("image"):  # it asks whether they are there
        (place / "images" / image.attrib["name"]).touch()
    ElementTree.ElementTree(root).write(place / "annotations.xml")
    return Dataset.import_from(str(place / "annotations.xml"), "cvat")


with tempfile.TemporaryDirectory() as name:
    place = Path(name)
    (place / "coco" / "annotations").mkdir(parents=True)
    (place / "coco" / "images").mkdir()
    shutil.copy(folder / "coco.json", place / "coco" / "annotations" / "instances_all.json")
    coco = Dataset.import_from(str(place / "coco"), "coco_instances")
    got = masks_of(coco, lambda item: int(item.attributes["id"]))
    assert got == wanted, (sorted(got), sorted(wanted))

    root = ElementTree.parse(folder / "cvat.xml").getroot()
    for track in list(root.iter("track")):
        if track.find("mask") is None:
            continue
        root.remove(track)
        for shape in (shape for shape in track if shape.get("outside") == "0"):
            at = {
                "id": shape.attrib["frame"],
                "name": shape.attrib["frame"],
                "width": str(width),
                "height": str(height),
            }
            shape.set("label", track.attrib["label"])
            ElementTree.SubElement(root, "image", at).append(shape)
    images = masks_of(read_cvat(root, place / "masks"), lambda item: int(item.attributes["frame"]))
    assert images == wanted, (sorted(images), sorted(wanted))

    root = ElementTree.parse(folder / "cvat.xml").getroot()
    for track in [track for track in root.iter("track") if track.find("mask") is not None]:
        root.remove(track)
    boxes = read_cvat(root, place / "labels")
    names = [label.name for label in boxes.categories()[AnnotationType.label]]
    spans: dict = {}
    for item in boxes:
        for one in item.annotations:
            about = spans.setdefault(one.attributes["track_id"], {"category": names[one.label]})
            about["end" if one.attributes["outside"] else "start"] = int(item.attributes["frame"])
            about["verdict"] = str(one.attributes["verdict"]).lower()  # it takes true and false for truth values
    times = [*expected["times"], expected["end_s"]]
    read = [(times[s["start"]], times[s.get("end", -1)], s["category"], s["verdict"]) for s in spans.values()]
    labels = [tuple(label.values()) for label in expected["labels"]]
    assert sorted(read) == sorted(labels), (read, labels)
print(f"Datumaro {version('datumaro')}: {len(got)} masks of COCO, {len(images)} of CVAT, {len(labels)} labels of CVAT")
