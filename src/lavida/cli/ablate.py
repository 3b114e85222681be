"""`lavida ablate`: rows that are trained and measured; `lavida ablate-trained`: one model with parts switched off."""

from pathlib import Path
from typing import Annotated

import typer

from lavida.cli.options import BenchmarkRoot, DeviceOption, ModelOption, ProtocolOption, SettingsOption, refuse
from lavida.errors import InputError, unknown
from lavida.terminal import print_result, progress_bars
from lavida.waiting import wait_as_usual

SEEDS, ROW_SEEDS, PICTURES = 2, 1, 100
OutOption = Annotated[Path, typer.Option(help="Folder for the runs and the tables; the same command goes on in it.")]
VideosOption = Annotated[str | None, typer.Option(help="Only the benchmark's videos that match this pattern.")]


def ablate(
    name: Annotated[
        str,
        typer.Argument(
            help="max-categories, projector, queries, compression, components, all (of these), ingredients."
        ),
    ],
    out: OutOption,
    root: Annotated[
        Path | None, typer.Option(help="The data sets, for training and for the held-out exposure test.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value of the recipe, for every row.")] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="The default row, with the budget; by default configs/ablation.yaml or ingredients.yaml."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of the default row, whose spread is the noise.")] = SEEDS,
    row_seeds: Annotated[int, typer.Option(help="Seeds of every other row.")] = ROW_SEEDS,
    rows: Annotated[str | None, typer.Option(help="Train only these rows: NAME,NAME.")] = None,
    pictures: Annotated[int, typer.Option(help="At most so many held-out pictures of a set.")] = PICTURES,
    ped2: Annotated[Path | None, typer.Option(help="Also measure on UCSD Ped2 in this folder.")] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Train nothing: as `lavida ablate-trained` with this benchmark.")
    ] = None,
    benchmark_root: BenchmarkRoot = None,
    model: ModelOption = "nano",
    protocol: ProtocolOption = "standard",
    settings: SettingsOption = None,
    videos: VideosOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Compare short trainings that differ in one thing, or one trained model with parts switched off."""
    of_trained = {
        "--benchmark-root": benchmark_root, "--model": model != "nano", "--protocol": protocol != "standard",
        "--set": settings, "--videos": videos, "--device": device != "auto",
    }  # fmt: skip
    if benchmark is not None:
        of_training = {
            " ".join(overrides or ()): overrides, "--root": root, "--recipe": recipe, "--rows": rows, "--ped2": ped2,
            "--seeds": seeds != SEEDS, "--row-seeds": row_seeds != ROW_SEEDS, "--pictures": pictures != PICTURES,
        }  # fmt: skip
        refuse(of_training, "with --benchmark nothing is trained")
        if benchmark_root is None:
            raise InputError(f"--benchmark {benchmark} needs --benchmark-root DIR, its folder")
        return ablate_trained(name, benchmark, benchmark_root, out, model, protocol, settings, videos, device)
    refuse(of_trained, "without --benchmark, rows are trained and no model is measured")
    if root is None:
        raise InputError("--root DIR is missing: the data sets to train on; or give --benchmark with --benchmark-root")
    wait_as_usual()  # for training, and before torch
    from lavida.paper.ablations import ablate as train_rows

    with progress_bars() as progress:
        tables = train_rows(
            name,
            root=root,
            out=out,
            recipe=recipe,
            overrides=overrides or (),
            seeds=seeds,
            row_seeds=row_seeds,
            rows=None if rows is None else [row.strip() for row in rows.split(",") if row.strip()],
            pictures=pictures,
            ped2=ped2,
            progress=progress,
        )
    for table in tables:
        _print_table(table)


def ablate_trained(
    name: Annotated[str, typer.Argument(help="compression or components.")],
    benchmark: Annotated[str, typer.Option(help="What is measured on.")],
    root: Annotated[Path, typer.Option(help="The benchmark's folder.")],
    out: OutOption,
    model: ModelOption = "nano",
    protocol: ProtocolOption = "standard",
    settings: SettingsOption = None,
    videos: VideosOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Change a trained model at inference, part by part, and measure it on a benchmark."""
    from lavida.evaluation import PROTOCOLS, open_benchmark
    from lavida.loading import load
    from lavida.paper.ablations.trained import ablate_trained as measure_rows

    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    opened = open_benchmark(benchmark, root)
    detector = load(model, device=device, runtime="torch")  # has the knobs
    with progress_bars() as progress:
        table = measure_rows(
            name,
            benchmark=opened,
            detector=detector,
            out=out,
            protocol=PROTOCOLS[protocol].on(opened.name).changed(settings or ()),
            videos=videos,
            progress=progress,
        )
    _print_table(table)


def _print_table(table: Path) -> None:
    print_result(table.read_text(encoding="utf-8"))
    print_result(f"Files: {table}, {table.with_suffix('.json').name}, {table.with_suffix('.png').name}\n")
