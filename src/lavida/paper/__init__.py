"""The wing of the paper: its figures, its ablations, and here its numbers.

Those are rows of Tables 1 and 2, and those of its ablations, which are of another scale.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A row of a paper's table."""

    method: str  # as the paper calls it
    training: str  # the training regime, in the paper's words
    metrics: Mapping[str, float]  # key of `metrics.json` -> value in percent, as printed
    source: str  # the table it was read from
    venue: str = ""  # where the method was published; empty where the table does not say


@dataclass(frozen=True)
class PublishedAblation:
    """A table or figure of the paper."""

    source: str  # where it stands
    columns: tuple[str, ...] = ()  # its columns, all in percent
    rows: Mapping[Any, tuple[float, ...]] = field(default_factory=dict)  # level of the study -> its numbers as printed
    note: str = ""  # what it says in words


# benchmark -> the metric of its column in `published.csv`
_METRICS = {
    "ubnormal": "frame_auc_micro",
    "shanghaitech": "frame_auc_micro",
    "ucf-crime": "frame_auc_micro",
    "xd-violence": "frame_ap",
    "ucsd-ped2": "pixel_auc",
}


def _published() -> dict[str, tuple[PublishedRow, ...]]:
    with files(__name__).joinpath("published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        benchmark: tuple(
            PublishedRow(
                method=row["method"],
                venue=row["venue"],
                training=row["training"],
                metrics={metric: float(row[benchmark])},
                source=f"Table {row['table']} of the LAVIDA paper",
            )
            for row in rows
            if row[benchmark]
        )
        for benchmark, metric in _METRICS.items()
    }


PUBLISHED = _published()
"""Benchmark -> the published rows on it, in the order of their table."""

_FRAME_LEVEL = ("ShanghaiTech AUC", "UCF-Crime AUC", "XD-Violence AP")
_MOST_CATEGORIES = {
    10: (73.34, 67.11, 55.44),
    20: (80.13, 80.02, 91.20),
    30: (85.02, 82.06, 90.30),
    40: (76.41, 77.93, 75.32),
}
_PROJECTORS = {
    "mlp": (81.99, 79.90, 86.09, 77.09),
    "q_former": (82.63, 75.54, 83.93, 71.85),
    "two_way": (85.28, 82.06, 90.62, 87.68),
}
_QUERIES = {24: (58.85, 66.63, 50.14), 32: (77.41, 77.96, 88.31), 48: (80.64, 80.06, 90.30), 64: (77.96, 67.11, 89.15)}

ABLATIONS: dict[str, PublishedAblation] = {
    "max-categories": PublishedAblation("Table 3", _FRAME_LEVEL, _MOST_CATEGORIES),
    "projector": PublishedAblation("Table 4", (*_FRAME_LEVEL, "Ped2 pixel AUC"), _PROJECTORS),
    "queries": PublishedAblation("Table 5", _FRAME_LEVEL, _QUERIES),
    "compression": PublishedAblation(
        "Figure 7",
        note=(
            "at ratio 0.2 GPU memory falls to 54.1 % of the baseline and the scores change by +2.44 (UBnormal), "
            "+2.24 (ShanghaiTech), -0.32 (XD-Violence) and -2.49 (UCF-Crime) points; below 0.1 they drop markedly"
        ),
    ),
}
"""Study of `lavida ablate` -> what the paper says of the same rows."""
