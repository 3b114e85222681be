"""ShanghaiTech Campus: 13 scenes of a campus, 107 test videos (Luo, Liu and Gao, ICCV 2017; Liu et al., CVPR 2018)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError, one_line
from lavida.evaluation.benchmarks.official import Benchmark, Expected, Listed, Video, check_length
from lavida.evaluation.benchmarks.places import first_folder, homes
from lavida.video.decode import open_source

CATEGORIES = (
    "bicycle", "fight", "throw", "pick", "hand truck", "run", "skate", "falling", "jumping", "motorcycle", "tricycle",
    "cart", "waving stick", "hurdle", "vehicle", "play", "baby carriage", "truck",
)  # fmt: skip

_HOMES = {"shanghaitech", "shanghaitechcampus"}
_BROKEN = (OSError, ValueError, EOFError)


class ShanghaiTech(Benchmark):
    """ShanghaiTech: `testing/frames/01_0014/*.jpg`, `testing/test_frame_mask/01_0014.npy`, `testing/test_pixel_mask`.

    Frame masks are arrays `[frames]` of 0 and 1, pixel masks `[frames, H, W]`. Without the latter there are no pixel
    labels, except for a video without an abnormal frame: all its pixels are normal.
    """

    name = "shanghaitech"
    title = "ShanghaiTech"
    layout = "testing/frames/01_0014/*.jpg, testing/test_frame_mask/*.npy and testing/test_pixel_mask/*.npy"
    categories = CATEGORIES
    expected = Expected(videos=107, frames=40791, abnormal_frames=17326)

    def _list(self, root: Path) -> list[Listed]:
        folders = homes(root, _HOMES)
        videos, labels, masks = (
            first_folder(folders, [f"testing/{place}", place])
            for place in ("frames", "test_frame_mask", "test_pixel_mask")
        )
        if videos is None and labels is None:
            raise self._not_here(root, "testing/frames", "testing/test_frame_mask")
        self._videos = videos or root / "testing" / "frames"
        self._labels = labels or root / "testing" / "test_frame_mask"
        self._pixels = masks
        names = {path.name for path in self._videos.glob("[0-9][0-9]_[0-9]*") if path.is_dir()}
        names |= {path.stem for path in self._labels.glob("[0-9][0-9]_[0-9]*.npy")}
        return [self._listed(name) for name in sorted(names)]

    def _listed(self, name: str) -> Listed:
        path = self._label_file(name)
        frames, lacks = (len(_array(path, axes=1)), ()) if path.is_file() else (None, (path,))
        return Listed(name=name, source=self._videos / name, frames=frames, lacks=lacks)

    def labels(self, name: str, frames: int | None = None) -> NDArray[np.uint8]:
        """See `Benchmark.labels`."""
        path = self._label_file(name)
        labels = _array(path, axes=1)
        if unknown := set(np.unique(labels).tolist()) - {0, 1}:
            raise InputError(f"unknown label {min(unknown)} in {path}: 0 is normal, 1 abnormal; restore the file")
        check_length(name, frames, len(labels), where=path)
        return labels.astype(np.uint8)

    def _label_file(self, name: str) -> Path:
        return self._labels / f"{name}.npy"

    def _pixel_file(self, name: str) -> Path | None:
        path = None if self._pixels is None else self._pixels / f"{name}.npy"
        return path if path is not None and path.is_file() else None

    def _has_masks(self, name: str) -> bool:
        if self._pixels is None or self._pixel_file(name) is not None:
            return self._pixels is not None
        return self._label_file(name).is_file() and not self.labels(name).any()

    def _label_files(self, name: str) -> Iterable[Path]:
        return filter(None, (self._label_file(name), self._pixel_file(name)))

    def _masks(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        path = self._pixel_file(video.name)
        if path is None:  # normal from end to end
            info = open_source(video.source).info
            yield from (np.zeros((info.height, info.width), dtype=bool) for _ in range(video.frames))
            return
        masks = _array(path, axes=3)
        check_length(video.name, video.frames, len(masks), where=path)
        yield from (np.asarray(mask) != 0 for mask in masks)


def _array(path: Path, *, axes: int) -> NDArray:
    """An array that stays on disk until it is used."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise InputError(f"not an array file: {path} ({one_line(error)}); restore the file") from error
    if array.ndim != axes:
        raise InputError(f"an array of {array.ndim} axes, not {axes}: {path}; restore the file")
    return array
