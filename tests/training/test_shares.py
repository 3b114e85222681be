"""A step in parts has the gradient of the whole step, also where a clip's labels are those of Eq. 2 to the letter."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from toys import exposure

from lavida.exposure.sample import CategoryPrompt
from lavida.model.losses import LossWeights
from lavida.training.data import Batch, collate
from lavida.training.objective import step_shares, training_loss
from lavida.training.recipe import AlignmentWeights

WEIGHTS = {"weights": LossWeights(), "alignment": AlignmentWeights(evidence=3.0, presence=1.5)}
COLOURS = ("blue", "green", "white")
LENGTH, HIDDEN = 2, 1  # frames of a clip; the one that the object leaves


def clip(seed: int, *, leaves: bool = False, labels: str = "literal"):
    """An anomalous clip; `leaves`: its object is out of sight in frame `HIDDEN`."""
    sample = exposure(LENGTH, seed=seed, true=0)
    if leaves:
        sample.pixel_labels[HIDDEN] = False  # the same array as its category mask
    probes = (
        CategoryPrompt("red car", sample.pixel_labels),
        *(CategoryPrompt(f"{colour} car", None) for colour in COLOURS[: 1 + seed % 2 * 2]),
    )
    sample = replace(sample, noun_masks={0: sample.pixel_labels}, probes=probes)
    shown = sample.pixel_labels.any((1, 2)) if labels == "observed" else np.ones(LENGTH)
    return replace(sample, frame_labels=shown.astype(np.float32))


def answers(samples: list) -> dict[str, Tensor]:
    """What the model says about these clips; each learns by itself."""
    batch = collate(samples, [0] * len(samples))
    clips, frames, (height, width) = len(samples), len(samples) * LENGTH, batch.pixel_labels.shape[-2:]
    random = torch.Generator().manual_seed(0)
    shapes = {
        "masks": (frames, 3, height, width),
        "iou": (frames, 3),
        "object": (clips, LENGTH),
        "text": (clips,),
        "evidence": batch.category_masks.shape,
        "categories": batch.category_masks.shape[:3],
        "nouns": batch.noun_masks.shape,
        "probes": batch.probe_masks.shape,
    }
    return {name: torch.randn(shape, generator=random).requires_grad_() for name, shape in shapes.items()}


def output(said: dict[str, Tensor], clips: slice = slice(None)) -> SimpleNamespace:
    """As `LavidaOutput`, about some of the clips."""
    frames = slice(*(None if end is None else end * LENGTH for end in (clips.start, clips.stop)))
    return SimpleNamespace(
        decoded=SimpleNamespace(mask_logits=said["masks"][frames], iou_scores=said["iou"][frames]),
        frame_logits=said["object"][clips],
        text_loss=said["text"][clips].mean(),
        evidence=said["evidence"][clips],
        category_logits=said["categories"][clips],
        noun_evidence=said["nouns"][clips],
        probe_evidence=said["probes"][clips],
    )


def gradients(loss: Tensor, said: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(said, torch.autograd.grad(loss, list(said.values())), strict=True))


def whole(samples: list, said: dict[str, Tensor], settings: dict = WEIGHTS) -> tuple[Tensor, dict[str, Tensor]]:
    return training_loss(output(said), collate(samples, [0] * len(samples)), **settings)


def test_a_frame_without_the_object_moves_the_frame_score_alone():
    samples = [clip(1), clip(2, leaves=True)]
    said = answers(samples)
    grads = gradients(whole(samples, said)[0], said)
    hidden = LENGTH + HIDDEN
    seen = [frame for frame in range(2 * LENGTH) if frame != hidden]
    assert not grads["masks"][hidden].any() and not grads["iou"][hidden].any()
    assert all(grads["masks"][frame].any() and grads["iou"][frame].all() for frame in seen)
    assert (grads["object"] < 0).all()  # each frame of an anomalous clip is anomalous


def test_masks_learn_the_same_from_either_kind_of_frame_labels():
    literal, observed = (
        [clip(1, labels=labels), clip(2, leaves=True, labels=labels)] for labels in ("literal", "observed")
    )
    said = answers(literal)
    terms, expected = (whole(samples, said)[1] for samples in (literal, observed))
    different = {name for name in terms if terms[name].item() != expected[name].item()}
    assert different == {"object"}


@pytest.mark.parametrize("over_shown", [True, False])
@pytest.mark.parametrize("labels", ["literal", "observed"])
def test_the_mean_over_the_parts_is_the_whole_step(fresh_accelerator, labels, over_shown):
    settings = WEIGHTS | {"weights": LossWeights(over_shown=over_shown)}
    samples = [clip(1, labels=labels), clip(2, leaves=True, labels=labels), clip(3, labels=labels)]
    said = answers(samples)
    loss, terms = whole(samples, said, settings)
    cuts = [slice(0, 1), slice(1, 3)]
    parts: list[Batch] = [collate(samples[cut], [0] * len(samples[cut])) for cut in cuts]
    shares = step_shares(parts, Accelerator(cpu=True))
    each = [
        training_loss(output(said, cut), part, shares=share, **settings)
        for cut, part, share in zip(cuts, parts, shares, strict=True)
    ]
    together = sum(part for part, _ in each) / len(each)
    torch.testing.assert_close(together, loss)
    torch.testing.assert_close(gradients(together, said), gradients(loss, said))
    for name, term in terms.items():
        torch.testing.assert_close(sum(of_part[name] for _, of_part in each) / len(each), term)
