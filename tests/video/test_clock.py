"""Time stamps as recorders write them, and the times that come of them."""

import itertools

import numpy as np
import pytest

from lavida.video.clock import Clock


def timed(stamps, *, step: float = 0.04, **known) -> tuple[list[float], Clock]:
    clock = Clock(step, **known)
    times = [time_s for stamp in stamps for time_s in clock.add(stamp)]
    times += clock.finish()
    assert len(times) == len(stamps) and all(after >= before for before, after in itertools.pairwise(times))
    return times, clock


def steady(count: int, *, start: float = 0.0, step: float = 0.04) -> list[float]:
    return [start + index * step for index in range(count)]


def test_good_stamps_are_the_times_from_zero_on():
    stamps = np.cumsum([1.4, 0.04, 0.5, 1.0, 0.001, 0.9])
    times, clock = timed(stamps)
    assert times == pytest.approx(stamps - 1.4) and (clock.fitted, clock.missing, clock.joined) == (0, 0, [])


@pytest.mark.parametrize("wrong", [[4], [4, 5], [49], [48, 49], [4, 20, 33]])
@pytest.mark.parametrize("by", [3600.0, -3600.0, -0.5])
def test_stamps_far_off_are_fitted_between_their_neighbours_and_counted(wrong, by):
    stamps = steady(50)
    for index in wrong:
        stamps[index] += by
    times, clock = timed(stamps)
    assert times == pytest.approx(steady(50)) and clock.fitted == len(wrong)


def test_a_jump_counts_once_three_frames_confirm_it():
    stamps = steady(10) + steady(3, start=3600)
    assert timed(stamps)[0] == pytest.approx(stamps)
    assert timed(stamps)[1].fitted == 0


def test_a_jump_at_the_very_end_is_believed_if_it_is_short():
    assert timed([*steady(10), 5.0])[0][-1] == 5.0
    assert timed([*steady(10), 500.0])[0][-1] == pytest.approx(0.4)


@pytest.mark.parametrize("pause_s", [15.0, 600.0, 90_000.0])
@pytest.mark.parametrize("before", [1, 2, 48, 49])
def test_a_long_pause_after_the_first_frames_or_before_the_last_ones_is_real_where_the_length_has_it(before, pause_s):
    stamps = steady(before) + steady(50 - before, start=before * 0.04 + pause_s)
    assert timed(stamps, length_s=stamps[-1] + 0.04)[0] == pytest.approx(stamps)
    for length_s in (None, 2.0):
        assert timed(stamps, length_s=length_s)[0] == pytest.approx(steady(50))


@pytest.mark.parametrize("count", [3, 4, 6])
def test_pictures_of_which_each_stands_for_long(count):
    stamps = steady(count, step=61.0)
    assert timed(stamps, length_s=count * 61.0)[0] == pytest.approx(stamps)


def test_no_pause_lasts_for_years():
    """But a camera's clock jumps from 1970 to today, and the muxer announces what comes of it."""
    stamps = [0.0, *steady(20, start=1.7e9)]
    assert timed(stamps, length_s=1.7e9 + 1)[0] == pytest.approx(steady(21), abs=1e-6)


@pytest.mark.parametrize("length", [3, 8, 30, 200])
@pytest.mark.parametrize("back_s", [3600.0, 30.0, 4.0])
def test_stamps_that_go_back_for_a_while_and_return_are_no_time_that_passed(back_s, length):
    stamps = steady(400, start=5.0)
    for index in range(150, 150 + length):
        stamps[index] -= back_s
    times, clock = timed(stamps)
    assert times == pytest.approx(steady(400)) and clock.joined == [] and clock.fitted == length


