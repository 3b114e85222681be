"""What a manifest has to say for the runtime to run: settings in their ranges, and graphs that it can feed and read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from lavida.errors import InputError, reason
from lavida.files import is_text
from lavida.settings import check_settings, setting


class _Graphs(NamedTuple):
    vision: str = "vision"
    decoder: str = "decoder"
    noun_decoder: str = "noun_decoder"  # where nothing qualifies a thing; only of models that tell
    text: str = "text"
    language: str = "language"


GRAPHS = _Graphs()
OPTIONAL = {GRAPHS.noun_decoder}
REMOVED = "removed_categories"  # from a model's training; of exports that tell it, for the held-out test alone
MOST = 1e6  # of a number that is no count: more is nonsense
# what the runtime has for the inputs of each graph, beside what depends on the model
_FED = {
    GRAPHS.vision: {"frames"},
    GRAPHS.text: {"input_ids", "attention_mask"},
    GRAPHS.language: {"patches", "cells", "slots", "before", "after", "positions"},
    GRAPHS.decoder: {"f_sem", "f_c"},
}
_FED_OF_QUALIFIERS = {"f_noun", "f_qualifier", "f_named", "present"}
_SCORES = {"frame_logits", "pixel_logits", "pixel_maps"}
_SCORES_OF_CATEGORIES = {"category_logits", "evidence"}  # both or neither
_READ = {  # of the outputs of each graph
    GRAPHS.vision: set[str](),
    GRAPHS.text: {"features"},
    GRAPHS.language: {"f_sem"},
    GRAPHS.decoder: _SCORES,
    GRAPHS.noun_decoder: _SCORES,
}


def _numbers(values: Any, *, above: float = -MOST) -> bool:
    return _all_of(values, 3, (int, float)) and all(above < value < MOST for value in values)


def _all_of(values: Any, count: int, kinds: Any) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(isinstance(value, kinds) and not isinstance(value, bool) for value in values)
    )


def _text() -> Any:
    return setting(..., rule=(is_text, "a text"))


@dataclass
class Chat:
    """The texts around clip and question."""

    before_video: str = _text()
    after_video: str = _text()
    before_answer: str = _text()
    answer_start: str = _text()


@dataclass
class Family:
    """How the language model's family takes frames and questions."""

    chat: Chat
    patch: int = setting(..., least=1, most=1024)
    merge: int = setting(..., least=1, most=64)
    temporal: int = setting(..., least=1, most=64)
    mean: tuple[float, ...] = setting(..., rule=(_numbers, "three numbers"))
    std: tuple[float, ...] = setting(..., rule=(lambda values: _numbers(values, above=0), "three numbers above 0"))
    markup: tuple[str, ...] = setting(
        ..., rule=(lambda values: _all_of(values, 2, str) and all(map(is_text, values)), "two texts")
    )


@dataclass
class ModelSettings:
    """What the runtime has to know of a model beside its graphs. Upper ends only tell numbers from nonsense."""

    family: Family
    clip_length: int = setting(..., least=1, most=65_536)
    frame_side: int = setting(..., least=1, most=65_536)
    frame_multiple: int = setting(..., least=1, most=4096)
    motion: bool = setting(...)
    qualifiers: bool = setting(...)
    compression_ratio: float = setting(..., rule=(lambda value: 0 < value <= MOST, "a number above 0"))
    tokens_per_pair: int = setting(..., least=1, most=1_000_000)
    text_tokens: int = setting(..., least=1, most=1_000_000)
    calibration_bias: float = setting(..., least=-MOST, most=MOST)
    calibration_temperature: float = setting(..., least=1 / MOST, most=MOST)
    clean_masks: bool = setting(...)


SETTINGS = [each.name for each in fields(ModelSettings)]
_PARTS = {"family": Family, "chat": Chat}


def check(content: Any) -> None:
    """Check a manifest of the format of this version.

    Raises:
        InputError: What is missing or does not fit, by its dotted key: the rest of a sentence that begins with the
            path of the manifest.
    """
    try:
        check_settings(_filled(ModelSettings, content["model"]), where="says ")
        graphs, model = content["graphs"], content["model"]
        for name in GRAPHS:
            if name in graphs or name not in OPTIONAL:
                _check_graph(name, graphs, model)
        if content.get("shared"):
            _check_file("shared", content["shared"])
        files = content.get("files", {})
        if not isinstance(files, dict) or not all(isinstance(told, str) for told in files.values()):
            raise InputError("does not tell the SHA-256 of its files as texts")
        removed = model.get(REMOVED, [])
        if not _all_of(removed, len(removed), str):
            raise InputError(f"does not tell {REMOVED} as texts")
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"cannot be read ({reason(error)})") from error


def _filled(kind: type, told: Any, *, prefix: str = "") -> Any:
    values = {}
    for name in (each.name for each in fields(kind)):
        if told.get(name) is None:
            raise InputError(f"does not tell {prefix}{name}")
        part = _PARTS.get(name)
        value = tuple(told[name]) if isinstance(told[name], list) else told[name]
        values[name] = _filled(part, value, prefix=f"{prefix}{name}.") if part else value
    return kind(**values)


def _check_graph(name: str, graphs: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    graph = graphs[name]
    _check_file(f"graphs.{name}", graph)
    inputs, outputs = graph["inputs"], graph["outputs"]
    if not isinstance(inputs, dict) or not inputs:
        raise InputError(f"tells no inputs of graphs.{name}")
    for key, told in inputs.items():
        shape = told["shape"]
        if not _all_of(shape, len(shape), (int, str)):
            raise InputError(f"does not tell the shape of the input {key} of graphs.{name}")
    if not _all_of(outputs, len(outputs), str) or not outputs:
        raise InputError(f"tells no outputs of graphs.{name}")
    if strange := set(inputs) - _fed(name, graphs, model):
        raise InputError(f"says that graphs.{name} has an input {min(strange)}, which nothing gives")
    wanted = _READ[name] | (_SCORES_OF_CATEGORIES if _SCORES_OF_CATEGORIES & set(outputs) else set())
    if lacking := wanted - set(outputs):
        raise InputError(f"says that graphs.{name} has no output {min(lacking)}")


def _fed(name: str, graphs: Mapping[str, Any], model: Mapping[str, Any]) -> set[str]:
    if name not in (GRAPHS.decoder, GRAPHS.noun_decoder):
        return _FED[name] | ({"motion"} if name == GRAPHS.vision and model["motion"] else set())
    seen = _FED[GRAPHS.decoder] | set(graphs[GRAPHS.vision]["outputs"])
    return seen | (_FED_OF_QUALIFIERS if model["qualifiers"] else set())


def _check_file(key: str, told: Any) -> None:
    if not (isinstance(told["file"], str) and type(told["bytes"]) is int):
        raise InputError(f"does not tell the file and the bytes of {key}")
