"""`lavida eval`: a model or a trivial baseline on a benchmark, with its table."""

from pathlib import Path

from rich.console import Console

from lavida.detector import Detector, check_categories, load
from lavida.errors import InputError
from lavida.evaluation import PROTOCOLS, evaluate, open_benchmark
from lavida.evaluation.baselines import BASELINES
from lavida.evaluation.exposure import evaluate_exposure, exposure_tables
from lavida.evaluation.tables import print_comparison


def evaluate_command(
    name: str,
    *,
    root: Path,
    out: Path,
    model: str,
    protocol: str,
    baseline: str | None,
    videos: str | None,
    anomalies: list[str],
    motion: bool,
    device: str,
) -> None:
    """Measure and print the table. Raises InputError for names that do not exist and data that is not there."""
    if name == "exposure":
        _refuse_benchmark_options(baseline=baseline, videos=videos, anomalies=anomalies)
        result = evaluate_exposure(_detector(model, device=device, motion=motion), root=root, out=out)
        Console().print(*exposure_tables(result))
        return
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol}: choose {', '.join(PROTOCOLS)}")
    if baseline is not None and baseline not in BASELINES:
        raise InputError(f"unknown baseline {baseline}: choose {', '.join(BASELINES)}")
    benchmark = open_benchmark(name, root)
    if baseline is not None:
        if anomalies or not motion:
            raise InputError(
                f"--baseline {baseline} knows no words and has no other setting: leave -a and --no-motion out"
            )
        scorer = {"baseline": BASELINES[baseline]()}
    else:
        scorer = {
            "detector": _detector(model, device=device, motion=motion),
            "categories": anomalies and check_categories(anomalies),
        }
    result = evaluate(benchmark, **scorer, protocol=PROTOCOLS[protocol], videos=videos, out=out)
    siblings = sorted(p for p in out.resolve().parent.glob("*/metrics.json") if p.parent != out.resolve())
    print_comparison(result, siblings=siblings)


def _detector(model: str, *, device: str, motion: bool) -> Detector:
    detector = load(model, device=device)
    detector.motion = detector.motion and motion
    return detector


def _refuse_benchmark_options(*, baseline: str | None, videos: str | None, anomalies: list[str]) -> None:
    if anomalies:
        raise InputError("-a: the exposure test asks for the classes of its data sets; leave it out")
    if baseline is not None:
        raise InputError(f"--baseline {baseline}: the exposure test always shows its own baselines; leave it out")
    if videos is not None:
        raise InputError(f"--videos {videos}: the exposure test has no videos to choose from; leave it out")
