"""How the share of analysed frames follows the load."""

import itertools
import threading

import numpy as np
import pytest

from lavida.live.address import Address, parse
from lavida.live.behind import Behind
from lavida.live.clock import LiveClock
from lavida.live.pace import Pace
from lavida.live.sampling import LiveSampling
from lavida.live.stream import Stream
from lavida.video.sampling import FrameSampling
from lavida.video.source import Frame


def test_the_share_falls_while_work_comes_late_and_rises_again():
    pace, shares = Pace(), []
    for second in range(20):
        pace.served(2.0 if second < 5 else 0.0, now=100.0 + 1.1 * second)
        shares.append(pace.share)
    assert shares[0] == 1
    assert shares[5] < 0.3
    assert shares[5:] == sorted(shares[5:])
    assert shares[-1] > 2 * shares[5]
    for second in range(40):
        pace.served(0.0, now=200.0 + 1.1 * second)
    assert pace.share == 1


@pytest.mark.parametrize(("takes_s", "settles"), [(0.3, (0.99, 1.0)), (1.3, (0.25, 0.42))])
def test_it_settles_at_what_the_scorer_carries_though_clips_wait_for_each_other(takes_s, settles):
    """Four streams of five due frames a second, whose clips of eight fill at the same moment."""
    pace, now, shares = Pace(), 100.0, []
    for _ in range(60):
        fills_s = 8 / (5 * pace.share)
        pace.due += round(4 * 8 / pace.share)
        idle_s = max(0.0, fills_s - 4 * takes_s)
        now += idle_s
        for place in range(4):
            pace.served(0.75 + place * takes_s, now=now, frames=8, idle_s=idle_s if place == 0 else 0.0)
            now += takes_s
        shares.append(pace.share)
    assert all(settles[0] <= share <= settles[1] for share in shares[-20:]), shares


def test_nothing_is_left_out_while_the_first_clips_of_all_streams_wait_for_each_other():
    pace, now = Pace(), 100.0
    for _ in range(3):  # rounds of four clips of eight, which fill at the same moment: 1.6 s
        for place in range(4):
            late_s = 0.3 * place
            pace.served(late_s, now=now + late_s, frames=8, idle_s=0.4 if place == 0 else 0.0)
            assert pace.share == 1
            pace.due += 6
        pace.due += 8
        now += 1.6


def test_a_first_clip_that_waits_for_compiling_is_soon_forgotten():
    """Four streams of five frames a second; each clip of eight takes .15 s, the first one four seconds."""
    pace, now, shares = Pace(), 100.0, []
    for index in range(100):
        takes_s = 4.0 if index == 0 else 0.15
        idle_s = max(0.0, 0.4 / pace.share - takes_s) if index > 4 else 0.0
        now += idle_s
        pace.served(3.0 if index in (1, 2) else 0.1, now=now, frames=8, idle_s=idle_s)
        now += takes_s
        pace.due += round(20 * (takes_s + idle_s))
        shares.append((now, pace.share))
    assert all(share == 1 for now, share in shares if now < 105)
    assert min(share for _, share in shares) > 0.3
    assert all(share > 0.95 for now, share in shares if now > 120)


def test_it_never_falls_to_nothing():
    pace = Pace()
    for second in range(100):
        pace.served(60.0, now=100.0 + 1.1 * second)
    assert 0 < pace.share == Pace.LEAST


def streamed(count: int, *, most: int, share: float = 1.0) -> Stream:
    """A stream whose frames have all come before anybody took one."""
    pace = Pace()
    pace.share = share

    def session(address, wanted, clock: LiveClock, opened):
        opened((48, 64), "made")
        for index in range(count):
            image = np.zeros((4, 4, 3), np.uint8) if index % 2 == 0 else None
            yield Frame(index, index / 10, image)

    address = Address("file", "made", "made", "made")
    stream = Stream(
        "made",
        address,
        pace=pace,
        bell=threading.Condition(),
        most_pending=most,
        size=lambda width, height: (4, 4),
        pairs=False,
        session=session,
    )
    stream.start()
    stream.join(5)
    return stream


