"""`lavida train`: train, look at what would be trained, or start several processes."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lavida.console import tell
from lavida.training.recipe import load_recipe


def train_command(
    recipe: Path, overrides: Sequence[str], *, resume: bool, dry_run: bool = False, launch: Path | None = None
) -> None:
    """Raises InputError for a recipe, data, weights or packages that are not there."""
    loaded = load_recipe(recipe, overrides)  # before other processes are started, which would all complain
    if dry_run:
        from lavida.training.dry_run import dry_run as look

        outlook = look(loaded)
        Console().print(*outlook.tables())
        outlook.check()
    elif launch is not None:
        from lavida.training.check import check_data, check_training
        from lavida.training.launch import launch as become

        check_training(loaded, resume=resume)
        check_data(loaded)
        become(launch, ["train", str(recipe), *overrides, *([] if resume else ["--no-resume"])])
    else:
        from lavida.training.loop import train

        tell(f"model saved in {train(loaded, resume=resume)}")
