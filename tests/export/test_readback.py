"""What people say of a result goes out with every format and comes back equal; what they change there comes back."""

import csv
import json
import sys
from dataclasses import asdict
from xml.etree import ElementTree

import numpy as np
import pytest

from lavida.cli.app import run
from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.export.formats import FORMATS, write_export
from lavida.export.labels import EventLabel, label_of, read_labels, write_labels
from lavida.export.readback import read_export

SCORES = [0.1, 0.9, 0.9, 0.1, 0.1, 0.7, 0.7, 0.1, 0.1]  # events from 1 s and from 5 s on
CATEGORIES = ("fire", "a <b> & c, d")


COCO = """{"images": [{"id": 1, "file_name": "clip-FRAME.jpg"}], "categories": [{"id": 1, "name": "fire"}],
 "annotations": [{"image_id": 1, "category_id": 1}]}"""
LABEL = '{"info": {"labels": [{"start_s": START, "end_s": 1, "category": "fire", "verdict": "true"}]}}'
SPAN = """[{"data": {}, "annotations": [{"result": [{"type": "timelinelabels",
 "value": {"ranges": [{"start": FIRST, "end": 20}], "timelinelabels": ["fire"]}}]}]}]"""
SAMPLE = """{"samples": [{"filepath": "clip.mp4",
 "labels": {"detections": [{"label": "fire", "support": [FIRST, 20]}]}}]}"""


@pytest.fixture
def found(detection_of) -> Detection:
    pixels = np.zeros((48, 64), bool)
    pixels[5:30, 10:40] = True
    masks = [
        Mask.from_pixels(pixels, frame=frame, category=CATEGORIES[kind], score=0.8)
        for frame, kind in ((25, 0), (50, 0), (125, 1), (150, 1))
    ]
    rows = np.zeros((9, 2), np.float32)
    rows[:4, 0], rows[4:, 1] = SCORES[:4], SCORES[4:]
    return detection_of(SCORES, stride=25, categories=CATEGORIES, category_scores=rows, candidates=masks)


@pytest.fixture
def labels(found) -> list[EventLabel]:
    fire, other = found.events()
    said = {"threshold": 0.5}
    return [
        EventLabel(start_s=fire.start_s, end_s=fire.end_s, category="fire", verdict="true", peak_score=0.9, **said),
        EventLabel(start_s=3.2, end_s=4.0, category="fire", verdict="missed"),
        EventLabel(
            start_s=other.start_s, end_s=other.end_s, category=CATEGORIES[1], verdict="false", peak_score=0.7, **said
        ),
        EventLabel(start_s=7.0, end_s=found.end_s, category="fire", verdict="missed"),
    ]


@pytest.mark.parametrize("kind", FORMATS)
def test_labels_come_back_from_each_format(found, labels, tmp_path, kind):
    write_export(found, kind, tmp_path / "out", labels=labels)
    got = read_export(tmp_path / "out", kind, found)
    key = {"coco": asdict, "csv": asdict}.get(kind, lambda label: (label.category, label.verdict))
    assert [key(label) for label in sorted(got, key=lambda label: label.start_s)] == [key(label) for label in labels]
    for one, other in zip(sorted(got, key=lambda label: label.start_s), labels, strict=True):
        assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s), abs=6e-4)


