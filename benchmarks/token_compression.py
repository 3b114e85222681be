"""Token compression in time and memory, side by side with the alternatives, on tokens of real frames.

    python benchmarks/token_compression.py ../shared/data --out DIR [--lengths 768 8192] [--ratios .5 .2] [--accuracy]

Every row is a process of its own: its first run gives the peak memory above what was there before, the median of the
others the time. Processor time, of all threads, is what a busy machine disturbs least. References are compared to
those of the exact mode; one that is as dense as the last of them counts as the same. `--accuracy` asks the shipped
model about held-out pictures and clips with each method in the place of its own compression
(`compression_accuracy.py`, which runs alone, too).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from alternatives import DOWNSAMPLING, METHODS, PUBLISHED, downsampled
from frame_tokens import DESCRIPTIONS, WIDTH, frame_tokens, videos
from peak_memory import peak_extra_mb
from results import add_out, publish, run

from lavida.model.compression import background_references, local_density, reference_count
from lavida.terminal import progress_bar

LENGTHS, RATIOS = (768, 2048, 8192, 32768), (1, 0.5, 0.2, 0.1, 0.05)
NO_MEMORY, NO_TIME = "not enough memory", "not finished"


def rows(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One row a length, ratio and method, averaged over the videos."""
    result = []
    chosen = videos(options.root)[: options.videos]
    for length in options.lengths:
        clips = [folder / f"{length}-{i}.pt" for i in range(len(chosen))]
        for video, path in zip(chosen, clips, strict=True):
            save_clip(video, path, length, kind=options.tokens)
        for ratio in options.ratios:
            result += compared(length, ratio, clips, options)
        for path in clips:
            path.unlink()
    return result


def compared(length: int, ratio: float, clips: list[Path], options: argparse.Namespace) -> list[dict[str, Any]]:
    """The methods side by side."""
    names = options.methods or [*METHODS, DOWNSAMPLING]
    measured = {}
    with progress_bar(f"L = {length}, ratio {ratio:g}", total=len(names)) as advance:
        for name in names:
            measured[name] = [in_own_process(name, ratio, clip, options) for clip in clips]
            advance()
    whole = {name: each for name, each in measured.items() if all(isinstance(m, dict) for m in each)}
    table = []
    for name, each in measured.items():
        row: dict[str, Any] = {"L": length, "ratio": ratio, "method": name}
        if name in whole:
            row["ms"] = mean(each, "ms")
            if PUBLISHED in whole:
                row["times as fast as published"] = mean(whole[PUBLISHED], "ms") / row["ms"]
            if options.device == "cpu":
                row["processor ms"] = mean(each, "processor_ms")
            if each[0]["extra_mb"] is not None:
                row["extra MB"] = mean(each, "extra_mb")
            row["kept"] = mean(each, "kept") / length
            if each[0]["same"] is not None:
                row["same references"] = mean(each, "same")
        else:
            row["ms"] = next(m for m in each if isinstance(m, str))
        table.append(row)
    return table


def mean(measured: list[dict[str, Any]], key: str) -> float:
    """Over the videos."""
    return statistics.fmean(each[key] for each in measured)


def save_clip(video: Path, path: Path, length: int, *, kind: str) -> None:
    """Tokens of a video and their density, for the rows to read."""
    clip = frame_tokens(video, length, kind=kind)
    density = local_density(clip.tokens)
    torch.save({"tokens": clip.tokens, "grid": clip.grid, "frames": clip.frames, "density": density}, path)


def in_own_process(name: str, ratio: float, clip: Path, options: argparse.Namespace) -> dict[str, Any] | str:
    """What `measure` says in a fresh process, or why it says nothing."""
    asked = {
        "name": name,
        "ratio": ratio,
        "clip": str(clip),
        "repeats": options.repeats,
        "most_gb": options.most_gb,
        "threads": options.threads,
        "device": options.device,
    }
    command = [sys.executable, __file__, "--row", json.dumps(asked)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.row_timeout)
    except subprocess.TimeoutExpired:
        return f"{NO_TIME} in {options.row_timeout:g} s"
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if done.returncode == -9 or "alloc" in done.stderr or "out of memory" in done.stderr:
        return NO_MEMORY
    raise RuntimeError(f"{name}: {done.stderr.strip()}")


@torch.inference_mode()
def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """One row: time, memory and references of one method on one clip."""
    torch.set_num_threads(asked["threads"])
    device = torch.device(asked["device"])
    clip = torch.load(asked["clip"])
    tokens, frames, grid, ratio = clip["tokens"].to(device), clip["frames"].to(device), clip["grid"], asked["ratio"]

    def run(tokens: torch.Tensor = tokens, grid: Any = grid) -> tuple[int, torch.Tensor | None]:
        if asked["name"] == DOWNSAMPLING:
            return len(tokens) if downsampled(frames, ratio) is None else reference_count(len(tokens), ratio), None
        merged, keep = METHODS[asked["name"]](tokens, grid, ratio)
        return len(merged), keep

    run(tokens[:64], (4, 4, 4))  # libraries start their threads and take their buffers
    (kept, keep), extra = peak_extra_mb(run, device=device, most_gb=asked["most_gb"])
    walls, processors = [], []
    for _ in range(asked["repeats"]):
        started, busy = time.perf_counter(), time.process_time()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        walls.append(time.perf_counter() - started)
        processors.append(time.process_time() - busy)
    same = None if keep is None else agreement(keep.cpu(), clip["density"], ratio)
    wall, processor = (1e3 * statistics.median(times) for times in (walls, processors))
    return {"ms": wall, "processor_ms": processor, "extra_mb": extra, "kept": kept, "same": same}


def agreement(keep: torch.Tensor, density: torch.Tensor, ratio: float) -> float:
    """Share of `keep` that are references of the exact mode, or as dense as the last of these."""
    last = density[background_references(density, reference_count(len(density), ratio))].min()
    return (density[keep] >= last).float().mean().item()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, nargs="?", metavar="DATA_ROOT", help="the data kit, with its videos")
    add_out(parser, "compression")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens of a clip, L")
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, DOWNSAMPLING], help="default: all")
    parser.add_argument("--tokens", choices=DESCRIPTIONS, default="patches")
    parser.add_argument("--videos", type=int, default=1, help="clips to average over")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--most-gb", type=float, default=12, help="a row may take, on a CPU")
    parser.add_argument("--row-timeout", type=float, default=300, help="seconds for a row")
    parser.add_argument("--accuracy", action="store_true", help="also the exposure AUC at nano scale")
    parser.add_argument("--prompts", type=int, default=60, help="for the accuracy, a set")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row is None and options.root is None:
        parser.error("give DATA_ROOT, the data kit")
    return options


def main() -> None:
    options = parsed()
    if options.row is not None:
        print(json.dumps(measure(json.loads(options.row))))
        return
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        table = rows(options, Path(folder))
    about = {
        "tokens": f"{DESCRIPTIONS[options.tokens]}, D {WIDTH}, float32, k 8",
        "videos": options.videos,
        "repeats": options.repeats,
        "device": options.device,
    }
    publish("compression", table, out=options.out, about=about)
    if options.accuracy:
        from compression_accuracy import accuracy

        table, about = accuracy(options.root, ratios=options.ratios, prompts=options.prompts)
        publish("compression-accuracy", table, out=options.out, about=about)


if __name__ == "__main__":
    run(main)
