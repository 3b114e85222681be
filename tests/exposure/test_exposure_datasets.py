from collections import Counter

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets import DATASETS, Coco128, Davis, load
from lavida.exposure.datasets.reading import read_labels


def test_counts_of_the_kit(train_sets, heldout_sets):
    sizes = {name: (len(train_sets[name]), len(heldout_sets[name])) for name in train_sets}
    assert sizes["camvid"] == (367 + 101, 233)
    assert sizes["idd_lite"] == (1403, 204)
    assert sum(sizes["coco128"]) == 128 and sizes["coco128"][1] == 43
    assert sizes["humans"] == (231, 58)  # one of 290 is a copy of a held-out one
    assert sum(sizes["davis"]) == 1734


def test_samples_are_whole_and_consistent(train_sets, heldout_sets):
    rng = np.random.default_rng(0)
    for dataset in (*train_sets.values(), *heldout_sets.values()):
        for index in rng.integers(len(dataset), size=4):
            sample = dataset[int(index)]
            length, height, width, _ = sample.frames.shape
            assert sample.frames.dtype == np.uint8 and length == 1
            assert set(sample.masks) <= set(dataset.vocabulary) and sample.dataset == dataset.name
            for mask in sample.masks.values():
                assert mask.dtype == bool and mask.shape == (1, height, width)


def test_splits_do_not_overlap(train_sets, heldout_sets):
    def scenes(dataset):
        return {dataset[i].key.split("/")[0] for i in range(0, len(dataset), 5)}

    for name in ("davis", "coco128", "humans"):
        assert scenes(train_sets[name]).isdisjoint(scenes(heldout_sets[name]))


def test_coco128_uses_71_of_80_classes(train_sets, heldout_sets):
    assert len({*train_sets["coco128"].vocabulary, *heldout_sets["coco128"].vocabulary}) == 71


def test_davis_has_nine_empty_masks(train_sets, heldout_sets):
    empty = Counter()
    for dataset in (train_sets["davis"], heldout_sets["davis"]):
        for _, label in dataset.pairs():
            if label.parent.name in ("bmx-bumps", "surf"):
                empty[label.parent.name] += not read_labels(label).any()
    assert empty == {"bmx-bumps": 8, "surf": 1}


def test_davis_clips_are_consecutive_kept_frames_of_one_sequence(kit):
    clips = Davis(kit / "davis2016", "heldout", clip_length=4)
    images = Davis(kit / "davis2016", "heldout")
    assert len(clips) == len(images) - 3 * 20  # 20 sequences
    clip = clips[1]
    assert clip.frames.shape == (4, 243, 432, 3) and clip.masks["black swan"].shape == (4, 243, 432)
    for i in range(4):
        assert (clip.frames[i] == images[1 + i].frames[0]).all()
    assert clip.expressions == {"black swan": ("a black swan swimming on the water",)}


def test_camvid_riders_are_persons_on_bicycles_and_the_unlabelled_is_ignored(train_sets):
    dataset = train_sets["camvid"]
    sample = next(
        s for s in map(dataset.__getitem__, range(len(dataset))) if {"bicyclist", "pedestrian"} <= set(s.masks)
    )
    assert (sample.masks["bicycle"] == sample.masks["bicyclist"]).all()
    assert (sample.masks["person"] == sample.masks["bicyclist"] | sample.masks["pedestrian"]).all()
    labelled = np.logical_or.reduce(list(sample.masks.values()))
    assert (sample.ignore == ~labelled).all() and sample.ignore.any()


def test_idd_ignores_255(train_sets):
    sample = train_sets["idd_lite"][0]
    labelled = np.logical_or.reduce(list(sample.masks.values()))
    assert (sample.ignore == ~labelled).all()


@pytest.fixture
def coco(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder / "train2017").mkdir(parents=True)
    for name in "abcd":
        Image.new("RGB", (40, 20)).save(tmp_path / "images" / "train2017" / f"{name}.jpg")
    return tmp_path


def test_coco_polygons_are_filled_and_joined(coco):
    label = coco / "labels" / "train2017" / "b.txt"
    label.write_text("0 0 0 0.5 0 0.5 0.5 0 0.5\n0 0.75 0.5 0.9 0.5 0.9 0.9\n")
    dataset = Coco128(coco, "train")
    assert len(dataset) == 2 and len(Coco128(coco, "heldout")) == 2
    mask = dataset[0].masks["person"][0]
    assert mask.shape == (20, 40) and mask[:10, :20].all() and not mask[12:, :20].any() and mask[11:17, 30:36].any()
    assert dataset[1].masks == {}  # no label file: nothing of the 80 classes
    assert dataset.vocabulary == ("person",)


def test_a_broken_label_line_is_named(coco):
    (coco / "labels" / "train2017" / "b.txt").write_text("0 0.1 0.2 0.3\n")
    with pytest.raises(InputError, match="b.txt"):
        Coco128(coco, "train")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_missing_folder_is_an_input_error(name, tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        load(name, tmp_path / "nowhere", "train")


def test_unknown_names_splits_and_options_are_input_errors(kit):
    with pytest.raises(InputError, match="camvid"):
        load("street views", kit, "train")
    with pytest.raises(InputError, match="heldout"):
        load("humans", kit / "humans", "test")
    with pytest.raises(InputError, match="clip_length"):
        load("humans", kit / "humans", "train", clip_length=2)


def test_a_missing_label_file_is_an_input_error(tmp_path):
    for folder in ("Training_Images", "Ground_Truth"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        Image.new("RGB", (8, 8)).save(tmp_path / "Training_Images" / f"{name}.jpg")
    with pytest.raises(InputError, match="b.png"):
        load("humans", tmp_path, "train")[0]
