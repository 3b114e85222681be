"""The graphs of a saved model and what the runtime needs beside them, written."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig

from lavida import __version__
from lavida.checkpoints.pretrained import LavidaModel
from lavida.errors import InputError, first_line, not_installed
from lavida.files import MANIFEST, fingerprint, sha256
from lavida.graphs.parts import DecoderGraph, LanguageGraph, TextGraph, VisionGraph
from lavida.model.backbone import EfficientNetLiteConfig
from lavida.model.compression import reference_count
from lavida.model.kernels import without_export_log
from lavida.model.mllm.qwen import Qwen2VL
from lavida.model.text import MAX_TOKENS
from lavida.runtime.contract import GRAPHS, REMOVED, SETTINGS
from lavida.runtime.manifest import FORMAT, KNOWN_WORDS, SHARED, TOKENIZER_FILE, TOKENIZERS

OPSET = 20
MOST_BYTES = 2**31 - 2**20  # of a graph with its weights in one file, as ONNX's format has them
OF_QUALIFIERS = ("f_qualifier", "f_named", "present")  # inputs of a decoder
EXPORTABLE_VISION = (EfficientNetLiteConfig.model_type, Sam2HieraDetConfig.model_type)


def export_model(model: LavidaModel, source: Path, out: Path, *, half: bool = False) -> None:
    """Write the graphs, tokenizers and manifest of a model into the folder `out`, which is there.

    Args:
        model: In float32, loaded from `source`.
        source: Its folder, for its SHA-256.
        out: Gets one `.onnx` a graph.
        half: Weights take half of the disk (`halving.halve`).

    Raises:
        InputError: A part of the model cannot be exported; it is named.
        OSError: It cannot be written.
    """
    check_installed()
    family = exportable_family(model)
    model = model.eval().requires_grad_(False)
    graphs = _write_graphs(model, family, out, half=half)
    if (known := model.known_words) is not None:
        np.save(out / KNOWN_WORDS, known.numpy().astype(np.float16))
    for folder, tokenizer in zip(TOKENIZERS, (model.semantics.tokenizer, model.text.tokenizer), strict=True):
        (out / folder).mkdir()
        text = tokenizer.backend_tokenizer.to_str(pretty=True)
        (out / folder / TOKENIZER_FILE).write_text(text, encoding="utf-8", newline="")
    files = sorted(path for path in out.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "lavida": __version__,
        "torch": torch.__version__,
        "opset": OPSET,
        "precision": "float32",
        "stored": "float16, tables of words and large matrices in twelve bits" if half else "float32",
        "source_sha256": fingerprint(source),
        "tokenizers": list(TOKENIZERS),
        "graphs": graphs,
        "shared": {"file": SHARED, "bytes": (out / SHARED).stat().st_size} if (out / SHARED).is_file() else None,
        "files": {path.relative_to(out).as_posix(): sha256(path) for path in files},
        "model": description(model, family),
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _write_graphs(model: LavidaModel, family: Qwen2VL, out: Path, *, half: bool) -> dict[str, dict[str, Any]]:
    """The manifest's record of each."""
    from lavida.graphs.folding import fold_paddings  # these bring onnx
    from lavida.graphs.halving import halve
    from lavida.graphs.sharing import share_weights

    graphs: dict[str, dict[str, Any]] = {}
    for name, graph, inputs, outputs in parts(model, family):
        path = out / f"{name}.onnx"
        _export(graph.eval(), inputs, outputs, path)
        _check_size(path)
        fold_paddings(path)
        if half:
            halve(path, matrices=name != GRAPHS.language)  # which is opened beside all others, and small
        graphs[name] = {
            "file": path.name,
            "inputs": {key: _shape(*inputs[key]) for key in _read(path)},
            "outputs": outputs,
        }
    if GRAPHS.noun_decoder in graphs:
        share_weights([out / graphs[name]["file"] for name in (GRAPHS.decoder, GRAPHS.noun_decoder)], out / SHARED)
    for record in graphs.values():
        record["bytes"] = (out / record["file"]).stat().st_size
    return graphs


