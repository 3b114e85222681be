"""The held-out test as tables."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

_MEASURES = {
    "auc": "frame\nAUC",
    "auc_words": "words\nalone",
    "auc_untrained": "no\ntraining",
    "mask_iou": "mask\nIoU",
    "category_accuracy": "right\ncategory",
}


def exposure_tables(result: dict[str, Any]) -> list[Table]:
    """The rows with the baselines beside the model, and the categories removed from training, if there are any."""
    error = result["reliability"]["expected_calibration_error"]
    sets = _table(
        "exposure test on held-out pictures and clips",
        "Words alone and no training are frame AUCs, too: of a bag of words that never sees a picture, and of "
        "the backbone's own classifier. "
        f"Expected calibration error {error:.3f} on the pictures that calibration did not use.",
        ["set", "prompts", *_MEASURES.values()],
    )
    for name, row in result["sets"].items():
        sets.add_row(name, str(row["prompts"]), *(_number(row[key]) for key in _MEASURES))
    if not result["removed"]:
        return [sets]
    removed = _table(
        "categories removed from training",
        "Frame AUC of the prompts that name the category: where it is there against where it is not.",
        ["category", "there", "not there", "frame AUC"],
    )
    for name, row in result["removed"].items():
        removed.add_row(name, str(row["present"]), str(row["absent"]), _number(row["auc"]))
    return [sets, removed]


def _table(title: str, caption: str, headings: list[str]) -> Table:
    """An empty table, all columns but the first aligned to the right."""
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
