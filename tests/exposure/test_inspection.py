"""What `lavida data check` sees in files that can all be opened: what is wrong ends with 2, what is odd is told."""

from pathlib import Path

import numpy as np
import pytest
from exposure.datasets.picture_files import STORED, save_turned
from PIL import Image

from lavida.cli import run

LEFT = "0 0 0 0.5 0 0.5 1 0 1"
SHELVES = """
from lavida.exposure.datasets.label_images import BACKGROUND, IGNORE, LabelImageDataset

class Shelves(LabelImageDataset):
    name = "shelves"
    images = "photos/{part}/*.*"
    labels = "labels/{part}/*.png"
    legend = {0: BACKGROUND, 1: "bottle", 2: "box", 255: IGNORE}
"""


def check(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, what was printed and the one line on stderr, without samples: no luck of the draw is needed."""
    code = run(["data", "check", *arguments, "--samples", "0"])
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == (code != 0)
    return code, " ".join(out.split()), err


@pytest.fixture
def yolo(tmp_path: Path, monkeypatch) -> Path:
    """Six photos of persons and cars in YOLO's format, two of them held out, in the working folder."""
    for part, names in (("train", "abcd"), ("val", "ef")):
        for folder in ("images", "labels"):
            (tmp_path / "yard" / folder / part).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (64, 40), (90, 90, 90)).save(tmp_path / "yard" / "images" / part / f"{name}.jpg")
            (tmp_path / "yard" / "labels" / part / f"{name}.txt").write_text(f"{LEFT}\n1 0.6 0.6 0.9 0.6 0.9 0.9\n")
    (tmp_path / "yard" / "data.yaml").write_text("names: [person, car]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "yard"


@pytest.fixture
def shelves(tmp_path: Path, monkeypatch) -> Path:
    """Six photos with label images, two of them held out, and their class in the working folder."""
    for part, names in (("train", "abcd"), ("val", "ef")):
        for folder in ("photos", "labels"):
            (tmp_path / "shop" / folder / part).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (64, 40), (90, 90, 90)).save(tmp_path / "shop" / "photos" / part / f"{name}.png")
            labels = np.repeat(np.arange(4, dtype=np.uint8)[None], 40, axis=0).repeat(16, axis=1)
            Image.fromarray(np.where(labels == 3, 255, labels).astype(np.uint8)).save(
                tmp_path / "shop" / "labels" / part / f"{name}.png"
            )
    (tmp_path / "inspected_shelves.py").write_text(SHELVES)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shop"


YOLO = ("yolo_polygons", "--root", "yard")
SHOP = ("inspected_shelves:Shelves", "--root", "shop")


def test_sound_sets_have_no_notes(yolo, shelves, capsys):
    for arguments in (YOLO, SHOP):
        code, out, _err = check(capsys, *arguments)
        assert code == 0 and "note" not in out and "wrong" not in out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 10 10 30 10 30 18", "not in parts of the photo"),
        ("0 0.9 0.9 1.4 0.9 1.4 1.2", "leaves the photo by 40%"),
        ("0 -0.2 0.1 0.5 0.1 0.5 0.5", "leaves the photo by 20%"),
        ("0 0.5 0.5 0.2 0.2", "a box, not a polygon"),
        ("2 0 0 1 0 1 1", "known class"),
        ("0 0 0 1 0 1 1 0.87", "confidence"),
    ],
)
def test_one_bad_line_in_any_label_file_is_found(yolo, capsys, line, words):
    (yolo / "labels" / "train" / "c.txt").write_text(f"{LEFT}\n{line}\n")
    code, out, err = check(capsys, *YOLO)
    assert code == 2 and words in err and "c.txt" in err and "; " in err
    assert "wrong (1):" in out


def test_several_faults_are_counted_and_listed(yolo, capsys):
    for name in "abc":
        (yolo / "labels" / "train" / f"{name}.txt").write_text("0 10 10 30 10 30 18\n")
    code, out, err = check(capsys, *YOLO)
    assert code == 2 and "3 faults, first: " in err and "wrong (3):" in out and "c.txt" in out


