"""Shared fixtures: the optional data kit and tiny models."""

import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: as many processes as cores want a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def kit() -> Path:
    """The development data kit: `$LAVIDA_KIT`, or `shared/data` beside the checkout. Skips when it is absent."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    root = Path(os.environ.get("LAVIDA_KIT") or beside)
    if not (root / "README.md").is_file():
        pytest.skip("the data kit is not here (set LAVIDA_KIT to its folder)")
    return root


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved `LavidaModel` of toy size with random weights, all its parts in the folder."""
    from tiny import tiny_lavida  # slow to import: only for those who need it

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_lavida().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def remembered_load() -> Callable:
    """`lavida.load`, which reads each model once and hands it out again."""
    import lavida

    return cache(lavida.load)


@pytest.fixture
def loads_once(remembered_load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this test take models that others have loaded before, for the same arguments."""
    monkeypatch.setattr("lavida.detector.load", remembered_load)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 100 KB; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)
