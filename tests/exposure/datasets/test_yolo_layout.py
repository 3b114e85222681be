"""Sets in YOLO's format as annotation tools lay them out and as they arrive on another machine."""

import codecs
import json
from pathlib import Path

import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.exposure.datasets import YoloPolygons
from lavida.exposure.datasets.yolo_layout import label_of

POLYGON = "0 0.2 0.2 0.8 0.2 0.8 0.8\n"


def photo(root: Path, name: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10)).save(path)
    return path


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def names_of(root: Path, split: str = "train") -> list[str]:
    """The photos of a split, which must all have a label that can be read."""
    dataset = YoloPolygons(root, split)
    for sample in dataset:
        assert set(sample.masks) == {"person"}, sample.key
    return [path.relative_to(root).as_posix() for path, _ in dataset.pairs()]


@pytest.fixture
def root(tmp_path) -> Path:
    """Two photos to train on and one that is held out, with labels; nothing says so yet."""
    root = tmp_path / "yard"
    for part, name in (("train", "a"), ("train", "b"), ("val", "c")):
        photo(root, f"images/{part}/{name}.jpg")
        write(root / "labels" / part / f"{name}.txt", POLYGON)
    return root


def config(root: Path, text: str) -> None:
    write(root / "data.yaml", f"names: [person, car]\n{text}\n")


def test_lists_as_cvat_writes_them(root):
    write(root / "data.yaml", "names:\n  0: person\n  1: car\npath: .\ntrain: train.txt\nval: val.txt\n")
    write(root / "train.txt", "images/train/a.jpg\nimages/train/b.jpg\n")
    write(root / "val.txt", "images/val/c.jpg\n")
    assert names_of(root) == ["images/train/a.jpg", "images/train/b.jpg"]
    assert names_of(root, "heldout") == ["images/val/c.jpg"]
    assert [sample.key for sample in YoloPolygons(root, "train")] == ["train/a", "train/b"]


def test_subsets_called_as_the_user_of_cvat_calls_them(root):
    config(root, "path: .\nTrain: Train.txt\nValidation: Validation.txt")
    write(root / "Train.txt", "images/train/a.jpg\n")
    write(root / "Validation.txt", "images/val/c.jpg\n")
    assert (names_of(root), names_of(root, "heldout")) == (["images/train/a.jpg"], ["images/val/c.jpg"])


def test_a_list_may_name_part_of_a_folder_in_its_own_order(root):
    config(root, "train: train.txt\nval: images/val")
    write(root / "train.txt", "images/train/b.jpg\n")
    assert names_of(root) == ["images/train/b.jpg"]


