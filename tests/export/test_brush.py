"""Masks of pictures in Label Studio's brush: what its own decoder reads is what was found."""

import json

import numpy as np
import pytest

from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.export.brush import encoded
from lavida.export.formats import write_export
from lavida.export.labels import EventLabel
from lavida.export.readback import read_export


def decoded(rle: list[int], height: int, width: int) -> np.ndarray:
    """As the format is documented: bits of numbers, runs of values; the last channel of four is the mask."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    place = 0

    def number(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    length, word = number(32), number(5) + 1
    sizes = [number(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < length:
        repeats = number(1)
        count = number(sizes[number(2)]) + 1
        values += [number(word)] * count if repeats else [number(word) for _ in range(count)]
    assert set(bits[place:]) <= {"0"}
    assert len(bits) - place < 8
    channels = np.array(values, np.uint8).reshape(height, width, 4)
    assert (channels == channels[..., :1]).all()
    return channels[..., 3]


def shapes() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    large = np.zeros((300, 400), bool)  # runs of more than 2**16
    large[150, 200:] = True
    large[151:] = True
    return {
        "blob": np.pad(np.ones((5, 9), bool), ((3, 40), (2, 53))),
        "noise": random.random((48, 64)) < 0.5,
        "empty": np.zeros((3, 4), bool),
        "full": np.ones((7, 5), bool),
        "one": np.eye(2, dtype=bool),
        "large": large,
    }


@pytest.mark.parametrize("name", shapes())
def test_a_mask_comes_back_equal(name):
    pixels = shapes()[name]
    assert (decoded(encoded(pixels), *pixels.shape) == 255 * pixels).all()


@pytest.mark.parametrize("name", shapes())
def test_label_studios_own_decoder_reads_it(name):
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    pixels = shapes()[name]
    values = brush.decode_rle(encoded(pixels)).reshape(*pixels.shape, 4)
    assert (values[..., 3] == 255 * pixels).all()


@pytest.fixture
def found(detection_of, picture_folder) -> Detection:
    scores = [0.1, 0.9, 0.8, *[0.1] * 8, 0.7]
    masks = []
    for frame, category in ((1, "fire"), (2, "fire"), (2, "smoke"), (11, "fire")):
        pixels = np.zeros((47, 63), bool)
        pixels[5 : 20 + frame, 10:40] = True
        pixels[8:12, 15:25] = category == "fire"
        masks.append(Mask.from_pixels(pixels, frame=frame, category=category, score=scores[frame]))
    categories = ("fire", "smoke")
    given = {"path": picture_folder, "size": (47, 63), "categories": categories, "candidates": masks, "fps": 1.0}
    return detection_of(scores, **given)


def test_each_picture_is_a_task_with_its_masks(found, tmp_path):
    write_export(found, "label-studio", tmp_path / "out.json")
    tasks = json.loads((tmp_path / "out.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [f"{index}.png" for index in range(12)]  # in natural order
    got = {}
    for frame, task in enumerate(tasks):
        (prediction,) = task["predictions"]
        assert np.float32(prediction["score"]) == found.sampled_scores[frame]
        for region in prediction["result"]:
            assert (region["type"], region["original_width"], region["original_height"]) == ("brushlabels", 63, 47)
            (category,) = region["value"]["brushlabels"]
            got[frame, category] = decoded(region["value"]["rle"], 47, 63) > 0
    assert got.keys() == {(mask.frame, mask.category) for mask in found.masks}
    for mask in found.masks:
        assert (got[mask.frame, mask.category] == mask.pixels).all()


def test_a_single_picture_is_one_task(detection_of, tmp_path):
    found = detection_of([0.9], path="street.JPG")
    write_export(found, "label-studio", tmp_path / "out.json")
    (task,) = json.loads((tmp_path / "out.json").read_text())
    assert task["data"] == {"image": "street.JPG"}
    animation = detection_of([0.9, 0.1], path="street.gif")  # several frames: a video to Label Studio
    write_export(animation, "label-studio", tmp_path / "out.json")
    (task,) = json.loads((tmp_path / "out.json").read_text())
    assert task["data"] == {"video": "street.gif"}


def test_labels_travel_and_what_is_painted_comes_back(found, tmp_path):
    (event, _) = found.events(min_length_s=0.0)
    label = EventLabel(start_s=event.start_s, end_s=event.end_s, category="fire", verdict="false", threshold=0.5)
    out = tmp_path / "out.json"
    write_export(found, "label-studio", out, labels=[label])
    assert read_export(out, "label-studio", found) == [label]
    tasks = json.loads(out.read_text())
    for number, task in enumerate(tasks):  # as Label Studio names uploads, and numbers what it exports
        task |= {"id": 70 + number, "data": {"image": f"/data/upload/3/1a2b3c4d-{task['data']['image']}"}}
    fire = {"type": "brushlabels", "value": {"format": "rle", "rle": [], "brushlabels": ["fire"]}}
    box = {"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["smoke"]}}
    tasks[1]["annotations"] = [{"result": []}, {"result": [fire]}]
    tasks[2]["annotations"] = [{"result": [fire]}, {"result": [box], "was_cancelled": True}]
    tasks[11]["annotations"] = [{"result": [box]}]
    out.write_text(json.dumps(tasks))
    got = read_export(out, "label-studio", found)
    said = {(each.category, each.start_s, each.end_s, each.verdict) for each in got}
    assert ("fire", 1.0, 3.0, "true") in said
    assert ("smoke", 11.0, 12.0, "missed") in said


def test_without_an_annotation_nothing_is_said(found, tmp_path):
    write_export(found, "label-studio", tmp_path / "out.json")
    with pytest.raises(InputError, match="no annotation in"):
        read_export(tmp_path / "out.json", "label-studio", found)
