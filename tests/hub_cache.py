"""A hub's cache as its client leaves it, and a hub that nobody answers for."""

import hashlib
import shutil
from pathlib import Path

import pytest

NOBODY = "http://127.0.0.1:9"  # the port is closed: refused at once


def use_cache(root: Path, patch: pytest.MonkeyPatch, *, offline: bool = False) -> None:
    """Let the hub's client look into `root` and, unless `offline`, ask where nobody answers."""
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    patch.setattr("huggingface_hub.constants.ENDPOINT", NOBODY)
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)


def put_into_cache(root: Path, hub_id: str, folder: Path, *, revision: str = "main") -> Path:
    """The snapshot of `hub_id` at a branch, a copy of `folder`."""
    repository = root / f"models--{hub_id.replace('/', '--')}"
    commit = hashlib.sha1(revision.encode()).hexdigest()
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / revision).write_text(commit)
    return Path(shutil.copytree(folder, repository / "snapshots" / commit))
