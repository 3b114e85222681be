"""One row, one seed: a short training and its measurement, in a folder that may be left and entered again.

Measured are the held-out test and, where it is given, UCSD Ped2; nothing is trained or chosen by the latter.
"""

import gc
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from lavida import __version__
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation import evaluate, open_benchmark
from lavida.evaluation.held_out.answers import Questions, ask_all, mean_of_known, row_measures
from lavida.evaluation.held_out.further import further_questions, further_sets
from lavida.evaluation.held_out.qualifier_pairs import by_hand, by_kind, made_pairs, pairs_by_hand
from lavida.evaluation.held_out.questions import ACTORS, PICTURES, ROWS, WALKERS, HeldOut, MovingScenes
from lavida.exposure.qualifier_proofs import KINDS
from lavida.files import atomic_file, fingerprint, locked
from lavida.loading import load
from lavida.paper.ablations.studies import Row, changed, completed
from lavida.paper.ablations.trained import changed_detector
from lavida.timing import Progress, untold
from lavida.training.loop import train
from lavida.training.recipe import Recipe, load_recipe
from lavida.training.run_folder import FREE, RECIPE

RESULT, MODEL, PED2_FOLDER = "result.json", "model", "ped2"
PED2, WEIGHTS = "ucsd-ped2", "weights.json"
PED2_METRICS = {"pixel_auc": "ped2.pixel_auc", "frame_auc_micro": "ped2.frame_auc"}
MOVING = "moving"
CROWD, QUALIFIED, BY_HAND = "crowd", "qualified", "by hand"
NOT_PICTURES = {MOVING, CROWD, QUALIFIED, BY_HAND}  # have no part in the means
MEANS = ("auc", "mask_iou", "category_accuracy")
MASKS = ("boundary_f", "parts")


def held_out_sets(
    detector: Detector, root: Path, *, pictures: int, sets: Sequence[HeldOut] = PICTURES, progress: Progress = untold
) -> dict[str, dict[str, Any]]:
    """`prompts`, frame `auc`, `mask_iou` and `category_accuracy` of each held-out set below `root`.

    These are the picture sets and, where its pictures are there, `MOVING`: scenes that ask for motion words. At most
    `pictures` of a set are asked, spread evenly, and so many scenes.
    """
    measured = partial(_measured, detector, progress)
    asked = {each.row: each.questions(root, most=pictures)[0] for each in sets}
    results = {row: measured(row, questions) for row, questions in asked.items()}
    if _has_actors(root):
        scenes = {row: MovingScenes(root, row, scenes=pictures) for row in ROWS if row not in WALKERS}
        rows = [measured(row, each) for row, each in scenes.items()]
        means = {key: mean_of_known(row[key] for row in rows) for key in MEANS}
        results[MOVING] = {"prompts": sum(row["prompts"] for row in rows), **means}
    return results


def further_measures(detector: Detector, root: Path, *, pictures: int, progress: Progress = untold) -> dict[str, Any]:
    """What `ingredients` is measured by beside `held_out_sets`, in the same form.

    COCO as a whole, fire and smoke, a runner among small walkers, and the pairs of qualifiers, each where its pictures
    are there; `pictures` as there, and made pairs of a kind.
    """
    measured = partial(_measured, detector, progress)
    results = {row: measured(row, questions) for row, questions in further_questions(root).items()}
    if not _has_actors(root):
        return results
    [crowds] = WALKERS
    results[CROWD] = measured(crowds, MovingScenes(root, crowds, scenes=2 * pictures))
    made = made_pairs(root, [*PICTURES, *further_sets(root)], most=pictures)
    for name, asked, most in (
        (QUALIFIED, made, pictures * len(KINDS)),
        (BY_HAND, pairs_by_hand(root), len(by_hand())),
    ):
        kinds = by_kind(detector, asked, title=name, most=most, progress=progress).values()
        auc = mean_of_known(kind["auc"] for kind in kinds)
        pairs = sum(kind["pairs"] for kind in kinds)
        results[name] = {"prompts": pairs, "auc": auc, "mask_iou": None, "category_accuracy": None}
    return results


def _measured(detector: Detector, progress: Progress, row: str, questions: Questions) -> dict[str, Any]:
    return row_measures(ask_all(detector, row, questions, progress=progress)[0], None)


def _has_actors(root: Path) -> bool:
    return all((root / each.folder).is_dir() for each in ACTORS)


