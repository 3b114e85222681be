"""`lavida data list`, `check` and `pack`: what is printed where, what is written, how they end."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.cli import run
from lavida.errors import InputError
from lavida.exposure.datasets import DATASETS, load
from lavida.training.data import ExposureStream
from lavida.training.recipe import load_recipe


@pytest.fixture
def camvid(tmp_path: Path, monkeypatch) -> Path:
    """CamVid with three pictures a part, with official counts to match, in the working folder."""
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for folder in (part, f"{part}annot"):
            (tmp_path / "camvid" / folder).mkdir(parents=True)
        for index in range(3):
            picture = Image.fromarray(rng.integers(256, size=(30, 40, 3), dtype=np.uint8))
            picture.save(tmp_path / "camvid" / part / f"{index}.jpg")
            labels = Image.fromarray(rng.integers(12, size=(30, 40), dtype=np.uint8))
            labels.save(tmp_path / "camvid" / f"{part}annot" / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DATASETS["camvid"], "expected", {"train": {"images": 6}, "heldout": {"images": 3}})
    return tmp_path / "camvid"


def test_list_names_every_data_set_with_its_layout(capsys):
    assert run(["data", "list"]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    for name, kind in DATASETS.items():
        assert name in lines and f"  folder   {kind.layout}" in lines
    assert "  train    16,994 images, 42,404 references, 120,624 expressions" in lines


def test_data_alone_says_what_it_can_do(capsys):
    assert run(["data"]) == 0
    assert "check" in capsys.readouterr().out


def test_a_complete_copy_is_counted_and_drawn(camvid, capsys):
    assert run(["data", "check", "camvid", "--root", "camvid", "--out", "new/sheet.png", "--samples", "4"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert ["train", "images", "6", "6"] in rows and ["heldout", "images", "3", "3"] in rows
    assert "18 of 18 files can be read" in out and "4 samples drawn in new/sheet.png" in out and err == ""
    with Image.open("new/sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 3 * 360


def test_the_sheet_has_a_name_of_its_own_and_can_be_left_out(camvid):
    assert run(["data", "check", "camvid", "--root", "camvid", "--samples", "0"]) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["camvid"]
    assert run(["data", "check", "camvid", "--root", "camvid", "--samples", "2"]) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["camvid", "camvid-samples.png"]


@pytest.mark.slow
def test_missing_and_unreadable_files_are_listed_and_end_in_one_line(camvid, capsys):
    (camvid / "valannot" / "1.png").unlink()
    (camvid / "testannot" / "2.png").write_bytes(b"no picture")
    assert run(["data", "check", "camvid", "--root", "camvid"]) == 2
    out, err = capsys.readouterr()
    assert "16 of 18 files can be read" in out
    assert "missing (1):\n  camvid/valannot/1.png\n" in out and "unreadable (1):\n  camvid/testannot/2.png: " in out
    assert Path("camvid-samples.png").exists()  # what can be read is drawn all the same
    (line,) = err.splitlines()
    assert line.startswith(
        "lavida: data check camvid: 1 file missing of 18, first: camvid/valannot/1.png, "
        "1 file unreadable, first: camvid/testannot/2.png"
    )
    assert "; restore" in line


def test_one_split_is_checked_alone(camvid, capsys):
    (camvid / "testannot" / "2.png").unlink()
    command = ["data", "check", "camvid", "--root", "camvid", "--samples", "0", "--split"]
    assert run([*command, "train"]) == 0 and "heldout" not in capsys.readouterr().out
    assert run([*command, "heldout"]) == 2 and "train " not in capsys.readouterr().out


def test_counts_that_differ_end_with_2(camvid, capsys):
    (camvid / "train" / "0.jpg").unlink()
    assert run(["data", "check", "camvid", "--root", "camvid", "--samples", "0"]) == 2
    out, err = capsys.readouterr()
    assert ["train", "images", "5", "6", "differs"] in [line.split() for line in out.splitlines()]
    assert "train has 5 images instead of 6" in err and "layout" in err


def test_long_lists_are_cut(camvid, capsys):
    for index in range(30):
        Image.new("RGB", (40, 30)).save(camvid / "train" / f"more{index:02}.jpg")
    assert run(["data", "check", "camvid", "--root", "camvid", "--samples", "0"]) == 2
    out, err = capsys.readouterr()
    assert "missing (30):" in out and "more19.png" in out and "more20.png" not in out and "  and 10 more" in out
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--root", "camvid"], "unknown data set 'nowhere'"),
        (["camvid", "--root", "nowhere"], "nowhere"),
        (["camvid", "--root", "camvid", "--split", "test"], "train, heldout, all"),
        (["camvid", "--root", "camvid", "--samples", "-1"], "--samples"),
        (["camvid", "--root", "camvid", "--out", "sheet.jpg"], "sheet.jpg"),
        (["camvid", "--root", "camvid", "--out", "camvid"], "--out camvid"),
        (["no_such_module:Shelves", "--root", "camvid"], "no_such_module"),
        (["json:Shelves", "--root", "camvid"], "no class 'Shelves'"),
        ([":Shelves", "--root", "camvid"], "no module ''"),
    ],
)
def test_bad_options_are_one_line(camvid, capsys, arguments, words):
    assert run(["data", "check", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize("name", ["camvid", "idd_lite", "humans"])
def test_the_kit_is_complete(kit, name, capsys):
    assert run(["data", "check", name, "--root", str(kit / name), "--samples", "0", "--split", "heldout"]) == 0
    assert "differs" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_recipe_is_packed_and_read_from_the_one_file(camvid, capsys):
    Path("recipe.yaml").write_text(
        "data: {root: ., max_side: 32, sets: [{name: camvid, folder: camvid}]}\ntrain: {steps: 1}\n"
    )
    assert run(["data", "pack", "recipe.yaml", "--out", "kit.pack"]) == 0
    assert capsys.readouterr().out.startswith("6 samples packed in kit.pack: 0.0 MB, quality 90")
    assert len(load("camvid", "kit.pack/camvid", "train")) == 6
    with pytest.raises(InputError, match="no camvid"):
        load("camvid", "kit.pack/camvid", "heldout")
    assert run(["data", "pack", "recipe.yaml", "--heldout", "--out", "kit.pack"]) == 0
    assert len(load("camvid", "kit.pack/camvid", "heldout")) == 3
    assert run(["data", "pack", "recipe.yaml", "data.root=nowhere", "--out", "none.pack"]) == 2
    assert "nowhere" in capsys.readouterr().err and not Path("none.pack").exists()
    for megabytes in ("0", "nan", "inf"):
        assert run(["data", "pack", "recipe.yaml", "--out", "none.pack", "--megabytes", megabytes]) == 2
        assert capsys.readouterr().err == f"lavida: --megabytes is {megabytes}: choose more than 0\n"


def test_a_training_reads_the_pack(camvid):
    text = "data: {root: ., max_side: 32, size: [32, 32], sets: [{name: camvid, folder: camvid}]}\ntrain: {steps: 1}\n"
    Path("recipe.yaml").write_text(text)
    assert run(["data", "pack", "recipe.yaml", "--out", "kit.pack"]) == 0
    changes = ["data.root=kit.pack", "sampler.even_words=false", "sampler.negatives_only_share=0.5"]
    recipe = load_recipe("recipe.yaml", changes)
    drawn = ExposureStream(recipe.data, recipe.sampler)(1, np.random.default_rng(0))
    assert drawn.frames.shape == (1, 32, 32, 3) and drawn.dataset == "camvid"
    with pytest.raises(InputError, match="max_side=32, the recipe has 640"):
        other = load_recipe("recipe.yaml", ["data.root=kit.pack", "data.max_side=640"])
        ExposureStream(other.data, other.sampler)
