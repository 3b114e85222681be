"""A detection, with what people say of it, in the formats of other tools: COCO, CVAT, Label Studio, CSV, WebVTT."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
from pycocotools import mask as coco_rle

from lavida.detection import Detection, Event, Mask, shortest
from lavida.errors import UNREADABLE, unknown
from lavida.export.brush import brush_tasks
from lavida.export.labels import EventLabel, frames_of, label_of
from lavida.export.voxel51 import write_fiftyone
from lavida.files import atomic_file, atomic_folder
from lavida.video.decode import open_source
from lavida.video.excerpt import Excerpt
from lavida.video.image_folder import picture_names

FIFTYONE = "fiftyone"
COCO_FILE, PICTURES = "coco.json", "images"
JPEG_QUALITY = 92
EVENT_COLUMNS = "start_s end_s peak_s peak_score category x y width height verdict threshold".split()
NONE_OF = "false alarm: "  # before the words of a label that says so, where a tool would take them for the truth
Labels = Sequence[EventLabel]


def write_export(detection: Detection, kind: str, out: Path, *, labels: Labels = (), frames: bool = False) -> None:
    """Write what `detection` found, at its threshold, for another tool.

    Args:
        detection: the result.
        kind: one of `FORMATS`, or fiftyone.
        out: the file to write; with `frames` the folder, for `coco.json` and its pictures; of fiftyone the folder.
        labels: what people say of its events.
        frames: of COCO, also write the analysed frames.

    Raises:
        InputError: an unknown kind, a place that cannot be written, or a video that cannot be read again.
    """
    if kind == FIFTYONE:
        write_fiftyone(detection, labels, out)
        return
    if kind not in FORMATS:
        raise unknown("format", kind, (*FORMATS, FIFTYONE))
    if not frames:
        with atomic_file(out) as partial:
            partial.write_text(FORMATS[kind](detection, labels), encoding="utf-8", newline="")
        return
    with atomic_folder(out, replaces=_holds_coco) as folder:
        (folder / COCO_FILE).write_text(FORMATS[kind](detection, labels), encoding="utf-8")
        (folder / PICTURES).mkdir()
        for frame in Excerpt(detection.source or open_source(detection.info.path), detection.sampled).read():
            if frame.image is not None:
                path = folder / PICTURES / _picture(detection, frame.index)
                cv2.imwrite(str(path), frame.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def _holds_coco(folder: Path) -> bool:
    """Whether a folder holds what `coco` wrote, and no data set of somebody else's."""
    if not {path.name for path in folder.iterdir()} <= {COCO_FILE, PICTURES}:
        return False
    try:
        about = json.loads((folder / COCO_FILE).read_text(encoding="utf-8"))["info"]
        return about.keys() == {"description", "labels"}
    except UNREADABLE:
        return False


def coco(detection: Detection, labels: Labels) -> str:
    """COCO's object detection: an image for every analysed frame, masks with boxes, areas and scores."""
    info, numbers = detection.info, {name: i for i, name in enumerate(detection.categories, start=1)}
    images = [
        {
            "id": int(frame),
            "file_name": f"{PICTURES}/{_picture(detection, frame)}",
            "width": info.width,
            "height": info.height,
            "time_s": float(detection.times[frame]),
            "score": shortest(score),
        }
        for frame, score in zip(detection.sampled, detection.sampled_scores, strict=True)
    ]
    annotations = [
        {
            "id": number,
            "image_id": mask.frame,
            "category_id": numbers[mask.category],
            "segmentation": mask.rle,
            "bbox": list(mask.box or (0.0, 0.0, 0.0, 0.0)),
            "area": float(coco_rle.area(mask.rle)),
            "iscrowd": 0,
            "score": mask.score,
        }
        for number, mask in enumerate(sorted(detection.masks, key=lambda mask: mask.frame), start=1)
    ]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    about = {"description": info.path.name, "labels": [asdict(label) for label in labels]}
    whole: dict[str, Any] = {"info": about, "licenses": [], "images": images}
    return json.dumps(whole | {"annotations": annotations, "categories": categories}, allow_nan=False)


