"""Masks of pictures as Label Studio's brush: one task a picture, masks as its own run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lavida.detection import Detection, Mask, shortest
from lavida.export.labels import EventLabel

WORD_BITS, SIZES = 8, (3, 4, 8, 16)  # of a value; how many bits the length of a run may have
CHANNELS, PAINTED = 4, 255  # red, green, blue, alpha
LABELS = "lavida_labels"  # in the meta of the first task


def brush_tasks(detection: Detection, labels: Sequence[EventLabel], names: Sequence[str]) -> list[dict[str, Any]]:
    """A task for every analysed picture, with its masks as predictions (`brushlabels`).

    Args:
        detection: of pictures.
        labels: what people say of its events; they travel in the `meta` of the first task.
        names: of the picture files, one for each frame.
    """
    by_frame: dict[int, list[Mask]] = {}
    for mask in detection.masks:
        by_frame.setdefault(mask.frame, []).append(mask)
    tasks: list[dict[str, Any]] = []
    for frame, score in zip(detection.sampled.tolist(), detection.sampled_scores, strict=True):
        results = [_region(number, mask) for number, mask in enumerate(by_frame.get(frame, []))]
        prediction = {"model_version": str(detection.run.get("model", "lavida")), "score": shortest(score)}
        tasks.append({"data": {"image": names[frame]}, "predictions": [prediction | {"result": results}]})
    if labels:
        tasks[0]["meta"] = {LABELS: [asdict(label) for label in labels]}
    return tasks


def _region(number: int, mask: Mask) -> dict[str, Any]:
    height, width = mask.size
    about = {"id": f"mask-{number}", "from_name": "brush", "to_name": "image", "type": "brushlabels"}
    size = {"original_width": width, "original_height": height, "image_rotation": 0, "score": mask.score}
    return about | size | {"value": {"format": "rle", "rle": encoded(mask.pixels), "brushlabels": [mask.category]}}


def encoded(pixels: np.ndarray) -> list[int]:
    """A mask, bool `[H, W]`, as Label Studio's run lengths, bytes.

    What is coded are the `H * W * 4` bytes of a picture, painted 255 in all four channels, row by row. A stream of
    bits, the highest of a number first: 32 of how many bytes, 5 of the bits of a value less one, four times 4 of
    `SIZES` less one; then runs: a 1, 2 bits of which size, the length less one, the value. Zeros fill the last byte.
    """
    flat = pixels.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = [0, *edges.tolist()]
    lengths = np.diff([*starts, len(flat)]) * CHANNELS
    bits = [f"{len(flat) * CHANNELS:032b}{WORD_BITS - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    for start, length in zip(starts, lengths.tolist(), strict=True):
        value, left = PAINTED if flat[start] else 0, length
        while left:
            place = next((i for i, size in enumerate(SIZES) if left <= 2**size), len(SIZES) - 1)
            run = min(left, 2 ** SIZES[place])
            bits.append(f"1{place:02b}{run - 1:0{SIZES[place]}b}{value:0{WORD_BITS}b}")
            left -= run
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big"))
