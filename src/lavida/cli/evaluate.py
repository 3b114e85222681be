"""`lavida eval`: a model or a trivial baseline on a benchmark; `lavida heldout`: a model on held-out exposure data.

And `lavida report`: the HTML page of an evaluation that is already there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lavida.cli.options import (
    DeviceOption,
    ModelOption,
    MotionOption,
    ProtocolOption,
    RayOption,
    RuntimeOption,
    SettingsOption,
    WorkersOption,
    refuse,
)
from lavida.errors import InputError, unknown
from lavida.terminal import print_result, progress_bars

if TYPE_CHECKING:
    from lavida.detector import Detector
    from lavida.evaluation.benchmarks import Benchmark
    from lavida.evaluation.scorers import Baseline

OutOption = Annotated[Path, typer.Option(help="Folder for metrics.json and the scores.")]
BaselineOption = Annotated[str | None, typer.Option(help="Measure motion, background or random instead of a model.")]
SaveMapsOption = Annotated[bool, typer.Option("--save-maps", help="Also write maps/*.npy, as they were measured.")]
HELD_OUT_OPTIONS = ("--root", "--device", "--model", "--runtime", "--no-motion")


def evaluate(
    name: Annotated[
        str, typer.Argument(help="A benchmark of `lavida data list`; exposure: held-out data; own: --labels.")
    ],
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and scores; for own.json.")] = None,
    labels: Annotated[
        list[Path] | None, typer.Option(help="Of own: results whose events you have corrected, or a folder of them.")
    ] = None,
    model: ModelOption = "nano",
    protocol: ProtocolOption = "standard",
    settings: SettingsOption = None,
    baseline: BaselineOption = None,
    videos: Annotated[str | None, typer.Option(help="Only the videos whose name matches this pattern.")] = None,
    anomalies: Annotated[
        list[str] | None, typer.Option("--anomaly", "-a", help="Look for this instead of the benchmark's categories.")
    ] = None,
    motion: MotionOption = True,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    workers: WorkersOption = None,
    ray: RayOption = None,
    report: Annotated[bool, typer.Option("--report", help="Also write OUT/report.html.")] = False,
    save_maps: SaveMapsOption = False,
) -> None:
    """Measure a model or a trivial baseline on a benchmark, or results on what you say of their events."""
    given: dict[str, object] = {
        "--root": root, "--device": device != "auto", "--model": model != "nano", "--runtime": runtime != "auto",
        "--no-motion": not motion, "-a": anomalies, "--protocol": protocol != "standard", "--set": settings,
        "--baseline": baseline, "--videos": videos, "--workers": workers not in (None, 1), "--ray": ray,
        "--report": report, "--save-maps": save_maps,
    }  # fmt: skip
    if name == "own":
        return _own(labels or [], out, given)
    root, out = _given(name, root, out, labels)
    _refuse_unused(name, baseline, given)
    if name == "exposure":  # the earlier name of `lavida heldout`
        return heldout(root=root, out=out, model=model, motion=motion, device=device, runtime=runtime)
    from lavida.detector import check_categories
    from lavida.evaluation import PROTOCOLS, Workers, open_benchmark
    from lavida.evaluation import evaluate as measure
    from lavida.evaluation.tables import print_comparison, sibling_results

    places = Workers(count=workers, ray=ray)
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    chosen = PROTOCOLS[protocol].on(name).changed(settings or ())
    ask: Callable[[], Detector] | None = None
    if baseline is not None:
        start, key = _baseline(baseline), baseline
    else:
        ask, key = _asked(model, device=device, runtime=runtime, motion=motion, here=places.is_this_process)
    benchmark = open_benchmark(name, root if places.is_this_process else root.resolve())
    with progress_bars() as progress:
        result = measure(
            benchmark,
            start_scorer=ask or start,
            categories=anomalies and check_categories(anomalies),
            protocol=chosen,
            videos=videos,
            out=out,
            save_maps=save_maps,
            workers=places,
            resume_key=key,
            progress=progress,
        )
    print_comparison(result, siblings=sibling_results(out))
    if report:
        print_result(f"report: {_write_page(out, benchmark, None if ask is None else ask())}")


def _given(name: str, root: Path | None, out: Path | None, labels: list[Path] | None) -> tuple[Path, Path]:
    """The two folders that every benchmark needs."""
    if root is None or out is None:
        lacks = "--root" if root is None else "--out"
        raise InputError(f"{lacks} is missing: give --root, the benchmark's folder, and --out, one to write to")
    if labels:
        raise InputError(f"--labels belongs to lavida eval own, not to {name}: leave it out")
    return root, out


def _refuse_unused(name: str, baseline: str | None, given: Mapping[str, object]) -> None:
    """Raises InputError for options that the held-out test, or a baseline, does not have."""
    if name == "exposure":
        of_benchmarks = {option: value for option, value in given.items() if option not in HELD_OUT_OPTIONS}
        refuse(of_benchmarks, "the exposure test has its own baselines and classes, no protocol and no videos")
    if baseline is not None:
        of_models = {option: given[option] for option in ("--model", "--runtime", "--no-motion", "-a")}
        refuse(of_models, f"--baseline {baseline} knows no words and has no other setting")


def _own(labels: list[Path], out: Path | None, of_others: Mapping[str, object]) -> None:
    from rich.console import Console

    from lavida.evaluation.own import labelled_results, measure_own, own_table, write_own

    if not labels:
        raise InputError("--labels is missing: give results whose events you have corrected, or a folder of them")
    refuse(of_others, "own measures results that are there, at every threshold")
    result = measure_own(labelled_results(labels))
    Console().print(own_table(result))
    best = result.best
    print_result(
        f"best threshold {best.threshold:g}: recall {best.recall or 0:.2f}, {best.alarms_per_hour:.1f} alarms an hour"
    )
    if out is not None:
        print_result(f"written: {write_own(result, out)}")


def heldout(
    root: Annotated[Path, typer.Option(help="The folder with the exposure data sets.")],
    out: OutOption,
    model: ModelOption = "nano",
    motion: MotionOption = True,
    qualified: Annotated[
        bool, typer.Option("--qualified", help="Also ask pairs of a true and a false qualifier, and unproven verbs.")
    ] = False,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
) -> None:
    """Measure a model on the held-out parts of the exposure data sets."""
    from rich.console import Console

    from lavida.evaluation.held_out import evaluate_exposure, exposure_tables
    from lavida.loading import is_exported

    if runtime == "auto" and not is_exported(Path(model)):
        runtime = "torch"  # also says what its backbone sees without training
    detector = _detector(model, device=device, motion=motion, runtime=runtime)
    with progress_bars() as progress:
        result = evaluate_exposure(detector, root=root, out=out, qualified=qualified, progress=progress)
    Console().print(*exposure_tables(result))


def report(
    out: Annotated[Path, typer.Argument(help="The folder that lavida eval wrote.")],
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder; without it no pictures.")] = None,
    model: Annotated[str | None, typer.Option(help="The measured model, if it has moved.")] = None,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Show what the model marks.")] = True,
    device: DeviceOption = "auto",
) -> None:
    """Write OUT/report.html: one page with the table, the score curves, and the best and worst cases."""
    from lavida.evaluation import open_benchmark
    from lavida.evaluation.report import read_result
    from lavida.loading import load

    result = read_result(out)
    if root is None:
        refuse({"--model": model}, "without --root there are no pictures to ask a model of")
    benchmark = None if root is None else open_benchmark(result.metrics["benchmark"], root)
    detector = None
    if benchmark is not None and masks and result.of_detector:
        detector = load(result.metrics["model"] if model is None else model, device=device)
        detector.motion = detector.motion and result.settings.get("motion") is not False
    print_result(f"report written: {_write_page(out, benchmark, detector)}")


def _write_page(out: Path, benchmark: Benchmark | None, detector: Detector | None) -> Path:
    from lavida.evaluation.report import read_result, write_report  # brings the drawing libraries
    from lavida.evaluation.tables import sibling_results

    result, siblings = read_result(out), sibling_results(out)
    with progress_bars() as progress:
        return write_report(result, benchmark=benchmark, detector=detector, siblings=siblings, progress=progress)


def _asked(model: str, *, device: str, runtime: str, motion: bool, here: bool) -> tuple[Callable[[], Detector], str]:
    """What loads the model, and a key that never goes on with other weights."""
    from lavida.files import fingerprint
    from lavida.loading import model_folder

    folder = model_folder(model).resolve()  # workers may have another current folder
    ask = partial(_detector, model, device=device, runtime=runtime, motion=motion, folder=folder)
    # the report asks the same model again
    return cache(ask) if here else ask, repr((fingerprint(folder), device, runtime, motion))


def _baseline(name: str) -> Callable[[], Baseline]:
    from lavida.evaluation.scorers import BASELINES

    if name not in BASELINES:
        raise unknown("baseline", name, BASELINES)
    return BASELINES[name]


def _detector(model: str, *, device: str, motion: bool, runtime: str = "auto", folder: Path | None = None) -> Detector:
    from lavida.loading import load

    detector = load(folder or model, device=device, runtime=runtime)
    detector.name = model
    detector.motion = detector.motion and motion
    return detector
