"""What people have said of a result in another tool, as labels: the formats of `lavida.export.formats`, read.

A file that says verdicts, as those of `lavida export` do once there are labels, gives them. Any other is taken as the
truth: what it and the result have is true, what only the result has is false, what only the file has was missed.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from lavida.detection import Detection
from lavida.errors import UNREADABLE, InputError, reason, unknown
from lavida.export.brush import LABELS
from lavida.export.formats import NONE_OF
from lavida.export.labels import MUCH_THE_SAME, VERDICTS, EventLabel, check_within, share
from lavida.video.image_folder import picture_names

_CUE = re.compile(r"(?P<words>.*?)(?: \((?P<score>[01]\.\d+)\))?(?: \[(?P<verdict>true|false|missed)\])?", re.DOTALL)
# what it puts behind names: `clip-0000012_jpg.rf.0a1b2c` for `clip-0000012.jpg`
_ROBOFLOW = re.compile(r"(_[A-Za-z]+)?\.rf\.\w+$")
_HASH = re.compile(r"(?<![0-9A-Za-z])(?=\d*[A-Fa-f])[0-9A-Fa-f]{16,}$")
_TIMES = re.compile(r"((?:\d+:)?\d+:\d+\.\d+)\s+-->\s+((?:\d+:)?\d+:\d+\.\d+)")


@dataclass(frozen=True, kw_only=True)
class Said:
    """A stretch as a file has it; `verdict` is None where it says none."""

    start_s: float
    end_s: float
    category: str
    verdict: str | None = None
    threshold: float | None = None
    peak_score: float | None = None


def read_export(path: Path, kind: str, detection: Detection) -> list[EventLabel]:
    """The labels that a file of another tool holds for a result.

    Args:
        path: the file; of fiftyone the folder.
        kind: one of `READERS`.
        detection: the result.

    Raises:
        InputError: an unknown kind, a file that cannot be read as such, or one that says nothing.
    """
    if kind not in READERS:
        raise unknown("format", kind, READERS)
    try:
        said = READERS[kind](path, detection)
    except InputError:
        raise
    except (*UNREADABLE, csv.Error, ElementTree.ParseError) as error:
        raise InputError(f"cannot be read as {kind}: {path} ({reason(error)}); see --from") from error
    try:
        labels = [EventLabel(**{**asdict(each), "verdict": each.verdict or "missed"}) for each in said]
        check_within(labels, detection.end_s)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if all(each.verdict is None for each in said):
        return _against(labels, detection)
    judged = [label for label, each in zip(labels, said, strict=True) if each.verdict]
    if not judged:
        raise InputError(f"no verdict in {path}: say {', '.join(VERDICTS)} in its column verdict")
    return judged


def _against(true: Sequence[EventLabel], detection: Detection) -> list[EventLabel]:
    """Labels by what a file holds as the truth."""
    found: set[int] = set()
    labels = []
    for event in detection.events():
        same = [
            place
            for place, each in enumerate(true)
            if each.category == event.category and share(each, event) >= MUCH_THE_SAME
        ]
        found.update(same)
        labels.append(
            EventLabel(
                start_s=event.start_s,
                end_s=event.end_s,
                category=event.category,
                verdict="true" if same else "false",
                threshold=detection.threshold,
                peak_score=event.peak_score,
            )
        )
    missed = [each for place, each in enumerate(true) if place not in found]
    return sorted([*labels, *missed], key=lambda label: label.start_s)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def _coco(path: Path, detection: Detection) -> list[Said]:
    told = _json(path)
    carried = (told.get("info") or {}).get("labels")
    if carried:
        return [Said(**row) for row in carried]
    names = {each["id"]: each["name"] for each in told["categories"]}
    pictures = picture_names(detection.info.path) or []
    frames = {each["id"]: _frame_of(each, pictures) for each in told["images"]}
    return _runs(((names[each["category_id"]], frames[each["image_id"]]) for each in told["annotations"]), detection)


def _frame_of(image: dict[str, Any], pictures: Sequence[str]) -> int:
    """Other tools number pictures anew; the name keeps the frame."""
    name = Path(image["file_name"]).name
    if name in pictures:
        return pictures.index(name)
    stem = _ROBOFLOW.sub("", Path(name).stem)
    digits = re.search(r"\d+$", stem)
    return int(digits[0]) if digits and not _HASH.search(stem) else int(image["id"])


def _runs(marked: Iterable[tuple[str, int]], detection: Detection) -> list[Said]:
    """Stretches of analysed frames in a row in which a category is marked."""
    sampled, times = detection.sampled, detection.times[detection.sampled]
    ends = np.append(times[1:], detection.end_s)
    said: list[Said] = []
    last: tuple[str, int] | None = None
    places = set[tuple[str, int]]()
    for words, frame in marked:
        if not 0 <= frame < len(detection.times):
            raise InputError(f"frame {frame} is not in the video: is the file about another one?")
        places.add((words, max(int(np.searchsorted(sampled, frame, side="right")) - 1, 0)))
    for words, place in sorted(places):
        start = said.pop().start_s if last == (words, place - 1) else float(times[place])
        said.append(Said(start_s=start, end_s=float(ends[place]), category=words))
        last = (words, place)
    return sorted(said, key=lambda each: each.start_s)


def _cvat(path: Path, detection: Detection) -> list[Said]:
    root = ElementTree.parse(path).getroot()
    if root.tag != "annotations" or all(root.find(kind) is None for kind in ("track", "image", "meta")):
        raise InputError(f"no <track> and no <image> in {path}: export CVAT for video 1.1, or for images 1.1")
    if root.find("track") is None and root.find("image") is not None:
        return _cvat_images(root, detection)
    said = []
    for track in root.iter("track"):
        verdict = None
        for first, stop, own in _shown(track, frames=len(detection.times)):
            verdict = own or verdict
            said.append(Said(**_stretch(first, stop, detection), category=track.attrib["label"], verdict=verdict))
    return [each for each in said if each.verdict] or said


def _shown(track: ElementTree.Element, *, frames: int) -> Iterator[tuple[int, int, str | None]]:
    """Each time that a track is in the picture: its first frame, the one after its last, and its verdict.

    What leaves and comes back stays one track.
    """
    begun: tuple[int, str | None] | None = None
    for frame, shape in sorted(((int(shape.attrib["frame"]), shape) for shape in track), key=lambda each: each[0]):
        outside = shape.get("outside")
        if begun is None and outside == "0":
            begun = frame, _verdict(shape)
        elif begun is not None and outside == "1":
            yield begun[0], frame, begun[1]
            begun = None
    if begun is not None:
        yield begun[0], frames, begun[1]


def _verdict(shape: ElementTree.Element) -> str | None:
    """What a shape of CVAT has as its attribute."""
    return next((each.text for each in shape.findall("attribute[@name='verdict']")), None) or None


def _cvat_images(root: ElementTree.Element, detection: Detection) -> list[Said]:
    """CVAT for images 1.1: what is marked in each, by any shape or tag."""
    pictures = picture_names(detection.info.path) or []
    own = re.compile(rf"(?:{re.escape(detection.info.stem)}-|frame_)(\d+)(\.\w+)?")  # that of `PICTURES`, or CVAT's
    marked: dict[str | None, list[tuple[str, int]]] = {}
    for image in root.iter("image"):
        name = Path(image.get("name", "")).name
        numbered = own.fullmatch(name)
        frame = pictures.index(name) if name in pictures else int(numbered[1] if numbered else image.attrib["id"])
        for shape in image.iterfind("*[@label]"):
            marked.setdefault(_verdict(shape), []).append((shape.attrib["label"], frame))
    said = [replace(run, verdict=verdict) for verdict, each in marked.items() for run in _runs(each, detection)]
    return [each for each in said if each.verdict] or said


def _stretch(first: int, stop: int, detection: Detection) -> dict[str, float]:
    """Times of the frames from `first` up to `stop`."""
    times = np.append(detection.times, detection.end_s)
    if not 0 <= first < stop <= len(detection.times):
        raise InputError(f"frames {first} to {stop - 1} are not all in the video: is the file about another one?")
    return {"start_s": float(times[first]), "end_s": float(times[stop])}


def _label_studio(path: Path, detection: Detection) -> list[Said]:
    told = _json(path)
    tasks = told if isinstance(told, list) else [told]
    if tasks and all("image" in task["data"] for task in tasks):
        return _painted(tasks, path, detection)
    named = [task for task in tasks if str(task["data"].get("video", "")).endswith(detection.info.path.name)]
    chosen = named or tasks
    if len(chosen) != 1:
        raise InputError(f"{len(chosen)} tasks could be about {detection.info.path.name}: keep only its own in {path}")
    given = [each for each in chosen[0].get("annotations") or [] if not each.get("was_cancelled")]
    if not given:
        raise InputError(f"no annotation in {path}: submit one in Label Studio, then export as JSON")
    said = []
    for region in given[-1]["result"]:  # the latest one
        if region["type"] != "timelinelabels":
            continue
        text = (region.get("meta") or {}).get("text") or [None]
        (words,) = region["value"]["timelinelabels"]
        verdict = "false" if words.startswith(NONE_OF) else text[0] if text[0] in VERDICTS else None
        for span in region["value"]["ranges"]:
            stretch = _stretch(int(span["start"]) - 1, int(span["end"]), detection)
            said.append(Said(**stretch, category=words.removeprefix(NONE_OF), verdict=verdict))
    if any(each.verdict for each in said):  # the regions that have been drawn beside them
        return [each if each.verdict else replace(each, verdict="missed") for each in said]
    return said


def _painted(tasks: Sequence[dict[str, Any]], path: Path, detection: Detection) -> list[Said]:
    """Of pictures: what has been marked in each, by brush or otherwise; else the labels that went out with them."""
    names = picture_names(detection.info.path) or []
    if len(names) != len(detection.times):
        raise InputError(f"the pictures of the result are not those of {detection.info.path}: put them back")
    marked, annotated = [], False
    for task in tasks:
        frames = [i for i, name in enumerate(names) if str(task["data"]["image"]).endswith(name)]
        given = [each for each in task.get("annotations") or [] if not each.get("was_cancelled")]
        if not frames or not given:
            continue
        annotated = True
        # Label Studio puts something before the names of uploads: of two that fit the longer one is meant
        frame = max(frames, key=lambda i: len(names[i]))
        regions = (each["value"] | {"type": each["type"]} for each in given[-1]["result"])  # the latest one
        marked += [(words, frame) for value in regions for words in value.get(value["type"]) or []]
    if annotated:
        return _runs(marked, detection)
    carried = next((task["meta"][LABELS] for task in tasks if LABELS in (task.get("meta") or {})), None)
    if carried is None:
        raise InputError(f"no annotation in {path}: submit one in Label Studio, then export as JSON")
    return [Said(**row) for row in carried]


def _csv(path: Path, detection: Detection) -> list[Said]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), set(reader.fieldnames or ())
    if missing := {"start_s", "end_s", "category"} - columns:
        raise InputError(f"no column {min(missing)} in {path}: start_s, end_s and category are needed")
    if not rows:  # a table of events that was exported before there was one, not a word that all are false
        raise InputError(f"no row in {path}: say something in it first")
    said = []
    for row in rows:
        threshold, peak = (float(row[name]) if row.get(name) else None for name in ("threshold", "peak_score"))
        said.append(
            Said(
                start_s=float(row["start_s"]),
                end_s=float(row["end_s"]),
                category=row["category"],
                verdict=(row["verdict"] or "").strip().lower() if "verdict" in columns else None,
                threshold=threshold,
                peak_score=peak,
            )
        )
    return said


def _vtt(path: Path, detection: Detection) -> list[Said]:
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").strip())
    if not blocks[0].startswith("WEBVTT"):
        raise ValueError("it does not begin with WEBVTT")
    said = []
    for block in blocks[1:]:
        lines = block.split("\n")
        at = next((i for i, line in enumerate(lines) if _TIMES.match(line)), None)
        if at is None:  # a note or a style
            continue
        times = _TIMES.match(lines[at])
        cue = _CUE.fullmatch(html.unescape(" ".join(lines[at + 1 :])).strip())
        assert times and cue
        score = cue["score"] and float(cue["score"])
        start_s, end_s = (_seconds(stamp) for stamp in times.groups())
        said.append(
            Said(start_s=start_s, end_s=end_s, category=cue["words"], verdict=cue["verdict"], peak_score=score or None)
        )
    if not said:
        raise InputError(f"no cue in {path}: say something in it first")
    return said


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.split(":"):
        total = 60 * total + float(part)
    return total


def _fiftyone(path: Path, detection: Detection) -> list[Said]:
    """A `FiftyOneDataset` as FiftyOne exports it: a folder with `samples.json`."""
    told = _json(path / "samples.json" if path.is_dir() else path)
    named = [each for each in told["samples"] if Path(each["filepath"]).name == detection.info.path.name]
    chosen = named or told["samples"]
    if len(chosen) != 1:
        raise InputError(f"{len(chosen)} samples could be about {detection.info.path.name}: keep only its own")
    field = next((name for name in ("labels", "events") if chosen[0].get(name)), None)
    if field is None:
        raise InputError(f"no temporal detections named labels or events in {path}: name them so")
    said = []
    for each in chosen[0][field]["detections"]:
        first, last = each["support"]
        stretch = _stretch(int(first) - 1, int(last), detection)
        said.append(Said(**stretch, category=each["label"], verdict=each.get("verdict") or None))
    return said


READERS: dict[str, Callable[[Path, Detection], list[Said]]] = {
    "coco": _coco,
    "cvat": _cvat,
    "label-studio": _label_studio,
    "fiftyone": _fiftyone,
    "csv": _csv,
    "vtt": _vtt,
}