def test_frames_may_be_lost_where_stamps_return_and_others_may_go_wrong_among_them():
    stamps = steady(100) + steady(10, start=-900) + steady(10, start=-2000) + steady(100, start=120 * 0.04 + 0.5)
    assert timed(stamps)[0] == pytest.approx(steady(120) + steady(100, start=120 * 0.04 + 0.5))
    assert timed([*steady(100), *steady(10, start=-900), 110 * 0.04])[0] == pytest.approx(steady(111))
    stamps = steady(100) + steady(10, start=-900) + steady(2, start=-890) + steady(100, start=14.44)
    assert timed(stamps)[0][-1] == pytest.approx(stamps[-1])  # a pause just before they return


def test_a_recording_with_a_pause_behind_another_is_not_taken_for_its_end():
    stamps = steady(50) + steady(50) + steady(50, start=2.0 + 1.4)
    times, clock = timed(stamps)
    assert times == pytest.approx(steady(100) + steady(50, start=4.0 + 1.4)) and len(clock.joined) == 1
    times, _ = timed(steady(50) + steady(50) + steady(50, start=2.0 + 2.2))  # nearly where the first one ended
    assert times == pytest.approx(steady(100) + steady(50, start=4.0 + 2.2))


def test_a_first_frame_from_before_the_clock_was_set_is_put_in_front_of_the_others():
    times, clock = timed([0.0, *steady(20, start=1.7e9)])
    assert times == pytest.approx(steady(21), abs=1e-6) and clock.fitted == 1


@pytest.mark.parametrize("length", [3, 9, 100])
def test_recordings_that_follow_each_other_go_on_whatever_their_length(length):
    times, clock = timed(steady(length, start=1.4, step=0.1) * 3, step=0.1)
    assert times == pytest.approx(steady(3 * length, step=0.1))
    assert clock.joined == pytest.approx([length * 0.1, 2 * length * 0.1]) and clock.fitted == 0


def test_recordings_of_two_frames_go_on_too():
    assert timed(steady(2) * 10)[0] == pytest.approx(steady(20))


def test_a_recording_may_begin_later_than_the_one_before_it_and_go_back_far():
    times, _ = timed(steady(50, start=100) + steady(50, start=60))
    assert times == pytest.approx(steady(100))


def test_stamps_of_decoding_are_sorted():
    """As AVI stores H.264 with B-frames: stamps 2, 6, 8, 4, ... in the order in which frames are shown."""
    mixed = [x / 50 for x in (2, 6, 8, 4, 12, 14, 10, 18, 20, 16, 22)]
    times, clock = timed(mixed, reordering=2)
    assert times == pytest.approx(steady(11)) and clock.fitted == 0


def test_sorted_stamps_may_start_again():
    mixed = [x / 50 for x in (2, 6, 8, 4, 12, 14, 10)]
    assert timed([*steady(60, start=2), *mixed], reordering=2)[0] == pytest.approx(steady(67))


def test_frames_without_a_stamp_lie_between_their_neighbours_or_follow_at_the_usual_step():
    stamps = steady(12)
    stamps[3] = stamps[4] = None
    assert timed(stamps)[0] == pytest.approx(steady(12))
    times, clock = timed([None] * 30)
    assert times == pytest.approx(steady(30)) and clock.missing == 30
    assert timed([None, None, *steady(5, start=7)])[0] == pytest.approx(steady(7))


def test_a_time_lapse_with_pauses_of_any_length_keeps_its_times():
    stamps = [0, 5, 300, 312, 400, 900, 901, 5000, 5001, 5002]
    times, clock = timed(stamps)
    assert times == pytest.approx(stamps) and clock.fitted == 0


def test_whole_seconds_are_shared_and_a_clock_that_stands_still_is_not_believed():
    assert timed([0] * 25 + [1] * 25)[0] == pytest.approx([0] * 25 + [1] * 25)
    times, clock = timed([7.0] * 500)
    assert times[-1] > 10 and clock.missing > 0


def test_few_frames_are_held_back_whatever_the_stamps():
    random = np.random.default_rng(0)
    clock, given = Clock(0.04), 0
    for count in range(1, 400):
        given += len(clock.add(random.choice([None, random.uniform(0, 100), 0.04 * count])))
        assert count - given <= 9
