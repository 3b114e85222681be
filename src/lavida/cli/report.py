"""`lavida report`: the HTML page of an evaluation that is already there."""

from pathlib import Path
from typing import Annotated

import typer

from lavida.cli.options import DeviceOption
from lavida.terminal import print_result, progress_bars


def report(
    out: Annotated[Path, typer.Argument(help="The folder that lavida eval wrote.")],
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder; without it no pictures.")] = None,
    model: Annotated[str | None, typer.Option(help="The measured model, if it has moved.")] = None,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Show what the model marks.")] = True,
    device: DeviceOption = "auto",
) -> None:
    """Write OUT/report.html: one page with the table, the score curves, and the best and worst cases."""
    from lavida.detector import load
    from lavida.evaluation import open_benchmark
    from lavida.evaluation.report import read_result, write_report
    from lavida.evaluation.tables import sibling_results

    result = read_result(out)
    benchmark = None if root is None else open_benchmark(result.metrics["benchmark"], root)
    detector = None
    if benchmark is not None and masks and result.of_detector:
        detector = load(result.metrics["model"] if model is None else model, device=device)
        detector.motion = detector.motion and result.settings.get("motion") is not False
    with progress_bars() as progress:
        siblings = sibling_results(out)
        page = write_report(result, benchmark=benchmark, detector=detector, siblings=siblings, progress=progress)
    print_result(f"report written: {page}")
