"""From a model's name to a detector: where the model is, and which runtime asks it."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavida.detector import Detector
from lavida.errors import InputError, need
from lavida.files import EMBEDDED, EXPORTED, MANIFEST, NANO, embedded, fingerprint
from lavida.runtime.manifest import Manifest
from lavida.runtime.session import installed

if TYPE_CHECKING:
    import torch

RUNTIMES = ("auto", "torch", "onnx", "openvino")


def load(
    model: str | Path = "nano",
    *,
    device: str | torch.device = "auto",
    runtime: str = "auto",
    revision: str | None = None,
    token: bool | str | None = None,
    cache_dir: str | Path | None = None,
    wait: bool = True,
) -> Detector:
    """Load a detector.

    Args:
        model: `nano` (embedded), the folder of a saved or of an exported model, or a hub id.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or a `torch.device`.
        runtime: `torch`, or for an exported model, `onnx` or `openvino`; `auto` takes an export where there is one, as
            `nano` and any model with its export in a folder `exported` bring it, and PyTorch where there is none, a GPU
            is in sight, or the model has changed since.
        revision: A branch, tag or commit on the hub; by default its main branch.
        token: For what the hub does not give to everybody; by default the one of `hf auth login`.
        cache_dir: Instead of the hub's usual cache.
        wait: False: of an exported model graphs are still being opened, and one that cannot be read is told when it is
            asked.

    Raises:
        InputError: There is no such model or device, or the runtime cannot run it.

    Example:
        >>> import lavida
        >>> lavida.load("nano").name
        'nano'
    """
    device = str(device)  # PyTorch's own kind of devices says the same
    folder = model_folder(model, revision=revision, token=token, cache_dir=cache_dir)
    exported = exported_folder(folder, name=str(model), runtime=runtime, device=device)
    if exported is not None:
        from lavida.runtime.exported import ExportedModel

        found = ExportedModel(exported, runtime=runtime, precision="auto")
        if wait:
            found.graphs.ready()
        return Detector(found, name=str(model))
    need("torch", "this model runs in PyTorch")
    from lavida.checkpoints.pretrained import LavidaModel
    from lavida.device import choose_device

    chosen = choose_device(device)  # before the long part
    detector = Detector.of(LavidaModel.from_pretrained(folder), name=str(model), device=chosen)
    detector.backend.prepare()
    return detector


def model_folder(model: str | Path, **place: Any) -> Path:
    """Where a model is that `load` takes; `place`: as `find` takes it. Raises InputError if it is nowhere."""
    if str(model) != NANO:
        if isinstance(model, str | Path) and is_exported(folder := Path(os.path.expanduser(model))):
            return folder
        need("torch", f"{model} is no exported model, and PyTorch runs it")
        from lavida.checkpoints.pretrained import saved_folder

        return saved_folder(model, **place)
    return embedded()


def exported_folder(folder: Path, *, name: str, runtime: str, device: str) -> Path | None:
    """Where the export is that runs; None: PyTorch runs the model. Raises InputError if neither can."""
    if runtime not in RUNTIMES:
        raise InputError(f"unknown runtime {runtime}: choose {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}")
    on_cpu = device in ("auto", "cpu", "cpu:0")
    if is_exported(folder):
        if runtime == "torch":
            raise InputError(
                f"{name} is an exported model, which PyTorch does not run: give the model that it was made "
                "from, or for detection leave --runtime torch out"
            )
        if not on_cpu:
            raise InputError(f"{name} is an exported model, which runs on the CPU: leave --device {device} out")
        return folder
    beside = folder / EXPORTED
    if runtime == "torch" or not is_exported(beside):
        if runtime in ("auto", "torch"):
            return None
        export = f"lavida models export {name} --out DIR"
        raise InputError(f"--runtime {runtime} runs exported models, {name} is none: {export}, then --model DIR")
    if runtime != "auto":
        if not on_cpu:
            raise InputError(f"--runtime {runtime} runs on the CPU: leave --device {device} out, or the runtime")
        if not _is_of(beside, folder):
            mend = f"lavida models export {name} --out {beside}"
            raise InputError(f"{beside} is an export of other weights than those in {folder}; export it again: {mend}")
        return beside
    takes_gpu = not on_cpu or (device == "auto" and _gpu_in_sight())
    return beside if installed() and not takes_gpu and _is_of(beside, folder) else None


def is_exported(folder: Path) -> bool:
    """Whether `lavida models export` wrote it, damaged or not."""
    return os.path.isfile(folder / MANIFEST) and not os.path.isfile(folder / "config.json")  # for odd paths, too


def _is_of(exported: Path, folder: Path) -> bool:
    """Whether it was exported from the model in `folder` as it is now; of the embedded one a test says so.

    Raises InputError as `Manifest.read`.
    """
    return folder == EMBEDDED or Manifest.read(exported).content.get("source_sha256") == fingerprint(folder)


def _gpu_in_sight() -> bool:
    """Asking PyTorch would take seconds; NVIDIA's driver brings this program. Without PyTorch no GPU helps."""
    return shutil.which("nvidia-smi") is not None and find_spec("torch") is not None