@pytest.mark.parametrize("kind", ["coco", "cvat"])
def test_masks_without_verdicts_are_the_truth(found, tmp_path, kind):
    write_export(found, kind, tmp_path / "out")
    fire, other = found.events()
    at = {each.verdict: each for each in read_export(tmp_path / "out", kind, found)}
    assert set(at) == {"true"}
    text = (tmp_path / "out").read_text()
    if kind == "coco":
        told = json.loads(text)
        gone = told["annotations"].pop(0)["category_id"], told["annotations"].pop(0)["category_id"]
        assert gone == (1, 1)
        told["annotations"].append(told["annotations"][0] | {"image_id": 200})
        for image in told["images"]:  # as tools that number anew
            image["id"] += 7000
        for each in told["annotations"]:
            each["image_id"] += 7000
        (tmp_path / "out").write_text(json.dumps(told))
    else:
        root = ElementTree.fromstring(text)
        root.remove(root.find("track[@label='fire']"))
        late = ElementTree.SubElement(root, "track", label=CATEGORIES[1])
        ElementTree.SubElement(late, "box", frame="200", outside="0")
        (tmp_path / "out").write_text(ElementTree.tostring(root, encoding="unicode"))
    got = read_export(tmp_path / "out", kind, found)
    assert [(each.category, each.verdict) for each in got] == [
        ("fire", "false"),
        (CATEGORIES[1], "true"),
        (CATEGORIES[1], "missed"),
    ]
    assert (got[0].start_s, got[0].end_s, got[1].start_s) == (fire.start_s, fire.end_s, other.start_s)
    assert (got[2].start_s, got[2].end_s) == (8.0, found.end_s)


@pytest.mark.parametrize("shape", ["box", "polygon", "mask", "tag"])
@pytest.mark.parametrize("name", ["", "frame_{:06d}", "images/clip-{:07d}.jpg"])
def test_pictures_of_cvat_for_images_are_the_truth(found, tmp_path, shape, name):
    root = ElementTree.Element("annotations")
    for frame in (25, 50, 200):
        image = ElementTree.SubElement(root, "image", id=str(7 if name else frame), name=name.format(frame))
        ElementTree.SubElement(image, shape, label="fire", points="1,1;2,2;3,1")
    ElementTree.SubElement(root, "image", id="125", name="frame_000125")  # nothing is marked there
    (tmp_path / "in").write_text(ElementTree.tostring(root, encoding="unicode"))
    got = read_export(tmp_path / "in", "cvat", found)
    fire, other = found.events()
    assert [(each.category, each.verdict, each.start_s, each.end_s) for each in got] == [
        ("fire", "true", fire.start_s, fire.end_s),
        (CATEGORIES[1], "false", other.start_s, other.end_s),
        ("fire", "missed", 8.0, found.end_s),
    ]
    for box in root.iter(shape):
        ElementTree.SubElement(box, "attribute", name="verdict").text = "false"
    (tmp_path / "in").write_text(ElementTree.tostring(root, encoding="unicode"))
    said = [(each.verdict, each.start_s) for each in read_export(tmp_path / "in", "cvat", found)]
    assert said == [("false", 1.0), ("false", 8.0)]


@pytest.mark.parametrize("verdict", [None, "false"])
def test_what_leaves_the_picture_of_cvat_and_comes_back_is_two_labels(found, tmp_path, verdict):
    root = ElementTree.fromstring("<annotations><meta/></annotations>")
    track = ElementTree.SubElement(root, "track", label="smoke")
    for frame, outside in ((10, "0"), (30, "0"), (31, "1"), (40, "1"), (200, "0"), (210, "0")):
        shape = ElementTree.SubElement(track, "box", frame=str(frame), outside=outside)
        if verdict and frame == 10:
            ElementTree.SubElement(shape, "attribute", name="verdict").text = verdict
    (tmp_path / "in").write_text(ElementTree.tostring(root, encoding="unicode"))
    got = read_export(tmp_path / "in", "cvat", found)
    said = [(each.start_s, each.end_s, each.verdict) for each in got if each.category == "smoke"]
    assert said == [(0.4, 1.24, verdict or "missed"), (8.0, found.end_s, verdict or "missed")]


def test_a_video_of_cvat_in_which_all_was_removed_says_that_nothing_is_true(found, tmp_path):
    write_export(found, "cvat", tmp_path / "in")
    root = ElementTree.parse(tmp_path / "in").getroot()
    for track in root.findall("track"):
        root.remove(track)
    (tmp_path / "in").write_text(ElementTree.tostring(root, encoding="unicode"))
    assert [each.verdict for each in read_export(tmp_path / "in", "cvat", found)] == ["false", "false"]


