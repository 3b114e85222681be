"""Clips cover every selected frame once, and frames are analysed in their own proportions."""

from pathlib import Path

import numpy as np
import pytest

from lavida.video.clips import analysis_size, clips
from lavida.video.decode import Frame, open_source

from . import make


def frame(index: int, *, image: bool = True) -> Frame:
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    picture[0, 1] = (index, 100 + index, 200)
    return Frame(index, index / 10, picture if image else None)


@pytest.mark.parametrize(("frames", "lengths"), [(8, [4, 4]), (9, [4, 4, 1]), (3, [3]), (1, [1]), (0, [])])
def test_clips_cover_every_selected_frame_once_the_tail_and_short_videos_included(frames, lengths):
    result = list(clips(map(frame, range(frames)), length=4))
    assert [len(clip.indices) for clip in result] == lengths
    assert [index for clip in result for index in clip.indices] == list(range(frames))


def test_a_clip_holds_frames_channels_first_with_their_places_and_times():
    (clip,) = clips([frame(i, image=i % 2 == 0) for i in range(5)], length=8)
    assert clip.frames.dtype == np.uint8 and clip.frames.shape == (3, 3, 4, 6)
    assert clip.frames[:, :, 0, 1].tolist() == [[0, 100, 200], [2, 102, 200], [4, 104, 200]]
    assert clip.indices.dtype == np.int64 and clip.indices.tolist() == [0, 2, 4]
    assert clip.times.dtype == np.float64 and clip.times.tolist() == [0, 0.2, 0.4]


def test_clips_are_made_while_the_video_is_read():
    def endless():
        index = 0
        while True:
            yield frame(index)
            index += 1

    assert next(clips(endless(), length=3)).indices.tolist() == [0, 1, 2]


def test_a_video_becomes_clips(tmp_path: Path):
    source = open_source(make.video(tmp_path / "clip.mp4", frames=12))
    result = list(clips(source.read(stride=5, size=(24, 32)), length=3))
    assert [clip.indices.tolist() for clip in result] == [[0, 5, 10], [11]]
    assert result[0].frames.shape == (3, 3, 24, 32)


def test_a_clip_without_frames_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        next(clips([frame(0)], length=0))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, (128, 224)),
        (1080, 1920, (224, 128)),
        (224, 224, (224, 224)),
        (64, 48, (160, 224)),  # 168 lies between 160 and 192
        (4000, 10, (32, 224)),
        (360, 240, (160, 224)),
    ],
)
def test_the_analysis_size_keeps_the_proportions_in_whole_multiples(width, height, expected):
    assert analysis_size(width, height, long_side=224, multiple=32) == expected


def test_a_long_side_below_one_multiple_still_gives_one():
    assert analysis_size(640, 480, long_side=8, multiple=32) == (32, 32)
