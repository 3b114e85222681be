"""Thresholds from normal footage alone, with an upper bound of the false alarms that they will give.

A word's threshold is put just above all but the m highest clusters of its scores in the normal footage, where m is
fixed beforehand by the length of the footage and the wish. If clusters come as a Poisson process, the rate of later
ones over such an order statistic is Gamma(m + 1) over the footage's length (Wilks 1941, Ann. Math. Stat. 12, 91),
whose upper quantile is Garwood's bound of a Poisson mean (1936, Biometrika 28, 437). Scores come in bursts, so what
is counted is clusters, scores over the threshold less than a minute apart ("runs declustering", Smith and Weissman
1994, J. R. Stat. Soc. B 56, 515), and what one cluster gives in alarms is measured. Several words share the wish and
the risk evenly (Bonferroni): however they depend on each other, the bound of their sum holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lavida.errors import InputError
from lavida.events import EventSettings, ScoredFrame, cut, shortest
from lavida.live.profile import MIDDLE, Profile, Word

CONFIDENCE = 0.95
APART_S = 60.0  # scores further apart are different clusters
COOL_DOWN_S = 60.0
SIZED_CLUSTERS = 20  # are enough to tell how many alarms one gives
LEAST_THRESHOLD = 0.05  # a word that is never seen says nothing of lower scores
HIGHEST = 1 - 1e-4  # a threshold above it would let nothing through


@dataclass(frozen=True)
class Footage:
    """The scores of one word over one normal video.

    Attributes:
        times: float64 `[S]`, seconds, of the analysed frames.
        scores: float32 `[S]`.
        end_s: the end of the video.
    """

    times: np.ndarray
    scores: np.ndarray
    end_s: float


@dataclass(frozen=True)
class Calibrated:
    """A word, and the upper bound of its false alarms an hour."""

    word: Word
    bound_per_hour: float


def poisson_bound(count: int, confidence: float) -> float:
    """Garwood's upper confidence bound of a Poisson mean of which `count` was seen."""
    from scipy.special import gammaincinv  # slow to import

    return float(gammaincinv(count + 1, confidence))


def hours_needed(per_hour: float, *, words: int = 1, confidence: float = CONFIDENCE) -> float:
    """The least footage, in hours, from which so few false alarms can be promised for so many words together."""
    return poisson_bound(0, 1 - (1 - confidence) / words) * words / per_hour


def calibrate_word(
    text: str,
    footage: Sequence[Footage],
    *,
    per_hour: float,
    confidence: float = CONFIDENCE,
    cool_down_s: float = COOL_DOWN_S,
) -> Calibrated:
    """The zero point and the threshold of one word.

    Args:
        text: the word.
        footage: its scores over normal videos.
        per_hour: how many false alarms an hour it may give.
        confidence: with which the bound holds.
        cool_down_s: see `EventSettings`.

    Raises:
        InputError: the footage is too short for the wish, or the word scores highest in normal footage.
    """
    hours = sum(each.end_s for each in footage) / 3600
    zero = shortest(np.median(np.concatenate([each.scores for each in footage])))
    alarms = _alarms_a_cluster(text, footage, zero=zero, cool_down_s=cool_down_s)
    left_out = -1  # clusters above the threshold
    while poisson_bound(left_out + 1, confidence) * alarms / hours <= per_hour:
        left_out += 1
    if left_out < 0:
        needed = poisson_bound(0, confidence) * alarms / per_hour
        raise InputError(
            f"too little normal footage for '{text}': {_length(hours)} of it; to promise at most {per_hour:.3g} false "
            f"alarms an hour with {confidence:.1%} confidence takes {_length(needed)}: give more, or wish for less"
        )
    threshold = max(_threshold(footage, most=left_out), LEAST_THRESHOLD)
    if threshold > HIGHEST:
        raise InputError(f"'{text}' scores up to {threshold:.4f} in normal footage: describe it in other words")
    word = Word(text, min(zero, shortest(0.9 * threshold)), threshold)
    return Calibrated(word, poisson_bound(left_out, confidence) * alarms / hours)