@pytest.mark.parametrize(
    "name",
    [
        "clip-0000050.jpg",
        "images/clip-0000050_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",
        "3f9c-clip-0000050.png",
        "frame50.png",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",  # which tells nothing
    ],
)
def test_frames_of_coco_are_told_by_names_and_not_by_hashes(found, tmp_path, name):
    told = {
        "images": [{"id": 50 if name.startswith("0a") else 3, "file_name": name}],
        "annotations": [{"image_id": 50 if name.startswith("0a") else 3, "category_id": 1}],
        "categories": [{"id": 1, "name": "fire"}],
    }
    (tmp_path / "in.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(told).encode())  # as Windows writes it
    marked, _ = read_export(tmp_path / "in.json", "coco", found)
    assert (marked.verdict, marked.start_s) == ("true", found.events()[0].start_s)


def test_frames_of_coco_are_told_by_the_pictures_of_the_result(detection_of, picture_folder, tmp_path):
    for index in range(12):
        (picture_folder / f"{index}.png").rename(picture_folder / f"cam_{100 + index}.png")
    scores = [0.1] * 3 + [0.9] * 6 + [0.1] * 3
    result = detection_of(scores, path=picture_folder, size=(47, 63))
    told = {
        "images": [{"id": 1, "file_name": "cam_105.png"}],
        "annotations": [{"image_id": 1, "category_id": 1}],
        "categories": [{"id": 1, "name": "fire"}],
    }
    (tmp_path / "in.json").write_text(json.dumps(told))
    (label,) = read_export(tmp_path / "in.json", "coco", result)
    assert label.verdict == "true"


def test_a_byte_order_mark_is_no_part_of_what_is_read(found, labels, tmp_path):
    for kind in FORMATS:
        write_export(found, kind, tmp_path / kind, labels=labels)
        plain = read_export(tmp_path / kind, kind, found)
        (tmp_path / kind).write_bytes(b"\xef\xbb\xbf" + (tmp_path / kind).read_bytes())
        assert read_export(tmp_path / kind, kind, found) == plain
    result = found.save(tmp_path / "result", overlay=False)
    write_labels(labels, result)
    (result / "labels.json").write_bytes(b"\xef\xbb\xbf" + (result / "labels.json").read_bytes())
    assert read_labels(result) == labels


def test_verdicts_filled_into_a_table_are_read_and_empty_ones_are_not(found, tmp_path):
    write_export(found, "csv", tmp_path / "a.csv")
    with pytest.raises(InputError, match="no verdict in .*a.csv: say true, false, missed in its column verdict"):
        read_export(tmp_path / "a.csv", "csv", found)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    rows[1]["verdict"] = "False"
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (label,) = read_export(tmp_path / "a.csv", "csv", found)
    assert (label.verdict, label.category) == ("false", CATEGORIES[1])
    (tmp_path / "own.csv").write_text("start_s,end_s,category\n1.1,2.5,fire\n3,4,fire\n")
    told = [(each.start_s, each.verdict) for each in read_export(tmp_path / "own.csv", "csv", found)]
    events = found.events()
    assert told == [(events[0].start_s, "true"), (3.0, "missed"), (events[1].start_s, "false")]


def test_subtitles_and_regions_that_people_write_are_read(found, labels, tmp_path):
    (tmp_path / "a.vtt").write_text("WEBVTT\n\nNOTE mine\n\n00:03.200 --> 00:04.000 align:left\nfire\n")
    told = [(each.start_s, each.verdict) for each in read_export(tmp_path / "a.vtt", "vtt", found)]
    assert told == [(found.events()[0].start_s, "false"), (3.2, "missed"), (found.events()[1].start_s, "false")]
    write_export(found, "label-studio", tmp_path / "a.json", labels=labels[:1])
    tasks = json.loads((tmp_path / "a.json").read_text())
    drawn = {"ranges": [{"start": 81, "end": 100}], "timelinelabels": ["fire"]}
    tasks[0]["annotations"][0]["result"].append({"type": "timelinelabels", "value": drawn})
    (tmp_path / "a.json").write_text(json.dumps(tasks))
    got = read_export(tmp_path / "a.json", "label-studio", found)
    assert [(each.verdict, each.start_s, each.end_s) for each in got] == [
        ("true", labels[0].start_s, labels[0].end_s),
        ("missed", 3.2, 4.0),
    ]


def test_fiftyones_own_folder_is_read(found, tmp_path):
    events = [{"label": "fire", "support": [81, 100]}, {"label": "fire", "support": [26, 60]}]
    samples = [{"filepath": "data/clip.mp4", "events": {"detections": events}}]
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples}))
    got = read_export(tmp_path, "fiftyone", found)
    assert [(each.category, each.verdict) for each in got] == [
        ("fire", "true"),
        ("fire", "missed"),
        (CATEGORIES[1], "false"),
    ]


