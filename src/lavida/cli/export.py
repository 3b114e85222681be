"""`lavida export`: a result in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lavida.cli.options import ThresholdOption
from lavida.errors import InputError, one_line
from lavida.terminal import print_result


def export(
    result: Annotated[Path, typer.Argument(help="A result of lavida detect.")],
    to: Annotated[str, typer.Option(help="coco, cvat, label-studio, csv or vtt.")],
    out: Annotated[Path, typer.Option(help="The file to write; with --frames a folder.")],
    threshold: ThresholdOption = None,
    frames: Annotated[bool, typer.Option("--frames", help="Of coco, also write the analysed frames.")] = False,
) -> None:
    """Write a result for another tool: masks and boxes (coco, cvat, label-studio), or events (csv, vtt)."""
    from lavida.detection import Detection, check_threshold
    from lavida.export.formats import write_export

    if frames and to != "coco":
        raise InputError(f"--frames belongs to coco, not to {to}: leave it out")
    found = Detection.load(result)
    if threshold is not None:
        check_threshold(threshold)
        found = found.at(threshold)
    write_export(found, to, out, frames=frames)
    print_result(
        f"{one_line(out)}: {len(found.events())} events, {len(found.masks)} masks, threshold {found.threshold:g}"
    )
