"""`lavida export`: a result in the format of another tool; `lavida import`: what people said of it there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lavida.cli.options import ThresholdOption
from lavida.errors import InputError, one_line
from lavida.terminal import print_result


def export(
    result: Annotated[Path, typer.Argument(help="A result of lavida detect.")],
    to: Annotated[str, typer.Option(help="coco, cvat, label-studio, csv, vtt or fiftyone.")],
    out: Annotated[Path, typer.Option(help="The file to write; with --frames, or of fiftyone, a folder.")],
    threshold: ThresholdOption = None,
    frames: Annotated[bool, typer.Option("--frames", help="Of coco, also write the analysed frames.")] = False,
) -> None:
    """Write a result for another tool: masks and boxes (coco, cvat, label-studio, fiftyone), or events (csv, vtt)."""
    from lavida.detection import Detection, check_threshold
    from lavida.export.formats import write_export
    from lavida.export.labels import read_labels

    if frames and to != "coco":
        raise InputError(f"--frames belongs to coco, not to {to}: leave it out")
    found = Detection.load(result)
    if threshold is not None:
        check_threshold(threshold)
        found = found.at(threshold)
    labels = read_labels(result, end_s=found.end_s)
    write_export(found, to, out, labels=labels, frames=frames)
    told = [f"{len(found.events())} events"]
    if to not in ("csv", "vtt"):  # which hold events alone
        told.append(f"{len(found.masks)} masks")
    told.append(f"threshold {found.threshold:g}")
    if labels:
        told.append(f"{len(labels)} labels")
    print_result(f"{one_line(out)}: {', '.join(told)}")


def import_labels(
    file: Annotated[Path, typer.Argument(help="What another tool has written.")],
    source: Annotated[str, typer.Option("--from", help="coco, cvat, label-studio, fiftyone, csv or vtt.")],
    result: Annotated[Path, typer.Option(help="The result of lavida detect that it is about.")],
) -> None:
    """Take what people say of a result from another tool: labels.json, as the page of lavida serve writes it."""
    from lavida.detection import Detection
    from lavida.export.labels import VERDICTS, write_labels
    from lavida.export.names import LABELS
    from lavida.export.readback import read_export

    found = Detection.load(result)
    labels = read_export(file, source, found)
    write_labels(labels, result)
    counts = [f"{sum(label.verdict == verdict for label in labels)} {verdict}" for verdict in VERDICTS]
    print_result(f"{one_line(result / LABELS)}: {', '.join(counts)}")
