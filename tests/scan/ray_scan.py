"""A scan on a Ray cluster as a driver of its own, there to be killed: `python ray_scan.py SOURCE OUT ADDRESS PIDS`."""

import sys
from functools import partial

from ray_scan_worker import StartBrightScanWorker

import lavida.scan.run
from lavida.scan import ScanReport, scan


def bright_scan(source: str, out: str, address: str, pids: str) -> ScanReport:
    """Two workers; each leaves its process id in the folder `pids`."""
    started = lavida.scan.run.StartScanWorker
    lavida.scan.run.StartScanWorker = partial(StartBrightScanWorker, pids=pids)
    try:
        return scan([source], ["light"], out=out, stride=3, settle=0, device="cpu", workers=2, ray=address)
    finally:
        lavida.scan.run.StartScanWorker = started


if __name__ == "__main__":
    bright_scan(*sys.argv[1:])
