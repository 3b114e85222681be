"""One clip's score by one prefill, as LAVIDA does it, against a generated answer, as LAVAD-style methods do it.

Both on the same MLLM with random weights at the preset's exact shape, for the same clip and the same question. Such
methods let the model describe the clip, or each of its frames, and read a score out of the text: greedy decoding with a
cache of keys and values, 30 tokens, by a loop as short as it can be and, once, by transformers' `generate`. What is
said does not matter here, only the work. `whole clip` is LAVIDA's complete forward pass with vision encoder,
projector and mask decoder, which also says where; the generating methods end with their text.

    python benchmarks/answers.py                       # nano here; paper where there is a GPU
    python benchmarks/answers.py --clip street.mp4 --model nano
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from random_models import CATEGORIES, DTYPES, Stopwatch, fastest, random_config, random_lavida, watched
from results import NEEDS_GPU, add_out, publish, run
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

from lavida.checkpoints.presets import PRETRAINED
from lavida.checkpoints.pretrained import LavidaModel
from lavida.device import autocast, choose_device
from lavida.errors import InputError
from lavida.model.config import LavidaConfig
from lavida.model.mllm.family import cache_argument
from lavida.model.predictor import Predictor
from lavida.model.prompt import ANSWER
from lavida.model.semantics import Semantics
from lavida.video.clips import analysis_size, clips
from lavida.video.decode import default_stride, open_source

ANSWER_TOKENS = 30
CLIP_LENGTH = 8
RANDOM_SIZE = (360, 640)
TOWER = "vision tower"
STEPS = (TOWER, "compression", "prefill", "decoding")
MOST_PASSES, ENOUGH_SECONDS = 9, 8.0

Write = Callable[[PreTrainedModel, Tensor, Tensor, int, Stopwatch], Tensor]


def main() -> None:
    options = parse()
    if options.ratio is not None and not 0 < options.ratio <= 1:
        raise InputError(f"ratio {options.ratio} is out of range: choose a value above 0 and up to 1")
    if options.answer < 1:
        raise InputError(f"--answer {options.answer} is out of range: choose 1 token or more")
    device = choose_device(options.device)
    frames = random_frames() if options.clip is None else first_frames(options.clip)
    rows = []
    for model in options.model:
        config = random_config(model, layers=options.layers)
        ratio = options.ratio or config.compression_ratio
        if model == "paper" and options.device == "auto" and device.type == "cpu":
            rows.append({"model": model, "way": "all of them", "total ms": NEEDS_GPU})
            continue
        dtype = options.dtype or ("bf16" if model in PRETRAINED or device.type == "cuda" else "float32")
        name = model if options.layers is None else f"{model}, {options.layers} layers"
        lavida = random_lavida(config, device=device, dtype=DTYPES[dtype])
        measured = measure(lavida, frames.to(device), ratio=ratio, answer=options.answer)
        rows += [{"model": name, "precision": dtype} | row for row in measured]
    shape = "x".join(map(str, frames.shape))
    clip = "random" if options.clip is None else options.clip.name
    about = {"device": device, "clip": clip, "frames": shape, "answer's tokens": options.answer}
    publish("answers", rows, out=options.out, about=about | {"categories": ", ".join(CATEGORIES)})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shapes = "nano, small, paper or WIDTHxLAYERSxHEADS; paper is left to a GPU unless --device says otherwise"
    parser.add_argument("--model", nargs="+", default=["nano", "paper"], help=shapes)
    parser.add_argument("--layers", type=int, help="fewer layers of the language model")
    parser.add_argument(
        "--clip", type=Path, help=f"a video; its first {CLIP_LENGTH} frames are taken, else random ones"
    )
    parser.add_argument("--ratio", type=float, help="of the compression; default: the configuration's own")
    parser.add_argument("--answer", type=int, default=ANSWER_TOKENS, help="tokens of the generated answer")
    parser.add_argument("--dtype", choices=DTYPES, help="default: bf16 for small, paper and any GPU, else float32")
    parser.add_argument("--device", default="auto")
    add_out(parser, "answers")
    return parser.parse_args()


@torch.inference_mode()
def measure(lavida: LavidaModel, frames: Tensor, *, ratio: float, answer: int) -> list[dict[str, Any]]:
    """The rows of one model.

    Args:
        lavida: The model.
        frames: `[T, 3, H, W]` uint8.
        ratio: Of the compression.
        answer: Tokens that are generated.
    """
    watch = Stopwatch(frames.device, memory=False)
    semantics = lavida.semantics
    clip, singles = frames[None], frames[:, None]  # one clip of T frames, T clips of one frame
    analysed = analysed_clip(lavida.config, clip)
    ready = Predictor(lavida, device=frames.device)

    def prefill() -> None:
        semantics.ratio = ratio
        with watched(semantics, watch):
            semantics(clip, [CATEGORIES])

    def ask(clips: Tensor, *, ratio: float = 1.0, write: Write = write_answer) -> None:
        embeds, positions = question(semantics, clips, ratio=ratio, watch=watch)
        write(semantics.mllm, embeds, positions, answer, watch)

    def ask_one_by_one() -> None:
        for single in singles:
            ask(single[None])

    def whole() -> None:
        semantics.ratio = ratio
        watch.begin("all")
        with autocast(frames.device)():
            ready(analysed, [CATEGORIES])

    runs = {
        f"LAVIDA: one prefill, compressed to {ratio:g}": prefill,
        "an answer": lambda: ask(clip),
        "an answer, by generate()": lambda: ask(clip, write=generate_answer),
        f"an answer, compressed to {ratio:g}": lambda: ask(clip, ratio=ratio),
        "an answer a frame, one by one": ask_one_by_one,
        "an answer a frame, in one batch": lambda: ask(singles),
        "LAVIDA: whole clip": whole,
    }
    return table({way: timed(run, watch) for way, run in runs.items()})


def table(ways: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """A row for each way: its steps, and how many times as long as the first, LAVIDA's prefill, it takes."""
    rows: list[dict[str, Any]] = []
    first = next(iter(ways.values()))
    for way, ms in ways.items():
        cells = {f"{step} ms": round(ms[step], 2) if step in ms else None for step in STEPS}
        total = {"total ms": round(sum(ms.values()), 2), "times": round(sum(ms.values()) / sum(first.values()), 2)}
        if TOWER in ms:
            total["times, without the tower"] = round(_without_tower(ms) / _without_tower(first), 2)
        rows.append({"way": way} | cells | total)
    return rows


