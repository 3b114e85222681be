"""An exported model that is asked about clips: the forward pass over its four graphs.

It says what the model says: the graphs of vision and decoder are the network itself, traced (`graphs/parts.py`); that
of the language model holds Eq. 3 to 5, written again for graphs (`graphs/compression.py`). Each export is compared with
its model at its end (`graphs/comparing.py`), and `tests/runtime` compares toy models of every kind.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.answer import Answer, AskedClip, Calibration, Floats, Surroundings
from lavida.errors import InputError
from lavida.model.grid import fit_grid
from lavida.model.phrase import split_phrase
from lavida.model.wording import unfamiliar
from lavida.runtime.contract import GRAPHS, REMOVED
from lavida.runtime.manifest import KNOWN_WORDS, MEND, TOKENIZERS, Manifest
from lavida.runtime.opened import OpenedGraphs
from lavida.runtime.preparation import cells, patches, positions, prompt, read_tokenizer, text_batch
from lavida.runtime.session import give_back_memory

Array = NDArray[Any]
PIXELS_AT_ONCE = 704 * 384  # a frame as nano analyses it: more at once are hardly faster and take more memory
MOST_REMEMBERED = 20_000


class ExportedModel:
    """The graphs of a folder that `lavida models export` wrote, in ONNX Runtime or OpenVINO.

    Args:
        folder: Where it is.
        runtime: `onnx`, `openvino` or `auto`: the first of them that is installed.
        precision: `float32`, or for OpenVINO `bf16`; `auto` takes that where the processor multiplies it.
        keeps: Whether what OpenVINO compiles is kept for the next start.

    Attributes:
        manifest: What the folder tells of itself.
        config: The settings that it tells of its model.
        graphs: Are being opened; what cannot be read is told by `graphs.ready()`, or by what asks for it first.

    Raises:
        InputError: The folder is damaged, or the runtime is not installed.
    """

    def __init__(self, folder: Path, *, runtime: str = "auto", precision: str = "float32", keeps: bool = True) -> None:
        self.manifest = Manifest.read(folder)
        self.graphs = OpenedGraphs(self.manifest, runtime=runtime, precision=precision, keeps=keeps)
        self.settings = self.manifest.model
        self.config = SimpleNamespace(**{REMOVED: []} | self.settings)
        for name in (GRAPHS.text, GRAPHS.language, *(() if self.graphs.joins else (GRAPHS.vision,))):
            self.graphs.begin(name)
        self._tokenizer, self._text_tokenizer = (read_tokenizer(self.manifest, name) for name in TOKENIZERS)
        self._known_words = self.manifest.known_words()
        self._features: dict[str, Array] = {}
        self._texts_asked = 0  # times that the text encoder was

    device = "cpu"

    def prepare(self) -> None:
        """See `Backend`: it is."""

    def expect(self, height: int, width: int, categories: Sequence[str]) -> None:
        """See `Backend`: opens what will answer."""
        if self.graphs.joins:
            self.graphs.begin_joined(self._decoder(categories), _sizes(height, width, categories))

    def answer(
        self, frames: Array, categories: Sequence[str], *, motion: Array | None = None, template: int | None = None
    ) -> Answer:
        """See `Backend`."""
        return self._answered(self.outputs(frames, categories, motion=motion, template=template), len(categories))

    def answers(self, clips: Iterable[AskedClip], categories: Sequence[str]) -> Iterator[Answer]:
        """See `Backend`: a frame or a few at a time."""
        for (found,) in self._parts(clips, [categories], template=None):
            yield self._answered(found, len(categories))
        give_back_memory()  # the result is about to be written

    def _answered(self, found: dict[str, Floats], count: int) -> Answer:
        evidence = found.get("evidence")
        return Answer.of(
            found["frame_logits"],
            found.get("category_logits"),
            Calibration.of(self.config),
            count=count,
            pixel_logits=found["pixel_logits"],
            pixel_maps=lambda: found["pixel_maps"],
            strongest=None if evidence is None else partial(_strongest, evidence),
            clean_masks=self.settings["clean_masks"],
        )

    def outputs(
        self, frames: Array, categories: Sequence[str], *, motion: Array | None = None, template: int | None = None
    ) -> dict[str, Floats]:
        """What the decoder says of the T frames of a clip, by the names of its outputs; logits, not calibrated.

        `frame_logits` `[T]`, `pixel_logits` and `pixel_maps` `[T, H/4, W/4]`, and with alignment `category_logits`
        `[T, K]` and `evidence` `[T, K, H/8, W/8]`. Arguments as in `answer`.
        """
        (found,) = self.outputs_of_each(frames, [categories], motion=motion, template=template)
        return found

    def outputs_of_each(
        self,
        frames: Array,
        queries: Sequence[Sequence[str]],
        *,
        motion: Array | None = None,
        template: int | None = None,
    ) -> list[dict[str, Floats]]:
        """`outputs` of several lists of categories; the frames are encoded once."""
        parts = zip(*self._parts([(frames, motion)], queries, template=template), strict=True)
        return [{name: np.concatenate([part[name] for part in told]) for name in told[0]} for told in parts]

    def _parts(
        self, clips: Iterable[AskedClip], queries: Sequence[Sequence[str]], *, template: int | None
    ) -> Iterator[list[dict[str, Floats]]]:
        """Of some frames after the others, of each query."""
        for sizes, alike in groupby(clips, key=lambda clip: self._joined_sizes(clip[0], clip[1], queries)):
            if sizes is not None:
                yield from self._joined(alike, queries[0], sizes, template)
                continue
            for frames, motion in alike:
                yield from self._in_turn(frames, motion, queries, template)

    def _joined(
        self, clips: Iterable[AskedClip], categories: Sequence[str], sizes: dict[str, int], template: int | None
    ) -> Iterator[list[dict[str, Floats]]]:
        """A frame at a time, in one graph."""
        decoder = self._decoder(categories)

        def inputs() -> Iterator[dict[str, Array]]:
            for frames, motion in clips:
                texts = self._texts(frames, categories, template)
                for t in range(len(frames)):
                    yield self._shown(frames, motion, slice(t, t + 1)) | texts

        for found in self.graphs.run_joined(decoder, sizes, inputs()):
            self._check_sizes(decoder, found, frames=1, texts=len(categories))
            yield [found]

    def _in_turn(
        self, frames: Array, motion: Array | None, queries: Sequence[Sequence[str]], template: int | None
    ) -> Iterator[list[dict[str, Floats]]]:
        """Vision, and then a decoder for each query."""
        step = max(1, PIXELS_AT_ONCE // (frames.shape[2] * frames.shape[3]))
        asked = [(self._decoder(query), self._texts(frames, query, template)) for query in queries]
        for some in (slice(start, start + step) for start in range(0, len(frames), step)):
            seen = self.graphs.run(GRAPHS.vision, self._shown(frames, motion, some))
            each = [self.graphs.run(decoder, seen | texts) for decoder, texts in asked]
            for (decoder, texts), found in zip(asked, each, strict=True):
                self._check_sizes(decoder, found, frames=len(frames[some]), texts=len(texts["f_c"]))
            yield each

    def _joined_sizes(
        self, frames: Array, motion: Array | None, queries: Sequence[Sequence[str]]
    ) -> dict[str, int] | None:
        """Of the graph for frames of a video, whose other clips have their size, too; None: there is none."""
        moves = motion is not None and bool(motion[:, 3].any())  # known of all frames of a video but the first
        if not self.graphs.joins or len(queries) != 1 or (len(frames) == 1 and not moves):
            return None
        (categories,), (height, width) = queries, frames.shape[2:]
        return _sizes(height, width, categories)

    def _check_sizes(self, decoder: str, found: dict[str, Array], *, frames: int, texts: int) -> None:
        """A graph of other sizes is noticed, which OpenVINO runs without a word."""
        scored = found["frame_logits"].shape
        by_category = found["category_logits"].shape if "category_logits" in found else (frames, texts)
        counts = {len(part) for part in found.values()}
        if scored != (frames,) or by_category != (frames, texts) or counts != {frames}:
            path = self.manifest.path(decoder)
            raise InputError(
                f"damaged export: {path} has no score for each of {frames} frames and {texts} texts; {MEND}"
            )

    def _texts(self, frames: Array, categories: Sequence[str], template: int | None) -> dict[str, Array]:
        """What a decoder is told beside what vision gives."""
        return {**self._text_inputs(categories), "f_sem": self.f_sem(frames, categories, template=template)}

    def _decoder(self, categories: Sequence[str]) -> str:
        alone = self.manifest.has(GRAPHS.noun_decoder) and not any(split_phrase(text).qualifiers for text in categories)
        return GRAPHS.noun_decoder if alone else GRAPHS.decoder

    def _shown(self, frames: Array, motion: Array | None, some: slice) -> dict[str, Array]:
        """What the graph of vision is given of some of the frames; motion None: unknown."""
        inputs = {"frames": frames[some]}
        if self.settings["motion"] and motion is not None:
            inputs["motion"] = motion[some].astype(np.float32)
        elif self.settings["motion"]:
            count, _, height, width = inputs["frames"].shape
            inputs["motion"] = np.zeros((count, 4, height // 4, width // 4), np.float32)
        return inputs

    def f_sem(self, frames: Array, categories: Sequence[str], *, template: int | None = None) -> Array:
        """`[D_llm]` (Eq. 3-5)."""
        family, ratio = self.settings["family"], self.settings["compression_ratio"]
        cell = family["patch"] * family["merge"]
        grid = fit_grid(*frames.shape[2:], cell=cell, max_cells=self.settings["tokens_per_pair"])
        pixels = patches(frames, grid, family)
        count = len(pixels) * grid[0] * grid[1]
        kept = count if ratio >= 1 else max(1, int(ratio * count))
        before, after = prompt(self._tokenizer, categories, family, template=template or 0)
        inputs = {
            "patches": pixels,
            "cells": cells(grid, family["merge"]),
            "slots": np.arange(kept),
            "before": before,
            "after": after,
            "positions": positions(len(before), (len(pixels), *grid), len(after)),
        }
        return self.graphs.run(GRAPHS.language, inputs)["f_sem"]

    def _text_inputs(self, categories: Sequence[str]) -> dict[str, Array]:
        if not self.settings["qualifiers"]:
            return {"f_c": self.features(categories)}
        phrases = [split_phrase(text) for text in categories]
        parts = (text for phrase in phrases for text in (phrase.noun, *phrase.qualifiers, *phrase.named))
        self.features([*categories, *parts])  # all at once, as the encoder may then go
        inputs = {"f_c": self.features(categories)}
        inputs["f_noun"] = self.features([phrase.noun for phrase in phrases])
        most = _most_qualifiers(categories)
        count, dim = inputs["f_c"].shape
        qualifiers, named = (np.zeros((count, most, dim), np.float32) for _ in range(2))
        present = np.zeros((count, most), bool)
        for i, phrase in enumerate(phrases):
            if given := len(phrase.qualifiers):
                qualifiers[i, :given] = self.features(phrase.qualifiers)
                named[i, :given] = self.features(phrase.named)
                present[i, :given] = True
        return inputs | {"f_qualifier": qualifiers, "f_named": named, "present": present}

    def unfamiliar(self, categories: Sequence[str]) -> list[str]:
        """See `Backend`."""
        if self._known_words is None:
            return unfamiliar(categories, [False] * len(categories), None)
        features = self.features(categories)
        if features.shape[1] != self._known_words.shape[1]:
            path = self.manifest.folder / KNOWN_WORDS
            raise InputError(f"damaged export: {path} has features of another length than {GRAPHS.text}.onnx; {MEND}")
        nearest = (features @ self._known_words.T).max(-1)
        tokenizer = self._text_tokenizer
        split = [
            any(len(tokenizer.encode(word, add_special_tokens=False).ids) > 1 for word in text.split())
            for text in categories
        ]
        return unfamiliar(categories, split, nearest.tolist())

    def surroundings(self) -> Surroundings:
        """See `Backend`."""
        settings = {"device": self.device, "runtime": self.graphs.runtime, "precision": self.graphs.precision}
        return Surroundings(settings, self.graphs.versions, None)

    def features(self, texts: Sequence[str]) -> Array:
        """f_c `[K, D_t]`; each text is encoded once."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._features]:
            if len(self._features) + len(new) > MOST_REMEMBERED:
                self._features.clear()
                new = list(dict.fromkeys(texts))
            batch = text_batch(self._text_tokenizer, new, most=self.settings["text_tokens"])
            self._features |= dict(zip(new, self.graphs.run(GRAPHS.text, batch)["features"], strict=True))
            self._texts_asked += 1
            if self._texts_asked == 1:  # a third of all weights, of which most runs have no further need
                self.graphs.forget(GRAPHS.text)
        return np.stack([self._features[text] for text in texts])


def _strongest(evidence: Floats, t: int) -> NDArray[np.uint8]:
    return evidence[t].argmax(0).astype(np.uint8)


def _sizes(height: int, width: int, categories: Sequence[str]) -> dict[str, int]:
    """Of one frame and these categories, by their names in the manifest."""
    return {
        "frames": 1,
        "height": height,
        "width": width,
        "motion_height": height // 4,
        "motion_width": width // 4,
        "categories": len(categories),
        "qualifiers": _most_qualifiers(categories),
    }


def _most_qualifiers(categories: Sequence[str]) -> int:
    """Places for qualifiers that each category gets: a graph takes no fewer than one."""
    return max(1, *(len(split_phrase(text).qualifiers) for text in categories))