def overall(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """The columns of a table: `auc.<set>`, and the means over the sets of pictures."""
    of_pictures = [values for name, values in sets.items() if name not in NOT_PICTURES]
    means = {key: mean_of_known(values.get(key) for values in of_pictures) for key in (*MEANS, *MASKS)}
    return {f"auc.{name}": values["auc"] for name, values in sets.items()} | means


@dataclass(frozen=True)
class Run:
    """A row trained with one seed."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        return f"{self.row.name}-seed{self.seed}"


class Runs:
    """All runs of one recipe, a `completed` one, below `out/runs`; the other arguments are those of `ablate`."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        out: Path,
        root: Path,
        pictures: int,
        ped2: Path | None,
        sets: Sequence[HeldOut] = PICTURES,
        further: bool = False,
        learn: Callable[[Recipe], object] = train,
        progress: Progress = untold,
    ) -> None:
        self.recipe = replace(recipe, data=replace(recipe.data, root=str(root)), calibrate=False)
        self._folder, self._root, self._pictures, self._ped2 = out / "runs", root, pictures, ped2
        self._sets, self._further, self._learn, self._progress = sets, further, learn, progress

    def folder(self, run: Run) -> Path:
        return self._folder / run.name

    def result(self, run: Run) -> dict[str, Any] | None:
        """What the finished run has measured; None if it is not finished.

        Raises:
            InputError: the folder holds a run of another recipe.
        """
        self._check(self._trained(run))
        result = self._measured(run)
        if result is None:
            return None
        if self._ped2 is not None:
            if (measured := self._measured_on_ped2(run)) is None:
                return None
            result["metrics"] |= {column: measured[key] for key, column in PED2_METRICS.items()}
        return result

    def finish(self, run: Run) -> None:
        """Train and measure what is not done yet."""
        weights = self._trained(run)
        started = time.perf_counter()
        with nullcontext() if weights == run else self.claimed(weights, wait=True):
            self._train(weights)
        trained = time.perf_counter()
        detector = load(str(self.folder(weights) / MODEL), runtime="torch")
        at_inference = {} if weights == run else run.row.changes
        with changed_detector(detector, at_inference):
            self._measure(run, detector, training_s=trained - started)
        gc.collect()  # model and optimiser refer to each other in circles

    def _train(self, run: Run) -> None:
        """Unless that is done."""
        self._check(run)
        if not _has_model(self.folder(run)):
            self._learn(self._recipe(run))
        for checkpoint in self.folder(run).glob("checkpoint-*"):  # ten times the size of the model
            shutil.rmtree(checkpoint)

    def _measure(self, run: Run, detector: Detector, *, training_s: float) -> None:
        """What is not measured yet."""
        folder, started = self.folder(run), time.perf_counter()
        if self._measured(run) is None:
            root, pictures, progress = self._root, self._pictures, self._progress
            sets = held_out_sets(detector, root, pictures=pictures, sets=self._sets, progress=progress)
            if self._further:
                sets |= further_measures(detector, root, pictures=pictures, progress=progress)
            seconds = {"training": training_s, "measuring": time.perf_counter() - started}
            record = {
                "row": run.row.name,
                "changes": dict(run.row.changes),
                "seed": run.seed,
                "pictures": self._pictures,
                "further": self._further,
                "weights": self._weights(run),
                "sets": sets,
                "metrics": overall(sets),
                "seconds": {name: round(value, 1) for name, value in seconds.items()},
                "lavida": __version__,
            }
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(folder / RESULT) as path:
                path.write_text(json.dumps(record, indent=2) + "\n")
        if self._ped2 is not None and self._measured_on_ped2(run) is None:
            benchmark, out = open_benchmark(PED2, self._ped2), folder / PED2_FOLDER
            evaluate(benchmark, detector=detector, out=out, progress=self._progress)
            with atomic_file(out / WEIGHTS) as path:
                path.write_text(json.dumps({"weights": self._weights(run)}) + "\n")

    def _measured(self, run: Run) -> dict[str, Any] | None:
        """What its folder has of the held-out test, if that is what is asked for."""
        result = _read(self.folder(run) / RESULT)
        if result is None or result["pictures"] != self._pictures:
            return None
        if not self._has_weights(run, result.get("weights")):
            return None
        return None if self._further and not result.get("further") else result

    def _measured_on_ped2(self, run: Run) -> dict[str, Any] | None:
        """What its folder has of UCSD Ped2, if that was measured with the weights that there are now."""
        folder = self.folder(run) / PED2_FOLDER
        said = (_read(folder / WEIGHTS) or {}).get("weights", "")
        return _read(folder / "metrics.json") if self._has_weights(run, said) else None

    def _has_weights(self, run: Run, said: str | None) -> bool:
        """Whether they are those that were measured: a row may have been trained anew since."""
        weights = self._weights(run)
        # a row's own model may go after it was measured, and results of an earlier version do not say its weights
        return said == weights or (None in (said, weights) and self._trained(run) == run)

    def _weights(self, run: Run) -> str | None:
        """SHA-256 of its model; None while there is none."""
        folder = self.folder(self._trained(run))
        return fingerprint(folder / MODEL) if _has_model(folder) else None

    def claimed(self, run: Run, *, wait: bool) -> AbstractContextManager[bool]:
        """Keep other processes from the run; gives False where one of them has it and `wait` is not wanted."""
        return locked(self._folder / f".{run.name}.lock", wait=wait)

    def _trained(self, run: Run) -> Run:
        """The run whose weights it has."""
        return replace(run, row=run.row.trained_as)

    def _recipe(self, run: Run) -> Recipe:
        recipe = changed(self.recipe, run.row.changes)
        return replace(recipe, train=replace(recipe.train, seed=run.seed), out=str(self.folder(run)))

    def _check(self, run: Run) -> None:
        folder, recipe = self.folder(run), self._recipe(run)
        if not _has_model(folder) and not any(folder.glob("checkpoint-*")):
            return  # nothing of an earlier run would be used
        path = folder / RECIPE
        before = _settings_in(path, path.stat().st_mtime_ns if path.is_file() else 0)
        now = _settings(recipe)
        for key in sorted((before.keys() | now.keys()) - FREE):
            if before.get(key) != now.get(key):
                raise InputError(
                    f"{folder} holds a run with {key} {before.get(key)}, not {now.get(key)}: choose another --out"
                )


def _has_model(folder: Path) -> bool:
    return (folder / MODEL / "config.json").is_file()


@lru_cache
def _settings_in(path: Path, changed_ns: int) -> dict[str, Any]:
    """Of a run's recipe, which is checked again and again and takes long to read."""
    return _settings(completed(load_recipe(path)))


def _settings(recipe: Recipe) -> dict[str, Any]:
    """All settings by dotted key, as plain data: lists for tuples."""
    plain = json.loads(json.dumps(asdict(recipe)))
    sections = {name: values for name, values in plain.items() if isinstance(values, dict)}
    return {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None
