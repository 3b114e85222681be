"""Shared fixtures: the optional data kit and tiny models."""

import gc
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: as many processes as cores want a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PROCESS_BYTES = 3 << 30  # a test process takes half of it, and what it begins


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: two processes a core where there is room, as a third of the tests wait for servers and cameras.

    One more than cores where those are left out: each spends as long on its imports as on a fifth of the tests.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not hasattr(os, "sysconf"):
        return cores
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // PROCESS_BYTES
    return max(1, min(cores + 1 if config.option.markexpr == "not slow" else 2 * cores, room))


def pytest_collection_finish() -> None:
    """What is imported stays: the garbage collector need not look at all of it again and again, nor forks copy it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kit() -> Path:
    """The development data kit: `$LAVIDA_KIT`, or `shared/data` beside the checkout. Skips when it is absent."""
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    root = Path(os.environ.get("LAVIDA_KIT") or beside)
    if not (root / "README.md").is_file():
        pytest.skip("the data kit is not here (set LAVIDA_KIT to its folder)")
    return root


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, fill)`: a folder that only the first of all test processes fills; nobody changes it then."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made-once"
    shared.mkdir(exist_ok=True)

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):  # the others wait
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one who failed
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def tiny_model_dir(made_once) -> Path:
    """A saved `LavidaModel` of toy size with random weights, all its parts in the folder."""

    def save(folder: Path) -> None:
        from tiny import tiny_lavida  # slow to import: only for those who need it

        tiny_lavida().save_pretrained(folder / "tiny")

    return made_once("tiny-model", save) / "tiny"


@pytest.fixture(scope="session")
def scene_bank(kit: Path, made_once):
    """The cut-outs of the kit's held-out sets; all its pictures are read for them."""
    from lavida.evaluation.held_out.questions import scene_bank

    folder = made_once("scene-bank", lambda folder: (folder / "bank").write_bytes(pickle.dumps(scene_bank(kit))))
    return pickle.loads((folder / "bank").read_bytes())


@pytest.fixture
def known_bank(scene_bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving scenes of this test are made of cut-outs that another process may have read."""
    for module in ("questions", "qualifier_pairs"):
        monkeypatch.setattr(f"lavida.evaluation.held_out.{module}.scene_bank", lambda root: scene_bank)


@pytest.fixture(scope="session")
def remembered_load() -> Callable:
    """`lavida.load`, which reads each model once and hands it out again."""
    import lavida

    return cache(lavida.load)


@pytest.fixture
def loads_once(remembered_load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this test take models that others have loaded before, for the same arguments."""
    monkeypatch.setattr("lavida.loading.load", remembered_load)


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
