"""Thresholds from normal footage: what is promised, and what is refused."""

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.events import EventSettings, ScoredFrame, cut
from lavida.live.calibration import (
    COOL_DOWN_S,
    Footage,
    alarms_of,
    calibrate_word,
    calibrate_words,
    check_wish,
    clusters_over,
    poisson_bound,
)
from lavida.live.profile import Profile, Word
from live.made_series import KINDS, STEP_S, series


def flat(hours: float, score: float = 0.1, **peaks: float) -> Footage:
    """Scores of `score`, with a single frame of another at each `at_<second>`."""
    times = np.arange(int(hours * 3600 / STEP_S)) * STEP_S
    scores = np.full(len(times), score, np.float32)
    for name, peak in peaks.items():
        scores[int(float(name.removeprefix("at_")) / STEP_S)] = peak
    return Footage(times, scores, hours * 3600)


def test_the_bound_of_a_poisson_mean_is_that_of_the_tables():
    # Garwood's one-sided limits of 95 % for 0, 1, 5 and 10
    assert [round(poisson_bound(count, 0.95), 3) for count in (0, 1, 5, 10)] == [2.996, 4.744, 10.513, 16.962]


@pytest.mark.slow
def test_footage_that_is_too_short_is_refused_and_enough_is_not():
    needed = poisson_bound(0, 0.975)
    assert 3.6 < needed < 3.8
    with pytest.raises(InputError, match="too little normal footage for 'fire': 3.6 hours of it; .* takes 3.7 hours"):
        calibrate_word("fire", [flat(3.6)], per_hour=1.0)
    assert calibrate_word("fire", [flat(needed + 0.01)], per_hour=1.0).bound_per_hour <= 1.0


def test_the_threshold_lies_just_above_what_the_wish_leaves_no_room_for():
    peaks = {"at_600": 0.9, "at_1200": 0.7, "at_1210": 0.71, "at_1800": 0.5, "at_2400": 0.3}
    strict = calibrate_word("fire", [flat(1, **peaks)], per_hour=poisson_bound(0, 0.975) + 0.01)
    looser = calibrate_word("fire", [flat(1, **peaks)], per_hour=poisson_bound(1, 0.975) + 0.01)
    assert strict.word.threshold == pytest.approx(0.9, abs=1e-6)
    assert looser.word.threshold == pytest.approx(0.71, abs=1e-6)  # 0.7 and 0.71 are one cluster
    assert strict.word.threshold > 0.9
    assert strict.word.zero == pytest.approx(0.1)
    assert [clusters_over([flat(1, **peaks)], level) for level in (0.95, 0.9, 0.6, 0.4)] == [0, 1, 2, 3]


def test_clusters_of_two_videos_are_two():
    assert clusters_over([flat(1, at_3599=0.9), flat(1, at_1=0.9)], 0.5) == 2


@pytest.mark.slow
def test_a_word_that_normal_footage_is_full_of_is_refused():
    with pytest.raises(InputError, match="'person' scores up to 1.0000 in normal footage"):
        calibrate_word("person", [flat(8, score=1.0)], per_hour=1.0)


def test_bursts_of_many_alarms_that_are_too_few_to_judge_are_refused():
    times = np.arange(0, 8 * 3600, STEP_S)
    scores = np.where((times > 3600) & (times < 5400) & (times % 50 < 5), 0.8, 0.1).astype(np.float32)
    with pytest.raises(InputError, match="too few bursts"):
        calibrate_word("fire", [Footage(times, scores, times[-1] + STEP_S)], per_hour=8.0, cool_down_s=10.0)
    # with a pause of a minute wanted before the next alarm, it is one
    calibrate_word("fire", [Footage(times, scores, times[-1] + STEP_S)], per_hour=8.0)


def test_words_share_the_wish_and_the_risk():
    footage = [[flat(24, at_600=0.4), flat(24, at_600=0.6)]]
    asked = {"confidence": 0.95, "cool_down_s": COOL_DOWN_S, "model": "nano"}
    both = calibrate_words(["fire", "smoke"], footage, per_hour=1.0, **asked)
    assert both.bound_per_hour <= 1.0
    assert both.hours == 24
    assert [word.text for word in both.words] == ["fire", "smoke"]
    with pytest.raises(InputError, match="too little"):
        calibrate_words(["fire", "smoke"], [[flat(5), flat(5)]], per_hour=1.0, **asked)
    assert poisson_bound(0, 0.975) < 5 < 2 * poisson_bound(0, 0.9875)  # one word would have had enough


@pytest.mark.parametrize("wish", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wish_that_means_nothing_is_refused(wish):
    with pytest.raises(InputError, match="choose more than 0"):
        check_wish(wish)


def test_alarms_are_those_of_the_cutter_over_all_frames():
    word, footage = Word("fire", 0.1, 0.5), series(np.random.default_rng(0), 3)
    rows = zip(footage.times.tolist(), word.scaled(footage.scores).tolist(), strict=True)
    frames = [ScoredFrame(time_s, score, np.float32([score]), True) for time_s, score in rows]
    settings = EventSettings(threshold=0.5, cool_down_s=COOL_DOWN_S)
    events = cut(frames, ["fire"], settings, end_s=footage.end_s)
    assert len(events) > 10
    assert alarms_of(word, footage, cool_down_s=COOL_DOWN_S) == [event.start_s for event in events]


@pytest.mark.slow
def test_the_bound_holds_on_made_series_with_bursts():
    """The short form of `benchmarks/calibration.py`."""
    kept, promised = 0, 0
    for seed in range(30):
        rng, kind = np.random.default_rng(seed), list(KINDS.values())[seed % 3]
        learnt = calibrate_word("word", [series(rng, 4, **kind)], per_hour=8.0)
        later = len(alarms_of(learnt.word, series(rng, 30, **kind), cool_down_s=COOL_DOWN_S)) / 30
        kept, promised = kept + (later <= learnt.bound_per_hour <= 8.0), promised + 1
    assert kept >= 0.95 * promised


def test_a_profile_is_what_was_saved(tmp_path):
    profile = Profile((Word("fire", 0.1, 0.6), Word("smoke: grey", 0.0, 0.3)), 60.0, 1.0, 0.9, 0.95, 12.5, "nano")
    profile.save(tmp_path / "profile.yaml")
    assert Profile.load(tmp_path / "profile.yaml") == profile


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "not a profile"), ("words: []", "not a profile"), ("a: [", "not a profile"), ("5", "not a profile")],
)
def test_a_file_that_is_no_profile_is_named(text, said, tmp_path):
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        Profile.load(path)


def test_a_scale_keeps_the_order_and_puts_the_threshold_in_the_middle():
    word = Word("fire", 0.2, 0.8)
    assert word.scaled(np.float32([0.0, 0.2, 0.5, 0.8, 0.9, 1.0])).tolist() == pytest.approx(
        [0, 0, 0.25, 0.5, 0.75, 1], abs=1e-6
    )
    with pytest.raises(InputError, match="0 <= zero < threshold < 1"):
        Word("fire", 0.8, 0.2)
