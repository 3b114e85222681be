"""The engine on Ray: Ray Data's `map_batches` over a pool of actors. Needs the extra `lavida[scan]`."""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from types import ModuleType
from typing import Any

from lavida.console import one_line
from lavida.engine import Failure, attempt
from lavida.errors import InputError

TRIES = 3  # of an item whose worker dies
WORKER_BYTES = 2 * 2**30  # what a worker with the embedded model needs, generously
OBJECT_STORE_BYTES = 256 * 2**20  # only names and numbers pass through it
QUIET_DATA = {
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    "execution_no_progress_timeout_s": -1,  # one video may take hours
}
PATIENCE_S = 10
ITEMS_TO_QUEUE = 20  # for each worker


class _Stop:
    """An answer that ends the run."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Starts:
    """Counts how often each item was begun. An actor beside the pool, since a worker that dies forgets."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def begin(self, index: int) -> int:
        self._counts[index] += 1
        return self._counts[index]


class _Actor:
    """Holds one worker in a process of Ray's pool."""

    def __init__(self, start_worker: bytes, starts: Any) -> None:
        self._starts = starts
        # an exception here would reach the driver wrapped in Ray's own, and only after futile restarts
        try:
            self._work, self._stop = pickle.loads(start_worker)(), None
        except InputError as error:
            self._stop = _Stop(error)
        except Exception:
            self._stop = _Stop(RuntimeError(f"a worker could not start:\n{traceback.format_exc()}"))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list]:
        answer = self._answer(int(batch["index"][0]), batch["item"][0])
        return {"index": batch["index"], "answer": [_dumps(answer)]}

    def _answer(self, index: int, item: bytes) -> Any:
        import ray

        if self._stop is not None:
            return self._stop
        # Ray gives the item of a worker that died to another one, without end; what kills each of them must stop
        if ray.get(self._starts.begin.remote(index)) > TRIES:
            return Failure(f"its worker died {TRIES} times while working on it; try it alone")
        try:
            return attempt(self._work, pickle.loads(item))
        except InputError as error:
            return _Stop(error)


def run_on_ray(
    items: Sequence[Any], start_worker: Callable[[], Any], *, workers: int | None, address: str, gpu: bool | None
) -> Iterator[tuple[Any, Any]]:
    """See `lavida.engine.run`."""
    if not items:
        return
    ray = _import_ray()
    with ExitStack() as session:
        # Ray's threads print what happens to workers on stdout, which belongs to the results
        session.enter_context(redirect_stdout(sys.stderr))
        session.enter_context(_connected(ray, address))
        session.enter_context(_quiet(ray))
        count, share = plan(ray, workers=workers, gpu=gpu)
        for index, answer in _answers(ray, items, start_worker, count=count, share=share):
            if isinstance(answer, _Stop):
                raise answer.error
            yield items[index], answer


def _answers(
    ray: ModuleType, items: Sequence[Any], start_worker: Callable[[], Any], *, count: int, share: dict[str, float]
) -> Iterator[tuple[int, Any]]:
    rows = [{"index": index, "item": _dumps(item)} for index, item in enumerate(items)]
    starts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Starts).remote()
    # a second item that waits in the worker hides a tenth of a second of Ray's; at the end it waits for nothing
    queued = 2 if len(items) >= ITEMS_TO_QUEUE * count else 1
    # one item a block: what is lost with a worker is one item, and each result arrives when it is done
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Actor,
        fn_constructor_args=(_dumps(start_worker), starts),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=queued),
        **share,
    )
    for row in answers.iter_rows():
        yield int(row["index"]), pickle.loads(row["answer"])


def _dumps(value: Any) -> bytes:
    from ray import cloudpickle  # takes what is defined in a script or a notebook, too

    return cloudpickle.dumps(value)


def _import_ray() -> ModuleType:
    # footage is nobody's business: no usage report unless asked for
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else a line about Ray Data's own actors each time
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            f"Ray is needed for several workers and is not installed ({error}): pip install 'lavida[scan]'"
        ) from error
    return ray


@contextmanager
def _connected(ray: ModuleType, address: str) -> Iterator[None]:
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
    except (ConnectionError, RuntimeError, ValueError) as error:
        ray.shutdown()
        raise InputError(
            f"no Ray at {address}: {one_line(str(error))}; start a cluster with 'ray start', or give --ray local"
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
            f"no Ray cluster answers at {address}: {error.strerror or error}; start one with 'ray start --head', or "
            "give --ray local"
        ) from error


@contextmanager
def _quiet(ray: ModuleType) -> Iterator[None]:
    """No second progress bar and no log lines between the ones of the command; all as before afterwards."""
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = {name: getattr(context, name) for name in QUIET_DATA if hasattr(context, name)}
    level = log.level
    for name in before:
        setattr(context, name, QUIET_DATA[name])
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)


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
    """The most of a resource that each of `workers` can have, where no share spans two nodes.

    Args:
        nodes: how much of it each node has.
        workers: at least 1.

    Returns:
        A whole number, or a fraction 1/n where there are more workers than units; 1 where nothing is there yet.
    """
    for share in range(int(max(nodes, default=0)), 0, -1):
        if sum(int(amount // share) for amount in nodes) >= workers:
            return float(share)
    units = sum(int(amount) for amount in nodes)
    return 1 / math.ceil(workers / units) if units else 1.0
