"""The data of a training: mixture -> augmentation -> sampler (Eq. 1, 2) -> batches by step number.

Step n is the same batch on any machine, with any number of workers and processes, after any restart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from lavida.errors import InputError
from lavida.exposure.burning import FIRE, FlameBank, likely_to_burn, set_on_fire
from lavida.exposure.cutouts import CutoutBank
from lavida.exposure.datasets import load, vocabulary_of
from lavida.exposure.datasets.packed import check_pack, pack_of
from lavida.exposure.looks import GRAY, degrade, recolour
from lavida.exposure.mixture import Mixture, Removal
from lavida.exposure.moving import MOTION_NAMES, MOTION_WEIGHT, Crowd, neighbours, set_in_motion, with_own_motion
from lavida.exposure.qualifier_words import COLOURED, GARMENTS, PEOPLE
from lavida.exposure.sample import ExposedSample, SegmentationDataset, SegmentationSample
from lavida.exposure.sampler import AnomalyExposureSampler, even_weights
from lavida.exposure.views import reframe, stretched
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.prompt import TEMPLATES
from lavida.training.recipe import DataRecipe, SamplerRecipe, SetRecipe, TrainRecipe

MASK_STRIDE, EVIDENCE_STRIDE = 4, 8
PADDING = "thing"  # the text of a probe that does not count


class ExposureSource(Protocol):
    """What a training draws its samples from; everything is drawn from `rng`."""

    has_clips: bool  # whether there are clips beside single images

    def __call__(self, length: int, rng: np.random.Generator) -> ExposedSample:
        """One exposure of `length` frames: 1 or `data.clip_length`."""
        ...


class ExposureStream:
    """Draws single images and, from the sets that have them, clips of `data.clip_length` frames."""

    def __init__(self, data: DataRecipe, sampler: SamplerRecipe):
        self._size, self._zoom = (*data.size,), (*data.zoom,)  # a recipe may hold lists
        self._drop_share, self._whole = data.drop_share, data.views == "whole"
        self._images = self._mixture(data, length=1)
        self._moving, self._recoloured = data.moving, data.recoloured
        self._crowds, self._crowd = data.crowds, Crowd(running=data.crowd_running)
        self._bank = CutoutBank(self._images, removed=data.removed) if data.moving > 0 else None
        self._burning, self._light = data.burning, data.light
        self._flames = FlameBank(self._images) if data.burning > 0 else None
        self.has_clips = data.clip_length > 1 and any(s.clips for s in data.used)
        self._clips = self._mixture(data, length=data.clip_length) if self.has_clips else self._images
        removal = self._images.removal
        self._sampler = AnomalyExposureSampler(
            vocabulary=Vocabulary.builtin(),
            # only names that some mask in the mixture shows: one that is always irrelevant would come to mean "no"
            names=self._images.names,
            negatives_only=removal.kept(n for n in Vocabulary.builtin().classes if n not in MOTION_NAMES),
            negatives_only_share=sampler.negatives_only_share,
            irrelevant=sampler.names,
            absent=sampler.absent,
            class_share=sampler.class_share,
            max_categories=sampler.max_categories,
            limits=_limits(zip(data.used, self._images.datasets, strict=True)),
            probability=sampler.probability,
            several=sampler.several,
            ask_out_of_view=sampler.ask_out_of_view,
            labels=sampler.labels,
            phrases=sampler.phrases,
            removed=removal.names,
            qualified=sampler.qualified,
            denied=sampler.denied,
            unproven=sampler.unproven,
            probes=sampler.probes,
        )
        if sampler.even_words:
            zoom = None if self._whole else self._zoom
            even_weights(self._sampler, self._images, scale=zoom, change=self._maybe_on_fire)
        self._own = {
            mixture: {each.name: self._sampler.own_names(mixture.own_names(each.name)) for each in mixture.datasets}
            for mixture in (self._images, self._clips)
        }
        if self._bank is not None:
            motion = removal.kept(MOTION_NAMES)
            self._sampler.reweigh(dict.fromkeys(motion, MOTION_WEIGHT))
            names = (*self._bank.names, *((FIRE,) if self._flames is not None else ()))
            self._moving_names = self._sampler.own_names(removal.kept(names), motion_words=motion)

    def __call__(self, length: int, rng: np.random.Generator) -> ExposedSample:
        """One exposure of `length` frames: 1 or `data.clip_length`."""
        moving = self._bank is not None and rng.random() < self._moving
        mixture = self._images if length == 1 or moving else self._clips
        view = self._view(mixture.draw(rng), rng)
        if self._bank is not None and moving:
            scene = set_in_motion(view, self._bank, length=length, rng=rng, crowd=self._crowd, crowded=self._crowds)
            view = mixture.removal.apply(scene)
        elif self._bank is not None:
            view = neighbours(view, rng=rng)
        unburnt, view = view, self._maybe_on_fire(view, rng)
        gray = GRAY if view is unburnt else 0.0  # without its colour a small flame is any bright spot
        if self._recoloured and rng.random() < self._recoloured:
            view = recolour(view, names=COLOURED - PEOPLE | set(GARMENTS), rng=rng)
        # of a moving scene, ask mostly for what moves
        own = self._moving_names if moving else self._own[mixture][view.dataset]
        if not self._whole:
            view = degrade(view, rng=rng, gray=gray, light=self._light)
        return self._sampler.sample(with_own_motion(view), own, rng)

    def _view(self, sample: SegmentationSample, rng: np.random.Generator) -> SegmentationSample:
        if self._whole:
            return stretched(sample, size=self._size)
        return reframe(sample, size=self._size, scale=self._zoom, drop_share=self._drop_share, rng=rng)

    def _maybe_on_fire(self, view: SegmentationSample, rng: np.random.Generator) -> SegmentationSample:
        if self._flames is None or rng.random() >= self._burning * likely_to_burn(view):
            return view
        return set_on_fire(view, self._flames, rng=rng)

    @staticmethod
    def _mixture(data: DataRecipe, *, length: int) -> Mixture:
        if (packed := pack_of(Path(data.root))) is not None:
            check_pack(packed, max_side=data.max_side)
        sets = [s for s in data.used if length == 1 or s.clips]
        datasets = [
            load(s.name, Path(data.root) / s.folder, s.split, **({"clip_length": length} if s.clips else {}))
            for s in sets
        ]
        return Mixture(
            datasets,
            [s.weight for s in sets],
            max_side=data.max_side,
            removed=data.removed,
            # the images, which all sets give, have been asked before the clips
            known=data.removed if length > 1 else _known_categories(data, datasets),
        )


def _known_categories(data: DataRecipe, datasets: Sequence[SegmentationDataset]) -> list[str]:
    """Removed categories that the data sets have, if only in the pictures that are not trained on."""
    removal = Removal(data.removed, Vocabulary.builtin())
    missing = removal.missing([name for dataset in datasets for name in dataset.vocabulary])
    for each in data.sets if missing else ():
        try:
            split = "train" if each.split == "heldout" else "heldout"
            other = vocabulary_of(each.name, Path(data.root) / each.folder, split)
        except InputError:  # a copy without that part
            continue
        missing = Removal(missing, Vocabulary.builtin()).missing(other)
    return sorted(removal.names.difference(missing))


def _limits(sets: Iterable[tuple[SetRecipe, SegmentationDataset]]) -> dict[str, int]:
    """The largest K_E of each data set that has its own. Raises InputError where two entries of a set disagree."""
    most: dict[str, int | None] = {}
    for recipe, dataset in sets:
        if most.setdefault(dataset.name, recipe.max_categories) != recipe.max_categories:
            raise InputError(f"data.sets: {recipe.name} is listed with different max_categories; give it the same one")
    return {name: limit for name, limit in most.items() if limit is not None}


def prompt_corpus(vocabulary: Vocabulary) -> list[str]:
    """Text for a small tokenizer: every template filled with every way to say every class."""
    words = [text for name in vocabulary.names for text in (name, *vocabulary.phrases(name))]
    return [template.format(c=word) for template in TEMPLATES for word in words]


@dataclass
class Batch:
    """B exposures with up to K categories."""

    frames: torch.Tensor  # uint8 [B,T,3,H,W]
    categories: list[list[str]]  # K_b texts for each clip
    templates: list[int]  # a prompt template for each clip
    frame_labels: torch.Tensor  # y^f, float [B,T]
    pixel_labels: torch.Tensor  # y^p, share of abnormal pixels at stride 4, float [B,T,H/4,W/4]
    pixel_valid: torch.Tensor  # bool [B,T,H/4,W/4], False where the label is unknown
    category_masks: torch.Tensor  # of each category at stride 8, float [B,T,K,H/8,W/8], zero for absent ones
    category_valid: torch.Tensor  # bool [B,K], False for padding
    evidence_valid: torch.Tensor  # bool [B,T,H/8,W/8]
    noun_masks: torch.Tensor  # `category_masks` of the nouns of qualified categories
    noun_valid: torch.Tensor  # bool [B,K]: there is a qualifier, and where the noun is is known
    probes: list[list[str]]  # P further texts for each clip, from which only the maps of categories learn; or empty
    probe_masks: torch.Tensor  # `category_masks` of the probes
    probe_valid: torch.Tensor  # bool [B,P], False for padding
    motion: torch.Tensor | None = None  # float [B,T,4,H/4,W/4], zero where unknown; None where no sample has any

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        values = (getattr(self, f.name) for f in fields(self))
        return Batch(*(v.to(device) if isinstance(v, torch.Tensor) else v for v in values))


@dataclass(eq=False)
class StepBatches(Dataset):
    """Map-style data set whose item n is the whole batch of step n, drawn from a generator seeded by (seed, n)."""

    draw: Callable[[int, np.random.Generator], ExposedSample]  # of so many frames
    steps: int
    seed: int
    batch_size: int  # images a step; clip steps hold `batch_size // clip_length` clips
    clip_length: int  # T of clip steps
    clip_share: float  # of the steps
    templates: int  # number of prompt templates to choose from
    part: tuple[int, int] = (0, 1)  # rank, world: this process's share of every batch

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        is_clip = np.random.default_rng((self.seed, step)).random() < self.clip_share
        length = self.clip_length if is_clip else 1
        rank, world = self.part
        exposures, templates = [], []
        for index in range(rank, max(1, self.batch_size // length), world):
            rng = np.random.default_rng((self.seed, step, index))
            exposures.append(self.draw(length, rng))
            templates.append(int(rng.integers(self.templates)))
        return collate(exposures, templates)


class StepParts(Dataset):
    """Item n is the list of this process's parts of step n.

    Part j of process r of R is the samples `r + j R` modulo `R * accumulate` of the step's batch, so that a step
    holds the same samples whatever the number of processes and of parts.
    """

    def __init__(self, parts: list[StepBatches]):
        self._parts = parts

    def __getitem__(self, step: int) -> list[Batch] | InputError:
        try:
            return [part[step] for part in self._parts]
        except InputError as error:
            return error  # raised in a worker, it would come out with the worker's traceback as its message


def step_parts(
    opt: TrainRecipe, data: DataRecipe, stream: ExposureSource, *, first: int, rank: int, processes: int
) -> Iterator[list[Batch]]:
    """This process's parts of the steps from `first` on. Raises InputError where a step is too small for all parts."""
    number = processes * opt.accumulate
    length = data.clip_length if stream.has_clips else 1
    if number > max(1, opt.batch_size // length):
        what = f"clip of {length} frames" if length > 1 else "image"
        raise InputError(
            f"train.batch_size {opt.batch_size} is too small for {processes} processes with train.accumulate "
            f"{opt.accumulate}: each part needs at least one {what}; choose {number * length} or more"
        )
    parts = [
        StepBatches(
            stream,
            steps=opt.steps,
            seed=opt.seed,
            batch_size=opt.batch_size,
            clip_length=data.clip_length,
            clip_share=data.clip_share if stream.has_clips else 0.0,
            templates=len(TEMPLATES),
            part=(rank + processes * j, number),
        )
        for j in range(opt.accumulate)
    ]
    loader = DataLoader(
        StepParts(parts),
        batch_size=None,
        sampler=range(first, opt.steps),
        num_workers=opt.workers,
        prefetch_factor=4 if opt.workers else None,
    )
    return map(_raised, loader)


def _raised(parts: list[Batch] | InputError) -> list[Batch]:
    if isinstance(parts, InputError):
        raise parts
    return parts


def collate(exposures: list[ExposedSample], templates: list[int]) -> Batch:
    """Stack exposures of one frame size and clip length."""
    most, probed = max(len(e.categories) for e in exposures), max(len(e.probes) for e in exposures)
    probes = [{p: each.mask for p, each in enumerate(e.probes) if each.mask is not None} for e in exposures]
    valid = [np.ones(e.pixel_labels.shape, bool) if e.ignore is None else ~e.ignore for e in exposures]
    return Batch(
        frames=torch.stack([torch.from_numpy(e.frames).permute(0, 3, 1, 2) for e in exposures]),
        categories=[list(e.categories) for e in exposures],
        templates=templates,
        frame_labels=torch.stack([torch.from_numpy(e.frame_labels) for e in exposures]),
        pixel_labels=torch.stack([_shrink(e.pixel_labels, MASK_STRIDE) for e in exposures]),
        pixel_valid=torch.stack([_shrink(v, MASK_STRIDE) > 0.5 for v in valid]),
        category_masks=torch.stack([_small_masks(e.category_masks, e, most) for e in exposures]),
        category_valid=torch.tensor([[k < len(e.categories) for k in range(most)] for e in exposures]),
        evidence_valid=torch.stack([_shrink(v, EVIDENCE_STRIDE) > 0.5 for v in valid]),
        noun_masks=torch.stack([_small_masks(e.noun_masks, e, most) for e in exposures]),
        noun_valid=torch.tensor([[k in e.noun_masks for k in range(most)] for e in exposures]),
        probes=[[p.text for p in e.probes] + [PADDING] * (probed - len(e.probes)) for e in exposures] if probed else [],
        probe_masks=torch.stack([_small_masks(masks, e, probed) for masks, e in zip(probes, exposures, strict=True)]),
        probe_valid=torch.tensor([[p < len(e.probes) for p in range(probed)] for e in exposures], dtype=torch.bool),
        motion=_motion(exposures),
    )


def _motion(exposures: list[ExposedSample]) -> torch.Tensor | None:
    known = [e.motion for e in exposures if e.motion is not None]
    if not known:
        return None
    nothing = np.zeros_like(known[0])
    return torch.from_numpy(np.stack([nothing if e.motion is None else e.motion for e in exposures])).float()


def _small_masks(of: Mapping[int, np.ndarray], exposure: ExposedSample, most: int) -> torch.Tensor:
    length, height, width = exposure.pixel_labels.shape
    masks = torch.zeros(length, most, height // EVIDENCE_STRIDE, width // EVIDENCE_STRIDE)
    for index, mask in of.items():
        masks[:, index] = _shrink(mask, EVIDENCE_STRIDE)
    return masks


def _shrink(mask: np.ndarray, stride: int) -> torch.Tensor:
    """Share of true pixels in each cell: `[T,H,W]` bool -> float `[T,H/stride,W/stride]`."""
    return F.avg_pool2d(torch.from_numpy(mask).float()[:, None], stride)[:, 0]
