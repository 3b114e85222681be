"""What other tools read of a result is what was found."""

import csv
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from pycocotools.coco import COCO

from lavida.cli.app import run
from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.export.formats import _holds_coco, write_export
from lavida.export.voxel51 import _without_media

SCORES = [0.1, 0.9, 0.8, 0.1, 0.1, 0.7, 0.1]
CATEGORIES = ("fire", 'a <b> & "c", d')


def blob(seed: int) -> np.ndarray:
    pixels = np.zeros((48, 64), bool)
    pixels[5 + seed : 30, 10 : 40 + seed] = True
    pixels[12:20, 15:25] = False  # a hole
    pixels[40:44, 2:6] = seed % 2 == 0
    return pixels


@pytest.fixture
def found(detection_of, tmp_path) -> Detection:
    masks = [
        Mask.from_pixels(blob(frame % 9), frame=frame, category=category, score=score)
        for frame, category, score in (
            (25, CATEGORIES[0], 0.9),
            (50, CATEGORIES[0], 0.8),
            (50, CATEGORIES[1], 0.6),
            (125, CATEGORIES[0], 0.7),
        )
    ]
    rows = np.array([[s, s * 0.6 if i == 2 else 0.05] for i, s in enumerate(SCORES)], np.float32)
    return detection_of(SCORES, stride=25, categories=CATEGORIES, category_scores=rows, candidates=masks)


def written(found: Detection, kind: str, tmp_path) -> str:
    write_export(found, kind, tmp_path / "out")
    return (tmp_path / "out").read_text(encoding="utf-8")


def test_pycocotools_reads_every_mask(found, tmp_path, capsys):
    written(found, "coco", tmp_path)
    read = COCO(str(tmp_path / "out"))
    names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
    got = {(each["image_id"], names[each["category_id"]]): each for each in read.loadAnns(read.getAnnIds())}
    assert got.keys() == {(mask.frame, mask.category) for mask in found.masks}
    for mask in found.masks:
        one = got[mask.frame, mask.category]
        assert (read.annToMask(one).astype(bool) == mask.pixels).all()
        assert (one["score"], tuple(one["bbox"]), one["area"]) == (mask.score, mask.box, mask.pixels.sum())
    images = read.loadImgs(read.getImgIds())
    assert [image["id"] for image in images] == found.sampled.tolist()
    assert [image["time_s"] for image in images] == found.times[found.sampled].tolist()
    assert [np.float32(image["score"]) for image in images] == found.sampled_scores.tolist()


def cvat_pixels(shape: dict[str, str]) -> np.ndarray:
    """As CVAT's documentation of the format has it: row by row within the box, the background first."""
    left, top, width, height = (int(shape[name]) for name in ("left", "top", "width", "height"))
    counts = [int(count) for count in shape["rle"].split(",")]
    pixels = np.zeros((48, 64), bool)
    values = [bool(i % 2) for i, count in enumerate(counts) for _ in range(count)]
    pixels[top : top + height, left : left + width] = np.reshape(values, (height, width))
    return pixels


def test_cvat_gets_a_track_for_each_stretch_and_its_pixels(found, tmp_path):
    root = ElementTree.fromstring(written(found, "cvat", tmp_path))
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iter("label")] == list(CATEGORIES)
    assert (root.findtext("meta/task/size"), root.findtext("meta/task/original_size/width")) == ("151", "64")
    tracks = [(track.get("label"), [shape.attrib for shape in track]) for track in root.iter("track")]
    shown = [(label, [(int(s["frame"]), s["outside"]) for s in shapes]) for label, shapes in tracks]
    assert shown == [
        (CATEGORIES[0], [(25, "0"), (50, "0"), (75, "1")]),
        (CATEGORIES[0], [(125, "0"), (150, "1")]),
        (CATEGORIES[1], [(50, "0"), (75, "1")]),
    ]
    got = {(int(s["frame"]), label): s for label, shapes in tracks for s in shapes if s["outside"] == "0"}
    for mask in found.masks:
        assert (cvat_pixels(got[mask.frame, mask.category]) == mask.pixels).all()