def test_faults_stand_beside_files_that_are_missing(yolo, capsys):
    (yolo / "images" / "train" / "a.jpg").unlink()
    (yolo / "train.txt").write_text("images/train/a.jpg\nimages/train/b.jpg\n")
    (yolo / "data.yaml").write_text("names: [person, car]\ntrain: train.txt\n")
    (yolo / "labels" / "train" / "b.txt").write_text("0 10 10 30 10 30 18\n")
    code, _out, err = check(capsys, *YOLO)
    assert code == 2 and "1 file missing" in err and "1 fault, first: not in parts" in err


def test_a_little_over_the_border_is_fine(yolo, capsys):
    (yolo / "labels" / "train" / "c.txt").write_text("0 -0.02 0.1 0.5 0.1 0.5 1.03\n")
    assert check(capsys, *YOLO)[0] == 0


def test_classes_that_no_label_shows_are_told(yolo, shelves, capsys):
    for path in (yolo / "labels" / "train").iterdir():
        path.write_text(f"{LEFT}\n")
    code, out, _ = check(capsys, *YOLO)
    assert code == 0 and "note: train: no label shows car" in out and "heldout: no" not in out
    for path in (shelves / "labels" / "val").iterdir():
        Image.fromarray(np.full((40, 64), 2, np.uint8)).save(path)
    code, out, _ = check(capsys, *SHOP)
    assert code == 0 and "note: heldout: no label shows bottle" in out


def test_photos_without_labels_and_labels_without_photos_are_told(yolo, capsys):
    (yolo / "labels" / "train" / "b.txt").rename(yolo / "labels" / "train" / "B.txt")
    code, out, _ = check(capsys, *YOLO)
    assert code == 0
    assert "without a label file: 1 of 4 photos, first: yard/images/train/b.jpg; they show none of the classes" in out
    assert "without a photo: 1 label files, first: yard/labels/train/B.txt" in out


def test_labels_of_another_list_in_the_same_folder_have_their_photos(yolo, capsys):
    (yolo / "train.txt").write_text("images/train/a.jpg\n")
    (yolo / "data.yaml").write_text("names: [person, car]\ntrain: train.txt\n")
    assert "without" not in check(capsys, *YOLO)[1]


def test_a_split_without_any_labels_is_wrong(yolo, capsys):
    for path in (yolo / "labels" / "val").iterdir():
        path.unlink()
    code, _, err = check(capsys, *YOLO)
    assert code == 2 and "without a label file: 2 of 2 photos" in err and "`labels` stands for `images`" in err


def test_what_is_held_out_of_an_undivided_set_is_told(yolo, capsys):
    for number in range(9):
        Image.new("RGB", (64, 40)).save(yolo / "images" / f"{number}.jpg")
        (yolo / "labels" / f"{number}.txt").write_text(f"{LEFT}\n1 0.6 0.6 0.9 0.6 0.9 0.9\n")
    for part in ("train", "val"):
        (yolo / "images" / part).rename(yolo / "images" / f"night_{part}")
        (yolo / "labels" / part).rename(yolo / "labels" / f"night_{part}")
    code, out, _ = check(capsys, *YOLO)
    assert code == 0 and out.count("every 5th photo of yard is held out") == 1


def test_photos_in_both_splits_and_outside_the_root_are_told(yolo, capsys):
    (yolo / "images").rename(yolo.parent / "images")
    (yolo / "labels").rename(yolo.parent / "labels")
    (yolo / "data.yaml").write_text("names: [person, car]\npath: ..\ntrain: images/train\nval: images/train\n")
    code, out, _ = check(capsys, *YOLO)
    assert code == 0 and "also in train: 4 of 4 held-out pictures" in out and "outside yard: 4 photos" in out


@pytest.mark.parametrize("orientation", [3, 6])
def test_turned_photos_and_what_is_made_of_their_labels(yolo, shelves, capsys, orientation):
    upright = np.zeros((40, 64, 3), np.uint8)
    save_turned(yolo / "images" / "train" / "a.jpg", upright, orientation)
    code, out, _ = check(capsys, *YOLO)
    assert code == 0 and "turned as EXIF data says: 1 of 6 pictures, first: yard/images/train/a.jpg; polygons" in out

    save_turned(shelves / "photos" / "train" / "a.png", upright, orientation)
    code, out, _ = check(capsys, *SHOP)
    assert code == 0 and "turned as EXIF data says: 1 of 6 pictures" in out
    assert ("would fit the stored one: 1 label images" in out) == (orientation == 3)

    labels = np.array(Image.open(shelves / "labels" / "train" / "a.png"))
    stored = np.ascontiguousarray(STORED[orientation](labels))
    Image.fromarray(stored).save(shelves / "labels" / "train" / "a.png")
    code, out, _ = check(capsys, *SHOP)
    assert code == 0 and ("turned with it: 1 label images" in out) == (orientation == 6)


