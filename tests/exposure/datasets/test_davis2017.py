import pytest
from videos import box_mask, write_json, write_labels, write_video

from lavida.errors import InputError
from lavida.exposure.datasets import load

RIDER, HORSE, FRIEND = (0, 4, 0, 4), (6, 12, 0, 5), (0, 12, 10, 16)
VIDEOS = {
    "ride": {"00000": {1: RIDER, 2: HORSE}, "00001": {1: RIDER, 2: HORSE, 3: FRIEND}},
    "call": {"00000": {1: RIDER}},
}
SEMANTICS = {"ride": {"1": "person", "2": "horse", "3": "person"}, "call": {"1": "cellphone"}}


def write_davis(base, *, semantics=SEMANTICS):
    for video, frames in VIDEOS.items():
        write_video(base / "JPEGImages" / "480p", base / "Annotations" / "480p", video, frames)
    lists = base / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("ride\n")
    (lists / "val.txt").write_text("call\n")
    if semantics:
        write_json(base / "davis_semantics.json", semantics)


@pytest.fixture
def root(tmp_path):
    write_davis(tmp_path)
    return tmp_path


def test_objects_of_one_category_are_one_class(root):
    clip = load("davis2017", root, "train", clip_length=2)[0]
    assert clip.key == "ride/00000" and set(clip.masks) == {"person", "horse"}
    assert (clip.masks["person"][0] == box_mask(RIDER)).all()
    assert (clip.masks["person"][1] == box_mask(RIDER) | box_mask(FRIEND)).all()


def test_heldout_is_val_in_plain_words(root):
    data = load("davis2017", root, "heldout")
    assert data.vocabulary == ("cell phone",) and [data[i].key for i in range(len(data))] == ["call/00000"]
    assert data.counts() == {"videos": 1} and data.counts().keys() == data.expected["heldout"].keys()


def test_the_folder_of_the_archive_is_found(tmp_path):
    write_davis(tmp_path / "DAVIS")
    assert len(load("davis2017", tmp_path, "train")) == 2


def test_without_categories_the_error_says_where_they_are(tmp_path):
    write_davis(tmp_path, semantics=None)
    with pytest.raises(InputError, match="DAVIS-2017_semantics-480p.zip"):
        load("davis2017", tmp_path, "train")


@pytest.mark.parametrize("semantics", [{"call": {"1": "person"}}, {"ride": {"0": "person"}}, {"ride": ["person"]}])
def test_a_foreign_category_file_is_an_input_error(tmp_path, semantics):
    write_davis(tmp_path, semantics=semantics)
    with pytest.raises(InputError, match="davis_semantics.json"):
        load("davis2017", tmp_path, "train")


def test_void_is_ignored_and_other_foreign_labels_are_named(root):
    labels = root / "Annotations" / "480p" / "ride"
    write_labels(labels / "00000.png", {1: RIDER, 255: HORSE})
    write_labels(labels / "00001.png", {4: RIDER})
    data = load("davis2017", root, "train")
    assert (data[0].ignore[0] == box_mask(HORSE)).all() and not data[0].masks["horse"].any()
    with pytest.raises(InputError, match="label 4 .*ride/00001.png"):
        data[1]


@pytest.mark.parametrize("lost", ["JPEGImages/480p/ride/00001.jpg", "Annotations/480p/ride/00001.png"])
def test_a_lost_picture_or_label_is_named(root, lost):
    (root / lost).unlink()
    data = load("davis2017", root, "train")
    assert [path for path in data.files() if not path.exists()] == [root / lost] and len(list(data.files())) == 4
    with pytest.raises(InputError, match=lost):
        data[1]


def test_suffixes_may_be_written_in_capitals(root):
    for path in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    data = load("davis2017", root, "train", clip_length=2)
    assert [clip.key for clip in data] == ["ride/00000"] and data[0].masks["horse"].any()
    assert all(path.is_file() for path in data.files())


@pytest.mark.parametrize("lost", ["JPEGImages", "Annotations", "ImageSets"])
def test_the_layout_is_told_where_a_folder_is_missing(root, lost):
    (root / lost).rename(root / "elsewhere")
    with pytest.raises(InputError, match=r"ImageSets/2017/\{train,val\}.txt"):
        load("davis2017", root, "train")
