"""Snapshots of events: a frame, and the same with what was found drawn into it; what is to be blurred in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from lavida.detection import Mask
from lavida.files import atomic_file
from lavida.live.records import Record
from lavida.live.tables import SNAPSHOTS

if TYPE_CHECKING:
    from lavida.live.watched import Moment

MASK_COLOUR, MASK_SHARE = (255, 40, 40), 0.45
JPEG_QUALITY = 90
# What is blurred keeps one colour for each block: a face is one or two of them. Nothing brings back what was averaged.
BLOCKS, LEAST_BLOCK = 12, 8  # along the shorter side; pixels


class Pictured(Protocol):
    """Has the pictures of an event."""

    def jpegs(self, record: Record) -> Mapping[str, bytes]:
        """Those for this record, by the names of the fields, coded; nothing where it has none."""
        ...


@dataclass(frozen=True, slots=True)
class Coded:
    """Pictures that another process has coded."""

    pictures: Mapping[str, bytes]

    def jpegs(self, record: Record) -> Mapping[str, bytes]:
        """See `Pictured`."""
        return self.pictures


def shows(record: Record, time_s: float) -> bool:
    """Whether the frame of this time is a picture of the event: the first one told of, and later the peak."""
    return record["phase"] == "start" or record["peak_s"] == time_s


def coded(record: Record, moment: Moment) -> dict[str, bytes]:
    """The frame plain and with its masks, as JPEG; nothing where it is no picture of the event.

    Raises:
        OSError: it cannot be coded.
    """
    plain = moment.live.frame.image
    if plain is None or not shows(record, moment.live.frame.time_s):
        return {}
    plain = pixelated(plain, moment.blurred)
    drawn = plain.astype(np.float32)
    area = covered(moment.masks, plain.shape[:2])
    drawn[area] += MASK_SHARE * (np.array(MASK_COLOUR, np.float32) - drawn[area])
    return {"snapshot": jpeg(plain), "snapshot_mask": jpeg(drawn.astype(np.uint8))}


def written(folder: Path, event: str, jpegs: Mapping[str, bytes]) -> dict[str, str]:
    """Write the pictures of an event; their paths below the folder, by the names of the fields.

    Raises:
        InputError: the disk is full or cannot be written.
    """
    names = {"snapshot": f"{SNAPSHOTS}/{event}.jpg", "snapshot_mask": f"{SNAPSHOTS}/{event}-mask.jpg"}
    for name, data in jpegs.items():
        with atomic_file(folder / names[name]) as partial:
            partial.write_bytes(data)
    return {name: names[name] for name in jpegs}


def covered(masks: Sequence[Mask], size: tuple[int, int]) -> np.ndarray:
    """Where any of the masks lies, bool `[H, W]` at this height and width."""
    area = np.zeros(size, bool)
    for mask in masks:
        area |= cv2.resize(mask.pixels.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return area


def pixelated(image: np.ndarray, masks: Sequence[Mask]) -> np.ndarray:
    """The image `[H, W, 3]` with each block that a mask comes near to in its mean colour."""
    area = covered(masks, image.shape[:2])
    if not area.any():
        return image
    height, width = image.shape[:2]
    side = max(LEAST_BLOCK, -(-min(height, width) // BLOCKS))
    # the edge of a mask is not sure to half a block
    grown = cv2.dilate(area.astype(np.uint8), np.ones((side + 1, side + 1), np.uint8))
    rows, columns = -(-height // side), -(-width // side)
    around = ((0, rows * side - height), (0, columns * side - width))
    blocks = np.pad(image, (*around, (0, 0)), mode="edge").reshape(rows, side, columns, side, 3)
    hidden = np.pad(grown, around).reshape(rows, side, columns, side).max((1, 3)) > 0  # [rows, columns]
    means = np.broadcast_to(blocks.mean((1, 3), keepdims=True), blocks.shape)
    shown = np.where(hidden[:, np.newaxis, :, np.newaxis, np.newaxis], means.round().astype(np.uint8), blocks)
    return shown.reshape(rows * side, columns * side, 3)[:height, :width]


def jpeg(picture: np.ndarray, *, quality: int = JPEG_QUALITY) -> bytes:
    """An RGB picture, uint8 `[H, W, 3]`, coded. Raises OSError where it cannot be."""
    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError("the picture cannot be coded")
    return bytes(data.tobytes())
