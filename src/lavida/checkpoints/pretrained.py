"""A `LavidaModel` on disk and on the hub. Frozen parts stay in the package that carries them."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import HfApi
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

from lavida.checkpoints.hub import (
    CONFIG,
    HUB_ID,
    WEIGHT_FILES,
    PackagedWeights,
    check_weights,
    find,
    quiet_transformers,
    read_config,
)
from lavida.errors import InputError, first_line
from lavida.files import NANO, embedded
from lavida.model.config import LavidaConfig
from lavida.model.lavida import LavidaNetwork, Parts

TOKENIZER, TEXT_TOKENIZER, PROCESSORS, CARD = "tokenizer", "text_tokenizer", "processors", "README.md"
SAVED = (CONFIG, *(f"{name}/*" for name in (TOKENIZER, TEXT_TOKENIZER, PROCESSORS)))
PUSHED = ("repo_id", "private", "token", "revision", "create_pr", "commit_message")  # arguments of `push_to_hub`
ADAPTER_CONFIG = "adapter_config.json"  # peft's name
GIVE = "nano, a saved model's folder or its hub id"
DISK_FULL = re.compile(rf"os error ({errno.ENOSPC}|{errno.EDQUOT})\b")
TORCH_WRITER = "inline_container.cc"  # fails when fewer bytes than it wrote have arrived; it says no reason
TAGS = ["lavida", "video-anomaly-detection", "zero-shot"]
UNTRAINED = (
    "**Untrained**: the projector and what stands around it are random; `lavida train` with `model.start=DIR` "
    "trains them."
)
TRAINED = "Trained by anomaly exposure on segmentation data; no video-anomaly data was used."
WHAT = {
    "mllm": "language model (Eq. 5)",
    "vision": "vision encoder and mask decoder (Eq. 6, 9)",
    "text": "text encoder",
}


def is_saved_model(folder: Path) -> bool:
    """Whether a folder holds a saved model, which checkpoints of other kinds and exports do not."""
    return (folder / CONFIG).is_file() and (folder / TEXT_TOKENIZER).is_dir()


def saved_folder(source: str | Path, **place: Any) -> Path:
    """Where a saved model is: `nano`, a folder or a hub id; `place`: as `find` takes it. Raises InputError."""
    return embedded() if str(source) == NANO else find(source, give=GIVE, **place)


class LavidaModel(LavidaNetwork):
    """The network with saving, loading and sharing.

    Attributes:
        processors: Text files of the pretrained parts that describe their preprocessing, by their place below
            `processors/`. Kept for users of those parts; lavida reads what it needs when it assembles a model.
    """

    def __init__(
        self,
        config: LavidaConfig,
        tokenizer: PreTrainedTokenizerBase,
        text_tokenizer: PreTrainedTokenizerBase,
        *,
        parts: Parts | None = None,
    ):
        super().__init__(config, tokenizer, text_tokenizer, parts=parts)
        self.processors: dict[str, str] = {}
        self._keys_to_ignore_on_load_missing = [re.escape(prefix) for prefix in self._frozen_prefixes()]

    def load_frozen_parts(self) -> None:
        """Fill the parts named in `config.frozen_parts` from their packages."""
        for part in self.config.frozen_parts:
            PackagedWeights(**part).load_into(self)
        self.text.forget()

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        weights: torch.dtype | None = None,
        push_to_hub: bool = False,
        **kwargs,
    ) -> None:
        """Write config, tokenizers, processor files, model card and the weights that no package carries.

        Weights of an earlier model in the folder are removed when the new ones are whole. Those that are held in
        float32 are written in the precision `weights`; `kwargs` are those of `PreTrainedModel.save_pretrained`, such as
        `state_dict` and `max_shard_size`; with `push_to_hub` also those of `push_to_hub`, `repo_id` by default the name
        of the folder.
        """
        folder = Path(save_directory)
        target = {"repo_id": folder.name} | {name: kwargs.pop(name) for name in PUSHED if name in kwargs}
        repository = _Repository.made(**target) if push_to_hub else None
        state = kwargs.pop("state_dict", None) or self.state_dict()
        state = {key: value for key, value in state.items() if not key.startswith(self._frozen_prefixes())}
        if weights is not None:
            state = cast(state, weights)
        folder.mkdir(parents=True, exist_ok=True)
        with quiet_transformers(), disk_errors(folder), _replacing_weights(folder) as partial:
            super().save_pretrained(partial, state_dict=state, **kwargs)
        self.semantics.tokenizer.save_pretrained(folder / TOKENIZER)
        self.text.tokenizer.save_pretrained(folder / TEXT_TOKENIZER)
        for place, text in self.processors.items():
            path = folder / PROCESSORS / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (folder / CARD).write_text(model_card(self.config), encoding="utf-8")
        if repository is not None:  # at last: transformers would send what is there before the tokenizers are
            repository.upload(folder)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        token: bool | str | None = None,
        cache_dir: str | Path | None = None,
        **kwargs,
    ) -> "LavidaModel":
        """Load what `save_pretrained` or `push_to_hub` wrote.

        The language model comes in `config.mllm_dtype`, everything else in float32; no other `dtype` is taken.

        Args:
            source: `nano`, a folder or a hub id.
            revision: A branch, tag or commit on the hub; by default its main branch.
            token: For what the hub does not give to everybody; by default the one of `hf auth login`.
            cache_dir: Instead of the hub's usual cache.
            kwargs: Of `PreTrainedModel.from_pretrained`.

        Raises:
            InputError: there is no such model, it is not a whole LAVIDA model, or another precision is asked for.

        Example:
            >>> import torch
            >>> from lavida.checkpoints.pretrained import LavidaModel
            >>> model = LavidaModel.from_pretrained("nano")  # or the folder or hub id of another
            >>> with torch.inference_mode():  # one clip of two gray frames, and what to look for in it
            ...     output = model(torch.full((1, 2, 3, 64, 96), 128, dtype=torch.uint8), [["bicycle", "smoke"]])
            >>> output.frame_logits.shape, output.category_logits.shape
            (torch.Size([1, 2]), torch.Size([1, 2, 2]))
        """
        _check_precision(kwargs)
        folder = saved_folder(source, revision=revision, token=token, cache_dir=cache_dir)
        _check_folder(folder)
        with quiet_transformers():
            model = cls._loaded(folder, **kwargs)
        return model.eval()

    @classmethod
    def _loaded(cls, folder: Path, **kwargs) -> "LavidaModel":
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, local_files_only=True)
            text_tokenizer = AutoTokenizer.from_pretrained(folder / TEXT_TOKENIZER, local_files_only=True)
            model, report = super().from_pretrained(
                folder,
                tokenizer,
                text_tokenizer,
                ignore_mismatched_sizes=True,  # told below, by name
                **(kwargs | {"dtype": torch.float32, "output_loading_info": True, "local_files_only": True}),
            )
            if wrong := sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}):
                raise InputError(
                    f"the model in {folder} lacks {len(wrong)} weights or has them in another size "
                    f"(first: {wrong[0]}); the file is incomplete or of another version"
                )
            model.load_frozen_parts()
            model.text.requires_grad_(False)  # loading gives every parameter a gradient
            texts = sorted(path for path in (folder / PROCESSORS).rglob("*") if path.is_file())
            places = {path: path.relative_to(folder / PROCESSORS).as_posix() for path in texts}
            model.processors = {place: path.read_text(encoding="utf-8") for path, place in places.items()}
        except InputError:
            raise
        except Exception as error:  # transformers and safetensors raise many types for a broken folder
            raise InputError(
                f"cannot load the model in {folder}: {first_line(error)}; "
                "its files are damaged or do not belong together, copy or train it again"
            ) from error
        return model

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: bool | str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
        max_shard_size: int | str = "5GB",
    ) -> str:
        """Put all of the model on the hub, as `transformers` does for its models; returns the address of the commit.

        A model card that is there already is left as it is.
        """
        repository = _Repository.made(
            repo_id,
            private=private,
            token=token,
            revision=revision,
            create_pr=create_pr,
            commit_message=commit_message,
        )
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, max_shard_size=max_shard_size)
            return repository.upload(Path(folder))

    def _frozen_prefixes(self) -> tuple[str, ...]:
        return tuple(part["module"] + "." for part in self.config.frozen_parts)


@dataclass(frozen=True)
class _Repository:
    """Where a model goes on the hub."""

    api: HfApi
    repo_id: str
    commit: dict[str, Any]  # the arguments of `HfApi.upload_folder` that say where and how: `revision` and its like

    @classmethod
    def made(
        cls, repo_id: str, *, private: bool | None = None, token: bool | str | None = None, **commit: Any
    ) -> "_Repository":
        """The repository and its branch, which are there from now on; arguments as those of `push_to_hub`."""
        revision = commit.setdefault("revision", None)
        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if revision is not None and not revision.startswith("refs/pr"):
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit["commit_message"] = commit.get("commit_message") or "Upload LavidaModel"
        return cls(api, repo_id, commit)

    def upload(self, folder: Path) -> str:
        """Send what a saved model consists of, in place of the weights of an earlier one; the address of the commit."""
        has_card = self.api.file_exists(self.repo_id, CARD, revision=self.commit["revision"])
        return self.api.upload_folder(
            repo_id=self.repo_id,
            folder_path=folder,
            allow_patterns=[*SAVED, *WEIGHT_FILES, *([] if has_card else [CARD])],
            delete_patterns=list(WEIGHT_FILES),  # what is uploaded stays
            **self.commit,
        )


def cast(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The weights with those in float32 in another precision; tied ones stay one, or both would be written."""
    place = {key: (value.data_ptr(), value.shape, value.stride()) for key, value in state.items()}
    halves = {place[key]: value.to(dtype) for key, value in state.items() if value.dtype == torch.float32}
    return {key: halves[place[key]] if value.dtype == torch.float32 else value for key, value in state.items()}


