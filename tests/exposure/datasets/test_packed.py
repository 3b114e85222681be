"""A pack gives the samples of its folders: the same names and masks, and pictures but for the loss of compression."""

import json
import multiprocessing
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets import load, vocabulary_of
from lavida.exposure.datasets.packed import INDEX, check_pack
from lavida.exposure.mixture import shrink
from lavida.exposure.packing import PackedSet, pack
from lavida.exposure.sample import SegmentationSample

SIDE = 48
SETS = (
    PackedSet("fire_smoke", "fire", "train"),
    PackedSet("coco128", "coco", "train"),
    PackedSet("davis", "davis", "train", clips=True),
    PackedSet("cdnet_highway", "road", "train", clips=True),
)


def picture(path: Path, *, size: tuple[int, int] = (64, 40)) -> None:
    """A smooth picture, as photos are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.linspace(0, 200, size[0]), np.linspace(0, 200, size[1]))
    Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8)).save(path, quality=95)


def labels(path: Path, seed: int, *, values: tuple[int, ...], size: tuple[int, int] = (64, 40)) -> None:
    """Blocks of random values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).choice(values, (size[1] // 8, size[0] // 8))
    Image.fromarray(np.kron(blocks, np.ones((8, 8))).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("kit")
    for name, stems, values in (("fire", ("t_a", "t_b"), (0, 1, 2, 255)), ("road", ("000003", "000006"), (0, 1, 2))):
        for seed, stem in enumerate((*stems, *(("000009", "000015") if name == "road" else ()))):
            picture(root / name / "images" / f"{stem}.jpg")
            labels(root / name / "masks" / f"{stem}.png", seed, values=values)
    (root / "fire/classes.json").write_text('["background", "fire", "smoke"]')
    (root / "fire/boxes.json").write_text(json.dumps({"t_a": [["person", 0.1, 0.2, 0.4, 0.9]]}))
    (root / "road/classes.json").write_text('["static background", "moving car", "shadow"]')
    for name in "abc":
        picture(root / "coco/images/train2017" / f"{name}.jpg")
        (root / "coco/labels/train2017").mkdir(parents=True, exist_ok=True)
    # two that overlap: no picture of class numbers holds both
    (root / "coco/labels/train2017/b.txt").write_text("0 0 0 0.7 0 0.7 0.7 0 0.7\n1 0.4 0.4 1 0.4 1 1 0.4 1\n")
    for sequence in ("walk", "run"):
        for number in range(0, 8, 2):
            picture(root / "davis/JPEGImages/480p" / sequence / f"{number:05d}.jpg")
            labels(root / "davis/Annotations/480p" / sequence / f"{number:05d}.png", number, values=(0, 255))
    texts = {"walk": ["person", "someone who walks"], "run": ["dog", "a running dog"]}
    (root / "davis/expressions.json").write_text(json.dumps(texts))
    lists = root / "davis/ImageSets/480p"
    lists.mkdir(parents=True)
    lines = [f"/JPEGImages/480p/{each}/{number:05d}.jpg x" for each in texts for number in range(0, 8, 2)]
    (lists / "train.txt").write_text("\n".join(lines))
    (lists / "val.txt").write_text(lines[0])
    return root


@pytest.fixture(scope="module")
def packed(root, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("packs") / "kit.pack"
    summary = pack(SETS, root=root, out=out, max_side=SIDE)
    assert summary.size == out.stat().st_size and summary.quality == 90 and summary.samples == 2 + 2 + 8 + 4
    return out


def same(one: SegmentationSample, other: SegmentationSample) -> None:
    """Equal in everything but the pictures, which are near."""
    assert (one.key, one.dataset, dict(one.expressions), one.out_of_view, one.partial) == (
        other.key, other.dataset, dict(other.expressions), other.out_of_view, other.partial,
    )  # fmt: skip
    assert list(one.masks) == list(other.masks)
    for name, mask in one.masks.items():
        assert mask.dtype == bool and np.array_equal(mask, other.masks[name]), name
    assert (one.ignore is None) == (other.ignore is None)
    assert one.ignore is None or np.array_equal(one.ignore, other.ignore)
    assert one.frames.shape == other.frames.shape and one.frames.dtype == np.uint8
    assert np.abs(one.frames.astype(int) - other.frames).mean() < 6


@pytest.mark.parametrize("each", SETS, ids=lambda each: each.name)
@pytest.mark.parametrize("clip_length", [1, 2, 3])
def test_samples_of_the_pack_are_those_of_the_folder(root, packed, each, clip_length):
    options = {"clip_length": clip_length} if each.clips else {}
    ours, theirs = (load(each.name, place / each.folder, "train", **options) for place in (packed, root))
    assert len(ours) == len(theirs) and (ours.name, ours.vocabulary) == (theirs.name, theirs.vocabulary)
    for index in range(len(theirs)):
        same(ours[index], shrink(theirs[index], max_side=SIDE))
    assert vocabulary_of(each.name, packed / each.folder, "train") == theirs.vocabulary


def test_a_video_of_one_frame_may_have_another_size_than_the_one_before(tmp_path):
    sizes = {"walk": [(64, 40)] * 2, "still": [(40, 64)], "run": [(64, 40)] * 2}
    lines = []
    for video, frames in sizes.items():
        for number, size in enumerate(frames):
            picture(tmp_path / f"davis/JPEGImages/480p/{video}/{number:05d}.jpg", size=size)
            labels(tmp_path / f"davis/Annotations/480p/{video}/{number:05d}.png", number, values=(0, 255), size=size)
            lines.append(f"/JPEGImages/480p/{video}/{number:05d}.jpg x")
    (tmp_path / "davis/expressions.json").write_text(json.dumps({video: ["dog", "a dog"] for video in sizes}))
    (tmp_path / "davis/ImageSets/480p").mkdir(parents=True)
    for part in ("train", "val"):
        (tmp_path / f"davis/ImageSets/480p/{part}.txt").write_text("\n".join(lines))
    out = tmp_path / "davis.pack"
    pack([PackedSet("davis", "davis", "train", clips=True)], root=tmp_path, out=out, max_side=SIDE)
    for clip_length, count in ((1, 5), (2, 2)):
        ours, theirs = (load("davis", place / "davis", "train", clip_length=clip_length) for place in (out, tmp_path))
        assert len(ours) == len(theirs) == count
        for index in range(count):
            same(ours[index], shrink(theirs[index], max_side=SIDE))


def test_what_is_out_of_view_has_the_name_that_older_packs_have(root, tmp_path):
    """The label `left` of an older pack is read, and an older version reads ours."""
    out = tmp_path / "old.pack"
    pack([SETS[0]], root=root, out=out, max_side=SIDE)
    rewritten = tmp_path / "rewritten.pack"
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(rewritten, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == INDEX:
                index = json.loads(content)
                index["sets"][0]["samples"][0]["left"] = ["dog"]
                content = json.dumps(index).encode()
            new.writestr(info.filename, content, info.compress_type)
    assert load("fire_smoke", rewritten / "fire", "train")[0].out_of_view == {"dog"}


def test_threads_and_forked_processes_read_at_once(packed):
    dataset = load("davis", packed / "davis", "train")
    expected = [sample.frames.sum() for sample in dataset]
    with ThreadPoolExecutor(4) as threads:
        assert [sample.frames.sum() for sample in threads.map(dataset.__getitem__, range(8))] == expected
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert [sample.frames.sum() for sample in pool.map(dataset.__getitem__, range(8))] == expected


def test_a_damaged_pack_says_so(packed, tmp_path):
    content = packed.read_bytes()
    for name, broken in (("cut", content[: len(content) // 2]), ("other", b"no pack"), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(broken)
        with pytest.raises(InputError, match=f"damaged one: .*{name}.*lavida data pack"):
            load("davis", path / "davis", "train")
    path = tmp_path / "flipped"
    place = content.index(b"WEBP", content.index(b"02/00000.picture"))  # inside the first picture of `davis`
    path.write_bytes(content[: place + 40] + bytes([content[place + 40] ^ 255]) + content[place + 41 :])
    dataset = load("davis", path / "davis", "train")
    with pytest.raises(InputError, match=r"damaged one: .*flipped \(02/00000"):
        dataset[0]


def test_a_pack_of_another_recipe_says_what_it_has(packed):
    with pytest.raises(InputError, match=r"no humans .*kit\.pack, a pack of fire_smoke \(train\), coco128"):
        load("humans", packed / "humans", "train")
    with pytest.raises(InputError, match="heldout"):
        load("davis", packed / "davis", "heldout")
    with pytest.raises(InputError, match="max_side=48, the recipe has 640"):
        check_pack(packed, max_side=640)
    assert vocabulary_of("davis", packed / "davis", "heldout") == ("person",)  # known though it is not packed


def test_clips_are_read_only_where_they_were_packed(root, tmp_path):
    out = tmp_path / "still.pack"
    pack([replace(SETS[2], clips=False)], root=root, out=out, max_side=SIDE)
    with pytest.raises(InputError, match="single pictures"):
        load("davis", out / "davis", "train", clip_length=2)


@pytest.mark.slow
def test_the_quality_is_what_fits(tmp_path):
    for index in range(4):
        path = tmp_path / "images" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(index).integers(0, 256, (200, 240, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        labels(tmp_path / "masks" / f"{index}.png", index, values=(0, 1), size=(240, 200))
    (tmp_path / "classes.json").write_text('["background", "pothole"]')
    sets, out = [PackedSet("potholes", ".", "train")], tmp_path / "small.pack"
    large = pack(sets, root=tmp_path, out=out, max_side=240)
    small = pack(sets, root=tmp_path, out=out, max_side=240, most_bytes=large.size // 2)
    assert 20 <= small.quality < large.quality and 0.4 * large.size < small.size <= large.size // 2
    assert len(load("potholes", out, "train")) == 4 and load("potholes", out, "train")[0].partial == {"pothole"}
    before = out.read_bytes()
    with pytest.raises(InputError, match="MB, more than 0.001; set data.max_side lower"):
        pack(sets, root=tmp_path, out=out, max_side=240, most_bytes=1000)
    assert out.read_bytes() == before
