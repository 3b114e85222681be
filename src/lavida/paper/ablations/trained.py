"""What a trained model does on a benchmark when parts of it are changed at inference, without training anew."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from lavida import __version__
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation import STANDARD, evaluate
from lavida.evaluation.benchmarks import Benchmark
from lavida.evaluation.protocols import Protocol
from lavida.evaluation.scorers import Progress, untold
from lavida.paper.ablations.chart import draw_trained, write_table
from lavida.paper.ablations.cost import compression_costs
from lavida.paper.ablations.report import HEADINGS_ON_BENCHMARK, trained_markdown
from lavida.paper.ablations.studies import STUDIES, VARIED, Row
from lavida.training.recipe import Recipe

TITLES = {
    "compression": "Share of the visual tokens that compression keeps, changed at inference",
    "components": "Parts of a trained model, switched off at inference one at a time",
}

_logger = logging.getLogger(__name__)


def ablate_trained(
    name: str,
    *,
    benchmark: Benchmark,
    detector: Detector,
    out: Path,
    protocol: Protocol = STANDARD,
    videos: str | None = None,
    progress: Progress = untold,
) -> Path:
    """Measure every row of a study with one trained model and return the table `out/<study>.md`.

    Beside it lie `<study>.json` and `<study>.png` (for compression the paper's Figure 7), and below `out/<row>` each
    row's own evaluation. Finished rows are kept: the same call goes on where it was stopped. Each row is logged
    before it is measured.

    Args:
        name: `compression` or `components`.
        benchmark: what is measured on.
        detector: the trained model; it is as before when this returns.
        out: for the tables and the rows.
        protocol: the named choices between scores and numbers.
        videos: a glob over official video names; None is all of them.
        progress: of each row's evaluation.

    Raises:
        InputError: there is no such study for a trained model, `out` holds another ablation or cannot be written, or
            the benchmark cannot be measured.
    """
    protocol = protocol.on(benchmark.name)
    rows = trained_rows(name, detector)
    asked = {
        "benchmark": benchmark.name,
        "model": detector.name,
        "weights": _digest(detector),
        "protocol": {"name": protocol.name, **protocol.settings()},
        "videos": videos,
    }
    stem, measured = out / name, {"protocol": protocol, "videos": videos, "progress": progress}
    before = _earlier(stem.with_suffix(".json"), asked)
    done = {row["row"]: row for row in before.get("rows", [])}
    costs = before.get("costs")
    if name == "compression" and costs is None:
        costs = compression_costs(detector, [row.level for row in rows])
    waiting = [row for row in rows if row.name not in done]
    for number, row in enumerate(waiting, start=1):
        _logger.info("row %d of %d: %s", number, len(waiting), row.label)
        key = json.dumps([asked["weights"], dict(row.changes)])
        with changed_detector(detector, row.changes):
            result = evaluate(benchmark, detector=detector, out=out / row.name, resume_key=key, **measured)
        done[row.name] = {
            "row": row.name,
            "label": row.label,
            "level": row.level,
            "changes": dict(row.changes),
            "videos": result["videos"],
            "official_videos": result["settings"]["official_videos"],
            "notes": list(result["settings"]["notes"]),
            "headline": result["settings"]["headline"],
            "metrics": {key: result[key] for key in HEADINGS_ON_BENCHMARK if result.get(key) is not None},
        }
        _write(stem, asked, rows, done, costs)
    if not waiting:
        _write(stem, asked, rows, done, costs)
    return stem.with_suffix(".md")


def trained_rows(name: str, detector: Detector) -> list[Row]:
    """The rows of a study that need no training, the model as it is among them.

    Raises:
        InputError: the study needs training.
    """
    if name not in TITLES:
        raise InputError(
            f"the ablation {name} needs training; on a benchmark choose {' or '.join(TITLES)}, or leave --benchmark out"
        )
    knobs = {f"model.{name}" for name in detector.knobs}
    own = {name: getattr(detector.model.config, name) for name in VARIED} | detector.knobs
    return [row for row in STUDIES[name].rows(Recipe(model=own)) if row.changes.keys() <= knobs]


@contextmanager
def changed_detector(detector: Detector, changes: Mapping[str, Any]) -> Iterator[None]:
    """The detector with other settings while the block runs. `changes`: keys of `Row.changes` -> values."""
    with detector.changed(**{key.removeprefix("model."): value for key, value in changes.items()}):
        yield


def _digest(detector: Detector) -> str:
    """SHA-256 of the weights and the configuration, so that rows of two models never meet in one table."""
    whole = sha256(detector.model.config.to_json_string().encode())
    for name, weight in sorted(detector.model.state_dict().items()):
        whole.update(name.encode())
        whole.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return whole.hexdigest()


def _earlier(path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier call with the same arguments has written; empty if there was none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        before = content["asked"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a table of lavida ablate --benchmark: {path}; choose another --out") from error
    for key, value in asked.items():
        if before.get(key) != value:
            raise InputError(f"{path} is of another ablation: other {key}; choose another --out")
    return content


def _write(
    stem: Path,
    asked: Mapping[str, Any],
    rows: list[Row],
    done: Mapping[str, dict[str, Any]],
    costs: list[dict[str, Any]] | None,
) -> None:
    paper = STUDIES[stem.name].published
    content = {
        "study": stem.name,
        "title": TITLES[stem.name],
        "lavida": __version__,
        "asked": dict(asked),
        "rows": [done[row.name] for row in rows if row.name in done],
        "not_run": [row.label for row in rows if row.name not in done],
        "costs": costs,
        "paper": None if paper is None else {"source": paper.source, "note": paper.note},
    }
    write_table(stem, content, text=trained_markdown(content), draw=draw_trained)