def test_newer_frames_push_out_older_ones_which_are_counted_and_known_by_their_times():
    stream = streamed(20, most=3)
    assert stream.counts.dropped == 7
    frames = stream.take(8)
    assert [live.frame.index for live in frames] == [14, 16, 18]
    assert frames[0].between == tuple(index / 10 for index in range(14))
    assert frames[1].between == (1.5,)
    assert stream.over


def test_what_a_library_says_of_a_fault_is_told_without_passwords(caplog):
    def session(address, wanted, clock, opened):
        raise RuntimeError(f"cannot read '{address.url}'")
        yield

    address = parse("rtsp://me:geheim@cam/1")
    stream = Stream("gate", address, pace=Pace(), bell=threading.Condition(), most_pending=1, size=lambda *size: size,
                    pairs=False, session=session)  # fmt: skip
    stream.start()
    try:
        with stream._bell:
            assert stream._bell.wait_for(lambda: stream.state == "retrying", 10)
    finally:
        stream.stop()
        stream.join(10)
    assert "RuntimeError: cannot read 'rtsp://***@cam/1'" in caplog.text
    assert stream.message.startswith("cannot read 'rtsp://***@cam/1'; opened again in 0.5 s")
    assert "geheim" not in caplog.text + stream.message


def test_what_is_skipped_is_counted():
    stream = streamed(20, most=10)
    stream.skip(4)
    assert stream.counts.dropped == 6
    assert [live.frame.index for live in stream.take(8)] == [12, 14, 16, 18]


def test_a_lower_share_leaves_out_frames_evenly():
    stream = streamed(200, most=100, share=0.5)
    taken = [live.frame.index for live in stream.take(100)]
    assert len(taken) == 50
    assert {after - before for before, after in itertools.pairwise(taken)} == {4}
    assert stream.counts.thinned == 50


@pytest.mark.parametrize("fps", [25, 10, 15, 30])
@pytest.mark.parametrize("late_s", [0.0, 0.003, 0.02])
def test_a_camera_without_time_stamps_is_analysed_five_times_a_second(fps, late_s):
    steps = np.arange(60 * fps) / fps * 1.003  # it is a little slower than it says
    arrived = np.maximum.accumulate(steps + np.random.default_rng(0).uniform(0, late_s, len(steps)))
    sampling = LiveSampling(fps=25)
    sampling.by_arrival = True
    taken = [now for now, after in itertools.pairwise(arrived.tolist()) if sampling.takes(0, now, after)]
    assert len(taken) == pytest.approx(5 * 60, rel=0.01)
    assert np.diff(taken).max() < 0.2 + 1 / fps + 2 * late_s


def test_a_burst_after_a_stall_is_not_made_up_for():
    sampling = LiveSampling(fps=25)
    sampling.by_arrival = True
    arrived = [*np.arange(0, 2, 0.04), *np.linspace(5, 5.01, 75), *np.arange(5.04, 8, 0.04)]
    taken = [now for now, after in itertools.pairwise(arrived) if sampling.takes(0, now, after)]
    assert len([now for now in taken if 5 <= now <= 5.02]) == 1
    assert len(taken) == pytest.approx(5 * 5, abs=2)


def test_with_time_stamps_frames_are_chosen_as_those_of_a_file():
    times = (np.arange(100) / 24).tolist()
    live, file = LiveSampling(fps=24), FrameSampling(None, fps=24)
    assert [live.takes(index, *pair) for index, pair in enumerate(itertools.pairwise(times))] == [
        file.takes(index, *pair) for index, pair in enumerate(itertools.pairwise(times))
    ]


def test_a_machine_that_does_not_keep_up_is_told_of_in_words_and_not_all_the_time():
    said: list[str] = []
    behind = Behind(said.append)
    for second in range(5):
        counts = {"analysed": 20 * second, "thinned": 5 * second, "dropped": 0}
        behind.tell({"type": "health", "stream": "gate", **counts})
    assert said == []
    for second in range(5):
        behind.tell({"type": "health", "stream": "yard", "analysed": second, "thinned": 40 * second, "dropped": 9})
    (line,) = said
    assert "1 of 41 frames that were due of yard were analysed" in line
