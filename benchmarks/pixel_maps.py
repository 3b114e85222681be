"""How pixels are ranked: the best of the decoder's three masks, or their mean, smoothed or not; on held-out data.

    python benchmarks/pixel_maps.py ../shared/data [--model nano] [--pictures 40] [--scenes 120]

Each held-out picture is asked once with a present class and once with absent names only, as in `lavida eval exposure`;
moving scenes are asked for their two motion words. Pixel AUC and AP over all pixels of a set, and the mean of the sets.
"""

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import lavida
from lavida.evaluation.held_out.answers import forward
from lavida.evaluation.held_out.questions import PICTURES, ROWS, MovingScenes
from lavida.evaluation.metrics import PixelMetrics
from lavida.exposure.datasets import load
from lavida.exposure.heldout import HeldoutQuestions, Question, evenly_spread
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.decoder import Decoded, smooth
from lavida.terminal import progress_bars
from lavida.timing import Progress

SIGMAS = (1.0, 2.0, 4.0)
SIDE = 160  # pixels: labels are counted at about this size


def maps(decoded: Decoded) -> dict[str, torch.Tensor]:
    """Name -> logits `[N,h,w]`."""
    best, each = decoded.best_mask().float(), decoded.mask_logits.float()
    chances = {"best mask": best.sigmoid(), "mean of three": each.sigmoid().mean(1)}
    chances["mean of their logits"] = each.mean(1).sigmoid()
    smoothed = {
        f"{name}, sigma {sigma:g}": smooth(chance, sigma=sigma) for name, chance in chances.items() for sigma in SIGMAS
    }
    tiny = torch.finfo(torch.float32).tiny
    return {name: p.clamp(tiny, 1 - 1e-6).logit() for name, p in {**chances, **smoothed}.items()}


def measure(detector: lavida.Detector, questions: Iterable[Question]) -> dict[str, tuple[float, float]]:
    """Name of a map -> its pixel AUC and AP."""
    metrics: dict[str, PixelMetrics] = {}
    for question in questions:
        sample, prompts = question.sample, question.prompts
        if not prompts:
            continue
        output, _ = forward(detector, sample, prompts)
        step = max(1, sample.frames.shape[2] // SIDE)
        for name, logits in maps(output.decoded).items():
            shown = F.interpolate(logits[:, None], size=sample.frames.shape[1:3], mode="bilinear")[:, 0]
            for prompt, scores in zip(prompts, shown.numpy(), strict=True):
                there = prompt.positive is not None
                labels = sample.masks[prompt.positive][0] if there else np.zeros(scores.shape, bool)
                found = metrics.setdefault(name, PixelMetrics())
                found.update(scores[::step, ::step], labels[::step, ::step])
    return {name: (m["pixel_auc"], m["pixel_ap"]) for name, m in ((n, each.compute()) for n, each in metrics.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--pictures", type=int, default=40, help="at most so many of a set")
    parser.add_argument("--scenes", type=int, default=120, help="of each motion word")
    options = parser.parse_args()
    detector = lavida.load(options.model, device="cpu")
    questions = {}
    for each in PICTURES:
        dataset = load(each.dataset, options.root / each.folder, "heldout")
        asked = evenly_spread(len(dataset), options.pictures)
        questions[each.row] = HeldoutQuestions(dataset, vocabulary=Vocabulary.builtin(), asked=asked)
    questions |= {row: MovingScenes(options.root, row, scenes=options.scenes) for row in ROWS}
    results = {}
    with progress_bars() as progress:
        for row, asked in questions.items():
            results[row] = measure(detector, _counted(row, asked, progress))
    print("| map | mean AUC | mean AP | " + " | ".join(f"{row} AUC" for row in results) + " |")
    print("|---|---|---|" + "---|" * len(results))
    for name in next(iter(results.values())):
        aucs, aps = zip(*(result[name] for result in results.values()), strict=True)
        print("| " + " | ".join([name, *(f"{x:.4f}" for x in (np.mean(aucs), np.mean(aps), *aucs))]) + " |")


def _counted(row: str, questions: Collection[Question], progress: Progress) -> Iterable[Question]:
    for done, question in enumerate(questions, start=1):
        yield question
        progress(row, done, len(questions))


if __name__ == "__main__":
    main()
