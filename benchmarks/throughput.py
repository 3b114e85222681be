"""End-to-end speed and memory of `lavida detect` against decoding alone, and of each preset's forward pass.

A real clip is brought to 640x360 at 25 frames a second and looped. Each length is run through the command line, with
and without the overlay, the start of the process included; then the longest is decoded and nothing else is done. The
forward passes are of random weights at a preset's exact shape, one clip of frames of that size at a time; their frames
a second are those of a video at the default stride, if all else were free.

    python benchmarks/throughput.py CLIP                 # 10 s and 600 s
    python benchmarks/throughput.py CLIP --seconds 60 --out throughput
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peak_memory import MB, peak_bytes, reset_peak, synchronize
from random_models import CATEGORIES, random_config, random_lavida
from results import NEEDS_GPU, add_out, publish

from lavida.checkpoints.presets import PRESETS
from lavida.device import autocast, choose_device
from lavida.model.predictor import Predictor
from lavida.video.clips import analysis_size
from lavida.video.decode import default_stride, open_source
from lavida.video.motion import CHANNELS, STRIDE

SIZE, RATE = (640, 360), 25  # those of `made_videos`
PASSES = 5
FPS = "frames/s"


def detect(video: Path, anomaly: str, out: Path, *, overlay: bool) -> dict:
    """One run of the command; what `run.json` says plus the wall clock of the whole process."""
    command = [sys.executable, "-m", "lavida", "detect", str(video), "-a", anomaly, "--out", str(out)]
    started = time.perf_counter()
    subprocess.run(command + ([] if overlay else ["--no-overlay"]), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    run = json.loads((out / video.stem / "run.json").read_text())
    return {"seconds": seconds, **run}


def detect_rows(video: Path, seconds: int, anomaly: str, folder: Path) -> Iterator[dict[str, Any]]:
    """With the overlay and without it."""
    with_overlay, plain = (detect(video, anomaly, folder / "out", overlay=overlay) for overlay in (True, False))
    cost = (with_overlay["seconds"] - plain["seconds"]) * 1000 / plain["frames"]
    yield row("detect", seconds, with_overlay) | {"overlay, ms a frame": round(cost, 2)}
    yield row("detect --no-overlay", seconds, plain)


def row(name: str, video_seconds: int, result: dict) -> dict[str, Any]:
    """One row of the table; what no run of `detect` gave is left out."""
    frames = result["frames"]
    columns = {
        "run": name,
        "video s": video_seconds,
        "frames": frames,
        "wall s": round(result["seconds"], 2),
        FPS: round(frames / result["seconds"], 1),
        "without start and writing": result.get("frames_per_second"),
        "peak MB": result.get("peak_memory_mb"),
    }
    stages = result.get("stage_ms", {}).items()
    analysed = result.get("analysed_frames", 1)
    columns |= {f"{stage}, ms an analysed frame": round(ms / analysed, 2) for stage, ms in stages}
    return {name: value for name, value in columns.items() if value is not None}


def decode_only(video: Path) -> dict:
    started = time.perf_counter()
    frames = sum(1 for _ in open_source(video).read(stride=10**9))
    return {"frames": frames, "seconds": time.perf_counter() - started}


@torch.inference_mode()
def forward_row(preset: str, device: torch.device) -> dict[str, Any]:
    """The forward pass of one clip with random weights; of nano wherever there is a machine."""
    row = {"run": f"forward pass of {preset}"}
    if device.type == "cpu" and preset != "nano":
        return row | {FPS: NEEDS_GPU}
    config = random_config(preset)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32  # of the MLLM
    model = Predictor(random_lavida(config, device=device, dtype=dtype), device=device)
    height, width = analysis_size(*SIZE, long_side=config.frame_side, multiple=config.frame_multiple)
    frames = torch.randint(256, (1, config.clip_length, 3, height, width), dtype=torch.uint8, device=device)
    motion = None
    if config.motion:
        shape = (1, config.clip_length, CHANNELS, height // STRIDE, width // STRIDE)
        motion = torch.ones(shape, dtype=torch.float16, device=device)
    reset_peak(device)
    seconds = []
    for _ in range(PASSES + 2):  # the first ones make room and choose kernels
        synchronize(device)
        started = time.perf_counter()
        with autocast(device)():
            model(frames, [list(CATEGORIES)], motion=motion)
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    best = min(seconds)
    row |= {FPS: round(config.clip_length * default_stride(RATE) / best, 1), "ms a clip": round(best * 1000, 1)}
    if device.type == "cuda":
        row["peak MB"] = round(peak_bytes(device) / MB)
    return row | {"device": str(device)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?", help="a real clip to be looped; default: forward passes only")
    parser.add_argument("--anomaly", default="car")
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 600], help="lengths of the video")
    parser.add_argument("--presets", nargs="*", default=PRESETS, choices=PRESETS, help="whose forward passes")
    parser.add_argument("--device", default="auto", help="of the forward passes")
    add_out(parser, "throughput")
    options = parser.parse_args()
    device = choose_device(options.device)
    rows = [] if options.clip is None else list(end_to_end(options.clip, options.seconds, options.anomaly))
    rows += [forward_row(preset, device) for preset in options.presets]
    publish("throughput", rows, out=options.out, about={"video": f"{SIZE[0]}x{SIZE[1]}, {RATE} frames/s"})


def end_to_end(clip: Path, lengths: list[int], anomaly: str) -> list[dict[str, Any]]:
    """Rows of the command at each length, and of decoding the last one alone, of which each is a share."""
    from made_videos import loop  # needs PyAV, which the forward passes do without

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            video = Path(folder) / f"loop{seconds}.mp4"
            loop(clip, video, seconds=seconds)
            for each in detect_rows(video, seconds, anomaly, Path(folder)):
                print(each, file=sys.stderr)  # long runs: what is known is told
                rows.append(each)
        rows.append(row("decode only", seconds, decode_only(video)))
    decoding = rows[-1][FPS]
    return [each | {"share of decoding": round(each[FPS] / decoding, 3)} for each in rows]


if __name__ == "__main__":
    main()
