"""What is handed out: a source archive is built, a wheel from it, and the wheel is installed and asked."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

import lavida

pytest.importorskip("build")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
LARGE = 100_000  # bytes
NEEDED = "pyproject.toml", "README.md", "LICENSE"
PLACES = "import json, lavida, os; print(json.dumps([lavida.__version__, os.path.dirname(lavida.__file__)]))"


def run(*command: object) -> str:
    """The output of a program that sees nothing of this checkout."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def files_of(folder: Path) -> set[str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source archive and the wheel that is made of it, by the tools of this environment."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"  # builds leave things beside what they build
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in NEEDED:
        shutil.copy(ROOT / name, source)
    for path in (source / "src").rglob("*"):  # to pack 80 MB of weights twice takes most of the time
        if path.is_file() and path.stat().st_size > LARGE:
            os.truncate(path, LARGE)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    return folder


@pytest.fixture(scope="module")
def installed(built) -> dict[str, str]:
    """The paths of a new environment with the wheel, for which the packages of this one are there, too."""
    base = str(built / "environment")
    venv.create(base, with_pip=False)
    paths = sysconfig.get_paths("venv", vars={"base": base, "platbase": base})
    # a line of a .pth file is a folder to import from; the .pth files in that folder are not read, so not our checkout
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(paths["purelib"], "of_this_environment.pth").write_text("\n".join(sorted(here)))
    python = shutil.which("python", path=paths["scripts"])
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    return paths | {"python": python}


def test_the_installed_wheel_says_its_version_and_runs_from_its_own_place(installed):
    version, place = json.loads(run(installed["python"], "-c", PLACES))
    assert version == lavida.__version__ and Path(place) == Path(installed["purelib"], "lavida")
    assert run(shutil.which("lavida", path=installed["scripts"]), "--version") == f"lavida {version}"


def test_weights_words_types_and_letters_travel_with_the_wheel(installed):
    carried = files_of(Path(installed["purelib"], "lavida"))
    assert carried == files_of(ROOT / "src" / "lavida")
    assert {"py.typed", "weights/nano/model.safetensors", "exposure/vocabulary.json"} <= carried
    assert {"export/fonts/DejaVuSans.ttf", "export/fonts/LICENSE_DEJAVU"} <= carried


def test_the_source_archive_has_what_it_is_built_of_and_its_licence(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        names = {name.partition("/")[2] for name in members.getnames()}
    assert {*NEEDED, *(f"src/lavida/{name}" for name in files_of(ROOT / "src" / "lavida"))} <= names
