import json
import pickle

import numpy as np
import pytest
from pycocotools import mask as coco_rle
from videos import HEIGHT, WIDTH, box_mask, meta_expressions, write_json, write_video

from lavida.errors import InputError
from lavida.exposure.datasets import load

CAT, DOG, BIRD = (0, 4, 0, 4), (6, 12, 0, 5), (0, 12, 10, 16)
SAID = [
    {"exp": "cat jumping", "obj_id": [0], "anno_id": [11]},
    {"exp": "animals moving away", "obj_id": [1, 0], "anno_id": [12, 11]},
    {"exp": "the one that jumps", "obj_id": [0], "anno_id": [11]},
    {"exp": "cat swimming", "obj_id": [], "anno_id": []},
]


def code(box):
    """A mask as the file stores it."""
    rle = coco_rle.encode(np.asfortranarray(box_mask(box).astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}


def masks():
    return {"11": [code(CAT), None, code(CAT)], "12": [code(DOG), code(DOG), None], "7": [code(BIRD)]}


@pytest.fixture
def root(tmp_path):
    for part, video, frames, said in (
        ("train", "v1", ["00000", "00001", "00002"], SAID),
        ("valid_u", "v2", ["00000"], [{"exp": "bird flying", "obj_id": [0], "anno_id": [7]}]),
    ):
        base = tmp_path / part
        write_json(base / "meta_expressions.json", meta_expressions({video: (frames, said)}))
        write_json(base / "mask_dict.json", masks())
        write_video(base / "JPEGImages", None, video, {frame: {} for frame in frames})
    return tmp_path


def test_masks_are_decoded_frame_by_frame_and_joined(root):
    clip = load("mevis", root, "train", clip_length=3)[0]
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    cat = np.stack([box_mask(CAT), nothing, box_mask(CAT)])
    dog = np.stack([box_mask(DOG), box_mask(DOG), nothing])
    assert set(clip.masks) == {"cat jumping", "animals moving away"} and clip.masks["cat jumping"].dtype == bool
    assert (clip.masks["cat jumping"] == cat).all()
    assert (clip.masks["animals moving away"] == cat | dog).all()
    assert clip.expressions == {"cat jumping": ("the one that jumps",)}
    assert clip.out_of_view == {"cat swimming"}


def test_each_frame_has_its_own_mask_and_may_be_empty(root):
    data = load("mevis", root, "train")
    assert [data[i].key for i in range(len(data))] == ["v1/00000", "v1/00001", "v1/00002"]
    assert not data[1].masks["cat jumping"].any()
    assert (data[1].masks["animals moving away"][0] == box_mask(DOG)).all()


def test_heldout_is_valid_u(root):
    data = load("mevis", root, "heldout")
    assert data.vocabulary == ("bird flying",) and data[0].masks["bird flying"].any()
    assert data.counts() == {"videos": 1} and data.counts().keys() == data.expected["heldout"].keys()


@pytest.mark.parametrize("indent", [None, 2])
def test_codes_may_hold_brackets_and_backslashes(root, indent):
    odd = coco_rle.frPyObjects({"size": [HEIGHT, WIDTH], "counts": [43, 44, 45, 60]}, HEIGHT, WIDTH)
    text = odd["counts"].decode("ascii")
    assert text.startswith("[1\\1]1")
    content = {"11": [{"size": [HEIGHT, WIDTH], "counts": text}, None, None], "12": masks()["12"]}
    (root / "train" / "mask_dict.json").write_text(json.dumps(content, indent=indent))
    data = load("mevis", root, "train")
    assert (data[0].masks["cat jumping"][0] == coco_rle.decode(odd)).all()
    assert (data[1].masks["animals moving away"][0] == box_mask(DOG)).all()


def test_a_loaded_set_can_be_sent_to_a_worker_process(root):
    data = load("mevis", root, "train")
    again = pickle.loads(pickle.dumps(data))
    assert (again[0].masks["cat jumping"] == data[0].masks["cat jumping"]).all()


def test_an_annotation_that_is_not_in_the_file_is_named(root):
    write_json(root / "train" / "mask_dict.json", {"11": masks()["11"]})
    with pytest.raises(InputError, match=r"annotation 12 of video v1 .*mask_dict.json"):
        load("mevis", root, "train")


def damaged():
    short, wide, garbled = masks(), masks(), masks()
    short["11"] = short["11"][:2]
    wide["11"][2]["size"] = [WIDTH, HEIGHT]
    garbled["11"][2]["counts"] = "PPPPPPPP"
    return [json.dumps(each) for each in (short, wide, garbled)] + [json.dumps({"12": [], "11": masks()["11"]})[:-30]]


@pytest.mark.parametrize("content", damaged())
def test_a_damaged_annotation_is_named_when_it_is_read(root, content):
    (root / "train" / "mask_dict.json").write_text(content)
    data = load("mevis", root, "train")
    with pytest.raises(InputError, match=r"annotation 1[12] of .*mask_dict.json"):
        data[2]


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]"])
def test_a_file_without_masks_is_an_input_error(root, content):
    (root / "train" / "mask_dict.json").write_text(content)
    with pytest.raises(InputError, match="mask_dict.json"):
        load("mevis", root, "train")


def test_lost_files_are_named(root):
    lost = root / "train" / "JPEGImages" / "v1" / "00001.jpg"
    lost.unlink()
    data = load("mevis", root, "train")
    files = list(data.files())
    assert files[0].name == "mask_dict.json" and len(files) == 4
    assert [path for path in files if not path.exists()] == [lost]
    with pytest.raises(InputError, match="00001.jpg"):
        data[1]
    (root / "train" / "mask_dict.json").unlink()
    with pytest.raises(InputError, match=r"mask_dict.json.*JPEGImages/<video>"):
        load("mevis", root, "train")
