"""Memory of `lavida scan` against the length of a video and against the number of videos.

    python benchmarks/scan_memory.py CLIP [--minutes 1 60] [--videos 10 60] [--anomaly car] [--out DIR]

A clip is brought to 640x360 at 25 frames a second and looped to each length; then so many videos of one second are
scanned. The resident memory of the process is read every second while it works, and given for each quarter of the time.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.dataset as ds
from made_videos import RATE, encode, frames_for_ever, loop
from results import add_out, publish

EVERY_S = 1.0


def scan(source: Path, out: Path, options: argparse.Namespace) -> dict:
    """Scan `source`, reading the memory meanwhile: megabytes at the end of each quarter, and the most of all."""
    command = [sys.executable, "-m", "lavida", "scan", str(source), "-a", options.anomaly, "--out", str(out)]
    command += ["--settle", "0"]
    command += ["--model", options.model, *(["--stride", str(options.stride)] if options.stride else [])]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched, readings = psutil.Process(process.pid), []
        while process.poll() is None:
            try:
                readings.append(watched.memory_info().rss / 2**20)
            except psutil.Error:
                break
            time.sleep(EVERY_S)
    if process.returncode:
        raise SystemExit(f"the scan ended with {process.returncode}")
    frames = ds.dataset(out / "frames", format="parquet").count_rows()
    seconds = time.perf_counter() - started
    # the last reading may fall into the end of the process, which gives its memory back
    quarters = [readings[max(0, min(len(readings) - 2, len(readings) * part // 4))] for part in (1, 2, 3, 4)]
    return {
        "frames": frames,
        "seconds": round(seconds),
        "frames a second": round(frames / seconds, 1),
        "MB at 1/4": round(quarters[0]),
        "at 1/2": round(quarters[1]),
        "at 3/4": round(quarters[2]),
        "at the end": round(quarters[3]),
        "most": round(max(readings)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 60])
    parser.add_argument("--videos", type=int, nargs="*", default=[10, 60])
    parser.add_argument("--anomaly", default="car")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--stride", type=int)
    add_out(parser, "scan_memory")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for minutes in options.minutes:
            video = folder / f"{minutes:g}.mp4"
            loop(options.clip, video, seconds=round(60 * minutes))
            rows.append({"scan": f"1 video of {minutes:g} min"} | scan(video, folder / f"{minutes:g}", options))
            video.unlink()
        for count in options.videos:
            many = folder / f"many{count}"
            encode(frames_for_ever(options.clip), many / "0.mp4", count=RATE)
            for number in range(1, count):
                shutil.copy(many / "0.mp4", many / f"{number}.mp4")
            rows.append({"scan": f"{count} videos of 1 s"} | scan(many, folder / f"many{count}-out", options))
    publish("scan_memory", rows, out=options.out, about={"model": options.model})


if __name__ == "__main__":
    main()
