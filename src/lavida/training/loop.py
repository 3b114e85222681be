"""`lavida train`: one loop on Accelerate, resumable at any moment."""

from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

from lavida.progress import progress_bar
from lavida.training.check import check_training
from lavida.training.held_out import HeldOutTest
from lavida.training.monitor import Monitor
from lavida.training.optimisation import build_accelerator, build_optimiser, fit_for_sharding
from lavida.training.recipe import Recipe
from lavida.training.run_folder import BEST, MODEL, RunFolder
from lavida.training.saving import calibrate_saved, save_model
from lavida.training.start import build_model
from lavida.training.steps import TrainingStep, step_parts
from lavida.training.stream import ExposureStream
from lavida.training.trainable import make_trainable


def train(recipe: Recipe, *, resume: bool = True) -> Path:
    """Train by the recipe and return the folder of the finished model (`out/model`).

    An interrupted run in `recipe.out` goes on from its last checkpoint and follows the losses of a run that was
    never interrupted. Raises InputError for data or weights that are not there and an output of another recipe.
    """
    opt = recipe.train
    accelerator = build_accelerator(recipe)
    folder = RunFolder(Path(recipe.out), accelerator)
    check_training(recipe, resume=resume)
    stream = ExposureStream(recipe)
    test = HeldOutTest(recipe) if opt.evaluate_every else None
    torch.manual_seed(opt.seed)
    model = build_model(recipe)
    make_trainable(model, recipe)
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        fit_for_sharding(model)
    optimiser, schedule = build_optimiser(model.parameters(), opt)
    model, optimiser, schedule = accelerator.prepare(model, optimiser, schedule)

    first = folder.enter(recipe, resume=resume)
    learn = TrainingStep(accelerator, model, optimiser, schedule, recipe)
    monitor = Monitor(accelerator, model, folder, recipe, test=test, first=first)
    batches = step_parts(
        recipe, stream, first=first, rank=accelerator.process_index, processes=accelerator.num_processes
    )
    model.train()
    with progress_bar("training", total=opt.steps, done=first, shown=accelerator.is_main_process) as advance:
        for step, parts in enumerate(batches, start=first):
            values = learn(step, parts)
            advance(1, f"loss {values['loss']:.3f}")
            monitor.after(step + 1, values)
            if (step + 1) % opt.checkpoint_every == 0:
                folder.checkpoint(step + 1, keep=opt.keep_checkpoints)
    _finish(accelerator, model, recipe)
    accelerator.end_training()
    return folder.root / MODEL


def _finish(accelerator: Accelerator, model: nn.Module, recipe: Recipe) -> None:
    """Save what was learnt; calibrate it, and the best model where there is one."""
    out = Path(recipe.out)
    model.eval()
    save_model(accelerator, model, out / MODEL)  # first: whatever becomes of its calibration, it is not lost
    if recipe.calibrate and accelerator.is_main_process:
        for folder in (out / MODEL, out / BEST):
            if folder.is_dir():
                calibrate_saved(folder, root=Path(recipe.data.root), device=accelerator.device)
