"""Decoding for the page, in a process with bounded memory and time: what a broken video ends is not the server."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import ParamSpec, TypeVar

from lavida.errors import InputError
from lavida.serve.processes import end_with_the_server, processes

T = TypeVar("T")
P = ParamSpec("P")


class Decoder:
    """Runs one thing after the other in a process of its own, which is started anew when it has died.

    Args:
        memory: bytes of address space that it may take.
        within_s: the time that one thing may take.
    """

    def __init__(self, *, memory: int, within_s: int) -> None:
        self._memory, self._within_s = memory, within_s
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()  # one at a time: then it is known which one a death is due to

    async def ask(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What `function` says, run there; it and its arguments travel by pickle.

        Raises:
            InputError: `function` does, or the process died of it.
        """
        async with self._turn:
            pool, began = self._started(), time.monotonic()
            try:
                answer = pool.submit(_timed, self._within_s, partial(function, *args, **named))
                return await asyncio.shield(asyncio.wrap_future(answer))
            except BrokenProcessPool as error:
                self._pool = None
                if time.monotonic() - began >= self._within_s:
                    raise InputError(
                        f"it takes too long to decode the video: more than {self._within_s} s; convert it to H.264 in "
                        "MP4, or give it in parts"
                    ) from error
                raise InputError(
                    "the video ended the process that decodes: it is damaged, or takes more than "
                    f"{self._memory / 2**30:.0f} GB; convert it to H.264 in MP4"
                ) from error

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=processes(), initializer=_bound, initargs=(self._memory,))
        return self._pool

    def warm_up(self) -> None:
        """Start the process before it is needed."""
        self._started().submit(_ready)

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values())  # no public way before Python 3.14
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            self._pool = None


def _bound(memory: int) -> None:
    """What the process begins with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    end_with_the_server()
    from lavida.serve import films  # heavy, and before the bound: libraries reserve more than they use
    from lavida.video.stream import refuse_pointers

    assert films
    refuse_pointers()
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _ready() -> None:
    """Nothing; it has been run once the process stands."""


def _timed(within_s: int, function: Callable[[], T]) -> T:
    # no handler: the system ends the process even while it hangs in FFmpeg
    if hasattr(signal, "alarm"):
        signal.alarm(within_s)
    try:
        return function()
    except MemoryError as error:
        raise InputError("not enough memory to decode the video; convert it to a smaller one") from error
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
