"""Options that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lavida.errors import InputError
from lavida.terminal import print_result

AnomalyOption = Annotated[
    list[str], typer.Option("--anomaly", "-a", help="What counts as abnormal, in words; repeat for more.")
]
ModelOption = Annotated[str, typer.Option(help="nano, the folder of a saved or exported model, or a hub id.")]
RuntimeOption = Annotated[str, typer.Option(help="auto, torch, or for an exported model onnx, openvino.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
StrideOption = Annotated[
    int | None, typer.Option(help="Analyse every N-th frame and the last; default: at least 5 a second.")
]
ThresholdOption = Annotated[float | None, typer.Option(help="Score from which a frame is abnormal, 0 to 1.")]
ProfileOption = Annotated[Path | None, typer.Option(help="What lavida calibrate has learnt of this camera.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes that work; default: 1, with --ray what the cluster has room for.")
]
RayOption = Annotated[str | None, typer.Option(help="local, or the address of a Ray cluster.")]
ProtocolOption = Annotated[str, typer.Option(help="standard or lavida-upstream.")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a choice of the protocol: key=value; repeat for more.")
]
MotionOption = Annotated[bool, typer.Option("--motion/--no-motion", help="Let the model see what moves.")]
SmoothingOption = Annotated[
    bool, typer.Option("--smoothing/--no-smoothing", help="Let neighbouring frames of a steady scene have a say.")
]
BenchmarkRoot = Annotated[Path | None, typer.Option(help="The benchmark's folder.")]


def refuse(given: Mapping[str, object], why: str) -> None:
    """Raise InputError that names those of the options that were given, as nothing here asks for them."""
    if wrong := [option for option, value in given.items() if value]:
        raise InputError(f"{', '.join(wrong)}: {why}; leave {'it' if len(wrong) == 1 else 'them'} out")


def print_help(context: typer.Context) -> None:
    """Print the help where no command follows."""
    if context.invoked_subcommand is None:
        print_result(context.get_help())