@contextmanager
def disk_errors(place: str | Path) -> Iterator[None]:
    """safetensors and torch have errors of their own for a full disk: make them the `OSError` that all expect."""
    try:
        yield
    except RuntimeError as error:
        if TORCH_WRITER not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place)) from error
    except SafetensorError as error:
        if (full := DISK_FULL.search(str(error))) is None:
            raise
        code = int(full[1])
        raise OSError(code, os.strerror(code), str(place)) from error


@contextmanager
def _replacing_weights(folder: Path) -> Iterator[Path]:
    """A folder to save in, the files of which then come into `folder`: none of other shards stays to be loaded."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lavida-") as hidden:
        yield Path(hidden)
        saved = list(Path(hidden).iterdir())
        stale = {path for pattern in WEIGHT_FILES for path in folder.glob(pattern)}
        for path in saved:
            os.replace(path, folder / path.name)
        if saved:  # only one of several processes saves
            for path in stale - {folder / path.name for path in saved}:
                path.unlink()


def _check_precision(kwargs: dict[str, Any]) -> None:
    """Take transformers' two names of a precision out of `kwargs`, and refuse one that the parts do not run in."""
    for name in ("dtype", "torch_dtype"):
        if (asked := kwargs.pop(name, None)) not in (None, "auto", "float32", torch.float32):
            raise InputError(
                f"{name}={asked}: a model is held in float32, its language model in config.mllm_dtype; leave {name} "
                "out, or choose the latter with `lavida models build --dtype`"
            )