@pytest.mark.parametrize(
    "line",
    [
        "images/train/a.jpg",
        "./images/train/a.jpg",
        "  images/train/a.jpg  ",
        "images\\train\\a.jpg",
        ".\\images\\train\\a.jpg",
        "data/images/train/a.jpg",
        "../images/train/a.jpg",
        "/home/ann/sets/yard/images/train/a.jpg",
        "C:\\Users\\ann\\yard\\images\\train\\a.jpg",
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_line_of_a_list_is_found_however_it_was_written(root, line, ends):
    config(root, "train: train.txt\nval: images/val")
    write(root / "train.txt", ends.join(["", line, "", line.replace("a.jpg", "b.jpg"), "notes.md"]))
    assert names_of(root) == ["images/train/a.jpg", "images/train/b.jpg"]


def test_a_list_beside_the_pictures_starts_from_its_own_folder(root):
    config(root, "train: images/train.txt\nval: images/val")
    write(root / "images" / "train.txt", "./train/a.jpg\ntrain/b.jpg\n")
    assert names_of(root) == ["images/train/a.jpg", "images/train/b.jpg"]


def test_lists_and_folders_make_one_split(root):
    photo(root, "more/images/d.jpg")
    write(root / "more" / "labels" / "d.txt", POLYGON)
    write(root / "train.txt", "images/train/b.jpg\nimages/train/b.jpg\n")
    config(root, "train: [train.txt, more/images]\nval: images/val")
    assert names_of(root) == ["images/train/b.jpg", "more/images/d.jpg"]


def test_a_listed_photo_that_is_missing_is_expected_where_the_others_lie(root):
    config(root, "train: train.txt\nval: images/val")
    write(root / "train.txt", "/home/ann/yard/images/train/a.jpg\n/home/ann/yard/images/train/lost.jpg\n")
    assert [path.as_posix() for path in YoloPolygons(root, "train").files()][-1] == f"{root}/images/train/lost.jpg"


@pytest.mark.parametrize(
    "path", [".", "./", "yard", "../yard", "/home/ann/yard", "C:/sets/yard", "../datasets/elsewhere", ""]
)
def test_the_folder_that_is_given_is_the_set_whatever_path_says(root, path):
    config(root, f"path: {path}\ntrain: images/train\nval: images/val")
    assert names_of(root) == ["images/train/a.jpg", "images/train/b.jpg"]


def test_path_may_name_a_folder_inside(root):
    (root / "v2").mkdir()
    for folder in ("images", "labels"):
        (root / folder).rename(root / "v2" / folder)
    photo(root, "images/train/old.jpg")
    config(root, "path: v2\ntrain: images/train\nval: images/val")
    assert names_of(root) == ["v2/images/train/a.jpg", "v2/images/train/b.jpg"]


def test_path_may_name_a_set_that_lies_elsewhere(root, tmp_path, monkeypatch):
    settings = tmp_path / "settings"
    write(settings / "settings.json", json.dumps({"datasets_dir": str(tmp_path)}))
    project = tmp_path / "project"
    for path, here, yolo in ((root, "/", "/"), ("../yard", "/", "/"), ("yard", tmp_path, "/"), ("yard", "/", settings)):
        monkeypatch.chdir(here)
        monkeypatch.setenv("YOLO_CONFIG_DIR", str(yolo))
        config(project, f"path: {path}\ntrain: images/train\nval: images/val")
        dataset = YoloPolygons(project, "train")
        assert [picture.resolve() for picture, _ in dataset.pairs()] == sorted((root / "images" / "train").iterdir())
        assert [sample.masks.keys() for sample in dataset] == [{"person"}] * 2


def test_absolute_folders_of_another_machine(root):
    config(root, "train: /home/ann/yard/images/train\nval: C:\\sets\\yard\\images\\val")
    assert names_of(root) == ["images/train/a.jpg", "images/train/b.jpg"]
    assert names_of(root, "heldout") == ["images/val/c.jpg"]


def test_what_is_named_and_does_not_exist_is_an_error(root):
    for text in ("train: images/nowhere", "train: nowhere.txt"):
        config(root, text)
        with pytest.raises(InputError, match="nowhere.*`train` of .*data.yaml"):
            YoloPolygons(root, "train")
    (root / "labels").rename(root / "annotations")
    config(root, "train: images/train")
    with pytest.raises(InputError, match="no folder .*labels/train"):
        YoloPolygons(root, "train")


def test_the_older_format_of_cvat(tmp_path):
    for part, name in (("train", "a"), ("valid", "b")):
        photo(tmp_path, f"obj_{part}_data/{name}.jpg")
        write(tmp_path / f"obj_{part}_data" / f"{name}.txt", POLYGON)
        write(tmp_path / f"{part}.txt", f"data/obj_{part}_data/{name}.jpg\n")
    write(tmp_path / "obj.names", "person\ncar\n")
    write(
        tmp_path / "obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n",
    )
    assert names_of(tmp_path) == ["obj_train_data/a.jpg"]
    assert names_of(tmp_path, "heldout") == ["obj_valid_data/b.jpg"]


def test_every_fifth_photo_is_held_out_of_a_set_that_nobody_divided(tmp_path):
    """Label Studio's export: one folder, no `train` and no `val`."""
    for number in range(10):
        photo(tmp_path, f"images/{number}.jpg")
        write(tmp_path / "labels" / f"{number}.txt", POLYGON)
    write(tmp_path / "classes.txt", "person\ncar")
    write(tmp_path / "notes.json", "{}")
    assert names_of(tmp_path, "heldout") == ["images/4.jpg", "images/9.jpg"]
    assert len(names_of(tmp_path)) == 8


def test_every_fifth_is_held_out_where_only_train_is_named(root):
    for number in range(5):
        photo(root, f"images/train/{number}.jpg")
        write(root / "labels" / "train" / f"{number}.txt", POLYGON)
    for folder in ("images", "labels"):
        for path in (root / folder / "val").iterdir():
            path.unlink()
        (root / folder / "val").rmdir()
    config(root, "train: images/train")
    assert names_of(root, "heldout") == ["images/train/4.jpg"] and len(names_of(root)) == 6
    for path in list((root / "images" / "train").iterdir())[4:]:
        path.unlink()
    with pytest.raises(InputError, match="no heldout photo.*name a `val`"):
        YoloPolygons(root, "heldout")


def test_test_is_held_out_where_there_is_no_val(root):
    (root / "images" / "val").rename(root / "images" / "test")
    (root / "labels" / "val").rename(root / "labels" / "test")
    config(root, "train: images/train\ntest: images/test")
    assert names_of(root, "heldout") == ["images/test/c.jpg"]


@pytest.mark.parametrize("name", ["data.yml", "yard.yaml", "coco8-seg.yaml"])
def test_the_configuration_may_have_another_name(root, name):
    write(root / name, "names: [person]\ntrain: images/train\nval: images/val\n")
    write(root / "training.yaml", "epochs: 5\n")
    assert len(names_of(root)) == 2


def test_names_may_be_a_file(root):
    write(root / "person.names", "person\ncar\n")
    write(root / "data.yaml", "names: person.names\n")
    assert YoloPolygons(root, "train").vocabulary == ("person", "car")
    write(root / "data.yaml", "names: lost.names\n")
    with pytest.raises(InputError, match=r"lost\.names.*data\.yaml"):
        YoloPolygons(root, "train")


def test_byte_order_marks_everywhere(root):
    mark = codecs.BOM_UTF8
    write(root / "data.yaml", mark + b"names: classes.list\ntrain: train.txt\nval: val.txt\n")
    write(root / "classes.list", mark + b"person\r\ncar\r\n")
    write(root / "train.txt", mark + b"images/train/a.jpg\n" + mark + b"images/train/b.jpg\n")
    write(root / "val.txt", "images/val/c.jpg\n".encode("utf-16"))
    for path in (root / "labels").rglob("*.txt"):
        write(path, mark + POLYGON.encode())
    assert len(names_of(root)) == 2 and len(names_of(root, "heldout")) == 1
    assert YoloPolygons(root, "train").vocabulary == ("person", "car")


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("train/images/day/a.b.png", "train/labels/day/a.b.txt"),
        ("images/images/a.jpg", "images/labels/a.txt"),
        ("obj_train_data/a.jpg", "obj_train_data/a.txt"),
    ],
)
def test_labels_lie_where_ultralytics_looks_for_them(picture, labels):
    for root in (Path("/data/images/yard"), Path("yard")):
        assert label_of(root / picture, root) == root / labels
    assert label_of(Path("/other/images/a.jpg"), Path("/yard")) == Path("/other/labels/a.txt")


@pytest.mark.parametrize("suffix", ["gif", "ppm", "tga", "jpe", "jfif"])
def test_every_kind_of_picture_that_is_read_elsewhere_is_taken(root, suffix):
    photo(root, f"images/train/more.{suffix}")
    write(root / "labels/train/more.txt", POLYGON)
    taken = ["images/train/a.jpg", "images/train/b.jpg", f"images/train/more.{suffix}"]
    config(root, "train: images/train\nval: images/val")
    assert names_of(root) == taken
    write(root / "train.txt", "\n".join(taken))
    config(root, "train: train.txt\nval: images/val")
    assert names_of(root) == taken
