"""`lavida train --dry-run`: what a recipe would train, on what and with how much memory, before anything starts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from torch import nn

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.exposure.check import CheckedDataset
from lavida.exposure.datasets import load
from lavida.training.recipe import DataRecipe, Recipe, SetRecipe
from lavida.training.start import build_shape
from lavida.training.trainable import VISION_TOWER, is_pretrained, make_trainable

PARTS = (  # name, modules; a weight belongs to the first part that has it
    ("MLLM: vision tower", (VISION_TOWER,)),
    ("MLLM: language model", ("semantics",)),
    ("vision encoder", ("sam2.vision_encoder",)),
    ("mask decoder", ("sam2.mask_decoder", "sam2.no_memory_embedding")),
    ("prompt encoder", ("sam2.prompt_encoder", "sam2.shared_image_embedding")),
    ("text encoder", ("text",)),
    ("frame semantics", ("frame_semantics",)),
    ("projector", ("projector",)),
    ("alignment", ("alignment", "presence_to_semantics")),
    ("motion", ("motion",)),
)
OTHER = "other"
PROCESSES = 8  # in the columns of the sharded trainings
FLOAT, HALF, ADAMW = 4, 2, 2 * 4  # bytes of a weight, of one in bf16, and of its two moments


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the model: its parameters, how many of them are trained, and the bytes of all."""

    name: str
    parameters: int
    trained: int
    weights: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes on one device, without activations."""

    weights: float
    gradients: float
    optimiser: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimiser


@dataclass(frozen=True, slots=True)
class MixtureRow:
    """One data set of the mixture."""

    name: str
    split: str
    samples: int | None  # single pictures that it gives; None where it cannot be read
    found: str  # what it consists of, beside the official counts; why it cannot be read where it cannot
    share: float  # of the pictures and clip frames drawn, all rows together 1
    clips: bool  # whether it gives clips as well


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that a dry run tells."""

    parts: list[Part]
    needs: dict[str, MemoryEstimate]
    mixture: list[MixtureRow]

    def tables(self) -> list[Table]:
        """For people."""
        return [_parts_table(self.parts), _needs_table(self.needs), _mixture_table(self.mixture)]

    def check(self) -> None:
        """Raise InputError if the training could not begin for want of data."""
        if unread := [row for row in self.mixture if row.samples is None]:
            raise InputError(
                f"{len(unread)} of {len(self.mixture)} data sets cannot be read (first: {unread[0].found}); give the "
                f"folder of all as data.root=DIR, and see `lavida data check {unread[0].name}` for the layout"
            )


def dry_run(recipe: Recipe) -> TrainingPlan:
    """Look at a recipe without weights (of a pretrained preset), training or output.

    Raises:
        InputError: the recipe asks for what does not exist.
    """
    model = build_shape(recipe)
    make_trainable(model, recipe.train, pretrained=is_pretrained(model, recipe.model))
    parts = model_parts(model)
    needs = memory_needs(parts, half=recipe.train.precision == "bf16")
    return TrainingPlan(parts, needs, list(mixture_rows(recipe.data)))


def model_parts(model: LavidaModel) -> list[Part]:
    """The parts that the model has, in the order of `PARTS`."""
    weights: dict[str, list[nn.Parameter]] = {name: [] for name, _ in (*PARTS, (OTHER, ()))}
    for path, weight in model.named_parameters():
        whose = (name for name, modules in PARTS if f"{path}.".startswith(tuple(f"{each}." for each in modules)))
        weights[next(whose, OTHER)].append(weight)
    return [
        Part(
            name,
            parameters=sum(w.numel() for w in own),
            trained=sum(w.numel() for w in own if w.requires_grad),
            weights=sum(w.numel() * w.element_size() for w in own),
        )
        for name, own in weights.items()
        if own
    ]


