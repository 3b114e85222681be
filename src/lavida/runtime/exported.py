"""An exported model that is asked about clips: the forward pass over its four graphs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.model.phrase import split_phrase
from lavida.runtime.manifest import GRAPHS, Manifest
from lavida.runtime.preparation import cells, fit_grid, patches, positions, prompt, read_tokenizer, text_batch
from lavida.runtime.session import PACKAGES, open_session

Array = NDArray[Any]
PIXELS_AT_ONCE = 2 * 704 * 384  # as `model.predictor`: more frames would only take memory
MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of T frames and K categories; logits, float32.

    Attributes:
        frame_logits: `[T]`, not calibrated.
        pixel_logits: `[T, H/4, W/4]`.
        pixel_maps: `[T, H/4, W/4]`, by which pixels of different frames are compared.
        category_logits: `[T, K]`; None for a model without alignment.
        evidence: `[T, K, H/8, W/8]`; None for a model without alignment.
    """

    frame_logits: Array
    pixel_logits: Array
    pixel_maps: Array
    category_logits: Array | None = None
    evidence: Array | None = None


class ExportedModel:
    """The graphs of a folder that `lavida models export` wrote, in ONNX Runtime or OpenVINO.

    Raises InputError for a damaged folder or a runtime that is not installed.
    """

    def __init__(self, folder: Path, *, runtime: str) -> None:
        if runtime not in PACKAGES:
            raise InputError(f"unknown runtime {runtime}: choose {', '.join(PACKAGES)}")
        self.manifest = Manifest.read(folder)
        self.runtime = runtime
        self.settings = self.manifest.model
        self._sessions = {name: open_session(folder / f"{name}.onnx", runtime) for name in GRAPHS}
        self._tokenizer = read_tokenizer(folder / "tokenizer")
        self._text_tokenizer = read_tokenizer(folder / "text_tokenizer")
        self._features: dict[str, Array] = {}

    def answer(
        self, frames: Array, categories: Sequence[str], *, motion: Array | None = None, template: int = 0
    ) -> Answer:
        """Read a clip.

        Args:
            frames: uint8 `[T, 3, H, W]`, sides multiples of 32.
            categories: K texts.
            motion: `[T, 4, H/4, W/4]` (`video.motion.motion_field`); None: unknown.
            template: Index into `TEMPLATES`.
        """
        texts = {"f_sem": self.f_sem(frames, categories, template=template), **self._text_inputs(categories)}
        step = max(1, PIXELS_AT_ONCE // (frames.shape[2] * frames.shape[3]))
        parts = []
        for start in range(0, len(frames), step):
            some = slice(start, start + step)
            seen = self.encode(frames[some], None if motion is None else motion[some])
            parts.append(self._run(GRAPHS.decoder, seen | texts))
        return Answer(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def encode(self, frames: Array, motion: Array | None) -> dict[str, Array]:
        """f_v of frames (Eq. 6)."""
        inputs = {"frames": frames}
        if self.settings["motion"]:
            height, width = (side // 4 for side in frames.shape[2:])
            unknown = np.zeros((len(frames), 4, height, width), np.float32)
            inputs["motion"] = unknown if motion is None else motion.astype(np.float32)
        return self._run(GRAPHS.vision, inputs)

    def f_sem(self, frames: Array, categories: Sequence[str], *, template: int = 0) -> Array:
        """`[D_llm]` (Eq. 3-5)."""
        family, ratio = self.settings["family"], self.settings["compression_ratio"]
        cell = family["patch"] * family["merge"]
        grid = fit_grid(*frames.shape[2:], cell=cell, most=self.settings["tokens_per_pair"])
        pixels = patches(frames, grid, family)
        count = len(pixels) * grid[0] * grid[1]
        kept = count if ratio >= 1 else max(1, int(ratio * count))
        if ratio < 1 and (count < self.settings["least_tokens"] or kept < self.settings["least_kept"]):
            raise InputError(f"frames of {frames.shape[3]}x{frames.shape[2]} are too narrow for an exported model")
        before, after = prompt(self._tokenizer, categories, family, template=template)
        inputs = {
            "patches": pixels,
            "cells": cells(grid, family["merge"]),
            "slots": np.arange(kept),
            "before": before,
            "after": after,
            "positions": positions(len(before), (len(pixels), *grid), len(after)),
        }
        return self._run(GRAPHS.language, inputs)["f_sem"]

    def _text_inputs(self, categories: Sequence[str]) -> dict[str, Array]:
        inputs = {"f_c": self.features(categories)}
        if not self.settings["qualifiers"]:
            return inputs
        phrases = [split_phrase(text) for text in categories]
        inputs["f_noun"] = self.features([phrase.noun for phrase in phrases])
        most = max(1, *(len(phrase.qualifiers) for phrase in phrases))
        count, dim = inputs["f_c"].shape
        qualifiers, present = np.zeros((count, most, dim), np.float32), np.zeros((count, most), bool)
        for i, phrase in enumerate(phrases):
            if phrase.qualifiers:
                qualifiers[i, : len(phrase.qualifiers)] = self.features(phrase.qualifiers)
                present[i, : len(phrase.qualifiers)] = True
        return inputs | {"f_qualifier": qualifiers, "present": present}

    def features(self, texts: Sequence[str]) -> Array:
        """f_c `[K, D_t]`; each text is encoded once."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._features]:
            if len(self._features) + len(new) > MOST_REMEMBERED:
                self._features.clear()
                new = list(dict.fromkeys(texts))
            batch = text_batch(self._text_tokenizer, new, most=self.settings["text_tokens"])
            self._features |= dict(zip(new, self._run(GRAPHS.text, batch)["features"], strict=True))
        return np.stack([self._features[text] for text in texts])

    def _run(self, graph: str, inputs: dict[str, Array]) -> dict[str, Array]:
        wanted = {name: inputs[name] for name in self.manifest.inputs(graph)}
        return dict(zip(self.manifest.outputs(graph), self._sessions[graph].run(wanted), strict=True))
