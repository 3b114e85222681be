import numpy as np
import pytest
from picture_files import STORED, save_turned
from PIL import Image
from pycocotools import mask as coco_rle

from lavida.errors import InputError
from lavida.exposure.check import check
from lavida.exposure.datasets import YoloPolygons

LEFT_HALF = "0 0 0.5 0 0.5 1 0 1"  # corners without the class


def picture(path, *, width=40, height=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


def label(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path):
    for part, stem in (("train", "a.jpg"), ("train", "b.PNG"), ("val", "night/c.jpeg")):
        picture(tmp_path / "images" / part / stem)
    (tmp_path / "labels" / "train").mkdir(parents=True)
    label(tmp_path / "labels" / "train" / "a.txt", f"1 {LEFT_HALF}", "", "0 0.75 0.5 0.9 0.5 0.9 0.9")
    label(tmp_path / "labels" / "val" / "night" / "c.txt", "2 1.5 1.5 1.8 1.5 1.8 1.8")
    (tmp_path / "data.yaml").write_text("path: ../sets/yard\nnames:\n  0: Fork_lift\n  1: person\n  2: pallet\n")
    return tmp_path


def test_polygons_become_masks_under_the_names_of_data_yaml(root):
    dataset = YoloPolygons(root, "train")
    assert dataset.vocabulary == ("fork lift", "person", "pallet") and len(dataset) == 2
    sample = dataset[0]
    assert sample.key == "train/a" and sample.ignore is None and set(sample.masks) == {"person", "fork lift"}
    person = sample.masks["person"]
    assert person.shape == (1, 20, 40) and person.dtype == bool
    assert person[0, :, :20].all() and not person[0, :, 22:].any()
    assert sample.masks["fork lift"][0, 11:17, 33:36].any() and not sample.masks["fork lift"][0, :, :29].any()


def test_polygons_are_drawn_as_coco_draws_them(root):
    picture(root / "images/train/a.jpg", width=16, height=16)
    square, corner = (
        "0 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5",
        "0 0.9 0.9 1.2 0.9 1.2 1.2 0.9 1.2",
    )  # 4 to 8; over the edge
    label(root / "labels/train/a.txt", square, corner)
    wanted = np.zeros((16, 16), bool)
    wanted[4:8, 4:8] = True
    for polygon in (square, corner):
        numbers = [16 * float(number) for number in polygon.split()[1:]]
        drawn = coco_rle.decode(coco_rle.frPyObjects([numbers], 16, 16))[..., 0]
        assert drawn.sum() == {square: 16, corner: 4}[polygon]
        wanted |= drawn > 0
    assert np.array_equal(YoloPolygons(root, "train")[0].masks["fork lift"][0], wanted)


def test_a_photo_without_a_label_file_shows_nothing_and_lacks_no_file(root):
    dataset = YoloPolygons(root, "train")
    assert dataset[1].masks == {}
    assert [path.name for path in dataset.files()] == ["a.jpg", "a.txt", "b.PNG"]
    assert dataset.counts() == {"images": 2}


def test_suffixes_may_be_written_in_capitals(root):
    for path in (root / "images/train/a.jpg", root / "labels/train/a.txt"):
        path.rename(path.with_suffix(path.suffix.upper()))
    (root / "labels/train/lost.TXT").touch()
    dataset = YoloPolygons(root, "train")
    assert dataset[0].masks and [path.name for path in dataset.files()] == ["a.JPG", "a.TXT", "b.PNG"]
    assert any("without a photo: 1 label files" in each.text for each in dataset.remarks())


def test_an_empty_label_file_is_that_of_a_background_picture(root):
    picture(root / "images/train/yard.png")
    (root / "labels/train/yard.txt").write_bytes(b"")
    picture(root / "images/train/cut.png")
    (root / "images/train/cut.png").write_bytes(b"")
    dataset = YoloPolygons(root, "train")
    samples = {sample[0]: place for place, sample in enumerate(dataset.list_samples("train"))}
    assert dataset[samples["train/yard"]].masks == {}
    report = check({"train": dataset})
    assert [(flaw.where, flaw.why) for flaw in report.unreadable] == [
        (str(root / "images/train/cut.png"), "the file is empty")
    ]


def test_an_object_outside_the_photo_stays_listed_with_an_empty_mask(root):
    (sample,) = YoloPolygons(root, "heldout")
    assert sample.key == "val/night/c" and set(sample.masks) == {"pallet"} and not sample.masks["pallet"].any()


def test_a_missing_photo_is_named_when_it_is_read(root):
    dataset = YoloPolygons(root, "train")
    (root / "images" / "train" / "b.PNG").unlink()
    assert dataset[0].masks
    with pytest.raises(InputError, match="b.PNG"):
        dataset[1]


@pytest.mark.parametrize(
    "line",
    [
        f"7 {LEFT_HALF}",
        f"-1 {LEFT_HALF}",
        "0 0.1 0.2 0.3",
        "0 0.5 0.5 0.2 0.2",
        "0 0 0 nan 0 1 1",
        "person 0 0 1 1 0 1",
        "0.5 0 0 1 1 0 1",
        "nan 0 0 1 1 0 1",
    ],
)
def test_a_broken_line_is_named_when_its_sample_is_read(root, line):
    label(root / "labels" / "train" / "a.txt", f"1 {LEFT_HALF}", line)
    dataset = YoloPolygons(root, "train")
    with pytest.raises(InputError, match="a.txt, line 2"):
        dataset[0]
    assert dataset[1].masks == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.2 0.2", "a box.*export polygons"),
        (f"0 {LEFT_HALF} 0.93", "confidence"),
        ("0 0.5 0.5 0.2 0.2 0.93", "confidence"),
        ("0 12 10 30 10 30 18", "divide x by its width"),
    ],
)
def test_what_tools_write_instead_of_polygons_is_told_by_its_name(root, line, words):
    label(root / "labels" / "train" / "a.txt", line)
    with pytest.raises(InputError, match=f"{words}") as error:
        YoloPolygons(root, "train")[0]
    assert "a.txt, line 1" in str(error.value)


