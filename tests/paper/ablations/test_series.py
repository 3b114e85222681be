"""The whole of `lavida ablate` with a toy model and toy data; everything else is real."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from bright_scenes import bright_ped2
from omegaconf import OmegaConf
from tiny import tiny_lavida
from toys import draw

from lavida.cli import run as command_line
from lavida.errors import InputError
from lavida.evaluation.held_out.questions import HeldOut
from lavida.exposure.sample import SegmentationSample
from lavida.model.config import LavidaConfig
from lavida.paper.ablations import ablate, report
from lavida.paper.ablations.report import Content
from lavida.paper.ablations.runs import Run, Runs
from lavida.paper.ablations.studies import Row
from lavida.training.loop import train
from lavida.training.recipe import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_accelerator")]
STEPS = 2
ROWS = ("default", "projector-mlp")
RECIPE = f"""
model: {{preset: nano, projector: two_way, projector_queries: 4, compression_ratio: 0.5}}
data: {{sets: [{{name: toy, folder: toy}}], clip_length: 2, clip_share: 0.0}}
train: {{steps: {STEPS}, batch_size: 2, precision: float32, workers: 0, warmup: 1, checkpoint_every: 1}}
"""


class Stopped(Exception):
    """Stands for whatever stops a series."""


class ToyStream:
    has_clips = False
    left: int | None = None  # draws until the series is stopped
    drawn = 0

    def __call__(self, length, rng):
        if ToyStream.left is not None:
            if ToyStream.left == 0:
                raise Stopped
            ToyStream.left -= 1
        ToyStream.drawn += 1
        return draw(length, rng)


class ToyPictures:
    """A car on the left of every picture."""

    name, vocabulary = "toy", ("car",)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        frames = np.random.default_rng(index).integers(0, 255, (1, 64, 96, 3)).astype(np.uint8)
        mask = np.zeros((1, 64, 96), dtype=bool)
        mask[:, 16:48, :40] = True
        return SegmentationSample(frames=frames, masks={"car": mask}, ignore=None, dataset="toy", key=str(index))


class ToySet(HeldOut):
    def load(self, root, split="heldout"):
        return ToyPictures()


TOYS = (ToySet("toys", "toy", "toys"),)


def toy_model(recipe):
    known = {field.name for field in fields(LavidaConfig)}
    model = tiny_lavida(projector_layers=1, **{key: v for key, v in recipe.model.items() if key in known})
    model.sam2.vision_encoder.backbone.requires_grad_(False)
    return model


def learn(recipe):
    train(recipe, data=ToyStream(), model=toy_model(recipe))


toy_ablate = partial(ablate, sets=TOYS, learn=learn)


def drawing_once() -> Callable[[Content, Path], None]:
    """Draws each kind of picture once: that takes most of the time of a table."""
    known: dict[tuple, bytes] = {}

    def draw_once(content: Content, path: Path) -> None:
        kind = content["study"], len(content["rows"]), bool(content["noise"]), bool(content["costs"])
        if kind not in known:
            report.draw(content, path)
            known[kind] = path.read_bytes()
        path.write_bytes(known[kind])

    return draw_once


@pytest.fixture(scope="module", autouse=True)
def toys():
    AcceleratorState._reset_state(reset_partial_state=True)  # Accelerate keeps it for the whole process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lavida.paper.ablations.ablate", toy_ablate)  # what the command line calls
        patch.setattr("lavida.paper.ablations.series.draw", drawing_once())
        yield


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "toy.yaml"
    path.write_text(RECIPE)
    return path


def go(name: str, recipe: Path, out: Path, **options) -> list[Path]:
    return toy_ablate(name, root=Path("nowhere"), out=out, recipe=recipe, **{"pictures": 3, **options})


@contextmanager
def logged() -> Iterator[list[str]]:
    """What the library logs in the block; for fixtures that outlive a test, unlike `caplog`."""
    said, logger = [], logging.getLogger("lavida")
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


def runs_in(out: Path) -> set[str]:
    return {path.parent.name for path in out.glob("runs/*/result.json")}


def stop_after(patch: pytest.MonkeyPatch, runs: float) -> None:
    patch.setattr(ToyStream, "left", int(runs * STEPS * 2))


@pytest.fixture(scope="module")
def projector(toys, recipe, tmp_path_factory) -> Path:
    """Two rows of a study that was stopped in the middle of its second run and called again."""
    out = tmp_path_factory.mktemp("ablations") / "new" / "folder"
    with pytest.MonkeyPatch.context() as patch, logged() as said, pytest.raises(Stopped):
        stop_after(patch, 1.5)
        go("projector", recipe, out, rows=ROWS)
    assert runs_in(out) == {"default-seed0"} and said[0] == "run 1 of 3: default, seed 0"
    assert "Not run: projector-mlp, projector-q_former." in (out / "projector.md").read_text(encoding="utf-8")
    before = ToyStream.drawn
    with logged() as said:
        assert go("projector", recipe, out, rows=ROWS) == [out / "projector.md"]
    assert ToyStream.drawn - before == STEPS * 2 * 1.5  # the stopped run went on from its checkpoint
    assert said[-1] == "run 3 of 3: projector-mlp, seed 0, about 0 min left"
    return out


def test_the_default_has_two_seeds_and_every_other_row_one(projector):
    assert runs_in(projector) == {"default-seed0", "default-seed1", "projector-mlp-seed0"}
    seeds = [json.loads(path.read_text())["seed"] for path in sorted(projector.glob("runs/default*/result.json"))]
    trained = [OmegaConf.load(path).train.seed for path in sorted(projector.glob("runs/default*/recipe.yaml"))]
    assert seeds == trained == [0, 1]


def test_a_row_is_trained_and_saved_with_its_change(projector):
    configs = {p.parts[-3]: json.loads(p.read_text()) for p in projector.glob("runs/*/model/config.json")}
    assert {name: config["projector"] for name, config in configs.items()} == {
        "default-seed0": "two_way",
        "default-seed1": "two_way",
        "projector-mlp-seed0": "mlp",
    }


def test_checkpoints_are_gone_when_the_model_is_there(projector):
    assert not list(projector.glob("runs/*/checkpoint-*"))


def test_the_table_says_what_the_held_out_pictures_gave(projector):
    said = json.loads((projector / "projector.json").read_text())
    assert [row["row"] for row in said["rows"]] == ["projector-mlp", "default"]
    assert said["held_out"] == {"most_pictures": 3, "prompts": {"toys": 6}} and said["not_run"] == [
        "projector-q_former"
    ]
    result = json.loads((projector / "runs" / "projector-mlp-seed0" / "result.json").read_text())
    assert said["rows"][0]["metrics"]["auc"]["values"] == [result["sets"]["toys"]["auc"]]
    assert said["rows"][0]["metrics"]["mask_iou"]["mean"] == result["sets"]["toys"]["mask_iou"]
    assert (projector / "projector.png").stat().st_size > 10_000


def test_finished_rows_are_shared_and_never_trained_again(projector, recipe, monkeypatch):
    stop_after(monkeypatch, 0)
    go("projector", recipe, projector, rows=ROWS)
    [table] = go("compression", recipe, projector, rows=["default"])
    text = table.read_text(encoding="utf-8")
    assert "0.5 (default) | 2 |" in text and "Not run: compression-1, compression-0.2" in text
    assert "kept of 6 visual tokens" in text
    costs = (projector / "compression-cost.json").read_text()
    go("compression", recipe, projector, rows=["default"])
    assert (projector / "compression-cost.json").read_text() == costs  # times are not measured again


def test_a_row_that_changes_no_training_has_the_weights_of_the_default(recipe, tmp_path, monkeypatch):
    [table] = go("ingredients", recipe, tmp_path, rows=["no-clean-masks"])
    assert runs_in(tmp_path) == {"no-clean-masks-seed0"}
    assert [path.parts[-2] for path in tmp_path.glob("runs/*/model")] == ["default-seed0"]
    assert "| without clean masks | 1 |" in table.read_text(encoding="utf-8")
    stop_after(monkeypatch, 0)  # the default has only to be measured
    [table] = go("ingredients", recipe, tmp_path, rows=["default"], seeds=1)
    rows = {row["label"]: row["metrics"] for row in json.loads(table.with_suffix(".json").read_text())["rows"]}
    cleaned, as_found = rows["all parts"], rows["without clean masks"]
    assert cleaned["auc"] == as_found["auc"] and cleaned["parts"]["mean"] < as_found["parts"]["mean"]
    monkeypatch.setattr(ToyStream, "left", None)
    shutil.rmtree(tmp_path / "runs" / "default-seed0")
    go("ingredients", recipe, tmp_path, rows=["default"], seeds=1, overrides=["train.learning_rate=0.1"])
    said = (tmp_path / "ingredients.md").read_text(encoding="utf-8")
    assert "without clean masks |" not in said and "no-clean-masks" in said  # of other weights


def test_the_costs_of_a_recipe_that_names_no_ratio(tmp_path):
    path = tmp_path / "plain.yaml"
    path.write_text(RECIPE.replace(", projector: two_way, projector_queries: 4, compression_ratio: 0.5", ""))
    assert load_recipe(path, ["data.root=."]).model == {"preset": "nano"}
    [table] = go("compression", path, tmp_path / "out", rows=["default"], seeds=1)
    said = json.loads(table.with_suffix(".json").read_text())
    assert [(row["row"], row["level"]) for row in said["rows"]] == [("default", 0.5)]
    assert [cost["ratio"] for cost in said["costs"]] == [1.0, 0.5, 0.2, 0.1, 0.05]
    assert said["not_run"] == ["compression-1", "compression-0.2", "compression-0.1", "compression-0.05"]
    trained = OmegaConf.load(tmp_path / "out" / "runs" / "default-seed0" / "recipe.yaml").model
    assert trained.compression_ratio == 0.5 and trained.projector_queries == 16  # nano's own


def test_rows_that_a_saved_model_cannot_have_are_refused_before_anything_is_trained(recipe, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"projector": "mlp", "projector_queries": 4}')
    path = tmp_path / "start.yaml"
    path.write_text(RECIPE.replace("projector: two_way, projector_queries: 4", f"start: {tmp_path}"))
    stop_after(monkeypatch, 0)
    with pytest.raises(InputError, match="row projector-q_former changes the model, and the recipe's model.start"):
        go("projector", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(Stopped):  # nothing but the draw of the first step is in the way
        go("max-categories", path, tmp_path / "out")


def test_other_pictures_are_asked_without_training(projector, recipe, monkeypatch):
    stop_after(monkeypatch, 0)
    for pictures in (2, 3):
        go("projector", recipe, projector, rows=["default"], pictures=pictures, seeds=1)
        said = json.loads((projector / "projector.json").read_text())
        assert said["held_out"] == {"most_pictures": pictures, "prompts": {"toys": 2 * pictures}}


def test_runs_of_another_recipe_are_refused(projector, recipe):
    with pytest.raises(InputError, match="default-seed0 holds a run with train.learning_rate 0.0005, not 0.001"):
        go("projector", recipe, projector, overrides=["train.learning_rate=0.001"])


def test_two_processes_do_not_do_the_same_run(recipe, tmp_path):
    loaded = load_recipe(recipe, ["data.root=."])
    one, other = (Runs(loaded, out=tmp_path, root=tmp_path, pictures=3, ped2=None) for _ in range(2))
    run = Run(Row("default", "default"), 0)
    with one.claimed(run, wait=False) as first, other.claimed(run, wait=False) as second:
        assert first and not second
        with other.claimed(replace(run, seed=1), wait=False) as third:
            assert third
    with other.claimed(run, wait=False) as again:
        assert again


def test_ped2_adds_columns(projector, recipe, monkeypatch, tmp_path):
    bright_ped2(tmp_path)
    stop_after(monkeypatch, 0)
    [table] = go("projector", recipe, projector, rows=["default"], seeds=1, ped2=tmp_path)
    path = projector / "runs" / "default-seed0" / "ped2" / "metrics.json"
    measured, at = json.loads(path.read_text()), path.stat().st_mtime_ns
    assert f"| {measured['pixel_auc']:.3f} | {measured['frame_auc_micro']:.3f} |" in table.read_text(encoding="utf-8")
    go("projector", recipe, projector, rows=["default"], seeds=1, ped2=tmp_path)
    assert path.stat().st_mtime_ns == at  # measured once
    [table] = go("projector", recipe, projector, rows=["default"])
    assert "Ped2 pixel AUC |" not in table.read_text(encoding="utf-8").replace("paper: Ped2 pixel AUC (%)", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quries"], "unknown ablation quries: choose"),
        (["projector", "--rows", "mlp"], "unknown row mlp: choose default"),
        (["projector", "--seeds", "0"], "--seeds is 0; give 1 or more"),
        (["projector", "train.stepz=3"], "train.stepz"),
        (["projector", "model.preset=huge"], "unknown model.preset 'huge'"),
        (["projector", "--recipe", "nothing.yaml"], "no such recipe: nothing.yaml"),
        (["projector", "--out", "{file}/below"], "cannot write: {file}/below"),
    ],
)
def test_bad_input_is_one_line(recipe, tmp_path, capsys, monkeypatch, arguments, said):
    (tmp_path / "file").write_text("")
    defaults = ["--root", "nowhere", "--out", str(tmp_path / "out"), "--recipe", str(recipe)]
    given = [argument.format(file=tmp_path / "file") for argument in arguments]
    assert command_line(["ablate", *defaults, *given]) == 2
    error = capsys.readouterr().err
    assert said.format(file=tmp_path / "file") in error and error.count("\n") == 1 and "Traceback" not in error


def test_missing_data_is_said_before_anything_is_trained(recipe, tmp_path):
    class Absent(HeldOut):
        def load(self, root, split="heldout"):
            raise InputError(f"{self.folder} is not there")

    with pytest.raises(InputError, match="toys is not there"):
        go("projector", recipe, tmp_path / "out", sets=[Absent("toys", "toy", "toys")])
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table_and_says_what_it_trains(projector, recipe, capsys):
    options = ["--root", "nowhere", "--out", str(projector), "--recipe", str(recipe), "--pictures", "3"]
    assert command_line(["ablate", "projector", *options, "--rows", ",".join(ROWS)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("# Projector") and str(projector / "projector.md") in printed.out
