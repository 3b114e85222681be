"""What UCSD Ped1 and Ped2 share: folders of frames in `Test/`, masks beside them (Mahadevan et al., CVPR 2010)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lavida.errors import InputError
from lavida.evaluation.benchmarks.contract import Video
from lavida.evaluation.benchmarks.official import Listed, OfficialBenchmark, not_here
from lavida.evaluation.benchmarks.places import first, homes, images

CATEGORIES = ("bicycle", "cart", "car", "skateboard", "wheelchair")

_FRAMES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}
_MASKS = {".bmp"}


class UcsdPedestrians(OfficialBenchmark):
    """A campus walkway; everything but pedestrians is abnormal. Frames are `Test/Test001/*.tif`, masks `Test001_gt`.

    A subset of the official videos, or of a video's frames, is allowed; `notes` then says so.

    Args:
        root: the folder `UCSD_Anomaly_Dataset.v1p2`, the one of this half in it, or a folder that holds the former.

    Raises:
        InputError: no test videos there, or another data set.
    """

    categories = CATEGORIES
    folder: ClassVar[str]  # of this half
    official_frames: ClassVar[dict[str, int]]

    def _list(self, root: Path) -> list[Listed]:
        names = {self.folder.lower(), "ucsdanomalydataset", "ucsdanomalydatasetv1p2"}
        test = first(homes(root, names), ["Test"], is_folder=True)
        if test is None:
            raise not_here(self, root, ["folder Test"])
        self._test = test
        there = {p.name for p in test.glob("Test[0-9][0-9][0-9]") if p.is_dir()}
        if not there and not self._annotated():
            raise InputError(f"no {self.title} videos: {test} has no folder Test001; unpack the data set there")
        for name in sorted(there):
            frames, official = len(images(test / name, _FRAMES)), self.official_frames.get(name, 0)
            if frames > official:
                raise InputError(
                    f"not {self.title}: {test / name} has {frames} frames where {self.title} has {official}; "
                    f"give the folder {self.folder}"
                )
            if not frames:
                raise InputError(f"no frames in {test / name}; unpack the data set again")
        return [self._listed(name) for name in self.official_frames]

    def _annotated(self) -> bool:
        """Whether there is any annotation, videos aside."""
        raise NotImplementedError

    def _listed(self, name: str) -> Listed:
        raise NotImplementedError

    def _source(self, name: str) -> Path:
        return self._test / name

    def _mask_folder(self, name: str) -> Path:
        return self._test / f"{name}_gt"

    def _mask_files(self, name: str) -> list[Path]:
        return images(self._mask_folder(name), _MASKS)

    def _has_masks(self, name: str) -> bool:
        return self._mask_folder(name).is_dir()

    def _masks(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        """Raises InputError for a mask that cannot be read."""
        return self._read_masks(video.name)

    def _read_masks(self, name: str) -> Iterator[NDArray[np.bool_]]:
        for path in self._mask_files(name):
            try:
                with Image.open(path) as image:
                    mask = np.asarray(image.convert("L")) > 0
            except OSError as error:
                raise InputError(f"unreadable mask: {path}; unpack the data set again") from error
            yield mask
