"""One optimisation step: this process's parts of the batch -> gradients -> new weights."""

from collections.abc import Iterator

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.scheduler import AcceleratedScheduler
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lavida.errors import InputError
from lavida.model.lavida import LavidaOutput
from lavida.model.prompt import TEMPLATES
from lavida.training.batches import Batch, StepBatches
from lavida.training.optimisation import attention, autocast
from lavida.training.recipe import Recipe
from lavida.training.shares import part_loss, step_shares
from lavida.training.stream import ExposureStream


class StepParts(Dataset):
    """Item n is the list of this process's parts of step n.

    Part j of process r of R is the samples `r + j R` modulo `R * accumulate` of the step's batch, so that a step
    holds the same samples whatever the number of processes and of parts.
    """

    def __init__(self, parts: list[StepBatches]):
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts[0])

    def __getitem__(self, step: int) -> list[Batch] | InputError:
        try:
            return [part[step] for part in self._parts]
        except InputError as error:
            return error  # raised in a worker, it would come out with the worker's traceback as its message


def step_parts(recipe: Recipe, stream: ExposureStream, *, first: int, rank: int, processes: int) -> Iterator[list]:
    """The parts of the steps from `first` on. Raises InputError where a step is too small for all parts."""
    opt, data = recipe.train, recipe.data
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
    return _raised(iter(loader))


def _raised(steps: Iterator[list[Batch] | InputError]) -> Iterator[list[Batch]]:
    for parts in steps:
        if isinstance(parts, InputError):
            raise parts
        yield parts


class TrainingStep:
    """Moves the weights by one step of the optimiser."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimiser: AcceleratedOptimizer,
        schedule: AcceleratedScheduler,
        recipe: Recipe,
    ):
        self._accelerator, self._recipe = accelerator, recipe
        self._model, self._optimiser, self._schedule = model, optimiser, schedule

    def __call__(self, step: int, parts: list[Batch]) -> dict[str, float]:
        """Learn from step number `step`; its loss and terms, the means over all processes."""
        shares = step_shares(parts, self._accelerator)
        rows = [self._learn(step, j, part, shares[j]) for j, part in enumerate(parts)]
        means = torch.stack([torch.stack(list(row.values())) for row in rows]).mean(0)
        means = self._accelerator.reduce(means, "mean").tolist()
        return {**dict(zip(rows[0], means, strict=True)), "learning_rate": self._schedule.get_last_lr()[0]}

    def _learn(self, step: int, j: int, part: Batch, shares: list[float]) -> dict[str, torch.Tensor]:
        """Gradients of part `j`; after the last one the weights move."""
        accelerator, opt = self._accelerator, self._recipe.train
        self._seed(step, j)
        part = part.to(accelerator.device)
        with accelerator.accumulate(self._model), attention(accelerator.device):
            with autocast(accelerator.device, opt.precision):
                output = self._forward(part)
            loss, terms = part_loss(output, part, shares, weights=self._recipe.loss, alignment=self._recipe.alignment)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(self._model.parameters(), opt.clip_norm)
            self._optimiser.step()
            self._schedule.step()
            self._optimiser.zero_grad()
        return {"loss": loss.detach(), **terms}

    def _forward(self, part: Batch) -> LavidaOutput:
        return self._model(
            part.frames, part.categories, motion=part.motion, template=part.templates, with_text_loss=True
        )

    def _seed(self, step: int, part: int) -> None:
        """Dropout, too, depends on the step and the part alone."""
        number = self._accelerator.process_index + self._accelerator.num_processes * part
        torch.manual_seed(self._recipe.train.seed * 1_000_003 + step + (number << 40))