def test_label_studio_gets_boxes_and_events(found, tmp_path):
    (task,) = json.loads(written(found, "label-studio", tmp_path))
    assert task["data"] == {"video": "clip.mp4"}
    (prediction,) = task["predictions"]
    boxes = [each["value"] for each in prediction["result"] if each["type"] == "videorectangle"]
    got = {(one["frame"] - 1, value["labels"][0]): one for value in boxes for one in value["sequence"]}
    assert got.keys() == {(mask.frame, mask.category) for mask in found.masks}
    for mask in found.masks:
        one = got[mask.frame, mask.category]
        sides = [one[side] * size / 100 for side, size in zip(("x", "y", "width", "height"), (64, 48) * 2, strict=True)]
        assert sides == pytest.approx(mask.box)
        assert one["time"] == found.times[mask.frame]
    ranges = [each["value"] for each in prediction["result"] if each["type"] == "timelinelabels"]
    for value, event in zip(ranges, found.events(), strict=True):
        (stretch,) = value["ranges"]
        shown = found.times[stretch["start"] - 1 : stretch["end"]]  # counted from 1, the end within
        assert (shown[0], value["timelinelabels"]) == (event.start_s, [event.category])
        assert shown[-1] < event.end_s <= shown[-1] + 0.04 + 1e-9


def test_csv_and_vtt_have_the_events(found, tmp_path):
    events = found.events()
    assert len(events) == 2
    rows = list(csv.DictReader(written(found, "csv", tmp_path).splitlines()))
    for row, event in zip(rows, events, strict=True):
        numbers = [float(row[name]) for name in ("start_s", "end_s", "peak_s", "peak_score")]
        assert numbers == [event.start_s, event.end_s, event.peak_s, event.peak_score]
        assert (row["category"], tuple(float(row[side]) for side in "x y width height".split())) == (
            event.category,
            event.box,
        )
    header, *cues = written(found, "vtt", tmp_path).strip().split("\n\n")
    assert header == "WEBVTT"
    for cue, event in zip(cues, events, strict=True):
        _, times, text = cue.split("\n")
        ends = [60 * int(m) + float(s) for _, m, s in re.findall(r"(\d\d):(\d\d):(\d\d\.\d{3})", times)]
        assert ends == pytest.approx([event.start_s, event.end_s], abs=5e-4)
        assert text == f"{event.category} ({event.peak_score:.2f})"
    odd = Detection(**{**vars_of(found), "categories": (CATEGORIES[1], "x"), "candidates": [], "masks": []})
    assert 'a &lt;b&gt; &amp; "c", d (0.90)' in written(odd, "vtt", tmp_path)
    assert next(csv.DictReader(written(odd, "csv", tmp_path).splitlines()))["category"] == CATEGORIES[1]


def vars_of(found: Detection) -> dict:
    names = "info categories times sampled sampled_scores sampled_category_scores threshold"
    return {name: getattr(found, name) for name in names.split()}


def test_the_command_writes_any_of_them_at_any_threshold(found, tmp_path, capsys, picture_folder):
    result = found.save(tmp_path / "result", overlay=False)
    for kind in ("coco", "cvat", "label-studio", "csv", "vtt"):
        assert run(["export", str(result), "--to", kind, "--out", str(tmp_path / kind), "--threshold", "0.85"]) == 0
        masks = "" if kind in ("csv", "vtt") else "1 masks, "
        assert capsys.readouterr().out == f"{tmp_path / kind}: 1 events, {masks}threshold 0.85\n"
    assert len(json.loads((tmp_path / "coco").read_text())["annotations"]) == 1


