"""The scorer of the tests for a Ray actor, in a module that its process can import."""

import os
from dataclasses import dataclass
from pathlib import Path

from live.streams import BrightScorer


@dataclass(frozen=True)
class StartBright:
    """Each worker leaves its process id as a file in a folder."""

    pids: str

    def __call__(self) -> BrightScorer:
        (Path(self.pids) / str(os.getpid())).touch()
        return BrightScorer()
