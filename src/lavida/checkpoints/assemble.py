"""One `LavidaModel` of pretrained checkpoints: a multimodal language model, SAM 2 and a text encoder.

Each is a folder or a hub id, loaded by the library's own code in the precision in which it is stored. What stands
between them (frame semantics, projector, ...) is new and untrained.
"""

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoTokenizer,
    CLIPTextModelWithProjection,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Sam2Config,
    Sam2Model,
)

from lavida.checkpoints.hub import check_weights, find, quiet_transformers, read_config
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError, first_line, one_line, unknown
from lavida.model.config import OF_PARTS, SETTINGS, LavidaConfig
from lavida.model.lavida import Parts
from lavida.model.mllm import FAMILIES
from lavida.model.prompt import add_seg_token

_log = logging.getLogger(__name__)

PARTS = {"mllm": "multimodal language model", "vision": "vision model", "text": "text encoder"}
# `model_type` of the checkpoints that each part is made of
SUPPORTED = {"mllm": tuple(FAMILIES), "vision": ("sam2", "sam2_video"), "text": ("clip", "clip_text_model", "bert")}
DTYPES = ("auto", "bfloat16", "float16", "float32")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model")
PROCESSOR_FILES = tuple(
    "preprocessor_config.json video_preprocessor_config.json processor_config.json "
    "chat_template.json chat_template.jinja generation_config.json".split()
)
# of checkpoints that hold more than the part: CLIP's image tower, buffers of older versions
NOT_NEEDED = re.compile(r"vision_model\.|visual_projection\.|logit_scale$|.*\.(position_ids|inv_freq)$")


def assemble(sources: Mapping[str, str | Path], *, dtype: str = "auto", **changes) -> LavidaModel:
    """A model of pretrained parts, `<SEG>` in its vocabulary; the new parts follow torch's random generator.

    Args:
        sources: `mllm`, `vision` and `text`: a folder or a hub id each.
        dtype: Precision in which the language model is held, one of `DTYPES`; auto: as it is stored. The other
            parts are held in float32.
        changes: Fields of `LavidaConfig` that differ from its defaults, the published ones; `mllm_dtype` is `dtype`.

    Raises:
        InputError: a source is not there, not whole or of an architecture that is not supported; a field does not fit.
    """
    check_settings(changes)
    if (held := changes.pop("mllm_dtype", dtype)) != dtype and dtype != "auto":
        raise InputError(f"mllm_dtype {held} and --dtype {dtype} are two precisions of the language model: give one")
    folders = locate(sources)
    with quiet_transformers():
        model = _assembled(folders, held, **changes)
    # of a folder no more than its name: it goes into a file that may be shared
    model.config.sources = {
        part: Path(source).resolve().name if os.path.isdir(os.path.expanduser(source)) else str(source)
        for part, source in ((part, sources[part]) for part in PARTS)
    }
    model.config.untrained = True
    return model.eval()


def _assembled(folders: Mapping[str, Path], dtype: str, **changes) -> LavidaModel:
    config = assembled_config(folders, **changes)
    mllm, tokenizer = _mllm(folders["mllm"], dtype)
    kind = CLIPTextModelWithProjection if config.text_pooling == "projection" else AutoModel
    text = _load(kind, folders["text"], "text", config=config.text_config, dtype=torch.float32)
    text_tokenizer = _tokenizer(folders["text"], "text", rows=text.get_input_embeddings().num_embeddings)
    config.mllm_config, config.mllm_dtype = mllm.config, str(mllm.dtype).removeprefix("torch.")
    sam2 = _load(Sam2Model, folders["vision"], "vision", config=config.sam2_config, dtype=torch.float32)
    parts = Parts(mllm=mllm, sam2=sam2, text=text)
    try:
        model = LavidaModel(config, tokenizer, text_tokenizer, parts=parts)
    except InputError:
        raise
    except ValueError as error:  # sizes of the new parts that do not go together
        raise InputError(f"the model's settings: {first_line(error)}") from error
    model.processors = {
        f"{part}/{name}": (folder / name).read_text(encoding="utf-8")
        for part, folder in folders.items()
        for name in PROCESSOR_FILES
        if (folder / name).is_file()
    }
    return model


def locate(sources: Mapping[str, str | Path]) -> dict[str, Path]:
    """The folder of each part, looked at without loading anything but downloaded if it has to be.

    Raises:
        InputError: as `assemble`.
    """
    folders = {}
    for part, what in PARTS.items():
        folder = folders[part] = find(sources[part], what=what)
        kind = read_config(folder, what=what, give="a checkpoint's folder or hub id").get("model_type")
        if kind not in SUPPORTED[part]:
            raise InputError(
                f"{sources[part]} cannot be the {what}: it is {kind or 'of no known kind'}; "
                f"supported are {', '.join(SUPPORTED[part])}"
            )
        check_weights(folder, what=what)
        if part != "vision" and not any((folder / name).is_file() for name in TOKENIZER_FILES):
            raise InputError(f"the {what} in {folder} has no tokenizer: tokenizer.json is missing; copy it there")
    return folders