def _check_size(path: Path) -> None:
    beside = sum(other.stat().st_size for other in path.parent.iterdir() if other.suffix != ".onnx")
    if path.stat().st_size + beside > MOST_BYTES:
        raise InputError(
            f"this model cannot be exported yet: its {path.stem} has more than 2 GB; PyTorch runs it as it is"
        )


def check_installed() -> None:
    """Raises InputError without the package that PyTorch's exporter needs."""
    if find_spec("onnx") is None:
        raise not_installed("onnx", "an export needs it")


def exportable_family(model: LavidaModel) -> Qwen2VL:
    """The family of the language model. Raises InputError with the part that stands in the way of an export."""
    config, family = model.config, model.semantics.family
    vision = config.sam2_config.vision_config.backbone_config.model_type
    refused = {
        "use_f_sem false": not config.use_f_sem,
        f"its language model ({family.model_type})": type(family) is not Qwen2VL,
        "static_patch_drop": config.static_patch_drop is not None,
        f"its language model in {config.mllm_dtype}": config.mllm_dtype != "float32",
        f"its vision encoder ({vision})": vision not in EXPORTABLE_VISION,
    }
    for part, stands in refused.items():
        if stands:
            raise InputError(f"this model cannot be exported yet: {part} stands in the way; PyTorch runs it as it is")
    assert isinstance(family, Qwen2VL)
    return family


def _read(path: Path) -> list[str]:
    """The inputs that a graph reads: the exporter leaves out what has no influence."""
    import onnx

    return [node.name for node in onnx.load(path, load_external_data=False).graph.input]


def _shape(example: torch.Tensor, free: Mapping[int, str]) -> dict[str, Any]:
    """As the manifest has it: what is free has a name."""
    sizes = [free.get(axis, size) for axis, size in enumerate(example.shape)]
    return {"dtype": str(example.dtype).removeprefix("torch."), "shape": sizes}


def description(model: LavidaModel, family: Qwen2VL) -> dict[str, Any]:
    """What the runtime has to know of a model beside its graphs."""
    config = model.config
    names = [name for name in (*SETTINGS, REMOVED) if name not in ("text_tokens", "family")]
    return {
        **{name: getattr(config, name) for name in names},
        "text_tokens": MAX_TOKENS,
        "family": {
            "name": family.model_type,
            "chat": asdict(family.chat),
            "mean": list(family.mean),
            "std": list(family.std),
            "patch": family.patch,
            "merge": family.merge,
            "temporal": family.temporal,
            "markup": ["<|vision_start|>", "<|vision_end|>"],
        },
    }


Inputs = dict[str, tuple[torch.Tensor, dict[int, str]]]  # by name: an example, and the sizes that are free


def parts(model: LavidaModel, family: Qwen2VL) -> Iterator[tuple[str, nn.Module, Inputs, list[str]]]:
    """Name, module, inputs and names of the outputs of each graph."""
    config = model.config
    vision, outputs = vision_inputs(config.motion)
    classifies = config.sam2_config.vision_config.backbone_config.model_type == EfficientNetLiteConfig.model_type
    outputs += [*(["class_logits"] if classifies else []), *(["cues"] if config.qualifiers else [])]
    graph = VisionGraph(model)
    yield GRAPHS.vision, graph, vision, outputs
    with torch.no_grad():
        seen = dict(zip(outputs, graph(*(example for example, _ in vision.values())), strict=True))
    decoder = decoder_inputs(model, seen)
    scores = ["frame_logits", "pixel_logits", "pixel_maps"]
    scores += ["category_logits", "evidence"] if config.alignment else []
    yield GRAPHS.decoder, DecoderGraph(model, inputs=list(decoder)), decoder, scores
    if config.qualifiers:
        nouns = {name: given for name, given in decoder.items() if name not in OF_QUALIFIERS}
        yield GRAPHS.noun_decoder, DecoderGraph(model, inputs=list(nouns)), nouns, scores
    ids = torch.ones(2, 5, dtype=torch.long)
    free = {0: "texts", 1: "length"}
    yield GRAPHS.text, TextGraph(model.text), {"input_ids": (ids, free), "attention_mask": (ids, free)}, ["features"]
    ratio = config.compression_ratio
    language = LanguageGraph(
        model.semantics.mllm, k=config.compression_k, compressed=ratio < 1, keep_positions=config.keep_positions
    )
    yield GRAPHS.language, language, language_inputs(model, family), ["f_sem"]


