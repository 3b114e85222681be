"""UCSD Ped2: a campus walkway seen from the side; 12 test videos, all with pixel masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lavida.evaluation.benchmarks.contract import Expected
from lavida.evaluation.benchmarks.official import Listed, of_length
from lavida.evaluation.benchmarks.ucsd import CATEGORIES, UcsdPedestrians

__all__ = ["CATEGORIES", "OFFICIAL_FRAMES", "UcsdPed2"]

OFFICIAL_FRAMES = {
    "Test001": 180, "Test002": 180, "Test003": 150, "Test004": 180, "Test005": 150, "Test006": 180,
    "Test007": 180, "Test008": 180, "Test009": 120, "Test010": 150, "Test011": 180, "Test012": 180,
}  # fmt: skip


class UcsdPed2(UcsdPedestrians):
    """UCSD Ped2; a frame is abnormal where its mask has a pixel. See `UcsdPedestrians`."""

    name = "ucsd-ped2"
    title = "UCSD Ped2"
    folder = "UCSDped2"
    layout = "UCSDped2/Test/Test001/*.tif and Test001_gt/*.bmp"
    expected = Expected(videos=12, frames=2010, abnormal_frames=1648)
    official_frames = OFFICIAL_FRAMES

    def _annotated(self) -> bool:
        return any(self._has_masks(name) for name in OFFICIAL_FRAMES)

    def _listed(self, name: str) -> Listed:
        masks = self._has_masks(name)
        return Listed(
            name=name,
            source=self._source(name),
            frames=len(self._mask_files(name)) if masks else None,
            official_frames=OFFICIAL_FRAMES[name],
            lacks=() if masks else (self._mask_folder(name),),
        )

    def labels(self, name: str, frames: int | None = None) -> NDArray[np.uint8]:
        """See `OfficialBenchmark.labels`."""
        labels = np.array([mask.any() for mask in self._read_masks(name)], dtype=np.uint8)
        return of_length(labels, frames, where=self._mask_folder(name), name=name)
