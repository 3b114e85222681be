"""`lavida models`: assemble a model of pretrained checkpoints, merge and share what LoRA has learnt."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lavida.cli.options import print_help
from lavida.errors import InputError, first_line, need
from lavida.terminal import print_result

models = typer.Typer(help="Models: put together of checkpoints, merged with an adapter, shared, exported.")


models.callback(invoke_without_command=True)(print_help)


@models.command("list")
def list_command() -> None:
    """List the presets with their parts, and the architectures that a model can be built of."""
    from lavida.checkpoints.assemble import PARTS, SUPPORTED
    from lavida.checkpoints.presets import PRETRAINED

    print_result("nano\n  embedded, ready to use")
    for name, preset in PRETRAINED.items():
        print_result("\n".join([name, *(f"  {part:<7} {getattr(preset, part)}" for part in PARTS)]))
    print_result("supported")
    for part, kinds in SUPPORTED.items():
        print_result(f"  {part:<7} {', '.join(kinds)}")


@models.command()
def build(
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    preset: Annotated[str | None, typer.Argument(help="small or paper: where the parts come from by default.")] = None,
    mllm: Annotated[str | None, typer.Option(help="Hub id or folder of the multimodal language model.")] = None,
    vision: Annotated[str | None, typer.Option(help="Hub id or folder of SAM 2.")] = None,
    text: Annotated[str | None, typer.Option(help="Hub id or folder of CLIP or a BERT sentence encoder.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the language model: auto (as stored), bfloat16, float16, float32.")] = (
        "auto"
    ),
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the configuration: key=value; repeat for more.")
    ] = None,
) -> None:
    """Put pretrained checkpoints together to one model that train, detect, eval and scan take as --model."""
    import torch

    from lavida.checkpoints.assemble import assemble, check_settings
    from lavida.checkpoints.pretrained import is_saved_model
    from lavida.files import atomic_folder, check_target

    check_target(out, replaces=is_saved_model)
    sources, changes = _sources(preset, {"mllm": mllm, "vision": vision, "text": text})
    torch.manual_seed(0)  # of the new parts: the same command gives the same model
    changes |= _key_values(settings or [])
    check_settings(changes)
    model = assemble(sources, dtype=dtype, **changes)
    with atomic_folder(out, replaces=is_saved_model) as partial:
        model.save_pretrained(partial, max_shard_size="5GB")
    count = sum(weight.numel() for weight in model.parameters())
    print_result(f"model saved in {out}: {count:,} parameters, the language model in {model.config.mllm_dtype}")
    recipe = "configs/small.yaml" if preset == "small" else "configs/paper.yaml"
    print_result(
        f"its projector is untrained and finds nothing yet: lavida train {recipe} model.start={out} data.root=DIR"
    )


@models.command()
def share(
    model: Annotated[Path, typer.Argument(help="Folder of a model that `lavida train` saved with LoRA.")],
    out: Annotated[Path, typer.Option(help="Folder for the adapter: what was trained, without the base.")],
) -> None:
    """Write what a training with LoRA has changed, a small part of the model, in peft's format."""
    from lavida.training.adapter import share_adapter

    size = share_adapter(model, out)
    print_result(f"adapter saved in {out}: {size / 2**20:,.1f} MiB; lavida models merge {out} --base DIR --out DIR")


@models.command()
def merge(
    adapter: Annotated[str, typer.Argument(help="Folder or hub id of an adapter.")],
    base: Annotated[str, typer.Option(help="Folder or hub id of the model it was trained from.")],
    out: Annotated[Path, typer.Option(help="Folder for the merged model.")],
) -> None:
    """Put an adapter and its base together to one model."""
    from lavida.training.adapter import merge_adapter

    merge_adapter(adapter, base=base, out=out)
    print_result(f"model saved in {out}")


@models.command()
def export(
    model: Annotated[str, typer.Argument(help="nano, or the folder or hub id of a saved model.")],
    out: Annotated[Path, typer.Option(help="Folder for the exported model.")],
    clip: Annotated[
        Path | None, typer.Option(help="A video on which both are compared; by default on made-up frames.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Weights with half of the bytes, computed in float32.")] = False,
) -> None:
    """Write a model as graphs that detect, scan and eval run without PyTorch, and compare both."""
    from lavida.files import atomic_folder, check_target
    from lavida.runtime.manifest import Manifest, replaceable

    need("torch", "an export needs it", extra="export")
    from lavida.graphs.writing import check_installed, export_model

    check_target(out, replaces=replaceable)
    check_installed()
    from lavida.checkpoints.pretrained import LavidaModel
    from lavida.loading import model_folder

    folder = model_folder(model)
    loaded = LavidaModel.from_pretrained(folder)
    with atomic_folder(out, replaces=replaceable) as partial:
        export_model(loaded, folder, partial, half=half)
        lines = _compared(loaded, partial, clip, half=half)
        size = Manifest.read(partial).size
    print_result(f"model exported to {out}: {size / 2**20:,.0f} MiB; lavida detect ... --model {out}")
    print_result("\n".join(lines))


def _compared(model: Any, folder: Path, clip: Path | None, *, half: bool) -> list[str]:
    """A line for each runtime that is installed; raises InputError if one says something else than PyTorch."""
    from lavida.graphs.comparing import MOST, MOST_HALF, compare
    from lavida.runtime.exported import ExportedModel
    from lavida.runtime.session import installed

    where = "made-up frames" if clip is None else clip.name
    lines = []
    for runtime in installed():
        exported = ExportedModel(folder, runtime=runtime, keeps=False)  # the folder will have another name
        differences = compare(model, exported, source=clip, most=MOST_HALF if half else MOST)
        most = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
        lines.append(f"  {exported.graphs.name} against PyTorch on {where}, largest differences: {most}")
    return lines or ["  not compared: neither onnxruntime nor openvino is installed"]


def _sources(preset: str | None, given: dict[str, str | None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Where the parts come from, and the preset's settings."""
    from lavida.checkpoints.presets import PRETRAINED

    if preset is not None and preset not in PRETRAINED:
        raise InputError(
            f"unknown preset {preset}: choose one of {', '.join(PRETRAINED)}, or give --mllm and the others"
        )
    default = {} if preset is None else PRETRAINED[preset].sources
    sources = default | {part: source for part, source in given.items() if source is not None}
    if missing := [part for part in given if part not in sources]:
        choices = " or ".join(PRETRAINED)
        raise InputError(f"--{missing[0]} is missing: give a folder or a hub id, or a preset, {choices}")
    return sources, {} if preset is None else PRETRAINED[preset].settings


def _key_values(settings: list[str]) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if wrong := [setting for setting in settings if "=" not in setting]:
        raise InputError(f"--set {wrong[0]}: write key=value, for example --set alignment=true")
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist(settings))
    except (OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"--set {' '.join(settings)}: {first_line(error)}") from error
