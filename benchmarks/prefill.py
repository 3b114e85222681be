"""Time and memory of the MLLM's prefill against the compression ratio, from the visual tokens to the state at <SEG>.

The vision tower is left out: no ratio changes it. Weights are random at the preset's exact shape. Each row is
compression, selection of the positions and the language model, as `Semantics` runs them; logits over the vocabulary are
not computed. Memory is what the step needs above weights and visual tokens: on a GPU what is allocated, on a CPU
the growth of a fresh process. The paper's share of memory (54.1 % at ratio 0.2) is its own figure for its GPUs.

    python benchmarks/prefill.py                                    # nano here; paper where there is a GPU
    python benchmarks/prefill.py --model small --device cpu --layers 4 --tokens 8192
"""

import argparse
import math
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from random_models import (
    CATEGORIES,
    DTYPES,
    Stopwatch,
    fastest,
    materialise,
    random_config,
    random_lavida,
    watched,
)
from results import NEEDS_GPU, add_out, publish, run
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from lavida.checkpoints.presets import PRETRAINED
from lavida.checkpoints.pretrained import LavidaModel
from lavida.device import choose_device
from lavida.errors import InputError
from lavida.model.compression import MODES
from lavida.model.mllm import Grid
from lavida.model.semantics import Semantics, SemanticsOutput

RATIOS = (1.0, 0.5, 0.2, 0.1, 0.05)
PAPER_MEMORY = {0.2: 0.541}  # share of the memory at ratio 1
FRAMES, GROUPS = 8, 4  # of a clip; each group is a pair of frames
DIRECTIONS = 256  # in which the tokens of a scene differ
MOST_PASSES, ENOUGH_SECONDS = 7, 8.0


@dataclass(frozen=True)
class Case:
    """One row to be measured; `logits`: also those of the whole sequence, as `transformers` computes by default."""

    model: str
    layers: int | None
    ratio: float
    tokens: int
    compression: str
    device: str
    dtype: str
    logits: bool = False


def main() -> None:
    options = parse()
    if options.tokens < 1 or options.tokens % GROUPS:
        raise InputError(
            f"--tokens {options.tokens} is no multiple of {GROUPS}, the pairs of frames in a clip; try 8192"
        )
    if bad := [ratio for ratio in options.ratios if not 0 < ratio <= 1]:
        raise InputError(f"ratio {bad[0]} is out of range: choose values above 0 and up to 1")
    device = choose_device(options.device)
    rows = []
    for model in options.model:
        config = random_config(model, layers=options.layers)
        if model == "paper" and options.device == "auto" and device.type == "cpu":
            rows += [{"model": model, "ratio": ratio, "prefill ms": NEEDS_GPU} for ratio in ratios(options)]
            continue
        depth = config.mllm_config.get_text_config().num_hidden_layers
        name = model if options.layers is None else f"{model}, {depth} layers"
        half = model in PRETRAINED or device.type == "cuda"
        dtype = options.dtype or ("bf16" if half else "float32")
        case = Case(model, options.layers, 1.0, options.tokens, options.compression, str(device), dtype)
        rows += [{"model": name, "precision": dtype} | row for row in measured(case, options)]
    prompt = next((row["sequence"] - row["kept"] for row in rows if "kept" in row), None)
    about = {"device": device, "visual tokens": options.tokens, "compression": options.compression}
    publish("prefill", rows, out=options.out, about=about | {"prompt's tokens": prompt})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shapes = "nano, small, paper or WIDTHxLAYERSxHEADS; paper is left to a GPU unless --device says otherwise"
    parser.add_argument("--model", nargs="+", default=["nano", "paper"], help=shapes)
    parser.add_argument("--layers", type=int, help="fewer layers of the language model: all have the same cost")
    parser.add_argument("--tokens", type=int, default=8192, help="visual tokens of the clip before compression")
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--compression", choices=MODES, default=MODES[0])
    parser.add_argument("--dtype", choices=DTYPES, help="default: bf16 for small, paper and any GPU, else float32")
    parser.add_argument("--logits", action="store_true", help="one more row: ratio 1 with the logits of all tokens")
    parser.add_argument("--device", default="auto")
    add_out(parser, "prefill")
    return parser.parse_args()


def ratios(options: argparse.Namespace) -> list[float]:
    """From 1, which all others are compared with, downwards."""
    return sorted({1.0, *options.ratios}, reverse=True)


