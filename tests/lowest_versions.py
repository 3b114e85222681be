"""Print the lowest versions that pyproject.toml allows, as a constraints file of pip (`pip install -c FILE`)."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
KEPT = "torch"  # each release is large, and brings its own CUDA
UNTESTED = ("deepspeed", "demo")


def lowest() -> list[str]:
    """`name==version` of every dependency that the package, its extras and its tests ask for, but torch."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    extras = [lines for name, lines in project["optional-dependencies"].items() if name not in UNTESTED]
    asked = {line for lines in [project["dependencies"], *extras] for line in lines if not line.startswith("lavida[")}
    bounds = [re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", line).groups() for line in sorted(asked)]
    return [f"{name}=={version}" for name, version in bounds if name != KEPT]


if __name__ == "__main__":
    print(*lowest(), sep="\n")
