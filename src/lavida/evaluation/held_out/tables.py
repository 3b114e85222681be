"""The exposure test as tables."""

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
    tables = [_rows(result)]
    if result["removed"]:
        tables.append(_removed(result["removed"]))
    return tables


def _rows(result: dict[str, Any]) -> Table:
    error = result["reliability"]["expected_calibration_error"]
    table = Table(
        title="exposure test on held-out pictures and clips",
        caption=(
            "Words alone and no training are frame AUCs, too: of a bag of words that never sees a picture, and of "
            "the backbone's own classifier. "
            f"Expected calibration error {error:.3f} on the pictures that calibration did not use."
        ),
        box=box.SIMPLE_HEAD,
    )
    for heading in ("set", "prompts", *_MEASURES.values()):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, row in result["sets"].items():
        table.add_row(name, str(row["prompts"]), *(_number(row[key]) for key in _MEASURES))
    return table


def _removed(categories: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        title="categories removed from training",
        caption="Frame AUC of the prompts that name the category: where it is there against where it is not.",
        box=box.SIMPLE_HEAD,
    )
    for heading in ("category", "there", "not there", "frame AUC"):
        table.add_column(heading, justify="left" if heading == "category" else "right")
    for name, row in categories.items():
        table.add_row(name, str(row["present"]), str(row["absent"]), _number(row["auc"]))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
