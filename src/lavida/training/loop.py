"""`lavida train`: one loop on Accelerate, resumable at any moment."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs
from huggingface_hub.errors import StrictDataclassError
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

from lavida.config import LavidaConfig
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.export.folder import finished_folder
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.lavida import LavidaModel
from lavida.model.presets import build_nano
from lavida.model.prompt import TEMPLATES
from lavida.progress import progress_bar
from lavida.training.batches import Batch, StepBatches
from lavida.training.calibration import calibrate
from lavida.training.objective import training_loss
from lavida.training.recipe import PRECISIONS, Recipe
from lavida.training.run_folder import RunFolder
from lavida.training.stream import ExposureStream, prompt_corpus


def train(recipe: Recipe, *, resume: bool = True) -> Path:
    """Train by the recipe and return the folder of the finished model (`out/model`).

    An interrupted run in `recipe.out` goes on from its last checkpoint and follows the losses of a run that was
    never interrupted. Raises InputError for data that is not there or an output that belongs to another recipe.
    """
    opt = recipe.train
    out = Path(recipe.out)
    accelerator = _accelerator(recipe)
    folder = RunFolder(out, accelerator)
    if resume:
        folder.check(recipe)
    stream = ExposureStream(recipe)
    torch.manual_seed(opt.seed)
    model = build_model(recipe)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        trainable, lr=opt.learning_rate, weight_decay=opt.weight_decay, betas=tuple(opt.betas)
    )
    schedule = get_cosine_schedule_with_warmup(optimiser, opt.warmup, opt.steps)
    model, optimiser, schedule = accelerator.prepare(model, optimiser, schedule)
    accelerator.init_trackers("log")

    first = folder.enter(recipe, resume=resume)
    batches = _batches(recipe, stream, first, part=(accelerator.process_index, accelerator.num_processes))
    model.train()
    with progress_bar("training", total=opt.steps, done=first, shown=accelerator.is_main_process) as advance:
        for step, batch in enumerate(batches, start=first):
            torch.manual_seed(opt.seed * 1_000_003 + step)  # dropout, too, depends on the step alone
            batch = batch.to(accelerator.device)
            with accelerator.autocast(), _attention_for(accelerator.device):
                output = model(batch.frames, batch.categories, template=batch.templates, with_text_loss=True)
            loss, terms = training_loss(output, batch, weights=recipe.loss, alignment=recipe.alignment)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(trainable, opt.clip_norm)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            advance(1, f"loss {loss.item():.3f}")
            if (step + 1) % opt.log_every == 0:
                values = {"loss": loss.detach(), **terms, "learning_rate": schedule.get_last_lr()[0]}
                folder.log(step + 1, {name: float(value) for name, value in values.items()})
            if (step + 1) % opt.checkpoint_every == 0:
                folder.checkpoint(step + 1, keep=opt.keep_checkpoints)
    accelerator.end_training()
    if accelerator.is_main_process:
        _finish(accelerator.unwrap_model(model).eval(), recipe, accelerator.device)
    return out / "model"


def _finish(model: LavidaModel, recipe: Recipe, device: torch.device) -> None:
    """Save in half precision and calibrate what was saved."""
    folder = Path(recipe.out) / "model"
    with finished_folder(folder, replaces="config.json") as partial:
        model.save_pretrained(partial, weights=torch.float16)
        if recipe.calibrate:
            detector = Detector(LavidaModel.from_pretrained(partial), name=str(folder), device=device)
            calibrate(detector, Path(recipe.data.root))
            detector.model.config.save_pretrained(partial)


def _attention_for(device: torch.device) -> AbstractContextManager:
    """On a CPU the backward pass of fused attention is slow for narrow heads: a fifth of a whole step of nano."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def build_model(recipe: Recipe) -> LavidaModel:
    """The model that the recipe starts from."""
    settings = dict(recipe.model)
    preset = settings.pop("preset", None)
    if preset != "nano":
        raise InputError(f"unknown model preset {preset!r} in the recipe: this version trains nano")
    known = {field.name for field in fields(LavidaConfig)} | {"backbone"}
    if unknown := sorted(settings.keys() - known):
        raise InputError(f"unknown key model.{unknown[0]} in the recipe; it takes the fields of LavidaConfig")
    try:
        return build_nano(prompt_corpus(Vocabulary.builtin()), **settings)
    except (ValueError, StrictDataclassError) as error:
        raise InputError(f"model in the recipe: {' '.join(str(error).split())}") from error


def _accelerator(recipe: Recipe) -> Accelerator:
    return Accelerator(
        mixed_precision=PRECISIONS[recipe.train.precision],
        log_with="tensorboard" if _has_tensorboard() else None,
        project_dir=recipe.out,
        dataloader_config=DataLoaderConfiguration(split_batches=True),  # or each process would move the schedule on
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # SAM 2's point prompts, say
    )


def _batches(recipe: Recipe, stream: ExposureStream, first: int, *, part: tuple[int, int]) -> Iterator[Batch]:
    opt, data = recipe.train, recipe.data
    smallest = opt.batch_size // (data.clip_length if stream.has_clips else 1)
    if part[1] > max(1, smallest):
        raise InputError(
            f"train.batch_size {opt.batch_size} is too small for {part[1]} processes: "
            f"each needs at least one clip of {data.clip_length} frames"
        )
    steps = StepBatches(
        stream,
        steps=opt.steps,
        seed=opt.seed,
        batch_size=opt.batch_size,
        clip_length=data.clip_length,
        clip_share=data.clip_share if stream.has_clips else 0.0,
        templates=len(TEMPLATES),
        part=part,
    )
    return iter(
        DataLoader(
            steps,
            batch_size=None,
            sampler=range(first, opt.steps),
            num_workers=opt.workers,
            prefetch_factor=4 if opt.workers else None,
        )
    )


def _has_tensorboard() -> bool:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return False
    return True
