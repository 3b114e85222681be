"""The manifest of an exported model: what is in the folder, and what the runtime must know of the model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lavida.errors import InputError, reason

MANIFEST = "manifest.json"
SHARED = "shared_weights.bin"  # what two graphs have in common; only where there are two decoders
KNOWN_WORDS = "known_words.npy"  # features of the words that training asked; not there without alignment
FORMAT = 1
SETTINGS = (  # of the model
    "clip_length frame_side frame_multiple motion qualifiers compression_ratio tokens_per_pair text_tokens "
    "calibration_bias calibration_temperature clean_masks family"
).split()


class _Graphs(NamedTuple):
    vision: str = "vision"
    decoder: str = "decoder"
    noun_decoder: str = "noun_decoder"  # where nothing qualifies a thing; only of models that tell
    text: str = "text"
    language: str = "language"


GRAPHS = _Graphs()
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
        mend = "export it again with: lavida models export MODEL --out DIR"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (version := content["format"]) != FORMAT:
                raise InputError(f"the export in {folder} has format {version}, not {FORMAT}; {mend}")
            graphs, model = content["graphs"], content["model"]
            missing = [name for name in SETTINGS if name not in model]
            wanted = [name for name in GRAPHS if name in graphs or name not in OPTIONAL]
            short = [graphs[name]["file"] for name in wanted if not _whole(folder, graphs[name])]
            if (shared := content.get("shared")) and not _of_size(folder, shared):
                short.append(shared["file"])
        except FileNotFoundError as error:
            raise InputError(f"no exported model: {folder} has no {MANIFEST}; {mend}") from error
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"damaged export: {path} cannot be read ({reason(error)}); {mend}") from error
        if missing:
            raise InputError(f"damaged export: {path} does not tell {missing[0]}; {mend}")
        if short:
            raise InputError(f"damaged export: {folder / short[0]} is missing or cut short; {mend}")
        return cls(folder, content)


def _whole(folder: Path, graph: dict[str, Any]) -> bool:
    return _of_size(folder, graph) and bool(graph["inputs"]) and bool(graph["outputs"])


def _of_size(folder: Path, file: dict[str, Any]) -> bool:
    path = folder / file["file"]
    return path.is_file() and path.stat().st_size == file["bytes"]