def test_labels_that_fit_no_orientation_are_wrong_in_any_sample(shelves, capsys):
    save_turned(shelves / "photos" / "train" / "c.png", np.zeros((40, 64, 3), np.uint8), 6)
    Image.new("L", (60, 40), 1).save(shelves / "labels" / "train" / "c.png")
    code, _, err = check(capsys, *SHOP)
    assert code == 2 and "wrong size" in err and "c.png" in err and "EXIF" in err and "orientation 6" in err


def test_values_that_the_legend_lacks_are_wrong_in_any_sample(shelves, capsys):
    Image.fromarray(np.full((40, 64), 9, np.uint8)).save(shelves / "labels" / "train" / "c.png")
    code, _, err = check(capsys, *SHOP)
    assert code == 2 and "unknown label 9" in err and "c.png" in err


def test_coloured_label_images_are_wrong(shelves, capsys):
    Image.new("RGB", (64, 40)).save(shelves / "labels" / "train" / "c.png")
    code, _, err = check(capsys, *SHOP)
    assert code == 2 and "not one label value a pixel" in err


def test_labels_that_show_nothing_are_told_and_wrong_where_all_are_so(shelves, capsys):
    names = "abcd"
    for name in names[:2]:
        Image.new("L", (64, 40), 0).save(shelves / "labels" / "train" / f"{name}.png")
    code, out, _ = check(capsys, *SHOP)
    assert code == 0 and "note: train: nothing is labelled in 2 of 4 label files, first: shop/labels/train/a.png" in out
    for name in names:
        Image.new("L", (64, 40), 255).save(shelves / "labels" / "train" / f"{name}.png")
    code, _, err = check(capsys, *SHOP)
    assert code == 2 and "train: nothing is labelled in 4 of 4 label files" in err


def test_of_many_label_images_some_are_read_and_it_is_told(shelves, capsys, monkeypatch):
    monkeypatch.setattr("lavida.exposure.inspection.MOST_LABEL_IMAGES", 2)
    for name in "ad":
        Image.fromarray(np.full((40, 64), 1, np.uint8)).save(shelves / "labels" / "train" / f"{name}.png")
    assert "train (2 of 4 labels read): no label shows box" in check(capsys, *SHOP)[1]


def test_the_stretch_of_pictures_of_16_bits_is_told(shelves, capsys):
    ramp = np.linspace(7000, 9000, 64).astype(np.uint16)
    for part, name in (("train", "a"), ("train", "b"), ("val", "e")):
        Image.fromarray(np.tile(ramp, (40, 1))).save(shelves / "photos" / part / f"{name}.png")
    code, out, _ = check(capsys, *SHOP)
    assert code == 0
    assert "16 bits: 3 of 6 pictures, first: shop/photos/train/a.png" in out
    assert "7000 is black and 9000 white (3.1% of the range)" in out


def test_pictures_of_16_bits_that_use_their_range_are_told(shelves, capsys):
    Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (40, 1))).save(
        shelves / "photos" / "train" / "a.png"
    )
    assert "16 bits: 1 of 6 pictures" in (out := check(capsys, *SHOP)[1]) and "whole range" in out


def test_floating_point_pictures_are_wrong(shelves, capsys):
    Image.fromarray(np.full((40, 64), 21.5, np.float32)).save(shelves / "photos" / "train" / "a.tif")
    (shelves / "photos" / "train" / "a.png").unlink()
    code, _, err = check(capsys, *SHOP)
    assert code == 2 and "floating-point" in err and "a.tif" in err and "save" in err


def test_pictures_of_a_kind_that_is_not_installed_are_not_passed_over(yolo, capsys):
    (yolo / "images" / "train" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic but no picture")
    code, _, err = check(capsys, *YOLO)
    assert code == 2 and "phone.heic" in err
