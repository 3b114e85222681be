"""What people say of events, as precision, recall, alarms an hour, and the threshold that would have been best."""

import json
from pathlib import Path

import numpy as np
import pytest

from lavida.cli.app import run
from lavida.detection import Detection
from lavida.evaluation.own import measure_own
from lavida.export.labels import EventLabel, write_labels
from lavida.video.source import SourceInfo

# at 1 frame a second: a sure event, a weaker one, a weak one, one a minute later
LEVELS = {0.9: (10, 20), 0.6: (40, 50), 0.4: (70, 80), 0.3: (140, 150)}


def save(levels: dict[float, tuple[int, int]], out: Path) -> Path:
    scores = np.full(180, 0.05, np.float32)
    for level, (first, stop) in levels.items():
        scores[first:stop] = level
    found = Detection(
        info=SourceInfo(Path("a.mp4"), "a", 64, 48, 1.0, 180),
        categories=("fire",),
        times=np.arange(180.0),
        sampled=np.arange(180),
        sampled_scores=scores,
        sampled_category_scores=scores[:, None],
        threshold=0.5,
    )
    return found.save(out, overlay=False)


@pytest.fixture
def result(tmp_path) -> Path:
    return save(LEVELS, tmp_path / "jobs" / "a" / "result")


def said(level: float, verdict: str, category: str = "fire") -> EventLabel:
    first, stop = LEVELS[level]
    return EventLabel(start_s=float(first), end_s=float(stop), category=category, verdict=verdict)


def test_events_are_counted_against_what_is_said_of_them(result):
    write_labels([said(0.9, "true"), said(0.6, "false"), said(0.4, "missed")], result)
    own = measure_own([result])
    assert (own.videos, own.labels, own.hours) == (1, 3, pytest.approx(180 / 3600))
    now = own.now
    assert (now.events, now.true, now.false, now.unjudged, now.missed) == (2, 1, 1, 0, 1)
    assert (now.precision, now.recall, now.alarms_per_hour) == (0.5, 0.5, pytest.approx(40))
    low = next(row for row in own.rows if row.threshold == 0.25)
    assert (low.events, low.true, low.false, low.unjudged, low.missed) == (4, 2, 1, 1, 0)
    assert (low.precision, low.recall, low.false_alarms_per_hour) == (2 / 3, 1.0, pytest.approx(40))
    assert own.best.threshold == 0.4  # the highest with both; the one before it would not have had the third
    assert (own.best.recall, own.best.f1) == (1.0, pytest.approx(2 * 2 / 3 / (2 / 3 + 1)))


def test_a_higher_threshold_is_best_where_it_loses_only_false_alarms(result):
    write_labels([said(0.9, "true"), said(0.6, "false")], result)
    best = measure_own([result]).best
    assert (best.threshold, best.precision, best.recall) == (0.9, 1.0, 1.0)


def test_an_alarm_that_lasts_all_the_time_finds_nothing(result):
    write_labels([said(0.9, "true"), said(0.6, "true")], result)
    lowest = next(row for row in measure_own([result]).rows if row.threshold == 0.05)
    assert (lowest.events, lowest.true, lowest.unjudged, lowest.missed, lowest.f1) == (1, 0, 1, 2, 0.0)


def test_a_moment_that_was_marked_finds_the_event_around_it(result):
    write_labels([EventLabel(start_s=14.0, end_s=14.8, category="fire", verdict="missed")], result)
    assert measure_own([result]).now.recall == 0.0  # with two seconds on both sides less than half of it
    write_labels([EventLabel(start_s=14.0, end_s=15.2, category="fire", verdict="missed")], result)
    assert measure_own([result]).now.recall == 1.0


@pytest.mark.parametrize(
    ("start_s", "end_s", "verdict", "counts"),
    [
        (12.5, 15.0, "missed", (1, 0, 0, 0)),  # with two seconds before it, three quarters of the event
        (6.0, 9.5, "true", (1, 0, 0, 0)),
        (13.5, 15.0, "missed", (0, 0, 1, 1)),  # a quarter
        (14.5, 15.0, "missed", (0, 0, 1, 1)),
        (12.5, 15.0, "false", (0, 0, 1, 0)),  # the seconds around are for what is true
        (11.9, 15.0, "false", (0, 1, 0, 0)),
    ],
)
def test_an_event_may_lie_in_the_seconds_around_what_was_marked(tmp_path, start_s, end_s, verdict, counts):
    result = save({0.9: (10, 12)}, tmp_path / "result")
    write_labels([EventLabel(start_s=start_s, end_s=end_s, category="fire", verdict=verdict)], result)
    now = measure_own([result]).now
    assert (now.true, now.false, now.unjudged, now.missed) == counts


def test_the_time_around_neighbours_counts_once(result):
    # of the alarm from 10 to 20 s: two of these reach from 10 to 14.4 s, three from 10 to 15.4 s
    marked = [EventLabel(start_s=s, end_s=s + 0.4, category="fire", verdict="missed") for s in (11.0, 12.0, 13.0)]
    write_labels(marked[:2], result)
    assert measure_own([result]).now.true == 0
    write_labels(marked, result)
    assert measure_own([result]).now.true == 1


def test_judged_twice_is_one_event_and_other_words_are_another(result):
    twice = EventLabel(start_s=12.0, end_s=30.0, category="fire", verdict="true")
    write_labels([said(0.9, "true"), twice, said(0.6, "true", "smoke")], result)
    now = measure_own([result]).now
    assert (now.true, now.unjudged, now.missed, now.recall) == (1, 1, 1, 0.5)


def test_the_command_finds_results_below_a_folder_and_prints_the_best_threshold(result, tmp_path, capsys):
    write_labels([said(0.9, "true"), said(0.6, "false"), said(0.4, "missed")], result)
    for given in (result, result / "labels.json", tmp_path / "jobs"):
        assert run(["eval", "own", "--labels", str(given), "--out", str(tmp_path / "out")]) == 0
        out = capsys.readouterr().out
        assert "best threshold 0.4: recall 1.00, 60.0 alarms an hour" in out
        assert "3 labels, 1 videos, 3.0 minutes" in out
    assert json.loads((tmp_path / "out" / "own.json").read_text())["best"]["threshold"] == 0.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own"], "--labels is missing"),
        (["own", "--labels", "{result}"], "no labels.json in"),
        (["ucsd-ped2", "--labels", "{result}", "--root", "a", "--out", "b"], "--labels belongs to lavida eval own"),
        (["ucsd-ped2", "--out", "b"], "--root is missing"),
        (["ucsd-ped2", "--root", "b"], "--out is missing"),
    ],
)
def test_what_does_not_fit_is_one_line(result, capsys, arguments, message):
    assert run(["eval", *(each.format(result=result) for each in arguments)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_result_of_which_nothing_is_said_is_refused(result, capsys):
    write_labels([EventLabel(start_s=170.0, end_s=200.0, category="fire", verdict="missed")], result)
    assert run(["eval", "own", "--labels", str(result)]) == 2
    assert "a label from 170 to 200 s is not all in the video, which ends after 180 s" in capsys.readouterr().err
    write_labels([], result)
    assert run(["eval", "own", "--labels", str(result)]) == 2
    assert "nothing is said in" in capsys.readouterr().err
