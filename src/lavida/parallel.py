"""Many independent items: a plain loop in this process, or a pool of Ray actors (the extra `lavida[scan]`)."""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Any, TypeVar

from lavida.errors import InputError, needed, one_line, reason

TRIES = 3  # of an item whose worker dies
WORKER_BYTES = 2 * 2**30  # what a worker with the embedded model needs, generously
OBJECT_STORE_BYTES = 256 * 2**20  # only names and numbers pass through it
PATIENCE_S = 10

Item = TypeVar("Item")
Result = TypeVar("Result")
Worker = Callable[[Item], Result]


class AbortRun(InputError):
    """Raised by a worker for what concerns every item, such as a full disk: it ends the whole run."""


@dataclass(frozen=True)
class Failure:
    """An item without a result."""

    reason: str  # one line: what is wrong and how to mend it
    defect: str | None = None  # the traceback, where the cause is not the input but a defect of the program


def run(
    items: Iterable[Item],
    start_worker: Callable[[], Worker],
    *,
    workers: int | None = None,
    ray: str | None = None,
    gpu: bool | None = None,
) -> Generator[tuple[Item, Result | Failure]]:
    """Apply a worker to every item and yield each item with its result, in the order in which they are done.

    Results are held only until they are yielded. With Ray, an item whose worker dies is tried again with another one,
    three times in all.

    Args:
        items: what to work on; for Ray they are collected first, and pickled.
        start_worker: called once in each worker; gives the callable that turns an item into its result. For Ray it
            is pickled, as are the results. It is not called if there are no items.
        workers: how many; None: 1, or with Ray as many as the cluster has GPUs, or else CPUs and memory for.
        ray: None, "local" (a Ray of its own on this machine), or the address of a cluster. More than one worker
            means "local" if nothing is given.
        gpu: with Ray: whether every worker gets a GPU, or a share of one; None: if the cluster has any.

    Yields:
        `(item, result)`; `(item, Failure)` where the worker raised or died.

    Raises:
        AbortRun: raised by a worker.
        InputError: raised by `start_worker`; there is no Ray, or no such cluster; `workers` is less than 1.
    """
    check_workers(workers)
    if ray is None and workers in (None, 1):
        return _run_here(items, start_worker)
    return _run_on_ray(list(items), start_worker, workers=workers, address=ray or "local", gpu=gpu)


def check_workers(workers: int | None) -> None:
    """Raises InputError for less than 1."""
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers} is out of range: choose 1 or more")


def attempt(work: Worker, item: Item) -> Result | Failure:
    """The worker's result, or why there is none. Raises AbortRun."""
    try:
        return work(item)
    except AbortRun:
        raise
    except InputError as error:
        return Failure(one_line(error))
    except Exception as error:  # one odd item must not end the work on ten thousand others
        line = f"unexpected {type(error).__name__}: {one_line(error)}; please report this as a defect"
        return Failure(line, defect=traceback.format_exc())


def _run_here(items: Iterable[Item], start_worker: Callable[[], Worker]) -> Generator[tuple[Item, Result | Failure]]:
    start = cache(start_worker)  # not before the first item
    for item in items:
        yield item, attempt(start(), item)


class _Actor:
    """Holds one worker in a process of Ray's pool. Its worker is started with the first call, also after a restart."""

    def __init__(self, start_worker: bytes) -> None:
        self._start = start_worker

    @cached_property
    def _work(self) -> Worker:
        return pickle.loads(self._start)()

    def start(self) -> None:
        _ = self._work

    def work(self, item: bytes) -> Any:
        return attempt(self._work, pickle.loads(item))


