"""docs/datasets.md: its example works as it is written there, and its tables say what the code says."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from lavida.cli import run
from lavida.errors import InputError
from lavida.exposure.datasets import DATASETS, load, own_class
from lavida.exposure.mixture import Mixture

DOC = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch) -> Path:
    """An empty working folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("shelves"):
            del sys.modules[name]


@pytest.fixture
def shelves(working_folder: Path) -> Path:
    """The example of the documentation with a small tree of its layout."""
    (code,) = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    (working_folder / "shelves.py").write_text(code)
    for part, count in (("train", 2), ("val", 1)):
        for folder in ("photos", "labels"):
            (working_folder / "data" / folder / part).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (16, 12), "gray").save(working_folder / "data" / "photos" / part / f"{index}.jpg")
            labels = np.repeat(np.array([0, 1, 2, 3, 255, 0], np.uint8), 2)[:, None].repeat(16, axis=1)
            Image.fromarray(labels).save(working_folder / "data" / "labels" / part / f"{index}.png")
    return working_folder / "data"


def test_the_example_passes_its_check(shelves, capsys):
    assert run(["data", "check", "shelves:Shelves", "--root", "data"]) == 0
    assert "6 of 6 files can be read" in capsys.readouterr().out and Path("shelves-Shelves-samples.png").exists()


def test_the_check_of_the_example_finds_a_value_without_a_meaning(shelves, capsys):
    path = shelves / "labels" / "val" / "0.png"
    Image.fromarray(np.full((12, 16), 7, np.uint8)).save(path)
    assert run(["data", "check", "shelves:Shelves", "--root", "data"]) == 2
    assert "unknown label 7" in capsys.readouterr().err


def test_the_example_can_be_mixed_by_the_name_in_the_recipe(shelves):
    recipe = next(block for block in re.findall(r"```yaml\n(.*?)```", DOC, flags=re.DOTALL))
    names = [entry.name for entry in OmegaConf.create(recipe).data.sets]
    mixture = Mixture([load(names[-1], shelves, "train")], [1.0])
    sample = mixture.draw(np.random.default_rng(0))
    assert set(sample.masks) == {"bottle", "broken bottle", "torn box"} == set(mixture.own_names(sample.dataset))
    assert sample.masks["bottle"].sum() == 2 * sample.masks["broken bottle"].sum()
    assert sample.ignore.sum() == 2 * 16
    assert set(names[:-1]) <= DATASETS.keys()


def test_the_tables_have_every_data_set_with_its_counts():
    tables = DOC.partition("## What there is")[2].partition("## The mixture")[0]
    rows = {row.split("|")[1].strip(): row for row in tables.splitlines() if row.startswith("| `")}
    assert set(rows) == {f"`{name}`" for name in DATASETS}
    for name, kind in DATASETS.items():
        cells = rows[f"`{name}`"].split("|")
        for split, cell in (("train", cells[3]), ("heldout", cells[4])):
            for unit, count in kind.expected.get(split, {}).items():
                assert f"{count:,} {unit}" in cell


@pytest.mark.parametrize("name", ["shelves_gone:Shelves", ":Shelves", ".x:Shelves", "shelves_gone.deep:Shelves"])
def test_a_module_that_is_not_there_is_named(name):
    with pytest.raises(InputError, match=re.escape(repr(name))):
        own_class(name)


def test_a_class_that_is_not_there_is_named(shelves):
    with pytest.raises(InputError, match=r"no class 'Shelf' in .*shelves\.py"):
        own_class("shelves:Shelf")


def test_an_error_inside_the_module_is_not_hidden(working_folder):
    (working_folder / "shelves_broken.py").write_text("import no_such_module_at_all")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        own_class("shelves_broken:Shelves")
