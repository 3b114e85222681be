"""What `lavida calibrate` has learnt of one camera: for each word a zero point and a threshold."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from lavida.detection import Detection, Mask
from lavida.errors import InputError, first_line, reason
from lavida.events import RELEASE_SHARE, shortest
from lavida.files import atomic_file
from lavida.live.background import by_frame, is_one, outside
from lavida.live.regions import Area, within
from lavida.live.scorer import ClipScores

MIDDLE = 0.5  # where a word's own threshold comes to lie


@dataclass(frozen=True, slots=True)
class Word:
    """The scale of one word's scores: `zero` becomes 0, `threshold` 0.5, 1 stays 1, what lies between is linear.

    Attributes:
        background: where it always is, see `lavida.live.background`; None where that has not been learnt.

    Raises:
        InputError: the two do not lie in this order between 0 and 1; the background is none.
    """

    text: str
    zero: float
    threshold: float
    background: str | None = None

    def __post_init__(self) -> None:
        if not (_is_number(self.zero) and _is_number(self.threshold) and 0 <= self.zero < self.threshold < 1):
            raise InputError(f"'{self.text}': 0 <= zero < threshold < 1 is needed, not {self.zero}, {self.threshold}")
        if self.background is not None and not is_one(self.background):
            raise InputError(f"'{self.text}': its background is none")

    def scaled(self, scores: np.ndarray) -> np.ndarray:
        """Scores of any shape on the word's scale, float32."""
        return np.interp(scores, [self.zero, self.threshold, 1.0], [0.0, MIDDLE, 1.0]).astype(np.float32)

    def scaled_one(self, score: float) -> float:
        """One score on the word's scale."""
        return shortest(self.scaled(np.array([score], np.float32))[0])

    def raw(self, score: float) -> float:
        """The model's score that is `score` on the word's scale."""
        return float(np.interp(score, [0.0, MIDDLE, 1.0], [self.zero, self.threshold, 1.0]))