def check_settings(changes: Iterable[str]) -> None:
    """Raise InputError for names that are no settings of a model, or that its parts decide."""
    for name in sorted(changes):
        if name not in SETTINGS:
            other = "; the language model's precision is mllm_dtype" if name == "dtype" else ""
            raise InputError(f"unknown setting {name} of the model: it takes the fields of LavidaConfig{other}")
        if name in OF_PARTS:
            raise InputError(f"the setting {name} of the model comes from its parts; leave it out")


def assembled_config(folders: Mapping[str, Path], **changes) -> LavidaConfig:
    """The configuration of a model of these parts, from their configurations alone.

    Raises:
        InputError: a part's configuration cannot be read, or a field of `changes` does not exist or does not fit.
    """
    check_settings(changes)
    try:
        sam2 = _sam2_config(AutoConfig.from_pretrained(folders["vision"], local_files_only=True))
        text = AutoConfig.from_pretrained(folders["text"], local_files_only=True)
        if text.model_type == "clip":
            text.text_config.projection_dim, text = text.projection_dim, text.text_config
        settings: dict[str, Any] = {
            "mllm_config": AutoConfig.from_pretrained(folders["mllm"], local_files_only=True),
            "sam2_config": sam2,
            "text_config": text,
            "text_pooling": "projection" if text.model_type.startswith("clip") else "mean",
            "frame_side": int(np.max(sam2.prompt_encoder_config.image_size)),  # one side, or height and width
        }
        for field in ("image_mean", "image_std"):
            if (value := _preprocessing(folders["vision"], field)) is not None:
                settings[field] = value
        return LavidaConfig(**(settings | changes))
    except InputError:
        raise
    except (ValueError, TypeError, OSError, StrictDataclassError) as error:
        raise InputError(f"the model's settings: {one_line(error)}") from error


def _mllm(folder: Path, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """With `<SEG>`."""
    if dtype not in DTYPES:
        raise unknown("precision", dtype, DTYPES)
    mllm = _load(AutoModelForImageTextToText, folder, "mllm", dtype=dtype)
    tokenizer = _tokenizer(folder, "mllm", rows=mllm.get_input_embeddings().num_embeddings)
    video_token = FAMILIES[mllm.config.model_type].chat.video_token
    if video_token not in tokenizer.get_vocab():
        raise InputError(f"the tokenizer in {folder} does not know {video_token}: it is of another model; copy the own")
    add_seg_token(tokenizer, mllm)
    return mllm, tokenizer


def _load(kind: Any, folder: Path, part: str, **settings) -> PreTrainedModel:
    what = PARTS[part]
    try:
        model, report = kind.from_pretrained(
            folder,
            output_loading_info=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # told below, by name
            **settings,
        )
    except Exception as error:  # transformers and safetensors raise many types for a broken folder
        raise InputError(
            f"cannot load the {what} in {folder}: {first_line(error)}; its files are damaged or of another version"
        ) from error
    if wrong := sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}):
        raise InputError(
            f"the {what} in {folder} lacks {len(wrong)} weights or has them in another size (first: {wrong[0]}); "
            "its files are incomplete or of another version"
        )
    if unused := sorted(key for key in report["unexpected_keys"] if not NOT_NEEDED.match(key)):
        _log.warning("%s", f"{len(unused)} weights of the {what} in {folder} are not used (first: {unused[0]})")
    return model


def _tokenizer(folder: Path, part: str, *, rows: int) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        backend = getattr(tokenizer, "backend_tokenizer", None)
    except Exception as error:  # as above
        raise InputError(f"cannot load the tokenizer in {folder}: {first_line(error)}; copy its files again") from error
    if backend is None:
        raise InputError(f"the tokenizer in {folder} has no tokenizer.json, only an older form; convert it first")
    if not 0 < len(tokenizer) <= rows:
        raise InputError(
            f"the tokenizer in {folder} is of another {PARTS[part]}: {len(tokenizer):,} tokens, not {rows:,}"
        )
    return tokenizer


def _sam2_config(whole: PreTrainedConfig) -> Sam2Config:
    """What `Sam2Model` needs of a SAM 2 configuration, whose checkpoints are mostly those of the video model."""
    parts = {
        name: {key: value for key, value in getattr(whole, name).to_diff_dict().items() if key != "model_type"}
        for name in ("prompt_encoder_config", "mask_decoder_config")
    }
    return Sam2Config(vision_config=whole.vision_config, **parts)


def _preprocessing(folder: Path, field: str) -> list[float] | None:
    for name in ("preprocessor_config.json", "processor_config.json"):
        path = folder / name
        if path.is_file():
            settings = json.loads(path.read_text(encoding="utf-8"))
            if value := settings.get(field) or settings.get("image_processor", {}).get(field):
                return value
    return None
