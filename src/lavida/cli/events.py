"""`lavida events`: the events of a result, cut anew without reading the video again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lavida.cli.options import JsonOption, ThresholdOption
from lavida.errors import one_line
from lavida.terminal import print_result

LONGEST_NAME = 40  # characters of a category in the table


def events(
    folder: Annotated[Path, typer.Argument(help="A result of lavida detect.")],
    threshold: ThresholdOption = None,
    min_length: Annotated[float | None, typer.Option(help="Leave out events shorter than so many seconds.")] = None,
    merge_gap: Annotated[float | None, typer.Option(help="Join events less than so many seconds apart.")] = None,
    as_json: JsonOption = False,
    write: Annotated[
        bool, typer.Option("--write", help="Replace events.json, masks.json and timeline.png; the overlay stays.")
    ] = False,
) -> None:
    """Cut the events of a result anew, with another threshold, least length or gap."""
    from lavida.detection import MERGE_GAP_S, Detection
    from lavida.export.result import rewrite_events

    found = Detection.load(folder)
    gap = MERGE_GAP_S if merge_gap is None else merge_gap
    cut = found.events(threshold, min_length_s=min_length, merge_gap_s=gap)
    if threshold is not None:
        found = replace(found, threshold=threshold, masks=[])
    if write:
        rewrite_events(found, cut, folder.resolve())
    if as_json:
        print_result(json.dumps([event.to_json() for event in cut], allow_nan=False))
        return
    said = f"{len(cut)} {'event' if len(cut) == 1 else 'events'}, threshold {found.threshold:g}"
    print_result(f"{one_line(str(folder))}: {said}")
    for event in cut:
        name = one_line(event.category)
        name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        box = "" if event.box is None else "  box " + ", ".join(f"{side:g}" for side in event.box)
        print_result(
            f"  {event.start_s:8.2f} s to {event.end_s:8.2f} s  {event.peak_score:.2f} at {event.peak_s:.2f} s  "
            f"{name}{box}"
        )
