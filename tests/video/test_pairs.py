"""Pairs: each selected frame with its neighbour in gray, from videos and folders alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.video.decode import Frame, Source, open_source

from . import make

SIZE = (24, 32)


@pytest.fixture(params=["video", "folder"])
def source(request, tmp_path: Path) -> Source:
    """Twelve frames, each of its own level (`make.grey`)."""
    if request.param == "video":
        return open_source(make.video(tmp_path / "clip.mkv", frames=12, codec="ffv1"))
    for index in range(12):
        Image.fromarray(make.picture(make.grey(index), 64, 48)).save(tmp_path / f"{index}.png")
    return open_source(tmp_path)


def paired(source: Source, stride: int) -> list[Frame]:
    return [f for f in source.read(stride=stride, size=SIZE, pair_size=SIZE) if f.image is not None]


def test_the_neighbour_is_the_frame_before_and_the_next_one_at_the_start(source: Source):
    frames = paired(source, stride=5)
    assert [f.index for f in frames] == [0, 5, 10, 11]
    step = 0.9 * (make.grey(2) - make.grey(1))  # video levels may be in the narrow range
    for frame, neighbour in zip(frames, [1, 4, 9, 10], strict=True):
        assert frame.pair.now.shape == frame.pair.before.shape == SIZE and frame.pair.now.dtype == np.uint8
        assert frame.pair.seconds == pytest.approx((frame.index - neighbour) / 25, abs=1e-3)
        rise = frame.pair.now.mean() - frame.pair.before.mean()
        assert rise * (frame.index - neighbour) > step * 0.8


def test_frames_carry_pairs_only_where_they_are_asked_for(source: Source):
    assert all(f.pair is None for f in source.read(stride=3, size=SIZE))
    assert all((f.pair is None) == (f.image is None) for f in source.read(stride=3, size=SIZE, pair_size=SIZE))


def test_a_single_frame_has_no_neighbour(tmp_path: Path):
    Image.new("RGB", (64, 48)).save(tmp_path / "0.png")
    (frame,) = paired(open_source(tmp_path), stride=1)
    assert frame.pair.before is None and frame.pair.now.shape == SIZE


def test_fast_footage_looks_further_back(tmp_path: Path):
    frames = paired(open_source(make.video(tmp_path / "fast.mp4", frames=20, fps=100)), stride=10)
    assert frames[1].pair.seconds == pytest.approx(0.04, abs=1e-3)


def test_an_unreadable_neighbour_leaves_the_motion_unknown(tmp_path: Path):
    for index in range(3):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    frames = paired(open_source(tmp_path), stride=2)
    assert [f.index for f in frames] == [0, 2] and all(f.pair.before is None for f in frames)