@dataclass(frozen=True)
class Profile:
    """A camera's scales, and how they came about.

    Attributes:
        words: one for each text.
        cool_down_s: the alarms were counted with this cool-down.
        false_alarms_per_hour: the wish.
        bound_per_hour: upper confidence bound of all words' false alarms together.
        confidence: of the bound.
        hours: of normal footage.
        model: whose scores they are.
    """

    words: tuple[Word, ...]
    cool_down_s: float
    false_alarms_per_hour: float
    bound_per_hour: float
    confidence: float
    hours: float
    model: str

    def chosen(self, categories: Sequence[str]) -> list[Word]:
        """The words of these texts. Raises InputError for one that the profile does not know."""
        known = {word.text: word for word in self.words}
        for text in categories:
            if text not in known:
                raise InputError(
                    f"the profile does not know '{text}': calibrate with it, or choose of {', '.join(known)}"
                )
        return [known[text] for text in categories]

    def floor(self, categories: Sequence[str], *, score: float = MIDDLE) -> float:
        """The lowest score on the model's own scale that is `score` for one of the words."""
        return min(word.raw(score) for word in self.chosen(categories))

    @property
    def backgrounds(self) -> bool:
        """Whether it knows for a word where it always is."""
        return any(word.background is not None for word in self.words)

    def foreground(self, text: str) -> Area:
        """Where a word counts: not where it always is."""
        (word,) = self.chosen([text])
        return outside(word.background)

    def applied(self, clip: ClipScores, categories: Sequence[str], *, threshold: float) -> ClipScores:
        """The scores of a clip on the scales of its words; a frame's score is that of its highest word."""
        per_category = self._scaled(clip.category_scores, categories)
        masks = [self._masks(each, categories, least=threshold) for each in clip.masks]
        return ClipScores(per_category.max(axis=1), per_category, masks)

    def detection(self, found: Detection, *, threshold: float) -> Detection:
        """A detection on the scales of its words; see `applied`."""
        per_category = self._scaled(found.sampled_category_scores, found.categories)
        masks = self._masks(found.candidates, found.categories, least=0.0)
        scores = per_category.max(axis=1)
        if self.backgrounds:
            size, clip = (found.info.height, found.info.width), ClipScores(scores, per_category, by_frame(found, masks))
            clip = within(clip, found.categories, self.foreground, size=size, floor=RELEASE_SHARE * threshold)
            scores, per_category = clip.scores, clip.category_scores
            masks = [mask for each in clip.masks for mask in each]
        return replace(
            found,
            sampled_scores=scores,
            sampled_category_scores=per_category,
            threshold=threshold,
            masks=[],
            candidates=masks,
            run=found.run | {"settings": found.run["settings"] | {"threshold": threshold, "profile": self.to_json()}},
        )

    def ask(
        self, detect: Callable[..., Detection], *source: Any, anomalies: Sequence[str], threshold: float, **asked: Any
    ) -> Detection:
        """What `Detector.detect` says, on the scales of the words; the threshold is one of those."""
        floor = self.floor(anomalies, score=threshold * (RELEASE_SHARE if self.backgrounds else 1.0))
        found = detect(*source, anomalies=anomalies, threshold=floor, **asked)
        return self.detection(found, threshold=threshold)

    def _scaled(self, scores: np.ndarray, categories: Sequence[str]) -> np.ndarray:
        columns = zip(self.chosen(categories), scores.T, strict=True)
        return np.stack([word.scaled(column) for word, column in columns], axis=1)

    def _masks(self, masks: Sequence[Mask], categories: Sequence[str], *, least: float) -> list[Mask]:
        words = {word.text: word for word in self.chosen(categories)}
        scaled = [replace(mask, score=words[mask.category].scaled_one(mask.score)) for mask in masks]
        return [mask for mask in scaled if mask.score >= least]

    @property
    def fingerprint(self) -> str:
        """The same for the same scales, and for no others."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The profile as it stands in its file."""
        return asdict(self) | {"words": [asdict(word) for word in self.words]}

    def save(self, path: Path) -> None:
        """Write it as YAML. Raises InputError if that is not possible."""
        from omegaconf import OmegaConf

        with atomic_file(path) as partial:
            partial.write_text(OmegaConf.to_yaml(OmegaConf.create(self.to_json())), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Profile:
        """What `save` wrote. Raises InputError for anything else."""
        from omegaconf import OmegaConf

        try:
            content: Any = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")))
            _check_names(content, {each.name for each in fields(cls)}, "the profile")
            if not isinstance(content["words"], list) or not content["words"]:
                raise InputError("words is no list of words")
            words = tuple(_word(each) for each in content["words"])
            if len({word.text for word in words}) < len(words):
                raise InputError("a word stands twice")
            numbers = {each.name: content[each.name] for each in fields(cls) if each.name not in ("words", "model")}
            for name, number in numbers.items():
                if not _is_number(number) or number < 0:
                    raise InputError(f"{name}: {number} is no number from 0 on")
            return cls(words=words, model=str(content["model"]), **numbers)
        except InputError as error:
            raise InputError(f"a broken profile: {path}; {error}; calibrate again") from error
        except OSError as error:
            raise InputError(f"the profile cannot be read: {path}; {reason(error)}; check its path") from error
        except Exception as error:  # of YAML
            raise InputError(f"not a profile: {path}; {first_line(error)}; write one with lavida calibrate") from error


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


def _check_names(given: Any, known: set[str], what: str, *, optional: Collection[str] = ()) -> None:
    """Raises InputError for keys that are missing or unknown."""
    if not isinstance(given, dict):
        raise InputError(f"{what} is no list of key: value")
    missing, more = known - set(given) - set(optional), set(given) - known
    if missing or more:
        said = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        said += [f"has an unknown {', '.join(sorted(map(str, more)))}"] if more else []
        raise InputError(f"{what} {' and '.join(said)}")


def _word(given: Any) -> Word:
    """What stands in a file for a word."""
    _check_names(given, {each.name for each in fields(Word)}, "a word", optional=("background",))
    if not isinstance(given["text"], str) or not given["text"].strip():
        raise InputError(f"the text of a word is none: {given['text']}")
    return Word(given["text"], given["zero"], given["threshold"], given.get("background"))
