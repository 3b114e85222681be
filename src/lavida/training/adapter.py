"""What a training with LoRA has changed, kept apart from its base: peft's own format and the other trained weights."""

import json
import logging
import shutil
from pathlib import Path

import torch
from peft import PeftConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from lavida.checkpoints.hub import HUB_ID, find
from lavida.checkpoints.pretrained import (
    ADAPTER_CONFIG,
    CARD,
    LavidaModel,
    adapter_card,
    cast,
    disk_errors,
    is_saved_model,
)
from lavida.errors import InputError, first_line
from lavida.files import atomic_folder, check_target
from lavida.model.config import LavidaConfig
from lavida.training.trainable import ADAPTER, plain_state

_log = logging.getLogger(__name__)

FOLDER = "adapter"  # in the folder of a model that was trained with LoRA
PEFT_WEIGHTS = "adapter_model.safetensors"  # peft's name
# the other trained weights, the model's configuration (not as config.json: this is no model), and the names of what
# was trained with the precision of what was not
WEIGHTS, CONFIG, TRAINED = "lavida.safetensors", "lavida_config.json", "trained.json"
MLLM, PEFT_PREFIX = "semantics.mllm.", "base_model.model."
PRETRAINED = ("semantics.mllm", "sam2", "text")  # modules of which the base has all that was not trained
SHARED_PRECISION = torch.float16  # of weights held in float32, as in a saved model


def write_adapter(model: LavidaModel, state: dict[str, torch.Tensor], folder: Path) -> None:
    """Write beside the merged weights in `folder` what merging loses; nothing for a model without LoRA.

    `model` is what `make_trainable` has changed, `state` its state dictionary, gathered from all processes.
    """
    if not any(isinstance(module, LoraLayer) for module in model.modules()):
        return
    target = folder / FOLDER
    target.mkdir()
    mllm = model.semantics.mllm
    own = {key.removeprefix(MLLM): value for key, value in state.items() if key.startswith(MLLM)}
    # peft would ask the hub whether the vocabulary has grown
    weights = get_peft_model_state_dict(mllm, state_dict=own, adapter_name=ADAPTER, save_embedding_layers=False)
    _save({f"{PEFT_PREFIX}{key}": value for key, value in weights.items()}, target / PEFT_WEIGHTS)
    config, source = mllm.peft_config[ADAPTER], (model.config.sources or {}).get("mllm", "")
    config.base_model_name_or_path = source if HUB_ID.fullmatch(source) else None
    config.save_pretrained(target)
    frozen = {
        _plain(name): str(weight.dtype).removeprefix("torch.")
        for name, weight in model.named_parameters()
        if not weight.requires_grad
    }
    trained = {"trained": _trained_names(model, state), "frozen": frozen}
    (target / TRAINED).write_text(json.dumps(trained, indent=1), encoding="utf-8")


def share_adapter(folder: Path, out: Path) -> int:
    """Write what a training with LoRA has changed of the model in `folder`, and return its size in bytes.

    Raises:
        InputError: the model was not trained with LoRA, or `out` cannot be written or is something else.
    """
    source = folder / FOLDER
    if not (source / ADAPTER_CONFIG).is_file():
        raise InputError(
            f"no adapter in {folder}: it is no model that `lavida train` saved with train.lora; "
            "give the folder `model` or `best` of such a run"
        )
    check_target(out, replaces=WEIGHTS)
    model = LavidaModel.from_pretrained(folder)
    state, names = model.state_dict(), _read_trained(source)["trained"]
    weights = cast({name: state[name] for name in names}, SHARED_PRECISION)
    with atomic_folder(out, replaces=WEIGHTS) as partial:
        for name in (ADAPTER_CONFIG, PEFT_WEIGHTS, TRAINED):
            shutil.copyfile(source / name, partial / name)
        _save(weights, partial / WEIGHTS)
        model.config.to_json_file(partial / CONFIG, use_diff=True)
        (partial / CARD).write_text(adapter_card(model.config), encoding="utf-8")
    return sum(path.stat().st_size for path in out.iterdir())