def vision_inputs(motion: bool) -> tuple[Inputs, list[str]]:
    """Sides are multiples of 32: the coarsest stride."""
    inputs: Inputs = {
        "frames": (torch.randint(0, 255, (2, 3, 96, 160), dtype=torch.uint8), {0: "frames", 2: "height", 3: "width"})
    }
    if motion:
        inputs["motion"] = (torch.ones(2, 4, 24, 40), {0: "frames", 2: "motion_height", 3: "motion_width"})
    return inputs, ["fine", "middle", "coarse"]


def decoder_inputs(model: LavidaModel, seen: dict[str, torch.Tensor]) -> Inputs:
    """What the vision graph gave and the features of the prompt."""
    inputs: Inputs = {
        name: (maps.clone(), {0: "frames", 2: f"{name}_rows", 3: f"{name}_cols"}) for name, maps in seen.items()
    }
    dim = model.text.dim
    inputs["f_sem"] = (torch.randn(model.semantics.hidden_size), {})
    inputs["f_c"] = (torch.randn(3, dim), {0: "categories"})
    if model.config.qualifiers:
        inputs["f_noun"] = (torch.randn(3, dim), {0: "categories"})
        *features, present = OF_QUALIFIERS
        for name in features:
            inputs[name] = (torch.randn(3, 2, dim), {0: "categories", 1: "qualifiers"})
        inputs[present] = (torch.ones(3, 2, dtype=torch.bool), {0: "categories", 1: "qualifiers"})
    return inputs


def language_inputs(model: LavidaModel, family: Qwen2VL) -> Inputs:
    """Of a clip of 2 groups of frames with 4 x 6 cells."""
    merge = family.merge
    width = 3 * family.temporal * family.patch**2
    tokens, before, after = 48, 5, 20
    kept = reference_count(tokens, model.config.compression_ratio)
    return {
        "patches": (torch.randn(2, 24 * merge**2, width), {0: "groups", 1: "patches"}),
        "cells": (torch.randint(0, 8, (24 * merge**2, 2)), {0: "patches"}),
        "slots": (torch.arange(kept), {0: "kept"}),
        "before": (torch.arange(before), {0: "before"}),
        "after": (torch.arange(after), {0: "after"}),
        "positions": (torch.arange(before + tokens + after).expand(3, -1).clone(), {1: "all"}),
    }


@contextmanager
def _sizes_stay_free() -> Iterator[None]:
    """Tracing writes the sizes that `Tensor.unflatten` computes into the graph as constants; `reshape` leaves them."""
    original = torch.Tensor.unflatten

    def unflatten(tensor: torch.Tensor, dim: int, sizes: Sequence[int]) -> torch.Tensor:
        dim %= tensor.ndim
        return tensor.reshape(*tensor.shape[:dim], *sizes, *tensor.shape[dim + 1 :])

    torch.Tensor.unflatten = unflatten
    try:
        yield
    finally:
        torch.Tensor.unflatten = original


def _export(graph: nn.Module, inputs: Inputs, outputs: list[str], path: Path) -> None:
    examples = tuple(example for example, _ in inputs.values())
    free = {name: sizes for name, (_, sizes) in inputs.items() if sizes}
    try:
        with _sizes_stay_free(), without_export_log(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what tracing fixes; the tests hold that sizes are free
            # not dynamo=True: with free sides that takes minutes and specialises sizes that are free
            torch.onnx.export(
                graph,
                examples,
                path,
                dynamo=False,
                input_names=list(inputs),
                output_names=outputs,
                dynamic_axes=free,
                opset_version=OPSET,
            )
    except (InputError, OSError):
        raise
    except Exception as error:  # the exporter raises many types
        raise InputError(
            f"this model cannot be exported: its {path.stem} stands in the way ({first_line(error)}); "
            "PyTorch runs it as it is"
        ) from error
