"""Which weights a training changes: frozen modules, LoRA on the language model, rows of its vocabulary."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, TrainableTokensConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from peft.tuners.trainable_tokens import TrainableTokensLayer
from torch import nn
from transformers import PreTrainedModel

from lavida.checkpoints.presets import PRETRAINED
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError, one_line
from lavida.model.prompt import SEG_TOKEN
from lavida.training.recipe import LoraRecipe, TrainRecipe

ADAPTER = "default"
VISION_TOWER = "semantics.mllm.model.visual"  # Qwen's name; other families' are found too
OTHER_TOWERS = ("semantics.mllm.model.vision_tower", "semantics.mllm.model.vision_model")
# `train.freeze` of a model of pretrained parts; nano's come frozen from their packages
FROZEN = (VISION_TOWER, "sam2.vision_encoder", "text")
# frozen modules of such a model that are held in bf16 where the training computes in it
HALVED = ("semantics.mllm", "sam2.vision_encoder")


def is_pretrained(model: LavidaModel, settings: Mapping[str, Any]) -> bool:
    """Whether the model is assembled of pretrained parts: by its preset in `settings`, or because it says so itself."""
    return settings.get("preset") in PRETRAINED or bool(model.config.sources)


def make_trainable(model: LavidaModel, opt: TrainRecipe, *, pretrained: bool) -> None:
    """Freeze, adapt and checkpoint the parts of `model` as `opt` says, in place; `pretrained`: see `is_pretrained`.

    With `train.lora` the language model's own weights are frozen and adapters are put on `lora.targets`. With
    `embeddings` full its vocabulary (`embed_tokens`, `lm_head`) is trained; with seg_row only the row of `<SEG>`.

    Raises:
        InputError: a module or a layer that the recipe names does not exist.
    """
    _freeze(model, (FROZEN if pretrained else ()) if opt.freeze is None else opt.freeze)
    mllm = model.semantics.mllm
    if opt.gradient_checkpointing:
        # the old name, which newer versions of transformers warn of
        enable = getattr(mllm, "activation_checkpointing_enable", None) or mllm.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    embeddings = opt.embeddings or ("seg_row" if opt.lora or pretrained else "full")
    seg_rows = [_seg_id(model)] if embeddings == "seg_row" else []
    if opt.lora or seg_rows:
        _adapt(mllm, lora=opt.lora, rows=seg_rows)
    if pretrained and opt.precision == "bf16":
        # frozen weights of the large parts in bf16, trained ones in float32, which small updates need
        for weight in (weight for name in HALVED for weight in model.get_submodule(name).parameters()):
            weight.data = weight.data.to(torch.float32 if weight.requires_grad else torch.bfloat16)
        if model.config.mllm_dtype == "float16":
            model.config.mllm_dtype = "bfloat16"
    if opt.tokens_per_pair is not None:
        model.semantics.family.tokens_per_pair = opt.tokens_per_pair


def plain_state(model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of `model` with its adapters merged, under the names of the model without adapters.

    `model` is what `make_trainable` has changed, `state` its state dictionary, gathered from all processes; what no
    adapter changes is shared.
    """
    plain = dict(state)
    for name, layer in model.named_modules():
        if not isinstance(layer, LoraLayer | TrainableTokensLayer):
            continue
        own = {key.removeprefix(f"{name}."): plain.pop(key) for key in state if key.startswith(f"{name}.")}
        base = {key.removeprefix("base_layer."): own[key] for key in own if key.startswith("base_layer.")}
        base["weight"] = (_with_lora if isinstance(layer, LoraLayer) else _with_rows)(layer, base["weight"], own)
        name = name.removesuffix(".token_adapter")  # peft wraps the layer once more beside LoRA
        plain |= {f"{name}.{key}": value for key, value in base.items()}
    tied = getattr(model, "all_tied_weights_keys", {})
    return plain | {copy: plain[source] for copy, source in tied.items() if copy in plain}


def _with_lora(layer: LoraLayer, weight: torch.Tensor, own: dict[str, torch.Tensor]) -> torch.Tensor:
    down, up = (own[f"lora_{which}.{ADAPTER}.weight"].float() for which in "AB")
    return (weight.float() + layer.scaling[ADAPTER] * (up @ down)).to(weight.dtype)


def _with_rows(layer: TrainableTokensLayer, weight: torch.Tensor, own: dict[str, torch.Tensor]) -> torch.Tensor:
    rows = torch.tensor(layer.token_indices[ADAPTER], device=weight.device)
    return weight.index_copy(0, rows, own[f"trainable_tokens_delta.{ADAPTER}"].to(weight))


def _freeze(model: LavidaModel, names: list[str] | tuple[str, ...]) -> None:
    for name in names:
        try:
            _part(model, name).requires_grad_(False)
        except AttributeError:
            raise InputError(
                f"train.freeze: the model has no module {name}; give names such as {VISION_TOWER} or sam2.mask_decoder"
            ) from None


def _part(model: LavidaModel, name: str) -> nn.Module:
    if name == VISION_TOWER:  # or what other families call it
        own = (tower for tower in OTHER_TOWERS if hasattr(model.semantics.mllm.model, tower.rpartition(".")[2]))
        name = next(own, name)
    return model.get_submodule(name)


def _seg_id(model: LavidaModel) -> int:
    if model.semantics.tokenizer is None:  # only the shape of the model is there
        return model.semantics.mllm.get_input_embeddings().num_embeddings - 1
    return model.semantics.tokenizer.convert_tokens_to_ids(SEG_TOKEN)


def _adapt(mllm: PreTrainedModel, *, lora: LoraRecipe | None, rows: list[int]) -> None:
    """Put adapters on the language model and train what the recipe leaves of its own weights."""
    vocabulary = _vocabulary(mllm)
    own = {id(weight): weight.requires_grad for weight in mllm.parameters()}
    own |= {id(layer.weight): not rows for layer in vocabulary.values()}
    if lora:
        known = {id(layer.weight) for layer in vocabulary.values()}
        own |= {id(weight): False for weight in mllm.get_decoder().parameters() if id(weight) not in known}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tie_word_embeddings", category=UserWarning)  # rows are tied
        try:
            inject_adapter_in_model(_adapter(mllm, lora, dict.fromkeys(vocabulary, rows)), mllm, ADAPTER)
        except ValueError as error:  # no layer has such a name
            raise InputError(f"train.lora: {one_line(error)}") from error
    for weight in mllm.parameters():
        weight.requires_grad_(own.get(id(weight), True))


def _adapter(
    mllm: PreTrainedModel, lora: LoraRecipe | None, rows: dict[str, list[int]]
) -> LoraConfig | TrainableTokensConfig:
    if lora is None:
        return TrainableTokensConfig(token_indices=next(iter(rows.values())), target_modules=list(rows))
    decoder = next(name for name, module in mllm.named_modules() if module is mllm.get_decoder())
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        # as a pattern, since vision towers have layers of the same names
        target_modules=rf"{re.escape(decoder)}\..*\.({'|'.join(map(re.escape, lora.targets))})",
        trainable_token_indices=rows if any(rows.values()) else None,
    )


def _vocabulary(mllm: PreTrainedModel) -> dict[str, nn.Module]:
    """The layers with one row a token, by the last part of their name; one only where the two are tied."""
    layers = [mllm.get_input_embeddings(), mllm.get_output_embeddings()]
    if layers[0].weight is layers[1].weight:
        layers.pop()
    return {name.rpartition(".")[2]: module for name, module in mllm.named_modules() if module in layers}
