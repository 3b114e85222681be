"""The manifest of an exported model: what is in the folder, and what the runtime must know of the model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError, first_line, reason

MANIFEST = "manifest.json"
SHARED = "shared_weights.bin"  # what two graphs have in common; only where there are two decoders
KNOWN_WORDS = "known_words.npy"  # features of the words that training asked; not there without alignment
FORMAT = 1
SETTINGS = (  # of the model
    "clip_length frame_side frame_multiple motion qualifiers compression_ratio tokens_per_pair text_tokens "
    "calibration_bias calibration_temperature clean_masks family"
).split()
REMOVED = "removed_categories"  # from its training; of exports that tell it, for the held-out test alone
FAMILY = "patch merge temporal mean std chat markup".split()  # of the language model
CHAT = "before_video after_video before_answer answer_start".split()  # of the family


class _Graphs(NamedTuple):
    vision: str = "vision"
    decoder: str = "decoder"
    noun_decoder: str = "noun_decoder"  # where nothing qualifies a thing; only of models that tell
    text: str = "text"
    language: str = "language"


GRAPHS = _Graphs()
_MEND = "export it again with: lavida models export MODEL --out DIR"
OPTIONAL = {GRAPHS.noun_decoder}


@dataclass(frozen=True)
class Manifest:
    """A folder that `lavida models export` wrote.

    Attributes:
        folder: Where it is.
        content: All of `manifest.json`.
    """

    folder: Path
    content: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all graphs."""
        files = [*self.content["graphs"].values(), self.content.get("shared")]
        return sum(file["bytes"] for file in files if file)

    def known_words(self) -> NDArray[np.float32] | None:
        """Features of the words that training asked, `[N, D_t]`; None without alignment. Raises InputError."""
        path = self.folder / KNOWN_WORDS
        if not path.is_file():
            return None
        try:
            words = np.load(path)
            if not isinstance(words, np.ndarray) or words.ndim != 2 or words.dtype.kind != "f":
                raise ValueError("no table of numbers")
        except (OSError, ValueError, EOFError) as error:  # EOFError of an empty file
            raise InputError(f"damaged export: {path} cannot be read ({first_line(error)}); {_MEND}") from error
        return words.astype(np.float32)

    @property
    def model(self) -> dict[str, Any]:
        return self.content["model"]

    def has(self, graph: str) -> bool:
        return graph in self.content["graphs"]

    def inputs(self, graph: str) -> list[str]:
        return list(self.content["graphs"][graph]["inputs"])

    def outputs(self, graph: str) -> list[str]:
        return self.content["graphs"][graph]["outputs"]

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises InputError for a folder that is none, is damaged or was written by a newer lavida."""
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (version := content["format"]) != FORMAT:
                raise InputError(f"the export in {folder} has format {version}, not {FORMAT}; {_MEND}")
            graphs, model = content["graphs"], content["model"]
            missing = [name for name in SETTINGS if name not in model] or _missing_of_family(model["family"])
            wanted = [name for name in GRAPHS if name in graphs or name not in OPTIONAL]
            short = [graphs[name]["file"] for name in wanted if not _whole(folder, graphs[name])]
            if (shared := content.get("shared")) and not _of_size(folder, shared):
                short.append(shared["file"])
        except FileNotFoundError as error:
            raise InputError(f"no exported model: {folder} has no {MANIFEST}; {_MEND}") from error
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"damaged export: {path} cannot be read ({reason(error)}); {_MEND}") from error
        if missing:
            raise InputError(f"damaged export: {path} does not tell {missing[0]}; {_MEND}")
        if short:
            raise InputError(f"damaged export: {folder / short[0]} is missing or cut short; {_MEND}")
        return cls(folder, content)


def _missing_of_family(family: dict[str, Any]) -> list[str]:
    missing = [f"family.{name}" for name in FAMILY if name not in family]
    return missing or [f"family.chat.{name}" for name in CHAT if name not in family["chat"]]


def _whole(folder: Path, graph: dict[str, Any]) -> bool:
    return _of_size(folder, graph) and bool(graph["inputs"]) and bool(graph["outputs"])


def _of_size(folder: Path, file: dict[str, Any]) -> bool:
    path = folder / file["file"]
    return path.is_file() and path.stat().st_size == file["bytes"]
