import pytest
from test_davis2017 import FRIEND, HORSE, RIDER, VIDEOS, write_davis
from videos import box_mask, meta_expressions, write_json, write_video

from lavida.errors import InputError
from lavida.exposure.datasets import load

TEXTS = {
    "Davis17_annot1.txt": 'ride 1 "a man on a horse"\nride 2 "a brown horse"\ncall 1 "a phone"\n',
    "Davis17_annot1_full_video.txt": 'ride 1 "a man on a horse"\nride 2 "a horse that turns"\ncall 1 "a phone"\n',
    "Davis17_annot2.txt": 'ride 1 "a person"\nride 3 "a person"\nride 2 "the horse of Zoë"\n\ncall 1 "black phone"\n',
    "Davis17_annot2_full_video.txt": 'ride 3  "someone  who waits" \nride 2 "a horse"\nelsewhere 1 "a duck"\n',
}


@pytest.fixture
def root(tmp_path):
    write_davis(tmp_path / "DAVIS")
    folder = tmp_path / "davis_text_annotations"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="latin-1" if "annot2" in name else "utf-8")
    return tmp_path


def test_annotators_say_more_of_the_same_object(root):
    sample = load("ref_davis", root, "train")[1]
    assert sample.key == "ride/00001"
    assert (sample.masks["a man on a horse"][0] == box_mask(RIDER)).all()
    assert (sample.masks["a brown horse"][0] == box_mask(HORSE)).all()
    assert (sample.masks["someone who waits"][0] == box_mask(FRIEND)).all()
    assert (sample.masks["a person"][0] == box_mask(RIDER) | box_mask(FRIEND)).all()  # said of both
    assert sample.expressions == {"a brown horse": ("a horse that turns", "the horse of Zoë", "a horse")}


def test_categories_are_listed_without_pixels_where_they_are_known(root):
    sample = load("ref_davis", root, "train")[0]
    assert not sample.masks["person"].any() and not sample.masks["horse"].any()
    assert not sample.masks["someone who waits"].any()  # out of sight
    (root / "DAVIS" / "davis_semantics.json").unlink()
    assert {"person", "horse"}.isdisjoint(load("ref_davis", root, "train")[0].masks)


def test_heldout_is_val(root):
    data = load("ref_davis", root, "heldout", clip_length=1)
    assert data.vocabulary == ("a phone", "black phone") and data[0].expressions == {"a phone": ("black phone",)}
    assert data.counts() == {"videos": 1} and data.counts().keys() == data.expected["heldout"].keys()
    assert len(load("ref_davis", root, "train", clip_length=2)) == 1


def test_known_misspellings_of_the_files_are_mended(root):
    for kind in ("JPEGImages", "Annotations"):
        (root / "DAVIS" / kind / "480p" / "ride").rename(root / "DAVIS" / kind / "480p" / "classic-car")
    (root / "DAVIS" / "ImageSets" / "2017" / "train.txt").write_text("classic-car\n")
    path = root / "davis_text_annotations" / "Davis17_annot1.txt"
    path.write_text('clasic-car 1 "an old car"\n')
    assert load("ref_davis", root, "train").vocabulary == ("an old car",)


@pytest.mark.parametrize("line", ["ride 1", 'ride one "a man"', 'ride 0 "a man"'])
def test_a_broken_line_is_named(root, line):
    (root / "davis_text_annotations" / "Davis17_annot2.txt").write_text(f'ride 1 "a man"\n{line}\n')
    with pytest.raises(InputError, match=r"Davis17_annot2.txt, line 2"):
        load("ref_davis", root, "train")


def test_lost_files_are_named(root):
    lost = root / "DAVIS" / "Annotations" / "480p" / "ride" / "00000.png"
    lost.unlink()
    data = load("ref_davis", root, "train")
    assert [path for path in data.files() if not path.exists()] == [lost]
    with pytest.raises(InputError, match="ride/00000.png"):
        data[0]
    (root / "davis_text_annotations" / "Davis17_annot1.txt").unlink()
    with pytest.raises(InputError, match=r"Davis17_annot1.txt; .*ImageSets/2017"):
        load("ref_davis", root, "train")


@pytest.fixture
def converted(tmp_path):
    """The form of Refer-YouTube-VOS."""
    for part, video in (("train", "ride"), ("valid", "call")):
        said = [{"exp": f"what is 1 in {video}", "obj_id": "1"}, {"exp": "the first", "obj_id": "1"}]
        content = meta_expressions({video: (list(VIDEOS[video]), said)})
        write_json(tmp_path / "meta_expressions" / part / "meta_expressions.json", content)
        write_json(tmp_path / part / "meta.json", {"videos": {video: {"objects": {"1": {"category": "cellphone"}}}}})
        write_video(tmp_path / part / "JPEGImages", tmp_path / part / "Annotations", video, VIDEOS[video])
    return tmp_path


def test_the_converted_form_is_read(converted):
    train, heldout = load("ref_davis", converted, "train"), load("ref_davis", converted, "heldout")
    sample = train[0]  # its labels show objects that nobody described
    assert (sample.masks["what is 1 in ride"][0] == box_mask(RIDER)).all() and sample.key == "ride/00000"
    assert sample.expressions == {"what is 1 in ride": ("the first",)}
    assert not sample.masks["cell phone"].any()
    assert heldout.vocabulary == ("what is 1 in call", "the first")
    assert len(train) == 2 and train.counts() == {"videos": 1}
