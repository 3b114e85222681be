"""Where weights are: in a folder, on the hub or in its cache here, in an installed package; whether they are whole."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, but not in its __all__
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn
from transformers.utils import logging as transformers_logging

from lavida.checkpoints.packages import packaged_file
from lavida.errors import InputError
from lavida.files import EXPORTED, MANIFEST, sha256
from lavida.model.backbone import EfficientNetLiteBackbone

_log = logging.getLogger(__name__)

ANSWER_WITHIN = 5.0  # seconds until the hub counts as out of reach
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CONFIG = "config.json"
TEXTS = ("*.json", "*.jinja", "*.txt", "*.model", "README.md")
SAFE, PICKLED = "*.safetensors", "*.bin"  # kinds of weight files; the second only where the first is not offered
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first of them, else its index, is what transformers loads
# weights and index of a saved model, whatever the number of their files
WEIGHT_FILES = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")


def weights_fault(folder: Path) -> str | None:
    """What keeps the weights in `folder` from being loaded, in a few words; only names and sizes are looked at."""
    if not (folder / CONFIG).is_file():
        return f"{CONFIG} is missing"
    offered = (place for name in WEIGHTS for place in (folder / name, folder / f"{name}.index.json"))
    if (first := next((path for path in offered if path.is_file()), None)) is None:
        return f"{WEIGHTS[0]} is missing"
    names = [first.name]
    if first.name not in WEIGHTS:
        try:
            names = sorted(set(json.loads(first.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            return f"{first.name} cannot be read"
    for name in names:
        if not (folder / name).is_file():
            return f"{name} is missing"
        if name.endswith(".safetensors") and _cut_short(folder / name):
            return f"{name} is damaged or cut short"
    return None


def find(
    source: str | Path,
    *,
    what: str = "model",
    give: str = "a folder or a hub id",
    whole: Callable[[Path], str | None] = weights_fault,
    revision: str | None = None,
    token: bool | str | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """The folder that holds `source`.

    Args:
        source: A folder, or a hub id such as `Qwen/Qwen2-VL-2B-Instruct`: downloaded into the hub's cache unless it
            is there. When the hub cannot be reached, a copy in the cache is used, which is logged.
        what: How messages call it.
        give: What messages advise.
        whole: Says what is missing in a copy from the cache, None for nothing.
        revision: A branch, tag or commit on the hub; by default its main branch.
        token: For what the hub does not give to everybody; by default the one of `hf auth login`.
        cache_dir: Instead of the hub's usual cache.

    Raises:
        InputError: there is neither such a folder nor such a hub id, or the hub cannot be reached and no whole copy
            is in the cache.
    """
    try:
        folder = Path(os.path.expanduser(source))  # os.path, because no path is too odd for it
    except TypeError as error:  # of a value in a recipe or a program
        raise InputError(f"no such {what}: {source!r}; give {give}") from error
    if os.path.isdir(folder):
        return folder
    hub_id = str(source)
    if not _is_hub_id(hub_id):
        raise InputError(f"no such {what}: {source}; give {give}")
    api = HfApi(token=token)
    place: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
    why, mend = _out_of_reach(api, hub_id, revision, what=what, give=give)
    if why is None:
        return _download(api, hub_id, **place)
    try:
        copy = Path(snapshot_download(hub_id, local_files_only=True, **place))
    except LocalEntryNotFoundError as error:
        if (partial := getattr(error, "snapshot_path", None)) is None:  # where newer clients say that it is
            line = f"{source} is no folder, {why}, and no copy of it is in the hub's cache here; {mend}"
            raise InputError(line) from error
        copy = Path(partial)
    if fault := whole(copy):
        raise InputError(f"{why}, and the copy of {source} in its cache is incomplete ({fault}); {mend}")
    _log.warning("%s", f"{why}: using the copy of {source} in its cache")
    return copy


def _is_hub_id(source: str) -> bool:
    try:
        validate_repo_id(source)
    except HFValidationError:
        return False
    return HUB_ID.fullmatch(source) is not None


def read_config(folder: Path, *, what: str = "model", give: str, mend: str = "copy it again") -> dict[str, Any]:
    """What `config.json` of a checkpoint holds.

    Raises:
        InputError: there is none, or it cannot be read; calls it `what`, and advises to `give` or to `mend`.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not an object")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        if (folder / MANIFEST).is_file():
            line = f"{folder} is an exported {what}, which can only be asked; give the one that it was made from"
            raise InputError(line) from None
        raise InputError(f"no {what} in {folder}: {CONFIG} is missing; give {give}") from None
    except OSError as error:
        raise InputError(f"the {what} in {folder} cannot be read: {error.strerror}; check its permissions") from error
    except ValueError as error:
        raise InputError(f"damaged {what} in {folder}: {CONFIG} cannot be read; {mend}") from error
    return config


