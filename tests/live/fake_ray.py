"""As much of Ray as a spread watch asks for, with actors that are threads of this process, to be killed or hung."""

import threading
from concurrent import futures
from types import SimpleNamespace


class RayError(Exception):
    """Raised for a dead actor."""


class RayTaskError(RayError):
    """Raised for what a method raises."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Actor:
    """Runs the methods of an object one after the other, until it is killed."""

    def __init__(self, work) -> None:
        self._work, self._one, self._dead = work, futures.ThreadPoolExecutor(1), threading.Event()
        self.hung = threading.Event()
        for name in ("start", "turn", "finish"):
            setattr(self, name, SimpleNamespace(remote=self._later(name)))

    def _later(self, name: str):
        def call(*given):
            while self.hung.is_set() and not self._dead.wait(0.01):
                pass
            if self._dead.is_set():
                raise RayError("the actor is dead")
            return getattr(self._work, name)(*given)

        return lambda *given: self._one.submit(call, *given)

    def kill(self) -> None:
        if not self._dead.is_set():
            self._dead.set()
            self._one.submit(self._work.finish)


def wait(calls, *, num_returns: int = 1, timeout: float):
    futures.wait(calls, timeout=timeout, return_when="ALL_COMPLETED" if num_returns > 1 else "FIRST_COMPLETED")
    done = [call for call in calls if call.done()][:num_returns]
    return done, [call for call in calls if call not in done]


def get(call, *, timeout: float | None = None):
    try:
        return call.result(timeout)
    except (RayError, futures.TimeoutError):
        raise
    except Exception as error:
        raise RayTaskError(error) from error


def kill(actor: Actor) -> None:
    actor.kill()


exceptions = SimpleNamespace(RayError=RayError)
