"""Snapshots of events: a frame as it is, and the same with what was found drawn into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lavida.files import atomic_file
from lavida.live.records import Record

if TYPE_CHECKING:
    from lavida.live.watched import Moment

SNAPSHOTS = "snapshots"
MASK_COLOUR, MASK_SHARE = (255, 40, 40), 0.45
JPEG_QUALITY = 90


def snapshots(folder: Path, record: Record, moment: Moment) -> dict[str, str]:
    """Write pictures of the first frame told of, and later of the peak, where it is that frame.

    Returns:
        Their paths below the folder, by the names of the fields; nothing where this frame is neither.

    Raises:
        InputError: the disk is full or cannot be written.
    """
    if record["phase"] != "start" and record["peak_s"] != moment.live.frame.time_s:
        return {}
    plain, event = moment.live.frame.image, record["id"]
    if plain is None:
        return {}
    drawn, (height, width) = plain.astype(np.float32), plain.shape[:2]
    for mask in moment.masks:
        area = cv2.resize(mask.pixels.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        drawn[area] += MASK_SHARE * (np.array(MASK_COLOUR, np.float32) - drawn[area])
    names = {"snapshot": f"{SNAPSHOTS}/{event}.jpg", "snapshot_mask": f"{SNAPSHOTS}/{event}-mask.jpg"}
    for name, picture in zip(names.values(), (plain, drawn.astype(np.uint8)), strict=True):
        with atomic_file(folder / name) as partial:
            done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            if not done:
                raise OSError("the picture cannot be coded")
            partial.write_bytes(data.tobytes())
    return names
