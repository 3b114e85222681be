import pytest
from videos import box_mask, write_json, write_labels, write_video

from lavida.errors import InputError
from lavida.exposure.datasets import YouTubeVos, load

DOG, CAT, BIKE = (0, 4, 0, 4), (6, 12, 0, 5), (0, 12, 10, 16)
FRAMES = {"00000": {1: DOG, 2: CAT}, "00005": {1: DOG, 2: CAT, 3: BIKE}, "00010": {3: BIKE}}


@pytest.fixture
def root(tmp_path):
    """Twenty-one videos; v00 and v20 are held out, v01 has two dogs and a bicycle, v02 only a thing without a name."""
    train = tmp_path / "train"
    videos = {f"v{i:02d}": {"1": {"category": "giant_panda", "frames": ["00000"]}} for i in range(21)}
    videos["v01"] = {
        "1": {"category": "dog", "frames": ["00000", "00005"]},
        "2": {"category": "dog", "frames": ["00000", "00005"]},
        "3": {"category": "bike", "frames": ["00005", "00010"]},
    }
    videos["v02"]["1"]["category"] = "others"
    write_json(train / "meta.json", {"videos": {video: {"objects": objects} for video, objects in videos.items()}})
    for video in videos:
        frames = FRAMES if video == "v01" else {"00000": {1: DOG}}
        write_video(train / "JPEGImages", train / "Annotations", video, frames)
    return tmp_path


def test_objects_of_one_category_are_one_class(root):
    clip = load("youtube_vos", root, "train", clip_length=3)[0]
    assert clip.key == "v01/00000" and set(clip.masks) == {"dog", "bicycle"}
    assert (clip.masks["dog"][1] == box_mask(DOG) | box_mask(CAT)).all() and not clip.masks["dog"][2].any()
    assert (clip.masks["bicycle"].any(axis=(1, 2)) == [False, True, True]).all()


def test_every_twentieth_video_is_held_out(root):
    train, heldout = load("youtube_vos", root, "train"), load("youtube_vos", root, "heldout")
    assert [heldout[i].key for i in range(len(heldout))] == ["v00/00000", "v20/00000"]
    scenes = {train[i].scene for i in range(len(train))}
    assert scenes == {f"v{i:02d}" for i in range(1, 20)} - {"v02"}  # "others" is no name
    assert train.counts() == {"videos": 19} and heldout.counts() == {"videos": 2}
    assert train.counts().keys() == train.expected["train"].keys()


def test_names_are_plain_words(root):
    assert set(load("youtube_vos", root, "train").vocabulary) == {"dog", "bicycle", "giant panda"}
    assert load("youtube_vos", root, "heldout").vocabulary == ("giant panda",)


def test_the_official_split_sizes_follow_from_the_rule():
    held_out = len(range(0, 3471, 20))
    assert YouTubeVos.expected == {"train": {"videos": 3471 - held_out}, "heldout": {"videos": held_out}}


def test_lost_and_foreign_labels_are_named(root):
    lost = root / "train" / "Annotations" / "v03" / "00000.png"
    lost.unlink()
    write_labels(root / "train" / "Annotations" / "v04" / "00000.png", {7: DOG})
    data = load("youtube_vos", root, "train")
    assert [path for path in data.files() if not path.exists()] == [lost]
    keys = {data[i].key for i in range(3)}
    assert keys == {"v01/00000", "v01/00005", "v01/00010"}
    with pytest.raises(InputError, match="v03/00000.png"):
        data[3]
    with pytest.raises(InputError, match="label 7 .*v04/00000.png"):
        data[4]


def test_a_missing_video_is_counted(root):
    (root / "train" / "JPEGImages" / "v05").rename(root / "elsewhere")
    assert load("youtube_vos", root, "train").counts() == {"videos": 18}


@pytest.mark.parametrize("content", [{}, {"videos": {"v": {"objects": {"1": {"frames": []}}}}}, {"videos": []}])
def test_a_foreign_meta_file_is_an_input_error(root, content):
    write_json(root / "train" / "meta.json", content)
    with pytest.raises(InputError, match="meta.json"):
        load("youtube_vos", root, "train")


def test_the_layout_is_told_where_something_is_missing(root):
    (root / "train" / "meta.json").unlink()
    with pytest.raises(InputError, match="Annotations/<video>"):
        load("youtube_vos", root, "train")
