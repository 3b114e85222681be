"""`lavida ablate`: train and measure every row of one study or of all, and write their tables."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from lavida import __version__
from lavida.errors import InputError, writing_to
from lavida.evaluation import open_benchmark
from lavida.evaluation.held_out.questions import PICTURES, HeldOut, check_pictures
from lavida.files import atomic_file
from lavida.loading import load
from lavida.paper.ablations.report import SURE, draw, markdown, write_table
from lavida.paper.ablations.runs import MODEL, PED2, Run, Runs
from lavida.paper.ablations.studies import DEFAULT, Row, Study, choose, completed, unique_rows
from lavida.paper.ablations.trained import compression_costs
from lavida.timing import Progress, untold
from lavida.training.loop import train
from lavida.training.recipe import Recipe, load_recipe
from lavida.training.start import START

COSTS = "compression-cost.json"

_logger = logging.getLogger(__name__)


def ablate(
    name: str,
    *,
    root: Path,
    out: Path,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    seeds: int = 2,
    row_seeds: int = 1,
    rows: Sequence[str] | None = None,
    pictures: int = 100,
    ped2: Path | None = None,
    sets: Sequence[HeldOut] = PICTURES,
    learn: Callable[[Recipe], object] = train,
    progress: Progress = untold,
) -> list[Path]:
    """Run one study, or `all` of them, and return the tables (`out/<study>.md`; beside each a `.json` and a `.png`).

    The tables are written after every run, so whatever stops the series, what is done stays; the same call goes
    on. Two processes with the same arguments share the runs between them. Each run is logged before it starts.

    Args:
        name: a study, or `all`.
        root: the data sets, for training and for the held-out test.
        out: for the runs and the tables.
        recipe: of the default row; its `data.root` and `out` do not count. None: the study's own.
        overrides: `key=value` of the recipe, for every row.
        seeds: how often the default row is trained, so that its spread shows the noise.
        row_seeds: how often every other row is trained.
        rows: only these are trained; the tables show all that is done.
        pictures: at most so many held-out pictures of a set.
        ped2: also measure on UCSD Ped2 in this folder.
        sets: the held-out sets of pictures below `root`.
        learn: trains by a recipe and leaves the model in its `out`.
        progress: of what is measured.

    Raises:
        InputError: a name, a number, the recipe or the data does not fit, or `out` holds other runs.
    """
    for what, number in (("--seeds", seeds), ("--row-seeds", row_seeds), ("--pictures", pictures)):
        if number < 1:
            raise InputError(f"{what} is {number}; give 1 or more")
    studies = choose(name)
    base = completed(load_recipe(recipe or _shipped(studies[0].recipe), ["data.root=.", *overrides]))
    chosen = unique_rows(studies, base, only=rows)
    _check_start(base, chosen)
    check_pictures(root, pictures=sets)
    if ped2 is not None:
        open_benchmark(PED2, ped2)
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
    runs = Runs(
        base,
        out=out,
        root=root,
        pictures=pictures,
        ped2=ped2,
        sets=sets,
        further=any(study.further for study in studies),
        learn=learn,
        progress=progress,
    )
    series = _Series(runs, studies, out=out, seeds=seeds, row_seeds=row_seeds)
    series.run(chosen)
    return series.write_tables()


def _shipped(recipe: Path) -> Path:
    """A recipe of the repository, from which the installed package comes without it."""
    if not recipe.is_file():
        raise InputError(
            f"no {recipe} in this folder: work in lavida's repository, which has it, or give --recipe FILE"
        )
    return recipe


def _check_start(recipe: Recipe, rows: Sequence[Row]) -> None:
    """Raise InputError for a row that would be refused only after the rows before it have been trained."""
    if START not in recipe.model:
        return
    for row in rows:
        if any(key.startswith("model.") for key in row.trained_as.changes):
            raise InputError(
                f"row {row.name} changes the model, and the recipe's model.start takes a saved one as it is: leave it "
                "out, choose max-categories, or change a trained model with --benchmark"
            )


class _Series:
    def __init__(self, runs: Runs, studies: Sequence[Study], *, out: Path, seeds: int, row_seeds: int) -> None:
        self._runs, self._studies, self._out = runs, studies, out
        self._seeds, self._row_seeds = seeds, row_seeds

    def run(self, rows: Sequence[Row]) -> None:
        """Finish every run of these rows: first those that no other process is at, then wait for the others."""
        plan = [run for row in rows for run in self._runs_of(row)]
        seconds: list[float] = []
        for wait in (False, True):
            for number, run in enumerate(plan, start=1):
                if self._runs.result(run) is not None:
                    continue
                if wait:
                    _logger.info("waiting for %s: another process has it", run.name)
                with self._runs.claimed(run, wait=wait) as mine:
                    if not mine or self._runs.result(run) is not None:
                        continue
                    left = self._left(plan, seconds)
                    _logger.info("run %d of %d: %s, seed %d%s", number, len(plan), run.row.name, run.seed, left)
                    started = time.perf_counter()
                    self._runs.finish(run)
                    seconds.append(time.perf_counter() - started)
                self.write_tables()

    def write_tables(self) -> list[Path]:
        """Write `<study>.md`, `.json` and `.png` of every study with a finished run; the paths of the tables."""
        return [table for study in self._studies if (table := self._write_table(study)) is not None]

    def _runs_of(self, row: Row) -> list[Run]:
        first, count = self._runs.recipe.train.seed, self._seeds if row.name == DEFAULT else self._row_seeds
        return [Run(row, seed) for seed in range(first, first + count)]

    def _left(self, plan: Sequence[Run], seconds: Sequence[float]) -> str:
        """Time left for the series, from the runs that are done, in this call or before."""
        results = [self._runs.result(run) for run in plan]
        known = seconds or [sum(result["seconds"].values()) for result in results if result is not None]
        if not known:
            return ""
        minutes = round(fmean(known) * results.count(None) / 60)
        return f", about {minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f", about {minutes} min left"

    def _write_table(self, study: Study) -> Path | None:
        measured = [
            Measured(row, [r for run in self._runs_of(row) if (r := self._runs.result(run)) is not None])
            for row in study.rows(self._runs.recipe)
        ]
        if not any(each.results for each in measured):
            return None
        content = summary(study, measured, recipe=self._runs.recipe, costs=self._costs(study))
        return write_table(self._out / study.name, content, text=markdown(content), draw=draw)

    def _costs(self, study: Study) -> list[dict[str, Any]] | None:
        """Of the compression ratios, measured once with the default row's model and kept in `out`."""
        if study.name != "compression":
            return None
        path = self._out / COSTS
        ratios = [row.level for row in study.rows(self._runs.recipe)]
        kept = json.loads(path.read_text()) if path.is_file() else []
        if [cost["ratio"] for cost in kept] == ratios:
            return kept
        done = [run for run in self._runs_of(Row(DEFAULT, "")) if self._runs.result(run) is not None]
        if not done:
            return None
        costs = compression_costs(load(str(self._runs.folder(done[0]) / MODEL), runtime="torch"), ratios)
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(costs, indent=2) + "\n")
        return costs


