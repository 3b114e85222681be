"""`lavida train`: one loop on Accelerate, resumable at any moment."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch.utils.data import DataLoader
from transformers import get_cosine_schedule_with_warmup

from lavida.errors import InputError
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.lavida import LavidaModel
from lavida.model.presets import build_nano
from lavida.model.prompt import TEMPLATES
from lavida.progress import progress_bar
from lavida.training.batches import Batch, StepBatches
from lavida.training.objective import training_loss
from lavida.training.recipe import Recipe
from lavida.training.stream import ExposureStream, prompt_corpus


def train(recipe: Recipe, *, resume: bool = True) -> Path:
    """Train by the recipe and return the folder of the finished model (`out/model`).

    An interrupted run in `recipe.out` goes on from its last checkpoint and follows the losses of a run that was
    never interrupted. Raises InputError for data that is not there or an output that belongs to another recipe.
    """
    opt = recipe.train
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=opt.precision,
        log_with="tensorboard" if _has_tensorboard() else None,
        project_dir=out,
        dataloader_config=DataLoaderConfiguration(dispatch_batches=False),
    )
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

    first = _resume(accelerator, out) if resume else 0
    batches = _batches(recipe, stream, first, part=(accelerator.process_index, accelerator.num_processes))
    model.train()
    with progress_bar("training", total=opt.steps, done=first, shown=accelerator.is_main_process) as advance:
        for step, batch in enumerate(batches, start=first):
            torch.manual_seed(opt.seed * 1_000_003 + step)  # dropout, too, depends on the step alone
            batch = batch.to(accelerator.device)
            with accelerator.autocast():
                output = model(batch.frames, batch.categories, template=batch.templates, with_text_loss=True)
            loss, terms = training_loss(output, batch, weights=recipe.loss, alignment=recipe.alignment)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(trainable, opt.clip_norm)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            advance(1, f"loss {loss.item():.3f}")
            if (step + 1) % opt.log_every == 0:
                _log(accelerator, out, step + 1, loss, terms, schedule.get_last_lr()[0])
            if (step + 1) % opt.checkpoint_every == 0:
                _checkpoint(accelerator, out, step + 1, keep=opt.keep_checkpoints)
    accelerator.end_training()
    accelerator.unwrap_model(model).save_pretrained(out / "model")
    return out / "model"


def build_model(recipe: Recipe) -> LavidaModel:
    """The model that the recipe starts from."""
    settings = dict(recipe.model)
    preset = settings.pop("preset", None)
    if preset != "nano":
        raise InputError(f"unknown model preset {preset!r} in the recipe: this version trains nano")
    return build_nano(prompt_corpus(Vocabulary.builtin()), **settings)


def _batches(recipe: Recipe, stream: ExposureStream, first: int, *, part: tuple[int, int]) -> Iterator[Batch]:
    opt, data = recipe.train, recipe.data
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


def _log(
    accelerator: Accelerator,
    out: Path,
    step: int,
    loss: torch.Tensor,
    terms: dict[str, torch.Tensor],
    rate: float,
) -> None:
    values = {
        "loss": loss.item(),
        **{name: term.item() for name, term in terms.items()},
        "learning_rate": rate,
    }
    accelerator.log(values, step=step)
    if accelerator.is_main_process:
        with (out / "losses.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def _checkpoint(accelerator: Accelerator, out: Path, step: int, *, keep: int) -> None:
    """Write `checkpoint-<step>` under another name and rename it, so that a killed run leaves only whole ones."""
    partial, final = out / f".checkpoint-{step}", out / f"checkpoint-{step}"
    accelerator.save_state(str(partial))
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for old in _checkpoints(out)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def _checkpoints(out: Path) -> list[Path]:
    return sorted(out.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def _resume(accelerator: Accelerator, out: Path) -> int:
    """Load the newest whole checkpoint, if there is one, and return the step to go on from."""
    checkpoints = _checkpoints(out)
    if not checkpoints:
        return 0
    accelerator.load_state(str(checkpoints[-1]))
    return int(checkpoints[-1].name.rpartition("-")[2])


def _has_tensorboard() -> bool:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return False
    return True
