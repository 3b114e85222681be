"""`lavida train`: train, look at what would be trained, or start several processes."""

from pathlib import Path
from typing import Annotated

import typer

from lavida.terminal import print_result, progress_bars


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe such as configs/nano.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, for example train.steps=100.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in the output folder.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show model, memory and data, and stop.")] = False,
    launch: Annotated[
        Path | None, typer.Option(help="Start several processes by a file such as configs/accelerate/ddp.yaml.")
    ] = None,
) -> None:
    """Train by anomaly exposure."""
    from lavida.training.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())  # before other processes are started, which would all complain
    if dry_run:
        from rich.console import Console

        from lavida.training.dry_run import dry_run as plan

        planned = plan(loaded)
        Console().print(*planned.tables())
        planned.check()
    elif launch is not None:
        from lavida.training.start import check_data, check_training, launch_processes

        check_training(loaded, resume=resume)
        check_data(loaded.data)
        launch_processes(launch, ["train", str(recipe), *(overrides or ()), *([] if resume else ["--no-resume"])])
    else:
        from lavida.training.loop import train as train_model

        with progress_bars() as progress:
            folder = train_model(loaded, resume=resume, progress=progress)
        print_result(f"model saved in {folder}")
