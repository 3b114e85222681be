"""End-to-end speed and memory of `lavida detect`, against decoding alone.

A real clip is brought to 640x360 at 25 frames a second and looped to 10 seconds and to 10 minutes. Each length is
run once through the command line; the last row decodes the long video and does nothing else.

    python benchmarks/throughput.py CLIP --anomaly car --out throughput
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

from lavida.video.decode import open_source

SIZE, RATE = (640, 360), 25


def make_video(clip: Path, path: Path, seconds: int) -> None:
    """Loop `clip` to `seconds`: ten seconds are encoded once, their packets repeated."""
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.mp4"
        encode(clip, short, frames=10 * RATE)
        with av.open(str(path), "w") as out:
            target, shift = None, 0
            for _ in range(-(-seconds // 10)):
                with av.open(str(short)) as source:
                    stream = source.streams.video[0]
                    target = target or out.add_stream_from_template(stream)
                    length = int(10 / stream.time_base)
                    for packet in source.demux(stream):
                        if packet.dts is None:
                            continue
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, target
                        out.mux(packet)
                    shift += length


def encode(clip: Path, path: Path, *, frames: int) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        done = 0
        while done < frames:
            for frame in open_source(clip).read(stride=1, size=SIZE[::-1]):
                if done == frames:
                    break
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")):
                    out.mux(packet)
                done += 1
        for packet in stream.encode():
            out.mux(packet)


def detect(video: Path, anomaly: str, out: Path, *, overlay: bool) -> dict:
    """One run of the command; what `run.json` says plus the wall clock of the whole process."""
    command = [sys.executable, "-m", "lavida", "detect", str(video), "-a", anomaly, "--out", str(out)]
    started = time.perf_counter()
    subprocess.run(command + ([] if overlay else ["--no-overlay"]), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    run = json.loads((out / video.stem / "run.json").read_text())
    return {"seconds": seconds, **run}


def row(name: str, video_seconds: int, result: dict) -> dict:
    frames = result["frames"]
    return {
        "run": name,
        "video_s": video_seconds,
        "frames": frames,
        "wall_s": round(result["seconds"], 2),
        "frames_per_second": round(frames / result["seconds"], 1),
        "detect_frames_per_second": result.get("frames_per_second"),
        "peak_memory_mb": result.get("peak_memory_mb"),
        "stage_ms": result.get("stage_ms"),
    }


def decode_only(video: Path) -> dict:
    started = time.perf_counter()
    frames = sum(1 for _ in open_source(video).read(stride=10**9))
    return {"frames": frames, "seconds": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--anomaly", default="car")
    parser.add_argument("--out", type=Path, default=Path("throughput"))
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (10, 600):
            video = Path(folder) / f"loop{seconds}.mp4"
            make_video(options.clip, video, seconds)
            for overlay in (True, False):
                name = "detect" if overlay else "detect --no-overlay"
                rows.append(row(name, seconds, detect(video, options.anomaly, Path(folder) / "out", overlay=overlay)))
                print(rows[-1], file=sys.stderr)
        rows.append(row("decode only", seconds, decode_only(video)))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "throughput.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = markdown(rows)
    (options.out / "throughput.md").write_text(table)
    print(table)


def markdown(rows: list[dict]) -> str:
    base = rows[-1]["frames_per_second"]
    lines = [
        "| run | video | frames a second | share of decoding speed | peak memory |",
        "|---|---|---|---|---|",
    ]
    for r in rows:
        memory = "-" if r["peak_memory_mb"] is None else f"{r['peak_memory_mb']:.0f} MB"
        fps = r["frames_per_second"]
        lines.append(f"| {r['run']} | {r['video_s']} s | {fps:.0f} | {fps / base:.2f} | {memory} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