def memory_needs(parts: list[Part], *, half: bool) -> dict[str, MemoryEstimate]:
    """What each way of training holds on one device.

    In one process and under DDP: all weights as they are loaded, float32 gradients and moments of the trained ones.
    ZeRO-2 holds all weights in bf16 and shares the gradients, the float32 copies and moments; FSDP shares everything.
    """
    weights, parameters = sum(part.weights for part in parts), sum(part.parameters for part in parts)
    trained = sum(part.trained for part in parts)
    plain = MemoryEstimate(weights, FLOAT * trained, ADAMW * trained)
    width, copies = (HALF, FLOAT * trained) if half else (FLOAT, 0)
    return {
        "one GPU, or each of DDP": plain,
        f"ZeRO-2, each of {PROCESSES}": MemoryEstimate(
            width * parameters, width * trained / PROCESSES, (copies + ADAMW * trained) / PROCESSES
        ),
        f"FSDP, each of {PROCESSES}": MemoryEstimate(
            plain.weights / PROCESSES, plain.gradients / PROCESSES, plain.optimiser / PROCESSES
        ),
    }


def mixture_rows(data: DataRecipe) -> Iterator[MixtureRow]:
    """What is there of each data set, from listings alone, and how often it is drawn."""
    clip_share = data.clip_share if data.clip_length > 1 and any(each.clips for each in data.used) else 0.0
    pictures = sum(each.weight for each in data.used)
    clips = sum(each.weight for each in data.used if each.clips)
    for each in data.used:
        share = (1 - clip_share) * each.weight / pictures
        if clip_share and each.clips:
            share += clip_share * each.weight / clips
        try:
            dataset = load(each.name, Path(data.root) / each.folder, each.split)
            samples, found = len(dataset), _found(dataset, each)
        except InputError as error:
            samples, found = None, str(error).partition(";")[0]
        yield MixtureRow(each.name, each.split, samples, found, share, each.clips)


def _found(dataset: Any, recipe: SetRecipe) -> str:
    if not isinstance(dataset, CheckedDataset):
        return ""
    expected = dataset.expected.get(recipe.split, {})
    counts = dataset.counts().items()
    return ", ".join(
        f"{n:,}" + (f" of {expected[unit]:,}" if unit in expected else "") + f" {unit}" for unit, n in counts
    )


def _parts_table(parts: list[Part]) -> Table:
    total, trained = sum(part.parameters for part in parts), sum(part.trained for part in parts)
    footer = ("all", f"{total:,}", f"{trained:,}", _percent(trained / total))
    table = _table("model", "part", ("parameters", "trained", "share"), footer=footer)
    for part in parts:
        table.add_row(part.name, f"{part.parameters:,}", f"{part.trained:,}", _percent(part.trained / part.parameters))
    return table


def _needs_table(needs: dict[str, MemoryEstimate]) -> Table:
    table = _table("memory in GiB", "", tuple(needs))
    table.caption = "Activations come on top; they grow with batch and frame size."
    for row in ("weights", "gradients", "optimiser", "total"):
        table.add_row(row, *(f"{getattr(need, row) / 2**30:.2f}" for need in needs.values()))
    return table


def _mixture_table(mixture: list[MixtureRow]) -> Table:
    table = Table(title="mixture", caption="Share: of the pictures and clip frames drawn.", box=box.SIMPLE_HEAD)
    for heading in ("data set", "split", "pictures", "share", "clips", "found"):
        table.add_column(heading, justify="right" if heading in ("pictures", "share") else "left", overflow="fold")
    for row in mixture:
        samples = "-" if row.samples is None else f"{row.samples:,}"
        table.add_row(row.name, row.split, samples, _percent(row.share), "yes" if row.clips else "", row.found)
    return table


def _table(title: str, first: str, numbers: Sequence[str], *, footer: Sequence[str] = ()) -> Table:
    """An empty table with one column of words and some of numbers."""
    table = Table(title=title, box=box.SIMPLE_HEAD, show_footer=bool(footer))
    for place, heading in enumerate((first, *numbers)):
        table.add_column(heading, justify="right" if place else "left", footer=footer[place] if footer else "")
    return table


def _percent(share: float) -> str:
    """Two digits that matter, also for one row of a vocabulary."""
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else f"{100 * share:.2g} %"
