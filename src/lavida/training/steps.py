"""One optimisation step: parts of the batch -> gradients -> new weights; and Accelerate, optimiser, schedule."""

import importlib.util
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.scheduler import AcceleratedScheduler
from accelerate.utils import (
    DataLoaderConfiguration,
    DistributedDataParallelKwargs,
    DistributedType,
    GradientAccumulationPlugin,
)
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from lavida.errors import InputError, not_installed
from lavida.model.losses import LossWeights
from lavida.training.data import Batch
from lavida.training.objective import step_shares, training_loss
from lavida.training.recipe import PRECISIONS, AlignmentWeights, TrainRecipe

SCHEDULES: dict[str, Callable[..., torch.optim.lr_scheduler.LRScheduler]] = {
    "cosine": get_cosine_schedule_with_warmup,
    "linear": get_linear_schedule_with_warmup,
}


@dataclass(eq=False)
class TrainingStep:
    """Moves the weights by one step of the optimiser."""

    accelerator: Accelerator  # has prepared what follows
    model: nn.Module
    optimiser: AcceleratedOptimizer
    schedule: AcceleratedScheduler
    opt: TrainRecipe = field(kw_only=True)  # precision, clipping and seed
    weights: LossWeights = field(kw_only=True)  # of Eq. 10
    alignment: AlignmentWeights = field(kw_only=True)  # of the dense signal

    def __call__(self, step: int, parts: list[Batch]) -> dict[str, float]:
        """Learn from step number `step`; its loss and terms, the means over all processes.

        The loss is NaN in every process where one of their losses or the gradients are not finite.
        """
        shares = step_shares(parts, self.accelerator)
        rows = [self._learn(step, j, part, shares[j]) for j, part in enumerate(parts)]
        means = torch.stack([torch.stack(list(row.values())) for row in rows]).mean(0)
        means = self.accelerator.reduce(means, "mean").tolist()
        return {**dict(zip(rows[0], means, strict=True)), "learning_rate": self.schedule.get_last_lr()[0]}

    def _learn(self, step: int, j: int, part: Batch, shares: list[float]) -> dict[str, torch.Tensor]:
        """Gradients of part `j`; after the last one the weights move."""
        accelerator, opt = self.accelerator, self.opt
        self._seed(step, j)
        part = part.to(accelerator.device)
        with accelerator.accumulate(self.model), attention(accelerator.device):
            with autocast(accelerator.device, opt.precision):
                output = self.model(
                    part.frames,
                    part.categories,
                    motion=part.motion,
                    template=part.templates,
                    with_text_loss=True,
                    **({"probes": part.probes} if part.probes else {}),
                )
            loss, terms = training_loss(output, part, weights=self.weights, alignment=self.alignment, shares=shares)
            accelerator.backward(loss)
            loss = loss.detach()
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(self.model.parameters(), opt.clip_norm)
                loss = loss if _is_finite(norm) else loss * torch.nan
            self.optimiser.step()
            self.schedule.step()
            self.optimiser.zero_grad()
        return {"loss": loss, **terms}

    def _seed(self, step: int, part: int) -> None:
        """Dropout, too, depends on the step and the part alone."""
        number = self.accelerator.process_index + self.accelerator.num_processes * part
        torch.manual_seed(self.opt.seed * 1_000_003 + step + (number << 40))


def _is_finite(norm: Any) -> bool:
    """Of the gradients of all processes; DeepSpeed, which clips by itself, may not tell it, FSDP tells it in shards."""
    if hasattr(norm, "full_tensor"):
        norm = norm.full_tensor()
    return norm is None or math.isfinite(float(norm))


def build_accelerator(opt: TrainRecipe, *, out: str) -> Accelerator:
    """One process, or this process's place among those that `accelerate launch` has started; trackers log below `out`.

    Raises:
        InputError: DeepSpeed is asked for and not installed.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        check_deepspeed()
    accelerator = Accelerator(
        mixed_precision=PRECISIONS[opt.precision],
        # a step knows itself where its parts begin
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=opt.accumulate, sync_with_dataloader=False),
        log_with="tensorboard" if has_tensorboard() else None,
        project_dir=out,
        dataloader_config=DataLoaderConfiguration(split_batches=True),  # or each process would move the schedule on
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # SAM 2's point prompts, say
    )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        # what its configuration file leaves open; the size is only a label, since batches are made here
        accelerator.state.deepspeed_plugin.deepspeed_config.update(
            train_micro_batch_size_per_gpu=max(1, opt.batch_size // (accelerator.num_processes * opt.accumulate)),
            gradient_accumulation_steps=opt.accumulate,
            gradient_clipping=opt.clip_norm,
        )
    if accelerator.distributed_type == DistributedType.FSDP:
        plugin = accelerator.state.fsdp_plugin
        if plugin.mixed_precision_policy is not None:  # rounds logits, from which losses are computed in float32
            plugin.mixed_precision_policy = replace(plugin.mixed_precision_policy, output_dtype=torch.float32)
    return accelerator


def build_optimiser(
    weights: Iterable[torch.nn.Parameter], opt: TrainRecipe
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW over the weights that are trained, and the schedule of its learning rate over `opt.steps`."""
    trained = [weight for weight in weights if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=opt.learning_rate, weight_decay=opt.weight_decay, betas=tuple(opt.betas))
    return optimiser, SCHEDULES[opt.schedule](optimiser, opt.warmup, opt.steps)


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Around the forward pass. Not the accelerator's own, which leaves the casts to the model under DeepSpeed."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def attention(device: torch.device) -> AbstractContextManager:
    """Around both passes. On a CPU the backward pass of fused attention is slow for narrow heads: a fifth of a step."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def fit_for_sharding(model: nn.Module) -> None:
    """Bring weights into the form that FSDP and DeepSpeed can cut and send: rows one after the other.

    Raises:
        InputError: a weight is a single number.
    """
    for name, weight in model.named_parameters():
        if weight.ndim == 0:
            raise InputError(
                f"FSDP and DeepSpeed cannot share {name}, a single number: train with configs/accelerate/ddp.yaml, "
                "or without that part of the model"
            )
        # a copy, as `contiguous` leaves the strides of sides of length 1
        weight.data = weight.data.clone(memory_format=torch.contiguous_format)


@contextmanager
def outside_forward(model: nn.Module) -> Iterator[None]:
    """Within the block, parts of a model that FSDP has sharded may be called by themselves."""
    if not hasattr(model, "unshard"):  # torch.distributed.fsdp.FSDPModule, which not every build of torch has
        yield
        return
    model.unshard()
    try:
        yield
    finally:
        model.reshard()


def check_deepspeed() -> None:
    """Raises InputError where DeepSpeed is missing."""
    if importlib.util.find_spec("deepspeed") is None:
        raise not_installed("deepspeed")


def has_tensorboard() -> bool:
    """Whether scalars and pictures can be logged for TensorBoard."""
    return importlib.util.find_spec("tensorboard") is not None