def test_a_fiftyone_dataset_comes_back(found, labels, tmp_path):
    fiftyone = pytest.importorskip("fiftyone")
    try:
        fiftyone.Dataset().delete()
    except Exception as error:
        pytest.skip(f"FiftyOne's database does not start: {type(error).__name__}")
    write_export(found, "fiftyone", tmp_path / "out", labels=labels)
    got = read_export(tmp_path / "out", "fiftyone", found)
    assert [(each.category, each.verdict) for each in got] == [(each.category, each.verdict) for each in labels]


def test_without_fiftyone_it_says_so(found, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    result = found.save(tmp_path / "result", overlay=False)
    assert run(["export", str(result), "--to", "fiftyone", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "lavida: FiftyOne is not installed: pip install fiftyone\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("yolo", "", "unknown format yolo: choose coco, cvat, label-studio, fiftyone, csv, vtt"),
        ("csv", "a,b\n1,2\n", "no column category in"),
        ("csv", "start_s,end_s,category\n", "no row in"),
        ("csv", "start_s,end_s,category,verdict\n0,1,fire\n", "no verdict in"),
        ("vtt", "WEBVTT\n\nNOTE nothing\n", "no cue in"),
        ("csv", "start_s,end_s,category\n2,1,fire\n", "the end comes after the start"),
        ("csv", "start_s,end_s,category\nx,1,fire\n", "cannot be read as csv"),
        ("vtt", "1\n00:01.000 --> 00:02.000\nfire\n", "cannot be read as vtt"),
        ("coco", "{", "cannot be read as coco"),
        ("cvat", "<annotations><track label='a'><box frame='900' outside='0'/></track></annotations>", "another one?"),
        ("cvat", "<annotation><object><name>fire</name></object></annotation>", "no <track> and no <image> in"),
        ("cvat", "<annotations><image id='900' name='a'><box label='fire'/></image></annotations>", "another one?"),
        ("coco", COCO.replace("FRAME", "0000900"), "frame 900 is not in the video: is the file about another one?"),
        ("csv", "start_s,end_s,category\n100,200,fire\n", ": a label from 100 to 200 s is not all in"),
        ("csv", "start_s,end_s,category\n1,200,fire\n", "is not all in the video, which ends after"),
        ("vtt", "WEBVTT\n\n05:01.000 --> 05:02.000\nfire\n", "is it about another one?"),
        # of wrong types: what no tool writes, but a hand or another program
        ("coco", LABEL.replace("START", '"0"'), "a label from 0 to 1 s: times are seconds"),
        ("coco", LABEL.replace("START", "null"), "a label from None to 1 s: times are seconds"),
        ("coco", LABEL.replace("START", "1" * 400), "times are seconds"),
        ("coco", LABEL.replace('"fire"', "5").replace("START", "0"), "it says no words"),
        ("coco", LABEL.replace("START", "NaN"), "a label from nan to 1 s: times are seconds"),
        ("coco", "[" * 100_000, "cannot be read as coco"),
        ("csv", "start_s,end_s,category\n0,1\n", "it says no words"),
        ("csv", f"start_s,end_s,category\n0,1,{'x' * 200_000}\n", "cannot be read as csv"),
        ("csv", "start_s,end_s,category,verdict,threshold\n0,1,fire,true,7\n", "lies between 0 and 1, not 7.0"),
        ("csv", "start_s,end_s,category,verdict,peak_score\n0,1,fire,true,nan\n", "lies from 0 to 1, not nan"),
        ("cvat", '<?xml version="1.0" encoding="bogus"?><annotations/>', "cannot be read as cvat"),
        ("label-studio", SPAN.replace("FIRST", "1e999"), "cannot be read as label-studio"),
        ("fiftyone", SAMPLE.replace('"fire"', "null").replace("FIRST", "1"), "it says no words"),
        ("fiftyone", SAMPLE.replace("FIRST", "1e999"), "cannot be read as fiftyone"),
        ("label-studio", '[{"data": {}, "annotations": []}]', "no annotation in"),
        ("fiftyone", '{"samples": [{"filepath": "a.mp4"}]}', "no temporal detections named labels or events"),
    ],
)
def test_what_cannot_be_imported_is_one_line(found, tmp_path, capsys, kind, text, said):
    result = found.save(tmp_path / "result", overlay=False)
    (tmp_path / "in").write_text(text)
    assert run(["import", str(tmp_path / "in"), "--from", kind, "--result", str(result)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (result / "labels.json").exists()


def test_the_commands_take_labels_along_and_a_new_run_keeps_them(found, labels, tmp_path, capsys):
    result = found.save(tmp_path / "result", overlay=False)
    write_labels(labels, result)
    assert run(["export", str(result), "--to", "csv", "--out", str(tmp_path / "a.csv")]) == 0
    assert capsys.readouterr().out.endswith("threshold 0.5, 4 labels\n")
    (result / "labels.json").unlink()
    assert run(["import", str(tmp_path / "a.csv"), "--from", "csv", "--result", str(result)]) == 0
    assert capsys.readouterr().out == f"{result / 'labels.json'}: 1 true, 1 false, 2 missed\n"
    assert read_labels(result) == labels
    found.save(result, overlay=False)
    assert read_labels(result) == labels
    label = '{"start_s": 0, "end_s": 1, "category": "fire", "verdict": "true"}'
    wrong = [label.replace(*change) for change in (("1", "9" * 400), ('"fire"', "null"), ("0", "NaN"), ("1", "900"))]
    wrong += [label.replace("}", more) for more in (', "threshold": 9}', ', "peak_score": Infinity}')]
    for damaged in (
        '[{"start_s": 1}]',
        "[1]",
        '{"start_s": 1}',
        "1",
        "[",
        "[" * 100_000,
        *(f"[{each}]" for each in wrong),
    ):
        (result / "labels.json").write_text(damaged)
        assert run(["export", str(result), "--to", "csv", "--out", str(tmp_path / "a.csv")]) == 2
        assert "the labels cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["candidates.json.gz", "analysis.npz", "run.json", "frames.parquet"])
def test_a_result_with_damaged_bytes_is_one_line(found, tmp_path, name):
    place = found.save(tmp_path / "result", overlay=False) / name
    whole = place.read_bytes()
    refused = 0
    for at in range(0, len(whole), 7):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            Detection.load(place.parent)
        except InputError as error:
            refused += "the result is damaged" in str(error)
    assert refused > 10
    place.write_bytes(b"[" * 100_000)
    with pytest.raises(InputError, match="the result is damaged"):
        Detection.load(place.parent)


def test_a_label_is_that_of_the_event_it_lies_on_most(found, labels):
    whole = EventLabel(start_s=0.0, end_s=9.0, category="fire", verdict="false")
    assert label_of(found.events()[0], [whole, *labels]) == labels[0]
    assert label_of(found.events()[0], [whole]) == whole
    assert label_of(found.events()[1], labels[:1]) is None