def merge_adapter(adapter: str | Path, *, base: str | Path, out: Path) -> None:
    """Write the model that `adapter` makes of `base`, equal to the one it was shared from.

    Raises:
        InputError: one of them is not there or damaged, they do not belong together, or `out` cannot be written.
    """
    folder = find(
        adapter, what="adapter", give="the folder or hub id of what `lavida models share` wrote", whole=_fault
    )
    if fault := _fault(folder):
        raise InputError(f"no adapter in {folder}: {fault}; give what `lavida models share` wrote")
    check_target(out, replaces=is_saved_model)
    model = LavidaModel.from_pretrained(base)
    try:
        config = LavidaConfig.from_json_file(folder / CONFIG)
        frozen = _read_trained(folder)["frozen"]
        weights, low_rank = load_file(folder / WEIGHTS), load_file(folder / PEFT_WEIGHTS)
        peft_config = PeftConfig.from_pretrained(folder)
    except Exception as error:  # the libraries raise many types for damaged files
        raise InputError(f"damaged adapter in {folder}: {first_line(error)}; copy it again") from error
    if config.sources != model.config.sources:
        made_of, base_of = _names(config), _names(model.config)
        _log.warning("the adapter was trained from %s, the base is made of %s", made_of, base_of)
    _hold(model, frozen)
    _fill(model, weights, base=base)
    mllm = model.semantics.mllm
    low_rank = {key.removeprefix(PEFT_PREFIX): value for key, value in low_rank.items()}
    try:
        inject_adapter_in_model(peft_config, mllm, ADAPTER)
        for name, weight in mllm.named_parameters():
            if _of_adapter(name):  # which peft holds as the base is held
                weight.data = weight.data.float()
        strange = set_peft_model_state_dict(mllm, low_rank, adapter_name=ADAPTER).unexpected_keys
    except (ValueError, RuntimeError, KeyError) as error:
        raise _stranger(base, first_line(error)) from error
    if strange:
        raise _stranger(base, strange[0])
    state = plain_state(model, model.state_dict())
    model.config = config
    with atomic_folder(out, replaces=is_saved_model) as partial:
        model.save_pretrained(partial, state_dict=state, weights=SHARED_PRECISION)


def _trained_names(model: LavidaModel, state: dict[str, torch.Tensor]) -> list[str]:
    """Weights, adapters aside, that training has changed or that were new when it began."""
    prefixes = tuple(f"{module}." for module in PRETRAINED)
    frozen = tuple(part["module"] + "." for part in model.config.frozen_parts)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad and not _of_adapter(name)}
    new = {name for name in state if not name.startswith(prefixes + frozen)}
    tied = model.all_tied_weights_keys
    return sorted({_plain(name) for name in trained | new} - tied.keys())


def _save(weights: dict[str, torch.Tensor], path: Path) -> None:
    with disk_errors(path):
        save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, path, {"format": "pt"})


def _of_adapter(name: str) -> bool:
    return ".lora_" in name or ".trainable_tokens_" in name


def _plain(name: str) -> str:
    """The name of a weight without peft's layers around it."""
    return name.replace(".token_adapter", "").replace(".base_layer", "")


def _hold(model: LavidaModel, frozen: dict[str, str]) -> None:
    """Hold weights in the precision in which the training held them."""
    for name, weight in model.named_parameters():
        weight.data = weight.data.to(getattr(torch, frozen.get(name, "float32")))


@torch.no_grad()
def _fill(model: LavidaModel, weights: dict[str, torch.Tensor], *, base: str | Path) -> None:
    state = model.state_dict()
    for name, weight in weights.items():
        if name not in state or state[name].shape != weight.shape:
            raise _stranger(base, name)
        state[name].copy_(weight)


def _stranger(base: str | Path, name: str) -> InputError:
    return InputError(f"the adapter was not trained from {base} (first difference: {name}); give its own --base")


def _read_trained(folder: Path) -> dict:
    return json.loads((folder / TRAINED).read_text(encoding="utf-8"))


def _names(config: LavidaConfig) -> str:
    return ", ".join((config.sources or {}).values()) or "other parts"


def _fault(folder: Path) -> str | None:
    files = (ADAPTER_CONFIG, PEFT_WEIGHTS, WEIGHTS, CONFIG, TRAINED)
    return next((f"{name} is missing" for name in files if not (folder / name).is_file()), None)