def cvat(detection: Detection, labels: Labels) -> str:
    """CVAT for video 1.1: a track for each stretch of analysed frames in which a category has a mask.

    Labels are tracks of a box around the whole picture, with the attribute `verdict`.
    """
    info = detection.info
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    for name, value in (("size", len(detection.times)), ("mode", "interpolation"), ("start_frame", 0)):
        ElementTree.SubElement(task, name).text = str(value)
    ElementTree.SubElement(task, "stop_frame").text = str(len(detection.times) - 1)
    known = ElementTree.SubElement(task, "labels")
    for category in dict.fromkeys([*detection.categories, *(label.category for label in labels)]):
        node = ElementTree.SubElement(known, "label")
        ElementTree.SubElement(node, "name").text = category
        ElementTree.SubElement(node, "type").text = "any" if labels else "mask"
        if labels:
            _declare_verdict(node)
    size = ElementTree.SubElement(task, "original_size")
    ElementTree.SubElement(size, "width").text = str(info.width)
    ElementTree.SubElement(size, "height").text = str(info.height)
    for number, track in enumerate(_tracks(detection)):
        node = ElementTree.SubElement(root, "track", id=str(number), label=track[0].category, source="auto")
        for mask in track:
            _add_mask(node, mask, frame=mask.frame, outside="0")
        after = int(np.searchsorted(detection.sampled, track[-1].frame, side="right"))
        if after < len(detection.sampled):  # there it is gone
            _add_mask(node, track[-1], frame=int(detection.sampled[after]), outside="1")
    for number, label in enumerate(labels, start=len(root.findall("track"))):
        _add_label(root, label, number, detection)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def label_studio(detection: Detection, labels: Labels) -> str:
    """Label Studio: one task with predictions, `videorectangle` of masks and `timelinelabels` of events.

    Labels are its annotation: what is none has other words ("false alarm: fire"), for an annotation is the truth.
    Pictures are a task each, see `lavida.export.brush`.
    """
    names = picture_names(detection.info.path)
    if names is not None and len(names) == len(detection.times):
        return json.dumps(brush_tasks(detection, labels, names), allow_nan=False, indent=1)
    info, frames = detection.info, len(detection.times)
    results: list[dict[str, Any]] = []
    for number, track in enumerate(_tracks(detection)):
        sequence = [_percent(mask, detection) for mask in track if mask.box is not None]
        if sequence:
            sequence[-1]["enabled"] = False  # it does not go on behind the last one
            value: dict[str, Any] = {"framesCount": frames, "duration": detection.end_s, "sequence": sequence}
            value["labels"] = [track[0].category]
            at: dict[str, Any] = {"id": f"box-{number}", "from_name": "box", "to_name": "video"}
            results.append(at | {"type": "videorectangle", "value": value})
    for number, event in enumerate(detection.events()):
        span = _timeline(f"event-{number}", event, event.category, detection)
        results.append(span | {"score": event.peak_score})
    prediction: dict[str, Any] = {"model_version": str(detection.run.get("model", "lavida")), "result": results}
    prediction["score"] = shortest(detection.scores.max())
    told: dict[str, Any] = {"data": {"video": info.path.name}, "predictions": [prediction]}
    if labels:
        words = [NONE_OF * (label.verdict == "false") + label.category for label in labels]
        spans = [_timeline(f"label-{i}", label, words[i], detection) for i, label in enumerate(labels)]
        said = [span | {"meta": {"text": [label.verdict]}} for span, label in zip(spans, labels, strict=True)]
        told["annotations"] = [{"result": said}]
    return json.dumps([told], allow_nan=False, indent=1)