def _without_tower(ms: dict[str, float]) -> float:
    return sum(ms.values()) - ms[TOWER]


def timed(run: Callable[[], None], watch: Stopwatch) -> dict[str, float]:
    """Milliseconds of each step in the fastest pass."""
    passes: list[dict[str, float]] = []
    began = time.perf_counter()
    while not passes or (len(passes) < MOST_PASSES and time.perf_counter() - began < ENOUGH_SECONDS):
        watch.restart()
        run()
        watch.end()
        passes.append(watch.ms)
    return fastest(passes)


class _Asked(Exception):
    """Raised in place of the prefill: embeddings and positions of what the language model was to read."""


def question(semantics: Semantics, clips: Tensor, *, ratio: float, watch: Stopwatch) -> tuple[Tensor, Tensor]:
    """What the language model reads before it answers: embeddings `[B, L, D]` and positions `[3, B, L]`.

    It is the prompt of `semantics` up to the answer in which that looks for `<SEG>`.

    Args:
        semantics: Sees, compresses and asks.
        clips: `[B, T, 3, H, W]`, uint8.
        ratio: Of the compression.
        watch: Gets the steps.
    """

    def stop(module: nn.Module, inputs: tuple, arguments: dict[str, Tensor]) -> None:
        watch.end()
        raise _Asked(arguments["inputs_embeds"], arguments["position_ids"])

    language = semantics.family.text_model(semantics.mllm)
    semantics.ratio = ratio
    with watched(semantics, watch):
        hook = language.register_forward_pre_hook(stop, with_kwargs=True, prepend=True)
        try:
            semantics(clips, [CATEGORIES] * len(clips))
        except _Asked as asked:
            embeds, positions = asked.args
        finally:
            hook.remove()
    chat = semantics.family.chat
    answer = semantics.tokenizer(ANSWER + chat.after_answer, add_special_tokens=False)["input_ids"]
    return embeds[:, : -len(answer)], positions[..., : -len(answer)]


def write_answer(mllm: PreTrainedModel, embeds: Tensor, positions: Tensor, tokens: int, watch: Stopwatch) -> Tensor:
    """Greedy decoding with a cache, for B prompts of one length; stops at no token.

    Args:
        mllm: Whose language model and head are used.
        embeds: The prompts, `[B, L, D]`.
        positions: `[3, B, L]`; an answer goes on behind the highest.
        tokens: How many to generate.
        watch: Gets the steps: `prefill` up to the first token, `decoding` of the others.

    Returns:
        Ids `[B, tokens]`.
    """
    language, head, embed = mllm.model.language_model, mllm.get_output_embeddings(), mllm.get_input_embeddings()
    cache = DynamicCache()

    def following(embeds: Tensor, positions: Tensor) -> Tensor:
        held = {cache_argument(language): cache}
        out = language(inputs_embeds=embeds, position_ids=positions, use_cache=True, **held)
        return head(out.last_hidden_state[:, -1:]).argmax(-1)  # [B, 1]

    watch.begin("prefill")
    answer = [following(embeds, positions)]
    end = positions.amax(dim=(0, 2))[None, :, None].expand(3, -1, 1)  # [3, B, 1]
    watch.begin("decoding")
    for step in range(1, tokens):
        answer.append(following(embed(answer[-1]), end + step))
    return torch.cat(answer, dim=1)


def generate_answer(mllm: PreTrainedModel, embeds: Tensor, positions: Tensor, tokens: int, watch: Stopwatch) -> Tensor:
    """As `write_answer`, by transformers, which numbers the embeddings anew: the same work at other positions."""
    watch.begin("prefill and decoding")
    return mllm.generate(
        inputs_embeds=embeds,
        attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device),
        do_sample=False,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        pad_token_id=0,
        eos_token_id=0,
    )


def random_frames() -> Tensor:
    """`[8, 3, 360, 640]` uint8."""
    return torch.randint(0, 256, (CLIP_LENGTH, 3, *RANDOM_SIZE), generator=torch.Generator().manual_seed(0)).byte()


def first_frames(path: Path) -> Tensor:
    """The first clip of a video, frames as far apart as `lavida detect` takes them, `[T, 3, H, W]` uint8."""
    source = open_source(path)
    size = source.info.height, source.info.width
    read = source.read(stride=default_stride(source.info.fps), size=size)
    return torch.from_numpy(next(clips(read, length=CLIP_LENGTH)).frames)


def analysed_clip(config: LavidaConfig, clip: Tensor) -> Tensor:
    """The clip at the size at which the vision encoder analyses it."""
    height, width = clip.shape[-2:]
    size = analysis_size(width, height, long_side=config.frame_side, multiple=config.frame_multiple)
    return functional.interpolate(clip[0].float(), size, mode="bilinear").round().byte()[None]


if __name__ == "__main__":
    run(main)
