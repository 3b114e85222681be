"""The manifest of an exported model: what is in the folder, and what the runtime must know of the model."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.errors import UNREADABLE, InputError, first_line, reason
from lavida.files import MANIFEST, is_text, sha256
from lavida.runtime.contract import GRAPHS, check

SHARED = "shared_weights.bin"  # what two graphs have in common; only where there are two decoders
KNOWN_WORDS = "known_words.npy"  # features of the words that training asked; not there without alignment
TOKENIZERS = ("tokenizer", "text_tokenizer")  # folders: of the language model, and of the text encoder
TOKENIZER_FILE = "tokenizer.json"
FORMAT = 1
_OF_THE_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what looking into a folder may leave there
MEND = "export it again with: lavida models export MODEL --out DIR"


@dataclass(frozen=True)
class Manifest:
    """A folder that `lavida models export` wrote.

    Attributes:
        folder: Where it is.
        content: All of `manifest.json`.
    """

    folder: Path
    content: dict[str, Any]
    _checked: dict[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int:
        """Bytes of all graphs."""
        return sum(file["bytes"] for file in self.files())

    def files(self) -> list[dict[str, Any]]:
        """`file` and `bytes` of each graph, and of what two of them share."""
        graphs, shared = self.content["graphs"], self.content.get("shared")
        return [*(graphs[name] for name in GRAPHS if name in graphs), *([shared] if shared else [])]

    def known_words(self) -> NDArray[np.float32] | None:
        """Features of the words that training asked, `[N, D_t]`; None without alignment. Raises InputError."""
        path = self.folder / KNOWN_WORDS
        if not path.is_file():
            self.check_file(KNOWN_WORDS)
            return None
        try:
            words = np.load(path)
            if not isinstance(words, np.ndarray) or words.ndim != 2 or words.dtype.kind != "f" or not words.size:
                raise ValueError("no table of numbers")
            if not np.isfinite(words).all():
                raise ValueError("numbers that are not finite")
        except (*UNREADABLE, MemoryError) as error:  # a damaged head may tell of any size
            raise unreadable(path, error) from error
        self.check_file(KNOWN_WORDS)
        return words.astype(np.float32)

    @property
    def model(self) -> dict[str, Any]:
        """Settings of the model, by their names in `LavidaConfig`."""
        return self.content["model"]

    def has(self, graph: str) -> bool:
        """Whether there is such a graph, one of `GRAPHS`."""
        return graph in self.content["graphs"]

    def path(self, graph: str) -> Path:
        """Where it is."""
        return self.folder / self.content["graphs"][graph]["file"]

    def inputs(self, graph: str) -> list[str]:
        """What it is given, by name."""
        return list(self.content["graphs"][graph]["inputs"])

    def shapes(self, graph: str) -> dict[str, list[int | str]]:
        """Of its inputs; a free size is a name."""
        return {name: told["shape"] for name, told in self.content["graphs"][graph]["inputs"].items()}

    def outputs(self, graph: str) -> list[str]:
        """What it gives, in order."""
        return self.content["graphs"][graph]["outputs"]

    def check_graph(self, graph: str) -> None:
        """Raise InputError unless its file, and what it shares, are those that were exported."""
        self.check_file(self.content["graphs"][graph]["file"])
        if self.content.get("shared") and graph in (GRAPHS.decoder, GRAPHS.noun_decoder):
            self.check_file(self.content["shared"]["file"])

    def check_file(self, name: str) -> None:
        """Raise InputError unless a file is the one that was exported, of exports that tell their SHA-256.

        It may be damaged, or a process may have it that began before the folder was exported anew.
        """
        told = self.content.get("files", {}).get(name)
        if told is None:
            return
        path = self.folder / name
        try:
            state = path.stat().st_size, path.stat().st_mtime_ns
            if self._checked.get(name) == state:  # each size of video opens the same graphs
                return
            found = sha256(path)
        except OSError as error:
            raise unreadable(path, error) from error
        if found != told:
            raise InputError(
                f"damaged export: {path} is not what was exported; {MEND}, or if that was done meanwhile, start again"
            )
        self._checked[name] = state

    def check_same(self) -> None:
        """Raise InputError if the folder has been exported anew since it was read."""
        try:
            same = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8")) == self.content
        except UNREADABLE:
            same = False
        if not same:
            raise InputError(f"the export in {self.folder} has been replaced since it was opened; start again")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises InputError for a folder that is none, is damaged or was written by a newer lavida."""
        path = folder / MANIFEST
        if not is_text(str(folder)):
            raise InputError(f"no runtime opens a path that is no text: {folder}; give the folder another name")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version = content["format"]
        except FileNotFoundError as error:
            raise InputError(f"no exported model: {folder} has no {MANIFEST}; {MEND}") from error
        except UNREADABLE as error:
            raise unreadable(path, error) from error
        if version != FORMAT:
            newer = isinstance(version, int) and version > FORMAT
            mend = f"install the lavida that wrote it, or {MEND}" if newer else MEND
            raise InputError(f"the export in {folder} has format {version}, not {FORMAT}; {mend}")
        try:
            check(content)
        except InputError as error:
            raise InputError(f"damaged export: {path} {error}; {MEND}") from error
        manifest = cls(folder, content)
        for file in manifest.files():
            if not _whole(folder / file["file"], file["bytes"]):
                raise InputError(f"damaged export: {folder / file['file']} is missing or cut short; {MEND}")
        return manifest


def unreadable(path: Path, error: BaseException) -> InputError:
    """The line for a file of an export that cannot be read: it is damaged, or only others may read it."""
    said = reason(error) if isinstance(error, OSError) else first_line(error)
    if isinstance(error, PermissionError):
        return InputError(f"{path} cannot be read ({said}); whoever exported it can allow that")
    return InputError(f"damaged export: {path} cannot be read ({said}); {MEND}")


def replaceable(folder: Path) -> bool:
    """Whether all that a folder holds was exported, though it may be damaged: another export may take its place."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    graphs = {f"{graph}.onnx" for graph in GRAPHS}
    tokenizers = {f"{name}/{TOKENIZER_FILE}" for name in TOKENIZERS}
    if MANIFEST not in names or not names <= graphs | tokenizers | {SHARED, KNOWN_WORDS, MANIFEST} | _OF_THE_SYSTEM:
        return False
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except UNREADABLE:
        content = None
    told = isinstance(content, dict) and {"format", "graphs"} <= content.keys()
    return told or {f"{GRAPHS.vision}.onnx", f"{GRAPHS.decoder}.onnx"} <= names


def _whole(path: Path, size: int) -> bool:
    return os.path.isfile(path) and path.stat().st_size == size  # os.path, because no path is too odd for it
