import pytest

from lavida.errors import InputError
from lavida.video.decode import open_source
from lavida.video.excerpt import Excerpt, Stretch, analysed_frames, read_frames, whole_clips

from . import make

LEVELS = [make.grey(index) for index in range(20)]


@pytest.fixture
def source(tmp_path):
    return open_source(make.video(tmp_path / "clip.mp4", frames=20, fps=10))


def shown(frames) -> dict[int, int]:
    """Frame number -> the gray level of its image, where it has one."""
    return {frame.index: round(float(frame.image.mean())) for frame in frames if frame.image is not None}


def near(found: dict[int, int], expected: dict[int, int]) -> bool:
    return found.keys() == expected.keys() and all(abs(found[key] - expected[key]) <= 5 for key in expected)


def test_a_stretch_numbers_its_frames_anew_and_keeps_their_times(source):
    stretch = Stretch(source, start_s=0.5, end_s=1.2)
    frames = list(stretch.read(stride=3))
    assert [frame.index for frame in frames] == list(range(7)) and stretch.first == 5
    assert [round(frame.time_s, 3) for frame in frames] == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1]
    assert near(shown(frames), {0: LEVELS[5], 3: LEVELS[8], 6: LEVELS[11]})


def test_a_stretch_from_the_start_is_read_on_the_stride_of_the_source(source):
    stretch = Stretch(source, end_s=0.9)
    assert near(shown(stretch.read(stride=4)), {0: LEVELS[0], 4: LEVELS[4], 8: LEVELS[8]})
    assert stretch.info.frames_hint == 9


def test_a_stretch_outside_the_video_is_said(source):
    with pytest.raises(InputError, match="no frame from 5 s to 6 s.*clip.mp4"):
        list(Stretch(source, start_s=5, end_s=6).read(stride=1))
    with pytest.raises(InputError, match="no time from 2 s to 1 s"):
        Stretch(source, start_s=2, end_s=1)


def test_an_excerpt_shows_only_its_frames_and_ends_with_the_last(source):
    frames = list(Excerpt(source, [6, 4, 10]).read(stride=7))
    assert [frame.index for frame in frames] == list(range(11))
    assert near(shown(frames), {4: LEVELS[4], 6: LEVELS[6], 10: LEVELS[10]})


def test_frames_are_read_by_number_and_size_also_from_a_stretch(source):
    found = read_frames(Stretch(source, start_s=0.5), [0, 3], size=(12, 16))
    assert {frame: image.shape for frame, image in found.items()} == {0: (12, 16, 3), 3: (12, 16, 3)}
    assert abs(found[3].mean() - LEVELS[8]) <= 5
    assert read_frames(source, []) == {} and set(read_frames(source, [2, 99])) == {2}


def test_pairs_stay_with_the_frames_of_an_excerpt(source):
    whole = {f.index: f.pair for f in source.read(stride=1, pair_size=(24, 32))}
    some = {f.index: f.pair for f in Excerpt(source, [3, 5]).read(stride=1, pair_size=(24, 32))}
    assert some[4] is None and (some[5].now == whole[5].now).all() and (some[5].before == whole[5].before).all()


def test_the_clips_around_frames_are_those_of_the_whole_video():
    analysed = analysed_frames(22, stride=2)
    assert analysed == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21]
    assert whole_clips([6, 21], analysed=analysed, length=4) == [0, 2, 4, 6, 16, 18, 20, 21]
    assert analysed_frames(1, stride=5) == [0]
