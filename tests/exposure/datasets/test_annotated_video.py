import numpy as np
import pytest
from PIL import Image
from videos import box_mask, write_labels, write_picture, write_video

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import AnnotatedVideo, PaletteVideos

LEFT, RIGHT, CORNER = (0, 6, 0, 4), (2, 8, 10, 16), (8, 12, 0, 3)
FRAMES = {"00000": {1: LEFT}, "00005": {1: LEFT, 2: RIGHT}, "00010": {2: RIGHT, 3: CORNER}}


class Toys(PaletteVideos):
    name = "toys"
    layout = "pictures/<video>/<frame>.jpg, labels/<video>/<frame>.png"


class VoidToys(Toys):
    void = 255


@pytest.fixture
def root(tmp_path):
    write_video(tmp_path / "pictures", tmp_path / "labels", "a", FRAMES)
    write_video(tmp_path / "pictures", tmp_path / "labels", "b", {"00000": {1: CORNER}})
    return tmp_path


def toys(root, *, length=1, kind=Toys, **changes):
    known = {"targets": {"cup": frozenset({1, 3}), "ball": frozenset({2})}, "objects": frozenset({1, 2, 3})} | changes
    videos = [
        AnnotatedVideo(name="a", frames=tuple(FRAMES), **known),
        AnnotatedVideo(name="b", frames=("00000",), targets={"hat": frozenset({1})}),
    ]
    return kind(videos, pictures=root / "pictures", labels=root / "labels", clip_length=length)


def test_clips_start_at_every_frame_and_stay_in_their_video(root):
    assert [toys(root)[i].key for i in range(4)] == ["a/00000", "a/00005", "a/00010", "b/00000"]
    pairs = toys(root, length=2)
    assert [pairs[i].key for i in range(len(pairs))] == ["a/00000", "a/00005"]  # b is too short
    assert pairs[-1].key == "a/00005"
    with pytest.raises(IndexError):
        pairs[2]


def test_a_class_is_the_union_of_its_objects_and_may_be_out_of_sight(root):
    clip = toys(root, length=3)[0]
    assert clip.frames.shape == (3, 12, 16, 3) and clip.frames.dtype == np.uint8
    assert [round(frame.mean(), -1) for frame in clip.frames] == [100, 110, 120]
    assert clip.masks["cup"].dtype == bool and clip.dataset == "toys"
    assert (clip.masks["cup"] == np.stack([box_mask(LEFT), box_mask(LEFT), box_mask(CORNER)])).all()
    assert (clip.masks["ball"] == np.stack([box_mask((0, 0, 0, 0)), box_mask(RIGHT), box_mask(RIGHT)])).all()
    alone = toys(root)[0]
    assert set(alone.masks) == {"cup", "ball"} and not alone.masks["ball"].any()


def test_what_is_surely_there_is_listed_without_pixels_and_is_no_class(root):
    data = toys(root, targets={"a red cup": frozenset({1}), "person": frozenset()}, absent=frozenset({"a flying cup"}))
    sample = data[1]
    assert not sample.masks["person"].any() and sample.masks["person"].shape == (1, 12, 16)
    assert sample.out_of_view == {"a flying cup"}
    assert data.vocabulary == ("a red cup", "hat")


def test_videos_that_teach_nothing_are_left_out(root):
    data = toys(root, targets={"person": frozenset()})
    assert [data[i].key for i in range(len(data))] == ["b/00000"] and data.counts() == {"videos": 2}


def test_files_lists_what_the_samples_read_and_a_lost_one_spoils_only_its_samples(root):
    data = toys(root)
    assert len(list(data.files())) == 8 and all(path.is_file() for path in data.files())
    lost = root / "labels" / "a" / "00005.png"
    lost.unlink()
    data = toys(root)
    assert [path for path in data.files() if not path.exists()] == [lost]
    assert data[0].masks["cup"].any()
    with pytest.raises(InputError, match="00005.png"):
        data[1]


def test_an_unknown_object_number_is_named(root):
    with pytest.raises(InputError, match=r"label 3 .*00010.png"):
        toys(root, objects=frozenset({1, 2}))[2]
    assert toys(root, objects=None)[2].masks["cup"].any()  # nobody listed the objects: any number may be one


def test_void_pixels_are_ignored_only_where_the_format_has_them(root):
    write_labels(root / "labels" / "a" / "00000.png", {1: LEFT, 255: CORNER})
    data = toys(root, kind=VoidToys)
    assert (data[0].ignore[0] == box_mask(CORNER)).all() and data[1].ignore is None
    with pytest.raises(InputError, match="label 255"):
        toys(root)[0]


def test_a_coloured_picture_of_the_labels_is_refused(root):
    path = root / "labels" / "a" / "00000.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(InputError, match="00000.png"):
        toys(root)[0]


def test_pictures_of_another_size_are_refused(root):
    write_picture(root / "pictures" / "a" / "00005.jpg", size=(20, 20))
    with pytest.raises(InputError, match=r"00005.jpg has \(20, 20\)"):
        toys(root, length=2)[0]
    with pytest.raises(InputError, match=r"wrong size.*00005.png"):
        toys(root)[1]


@pytest.mark.parametrize(("length", "reason"), [(0, "clip_length is 0"), (4, "no clip of 4 frames")])
def test_impossible_clip_lengths(root, length, reason):
    with pytest.raises(InputError, match=reason):
        toys(root, length=length)
