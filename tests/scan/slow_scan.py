"""A slow scan for a process of its own, there to be killed."""

import time
from pathlib import Path

from bright import bright_detector

import lavida.scan.worker
from lavida.cli import run
from lavida.detector import Detector
from lavida.scan.store import Store


def slow(work, seconds: float):
    def slower(*arguments, **options):
        time.sleep(seconds)
        return work(*arguments, **options)

    return slower


def stopping(write, out: Path):
    def writing(self, name: str, content: bytes) -> None:
        if name.startswith("frames/") and len(list(out.glob("events/*/part-0.parquet"))) == 3:
            (out / ".stopped").touch()
            time.sleep(600)
        write(self, name, content)

    return writing


def slow_scan(source: Path, out: Path, *, stops: bool) -> int:
    """Scan with a model whose answers are known, a while for each video; the code that the command ends with.

    Args:
        source: The videos.
        out: The results.
        stops: For good, between the two files of the third video, and then makes OUT/.stopped.
    """
    lavida.scan.worker.load = lambda *_, **__: bright_detector()
    Detector.detect = slow(Detector.detect, 0.2)
    if stops:
        Store.write = stopping(Store.write, out)
    return run(["scan", str(source), "-a", "light", "--out", str(out), "--stride", "3", "--settle", "0"])
