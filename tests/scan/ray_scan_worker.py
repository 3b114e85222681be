"""A slow scan worker for a Ray cluster, in a module that processes on other nodes can import."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bright import bright_detector

import lavida.scan.worker
from lavida.detector import Detector
from lavida.scan.worker import ScanWorker, StartScanWorker

HOLD = "hold"


@dataclass(frozen=True, kw_only=True, slots=True)
class StartBrightScanWorker(StartScanWorker):
    """A scan worker with the model whose answers are known.

    It leaves its process id as a file in the folder `pids`, and stays at its video while there is a file HOLD.
    """

    pids: str

    def __call__(self) -> ScanWorker:
        lavida.scan.worker.load = lambda *_, **__: bright_detector()
        detect = Detector.detect

        def slow(*arguments, **options):
            time.sleep(0.2)
            while (Path(self.pids) / HOLD).exists():
                time.sleep(0.02)
            return detect(*arguments, **options)

        Detector.detect = slow
        (Path(self.pids) / str(os.getpid())).touch()
        return StartScanWorker.__call__(self)
