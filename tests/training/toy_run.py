"""Trainings in which everything is real but the data and the model."""

import json
import os
import time
from itertools import count
from pathlib import Path

import numpy as np
import torch
from accelerate.state import AcceleratorState
from tiny import tiny_lavida
from toys import draw

from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.exposure.sample import SegmentationSample
from lavida.training import loop, run_folder, steps
from lavida.training.recipe import DataRecipe, LoraRecipe, Recipe, SetRecipe, TrainRecipe

STEPS = 6


class ToyStream:
    """An `ExposureSource` without files."""

    has_clips = True

    def __call__(self, length, rng):
        return draw(length, rng)


class ToyPictures:
    """Held-out pictures, named in recipes as `toy_run:ToyPictures`: a bright dog in every second one."""

    name, vocabulary = "toy", ("dog",)

    def __init__(self, root: Path, split: str):
        assert split == "heldout"

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> SegmentationSample:
        frames = np.random.default_rng(index).integers(0, 120, (1, 48, 64, 3)).astype(np.uint8)
        mask = np.zeros((1, 48, 64), dtype=bool)
        mask[:, 8:32, 16:40] = index % 2 == 0
        frames[mask] = 250
        return SegmentationSample(frames, {"dog": mask} if mask.any() else {}, None, "toy", f"scene/{index}")


def toy_model(recipe: Recipe) -> LavidaModel:
    model = tiny_lavida(projector_layers=1)
    model.sam2.vision_encoder.backbone.requires_grad_(False)  # as in nano; and its optimiser state would be large
    if recipe.model.get("drop") == 0:  # parts of a step are dropped from independently
        model.alignment.drop = 0.0
    return model


def train(recipe: Recipe, **given) -> Path:
    """`loop.train` with toys for what is not given."""
    return loop.train(recipe, **{"data": ToyStream(), "model": toy_model(recipe)} | given)


def toy_recipe(out: Path | str, *, model: dict | None = None, **changes) -> Recipe:
    """`changes`: of `train`."""
    settings = {
        "steps": STEPS,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "warmup": 2,
        "precision": "float32",
        "workers": 0,
        "checkpoint_every": 2,
        "log_every": 1,
        "seed": 5,
    } | changes
    if isinstance(settings.get("lora"), dict):
        settings["lora"] = LoraRecipe(**settings["lora"])
    data = DataRecipe(root="nowhere", sets=[SetRecipe("toy_run:ToyPictures", "toy")], clip_length=2, clip_share=0.4)
    start = {"preset": "nano"} | (model or {})
    return Recipe(model=start, data=data, train=TrainRecipe(**settings), calibrate=False, out=str(out))


def log(out: Path, name: str = "losses.jsonl") -> list[dict]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def stall_while_writing(step: int) -> None:
    """Write half of a checkpoint's weights, then wait to be killed."""
    whole = run_folder.save_file

    def half(weights: dict[str, torch.Tensor], path: Path) -> None:
        whole(weights, path)
        if path.parent.name.endswith(f"checkpoint-{step}"):
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            (path.parent / "half").touch()
            time.sleep(600)

    run_folder.save_file = half


def diverge_in_one_process(out: str, *, port: int, step: int) -> None:
    """A training whose loss is NaN in the last process alone, from `step` on; each writes down how it ended."""
    rank, calls, whole = os.environ["RANK"], count(1), steps.training_loss

    def loss(*given, **settings):
        value, terms = whole(*given, **settings)
        return (value * torch.nan if next(calls) >= step and rank == "1" else value), terms

    steps.training_loss = loss
    os.environ["MASTER_PORT"] = str(port)
    try:
        train(toy_recipe(out, batch_size=4))
    except InputError as error:
        (Path(out) / f"told-{rank}").write_text(str(error))


def train_in_turn(*runs: dict, ports: tuple[int, ...] = (), stalls_at: int | None = None) -> None:
    """Trainings with these settings of `toy_recipe`, one after the other, in a process of their own.

    Args:
        runs: The settings of each.
        ports: Where the processes of each run meet.
        stalls_at: Of which step the checkpoint is never finished.
    """
    if stalls_at is not None:
        stall_while_writing(stalls_at)
    for number, settings in enumerate(runs):
        AcceleratorState._reset_state(reset_partial_state=True)
        if ports:
            os.environ["MASTER_PORT"] = str(ports[number])
        train(toy_recipe(**settings))
