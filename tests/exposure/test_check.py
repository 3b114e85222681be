"""What `lavida data check` finds out, on a data set of two files a sample."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.check import CheckReport, check, malformed
from lavida.exposure.datasets.reading import read_labels, read_rgb
from lavida.exposure.sample import SegmentationSample


class Shapes:
    """Pictures `<split>/N.jpg` with masks `<split>/N.png`."""

    name = "shapes"
    layout = "<split>/*.jpg, <split>/*.png"
    expected = {"train": {"images": 4}, "heldout": {"images": 2, "shapes": 2}}
    vocabulary = ("box",)

    def __init__(self, root: Path, split: str) -> None:
        self._paths = sorted((root / split).glob("*.jpg"))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> SegmentationSample:
        path = self._paths[index]
        masks = {"box": read_labels(path.with_suffix(".png"))[None] > 0}
        frames = read_rgb(path)[None]
        return SegmentationSample(frames=frames, masks=masks, ignore=None, dataset=self.name, key=path.stem)

    def counts(self) -> dict[str, int]:
        return {"images": len(self), "shapes": len(self)}

    def files(self) -> Iterator[Path]:
        for path in self._paths:
            yield from (path, path.with_suffix(".png"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("heldout", 2)):
        (tmp_path / split).mkdir()
        for index in range(count):
            picture = Image.fromarray(rng.integers(256, size=(40, 60, 3), dtype=np.uint8))
            picture.save(tmp_path / split / f"{index}.jpg")
            Image.fromarray((rng.random((40, 60)) < 0.3).astype(np.uint8) * 255).save(tmp_path / split / f"{index}.png")
    return tmp_path


def checked(root: Path, **options) -> CheckReport:
    return check({split: Shapes(root, split) for split in ("train", "heldout")}, **options)


def test_a_complete_data_set_has_no_problem(root):
    seen = []
    report = checked(root, samples=4, look=lambda split, sample: seen.append((split, sample.key)))
    assert report.problem is None and (report.files, report.looked) == (12, 4)
    assert [(count.split, count.unit, count.found, count.expected) for count in report.counts] == [
        ("train", "images", 4, 4),
        ("train", "shapes", 4, None),
        ("heldout", "images", 2, 2),
        ("heldout", "shapes", 2, 2),
    ]
    assert seen == [("train", "0"), ("train", "3"), ("heldout", "0"), ("heldout", "1")]


def test_a_small_split_leaves_its_share_to_the_next(root):
    for name in ("1", "2", "3"):
        (root / "train" / f"{name}.jpg").unlink()
    seen = []
    checked(root, samples=3, look=lambda split, sample: seen.append(split))
    assert seen == ["train", "heldout", "heldout"]


def test_counts_that_differ_are_the_problem(root):
    (root / "train" / "1.jpg").unlink()
    report = checked(root)
    assert [count.differs for count in report.counts] == [True, False, False, False]
    assert "train has 3 images instead of 4" in report.problem and Shapes.layout in report.problem


def test_missing_files_are_named_in_order_and_the_bar_sees_every_file(root):
    (root / "train" / "2.png").unlink()
    (root / "heldout" / "0.png").unlink()
    steps = []
    report = checked(root, samples=6, progress=lambda title, done, total, note="": steps.append((title, done, total)))
    assert report.missing == (root / "train" / "2.png", root / "heldout" / "0.png")
    assert report.problem.startswith(f"2 files missing of 12, first: {root}/train/2.png;")
    assert [flaw.where for flaw in report.refused] == ["train sample 2", "heldout sample 0"]
    assert [done for title, done, _ in steps if "files" in title][-1] == 12 and steps[0][2] == 12


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_picture(path: Path) -> None:
    path.write_text("404: not found")


@pytest.mark.parametrize("name", ["1.jpg", "1.png"])
@pytest.mark.parametrize("damage", [halve, no_picture, lambda path: path.write_bytes(b"")])
def test_a_damaged_picture_is_unreadable(root, name, damage):
    damage(root / "train" / name)
    report = checked(root)
    (flaw,) = report.unreadable
    assert flaw.where == str(root / "train" / name) and flaw.why and "\n" not in flaw.why
    assert f"1 file unreadable, first: {root}/train/{name}" in report.problem


def test_a_jpeg_with_something_behind_its_end_is_whole(root):
    path = root / "train" / "1.jpg"
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert checked(root).problem is None


def test_files_that_are_no_pictures_must_hold_something(root, monkeypatch):
    (root / "empty.txt").touch()
    (root / "full.txt").write_text("car")
    monkeypatch.setattr(Shapes, "files", lambda self: iter([root / "empty.txt", root / "full.txt"]))
    report = checked(root)
    assert [flaw.where for flaw in report.unreadable] == [str(root / "empty.txt")] and report.files == 2


def test_samples_that_cannot_be_read_are_the_problem_where_all_files_are_fine(root):
    Image.new("L", (3, 3)).save(root / "train" / "0.png")
    report = checked(root, samples=2)
    assert report.problem.startswith("1 of 2 samples refused, first: train sample 0 (0) (the mask of 'box'")


def test_a_data_set_that_does_not_say_what_it_consists_of_is_refused(root):
    class Bare:
        name, vocabulary, layout = "bare", (), ""
        __len__ = Shapes.__len__
        __getitem__ = Shapes.__getitem__
        files = Shapes.files

    with pytest.raises(InputError, match="Bare has no expected, no counts"):
        check({"train": Bare()})


FRAMES = np.zeros((1, 4, 5, 3), np.uint8)
MASK = np.ones((1, 4, 5), bool)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"frames": FRAMES[0]}, "not uint8"),
        ({"frames": FRAMES.astype(float)}, "float64"),
        ({"dataset": "others"}, "'others'"),
        ({"masks": {"box": MASK[0]}}, "the mask of 'box'"),
        ({"masks": {"box": MASK.astype(np.uint8)}}, "uint8"),
        ({"ignore": MASK[:, :2]}, "ignore"),
        ({"masks": {" ": MASK}}, "empty"),
        ({"left": frozenset({"box"})}, "'box' is both"),
    ],
)
def test_a_malformed_sample_is_explained(fields, why):
    good = {"frames": FRAMES, "masks": {"box": MASK}, "ignore": None, "dataset": "shapes", "key": "0"}
    assert malformed(SegmentationSample(**good), dataset="shapes") is None
    assert why in malformed(SegmentationSample(**{**good, **fields}), dataset="shapes")


def test_many_files_are_opened_block_by_block(root, monkeypatch):
    monkeypatch.setattr("lavida.exposure.check.BLOCK", 5)
    shutil.rmtree(root / "heldout")
    (root / "train" / "3.png").unlink()
    report = check({"train": Shapes(root, "train")})
    assert report.files == 8 and report.missing == (root / "train" / "3.png",)
