"""The exposure test: does the frame score tell a present category from absent ones, on held-out pictures?

Every picture is asked twice, once with a present class among absent names and once with absent names only
(`exposure/heldout.py`). AUC pools the frame scores of a set; IoU compares the mask with that of the present class;
reliability is measured on the pictures that calibration did not use.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from rich import box
from rich.table import Table
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from lavida import __version__
from lavida.detector import Detector
from lavida.evaluation.results import ResultFolder
from lavida.exposure.datasets import load
from lavida.exposure.heldout import Prompt, heldout_prompts
from lavida.exposure.sample import Segmented
from lavida.exposure.vocabulary import Vocabulary
from lavida.progress import progress_bar
from lavida.video.clips import analysis_size

HELD_OUT = (  # data set, its folder in the data kit
    ("camvid", "camvid"),
    ("idd_lite", "idd_lite"),
    ("humans", "humans"),
    ("coco128", "coco128-seg"),
    ("davis", "davis2016"),
)
MOST_PICTURES = 250  # a set; spread evenly (DAVIS val has about 700 frames of 20 sequences)
BINS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to one prompt.

    Attributes:
        positive: whether a named category is in the picture.
        logit: the frame logit before calibration.
        iou: of the mask with the present class; None without one.
        named: whether the strongest category is the present one; None without one.
        calibrates: whether calibration may learn from this picture (every other one).
    """

    positive: bool
    logit: float
    iou: float | None
    named: bool | None
    calibrates: bool


def exposure_answers(
    detector: Detector, root: Path, *, calibrating: bool = False
) -> Iterator[tuple[str, list[Answer]]]:
    """The answers of every held-out set below `root` (the layout of the data kit).

    Args:
        detector: Its model is asked.
        root: Holds the folders of `HELD_OUT`.
        calibrating: Ask only the half of the pictures that calibration may learn from.
    """
    vocabulary = Vocabulary.builtin()
    for name, folder in HELD_OUT:
        dataset = load(name, Path(root) / folder, "heldout")
        prompts = heldout_prompts(dataset, vocabulary=vocabulary, limit=MOST_PICTURES)
        learns = set(sorted({prompt.index for prompt in prompts})[::2])
        asked = [prompt for prompt in prompts if prompt.index in learns] if calibrating else prompts
        with progress_bar(f"exposure test: {name}", total=len(asked)) as advance:
            answers = []
            for prompt in asked:
                answers.append(_ask(detector, dataset[prompt.index], prompt, calibrates=prompt.index in learns))
                advance()
        yield name, answers


@torch.inference_mode()
def _ask(detector: Detector, sample: Segmented, prompt: Prompt, *, calibrates: bool) -> Answer:
    height, width = sample.frames.shape[1:3]
    config = detector.model.config
    size = analysis_size(width, height, long_side=config.frame_side, multiple=config.frame_multiple)
    image = Image.fromarray(sample.frames[0]).resize(size[::-1], Image.Resampling.BILINEAR)
    frames = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None, None].to(detector.device)
    with detector.autocast():
        output = detector.model(frames, [list(prompt.categories)])
    iou = named = None
    if prompt.positive is not None:
        logits = F.interpolate(output.pixel_logits.float(), size=(height, width), mode="bilinear")[0, 0]
        predicted, actual = (logits > 0).cpu().numpy(), sample.masks[prompt.positive][0]
        iou = float((predicted & actual).sum() / max(1, (predicted | actual).sum()))
        if output.category_logits is not None:
            named = prompt.categories[int(output.category_logits[0, 0].argmax())] == prompt.positive
    return Answer(
        positive=prompt.positive is not None,
        logit=float(output.frame_logits[0, 0]),
        iou=iou,
        named=named,
        calibrates=calibrates,
    )


def evaluate_exposure(detector: Detector, *, root: Path, out: Path) -> dict[str, Any]:
    """Run the exposure test and write `out/metrics.json` and `out/scores/<set>.npz`."""
    sets, reliability = {}, []
    with ResultFolder(Path(out)) as folder:
        for name, answers in exposure_answers(detector, root):
            labels = np.array([a.positive for a in answers], dtype=np.uint8)
            probabilities = _probabilities(detector, answers)
            folder.write_scores(name, scores=probabilities, labels=labels)
            sets[name] = {"prompts": len(answers), **_metrics(answers)}
            reliability += [(p, a.positive) for p, a in zip(probabilities, answers, strict=True) if not a.calibrates]
        result = {
            "benchmark": "exposure",
            "model": detector.name,
            "sets": sets,
            "reliability": reliability_curve(*map(np.array, zip(*reliability, strict=True))),
            "settings": {
                "scorer": "detector",
                "lavida": __version__,
                "seed": 0,
                "most_pictures": MOST_PICTURES,
            },
        }
        folder.publish(result)
    draw_reliability(result["reliability"], Path(out) / "reliability.png")
    return result


def _probabilities(detector: Detector, answers: Sequence[Answer]) -> np.ndarray:
    logits = torch.tensor([a.logit for a in answers])
    return detector.model.calibrated(logits).sigmoid().numpy()


def _metrics(answers: Sequence[Answer]) -> dict[str, float | None]:
    ious = [a.iou for a in answers if a.iou is not None]
    named = [a.named for a in answers if a.named is not None]
    return {
        "auc": float(roc_auc_score([a.positive for a in answers], [a.logit for a in answers])),
        "mask_iou": float(np.mean(ious)),
        "category_accuracy": float(np.mean(named)) if named else None,
    }


def reliability_curve(probabilities: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Mean score against the share of positives in ten equal bins of the score, and their weighted mean gap.

    Returns:
        `score`, `positive_share`, `prompts` per non-empty bin, and `expected_calibration_error`.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = [(probabilities[bins == b].mean(), positive[bins == b].mean(), int((bins == b).sum())) for b in set(bins)]
    rows.sort()
    gap = sum(count * abs(score - share) for score, share, count in rows) / len(probabilities)
    return {
        "score": [float(row[0]) for row in rows],
        "positive_share": [float(row[1]) for row in rows],
        "prompts": [row[2] for row in rows],
        "expected_calibration_error": float(gap),
    }


def draw_reliability(curve: dict[str, Any], path: Path) -> None:
    """The reliability curve: mean score of a bin against the share of positives in it, with the number of prompts."""
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="score", ylabel="share of prompts with a named category in the picture")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    axes.plot(curve["score"], curve["positive_share"], marker="o", label="measured")
    for score, share, count in zip(curve["score"], curve["positive_share"], curve["prompts"], strict=True):
        axes.annotate(str(count), (score, share), xytext=(6, -9), textcoords="offset points", fontsize=8, color="0.4")
    axes.set(xlim=(0, 1), ylim=(0, 1), title="Reliability on held-out pictures")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def exposure_table(result: dict[str, Any]) -> Table:
    """The sets as rows, and the calibration error."""
    error = result["reliability"]["expected_calibration_error"]
    table = Table(
        title="exposure test on held-out pictures",
        caption=f"expected calibration error {error:.3f} on the pictures that calibration did not use",
        box=box.SIMPLE_HEAD,
    )
    for heading in ("set", "prompts", "frame AUC", "mask IoU", "right category"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, row in result["sets"].items():
        named = row["category_accuracy"]
        table.add_row(
            name,
            str(row["prompts"]),
            f"{row['auc']:.3f}",
            f"{row['mask_iou']:.3f}",
            "-" if named is None else f"{named:.3f}",
        )
    return table
