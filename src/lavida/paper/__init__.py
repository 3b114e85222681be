"""The wing of the paper: its figures, its ablations, and here its numbers.

Those are rows of Tables 1 and 2, and those of its ablations, which are of another scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TABLE_1, _TABLE_2 = "Table 1 of the LAVIDA paper", "Table 2 of the LAVIDA paper"


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


# method, venue, training, and UBnormal, ShanghaiTech, UCF-Crime (AUC) and XD-Violence (AP) in percent
_ROWS_1: tuple[tuple[str, str, str, float | None, float | None, float | None, float | None], ...] = (
    ("MemAE", "ICCV'19", "unsupervised", None, 71.2, None, None),
    ("GODS", "ICCV'19", "unsupervised", None, None, 70.4, 61.56),
    ("MSMA", "ICLR'21", "unsupervised", None, 76.7, 64.5, None),
    ("GCL", "CVPR'22", "unsupervised", None, 79.62, 74.2, None),
    ("FastAno", "WACV'22", "unsupervised", None, 72.2, None, None),
    ("FPDM", "ICCV'23", "unsupervised", 62.7, 78.6, 74.7, None),
    ("MULDE", "CVPR'24", "unsupervised", 72.8, 81.3, 78.5, None),
    ("AED-MAE", "CVPR'24", "unsupervised", 58.5, 79.1, None, None),
    ("MA-PDM", "AAAI'25", "unsupervised", 63.4, 79.2, None, None),
    ("CLIP-TSA", "ICIP'23", "weakly-supervised", None, None, 87.58, 82.19),
    ("TPWNG", "CVPR'24", "weakly-supervised", None, None, 87.79, 83.68),
    ("VadCLIP", "AAAI'24", "weakly-supervised", None, None, 88.02, 84.51),
    ("Holmes-VAU", "CVPR'25", "weakly-supervised", None, None, 87.68, 88.96),
    ("VERA", "CVPR'25", "weakly-supervised", None, None, 86.55, 56.27),
    ("PI-VAD", "CVPR'25", "weakly-supervised", None, None, 90.33, 85.37),
    ("Anomize", "CVPR'25", "weakly-supervised", None, None, 84.49, 69.31),
    ("AnomalyRuler", "ECCV'24", "few-shot", 71.9, 85.2, None, None),
    ("LAVAD", "CVPR'24", "zero-shot", None, None, 80.82, 62.01),
    ("AnyAnomaly", "WACV'26", "zero-shot", 74.5, 79.7, 80.7, None),
    ("EventVAD", "ACM'25", "zero-shot", None, None, 82.03, 64.04),
    ("LAVIDA (paper)", "", "zero-shot", 76.45, 85.28, 82.18, 90.62),
)

# method, training, pixel AUC on UCSD Ped2 in percent
_ROWS_2 = (
    ("AdaCLIP", "finetune", 53.06),
    ("AnomalyCLIP", "finetune", 54.25),
    ("DDAD", "supervised", 55.87),
    ("SimpleNet", "supervised", 52.49),
    ("DRAEM", "supervised", 69.58),
    ("TAO", "finetune", 75.11),
    ("LAVIDA (paper)", "zero-shot", 87.68),
)


def _table_1(column: int, metric: str) -> tuple[PublishedRow, ...]:
    return tuple(
        PublishedRow(method=method, venue=venue, training=training, metrics={metric: value}, source=_TABLE_1)
        for method, venue, training, *values in _ROWS_1
        if (value := values[column]) is not None
    )


PUBLISHED: dict[str, tuple[PublishedRow, ...]] = {
    "ubnormal": _table_1(0, "frame_auc_micro"),
    "shanghaitech": _table_1(1, "frame_auc_micro"),
    "ucf-crime": _table_1(2, "frame_auc_micro"),
    "xd-violence": _table_1(3, "frame_ap"),
    "ucsd-ped2": tuple(
        PublishedRow(method=method, training=training, metrics={"pixel_auc": value}, source=_TABLE_2)
        for method, training, value in _ROWS_2
    ),
}
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
_QUERIES = {
    24: (58.85, 66.63, 50.14),
    32: (77.41, 77.96, 88.31),
    48: (80.64, 80.06, 90.30),
    64: (77.96, 67.11, 89.15),
}

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
