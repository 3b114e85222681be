"""`lavida eval`: a model or a trivial baseline on a benchmark, with its table."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from rich.console import Console

from lavida.commands.bars import progress_bars
from lavida.console import tell
from lavida.detector import Detector, check_categories, load, model_folder
from lavida.errors import InputError
from lavida.evaluation import PROTOCOLS, Protocol, Workers, evaluate, open_benchmark
from lavida.evaluation.held_out import evaluate_exposure, exposure_tables
from lavida.evaluation.scorers import BASELINES
from lavida.evaluation.tables import print_comparison, sibling_results
from lavida.model.saved import fingerprint


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
    settings: Sequence[str] = (),
    workers: int | None = None,
    ray: str | None = None,
    save_maps: bool = False,
    report: bool = False,
) -> None:
    """Measure and print the table. Raises InputError for names that do not exist and data that is not there."""
    places = Workers(count=workers, ray=ray)
    if name == "exposure":
        _refuse_benchmark_options(baseline=baseline, videos=videos, anomalies=anomalies, settings=settings)
        if save_maps or report or not places.is_this_process:
            raise InputError("--workers, --ray, --save-maps, --report: the exposure test has no videos; leave them out")
        detector = _detector(model, device=device, motion=motion)
        with progress_bars() as progress:
            result = evaluate_exposure(detector, root=root, out=out, progress=progress)
        Console().print(*exposure_tables(result))
        return
    chosen = _protocol(protocol, settings, benchmark=name)
    if baseline is not None:
        _check_baseline(baseline, anomalies=anomalies, motion=motion)
        start, key = BASELINES[baseline], baseline
    else:
        folder = model_folder(model).resolve()  # workers may have another current folder
        start = partial(_detector, model, device=device, motion=motion, folder=folder)
        if places.is_this_process:
            start = cache(start)  # the report asks the same model again
        key = repr((fingerprint(folder), device, motion))  # never goes on with other weights
    benchmark = open_benchmark(name, root if places.is_this_process else root.resolve())
    with progress_bars() as progress:
        result = evaluate(
            benchmark,
            start_scorer=start,
            categories=anomalies and check_categories(anomalies),
            protocol=chosen,
            videos=videos,
            out=out,
            save_maps=save_maps,
            workers=places,
            resume_key=key,
            progress=progress,
        )
    siblings = sibling_results(out)
    print_comparison(result, siblings=siblings)
    if report:
        from lavida.evaluation.report import read_result, write_report  # brings the drawing libraries

        detector = None if baseline else start()
        with progress_bars() as progress:
            page = write_report(
                read_result(out), benchmark=benchmark, detector=detector, siblings=siblings, progress=progress
            )
        tell(f"report: {page}")


def _protocol(name: str, settings: Sequence[str], *, benchmark: str) -> Protocol:
    if name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name}: choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name].on(benchmark).changed(settings)


def _check_baseline(name: str, *, anomalies: list[str], motion: bool) -> None:
    if name not in BASELINES:
        raise InputError(f"unknown baseline {name}: choose {', '.join(BASELINES)}")
    if anomalies or not motion:
        raise InputError(f"--baseline {name} knows no words and has no other setting: leave -a and --no-motion out")


def _detector(model: str, *, device: str, motion: bool, folder: Path | None = None) -> Detector:
    detector = load(folder or model, device=device)
    detector.name = model
    detector.motion = detector.motion and motion
    return detector


def _refuse_benchmark_options(
    *, baseline: str | None, videos: str | None, anomalies: list[str], settings: Sequence[str]
) -> None:
    if anomalies:
        raise InputError("-a: the exposure test asks for the classes of its data sets; leave it out")
    if baseline is not None:
        raise InputError(f"--baseline {baseline}: the exposure test always shows its own baselines; leave it out")
    if videos is not None:
        raise InputError(f"--videos {videos}: the exposure test has no videos to choose from; leave it out")
    if settings:
        raise InputError(f"--set {settings[0]}: the exposure test has no protocol to change; leave it out")
