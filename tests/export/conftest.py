"""A small detection to export."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.detection import Detection
from lavida.video.decode import SourceInfo


@pytest.fixture
def detection_of() -> Callable[..., Detection]:
    """Build a detection from the scores of its analysed frames; frame times are `index / fps`."""

    def build(scores, *, stride=1, fps=25.0, categories=("fire",), category_scores=None, path="clip.mp4", **fields):
        scores = np.asarray(scores, dtype=np.float32)
        frames = (len(scores) - 1) * stride + 1
        if category_scores is None:
            category_scores = np.repeat(scores[:, None], len(categories), axis=1)
        height, width = fields.pop("size", (48, 64))
        given = {
            "info": SourceInfo(Path(path), Path(path).stem, width, height, fps, frames),
            "categories": categories,
            "times": np.arange(frames) / fps,
            "sampled": np.arange(0, frames, stride),
            "sampled_scores": scores,
            "sampled_category_scores": category_scores,
            "threshold": 0.5,
        }
        return Detection(**{**given, **fields})

    return build


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A source of 12 mid-gray pictures, 63 x 47."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(np.full((47, 63, 3), 100, np.uint8)).save(folder / f"{index}.png")
    return folder
