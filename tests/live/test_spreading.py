"""How streams are spread over workers that die, hang and come anew; Ray itself is in test_spread.py."""

import pickle

import pytest

from lavida.errors import InputError
from lavida.live import spread as room
from lavida.live.spread import Spread
from lavida.live.watch import go_on
from lavida.live.worker import Worker
from live import fake_ray
from live.sending import Camera
from live.streams import BrightScorer, clip
from live.test_watch import LEVELS, detected, of_type
from live.watching import Watching, is_phase, is_score, is_state, planned


class Staff:
    """Workers as they are hired; `watch` has the form of `lavida.live.watch.watch`."""

    def __init__(self, count: int, start=BrightScorer) -> None:
        self.actors, self._count, self._start = [], count, start

    def hire(self) -> fake_ray.Actor:
        self.actors.append(fake_ray.Actor(Worker(pickle.dumps(self._start), pictures=True)))
        return self.actors[-1]

    def watch(self, plan, scorer, *, tell, seen=lambda record, moment: None, replan=lambda: None, stopped=None) -> None:
        spread = Spread(fake_ray, self.hire, count=self._count, tell=tell, seen=seen)
        go_on(spread, plan, replan=replan, stopped=stopped)


@pytest.fixture
def cameras():
    made = [Camera() for _ in range(3)]
    yield made
    for camera in made:
        camera.close()


def of(stream: str, wanted):
    return lambda record: record["stream"] == stream and wanted(record)


@pytest.mark.slow
def test_files_over_two_workers_give_the_events_of_one_process(tmp_path):
    paths = [clip(tmp_path / f"{name}.mp4", LEVELS) for name in ("a", "b", "c")]
    records, pictures = [], {}
    expected = [event.to_json() for event in detected(paths[0], BrightScorer()).events()]

    def seen(record, moment):
        if moment is not None and (jpegs := moment.jpegs(record)):
            pictures[record["stream"]] = jpegs

    Staff(2).watch(planned(*map(str, paths)), None, tell=records.append, seen=seen)
    for name in ("a", "b", "c"):
        assert len(of_type(records, "score", stream=name)) == 19
        ends = of_type(records, "event", stream=name, phase="end")
        assert [{key: end[key] for key in expected[0]} for end in ends] == expected
        assert of_type(records, "health", stream=name)[-1]["state"] == "ended"
        assert pictures[name].keys() == {"snapshot", "snapshot_mask"}
    assert {record["worker"] for record in of_type(records, "health")} == {None, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
def test_the_streams_of_a_dead_or_silent_worker_move_and_come_back_to_an_even_number(cameras, hangs, monkeypatch):
    monkeypatch.setattr(room, "SILENT_S", 1.0)
    plan, staff = planned(*(camera.url for camera in cameras)), Staff(3)
    with Watching(plan=plan, work=staff.watch) as seen:
        for name in plan:
            seen.until(of(name, is_score), within=20)
        cameras[0].level = cameras[1].level = cameras[2].level = 250
        starts = {name: seen.until(of(name, is_phase("start")), within=10)["id"] for name in plan}
        known = len(seen.records)
        staff.actors[0].hung.set() if hangs else staff.actors[0].kill()
        lost = seen.until(is_state("retrying"), within=10, after=known)
        assert ("has not answered for 1 s" if hangs else "worker 1 died") in lost["message"]
        name = lost["stream"]
        again = seen.until(of(name, lambda record: record["type"] == "event"), within=10, after=known)
        assert (again["phase"], again["id"]) == ("update", starts[name])
        moved = seen.until(of(name, is_state("running")), within=10, after=known)
        assert moved["worker"] in (2, 3)
        for camera in cameras:
            camera.level = 20
        # worker 4 comes in the place of the first, and takes over one of the two streams
        seen.until(lambda record: record.get("worker") == 4 and is_state("running")(record), within=20, after=known)
    ends = [record["id"] for record in seen.records if is_phase("end")(record)]
    assert sorted(ends) == sorted(starts.values())
    last = {each["stream"]: each["worker"] for each in seen.records if each["type"] == "health"}
    assert sorted(last.values()) == [2, 3, 4]


@pytest.mark.slow
def test_a_file_whose_worker_dies_is_played_anew_and_its_event_is_closed(tmp_path):
    staff = Staff(1)
    with Watching(str(clip(tmp_path / "fire.mp4", [250] * 75)), work=staff.watch) as seen:
        start = seen.until(is_phase("start"), within=10)
        staff.actors[0].kill()
        end = seen.until(is_phase("end"), within=10)
        assert (end["id"], end["interrupted"]) == (start["id"], True)
        seen.until(is_state("ended"), within=20)
    ends = [record for record in seen.records if is_phase("end")(record)]
    assert len(ends) == 2 and ends[1]["id"] != start["id"] and ends[1]["end_s"] == pytest.approx(3.0)


@pytest.mark.slow
def test_streams_come_and_go_over_workers(cameras):
    plan, staff = planned(*(camera.url for camera in cameras)), Staff(2)
    first, second, third = plan
    with Watching(plan={name: plan[name] for name in (first, second)}, work=staff.watch) as seen:
        seen.until(of(second, is_score), within=20)
        seen.plan = {name: plan[name] for name in (first, third)}
        ended = seen.until(of(second, is_state("ended")), within=10)
        assert ended["message"] == "taken out of the configuration"
        seen.until(of(third, is_score), within=20)
    sessions = [each["sessions"] for each in seen.records if each["type"] == "health" and each["stream"] == first]
    assert max(sessions) == 1  # it notices nothing


def test_streams_that_wait_for_a_worker_say_so_again_and_again(tmp_path):
    staff = Staff(1)
    hire = staff.hire
    staff.hire = lambda: (actor := hire()).hung.set() or actor  # the cluster has no room
    path = str(clip(tmp_path / "a.mp4", [20] * 5))
    with Watching(plan=planned(path, health_s=0.1), work=staff.watch) as seen:
        seen.until(lambda _: len(seen.records) >= 4, within=10)
    assert {(each["state"], each["message"]) for each in seen.records} == {("starting", "waits for a worker")}


class Broken:
    def __call__(self):
        raise InputError("no such model")


def test_a_model_that_cannot_be_loaded_ends_the_watch_at_once(tmp_path):
    with pytest.raises(InputError, match="no such model"):
        Staff(2, Broken()).watch(planned(str(clip(tmp_path / "a.mp4", [20] * 5))), None, tell=lambda record: None)


class Failing(BrightScorer):
    """Fails once it has scored a little, as a machine with too little memory does."""

    def score(self, *given, **named):
        if len(self.clips) >= 2:
            raise MemoryError("no memory")
        return super().score(*given, **named)


@pytest.mark.slow
def test_a_worker_that_fails_is_replaced_and_that_is_said(cameras):
    with Watching(cameras[0].url, work=Staff(1, Failing).watch) as seen:
        lost = seen.until(lambda record: "failed" in record.get("message", ""), within=20)
        assert lost["message"] == "worker 1 failed: no memory; goes on with another one"
        seen.until(lambda record: record.get("worker") == 2, within=20)
