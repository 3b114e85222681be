"""`lavida ablate`: the rows of an ablation, trained and measured, and its tables."""

from collections.abc import Sequence
from pathlib import Path

from lavida.ablations import ablate
from lavida.console import complain, tell


def ablate_command(
    name: str,
    *,
    overrides: Sequence[str],
    root: Path,
    out: Path,
    recipe: Path,
    seeds: int,
    row_seeds: int,
    rows: str | None,
    pictures: int,
    ped2: Path | None,
) -> None:
    """Run the ablation, say on stderr what is being trained, and print the tables. Raises InputError."""
    tables = ablate(
        name,
        root=root,
        out=out,
        recipe=recipe,
        overrides=overrides,
        seeds=seeds,
        row_seeds=row_seeds,
        rows=None if rows is None else [row.strip() for row in rows.split(",") if row.strip()],
        pictures=pictures,
        ped2=ped2,
        say=complain,
    )
    for table in tables:
        tell(table.read_text(encoding="utf-8"))
        tell(f"Files: {table}, {table.with_suffix('.json').name}, {table.with_suffix('.png').name}\n")
