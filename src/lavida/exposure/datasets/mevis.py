"""MeViS: crowded videos in which expressions tell objects apart by how they move (Ding et al. 2023)."""

import json
import mmap
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_rle

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import AnnotatedVideo, VideoClips, read_meta_expressions
from lavida.exposure.datasets.reading import of_split

SPLITS = {"train": ("train",), "heldout": ("valid_u",)}


class MeViS(VideoClips):
    """Clips with expressions of one object, of several, or (2024 release) of none; `heldout` is the official valid_u.

    The first expression of a set of objects names its mask. Texts that are true of nothing are `out_of_view`.

    Args:
        root: folder with `train` and `valid_u`.
    """

    name = "mevis"
    layout = "{train,valid_u}/{meta_expressions.json,mask_dict.json}, {train,valid_u}/JPEGImages/<video>/<frame>.jpg"
    # expressions are left out: the releases of 2023 and 2024 differ
    expected = {"train": {"videos": 1662}, "heldout": {"videos": 50}}

    def __init__(self, root: str | Path, split: str, *, clip_length: int = 1) -> None:
        (part,) = of_split(SPLITS, split, dataset="MeViS")
        base = Path(root) / part
        path = base / "meta_expressions.json"
        said = read_meta_expressions(path, dataset="MeViS", layout=self.layout, key="anno_id")
        self._masks = MaskFile(base / "mask_dict.json", layout=self.layout)
        for video, (_, texts) in said.items():
            for number in sorted(frozenset().union(*texts.targets.values())):
                if number not in self._masks:
                    where = f"{self._masks.path}; restore the official file"
                    raise InputError(f"annotation {number} of video {video} is not in {where}")
        videos = [texts.annotate(video, frames) for video, (frames, texts) in said.items()]
        super().__init__(videos, pictures=base / "JPEGImages", clip_length=clip_length)

    def files(self) -> Iterator[Path]:
        """`mask_dict.json`, then the pictures, whether they exist or not."""
        yield self._masks.path
        yield from super().files()

    def _label_files(self, video: AnnotatedVideo) -> Iterator[Path]:
        return iter(())  # one for all videos

    def _read_masks(
        self, video: AnnotatedVideo, start: int, frames: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        where = range(start, start + len(frames))
        numbers = frozenset().union(*video.targets.values())
        objects = {number: self._masks.read(number, where, size=frames.shape[1:3]) for number in numbers}
        masks = {
            text: reduce(np.logical_or, [objects[number] for number in meant]) for text, meant in video.targets.items()
        }
        return masks, None


class MaskFile:
    """A `mask_dict.json`: annotation number -> for each frame of its video a COCO run-length code or null.

    The official file has hundreds of megabytes, so only the places of the annotations are kept, and each is parsed
    when it is asked for.

    Args:
        path: the file.
        layout: the data set's layout, for errors.

    Raises:
        InputError: the file is missing or has no annotation.
    """

    def __init__(self, path: Path, *, layout: str) -> None:
        self.path = path
        try:
            self._spans = _spans(path)
        except OSError:
            raise InputError(f"file is missing: {path}; restore the data set, which holds {layout}") from None
        if not self._spans:
            raise InputError(f"no masks in {path}; restore the official file")

    def __contains__(self, number: int) -> bool:
        return number in self._spans

    def read(self, number: int, frames: range, *, size: tuple[int, int]) -> np.ndarray:
        """Masks of one annotation, bool [T, H, W]; empty where the object is out of sight.

        Args:
            number: an annotation of the file.
            frames: consecutive positions in the video.
            size: height and width of the pictures.

        Raises:
            InputError: the annotation is damaged, has fewer frames or another size.
        """
        masks = np.zeros((len(frames), *size), dtype=bool)
        try:
            codes = self._codes(number)
            for mask, frame in zip(masks, frames, strict=True):
                if codes[frame] is not None:
                    mask[:] = _decode(codes[frame], size)
        except InputError:
            raise
        except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(
                f"cannot read annotation {number} of {self.path} ({reason}); restore the official file"
            ) from None
        return masks

    def _codes(self, number: int) -> list[Any]:
        begin, end = self._spans[number]
        with self.path.open("rb") as file:
            file.seek(begin)
            text = file.read(end - begin).decode("ascii")
        return json.JSONDecoder().raw_decode(text)[0]


def _spans(path: Path) -> Mapping[int, tuple[int, int]]:
    """Annotation number -> where its list begins in the file, and a place after its end."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # No text of the file holds a quotation mark (run-length codes use "0" to "o"), so this finds keys only.
            keys = [(int(key[1]), key.end() - 1) for key in re.finditer(rb'"(\d+)"\s*:\s*\[', content)]
            keys.append((-1, len(content)))
    return {number: (begin, end) for (number, begin), (_, end) in pairwise(keys)}


def _decode(code: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    if tuple(code["size"]) != tuple(size):
        raise ValueError(f"its size is {code['size']}, that of the picture {list(size)}")
    mask = coco_rle.decode({"size": code["size"], "counts": code["counts"].encode("ascii")})
    if mask.max() > 1:  # where the runs end too early, pycocotools leaves whatever was in memory
        raise ValueError("its runs do not fill the picture")
    return mask.astype(bool)
