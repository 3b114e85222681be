"""The watch that the page has started: `lavida watch` as a process of the server, which ends with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lavida.live.address import masked
from lavida.terminal import print_message

LINES = 20  # of what it says
PATIENCE_S, KILL_S = 10.0, 5.0


def watch_command(config: Path, data: Path, *, model: str, device: str) -> list[str]:
    """The command of a watch that ends when its stdin does, and so with whoever started it."""
    options = {"config": str(config), "data": str(data), "model": model, "device": device}
    named = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "lavida", "watch", *named, "--until-stdin-ends"]


class Watcher:
    """Starts a watch and stops it; does nothing until it is told to.

    Args:
        command: of a watch that ends when its stdin does.
        hide: takes the secrets out of what it says.
    """

    def __init__(self, command: Sequence[str], *, hide: Callable[[str], str] = masked) -> None:
        self._command, self._hide, self._lock = list(command), hide, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._said: deque[str] = deque(maxlen=LINES)
        self._stopped = False

    @property
    def runs(self) -> bool:
        """Whether its process does."""
        return self._process is not None and self._process.poll() is None

    @property
    def message(self) -> str:
        """Why it ended, if it did so by itself and not since all streams had; else nothing."""
        process = self._process
        if process is None or self._stopped or process.poll() in (None, 0):
            return ""
        if self._reader is not None:
            self._reader.join(1)
        code = process.returncode
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return self._said[-1] if code == 2 and self._said else f"the watch ended {how}; the server's log has more"

    def start(self) -> None:
        """Start it, unless it runs."""
        with self._lock:
            if self.runs:
                return
            self._said.clear()
            self._stopped = False
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said = self._hide(line.decode("utf-8", "replace").strip()).removeprefix("lavida: ")
            if said:
                self._said.append(said)
                print_message(f"watch: {said}")

    def stop(self) -> None:
        """End it; events that go on are closed."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return
            self._stopped = True
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            for end, patience_s in ((None, PATIENCE_S), (process.terminate, KILL_S), (process.kill, None)):
                if end is not None:
                    end()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience_s)
                    return