def check_weights(folder: Path, *, what: str = "model") -> None:
    """Raise InputError unless `folder` holds weights of which no file is missing or cut short; nothing is read."""
    if fault := weights_fault(folder):
        raise InputError(f"the {what} in {folder} cannot be used: {fault}; copy or download it again")


def _out_of_reach(api: HfApi, hub_id: str, revision: str | None, *, what: str, give: str) -> tuple[str | None, str]:
    """Why `hub_id` cannot be had from the hub now, None if it can; and what to do about it."""
    try:
        api.model_info(hub_id, revision=revision, timeout=ANSWER_WITHIN)
    except GatedRepoError:
        return (
            "the hub gives it only to those who accepted its terms",
            "accept them on its page and run `hf auth login`",
        )
    except RevisionNotFoundError:
        return f"the hub has no revision {revision} of it", "give one of its branches, tags or commits"
    except RepositoryNotFoundError:  # or one that only others may see
        return f"the hub has no such {what}", f"give {give}"
    except OfflineModeIsEnabled:
        return "the hub is switched off by HF_HUB_OFFLINE", "unset it, or give a folder"
    except Exception:  # HTTP libraries raise many types, which differ between versions of the hub's client
        return "the hub cannot be reached", "try again with a connection, or give a folder"
    return None, ""


def _download(api: HfApi, hub_id: str, **place: Any) -> Path:
    try:
        files = api.list_repo_files(hub_id, revision=place["revision"])
        # where both kinds are offered, the pickled one is a second copy; so are a repository's other formats
        kind = SAFE if any(name.endswith(".safetensors") for name in files) else PICKLED
        wanted = [*TEXTS, kind, f"{EXPORTED}/*"]  # of an export all: graphs are in files of other kinds
        return Path(snapshot_download(hub_id, allow_patterns=wanted, etag_timeout=ANSWER_WITHIN, **place))
    except Exception as error:  # as above
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, which the command line tells
            raise
        line = f"the hub stopped answering while {hub_id} was downloaded; run the same command to go on"
        raise InputError(line) from error


def _cut_short(path: Path) -> bool:
    try:
        with safe_open(path, "pt"):
            return False
    except (SafetensorError, OSError):
        return True


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bar and no warning from transformers: what matters to the user is raised as one line."""
    logging = transformers_logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """Weights that training did not change and that stay in the registry package that carries them.

    An entry of `LavidaConfig.frozen_parts`: the dotted path of a `module` in `LavidaModel`, the `package` and its
    `file` where the weights lie, and the `sha256` of that file.
    """

    module: str
    package: str
    file: str
    sha256: str

    def load_into(self, model: nn.Module) -> None:
        """Fill `model.<module>` and freeze it. Raises InputError if the package or its file is not the right one."""
        path = packaged_file(self.package, self.file)
        if _sha256(path) != self.sha256:
            raise InputError(
                f"weights of {self.module}: {self.package}/{self.file} is not the file this model was made with; "
                f"install the package version named in the model card"
            )
        try:
            part = model.get_submodule(self.module)
        except AttributeError as error:
            raise InputError(f"frozen_parts in the model's config: it has no module {self.module}") from error
        if isinstance(part, EfficientNetLiteBackbone):
            part.load_unfolded(torch.load(path, map_location="cpu", weights_only=True))
        else:
            part.load_state_dict(load_file(path), strict=False)
        part.requires_grad_(False)


def packaged_weights(module: str, package: str, file: str) -> dict[str, str]:
    """The entry of `LavidaConfig.frozen_parts` for a file as it lies on this machine."""
    return {"module": module, "package": package, "file": file, "sha256": _sha256(packaged_file(package, file))}


_sha256 = cache(sha256)
