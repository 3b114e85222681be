"""LAVIDA at the presets' exact shapes with random weights, and a watch on the steps of its MLLM.

What a step costs does not depend on the values of the weights, so no checkpoint is needed.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peak_memory import MB, peak_bytes, reset_peak, synchronize
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel

import lavida
from lavida.checkpoints.presets import PRETRAINED, nano_mllm_config, pretrained_config
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError
from lavida.model.config import LavidaConfig
from lavida.model.mllm import Grid, VisualTokens
from lavida.model.semantics import Semantics

CATEGORIES = ("bicycle", "cart", "car", "skateboard", "wheelchair")  # UCSD Ped2's
NANO = Path(lavida.__file__).parent / "weights" / "nano"
NOISE_VALUES = 2**20
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def random_config(model: str, *, layers: int | None = None) -> LavidaConfig:
    """The configuration of a model to be measured.

    Args:
        model: `nano`, `small`, `paper`, or WIDTHxLAYERSxHEADS: nano around a language model of that shape.
        layers: Depth of the language model, if not the model's own.

    Raises:
        InputError: There is no such model, or a language model cannot have that shape.
    """
    shape = re.fullmatch(r"(\d+)x(\d+)x(\d+)", model)
    if model in PRETRAINED:
        config = pretrained_config(model)
    elif model == "nano" or shape:
        config = LavidaConfig.from_pretrained(NANO)
    else:
        raise InputError(f"no such model: {model}; give nano, {', '.join(PRETRAINED)} or WIDTHxLAYERSxHEADS")
    if shape:
        width, depth, heads = map(int, shape.groups())
        tokenizer = AutoTokenizer.from_pretrained(NANO / "tokenizer")
        try:
            config.mllm_config = nano_mllm_config(tokenizer, hidden_size=width, layers=depth, heads=heads)
        except (ValueError, ZeroDivisionError) as error:
            raise InputError(f"no model of shape {model}: {error}; try 256x4x4") from error
    if layers is not None:
        text = config.mllm_config.get_text_config()
        if not 0 < layers <= text.num_hidden_layers:
            raise InputError(f"--layers {layers} is out of range: {model} has {text.num_hidden_layers}")
        text.num_hidden_layers = layers
        text.layer_types = text.layer_types[:layers]
    return config


def random_lavida(
    config: LavidaConfig, *, device: torch.device, dtype: torch.dtype, parts: Sequence[str] = ("",)
) -> LavidaModel:
    """A model with random weights in `parts`; the rest stays on the `meta` device.

    Prompts are encoded by nano's tokenizers, whose ids all vocabularies have.

    Args:
        config: Of the model.
        device: For the parts.
        dtype: Of the MLLM; all else is float32.
        parts: Names of submodules; the whole model by default.
    """
    tokenizers = [AutoTokenizer.from_pretrained(NANO / name) for name in ("tokenizer", "text_tokenizer")]
    with torch.device("meta"):
        model = LavidaModel(config, *tokenizers).eval().requires_grad_(False)
    mllm = model.semantics.mllm.to(dtype)
    for part in parts:
        materialise(model.get_submodule(part), device)
    if mllm.config.tie_word_embeddings:
        mllm.get_output_embeddings().weight = mllm.get_input_embeddings().weight
    return model


@torch.no_grad()
def materialise(module: nn.Module, device: torch.device) -> None:
    """Give a module on the `meta` device memory and small random weights: finite everywhere, never denormal."""
    module.to_empty(device=device)
    noise = torch.randn(NOISE_VALUES, generator=torch.Generator().manual_seed(0)).to(device) * 0.02
    for name, weight in module.named_parameters():
        if weight.is_contiguous():  # drawing 8 billion numbers would take minutes
            for part in weight.view(-1).split(NOISE_VALUES):
                part.copy_(noise[: len(part)])
        else:
            weight.normal_(std=0.02)
        if weight.ndim == 1 and name.endswith("weight"):  # of a norm
            weight.add_(1)
    for buffer in module.buffers():  # rotary frequencies and variances among them: above 0
        buffer.uniform_(0.1, 1) if buffer.is_floating_point() else buffer.zero_()


@dataclass
class Stopwatch:
    """Time and memory of one pass, step by step.

    Attributes:
        device: on which the steps run.
        memory: whether that is looked at too.
        ms: step -> milliseconds.
        peak_mb: step -> most memory during it, above what was held when the pass began; None where the system
            does not tell. On a CPU that is the resident memory of the process.
    """

    device: torch.device
    memory: bool = True
    ms: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float | None] = field(default_factory=dict)
    _step: str | None = None
    _began: float = 0.0
    _base: float | None = None

    def restart(self) -> None:
        """Before a pass."""
        self.ms, self.peak_mb, self._step = {}, {}, None
        self._base = reset_peak(self.device) if self.memory else None

    def begin(self, step: str) -> None:
        """End the step before, if one runs."""
        self.end()
        if self.memory:
            reset_peak(self.device)
        self._step, self._began = step, time.perf_counter()

    def end(self) -> None:
        if self._step is None:
            return
        synchronize(self.device)
        elapsed = (time.perf_counter() - self._began) * 1000
        self.ms[self._step] = self.ms.get(self._step, 0.0) + elapsed  # a pass may run a step more than once
        peak = peak_bytes(self.device) if self.memory else None
        self.peak_mb[self._step] = None if peak is None or self._base is None else (peak - self._base) / MB
        self._step = None

    @property
    def total_ms(self) -> float:
        return sum(self.ms.values())

    @property
    def total_peak_mb(self) -> float | None:
        return None if None in self.peak_mb.values() else max(self.peak_mb.values())


@contextmanager
def watched(
    semantics: Semantics, watch: Stopwatch, *, tokens: Tensor | None = None, grid: Grid | None = None
) -> Iterator[None]:
    """Meanwhile the calls of `semantics` tell the watch their steps: vision tower, compression, prefill.

    Args:
        semantics: Whose steps are watched.
        watch: Gets them.
        tokens: `[B, L_z, D_z]` in place of the vision tower's, which is then left out.
        grid: Where `tokens` stand.
    """
    family = semantics.family
    see, language = family.visual_tokens, family.text_model(semantics.mllm)

    def visual_tokens(mllm: PreTrainedModel, frames: Tensor, grid: Grid) -> VisualTokens:
        if tokens is None:
            watch.begin("vision tower")
            seen = see(mllm, frames, grid)
        else:
            seen = VisualTokens(tokens)
        watch.begin("compression")
        return seen

    family.visual_tokens = visual_tokens
    if grid is not None:
        family.grid = lambda frames: grid
    hooks = [
        language.register_forward_pre_hook(lambda *_: watch.begin("prefill")),
        language.register_forward_hook(lambda *_: watch.end()),
    ]
    try:
        yield
    finally:
        for name in ("visual_tokens", "grid"):
            vars(family).pop(name, None)
        for hook in hooks:
            hook.remove()


def fastest(passes: Sequence[dict[str, float]]) -> dict[str, float]:
    """The steps of the pass that something else on the machine disturbed least."""
    return min(passes, key=lambda ms: sum(ms.values()))
