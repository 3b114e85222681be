"""`lavida report`: the HTML page of an evaluation that is already there."""

from pathlib import Path

from lavida.commands.bars import progress_bars
from lavida.console import tell
from lavida.detector import Detector, load
from lavida.evaluation import open_benchmark
from lavida.evaluation.report import Result, read_result, write_report
from lavida.evaluation.tables import sibling_results


def report_command(out: Path, *, root: Path | None, model: str | None, masks: bool, device: str) -> None:
    """Write `out/report.html` and say where it is.

    Args:
        out: the folder that `lavida eval` wrote.
        root: the benchmark's folder, for pictures; None: a page without them.
        model: the model that was measured; None: the one whose name the result holds.
        masks: also show what the model marks, which takes a second look at a few clips.
        device: for the model.

    Raises:
        InputError: there is no result, or the benchmark or the model is not there.
    """
    result = read_result(out)
    benchmark = None if root is None else open_benchmark(result.metrics["benchmark"], root)
    detector = None
    if benchmark is not None and masks and result.of_detector:
        detector = _detector(result, model, device=device)
    with progress_bars() as progress:
        siblings = sibling_results(out)
        page = write_report(result, benchmark=benchmark, detector=detector, siblings=siblings, progress=progress)
    tell(f"report written: {page}")


def _detector(result: Result, model: str | None, *, device: str) -> Detector:
    detector = load(result.metrics["model"] if model is None else model, device=device)
    if result.settings.get("motion") is False:
        detector.motion = False
    return detector
