"""Streams spread over Ray actors: all that they see is told here, and a dead one's streams go on with another."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lavida import parallel
from lavida.errors import InputError, first_line
from lavida.live.pictures import Coded
from lavida.live.plan import Plan, Planned
from lavida.live.records import Record, Tell
from lavida.live.scorer import StartScorer
from lavida.live.stream import Counts
from lavida.live.watch import TAKEN_OUT
from lavida.live.watched import Earlier, Seen, health_record, unseen
from lavida.live.worker import Part, Told, Worker

LOOK_S = 0.25
SILENT_S = 15.0  # a worker that has not answered for so long is taken for dead
GATHER_S = 20.0  # once one worker is ready, the others are waited for so long before streams are given out
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0  # before another worker is started in the place of a dead one
START_TRIES = 3  # of each worker, before any of them has ever started
LEAVE_S = 10.0


@dataclass(slots=True, eq=False)
class _Hired:
    """A worker as it is known here.

    Attributes:
        number: for people.
        actor: Ray's handle.
        call: what it is doing now.
        since: when it was asked to, by the steady clock.
        ready: it has its model.
        part: what it is to watch; `sent` and `followed` are the numbers of the parts that it got and acts on.
        ended: streams of which nothing comes any more.
    """

    number: int
    actor: Any
    call: Any
    since: float
    ready: bool = False
    part: Part = field(default_factory=lambda: Part(0, {}, {}))
    sent: int = 0
    followed: int = 0
    ended: frozenset[str] = frozenset()

    def given(self, plan: Plan, earlier: Mapping[str, Record] | None = None) -> None:
        """Note another part; it is sent with the next turn."""
        left = {} if self.sent == self.part.number else self.part.earlier
        self.part, self.ended = Part(self.part.number + 1, plan, {**left, **(earlier or {})}), frozenset()


@contextmanager
def spread(
    start_scorer: Any,
    *,
    address: str,
    workers: int | None,
    streams: int,
    gpu: bool | None,
    tell: Tell,
    seen: Seen = unseen,
    earlier: Mapping[str, Record] | None = None,
) -> Iterator[Spread]:
    """Workers on a cluster, as long as the block runs.

    Args:
        start_scorer: gives the scorer in each worker; is pickled.
        address: `local` (a Ray of its own on this machine), or that of a cluster.
        workers: how many; None: one for each stream, as far as there is room.
        streams: how many there are now.
        gpu: whether each worker gets one, or a share of one; None: if the cluster has any.
        tell: see `lavida.live.watch.Watch`, like `seen` and `earlier`.
        seen: see `tell`.
        earlier: see `tell`.

    Raises:
        InputError: there is no Ray, or no such cluster; `workers` is less than 1.
    """
    parallel.check_workers(workers)
    ray = parallel.import_ray()
    with ExitStack() as session:
        # Ray's threads print what happens to workers on stdout, which belongs to the records
        session.enter_context(redirect_stdout(sys.stderr))
        session.enter_context(parallel.connected(ray, address))
        if workers is None:
            room, _ = parallel.plan(ray, workers=None, gpu=gpu)
            workers = min(room, streams)
        count, share = parallel.plan(ray, workers=workers, gpu=gpu)
        kind = ray.remote(**share, max_restarts=0, scheduling_strategy="SPREAD")(Worker)
        packed = parallel.dumps(start_scorer)
        yield Spread(
            ray,
            lambda: kind.remote(packed, pictures=seen is not unseen),
            count=count,
            tell=tell,
            seen=seen,
            earlier=earlier,
        )


def for_workers(model: str, *, device: str, runtime: str, words: tuple[str, ...]) -> tuple[StartScorer, bool | None]:
    """What workers load, and `gpu` of `spread`. Raises InputError for what none of them could load."""
    from lavida.files import EMBEDDED
    from lavida.loading import exported_folder, model_folder

    folder = Path(os.path.abspath(model_folder(model)))
    exported = exported_folder(folder, name=model, runtime=runtime, device=device) is not None
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {device} cannot be used with several workers: give auto, cpu or cuda")
    gpu = False if exported else {"cpu": False, "auto": None}.get(device, True)
    return StartScorer(model if folder == EMBEDDED else str(folder), device, runtime, words), gpu


class Spread:
    """The streams over all workers; a `lavida.live.watch.Watching`.

    Args:
        ray: the module.
        hire: gives the handle of a new actor that is a `Worker`.
        count: how many there should be.
        tell: takes every record.
        seen: takes every record of an event with its pictures, after `tell`.
        earlier: by stream the records of events that were open when the process before this one was killed.
    """

    def __init__(
        self,
        ray: Any,
        hire: Any,
        *,
        count: int,
        tell: Tell,
        seen: Seen = unseen,
        earlier: Mapping[str, Record] | None = None,
    ) -> None:
        self._ray, self._hire, self._count, self._tell, self._seen = ray, hire, count, tell, seen
        self._earlier = dict(earlier or {})
        self._plan: dict[str, Planned] = {}
        self._workers: list[_Hired] = []
        self._home: dict[str, _Hired] = {}  # by stream
        self._moving: dict[str, tuple[_Hired, int]] = {}  # it leaves with the part of this number
        self._ended: set[str] = set()  # of workers that have died since
        self._open: dict[str, Record] = {}  # the newest record of the event that goes on, by stream
        self._health: dict[str, Record] = {}
        self._said_at: dict[str, float] = {}  # by streams of which none but this process tells
        self._hired = self._died_starting = 0
        self._first_ready: float | None = None
        self._start_at, self._wait_s = 0.0, FIRST_WAIT_S

    @property
    def over(self) -> bool:
        """See `Watching`."""
        return all(name in self._ended or self._has_ended(name) for name in self._plan)

    def _has_ended(self, name: str) -> bool:
        home = self._home.get(name)
        return home is not None and name in home.ended

    def follow(self, plan: Plan) -> None:
        """See `Watching`."""
        before, self._plan = self._plan, dict(plan)
        for name in [name for name in before if name not in plan]:
            if self._home.pop(name, None) is None:  # nobody else tells of it
                self._close(name)
                self._say(name, before[name].address.shown, "ended", TAKEN_OUT)
            self._moving.pop(name, None)
        for name, planned in plan.items():
            if name not in before:
                self._say(name, planned.address.shown, "starting", "waits for a worker")
            elif before[name].address != planned.address:
                self._ended.discard(name)
        for worker in self._workers:
            part = {name: planned for name, planned in plan.items() if self._stays(name, worker)}
            if part != worker.part.plan:
                worker.given(part)

    def _stays(self, name: str, worker: _Hired) -> bool:
        return self._home.get(name) is worker and name not in self._moving

    def step(self) -> None:
        """See `Watching`."""
        while len(self._workers) < self._count and time.monotonic() >= self._start_at:
            self._begin()
        calls = {worker.call: worker for worker in self._workers}
        done, rest = self._ray.wait(list(calls), timeout=LOOK_S) if calls else ([], [])
        if not calls:
            time.sleep(LOOK_S)
        if done and rest:
            done += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for call in done:
            self._answered(calls.pop(call))
        for worker in calls.values():
            if worker.ready and time.monotonic() - worker.since > SILENT_S:
                self._lose(worker, f"has not answered for {SILENT_S:g} s")
        self._give_out()
        for name, planned in self._plan.items():
            waits = name not in self._home and name not in self._ended
            if waits and time.monotonic() - self._said_at.get(name, 0.0) > planned.settings.health_s:
                self._say(name, planned.address.shown, self._health[name]["state"], "waits for a worker")

    def finish(self) -> None:
        """See `Watching`."""
        ready = [worker for worker in self._workers if worker.ready]
        last = {worker.number: worker.actor.finish.remote() for worker in ready}
        deadline = time.monotonic() + LEAVE_S
        for worker in ready:
            with suppress(Exception):  # one that is dead or silent has nothing more to say
                for call in (worker.call, last[worker.number]):
                    self._take(worker, self._ray.get(call, timeout=max(0.1, deadline - time.monotonic())))
        for worker in self._workers:
            self._ray.kill(worker.actor)
        for name in list(self._open):
            self._close(name)

    def _begin(self) -> None:
        self._hired += 1
        actor = self._hire()
        self._workers.append(_Hired(self._hired, actor, actor.start.remote(), time.monotonic()))

    def _answered(self, worker: _Hired) -> None:
        try:
            told: Told | None = self._ray.get(worker.call)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if not worker.ready and self._first_ready is None:
                self._died_starting += 1
                if isinstance(cause, InputError):
                    raise cause from None
                if self._died_starting >= START_TRIES * self._count:
                    line = f"workers died {self._died_starting} times while they started: {first_line(error)}"
                    raise InputError(f"{line}; try without --ray") from error
            return self._lose(worker, "died" if cause is None else f"failed: {first_line(cause)}")
        if told is None:  # from `start`
            worker.ready = True
            self._first_ready = self._first_ready or time.monotonic()
        else:
            self._take(worker, told)
        part = worker.part if worker.part.number != worker.sent else None
        worker.sent, worker.since = worker.part.number, time.monotonic()
        worker.call = worker.actor.turn.remote(part)

    def _take(self, worker: _Hired, told: Told) -> None:
        for record, pictures in told.records:
            name = record["stream"]
            if self._home.get(name, worker) is not worker:
                continue
            if record["type"] == "health":
                if name in self._moving and record["state"] == "ended":
                    continue
                record = self._health[name] = record | {"worker": worker.number}
            elif record["type"] == "score":
                self._wait_s = FIRST_WAIT_S
            self._tell(record)
            if record["type"] == "event":
                self._note(record, None if pictures is None else Coded(pictures))
        worker.followed = told.part
        worker.ended = told.ended if told.part == worker.part.number else frozenset()
        for name in [name for name, (source, number) in self._moving.items() if source is worker]:
            if told.part >= self._moving[name][1]:
                del self._moving[name], self._home[name]
                self._say(name, self._plan[name].address.shown, "retrying", "goes on with another worker")

    def _note(self, record: Record, pictures: Coded | None) -> None:
        if record["phase"] == "end":
            self._open.pop(record["stream"], None)
        else:
            self._open[record["stream"]] = record
        self._seen(record, pictures)

    def _lose(self, worker: _Hired, why: str) -> None:
        """Its streams go to others, and another worker is started in its place."""
        with suppress(Exception):
            self._ray.kill(worker.actor)
        self._workers.remove(worker)
        self._start_at = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        for name in [name for name, home in self._home.items() if home is worker]:
            del self._home[name]
            self._moving.pop(name, None)
            if name in worker.ended:
                self._ended.add(name)
                continue
            if (address := self._plan[name].address).kind == "file":  # played anew
                self._close(name)
            elif name in self._open:
                self._earlier[name] = self._open[name]
            self._say(name, address.shown, "retrying", f"worker {worker.number} {why}; goes on with another one")

    def _close(self, name: str) -> None:
        """End an event of which nobody knows any more."""
        if (record := self._open.get(name)) is not None:
            closed = Earlier(record).closed()
            self._tell(closed)
            self._note(closed, None)

    def _say(self, name: str, shown: str, state: str, message: str) -> None:
        known = self._health.get(name) or health_record(name, shown, state, message, Counts())
        now = health_record(name, shown, state, message, Counts())
        fresh = {key: now[key] for key in ("source", "state", "message", "rate", "wall")}
        self._health[name], self._said_at[name] = known | fresh | {"worker": None}, time.monotonic()
        self._tell(self._health[name])

    def _give_out(self) -> None:
        """Streams without a worker to those that have the fewest, and from the fullest to the emptiest."""
        ready = [worker for worker in self._workers if worker.ready]
        waits = time.monotonic() - (self._first_ready or 0.0) < GATHER_S and not self._home
        if not ready or (waits and len(ready) < self._count):
            return
        for name, planned in self._plan.items():
            if name not in self._home and name not in self._ended:
                worker = min(ready, key=lambda each: len(each.part.plan))
                self._home[name] = worker
                known = {name: self._earlier.pop(name)} if name in self._earlier else {}
                worker.given({**worker.part.plan, name: planned}, known)
        fullest = max(ready, key=lambda each: len(each.part.plan))
        if self._moving or len(fullest.part.plan) < 2 + min(len(each.part.plan) for each in ready):
            return
        for name, planned in fullest.part.plan.items():
            if planned.address.kind != "file" and name not in self._open:
                fullest.given({other: each for other, each in fullest.part.plan.items() if other != name})
                self._moving[name] = fullest, fullest.part.number
                return