def measured(case: Case, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one model."""
    cases = [replace(case, ratio=ratio) for ratio in ratios(options)]
    if options.logits:
        cases.append(replace(case, logits=True))
    try:
        if case.device.startswith("cuda"):  # weights stay from row to row: the allocator counts exactly
            found = [measure(each) for each in cases]
        else:
            fresh = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
                found = list(pool.map(measure, cases))
    except (torch.OutOfMemoryError, BrokenProcessPool) as error:
        raise InputError(f"not enough memory for {case.model}: try fewer --tokens or --layers") from error
    return [row(each, result, full=found[0]) for each, result in zip(cases, found, strict=True)]


def row(case: Case, result: dict[str, Any], *, full: dict[str, Any]) -> dict[str, Any]:
    """A row of the table; `full`: the result at ratio 1."""
    peak = result["peak"]
    return {
        "ratio": "1 + logits of all tokens" if case.logits else f"{case.ratio:g}",
        "kept": result["kept"],
        "sequence": result["sequence"],
        "compression ms": round(result["compression ms"], 2),
        "prefill ms": round(result["prefill ms"], 2),
        "time, share of ratio 1": round(result["total ms"] / full["total ms"], 3),
        "peak MB": None if peak is None else round(peak, 1),
        "memory, share of ratio 1": round(peak / full["peak"], 3) if full["peak"] else None,
        "the paper's": None if case.logits else PAPER_MEMORY.get(case.ratio),
        "attention FLOPs, share": round((result["sequence"] / full["sequence"]) ** 2, 4),
        "compression peak MB": None if peak is None else round(result["compression peak"], 1),
        "passes": result["passes"],
    }


@torch.inference_mode()
def measure(case: Case) -> dict[str, Any]:
    """Numbers of a row: the first pass gives the memory, the fastest one the time."""
    device = torch.device(case.device)
    semantics = built(case.model, case.layers, case.device, case.dtype).semantics
    semantics.ratio, semantics.compression = case.ratio, case.compression
    watch = Stopwatch(device)
    frames = torch.zeros(1, FRAMES, 3, 1, 1, dtype=torch.uint8, device=device)  # stand for the clip, are not looked at

    def once(tokens: int) -> SemanticsOutput:
        visual = clip_tokens(tokens, semantics.hidden_size).to(device=device, dtype=DTYPES[case.dtype])
        with watched(semantics, watch, tokens=visual, grid=clip_grid(tokens)):
            watch.restart()
            return semantics(frames, [CATEGORIES])

    with logits_too(semantics, watch) if case.logits else nullcontext():
        once(4 * GROUPS)  # libraries load their kernels
        began = time.perf_counter()
        output, times = once(case.tokens), [watch.ms]
        peaks, total_peak = watch.peak_mb, watch.total_peak_mb
        while len(times) < MOST_PASSES and time.perf_counter() - began < ENOUGH_SECONDS:
            once(case.tokens)
            times.append(watch.ms)
    if not output.f_sem.isfinite().all():
        raise RuntimeError("the random model gave values that are not finite: its time means nothing")
    ms = fastest(times)
    return {
        "kept": len(output.kept[0]),
        "sequence": output.lengths[0],
        "compression ms": ms["compression"],
        "prefill ms": sum(value for step, value in ms.items() if step != "compression"),
        "total ms": sum(ms.values()),
        "compression peak": peaks["compression"],
        "peak": total_peak,
        "passes": len(times),
    }


@cache
def built(model: str, layers: int | None, device: str, dtype: str) -> LavidaModel:
    """Only the language model gets memory."""
    config = random_config(model, layers=layers)
    language = "semantics.mllm.model.language_model"
    return random_lavida(config, device=torch.device(device), dtype=DTYPES[dtype], parts=[language])


@contextmanager
def logits_too(semantics: Semantics, watch: Stopwatch) -> Iterator[None]:
    """Meanwhile every prefill is followed by the logits of all its tokens."""
    head = semantics.mllm.get_output_embeddings()
    if head.weight.is_meta:
        materialise(head, watch.device)

    def compute(module: nn.Module, inputs: tuple, output: BaseModelOutputWithPast) -> None:
        watch.begin("logits")
        head(output.last_hidden_state)
        watch.end()

    hook = semantics.family.text_model(semantics.mllm).register_forward_hook(compute)
    try:
        yield
    finally:
        hook.remove()


def clip_grid(tokens: int) -> Grid:
    """That of a landscape clip which gives so many tokens."""
    cells = tokens // GROUPS
    rows = next(side for side in range(math.isqrt(cells), 0, -1) if cells % side == 0)
    return Grid(GROUPS, rows, cells // rows)


def clip_tokens(tokens: int, width: int) -> Tensor:
    """`[1, tokens, width]`: a still scene, seen in each group of frames with a little noise.

    The variance of the scene falls with the square of the direction's number, somewhat as in the features of a vision
    tower; how long exact compression takes depends on that (`token_compression.py` has tokens of real frames).
    """
    draw = torch.Generator().manual_seed(0)
    directions = torch.randn(DIRECTIONS, width, generator=draw) / torch.arange(1, DIRECTIONS + 1)[:, None]
    scene = torch.randn(1, tokens // GROUPS, DIRECTIONS, generator=draw) @ directions
    return (scene + 0.1 * torch.randn(GROUPS, tokens // GROUPS, width, generator=draw)).reshape(1, tokens, width)


if __name__ == "__main__":
    run(main)
