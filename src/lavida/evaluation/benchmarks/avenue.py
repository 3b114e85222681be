"""CUHK Avenue: people before a building; running, throwing, loitering (Lu, Shi and Jia, ICCV 2013)."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from lavida.errors import InputError, one_line
from lavida.evaluation.benchmarks.official import Benchmark, Expected, Listed, Video, check_length
from lavida.evaluation.benchmarks.places import first_folder, homes
from lavida.files import as_stored

# the data set names no classes; these are its events as its paper describes them
CATEGORIES = (
    "running", "throwing things", "jumping", "dancing", "loitering", "walking in the wrong direction", "bicycle",
)  # fmt: skip
VARIABLE = "volLabel"  # a cell for each frame, which holds its mask

_MASK_FOLDERS = [f"{home}testing_label_mask" for home in ("", "ground_truth_demo/", "../ground_truth_demo/")]
_HOMES = {"avenue", "avenuedataset", "cuhkavenue", "cuhkavenuedataset"}
_BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, zlib.error)


class Avenue(Benchmark):
    """Avenue: `testing_videos/01.avi` and `testing_label_mask/1_label.mat` of the authors' `ground_truth_demo.zip`.

    A frame is abnormal where its mask has a pixel. Two of the 21 videos are abnormal throughout.
    """

    name = "avenue"
    title = "Avenue"
    layout = "testing_videos/01.avi and testing_label_mask/1_label.mat (or ground_truth_demo/testing_label_mask)"
    categories = CATEGORIES
    expected = Expected(videos=21, frames=15324, abnormal_frames=3712)
    annotation_apart = True

    def _list(self, root: Path) -> list[Listed]:
        folders = homes(root, _HOMES)
        videos = first_folder(folders, ["testing_videos", "testing/testing_videos"])
        masks = first_folder(folders, _MASK_FOLDERS)
        if videos is None and masks is None:
            raise self._not_here(root, "testing_videos", "testing_label_mask")
        self._folder = masks or root / "testing_label_mask"
        return [self._listed(number, videos or root / "testing_videos") for number in range(1, 22)]

    def _listed(self, number: int, videos: Path) -> Listed:
        name = f"{number:02d}"
        mask = self._mask_file(name)
        frames, lacks = (_cells(mask), ()) if mask.is_file() else (None, (mask,))
        return Listed(name=name, source=as_stored(videos / f"{name}.avi"), frames=frames, lacks=lacks)

    def _mask_file(self, name: str) -> Path:
        return self._folder / f"{int(name)}_label.mat"

    def _has_masks(self, name: str) -> bool:
        return self._mask_file(name).is_file()

    def _label_files(self, name: str) -> Iterable[Path]:
        return (self._mask_file(name),)

    def labels(self, name: str, frames: int | None = None) -> NDArray[np.uint8]:
        """See `Benchmark.labels`."""
        path = self._mask_file(name)
        labels = np.array([mask.any() for mask in _masks(path)], dtype=np.uint8)
        check_length(name, frames, len(labels), where=path)
        return labels

    def _masks(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        return _masks(self._mask_file(video.name))


def _masks(path: Path) -> Iterator[NDArray[np.bool_]]:
    """The masks `[H, W]` of a video in order. MATLAB's format is read whole: 0.3 GB for the longest video."""
    cells = _matlab(path, lambda: scipy.io.loadmat(str(path), variable_names=[VARIABLE])[VARIABLE])
    for cell in cells.ravel():
        if not isinstance(cell, np.ndarray) or cell.ndim != 2 or cell.dtype.kind not in "buif":
            raise _format_error(path, "a cell is no mask")
        yield cell != 0


def _cells(path: Path) -> int:
    """How many masks the file holds, from its header alone."""
    shapes = _matlab(path, lambda: {name: shape for name, shape, _ in scipy.io.whosmat(str(path))})
    if VARIABLE not in shapes:
        raise _format_error(path, f"it has no {VARIABLE}")
    return int(np.prod(shapes[VARIABLE]))


def _matlab(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except _BROKEN as error:
        raise _format_error(path, one_line(error)) from error


def _format_error(path: Path, reason: str) -> InputError:
    return InputError(f"not a mask file of Avenue: {path} ({reason}); restore it from ground_truth_demo.zip")
