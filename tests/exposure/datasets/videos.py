"""Tiny videos on disk for the tests of this folder: pictures and palette labels in which objects are boxes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 12, 16
Box = tuple[int, int, int, int]  # top, bottom, left, right
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + [90] * 756  # object 1 is red, not gray value 1


def box_mask(box: Box) -> np.ndarray:
    """bool [HEIGHT, WIDTH]."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    top, bottom, left, right = box
    mask[top:bottom, left:right] = True
    return mask


def write_picture(path: Path, *, gray: int = 100, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (gray, gray, gray)).save(path)


def write_labels(path: Path, objects: Mapping[int, Box]) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, box in objects.items():
        labels[box_mask(box)] = number
    image = Image.fromarray(labels).convert("L")
    image.putpalette(PALETTE)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_video(pictures: Path, labels: Path | None, video: str, frames: Mapping[str, Mapping[int, Box]]) -> None:
    """Pictures that get lighter by ten a frame, and the labels of their objects."""
    for i, (frame, objects) in enumerate(frames.items()):
        write_picture(pictures / video / f"{frame}.jpg", gray=100 + 10 * i)
        if labels is not None:
            write_labels(labels / video / f"{frame}.png", objects)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def meta_expressions(videos: Mapping[str, tuple[Sequence[str], Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """Video -> frames and expressions, in the form of `meta_expressions.json`."""
    return {
        "videos": {
            video: {"expressions": {str(i): dict(said) for i, said in enumerate(texts)}, "frames": list(frames)}
            for video, (frames, texts) in videos.items()
        }
    }
