"""Thresholds from normal footage alone, with an upper bound of the false alarms that they will give.

A word's threshold is put just above all but the m highest clusters of its scores in the normal footage, where m is
fixed beforehand by the length of the footage and the wish. If clusters come as a Poisson process, the rate of later
ones over such an order statistic is Gamma(m + 1) over the footage's length (Wilks 1941, Ann. Math. Stat. 12, 91),
whose upper quantile is Garwood's bound of a Poisson mean (1936, Biometrika 28, 437). Scores come in bursts, so what
is counted is clusters: scores over the threshold less than a minute apart, or less than the longest burst if that is
longer ("runs declustering", Smith and Weissman 1994, J. R. Stat. Soc. B 56, 515). How many alarms a cluster gives is
measured at a lower threshold, where there are more of them; the upper bound of its mean takes half of the risk, the
number of clusters the other half. Several words share the wish and the risk evenly (Bonferroni): however they depend
on each other, the bound of their sum holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lavida.errors import InputError
from lavida.events import RELEASE_SHARE, EventSettings, ScoredFrame, cut, shortest
from lavida.live.profile import MIDDLE, Profile, Word

CONFIDENCE = 0.95
APART_S = 60.0  # scores further apart are different clusters
LONGEST_BURST_S = 1800.0  # what lasts longer is not a burst but how the camera's scores are
COOL_DOWN_S = 60.0
SIZED_CLUSTERS = 20  # are enough to tell how many alarms one gives
CLEAR_SHARE = 0.25  # of the way from the zero point to the highest score: bursts are looked at above the noise
LEAST_CLUSTERS = 5  # where some give several alarms, fewer do not tell how many are usual
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
    half = 1 - (1 - confidence) / 2  # half of the risk for the number of clusters, half for their size
    bursts = _Bursts.of(text, footage, zero=zero, cool_down_s=cool_down_s, confidence=half)
    left_out = -1  # clusters above the threshold
    most = sum(len(each.scores) for each in footage)  # a wish for more of them is fulfilled by any threshold
    while left_out < most and poisson_bound(left_out + 1, half) * bursts.alarms / hours <= per_hour:
        left_out += 1
    if left_out < 0:
        needed = poisson_bound(0, half) * bursts.alarms / per_hour
        needed += 0.05 if needed >= 1 else 0.05 / 60  # what is shown is at least what it takes
        raise InputError(
            f"too little normal footage for '{text}': {_length(hours)} of it; to promise at most {per_hour:.3g} false "
            f"alarms an hour with {confidence:.1%} confidence takes {_length(needed)}: give more, or wish for less"
        )
    threshold = max(_threshold(footage, most=left_out, apart_s=bursts.apart_s), LEAST_THRESHOLD)
    if threshold > HIGHEST:
        raise InputError(f"'{text}' scores up to {threshold:.4f} in normal footage: describe it in other words")
    word = Word(text, min(zero, shortest(0.9 * threshold)), threshold)
    return Calibrated(word, poisson_bound(left_out, half) * bursts.alarms / hours)


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


def clusters_over(footage: Sequence[Footage], threshold: float, *, apart_s: float = APART_S) -> int:
    """How many clusters of scores reach a threshold; those of different videos are different ones."""
    times = (each.times[each.scores >= np.float32(threshold)] for each in footage)
    return sum(1 + int(np.count_nonzero(np.diff(reached) > apart_s)) for reached in times if len(reached))


def alarms_of(word: Word, footage: Footage, *, cool_down_s: float) -> list[float]:
    """When events of the word begin, in seconds, as `watch` would tell them with its profile."""
    settings = EventSettings(threshold=MIDDLE, cool_down_s=cool_down_s)
    scaled, times = word.scaled(footage.scores), footage.times
    # frames far behind the last one over the release level change nothing
    over, places = scaled >= RELEASE_SHARE * MIDDLE, np.arange(len(times))
    last = np.maximum.accumulate(np.where(over, places, -1))
    matters = over | ((last >= 0) & ((times - times[last] <= 2 * settings.merge_gap_s) | (places - last == 1)))
    rows = zip(times[matters].tolist(), scaled[matters].tolist(), scaled[matters, None], strict=True)
    frames = (ScoredFrame(time_s, score, row, True) for time_s, score, row in rows)
    return [event.start_s for event in cut(frames, [word.text], settings, end_s=footage.end_s)]


def _threshold(footage: Sequence[Footage], *, most: int, apart_s: float = APART_S) -> float:
    """The lowest one from which on upwards no threshold is reached by more clusters than `most`."""
    values = np.unique(np.concatenate([each.scores for each in footage]))  # ascending
    above = np.nextafter(values, np.float32(2))
    step, good = 1, len(above) - 1  # above the highest one there is none
    while good > 0 and clusters_over(footage, above[max(0, good - step)], apart_s=apart_s) <= most:
        good = max(0, good - step)
        step = min(2 * step, max(1, len(above) // 64))
    bad = max(-1, good - step)
    while good - bad > 1:
        middle = (good + bad) // 2
        if clusters_over(footage, above[middle], apart_s=apart_s) <= most:
            good = middle
        else:
            bad = middle
    return float(above[good])


@dataclass(frozen=True)
class _Bursts:
    """What clusters are like, measured at a threshold that many of them reach.

    Attributes:
        apart_s: scores further apart are different clusters.
        alarms: upper confidence bound of the mean number of alarms that a cluster gives, at least 1.
    """

    apart_s: float
    alarms: float

    @classmethod
    def of(
        cls, text: str, footage: Sequence[Footage], *, zero: float, cool_down_s: float, confidence: float
    ) -> _Bursts:
        from scipy.stats import t as student  # slow to import

        highest = max(float(each.scores.max()) for each in footage)
        clear = zero + CLEAR_SHARE * (highest - zero)
        threshold = min(max(_threshold(footage, most=SIZED_CLUSTERS), clear, LEAST_THRESHOLD), HIGHEST)
        word = Word(text, min(zero, 0.9 * threshold), threshold)
        reached = [each.times[each.scores >= np.float32(threshold)] for each in footage]
        lengths = [part[-1] - part[0] for times in reached for part in _parts(times, APART_S)]
        apart_s = min(max(APART_S, *lengths, 0.0), LONGEST_BURST_S)
        sizes: list[int] = []
        for each, times in zip(footage, reached, strict=True):
            begins = [part[0] for part in _parts(times, apart_s)]
            starts = alarms_of(word, each, cool_down_s=cool_down_s)
            # an event begins a little before its scores reach the threshold
            places = np.searchsorted(np.array(begins) - APART_S / 2, starts, side="right") - 1
            sizes += np.bincount(np.maximum(places, 0), minlength=len(begins)).tolist() if begins else []
        if max(sizes, default=0) <= 1:
            return cls(apart_s, 1.0)
        if len(sizes) < LEAST_CLUSTERS:
            raise InputError(
                f"'{text}' gives up to {max(sizes)} alarms in one burst of normal footage, and there are too few "
                f"bursts ({len(sizes)}) to tell how many are usual: give more footage, or describe it in other words"
            )
        error = np.std(sizes, ddof=1) / math.sqrt(len(sizes))
        return cls(apart_s, max(1.0, float(np.mean(sizes) + student.ppf(confidence, len(sizes) - 1) * error)))


def _parts(times: np.ndarray, apart_s: float) -> list[np.ndarray]:
    """Times, ascending, in clusters further apart than this."""
    return np.split(times, np.flatnonzero(np.diff(times) > apart_s) + 1) if len(times) else []


def _length(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