def calibrate_words(
    categories: Sequence[str],
    footage: Sequence[Sequence[Footage]],
    *,
    per_hour: float,
    confidence: float,
    cool_down_s: float,
    model: str,
) -> Profile:
    """The profile of a camera: the words share the wish and the risk evenly.

    Args:
        categories: K texts.
        footage: for each normal video the scores of each text.
        per_hour: how many false alarms an hour all words together may give.
        confidence: with which the bound holds.
        cool_down_s: see `EventSettings`.
        model: whose scores they are.

    Raises:
        InputError: as `calibrate_word`.
    """
    count = len(categories)
    words = [
        calibrate_word(
            text,
            [video[index] for video in footage],
            per_hour=per_hour / count,
            confidence=1 - (1 - confidence) / count,
            cool_down_s=cool_down_s,
        )
        for index, text in enumerate(categories)
    ]
    return Profile(
        words=tuple(each.word for each in words),
        cool_down_s=cool_down_s,
        false_alarms_per_hour=per_hour,
        bound_per_hour=sum(each.bound_per_hour for each in words),
        confidence=confidence,
        hours=sum(video[0].end_s for video in footage) / 3600,
        model=model,
    )


def check_wish(per_hour: float) -> None:
    """Raises InputError for a number of false alarms that nobody can wish for."""
    if not (0 < per_hour < math.inf):
        raise InputError(f"{per_hour} false alarms an hour: choose more than 0")


def clusters_over(footage: Sequence[Footage], threshold: float) -> int:
    """How many clusters of scores reach a threshold; those of different videos are different ones."""
    times = (each.times[each.scores >= np.float32(threshold)] for each in footage)
    return sum(1 + int(np.count_nonzero(np.diff(reached) > APART_S)) for reached in times if len(reached))


def alarms_of(word: Word, footage: Footage, *, cool_down_s: float) -> list[float]:
    """When events of the word begin, in seconds, as `watch` would tell them with its profile."""
    settings = EventSettings(threshold=MIDDLE, cool_down_s=cool_down_s)
    scaled = word.scaled(footage.scores)
    rows = zip(footage.times.tolist(), scaled.tolist(), scaled[:, None], strict=True)
    frames = (ScoredFrame(time_s, score, row, True) for time_s, score, row in rows)
    return [event.start_s for event in cut(frames, [word.text], settings, end_s=footage.end_s)]


def _threshold(footage: Sequence[Footage], *, most: int) -> float:
    """The lowest one from which on upwards no threshold is reached by more clusters than `most`."""
    values = np.unique(np.concatenate([each.scores for each in footage]))  # ascending
    above = np.nextafter(values, np.float32(2))
    step, good = 1, len(above) - 1  # above the highest one there is none
    while good > 0 and clusters_over(footage, above[max(0, good - step)]) <= most:
        good = max(0, good - step)
        step = min(2 * step, max(1, len(above) // 64))
    bad = max(-1, good - step)
    while good - bad > 1:
        middle = (good + bad) // 2
        if clusters_over(footage, above[middle]) <= most:
            good = middle
        else:
            bad = middle
    return float(above[good])


def _alarms_a_cluster(text: str, footage: Sequence[Footage], *, zero: float, cool_down_s: float) -> float:
    """How many alarms a cluster gives, at a lower threshold with enough clusters to tell; one error above the mean."""
    threshold = min(max(_threshold(footage, most=SIZED_CLUSTERS), LEAST_THRESHOLD), HIGHEST)
    word = Word(text, min(zero, 0.9 * threshold), threshold)
    sizes: list[int] = []
    for each in footage:
        starts = alarms_of(word, each, cool_down_s=cool_down_s)
        reached = each.times[each.scores >= np.float32(threshold)]
        if not len(reached):
            continue
        begins = reached[np.append(True, np.diff(reached) > APART_S)]
        # an event begins a little before its scores reach the threshold
        places = np.searchsorted(begins - APART_S / 2, starts, side="right") - 1
        sizes += np.bincount(np.maximum(places, 0), minlength=len(begins)).tolist()
    if not sizes:
        return 1.0
    error = np.std(sizes) / math.sqrt(len(sizes))
    return max(1.0, float(np.mean(sizes) + error))


def _length(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
