"""The exposure AUC of the shipped model with other ways to have fewer visual tokens in the place of its own."""

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from alternatives import DOWNSAMPLING, METHODS, Grid, Method
from torch import Tensor

import lavida
from lavida.evaluation.held_out.answers import area, ask
from lavida.evaluation.held_out.questions import HeldOut
from lavida.exposure.datasets import load
from lavida.exposure.heldout import HeldoutQuestions, Question, evenly_spread
from lavida.exposure.vocabulary import Vocabulary
from lavida.model import clip_tokens
from lavida.model.compression import CompressedClips
from lavida.terminal import progress_bar

SETS = (HeldOut("coco128", "coco128", "coco128-seg"), HeldOut("davis clips", "davis", "davis2016", clip_length=4))
WHOLE = ("no compression", 1.0)


class Remembered:
    """`LavidaNetwork.encode`, whose last answer is kept: it takes most of the time and no method changes it."""

    def __init__(self, encode: Callable[..., Any]) -> None:
        self.encode = encode
        self._known: tuple[Tensor, Any] | None = None

    def __call__(self, frames: Tensor, motion: Tensor | None = None) -> Any:
        if self._known is None or not torch.equal(self._known[0], frames):
            self._known = frames, self.encode(frames, motion)
        return self._known[1]


def accuracy(root: Path, *, ratios: Sequence[float], prompts: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows, one a method and ratio, and what they are about; "moved" is how far a frame's logit is from no compression.

    Args:
        root: the data kit.
        ratios: shares of the tokens that stay.
        prompts: of each set, half of them with a category that is there.
    """
    detector = lavida.load("nano", runtime="torch")
    detector.model.encode = Remembered(detector.model.encode)
    below = [ratio for ratio in ratios if ratio < 1]
    asked = [WHOLE, *((method, ratio) for ratio in below for method in (*METHODS, DOWNSAMPLING))]
    table = {each: {"ratio": each[1], "method": each[0]} for each in asked}
    for held_out in SETS:
        answers: dict[tuple[str, float], list[Any]] = {each: [] for each in asked}
        tokens: dict[tuple[str, float], list[int]] = {each: [] for each in asked}
        for question in _questions(held_out, root, prompts):
            for each in asked:
                with _compressing(detector, *each) as lengths:
                    answers[each] += ask(detector, question.sample, question.prompts, calibrates=False)
                tokens[each] += lengths
        for each, said in answers.items():
            table[each][f"AUC, {held_out.row}"] = area([a.positive for a in said], [a.logit for a in said])
            table[each][f"tokens, {held_out.row}"] = statistics.fmean(tokens[each])
            moved = [abs(a.logit - b.logit) for a, b in zip(said, answers[WHOLE], strict=True)]
            table[each][f"logits moved, {held_out.row}"] = statistics.fmean(moved)
    del detector.model.encode  # the class's own again
    return list(table.values()), {"model": detector.name, "prompts a set": prompts}


def _questions(held_out: HeldOut, root: Path, prompts: int) -> Iterator[Question]:
    options = {} if held_out.clip_length == 1 else {"clip_length": held_out.clip_length}
    dataset = load(held_out.dataset, root / held_out.folder, "heldout", **options)
    asked = evenly_spread(len(dataset), prompts // 2)
    questions = HeldoutQuestions(dataset, vocabulary=Vocabulary.builtin(), asked=asked)
    with progress_bar(f"accuracy: {held_out.row}", total=len(questions)) as advance:
        for question in questions:
            yield question
            advance()


@contextmanager
def _compressing(detector: lavida.Detector, method: str, ratio: float) -> Iterator[list[int]]:
    """The detector's model with another compression; the list gets the tokens that each clip keeps."""
    semantics, own = detector.model.semantics, clip_tokens.compress_clips
    before, family = semantics.ratio, semantics.family
    tokens_per_pair, lengths = family.tokens_per_pair, []
    grids: list[Grid] = []

    def compressed(tokens: Tensor, ratio: float, k: int = 8, mode: str = "exact") -> CompressedClips:
        whole = method not in METHODS
        result = own(tokens, 1.0) if whole else _clips(METHODS[method], tokens, grids[-1], ratio)
        lengths.extend([result.keep.shape[1]] * len(tokens))
        return result

    def grid(frames: Tensor) -> Grid:
        grids.append(type(family).grid(family, frames))
        return grids[-1]

    try:
        family.grid, clip_tokens.compress_clips = grid, compressed
        semantics.ratio = ratio
        if method == DOWNSAMPLING:
            family.tokens_per_pair = max(1, int(tokens_per_pair * ratio))
        yield lengths
    finally:
        del family.grid
        clip_tokens.compress_clips, semantics.ratio, family.tokens_per_pair = own, before, tokens_per_pair


def _clips(method: Method, tokens: Tensor, grid: Any, ratio: float) -> CompressedClips:
    """One clip after the other. Tokens that are means stand at evenly spaced positions."""
    parts = [method(each.float(), tuple(grid), ratio) for each in tokens]
    merged = torch.stack([part[0] for part in parts]).to(tokens.dtype)
    spaced = torch.arange(merged.shape[1], device=tokens.device) * tokens.shape[1] // merged.shape[1]
    keep = torch.stack([spaced if part[1] is None else part[1] for part in parts])
    none = keep.new_zeros(tokens.shape[:2])  # no features go the way of these tokens
    return CompressedClips(merged, keep, none, none.float())


def main() -> None:
    from results import add_out, publish

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, metavar="DATA_ROOT")
    add_out(parser, "compression-accuracy")
    parser.add_argument("--ratios", type=float, nargs="+", default=(1, 0.5, 0.2, 0.1, 0.05))
    parser.add_argument("--prompts", type=int, default=60, help="a set")
    options = parser.parse_args()
    table, about = accuracy(options.root, ratios=options.ratios, prompts=options.prompts)
    publish("compression-accuracy", table, out=options.out, about=about)


if __name__ == "__main__":
    main()
