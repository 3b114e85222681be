"""A detection as a FiftyOne dataset: masks of frames, events and labels as temporal detections; needs the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lavida.detection import Detection, Mask, shortest
from lavida.errors import InputError, first_line, needed
from lavida.events import Event
from lavida.export.labels import EventLabel, frames_of
from lavida.files import atomic_folder

SAMPLES, MEDIA = "samples.json", "data"  # of a data set in FiftyOne's own format


def write_fiftyone(detection: Detection, labels: Sequence[EventLabel], out: Path) -> None:
    """Write the folder of a `FiftyOneDataset`, which names the video and does not copy it.

    Args:
        detection: what was found.
        labels: what people say of it.
        out: the folder.

    Raises:
        InputError: FiftyOne is not installed, or its database does not start.
    """
    fo = needed("fiftyone")
    try:
        dataset = fo.Dataset()
    except Exception as error:  # whatever its database says
        raise InputError(f"FiftyOne does not start ({first_line(error)}); see its documentation") from error
    try:
        dataset.add_sample(_sample(fo, detection, labels))
        with atomic_folder(out, replaces=_without_media) as folder:
            dataset.export(export_dir=str(folder), dataset_type=fo.types.FiftyOneDataset, export_media=False)
    finally:
        dataset.delete()


def _without_media(folder: Path) -> bool:
    """Whether it may be one of ours: another data set of FiftyOne's mostly holds its pictures and videos, too."""
    return (folder / SAMPLES).is_file() and not (folder / MEDIA).exists()


def _sample(fo: Any, detection: Detection, labels: Sequence[EventLabel]) -> Any:
    info = detection.info
    sample = fo.Sample(filepath=str(info.path.absolute()))
    sample.metadata = fo.VideoMetadata(
        frame_width=info.width,
        frame_height=info.height,
        frame_rate=info.fps,
        total_frame_count=len(detection.times),
        duration=detection.end_s,
    )
    by_frame: dict[int, list[Mask]] = {}
    for mask in detection.masks:
        by_frame.setdefault(mask.frame, []).append(mask)
    for frame, score in zip(detection.sampled.tolist(), detection.sampled_scores, strict=True):
        masks = fo.Detections(detections=[_mask(fo, mask) for mask in by_frame.get(frame, ())])
        sample.frames[frame + 1] = fo.Frame(score=shortest(score), masks=masks)  # counted from 1
    events = [_span(fo, event, detection, confidence=event.peak_score) for event in detection.events()]
    sample["events"] = fo.TemporalDetections(detections=events)
    if labels:
        told = [_span(fo, label, detection, verdict=label.verdict) for label in labels]
        sample["labels"] = fo.TemporalDetections(detections=told)
    return sample


def _mask(fo: Any, mask: Mask) -> Any:
    left, top, width, height = (int(side) for side in mask.box or (0, 0, 1, 1))
    shape = np.array([mask.size[1], mask.size[0]] * 2)
    sides = (np.array([left, top, width, height]) / shape).tolist()
    pixels = mask.pixels[top : top + height, left : left + width]
    return fo.Detection(label=mask.category, bounding_box=sides, mask=pixels, confidence=mask.score)


def _span(fo: Any, about: Event | EventLabel, detection: Detection, **said: Any) -> Any:
    first, last = frames_of(about, detection)
    return fo.TemporalDetection(label=about.category, support=[first + 1, last + 1], **said)
