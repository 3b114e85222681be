"""What qualifies a thing, learnt alone at the end: features of many samples are computed once and remembered.

The maps of qualifiers are two small networks over features that they do not change. With the rest of the network held
still, a step over remembered features costs a tenth of a step of the whole, and they need many. Texts of which the
words alone tell the answer weigh less: a word that is mostly denied would come to mean no.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.exposure import qualifier_words as words
from lavida.model.alignment import presence
from lavida.model.losses import alignment_loss
from lavida.model.phrase import split_phrase
from lavida.model.qualifier_evidence import qualified
from lavida.timing import Progress, untold
from lavida.training.data import Batch, ExposureSource, StepBatches
from lavida.training.objective import shown_and_not
from lavida.training.recipe import AlignmentWeights, QualifierRecipe, Recipe, TrainRecipe

TOGETHER = 16  # samples that are encoded at once
UNPROVEN = 0.5  # weight of a text whose qualifier nothing proves; another weighs at most 1
_unproven_words = frozenset(
    said
    for patterns in words.UNPROVEN.values()
    for pattern in patterns
    for said in split_phrase(pattern.format(n="person")).qualifiers
)


@dataclass(frozen=True, eq=False, slots=True)
class Remembered:
    """What the qualifiers of one sample learn from.

    Attributes:
        level: half `[D_v,h,w]`, f_v at stride 8.
        cues: half `[CUES,h,w]`.
        texts: P of them; every one has a qualifier.
        maps: half `[N,h,w]`, logits of the N different words that the texts name.
        noun: P indices into `maps`.
        named: and those of what up to Q qualifiers of each name, -1 for padding: `[P,Q]`.
        masks: uint8 `[P,h,w]`, 255 where a text is true.
        valid: bool `[h,w]`, False where labels are to be ignored.
        moves: whether what moves in it is known.
    """

    level: torch.Tensor
    cues: torch.Tensor
    texts: tuple[str, ...]
    maps: torch.Tensor
    noun: torch.Tensor
    named: torch.Tensor
    masks: torch.Tensor
    valid: torch.Tensor
    moves: bool

    @property
    def shown(self) -> torch.Tensor:
        """bool `[P]`."""
        return self.masks.flatten(1).amax(1) > 0


def learn_qualifiers(
    model: LavidaModel,
    draw: ExposureSource,
    recipe: Recipe,
    *,
    log: Callable[[int, float], None] | None = None,
    progress: Progress = untold,
) -> None:
    """Train `model.qualifiers` in place, and nothing else.

    Args:
        model: with qualifiers; it ends as it began, in training or not.
        draw: the samples, with probes.
        recipe: its `qualifiers` say how many of them, and how long; `alignment` weighs the two losses.
        log: is told the loss every `train.log_every` steps.
        progress: is told of samples and steps.

    Raises:
        InputError: no sample has a text with a qualifier, or the training diverges.
    """
    trained, opt, stage = model.training, recipe.train, recipe.qualifiers
    model.eval()
    samples = list(_remember(model, draw, stage, opt, progress))
    if not samples:
        raise InputError(
            "qualifiers.samples: none of them has a text with a qualifier; set sampler.probes, for example 24"
        )
    weights = even_weights(samples)
    model.train(trained)
    torch.manual_seed(opt.seed)
    rng = np.random.default_rng((opt.seed, len(samples)))
    parameters = [weight.requires_grad_() for weight in model.qualifiers.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=stage.learning_rate, weight_decay=opt.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, stage.learning_rate, total_steps=stage.steps, pct_start=0.05
    )
    for step in range(stage.steps):
        chosen = rng.choice(len(samples), min(stage.batch_size, len(samples)), replace=False)
        loss = _loss(model, [samples[i] for i in chosen], [weights[i] for i in chosen], recipe.alignment)
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, opt.clip_norm)
        if not torch.isfinite(loss.detach() + norm):
            raise InputError(
                f"the stage of the qualifiers diverged: loss or gradients of step {step + 1} are not finite; "
                "lower qualifiers.learning_rate"
            )
        optimiser.step()
        schedule.step()
        if log is not None and (step + 1) % opt.log_every == 0:
            log(step + 1, loss.item())
        progress("qualifiers", step + 1, stage.steps, f"loss {loss.item():.3f}")


@torch.inference_mode()
def _remember(
    model: LavidaModel, draw: ExposureSource, recipe: QualifierRecipe, opt: TrainRecipe, progress: Progress
) -> Iterator[Remembered]:
    count = -(-recipe.samples // TOGETHER)
    batches = StepBatches(draw, count, opt.seed, TOGETHER, clip_length=1, clip_share=0.0, templates=1)
    # what is drawn in a worker comes as it is, not stacked once more
    for number, batch in enumerate(DataLoader(batches, batch_size=None, num_workers=opt.workers)):
        yield from _of_batch(model, batch)
        progress("samples for qualifiers", min((number + 1) * TOGETHER, recipe.samples), recipe.samples)


def _of_batch(model: LavidaModel, batch: Batch) -> Iterator[Remembered]:
    batch = batch.to(model.device)
    features = model.encode(batch.frames, batch.motion)
    assert features.cues is not None and model.alignment is not None
    for i, texts in enumerate(batch.probes):
        asked = [p for p in range(len(texts)) if batch.probe_valid[i, p] and split_phrase(texts[p]).qualifiers]
        if not asked:
            continue
        phrases = [split_phrase(texts[p]) for p in asked]
        places: dict[str, int] = {}
        noun = [places.setdefault(phrase.noun, len(places)) for phrase in phrases]
        most = max(len(phrase.qualifiers) for phrase in phrases)
        named = torch.full((len(asked), most), -1)
        for row, phrase in enumerate(phrases):
            for column, said in enumerate(phrase.named):
                named[row, column] = places.setdefault(said, len(places))
        logits = features.class_logits
        maps = model.alignment(
            features.levels[1][i, None, None],
            model.text(list(places))[None],
            None if logits is None else logits[i, None, None],
        )
        yield Remembered(
            level=features.levels[1][i].half().clone(),
            cues=features.cues[i].half().clone(),
            texts=tuple(texts[p] for p in asked),
            maps=maps[0, 0].half().clone(),
            noun=torch.tensor(noun),
            named=named,
            masks=(batch.probe_masks[i, 0, asked] * 255).byte().clone(),
            valid=batch.evidence_valid[i, 0].clone(),
            moves=batch.motion is not None and bool(batch.motion[i, :, 3].any()),
        )


def even_weights(samples: Sequence[Remembered]) -> list[torch.Tensor]:
    """For each sample `[P]`: what each text counts, such that words are as often true as false.

    Apart for still pictures and for those in which motion is known, since that, too, would give the answer away. What
    nothing proves is always false, as it shall be.
    """
    counts = Counter(
        (bool(shown), *key) for each in samples for key, shown in zip(_keys(each), each.shown.tolist(), strict=True)
    )

    def weight(key: tuple[bool, tuple[str, ...]], shown: bool) -> float:
        if _unproven_words.issuperset(key[1]):
            return UNPROVEN
        return min(1.0, (counts[(not shown, *key)] + 0.5) / (counts[(shown, *key)] + 0.5))

    return [
        torch.tensor([weight(key, shown) for key, shown in zip(_keys(each), each.shown.tolist(), strict=True)])
        for each in samples
    ]


def _keys(sample: Remembered) -> list[tuple[bool, tuple[str, ...]]]:
    return [(sample.moves, split_phrase(text).qualifiers) for text in sample.texts]


def _loss(
    model: LavidaModel, samples: Sequence[Remembered], weights: Sequence[torch.Tensor], alignment: AlignmentWeights
) -> torch.Tensor:
    most = max(len(each.texts) for each in samples)
    device = model.device

    def stacked(values: Sequence[torch.Tensor]) -> torch.Tensor:
        """`[B,1,...]`, padded with zeros along the texts."""
        padded = [F.pad(each, (0, 0) * (each.ndim - 1) + (0, most - len(each))) for each in values]
        return torch.stack(padded)[:, None].to(device)

    texts = model.text_features([list(each.texts) for each in samples])
    assert texts.f_noun is not None and texts.f_qualifier is not None and texts.f_named is not None
    assert texts.present is not None
    count = texts.present.shape[-1]
    noun = stacked([each.maps[each.noun].float() for each in samples])  # [B, 1, P, h, w]
    named = stacked([_named(each, count) for each in samples])  # [B, 1, P, Q, h, w]
    masks = stacked([each.masks.float() / 255 for each in samples])
    asked = stacked([torch.ones(len(each.texts)) for each in samples])[:, 0] > 0  # [B, P]
    weight = stacked(list(weights))  # [B, 1, P]
    level, cues = (
        torch.stack([getattr(each, name) for each in samples])[:, None].float().to(device) for name in ("level", "cues")
    )
    qualifiers = model.qualifiers(
        level, cues, noun, named, f_noun=texts.f_noun, f_qualifier=texts.f_qualifier, f_named=texts.f_named
    )
    evidence = qualified(noun, qualifiers, texts.present)
    valid = torch.stack([each.valid for each in samples])[:, None].to(device)
    present = presence(evidence)
    losses = F.binary_cross_entropy_with_logits(present, (masks.amax((-2, -1)) > 0).float(), reduction="none") * weight
    halves = [(losses * group).sum() / (weight * group).sum().clamp(min=1) for group in shown_and_not(masks, asked)]
    dense = alignment_loss(evidence, masks, category_valid=asked, valid=valid)
    return alignment.evidence * dense + alignment.presence * 0.5 * (halves[0] + halves[1])


def _named(sample: Remembered, count: int) -> torch.Tensor:
    """`[P,Q,h,w]`, zeros for padding."""
    index = F.pad(sample.named, (0, count - sample.named.shape[1]), value=-1)
    maps = sample.maps[index.clamp(min=0)].float()
    return maps * (index >= 0)[..., None, None]
