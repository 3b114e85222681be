"""UCSD Ped2: a campus walkway; everything but pedestrians is abnormal (Mahadevan et al., CVPR 2010)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Video

CATEGORIES = ("bicycle", "cart", "car", "skateboard", "wheelchair")

OFFICIAL_FRAMES = {
    "Test001": 180, "Test002": 180, "Test003": 150, "Test004": 180, "Test005": 150, "Test006": 180,
    "Test007": 180, "Test008": 180, "Test009": 120, "Test010": 150, "Test011": 180, "Test012": 180,
}  # fmt: skip

_FRAME_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
_PLACES = ("", "UCSDped2", "UCSD_Anomaly_Dataset.v1p2/UCSDped2")


class UcsdPed2:
    """UCSD Ped2 in its official layout: `Test/Test001/*.tif` and `Test/Test001_gt/*.bmp`.

    A subset of the 12 official videos, or of a video's frames, is allowed; `notes` then says so.

    Args:
        root: the folder `UCSD_Anomaly_Dataset.v1p2`, its `UCSDped2`, or a folder that holds the former.

    Raises:
        InputError: no test videos there, another data set, masks missing, or not one mask for each frame.
    """

    name = "ucsd-ped2"
    categories = CATEGORIES
    official_videos = len(OFFICIAL_FRAMES)
    has_pixel_labels = True

    def __init__(self, root: Path | str) -> None:
        self._test = _find_test_folder(Path(root))
        names = sorted(p.name for p in self._test.glob("Test[0-9][0-9][0-9]") if p.is_dir())
        if not names:
            raise InputError(f"no Ped2 videos: {self._test} has no folder Test001; unpack the data set there")
        self.videos = [self._open_video(name) for name in names]
        self.notes = _deviations(self.videos)

    def _open_video(self, name: str) -> Video:
        frames = _images(self._test / name, _FRAME_SUFFIXES)
        masks = self._masks(name)
        official = OFFICIAL_FRAMES.get(name, 0)
        if len(frames) > official:
            raise InputError(
                f"not UCSD Ped2: {self._test / name} has {len(frames)} frames where Ped2 has {official}; "
                "give the folder UCSDped2 (not UCSDped1)"
            )
        if not frames or len(frames) != len(masks):
            raise InputError(
                f"{len(frames)} frames but {len(masks)} masks: {self._test / name} and {name}_gt; "
                "unpack the data set again"
            )
        return Video(name=name, source=self._test / name, frames=len(frames), categories=CATEGORIES)

    def _masks(self, name: str) -> list[Path]:
        return _images(self._test / f"{name}_gt", {".bmp"})

    def pixel_labels(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """One mask `[H, W]` for each frame in order, true where abnormal; read one at a time.

        Raises:
            InputError: a mask cannot be read.
        """
        for path in self._masks(video.name):
            try:
                with Image.open(path) as image:
                    mask = np.asarray(image.convert("L")) > 0
            except OSError as error:
                raise InputError(f"unreadable mask: {path}; unpack the data set again") from error
            yield mask

    def frame_labels(self, video: Video) -> NDArray[np.uint8]:
        """Labels `[frames]`: 1 where any pixel of the frame's mask is set."""
        return np.array([mask.any() for mask in self.pixel_labels(video)], dtype=np.uint8)


def _find_test_folder(root: Path) -> Path:
    for place in _PLACES:
        if (root / place / "Test").is_dir():
            return root / place / "Test"
    raise InputError(
        f"no UCSD Ped2 here: {root}; give the folder UCSD_Anomaly_Dataset.v1p2, its UCSDped2, or their parent"
    )


def _images(folder: Path, suffixes: set[str]) -> list[Path]:
    """The images of a folder in order, `2.tif` before `10.tif`; hidden twins from archives are left out."""
    if not folder.is_dir():
        raise InputError(f"missing folder: {folder}; unpack the data set again")
    images = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    return sorted(images, key=lambda p: (len(p.stem), p.name))


def _deviations(videos: list[Video]) -> list[str]:
    notes = []
    if len(videos) < len(OFFICIAL_FRAMES):
        notes.append(f"{len(videos)} of {len(OFFICIAL_FRAMES)} official videos")
    for video in videos:
        if video.frames < OFFICIAL_FRAMES[video.name]:
            notes.append(f"{video.name}: {video.frames} of {OFFICIAL_FRAMES[video.name]} official frames")
    return notes