class Measured(NamedTuple):
    """A row and the results of its finished runs, one a seed (`Runs.result`)."""

    row: Row
    results: Sequence[Mapping[str, Any]]

    def values(self, metric: str) -> list[float]:
        return [v for result in self.results if (v := result["metrics"].get(metric)) is not None]


def summary(
    study: Study, measured: Sequence[Measured], *, recipe: Recipe, costs: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any]:
    """Everything that a table says of the rows of a study, of which one or more have results.

    The recipe, that of the default row, says the budget; `costs` are `compression_costs`, or None.
    """
    default = next((each for each in measured if each.row.name == DEFAULT), None)
    done = [each for each in measured if each.results]
    budget, paper, first = recipe.train, study.published, done[0].results[0]
    return {
        "study": study.name,
        "title": study.title,
        "key": study.key or None,
        "remark": study.remark,
        "further": study.further,
        "lavida": __version__,
        "budget": {
            "steps": budget.steps,
            "batch_size": budget.batch_size,
            "size": list(recipe.data.size),
            "learning_rate": budget.learning_rate,
        },
        "held_out": {
            "most_pictures": first["pictures"],
            "prompts": {name: values["prompts"] for name, values in first["sets"].items()},
        },
        "noise": None if default is None else _noise(default),
        "rows": [_row(each, default, study) for each in done],
        "not_run": [each.row.name for each in measured if not each.results],
        "costs": None if costs is None else list(costs),
        "paper": None if paper is None else {"source": paper.source, "columns": paper.columns, "note": paper.note},
    }


def _row(measured: Measured, default: Measured | None, study: Study) -> dict[str, Any]:
    row, paper = measured.row, study.published
    metrics = dict.fromkeys(key for result in measured.results for key in result["metrics"])
    return {
        "row": row.name,
        "label": row.label,
        "level": row.level,
        "changes": dict(row.changes),
        "seeds": [result["seed"] for result in measured.results],
        "metrics": {key: _statistics(measured.values(key)) for key in metrics},
        "versus_default": None if default is None or row.name == DEFAULT else _difference(measured, default),
        "paper": None if paper is None else paper.rows.get(row.level),
    }


def _statistics(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None, "values": list(values)}


def _noise(default: Measured) -> dict[str, Any] | None:
    """How far the default row is from itself with another seed; None with fewer than two seeds."""
    values = default.values("auc")
    if len(values) < 2:
        return None
    seeds = [result["seed"] for result in default.results]
    return {"seeds": seeds, "auc": values, "std": stdev(values), "range": max(values) - min(values)}


def _difference(measured: Measured, default: Measured) -> dict[str, Any] | None:
    """Mean AUC less the default's, its standard error from the default's spread, and whether it stands out."""
    own, other = measured.values("auc"), default.values("auc")
    if not own or not other:
        return None
    difference = fmean(own) - fmean(other)
    error = stdev(other) * math.sqrt(1 / len(own) + 1 / len(other)) if len(other) > 1 else None
    clear = None if error is None else abs(difference) > SURE * error
    return {"auc": difference, "standard_error": error, "clear": clear}
