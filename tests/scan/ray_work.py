"""What Ray workers of the tests do: a module, so that processes on other nodes import it, and that quickly."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lavida.errors import InputError

FRAGILE, DEADLY, BROKEN = 3, 5, 7


@dataclass(frozen=True)
class StartSquares:
    """Squares numbers, and says where; one number kills the worker the first time, one every time."""

    folder: str

    def __call__(self) -> Callable[[int], tuple[int, str]]:
        import ray

        node = ray.get_runtime_context().get_node_id()

        def square(number: int) -> tuple[int, str]:
            tries = Path(self.folder) / f"{number}-{time.time_ns()}"
            tries.touch()
            if number == BROKEN:
                raise InputError("seven is broken")
            if number == DEADLY or (number == FRAGILE and len(list(tries.parent.glob(f"{number}-*"))) == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.2)
            return number**2, node

        return square


@dataclass(frozen=True)
class StartTelling:
    """Tells variables of a worker's environment, and whether torch was there before the worker."""

    def __call__(self) -> Callable[[str], tuple[str | None, bool]]:
        with_torch = "torch" in sys.modules
        return lambda name: (os.environ.get(name), with_torch)