def _check_folder(folder: Path) -> None:
    """Refuse what is no saved `LavidaModel` before `transformers` says it in its own words."""
    if not os.path.isfile(folder / CONFIG) and os.path.isfile(folder / ADAPTER_CONFIG):
        raise InputError(
            f"{folder} holds an adapter: `lavida models merge {folder} --base DIR --out MODEL` makes a model of it"
        )
    kind = read_config(folder, give=GIVE, mend="copy or train it again").get("model_type")
    if kind != LavidaConfig.model_type:
        build = "" if kind is None else "; `lavida models build` makes a LAVIDA model of pretrained ones"
        raise InputError(f"not a LAVIDA model: {folder} holds {kind or 'another'}; give {GIVE}{build}")
    for part in (TOKENIZER, TEXT_TOKENIZER):
        if not (folder / part).is_dir():
            raise InputError(f"incomplete model in {folder}: the folder {part} is missing; copy all of it")
    check_weights(folder)


def model_card(config: LavidaConfig) -> str:
    """Markdown with the hub's metadata on top: what the model is made of, whether it is trained, how to use it."""
    state = UNTRAINED if config.untrained else TRAINED
    use = 'lavida detect street.mp4 -a "person on a bicycle" --model DIR_OR_HUB_ID'
    return _card(config, title="A LAVIDA model", state=state, use=use)


def adapter_card(config: LavidaConfig) -> str:
    """The same for an adapter: what to build and how to merge it."""
    state = f"{TRAINED} This is what training has changed, without the parts below; LoRA in peft's format."
    options = " ".join(f"--{part} {source}" for part, source in (config.sources or {}).items()) or "PRESET"
    merge = "lavida models merge DIR_OR_HUB_ID --base BASE --out MODEL"
    use = f"lavida models build {options} --out BASE\n{merge}"
    return _card(config, title="A LAVIDA adapter", state=state, use=use, tags=("peft", "lora"))


def _card(config: LavidaConfig, *, title: str, state: str, use: str, tags: Sequence[str] = ()) -> str:
    sources = config.sources or {}
    metadata: dict[str, Any] = {"library_name": "lavida", "pipeline_tag": "video-classification"}
    metadata["tags"] = [*TAGS, *tags]
    if bases := sorted({source for source in sources.values() if HUB_ID.fullmatch(source)}):
        metadata["base_model"] = bases
    parts = "\n".join(f"| {WHAT.get(part, part)} | {source} |" for part, source in sources.items())
    table = f"\n| part | from |\n|---|---|\n{parts}\n" if parts else ""
    return f"""---
{yaml.safe_dump(metadata, sort_keys=False).strip()}
---

# {title}

Describe in plain words what counts as abnormal; get when and where it happens in a video.

{state}
{table}
```
{use}
```

Sizes and switches are in the configuration. The licences of the parts and of the training data hold for the weights.
"""


AutoModel.register(LavidaConfig, LavidaModel)