def events_csv(detection: Detection, labels: Labels) -> str:
    """One row for each event, and for each label that is about none of them, in order.

    The box is that of the peak, empty where there is none; the verdict is empty where nobody has said one.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(EVENT_COLUMNS)
    for event, label in _told(detection, labels):
        if event is None:
            assert label is not None
            whole = [label.start_s, label.end_s, "", _empty(label.peak_score), label.category, *[""] * 4]
        else:
            box = event.box or ("", "", "", "")
            whole = [event.start_s, event.end_s, event.peak_s, event.peak_score, event.category, *box]
        said = ["", ""] if label is None else [label.verdict, _empty(label.threshold)]
        rows.writerow([*whole, *said])
    return text.getvalue()


def vtt(detection: Detection, labels: Labels) -> str:
    """WebVTT: events, and labels that are about none, as subtitles or chapters, to the millisecond."""
    cues = ["WEBVTT"]
    for number, (event, label) in enumerate(_told(detection, labels), start=1):
        about = event or label
        assert about is not None
        # of the three characters that mean something in a cue
        words = about.category.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        score = "" if about.peak_score is None else f" ({about.peak_score:.2f})"
        verdict = "" if label is None else f" [{label.verdict}]"
        cues.append(f"{number}\n{_stamp(about.start_s)} --> {_stamp(about.end_s)}\n{words}{score}{verdict}")
    return "\n\n".join(cues) + "\n"


def _told(detection: Detection, labels: Labels) -> list[tuple[Event | None, EventLabel | None]]:
    """Events with their labels, and labels without an event, by their start."""
    events = [(event, label_of(event, labels)) for event in detection.events()]
    used = {id(label) for _, label in events}
    rest = [(None, label) for label in labels if id(label) not in used]
    return sorted([*events, *rest], key=lambda each: (each[0] or each[1]).start_s)  # type: ignore[union-attr]


def _empty(value: float | None) -> float | str:
    return "" if value is None else value


FORMATS: dict[str, Callable[[Detection, Labels], str]] = {
    "coco": coco,
    "cvat": cvat,
    "label-studio": label_studio,
    "csv": events_csv,
    "vtt": vtt,
}


def _picture(detection: Detection, frame: int) -> str:
    return f"{detection.info.stem}-{frame:07d}.jpg"


def _tracks(detection: Detection) -> Iterator[list[Mask]]:
    """Masks of one category in analysed frames that follow each other."""
    place = {int(frame): i for i, frame in enumerate(detection.sampled)}
    ordered = sorted(detection.masks, key=lambda mask: (detection.categories.index(mask.category), mask.frame))
    numbered = enumerate(ordered)
    for _, stretch in groupby(numbered, key=lambda each: (each[1].category, place[each[1].frame] - each[0])):
        yield [mask for _, mask in stretch]


def _add_mask(track: ElementTree.Element, mask: Mask, *, frame: int, outside: str) -> None:
    told = {"frame": str(frame), "outside": outside, "keyframe": "1"}
    ElementTree.SubElement(track, "mask", told | _rows_of(mask))


def _rows_of(mask: Mask) -> dict[str, str]:
    """A mask as CVAT has it: run lengths row by row within its box, the background first."""
    left, top, width, height = (int(side) for side in mask.box or (0, 0, 1, 1))
    values = mask.pixels[top : top + height, left : left + width].reshape(-1)
    edges = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff([0, *edges.tolist(), len(values)]).tolist()
    counts = [0, *runs] if values[0] else runs
    box = {"left": left, "top": top, "width": width, "height": height, "z_order": 0}
    said = {name: str(value) for name, value in box.items()}
    return {"occluded": "0", "rle": ", ".join(map(str, counts))} | said


def _percent(mask: Mask, detection: Detection) -> dict[str, Any]:
    """A key frame of Label Studio: sides in percent of the frame's, frames counted from 1."""
    assert mask.box is not None
    (x, y, width, height), info = mask.box, detection.info
    sides = {"x": 100 * x / info.width, "y": 100 * y / info.height}
    sides |= {"width": 100 * width / info.width, "height": 100 * height / info.height}
    time_s = float(detection.times[mask.frame])
    return {"frame": mask.frame + 1, "time": time_s, "enabled": True, "rotation": 0} | sides


def _timeline(id: str, about: Event | EventLabel, words: str, detection: Detection) -> dict[str, Any]:
    """A stretch as Label Studio has it: frames counted from 1, the last one within."""
    first, last = frames_of(about, detection)
    span = {"ranges": [{"start": first + 1, "end": last + 1}], "timelinelabels": [words]}
    return {"id": id, "from_name": "event", "to_name": "video", "type": "timelinelabels", "value": span}


def _declare_verdict(label: ElementTree.Element) -> None:
    attribute = ElementTree.SubElement(ElementTree.SubElement(label, "attributes"), "attribute")
    said = {"name": "verdict", "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
    for name, value in said.items():
        ElementTree.SubElement(attribute, name).text = value


def _add_label(root: ElementTree.Element, label: EventLabel, number: int, detection: Detection) -> None:
    info, (first, last) = detection.info, frames_of(label, detection)
    track = ElementTree.SubElement(root, "track", id=str(number), label=label.category, source="manual")
    for frame, outside in ((first, "0"), (last + 1, "1")):
        if frame == len(detection.times):
            continue  # it goes on to the end
        sides = {"xtl": "0", "ytl": "0", "xbr": str(info.width), "ybr": str(info.height)}
        told = {"frame": str(frame), "outside": outside, "occluded": "0", "keyframe": "1", "z_order": "0"}
        box = ElementTree.SubElement(track, "box", told | sides)
        ElementTree.SubElement(box, "attribute", name="verdict").text = label.verdict


def _stamp(seconds: float) -> str:
    whole = round(seconds * 1000)
    minutes, rest = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
