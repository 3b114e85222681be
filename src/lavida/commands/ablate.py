"""`lavida ablate`: the rows of an ablation, trained and measured, and its tables."""

from collections.abc import Sequence
from pathlib import Path

from lavida.commands.bars import progress_bars
from lavida.console import tell
from lavida.detector import load
from lavida.errors import InputError
from lavida.evaluation import PROTOCOLS, open_benchmark
from lavida.paper.ablations import ablate
from lavida.paper.ablations.trained import ablate_trained


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
    with progress_bars() as progress:
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
            progress=progress,
        )
    for table in tables:
        _print_table(table)


def ablate_benchmark_command(
    name: str,
    *,
    benchmark: str,
    root: Path,
    model: str,
    out: Path,
    protocol: str,
    settings: Sequence[str],
    videos: str | None,
    device: str,
) -> None:
    """Change a trained model at inference, measure it on a benchmark, and print the table. Raises InputError."""
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol}: choose {', '.join(PROTOCOLS)}")
    opened = open_benchmark(benchmark, root)
    detector = load(model, device=device)
    with progress_bars() as progress:
        table = ablate_trained(
            name,
            benchmark=opened,
            detector=detector,
            out=out,
            protocol=PROTOCOLS[protocol].on(opened.name).changed(settings),
            videos=videos,
            progress=progress,
        )
    _print_table(table)


def _print_table(table: Path) -> None:
    tell(table.read_text(encoding="utf-8"))
    tell(f"Files: {table}, {table.with_suffix('.json').name}, {table.with_suffix('.png').name}\n")
