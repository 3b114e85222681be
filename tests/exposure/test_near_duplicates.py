"""No picture is on both sides: a perceptual hash over all training and held-out pictures of the kit."""

import io
from pathlib import Path

import numpy as np
import pytest
from near_duplicates import NEAR, file_hashes, near_pairs, picture_hash
from PIL import Image, ImageDraw

from lavida.exposure.datasets import DATASETS, load

FOLDERS = {"coco128": "coco128-seg", "davis": "davis2016"}
NEW = (
    "fire_smoke", "coco_mini", "voc_animals", "clothing_ccp", "animals", "football", "streets_peru", "facade_night",
    "car_parts", "potholes", "car_damage", "pallets", "ppe", "vehicles_small", "weapon_boxes", "cdnet_highway",
)  # fmt: skip
OFFICIAL = ("camvid", "idd_lite", "coco128", "humans", "davis")  # whose splits are not ours
ONE_CAMERA = "cdnet_highway"  # all frames look alike; its held-out part is one stretch of time


def scene(seed: int) -> Image.Image:
    """A made picture: a sky, a ground and a dozen things."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (400, 300), tuple(rng.integers(60, 200, 3).tolist()))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, int(rng.integers(100, 220)), 400, 300), fill=tuple(rng.integers(0, 256, 3).tolist()))
    for x, y, width, height in zip(*rng.integers((0, 0, 20, 20), (360, 260, 140, 140), (12, 4)).T, strict=True):
        pen.ellipse((int(x), int(y), int(x + width), int(y + height)), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def recompressed(image: Image.Image) -> Image.Image:
    """The same picture as a bad JPEG of another size."""
    buffer = io.BytesIO()
    image.resize((170, 131), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=35)
    return Image.open(buffer)


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [scene(seed) for seed in range(60)]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_recompressed_resized_copy_is_found_and_nothing_else(scenes, mirrored):
    copies = [recompressed(each.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else each) for each in scenes]
    originals, found = (np.stack([picture_hash(each) for each in some]) for some in (scenes, copies))
    assert near_pairs(originals, found) == [(index, index) for index in range(len(scenes))]
    assert near_pairs(originals[:30], originals[30:]) == []


def test_files_have_the_hashes_of_their_pictures(tmp_path, scenes):
    for index, each in enumerate(scenes[:4]):
        each.save(tmp_path / f"{index}.jpg", quality=90)
    hashes = file_hashes(sorted(tmp_path.iterdir()))
    assert near_pairs(hashes, np.stack([picture_hash(each) for each in scenes[:4]])) == [(i, i) for i in range(4)]
    assert file_hashes([]).shape == (0, 2)


def pictures_of(kit: Path, name: str, split: str) -> list[Path]:
    dataset = load(name, kit / FOLDERS.get(name, name), split)
    pictures = (pair[0] for pair in dataset.pairs()) if hasattr(dataset, "pairs") else dataset.files()
    return list(dict.fromkeys(pictures))


@pytest.mark.slow
def test_no_training_picture_is_a_test_picture(kit):
    """Over all sets, new and old; pairs of two official splits of one set, or of one camera, are not ours to mend.

    Every sixth training picture: a split that leaks shares many, and to read them takes nearly all of the time.
    """
    assert {*NEW, *OFFICIAL} <= set(DATASETS)
    trained, held_out = (
        [(name, path) for name in (*NEW, *OFFICIAL) for path in pictures_of(kit, name, split)]
        for split in ("train", "heldout")
    )
    assert len(trained) > 6500 and len(held_out) > 2000
    trained = trained[::6]
    first, second = (file_hashes(path for _, path in some) for some in (trained, held_out))
    leaks = [
        (trained[i][1], held_out[j][1])
        for i, j in near_pairs(first, second, most=NEAR)
        if trained[i][0] != held_out[j][0] or trained[i][0] not in ("camvid", "davis", ONE_CAMERA)
    ]
    assert leaks == []
