"""`lavida train`: one loop on Accelerate, resumable at any moment."""

import math
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.timing import Progress, untold
from lavida.training.data import ExposureSource, ExposureStream, step_parts
from lavida.training.monitor import HeldOutTest, Monitor
from lavida.training.qualifier_stage import learn_qualifiers
from lavida.training.recipe import Recipe
from lavida.training.run_folder import BEST, MODEL, RunFolder
from lavida.training.saving import calibrate_saved, save_model
from lavida.training.start import build_model, check_training
from lavida.training.steps import TrainingStep, build_accelerator, build_optimiser, fit_for_sharding
from lavida.training.trainable import is_pretrained, make_trainable


def train(
    recipe: Recipe,
    *,
    resume: bool = True,
    data: ExposureSource | None = None,
    model: LavidaModel | None = None,
    test: HeldOutTest | None = None,
    progress: Progress = untold,
) -> Path:
    """Train by the recipe and return the folder of the finished model (`out/model`).

    An interrupted run in `recipe.out` goes on from its last checkpoint and follows the losses of a run that was
    never interrupted.

    Args:
        recipe: everything that is not given here.
        resume: whether to go on with a run in `recipe.out`; False starts over.
        data: samples to learn from; by default the mixture of `recipe.data` with the sampler of `recipe.sampler`.
        model: what to train, changed in place; by default that of `recipe.model`. A run that goes on needs the same
            frozen weights again.
        test: what the model is measured on every `train.evaluate_every` steps; by default held-out pictures of the
            data sets in `recipe.data`.
        progress: is told of every step.

    Raises:
        InputError: data or weights are not there, the output is of another recipe, or the training diverges.
    """
    opt = recipe.train
    accelerator = build_accelerator(opt, out=recipe.out)
    folder = RunFolder(Path(recipe.out), accelerator)
    check_training(recipe, resume=resume, model=model is None)
    data = ExposureStream(recipe.data, recipe.sampler) if data is None else data
    if opt.evaluate_every:
        test = HeldOutTest(recipe.data, opt) if test is None else test
    torch.manual_seed(opt.seed)
    model = build_model(recipe) if model is None else model
    make_trainable(model, opt, pretrained=is_pretrained(model, recipe.model))
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        fit_for_sharding(model)
    optimiser, schedule = build_optimiser(model.parameters(), opt)
    prepared, optimiser, schedule = accelerator.prepare(model, optimiser, schedule)

    first = folder.enter(recipe, resume=resume)
    learn = TrainingStep(
        accelerator, prepared, optimiser, schedule, opt=opt, weights=recipe.loss, alignment=recipe.alignment
    )
    monitor = Monitor(accelerator, prepared, folder, opt, test=test, first=first)
    rank, processes = accelerator.process_index, accelerator.num_processes
    batches = step_parts(opt, recipe.data, data, first=first, rank=rank, processes=processes)
    prepared.train()
    for step, parts in enumerate(batches, start=first):
        values = learn(step, parts)
        _check_loss(values["loss"], step + 1, folder)
        if accelerator.is_main_process:
            progress("training", step + 1, opt.steps, f"loss {values['loss']:.3f}")
        monitor.after(step + 1, values)
        if (step + 1) % opt.checkpoint_every == 0:
            folder.checkpoint(step + 1, keep=opt.keep_checkpoints)
    if recipe.qualifiers.samples:
        learn_qualifiers(accelerator.unwrap_model(prepared), data, recipe, log=folder.log_qualifiers, progress=progress)
    _finish(accelerator, prepared, recipe)
    accelerator.end_training()
    return folder.root / MODEL


def _check_loss(loss: float, step: int, folder: RunFolder) -> None:
    """Raise InputError, in all processes alike, for a loss that is not finite, before its weights are kept."""
    if math.isfinite(loss):
        return
    last = folder.last_checkpoint()
    kept = "there is no checkpoint yet" if last is None else f"the last good checkpoint is {last}"
    raise InputError(
        f"the training diverged: loss or gradients of step {step} are not finite; {kept}; give a lower "
        "train.learning_rate and start over with --no-resume, or choose another folder with out=..."
    )


def _finish(accelerator: Accelerator, model: nn.Module, recipe: Recipe) -> None:
    """Save what was learnt; calibrate it, and the best model where there is one."""
    out = Path(recipe.out)
    model.eval()
    save_model(accelerator, model, out / MODEL)  # first: whatever becomes of its calibration, it is not lost
    if recipe.calibrate and accelerator.is_main_process:
        for folder in (out / MODEL, out / BEST):
            if folder.is_dir():
                calibrate_saved(folder, root=Path(recipe.data.root), device=accelerator.device)
