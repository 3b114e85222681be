"""From streams to records, with a scorer that answers at once."""

import json
import threading

import numpy as np
import pytest

from lavida.detection import Detection
from lavida.live.watch import watch
from lavida.video.decode import open_source
from live.streams import CATEGORIES, BrightScorer, clip
from live.watching import planned

pytestmark = pytest.mark.slow  # in real time

LEVELS = [20] * 25 + [200] * 25 + [60] * 30 + [240] * 10


def watched(paths, scorer, **settings) -> list[dict]:
    records: list[dict] = []
    watch(planned(*map(str, paths), **settings), scorer, tell=records.append)
    json.dumps(records, allow_nan=False)
    return records


def of_type(records, kind, **fields):
    return [r for r in records if r["type"] == kind and all(r[key] == value for key, value in fields.items())]


def detected(path, scorer) -> Detection:
    """What `detect` would make of the same frames and scores."""
    source = open_source(path)
    frames = list(source.read(size=scorer.analysed_size(64, 48)))
    analysed = [frame for frame in frames if frame.image is not None]
    said = scorer.score(analysed, CATEGORIES, size=(48, 64), floor=0.5)
    return Detection(
        info=source.info,
        categories=CATEGORIES,
        times=np.array([frame.time_s for frame in frames]),
        sampled=np.array([frame.index for frame in analysed]),
        sampled_scores=said.scores,
        sampled_category_scores=said.category_scores,
        threshold=0.5,
        masks=[mask for each in said.masks for mask in each],
    )


def test_a_file_at_real_speed_gives_the_events_of_detect(tmp_path):
    path, scorer = clip(tmp_path / "street.mp4", LEVELS), BrightScorer(motion=True)
    records = watched([path], scorer)
    found = detected(path, scorer)
    ends = of_type(records, "event", phase="end")
    fields = found.events()[0].to_json().keys()
    assert [{key: record[key] for key in fields} for record in ends] == [event.to_json() for event in found.events()]
    assert len(ends) == 2
    scores = of_type(records, "score")
    assert [record["frame"] for record in scores] == found.sampled.tolist()
    assert np.allclose([record["score"] for record in scores], found.sampled_scores, atol=1e-6)


def test_an_event_begins_goes_on_and_ends_under_one_id(tmp_path):
    records = watched([clip(tmp_path / "street.mp4", LEVELS)], BrightScorer(), update_s=0.0)
    events = of_type(records, "event")
    ids = list(dict.fromkeys(record["id"] for record in events))
    assert len(ids) == 2
    for each in ids:
        phases = [record["phase"] for record in events if record["id"] == each]
        assert phases[0] == "start"
        assert phases[-1] == "end"
        assert set(phases[1:-1]) <= {"update"}
    assert any(record["phase"] == "update" for record in events)
    (first, *_), last = events, events[-1]
    assert first["end_s"] is first["end_wall"] is None
    assert first["stream"] == "street"
    assert last["start_wall"] < last["end_wall"]
    assert last["end_s"] == pytest.approx(len(LEVELS) / 25)


def test_the_last_word_on_a_stream_is_that_it_has_ended(tmp_path):
    health = of_type(watched([clip(tmp_path / "street.mp4", LEVELS)], BrightScorer()), "health")
    assert [health[0]["state"], health[-1]["state"]] == ["starting", "ended"]
    last = health[-1]
    assert (last["frames"], last["analysed"], last["dropped"], last["thinned"]) == (len(LEVELS), 19, 0, 0)


def test_a_file_that_is_no_video_fails_and_the_other_goes_on(tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    records = watched([tmp_path / "bad.mp4", clip(tmp_path / "good.mp4", LEVELS)], BrightScorer())
    assert of_type(records, "health", stream="bad")[-1]["state"] == "failed"
    assert len(of_type(records, "event", phase="end", stream="good")) == 2


@pytest.mark.slow
def test_streams_share_the_machine_evenly_when_it_cannot_keep_up(tmp_path):
    path, scorer = clip(tmp_path / "long.mp4", [20] * 25 * 8), BrightScorer(takes_s=0.4)
    records = watched([path] * 4, scorer)  # 20 frames a second are due, about 10 can be scored
    last = [of_type(records, "health", stream=name)[-1] for name in ("long", "long-2", "long-3", "long-4")]
    assert all(each["thinned"] > 5 and each["share"] < 0.9 for each in last)
    counts = [each["analysed"] for each in last]
    assert min(counts) >= 0.8 * max(counts)
    delays = [record["delay_s"] for record in of_type(records, "score")]
    assert max(delays[-20:]) < 6


def test_it_stops_when_asked_to_and_closes_what_goes_on(tmp_path):
    path, stopped, records = clip(tmp_path / "fire.mp4", [250] * 250), threading.Event(), []

    def tell(record):
        records.append(record)
        if record["type"] == "score" and record["time_s"] > 1:
            stopped.set()

    watch(planned(str(path)), BrightScorer(), tell=tell, stopped=stopped)
    (end,) = of_type(records, "event", phase="end")
    assert 1 < end["end_s"] < 4
