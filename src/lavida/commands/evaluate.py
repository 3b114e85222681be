"""`lavida eval`: a model or a trivial baseline on a benchmark, with its table."""

from pathlib import Path

from rich.console import Console

from lavida.detector import load
from lavida.errors import InputError
from lavida.evaluation import PROTOCOLS, evaluate, open_benchmark
from lavida.evaluation.baselines import BASELINES
from lavida.evaluation.exposure import evaluate_exposure, exposure_table
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
    device: str,
) -> None:
    """Measure and print the table. Raises InputError for names that do not exist and data that is not there."""
    if name == "exposure":
        result = evaluate_exposure(load(model, device=device), root=root, out=out)
        Console().print(exposure_table(result))
        return
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol}: choose {', '.join(PROTOCOLS)}")
    if baseline is not None and baseline not in BASELINES:
        raise InputError(f"unknown baseline {baseline}: choose {', '.join(BASELINES)}")
    benchmark = open_benchmark(name, root)
    scorer = {"baseline": BASELINES[baseline]()} if baseline else {"detector": load(model, device=device)}
    result = evaluate(benchmark, **scorer, protocol=PROTOCOLS[protocol], videos=videos, out=out)
    siblings = sorted(p for p in out.resolve().parent.glob("*/metrics.json") if p.parent != out.resolve())
    print_comparison(result, siblings=siblings)
