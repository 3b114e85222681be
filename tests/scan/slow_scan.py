"""A scan in a process of its own, there to be killed: `python slow_scan.py SOURCE OUT PLACE`.

Each video takes a while. PLACE "commit" stops for good between the two files of the third video and then makes
OUT/.stopped; "video" does not stop.
"""

import sys
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


def main(source: str, out: str, place: str) -> None:
    lavida.scan.worker.load = lambda *_, **__: bright_detector()
    Detector.detect = slow(Detector.detect, 0.2)
    if place == "commit":
        Store.write = stopping(Store.write, Path(out))
    sys.exit(run(["scan", source, "-a", "light", "--out", out, "--stride", "3", "--settle", "0"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