def _run_on_ray(
    items: Sequence[Any], start_worker: Callable[[], Any], *, workers: int | None, address: str, gpu: bool | None
) -> Generator[tuple[Any, Any]]:
    if not items:
        return
    ray = import_ray()
    with ExitStack() as session:
        # Ray's threads print what happens to workers on stdout, which belongs to the results
        session.enter_context(redirect_stdout(sys.stderr))
        session.enter_context(connected(ray, address))
        count, share = plan(ray, workers=workers, gpu=gpu)
        # Ray starts a dead worker again and gives it its item again
        kind = ray.remote(**share, max_restarts=-1, max_task_retries=TRIES - 1)(_Actor)
        actors = [kind.remote(dumps(start_worker)) for _ in range(min(count, len(items)))]
        for actor in actors:
            session.callback(ray.kill, actor)
        for index, answer in _answers(ray, items, actors):
            yield items[index], answer


def _answers(ray: ModuleType, items: Sequence[Any], actors: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """The index of each item with its answer. An actor has one item at a time: what is lost with it is that one."""
    waiting = iter(range(len(items)))
    # an actor that the cluster has no room for yet gets nothing
    running: dict[Any, tuple[Any, int | None]] = {actor.start.remote(): (actor, None) for actor in actors}
    while running:
        (done,), _ = ray.wait(list(running))
        actor, index = running.pop(done)
        answer = _answer(ray, done, begun=index is not None)
        if (following := next(waiting, None)) is not None:
            running[actor.work.remote(dumps(items[following]))] = actor, following
        if index is not None:
            yield index, answer
        del answer


def _answer(ray: ModuleType, done: Any, *, begun: bool) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):  # from `start_worker`, or AbortRun
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        if not begun:
            line = f"a worker died {TRIES} times while it started: {reason(error)}"
            raise InputError(f"{line}; try one worker") from error
        return Failure(f"its worker died {TRIES} times while working on it; try it alone")


def dumps(value: Any) -> bytes:
    """Pickled so that processes on other machines can read it."""
    from ray import cloudpickle  # takes what is defined in a script or a notebook, too

    return cloudpickle.dumps(value)


def import_ray() -> ModuleType:
    """The module. Raises InputError where it is not installed."""
    # footage is nobody's business: no usage report unless asked for
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else lines about actors that ended
    ray: ModuleType = needed("ray")
    return ray


@contextmanager
def connected(ray: ModuleType, address: str) -> Iterator[None]:
    """A session with the cluster, or the one that this process already has."""
    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        settings |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(**settings)
    except Exception as error:  # Ray raises plain ones, too, as where a busy machine takes longer than 30 s
        ray.shutdown()
        raise InputError(
            f"no Ray at {address}: {reason(error)}; start a cluster with 'ray start', or give --ray local"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself tries for minutes. Raises InputError."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return  # "local", "auto"
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster answers at {address}: {reason(error)}; start one with 'ray start --head', or "
            "give --ray local"
        ) from error


def plan(ray: Any, *, workers: int | None, gpu: bool | None) -> tuple[int, dict[str, float]]:
    """How many workers, and what each asks of its node. Raises InputError for a GPU that is not there."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = ([node.get(kind, 0.0) for node in nodes] for kind in ("CPU", "GPU"))
    if gpu is None:
        gpu = any(gpus)
    if gpu and not any(gpus):
        raise InputError("the Ray cluster has no GPU: give --device cpu, or add a node with one")
    if workers is None:
        room = [min(node.get("CPU", 0.0), node.get("memory", 0.0) // WORKER_BYTES) for node in nodes]
        workers = max(1, int(sum(gpus) if gpu else sum(room)))
    share = {"num_cpus": largest_share(cpus, workers)}
    if gpu:
        share["num_gpus"] = min(1.0, largest_share(gpus, workers))
    return workers, share


def largest_share(nodes: Sequence[float], workers: int) -> float:
    """The most of a resource, of which `nodes` have so much, that each worker can have; no share spans two nodes.

    A whole number, or a fraction 1/n where there are more workers than units; 1 where nothing is there yet.
    """
    for share in range(int(max(nodes, default=0)), 0, -1):
        if sum(int(amount // share) for amount in nodes) >= workers:
            return float(share)
    units = sum(int(amount) for amount in nodes)
    return 1 / math.ceil(workers / units) if units else 1.0