def test_key_points_are_no_polygons(root):
    (root / "data.yaml").write_text("kpt_shape: [17, 3]\nnames: [person]\n")
    with pytest.raises(InputError, match="kpt_shape"):
        YoloPolygons(root, "train")


def test_a_class_may_be_written_as_a_decimal(root):
    label(root / "labels" / "train" / "a.txt", f"1.0 {LEFT_HALF}")
    assert set(YoloPolygons(root, "train")[0].masks) == {"person"}


def test_polygons_lie_on_the_upright_photo(root):
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:, :32] = 255
    for orientation in STORED:
        save_turned(root / "images" / "train" / "a.jpg", upright, orientation, quality=95)
        label(root / "labels" / "train" / "a.txt", f"1 {LEFT_HALF}")
        sample = YoloPolygons(root, "train")[0]
        assert sample.frames.shape == (1, 40, 64, 3)
        assert ((sample.frames[..., 0] > 127) != sample.masks["person"]).mean() < 0.02, orientation


def test_photos_of_16_bits_share_one_stretch(root):
    for part, name, high in (("train", "a", 8000), ("val", "night/c", 9000)):
        values = np.tile(np.linspace(7000, high, 40).astype(np.uint16), (20, 1))
        (root / "images" / part / name).with_suffix(".jpg").unlink(missing_ok=True)
        (root / "images" / part / name).with_suffix(".jpeg").unlink(missing_ok=True)
        Image.fromarray(values).save(root / "images" / part / f"{name}.png")
    assert int(YoloPolygons(root, "train")[0].frames.max()) == pytest.approx(127, abs=3)
    assert YoloPolygons(root, "heldout")[0].frames.max() == 255


def test_folders_beside_each_other_as_exporters_write_them(tmp_path):
    for part in ("train", "valid"):
        picture(tmp_path / part / "images" / "a.jpg")
        label(tmp_path / part / "labels" / "a.txt", f"0 {LEFT_HALF}")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['hard-hat']\n")
    for split in ("train", "heldout"):
        (sample,) = YoloPolygons(tmp_path, split)
        assert np.mean(sample.masks["hard-hat"]) == pytest.approx(0.5, abs=0.05)


def test_several_folders_make_one_split(root):
    picture(root / "more" / "images" / "d.jpg")
    (root / "more" / "labels").mkdir()
    (root / "data.yaml").write_text("train: [images/train, more/images]\nnames: [fork lift, person]\n")
    assert [path.stem for path in YoloPolygons(root, "train").files() if path.suffix != ".txt"] == ["a", "b", "d"]


def test_a_list_of_classes_will_do(root):
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("truck\nperson\npallet\n")
    assert YoloPolygons(root, "train").vocabulary == ("truck", "person", "pallet")


@pytest.mark.parametrize(
    "config",
    ["names: 3\n", "names: [1, 2]\n", "names: {a: b}\n", "just words\n", "names: [a\n", "train: 5\nnames: [a]\n"],
)
def test_a_useless_data_yaml_is_named(root, config):
    (root / "data.yaml").write_text(config)
    with pytest.raises(InputError, match="data.yaml") as error:
        YoloPolygons(root, "train")
    assert "\n" not in str(error.value)


def test_what_is_missing_is_told_with_the_layout(root):
    (root / "images" / "train" / "a.jpg").unlink()
    (root / "images" / "train" / "b.PNG").unlink()
    with pytest.raises(InputError, match="no train photo") as error:
        YoloPolygons(root, "train")
    assert YoloPolygons.layout in str(error.value)
    (root / "data.yaml").unlink()
    with pytest.raises(InputError, match="no class names") as error:
        YoloPolygons(root, "train")
    assert YoloPolygons.layout in str(error.value)
    with pytest.raises(InputError, match="nowhere"):
        YoloPolygons(root / "nowhere", "train")
