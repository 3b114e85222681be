"""`lavida detect`: several sources in, one result folder each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lavida.console import complain, one_line
from lavida.detection import Detection
from lavida.detector import DEFAULT_THRESHOLD, Detector, check_categories, check_settings, load
from lavida.errors import InputError
from lavida.export.folder import unique_stems
from lavida.export.palette import shorten
from lavida.export.result import check_result
from lavida.progress import progress_bar
from lavida.video.ahead import ReadAhead
from lavida.video.decode import open_source

# what is printed stays readable, however long or many the categories
NAME_LENGTH, MOST_NAMES = 60, 8


@dataclass(frozen=True, kw_only=True)
class DetectCommand:
    """The options of `lavida detect`; None stands for the default."""

    anomalies: Sequence[str]
    model: str
    out: Path
    stride: int | None
    threshold: float | None
    device: str
    overlay: bool

    def run(self, sources: Sequence[str], *, say: Callable[[str], None] | None) -> tuple[list[dict], list[dict]]:
        """Process every source; a bad one does not stop the others.

        Args:
            sources: Video files or folders of images.
            say: Prints a line for people; None is silent.

        Returns:
            `results` and `errors` as they stand in the `--json` object.
        """
        try:
            check_categories(self.anomalies)
            check_settings(stride=self.stride, threshold=self._threshold)
            detector = load(self.model, device=self.device)
        except InputError as error:  # concerns every source
            complain(str(error))
            return [], [{"source": source, "message": str(error)} for source in sources]
        results, errors = [], []
        for source, stem in zip(sources, unique_stems(sources), strict=True):
            try:
                detection, folder = self._one(detector, source, self.out / stem)
            except InputError as error:
                complain(str(error))
                errors.append({"source": source, "message": str(error)})
                continue
            for warning in detection.run["warnings"]:
                complain(f"warning: {warning}")
            for note in detection.run["notes"]:
                complain(f"note: {note}")
            results.append(summary(source, detection, folder))
            if say is not None:
                say(in_words(source, detection, folder, overlay=self.overlay))
        return results, errors

    @property
    def _threshold(self) -> float:
        return DEFAULT_THRESHOLD if self.threshold is None else self.threshold

    def _one(self, detector: Detector, path: str, folder: Path) -> tuple[Detection, Path]:
        check_result(folder, source=Path(path))
        with ReadAhead(open_source(path)) as source:
            name = source.info.path.name
            with progress_bar(f"{name}: looking", total=source.info.frames_hint) as advance:
                detection = detector.detect(
                    source, self.anomalies, stride=self.stride, threshold=self._threshold, progress=advance.to
                )
                advance.end()
        with progress_bar(f"{name}: writing", total=len(detection.times)) as advance:
            return detection, detection.save(folder, overlay=self.overlay, progress=advance.to)


def summary(source: str, detection: Detection, folder: Path) -> dict:
    """One entry of `results`."""
    return {
        "source": source,
        "dir": str(folder),
        "frames": len(detection.times),
        "analysed_frames": len(detection.sampled),
        "duration_s": detection.end_s,
        "max_score": float(str(detection.scores.max())),
        "categories": list(detection.categories),
        "events": [event.to_json() for event in detection.events()],
    }


def in_words(source: str, detection: Detection, folder: Path, *, overlay: bool) -> str:
    """What was found, as a person would say it."""
    events, name = detection.events(), one_line(source)
    asked = _listed(detection.categories)
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
    lines.append(f"  open {pictures} in {one_line(str(folder))}")
    return "\n".join(lines)


def _listed(categories: Sequence[str]) -> str:
    names = [shorten(category, length=NAME_LENGTH) for category in categories[:MOST_NAMES]]
    if more := len(categories) - len(names):
        names[-1] += f" and {more} more"
    return ", ".join(names)
