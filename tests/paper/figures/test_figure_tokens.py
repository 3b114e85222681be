import numpy as np
import pytest
import torch
from tiny import tiny_lavida
from video import make

from lavida.detector import Detector
from lavida.errors import InputError
from lavida.paper.figures import draw_tokens
from lavida.paper.figures.tokens import FrameTokens, look
from lavida.video.decode import open_source
from lavida.video.excerpt import Excerpt


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))


@pytest.fixture
def source(tmp_path):
    return open_source(make.video(tmp_path / "clip.mp4", frames=12, width=96, height=64, texture=60, mark=True))


def tokens(**changes) -> FrameTokens:
    """2 x 3 tokens on a frame of 40 x 60 pixels; the middle one of the first row is unlike the others."""
    given = {
        "picture": np.full((40, 60, 3), 120, dtype=np.uint8),
        "density": np.array([[9, 1e-3, 8], [9, 7, 9]], dtype=np.float32),
        "emphasis": np.array([[0.5, 1.5, 1], [1, 1, 1]], dtype=np.float32),
        "kept": np.array([[1, 0, 1], [0, 1, 0]], dtype=bool),
        "kept_of": (3, 6),
        "caption": "clip, 0.0 s",
    }
    return FrameTokens(**given | changes)


def pictures(sheet) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in sheet.figure.axes if axes.images and axes.get_ylim()[0] > 1]


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    return picture[20 * row + 10, 20 * column + 10].astype(int)


def test_each_token_is_a_cell_of_its_frame():
    frame, density, weight, kept = pictures(draw_tokens([tokens()]))
    assert (frame == 120).all()
    warm = [int(cell(density, *at)[0] - cell(density, *at)[2]) for at in ((0, 0), (0, 1), (0, 2))]
    assert warm[0] > 50 and warm[2] > 50 and warm[1] < 0  # red for dense, blue for sparse
    low, high, even = (cell(weight, 0, column) for column in range(3))
    assert low[2] > low[0] and high[0] > high[2] and abs(even[0] - even[2]) < 12
    assert [bool((cell(kept, *at) == 120).all()) for at in np.ndindex(2, 3)] == [True, False, True, False, True, False]


def test_even_tokens_are_drawn_without_complaint():
    even = tokens(density=np.ones((2, 3), np.float32), emphasis=np.ones((2, 3), np.float32))
    with np.errstate(all="raise"):
        assert len(pictures(draw_tokens([even, even]))) == 8


def test_what_is_drawn_is_what_the_model_computes(detector, source):
    (seen,) = look(detector, source, [4], title="clip", stride=2)
    frames = [frame.image for frame in Excerpt(source, [4, 6]).read(stride=1, size=(64, 96)) if frame.image is not None]
    clip = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None]
    with torch.inference_mode(), detector.torch.autocast():
        (kept,) = detector.model.semantics(clip, [["dog"]]).kept
    assert seen.kept_of == (len(kept), 6) and seen.kept.shape == (2, 3)
    assert np.flatnonzero(seen.kept).tolist() == kept.tolist()  # one group of frames a clip here
    assert seen.picture.shape == (64, 96, 3) and seen.caption == "clip, 0.2 s"


def test_the_last_frame_of_a_video_is_a_clip_of_its_own(detector, source):
    (seen,) = look(detector, source, [11], title="clip", stride=5)
    assert seen.caption == "clip, 0.4 s"
    with pytest.raises(InputError, match="frame 50 cannot be read"):
        look(detector, source, [50], title="clip", stride=5)
