"""Pairs of a true and a false qualifier, and verbs that nobody taught."""

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_lavida

from lavida.detector import Detector
from lavida.evaluation.held_out import qualifier_pairs
from lavida.evaluation.held_out.qualifier_pairs import (
    CLIPS,
    UNPROVEN,
    Pair,
    by_hand,
    made_pairs,
    pairs_by_hand,
    qualified_measures,
    text_logits,
    unproven_measures,
)
from lavida.evaluation.held_out.questions import PICTURES
from lavida.evaluation.tables import exposure_tables
from lavida.exposure import qualifier_words
from lavida.exposure.qualifier_proofs import KINDS
from lavida.exposure.sample import SegmentationSample
from lavida.exposure.vocabulary import Vocabulary
from lavida.model.phrase import split_phrase


def stems(texts) -> set[str]:
    """Beginnings of the words; of short ones all of it."""
    return {word[:5] for text in texts for word in re.findall(r"[a-z]+", text.lower())}


def test_no_training_asks_for_the_unproven_verbs():
    vocabulary = Vocabulary.builtin()
    texts = [pattern for patterns in qualifier_words.UNPROVEN.values() for pattern in patterns]
    texts += [pattern for patterns in qualifier_words.PATTERNS.values() for pattern in patterns]
    texts += [text for name in vocabulary.names for text in (name, *vocabulary.phrases(name))]
    verbs = {verb: stems([verb.removeprefix("being ").split()[0]]) for own in UNPROVEN.values() for verb in own}
    assert len(verbs) == 20
    assert {verb: stem & stems(texts) for verb, stem in verbs.items() if stem & stems(texts)} == {}


def test_the_model_reads_each_unproven_text_as_a_thing_and_what_it_does():
    for noun, verbs in UNPROVEN.items():
        assert all(split_phrase(f"{noun} {verb}").noun == noun for verb in verbs)


def test_the_pairs_by_hand_are_many_and_of_every_kind():
    rows = by_hand()
    assert len(rows) >= 120
    assert {row["kind"] for row in rows} == set(KINDS)
    assert all(row["true"] != row["false"] for row in rows)
    assert len({tuple(row.values()) for row in rows}) == len(rows)


@pytest.mark.slow
def test_a_text_is_asked_alone_and_a_clip_answers_with_the_mean_of_its_frames():
    detector = Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))
    detector.torch.autocast = nullcontext  # in bf16, where that is fast, the number of texts changes the rounding
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)

    def sample(chosen: np.ndarray) -> SegmentationSample:
        return SegmentationSample(frames=chosen, masks={}, ignore=None, dataset="x", key="1")

    both = text_logits(detector, sample(frames), ["red car", "dog"])
    assert both.shape == (2,)
    each = [text_logits(detector, sample(frames), [text]) for text in ("red car", "dog")]
    assert both == pytest.approx(np.concatenate(each), abs=1e-4)


@pytest.mark.slow
def test_made_pairs_name_one_thing_twice_and_each_text_by_hand_finds_its_picture(
    kit: Path, known_bank: None, monkeypatch: pytest.MonkeyPatch
):
    asked = list(made_pairs(kit, PICTURES, most=3))
    pairs = [pair for _, pairs in asked for pair in pairs]
    assert {pair.kind for pair in pairs} == set(KINDS)
    assert all(pair.true != pair.false for pair in pairs)
    again = [pair for _, pairs in made_pairs(kit, PICTURES, most=3) for pair in pairs]
    assert pairs == again
    monkeypatch.setattr(qualifier_pairs, "CLIPS", replace(CLIPS, clip_length=1))  # found as quickly
    assert sum(len(pairs) for _, pairs in pairs_by_hand(kit)) == len(by_hand())


def test_the_measures_of_a_model_that_always_hears_the_qualifier(monkeypatch: pytest.MonkeyPatch):
    detector = Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))
    sample = SegmentationSample(np.zeros((1, 8, 8, 3), np.uint8), {}, None, "x", "1")
    pairs = [Pair("colour", f"red thing {i}", f"blue thing {i}") for i in range(4)]
    said = {"red": 3.0, "blue": -3.0}
    monkeypatch.setattr(
        qualifier_pairs,
        "text_logits",
        lambda _, __, texts: np.array([said.get(text.split()[0], 3.0) for text in texts]),
    )
    monkeypatch.setattr(qualifier_pairs, "made_pairs", lambda *_: iter([(sample, pairs)]))
    monkeypatch.setattr(qualifier_pairs, "pairs_by_hand", lambda *_: iter([(sample, pairs[:1])]))
    monkeypatch.setattr(qualifier_pairs, "further_sets", lambda *_: [])
    monkeypatch.setattr(qualifier_pairs, "_showing", lambda noun, *_: iter([(sample, ["red " + noun])]))
    told = []
    measured = qualified_measures(detector, Path(), progress=lambda title, done, total, *_: told.append((title, done)))
    assert measured["made"]["colour"] == {"pairs": 4, "auc": 1.0, "order": 1.0, "found": 1.0, "alarms": 0.0}
    assert measured["by_hand"]["colour"]["pairs"] == 1
    assert measured["unproven"]["noun"] == measured["unproven"]["alarms"] == measured["unproven"]["proven"] == 1.0
    assert ("qualified, made", 4) in told and ("unproven", len(UNPROVEN)) in told
    reliability = {"expected_calibration_error": 0.0}
    tables = exposure_tables({"reliability": reliability, "sets": {}, "removed": {}, "qualified": measured})
    assert [table.row_count for table in tables] == [0, 1, 1, 23]


@pytest.mark.slow
def test_the_measures_of_a_model_that_hears_the_noun_alone(kit: Path, monkeypatch: pytest.MonkeyPatch):
    detector = Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))
    asked: list[list[str]] = []

    def logits(detector, sample, texts):
        asked.append(texts)
        (noun,) = {text for text in texts if text in UNPROVEN}
        visible = sample.masks[noun].any()
        return np.array([9.0 if visible and split_phrase(text).noun == noun else -9.0 for text in texts])

    monkeypatch.setattr(qualifier_pairs, "text_logits", logits)
    monkeypatch.setattr(qualifier_pairs, "SHOWING", 2)
    measured = unproven_measures(detector, kit, PICTURES)
    assert measured["samples"] == len(asked) == 2 * len(UNPROVEN)
    assert measured["alarms"] == measured["noun"] == measured["proven"] == 1.0
    assert set(measured["texts"]) == {f"{noun} {verb}" for noun, verbs in UNPROVEN.items() for verb in verbs}
