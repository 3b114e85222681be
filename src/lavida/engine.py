"""One engine for many independent items: a plain loop in this process, or a pool of Ray actors."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from lavida.console import one_line
from lavida.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")
Worker = Callable[[Item], Result]


class Halt(InputError):
    """Raised by a worker for what concerns every item, such as a full disk: it ends the whole run."""


@dataclass(frozen=True)
class Failure:
    """An item without a result.

    Attributes:
        reason: one line: what is wrong and how to mend it.
        defect: the traceback, where the cause is not the input but a defect of the program.
    """

    reason: str
    defect: str | None = None


def run(
    items: Iterable[Item],
    start_worker: Callable[[], Worker],
    *,
    workers: int | None = None,
    ray: str | None = None,
    gpu: bool | None = None,
) -> Iterator[tuple[Item, Result | Failure]]:
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
        Halt: raised by a worker.
        InputError: raised by `start_worker`; there is no Ray, or no such cluster; `workers` is less than 1.
    """
    check_workers(workers)
    if ray is None and workers in (None, 1):
        return _run_here(items, start_worker)
    from lavida.ray_pool import run_on_ray

    return run_on_ray(list(items), start_worker, workers=workers, address=ray or "local", gpu=gpu)


def check_workers(workers: int | None) -> None:
    """Raises InputError for less than 1."""
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers} is out of range: choose 1 or more")


def attempt(work: Worker, item: Item) -> Result | Failure:
    """The worker's result, or why there is none. Raises Halt."""
    try:
        return work(item)
    except Halt:
        raise
    except InputError as error:
        return Failure(one_line(str(error)))
    except Exception as error:  # one odd item must not end the work on ten thousand others
        reason = f"unexpected {type(error).__name__}: {one_line(str(error))}; please report this as a defect"
        return Failure(reason, defect=traceback.format_exc())


def _run_here(items: Iterable[Item], start_worker: Callable[[], Worker]) -> Iterator[tuple[Item, Result | Failure]]:
    work: Worker | None = None
    for item in items:
        if work is None:
            work = start_worker()
        yield item, attempt(work, item)
