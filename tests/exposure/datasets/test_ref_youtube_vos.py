import pytest
from videos import box_mask, meta_expressions, write_json, write_labels, write_video

from lavida.errors import InputError
from lavida.exposure.datasets import load

MAN, DOG, BOY = (0, 4, 0, 4), (6, 12, 0, 5), (0, 12, 10, 16)
FRAMES = {"00000": {1: MAN, 2: DOG, 3: BOY}, "00005": {2: DOG}}
SAID = [
    {"exp": "a man on the  left ", "obj_id": "1"},
    {"exp": "a dog running", "obj_id": "2"},
    {"exp": "a person", "obj_id": "1"},
    {"exp": "the man", "obj_id": "1"},
    {"exp": "a person", "obj_id": "3"},
]


@pytest.fixture
def root(tmp_path):
    """Twenty-one videos; only v01 has more than one object and frame."""
    train = tmp_path / "train"
    said = {f"v{i:02d}": (["00000"], [{"exp": f"thing {i}", "obj_id": "1"}]) for i in range(21)}
    said["v01"] = (list(FRAMES), SAID)
    write_json(tmp_path / "meta_expressions" / "train" / "meta_expressions.json", meta_expressions(said))
    categories = {"1": "person", "2": "dog", "3": "person", "4": "others"}
    objects = {number: {"category": category, "frames": list(FRAMES)} for number, category in categories.items()}
    write_json(train / "meta.json", {"videos": {"v01": {"objects": objects}}})
    for video in said:
        frames = FRAMES if video == "v01" else {"00000": {1: DOG}}
        write_video(train / "JPEGImages", train / "Annotations", video, frames)
    return tmp_path


def test_the_first_text_of_an_object_names_its_mask(root):
    sample = load("ref_youtube_vos", root, "train")[0]
    assert sample.key == "v01/00000"
    assert (sample.masks["a man on the left"][0] == box_mask(MAN)).all()
    assert (sample.masks["a dog running"][0] == box_mask(DOG)).all()
    assert (sample.masks["a person"][0] == box_mask(MAN) | box_mask(BOY)).all()  # said of both
    assert sample.expressions == {"a man on the left": ("the man",)}


def test_categories_of_the_objects_are_never_called_absent(root):
    sample = load("ref_youtube_vos", root, "train")[0]
    assert set(sample.masks) == {"a man on the left", "a dog running", "a person", "person", "dog"}
    assert not sample.masks["person"].any() and not sample.masks["dog"].any()


def test_an_object_out_of_sight_stays_listed(root):
    clip = load("ref_youtube_vos", root, "train", clip_length=2)[0]
    assert clip.masks["a man on the left"].any(axis=(1, 2)).tolist() == [True, False]
    assert not load("ref_youtube_vos", root, "train")[1].masks["a man on the left"].any()


def test_the_same_videos_as_in_youtube_vos_are_held_out(root):
    heldout = load("ref_youtube_vos", root, "heldout")
    assert heldout.vocabulary == ("thing 0", "thing 20") and heldout.counts() == {"videos": 2}
    assert load("ref_youtube_vos", root, "train").counts() == {"videos": 19}
    assert heldout.counts().keys() == heldout.expected["heldout"].keys()


def test_categories_are_optional(root):
    (root / "train" / "meta.json").unlink()
    sample = load("ref_youtube_vos", root, "train")[0]
    assert set(sample.masks) == {"a man on the left", "a dog running", "a person"}


def test_lost_files_and_foreign_labels_are_named(root):
    write_labels(root / "train" / "Annotations" / "v01" / "00000.png", {9: DOG})
    lost = root / "train" / "JPEGImages" / "v02" / "00000.jpg"
    lost.unlink()
    data = load("ref_youtube_vos", root, "train")
    assert [path for path in data.files() if not path.exists()] == [lost]
    with pytest.raises(InputError, match="label 9 .*v01/00000.png"):
        data[0]
    with pytest.raises(InputError, match="v02/00000.jpg"):
        data[2]


def test_an_impossible_object_number_is_an_input_error(root):
    path = root / "meta_expressions" / "train" / "meta_expressions.json"
    write_json(path, meta_expressions({f"v{i}": (["00000"], [{"exp": "x", "obj_id": "300"}]) for i in range(2)}))
    with pytest.raises(InputError, match="300"):
        load("ref_youtube_vos", root, "train")


def test_missing_texts_are_an_input_error_with_the_layout(root):
    (root / "meta_expressions" / "train" / "meta_expressions.json").unlink()
    with pytest.raises(InputError, match="JPEGImages/<video>"):
        load("ref_youtube_vos", root, "train")
