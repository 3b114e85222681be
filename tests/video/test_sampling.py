"""Which frames are analysed: by time, at least five a second wherever there are as many."""

import itertools

import numpy as np
import pytest

from lavida.video.sampling import FrameSampling, default_stride, steady_stride


def chosen(times, *, stride: int | None = None, fps: float = 25.0) -> list[int]:
    sampling = FrameSampling(stride, fps=fps)
    followed = [*times[1:], None]
    return [index for index, time_s in enumerate(times) if sampling.takes(index, time_s, followed[index])]


@pytest.mark.parametrize("rounded", [None, 3])
@pytest.mark.parametrize("fps", [1, 4.9, 5, 9.9, 10, 12.5, 15, 23.976, 24, 25, 29.97, 30, 50, 59.94, 60, 120, 144, 240])
def test_at_a_constant_rate_these_are_every_nth(fps, rounded):
    times = np.arange(400) / fps
    times = times if rounded is None else times.round(rounded)  # as Matroska stores them
    stride = default_stride(fps)
    assert chosen(times.tolist(), fps=fps) == sorted({*range(0, 400, stride), 399})


def test_frames_that_come_slowly_after_fast_ones_are_all_analysed():
    times = [*np.arange(300) / 30, *range(10, 20)]
    picked = chosen(times, fps=30)
    assert picked[-11:] == [294, *range(300, 310)]
    assert len(picked) < 80


@pytest.mark.parametrize("seed", range(20))
def test_no_gap_is_longer_than_a_fifth_of_a_second_unless_the_frames_are_further_apart(seed):
    random = np.random.default_rng(seed)
    steps = random.choice([0.0, 0.005, 0.02, 0.04, 0.15, 0.21, 3.0], 300) * random.uniform(0.8, 1.2, 300)
    times = np.concatenate([[0], steps.cumsum()])
    picked = np.array(chosen(times.tolist(), fps=float(random.uniform(3, 60))))
    for before, after in itertools.pairwise(picked):
        assert times[after] - times[before] <= 0.2 + 1e-5 or after == before + 1
    assert picked[0] == 0 and picked[-1] == 300


def test_frames_that_share_a_time_stamp_are_counted():
    assert np.diff(chosen([index // 25 for index in range(100)])).max() == default_stride(25)


def test_a_stride_is_followed_whatever_the_times():
    assert chosen([0, 0.1, 50, 51, 52, 53, 54], stride=3) == [0, 3, 6]


@pytest.mark.parametrize(
    ("frames", "stride"), [([0, 5, 10, 12], 5), ([0, 5, 11, 12], None), ([0], None), ([0, 4], 4), ([0, 1, 2, 3], 1)]
)
def test_a_steady_choice_is_told_by_its_stride(frames, stride):
    assert steady_stride(frames) == stride
