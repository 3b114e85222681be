"""What a trained model does on a benchmark when parts of it are changed at inference, without training anew.

Beside that stands what token compression saves: the language model's memory and work from shapes, and the measured
time. At nano's size the memory of the process hides the difference, so it is computed, not measured: the keys and
values that one prefill produces, and the multiply-adds of its causal attention.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedConfig

from lavida import __version__
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation import STANDARD, evaluate
from lavida.evaluation.benchmarks import Benchmark
from lavida.evaluation.protocols import Protocol
from lavida.paper.ablations.report import HEADINGS_ON_BENCHMARK, draw_trained, trained_markdown, write_table
from lavida.paper.ablations.studies import STUDIES, VARIED, Row
from lavida.timing import Progress, untold
from lavida.training.recipe import Recipe
from lavida.video.clips import analysis_size

TITLES = {
    "compression": "Share of the visual tokens that compression keeps, changed at inference",
    "components": "Parts of a trained model, switched off at inference one at a time",
}

HALF_PRECISION = 2  # bytes of a number
SOURCE = (640, 360)  # width and height of the clip that is timed
CATEGORIES = ("bicycle", "car", "dog", "a person lying on the ground", "smoke")
REPEATS, WARM_UP = 15, 2

_logger = logging.getLogger(__name__)


def ablate_trained(
    name: str,
    *,
    benchmark: Benchmark,
    detector: Detector,
    out: Path,
    protocol: Protocol = STANDARD,
    videos: str | None = None,
    progress: Progress = untold,
) -> Path:
    """Measure every row of a study with one trained model and return the table `out/<study>.md`.

    The study is `compression` or `components`; the detector is as before when this returns. Beside the table lie
    `<study>.json` and `<study>.png` (for compression the paper's Figure 7), and below `out/<row>` each row's own
    evaluation, as `evaluate` makes it of `videos`. Finished rows are kept: the same call goes on where it was stopped.
    Each row is logged before it is measured.

    Raises:
        InputError: there is no such study for a trained model, `out` holds another ablation or cannot be written, or
            the benchmark cannot be measured.
    """
    protocol = protocol.on(benchmark.name)
    rows = trained_rows(name, detector)
    asked = {
        "benchmark": benchmark.name,
        "model": detector.name,
        "weights": _digest(detector),
        "protocol": {"name": protocol.name, **protocol.settings()},
        "videos": videos,
        "files": sha256(json.dumps([benchmark.state(video) for video in benchmark.videos]).encode()).hexdigest(),
    }
    stem, measure = out / name, partial(evaluate, benchmark, protocol=protocol, videos=videos, progress=progress)
    before = _earlier(stem.with_suffix(".json"), asked)
    done = {row["row"]: row for row in before.get("rows", [])}
    costs = before.get("costs")
    if name == "compression" and costs is None:
        costs = compression_costs(detector, [row.level for row in rows])
    waiting = [row for row in rows if row.name not in done]
    for number, row in enumerate(waiting, start=1):
        _logger.info("row %d of %d: %s", number, len(waiting), row.label)
        key = json.dumps([asked["weights"], dict(row.changes)])
        with changed_detector(detector, row.changes):
            result = measure(detector=detector, out=out / row.name, resume_key=key)
        done[row.name] = {
            "row": row.name,
            "label": row.label,
            "level": row.level,
            "changes": dict(row.changes),
            "videos": result["videos"],
            "official_videos": result["settings"]["official_videos"],
            "notes": list(result["settings"]["notes"]),
            "headline": result["settings"]["headline"],
            "metrics": {key: result[key] for key in HEADINGS_ON_BENCHMARK if result.get(key) is not None},
        }
        _write(stem, asked, rows, done, costs)
    if not waiting:
        _write(stem, asked, rows, done, costs)
    return stem.with_suffix(".md")


def trained_rows(name: str, detector: Detector) -> list[Row]:
    """The rows of a study that need no training, the model as it is among them.

    Raises:
        InputError: the study needs training.
    """
    if name not in TITLES:
        raise InputError(
            f"the ablation {name} needs training; on a benchmark choose {' or '.join(TITLES)}, or leave --benchmark out"
        )
    knobs = {f"model.{name}" for name in detector.knobs}
    own = {name: getattr(detector.model.config, name) for name in VARIED} | detector.knobs
    return [row for row in STUDIES[name].rows(Recipe(model=own)) if row.changes.keys() <= knobs]


@contextmanager
def changed_detector(detector: Detector, changes: Mapping[str, Any]) -> Iterator[None]:
    """The detector with other settings while the block runs. `changes`: keys of `Row.changes` -> values."""
    with detector.changed(**{key.removeprefix("model."): value for key, value in changes.items()}):
        yield


def _digest(detector: Detector) -> str:
    """SHA-256 of the weights and the configuration, so that rows of two models never meet in one table."""
    whole = sha256(detector.model.config.to_json_string().encode())
    for name, weight in sorted(detector.model.state_dict().items()):
        whole.update(name.encode())
        whole.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return whole.hexdigest()


def _earlier(path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier call with the same arguments has written; empty if there was none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        before = content["asked"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a table of lavida ablate --benchmark: {path}; choose another --out") from error
    for key, value in asked.items():
        if before.get(key) != value:
            raise InputError(f"{path} is of another ablation: other {key}; choose another --out")
    return content


def _write(
    stem: Path,
    asked: Mapping[str, Any],
    rows: list[Row],
    done: Mapping[str, dict[str, Any]],
    costs: list[dict[str, Any]] | None,
) -> None:
    paper = STUDIES[stem.name].published
    content = {
        "study": stem.name,
        "title": TITLES[stem.name],
        "lavida": __version__,
        "asked": dict(asked),
        "rows": [done[row.name] for row in rows if row.name in done],
        "not_run": [row.label for row in rows if row.name not in done],
        "costs": costs,
        "paper": None if paper is None else {"source": paper.source, "note": paper.note},
    }
    write_table(stem, content, text=trained_markdown(content), draw=draw_trained)


def prefill_cost(language: PreTrainedConfig, length: int) -> dict[str, int]:
    """The cost of one prefill of `length` tokens for a language model of these shapes (grouped-query attention).

    `cache_bytes`: keys and values of all layers in half precision; `attention_macs`: multiply-adds of queries with keys
    and of weights with values, each token with those before it and itself.
    """
    layers, heads = language.num_hidden_layers, language.num_attention_heads
    width = getattr(language, "head_dim", None) or language.hidden_size // heads
    return {
        "cache_bytes": 2 * layers * language.num_key_value_heads * width * length * HALF_PRECISION,
        "attention_macs": 2 * layers * heads * width * (length * (length + 1) // 2),
    }


@torch.inference_mode()
def compression_costs(detector: Detector, ratios: Sequence[float]) -> list[dict[str, Any]]:
    """For each ratio: the visual tokens kept, the cost of the prefill, and the time of the whole semantics stage.

    One full clip of noise is read again and again with the ratios in turn, so that a busy machine slows all alike.
    The stage is the MLLM's vision tower, compression and the prefill.
    """
    semantics, config = detector.model.semantics, detector.model.config
    size = analysis_size(*SOURCE, long_side=config.frame_side, multiple=config.frame_multiple)
    noise = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (1, config.clip_length, 3, *size), generator=noise, dtype=torch.uint8)
    frames = frames.to(detector.torch.device)
    seconds: dict[float, list[float]] = {ratio: [] for ratio in ratios}
    outputs, before = {}, semantics.ratio
    try:
        for repeat in range(WARM_UP + REPEATS):
            for ratio in ratios:
                semantics.ratio = ratio
                started = time.perf_counter()
                with detector.torch.autocast():
                    outputs[ratio] = semantics(frames, [list(CATEGORIES)])
                outputs[ratio].f_sem.cpu()  # waits for the device
                if repeat >= WARM_UP:
                    seconds[ratio].append(time.perf_counter() - started)
    finally:
        semantics.ratio = before
    language = semantics.mllm.config.get_text_config()
    visual = semantics.family.grid(frames).tokens
    return [
        {
            "ratio": ratio,
            "visual_tokens": visual,
            "kept_tokens": len(outputs[ratio].kept[0]),
            "sequence": outputs[ratio].lengths[0],
            **prefill_cost(language, outputs[ratio].lengths[0]),
            "semantics_ms": round(1000 * median(seconds[ratio]), 2),
        }
        for ratio in ratios
    ]