def test_pictures_go_along_with_coco(detection_of, tmp_path, picture_folder, capsys):
    found = detection_of([0.1, 0.9, 0.1], stride=5, path=picture_folder, size=(47, 63))
    result = found.save(tmp_path / "result", overlay=False)
    assert run(["export", str(result), "--to", "coco", "--out", str(tmp_path / "out"), "--frames"]) == 0
    told = json.loads((tmp_path / "out" / "coco.json").read_text())["images"]
    assert [image["id"] for image in told] == [0, 5, 10]
    assert all((tmp_path / "out" / image["file_name"]).stat().st_size > 300 for image in told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "yolo"], "unknown format yolo: choose coco, cvat, label-studio, csv, vtt, fiftyone"),
        (["--to", "csv", "--frames"], "--frames belongs to coco, not to csv"),
        (["--to", "csv", "--threshold", "2"], "threshold 2.0 is out of range"),
    ],
)
def test_what_cannot_be_exported_is_one_line(found, tmp_path, capsys, arguments, said):
    result = found.save(tmp_path / "result", overlay=False)
    assert run(["export", str(result), *arguments, "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_refused_in_python_too(found, tmp_path):
    with pytest.raises(InputError, match="unknown format"):
        write_export(found, "yolo", tmp_path / "out")


def test_a_data_set_of_somebody_elses_is_not_replaced(tmp_path):
    """A common file name tells nothing."""
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "images").mkdir()
    for content in ('{"info": {"description": "my photos"}}', "{", "[]"):
        (tmp_path / "coco" / "coco.json").write_text(content)
        assert not _holds_coco(tmp_path / "coco")
    (tmp_path / "coco" / "coco.json").write_text('{"info": {"description": "x.mp4", "labels": []}}')
    assert _holds_coco(tmp_path / "coco")
    (tmp_path / "coco" / "notes.txt").touch()
    assert not _holds_coco(tmp_path / "coco")
    (tmp_path / "samples.json").touch()
    assert _without_media(tmp_path)
    (tmp_path / "data").mkdir()
    assert not _without_media(tmp_path)


class DataSet:
    """As much of FiftyOne's data set as is asked of it."""

    def __init__(self):
        self.samples, self.deleted = [], False
        DataSet.last = self

    def add_sample(self, sample):
        self.samples.append(sample)

    def export(self, export_dir, dataset_type, export_media):
        assert dataset_type == "FiftyOneDataset" and not export_media
        (Path(export_dir) / "samples.json").write_text("{}")

    def delete(self):
        self.deleted = True


class Sample(dict):
    def __init__(self, filepath):
        self.filepath, self.frames = filepath, {}


def test_fiftyone_is_told_frames_from_one_masks_in_their_boxes_and_events(found, tmp_path, monkeypatch):
    """With a stand-in for the package, which brings a database of its own."""
    kinds = ("VideoMetadata", "Frame", "Detections", "Detection", "TemporalDetections", "TemporalDetection")
    package = SimpleNamespace(
        Dataset=DataSet, Sample=Sample, types=SimpleNamespace(FiftyOneDataset="FiftyOneDataset"),
        **dict.fromkeys(kinds, SimpleNamespace),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "fiftyone", package)
    write_export(found, "fiftyone", tmp_path / "out", labels=())
    assert (tmp_path / "out" / "samples.json").is_file() and DataSet.last.deleted
    [sample] = DataSet.last.samples
    assert set(sample.frames) == {frame + 1 for frame in found.sampled.tolist()}
    first, second = sample.frames[51].masks.detections
    assert (first.label, second.label) == CATEGORIES
    mask = next(mask for mask in found.masks if mask.frame == 50)
    left, top, width, height = np.array(first.bounding_box) * [64, 48, 64, 48]
    assert (round(left), round(top), round(width), round(height)) == tuple(map(int, mask.box))
    np.testing.assert_array_equal(first.mask, mask.pixels[round(top) :, round(left) :][: round(height), : round(width)])
    events = found.events()
    assert [event.label for event in sample["events"].detections] == [event.category for event in events] != []
    assert "labels" not in sample
