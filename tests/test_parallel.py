"""Many items in one process; with Ray it is tested in `scan/test_scan_ray.py`."""

import sys

import pytest

from lavida.errors import InputError
from lavida.parallel import AbortRun, Failure, run


def halves(number: int) -> int:
    if number == 3:
        raise InputError("three is\nbroken; choose another")
    if number == 5:
        raise KeyError("five")
    if number == 7:
        raise AbortRun("the disk is full")
    return number // 2


def test_each_item_comes_with_its_result_or_the_reason_why_there_is_none():
    results = dict(run([2, 3, 4], lambda: halves))
    assert results == {2: 1, 3: Failure("three is broken; choose another"), 4: 2}


def test_an_odd_exception_ends_one_item_and_keeps_its_traceback():
    results = dict(run([5, 6], lambda: halves))
    assert results[6] == 3
    assert results[5].reason == "unexpected KeyError: 'five'; please report this as a defect"
    assert "in halves" in results[5].defect


def test_what_concerns_every_item_ends_the_run():
    done = []
    with pytest.raises(AbortRun, match="disk"):
        done.extend(run([2, 7, 4], lambda: halves))
    assert done == [(2, 1)]


def test_one_worker_is_started_and_only_if_there_is_work():
    starts = []

    def start():
        starts.append(1)
        return halves

    assert list(run([], start)) == [] and not starts
    assert len(list(run(range(3), start, workers=1))) == 3 and len(starts) == 1


def test_items_are_taken_and_results_given_one_by_one():
    events = []

    def items():
        for item in (0, 2):
            events.append(f"take {item}")
            yield item

    for item, _ in run(items(), lambda: halves):
        events.append(f"got {item}")
    assert events == ["take 0", "got 0", "take 2", "got 2"]


def test_no_workers_is_out_of_range():
    with pytest.raises(InputError, match="--workers 0"):
        run([1], lambda: halves, workers=0)


@pytest.mark.parametrize("choice", [{"workers": 2}, {"ray": "local"}])
def test_without_ray_one_line_says_how_to_get_it(monkeypatch, choice):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'lavida\[scan\]'"):
        list(run([1], lambda: halves, **choice))
