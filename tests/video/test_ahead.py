"""Frames that are decoded ahead are the same frames."""

import threading
import time

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.video.decode import ReadAhead, open_source, produced_ahead
from lavida.video.motion import with_motion
from video import make


def decoders() -> int:
    return sum(thread.name == "lavida-decode" for thread in threading.enumerate())


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 3, 100])
def test_the_frames_are_those_of_the_source(tmp_path, stride):
    path = make.video(tmp_path / "a.mp4", frames=150)
    plain = list(open_source(path).read(stride=stride, size=(16, 16), pair_size=(8, 8)))
    with ReadAhead(open_source(path)) as source:
        ahead = list(source.read(stride=stride, size=(16, 16), pair_size=(8, 8)))
    assert [(f.index, f.time_s) for f in ahead] == [(f.index, f.time_s) for f in plain]
    for one, other in zip(ahead, plain, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert (one.pair is None) == (other.pair is None)
    fields = [(f.motion, g.motion) for f, g in zip(ahead, with_motion(plain), strict=True)]
    assert [one is None for one, _ in fields] == [f.pair is None for f in plain]
    assert all(np.array_equal(one, other) for one, other in fields if other is not None)


def test_the_clock_tells_what_the_thread_did_in_the_last_reading(tmp_path):
    with ReadAhead(open_source(make.video(tmp_path / "a.mp4", frames=20))) as source:
        assert source.clock.milliseconds() == {}
        list(source.read(stride=5, size=(64, 64), pair_size=(32, 32)))
        spent = source.clock.milliseconds()
        assert set(spent) == {"decode", "motion"} and min(spent.values()) > 0
        list(source.read(stride=5))
        assert set(source.clock.milliseconds()) == {"decode"}


def test_it_can_be_read_again_and_passes_on_what_is_known(tmp_path):
    path = make.truncated(tmp_path / "cut.mp4", frames=60, texture=20)
    plain = open_source(path)
    with ReadAhead(open_source(path)) as source:
        counts = [len(list(source.read(stride=2))) for _ in range(2)]
        assert source.info == plain.info
        assert counts == [len(list(plain.read(stride=2)))] * 2
        assert source.warnings == plain.warnings != []


def test_what_goes_wrong_in_the_thread_is_raised_after_the_frames_before_it():
    def frames():
        yield from range(5)
        raise InputError("lost")

    got = []
    with pytest.raises(InputError, match="lost"):
        got.extend(produced_ahead(frames(), most=2))
    assert got == [0, 1, 2, 3, 4]


def test_a_stride_out_of_range_is_refused_at_once(tmp_path):
    with ReadAhead(open_source(make.video(tmp_path / "a.mp4"))) as source, pytest.raises(ValueError, match="stride"):
        source.read(stride=0)


def test_it_goes_on_while_the_reader_works_but_not_too_far():
    produced = []

    def items():
        for i in range(100):
            produced.append(i)
            yield i

    ahead = produced_ahead(items(), most=4)
    next(ahead)
    patience = time.monotonic() + 10
    while len(produced) < 6 and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(0.2)  # as far as it gets: one taken, four waiting, one in hand
    assert len(produced) == 6
    assert list(ahead) == list(range(1, 100))


def test_leaving_early_ends_the_thread_and_closes_the_file(tmp_path):
    closed = []

    class Endless:
        info, warnings = None, []

        def read(self, **_):
            try:
                while True:
                    yield next(iter(open_source(path).read(stride=1)))
            finally:
                closed.append(threading.current_thread().name)

    path = make.video(tmp_path / "a.mp4", frames=3)
    before = decoders()
    with ReadAhead(Endless()) as source:
        next(source.read(stride=1))
        assert decoders() == before + 1
    assert decoders() == before
    assert closed == ["lavida-decode"]
