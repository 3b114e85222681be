"""Thresholds from normal footage: what is promised, and what is refused."""

import json

import numpy as np
import pytest

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.events import EventSettings, ScoredFrame, cut
from lavida.live.background import GRID, is_one, learnt
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
    [
        ("", "a broken profile: .*the profile lacks bound_per_hour, confidence, cool_down_s"),
        ("words: []", "a broken profile: .*the profile lacks"),
        ("a: [", "not a profile"),
        ("5", "not a profile"),
    ],
)
def test_a_file_that_is_no_profile_is_named(text, said, tmp_path):
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        Profile.load(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"words": []}, "words is no list of words"),
        ({"words": "fire"}, "words is no list of words"),
        ({"words": ["fire"]}, "a word is no list of key: value"),
        ({"words": [{"text": "fire", "zero": 0.1}]}, "a word lacks threshold"),
        ({"words": [{"text": "fire", "zero": 0.1, "threshold": 0.6, "hue": 1}]}, "a word has an unknown hue"),
        ({"words": [{"text": None, "zero": 0.1, "threshold": 0.6}]}, "the text of a word is none"),
        ({"words": [{"text": "fire", "zero": float("nan"), "threshold": 0.6}]}, "0 <= zero < threshold < 1"),
        ({"words": [{"text": "fire", "zero": False, "threshold": 0.6}]}, "0 <= zero < threshold < 1"),
        ({"words": 2 * [{"text": "fire", "zero": 0.1, "threshold": 0.6}]}, "a word stands twice"),
        ({"words": [{"text": "fire", "zero": 0.1, "threshold": 0.6, "background": "xyz"}]}, "its background is none"),
        ({"words": [{"text": "fire", "zero": 0.1, "threshold": 0.6, "background": [1]}]}, "its background is none"),
        ({"cool_down_s": -1}, "cool_down_s: -1 is no number from 0 on"),
        ({"cool_down_s": float("nan")}, "cool_down_s: nan is no number from 0 on"),
        ({"cool_down_s": "soon"}, "cool_down_s: soon is no number from 0 on"),
        ({"hours": None}, "hours: None is no number from 0 on"),
        ({"colour": 1}, "the profile has an unknown colour"),
    ],
)
def test_a_profile_that_was_changed_by_hand_is_refused_as_it_is_read(changed, said, tmp_path):
    path = tmp_path / "profile.yaml"
    profile = Profile((Word("fire", 0.1, 0.6),), 60.0, 1.0, 0.9, 0.95, 12.5, "nano")
    path.write_text(json.dumps(profile.to_json()))
    assert Profile.load(path) == profile
    path.write_text(json.dumps(profile.to_json() | changed).replace("NaN", ".nan"))
    with pytest.raises(InputError, match=f"a broken profile: .*{said}"):
        Profile.load(path)


def test_what_has_been_learnt_of_a_background_is_one_and_nothing_like_it():
    rng = np.random.default_rng(7)
    for share in (0.001, 0.01, 0.1, 0.5, 0.9, 1.0):
        grid = rng.random(GRID) <= share
        pixels = np.kron(grid, np.ones((4, 4), bool))
        made = learnt([Mask.from_pixels(pixels, frame=0, category="fire", score=0.9)], 1)
        assert made is None or is_one(made)
        if made is not None and len(made) > 2:
            assert not any(is_one(other) for other in (made[:-1], made + "1", made + "o"))
    assert not any(is_one(other) for other in (None, 5, "", "xyz", "ä", 5000 * "0", 40 * "o" + "1"))


def test_a_wish_for_more_alarms_than_there_are_frames_is_fulfilled():
    footage = [Footage(np.arange(20) / 5, np.linspace(0.2, 0.6, 20, dtype=np.float32), 4.0)]
    found = calibrate_word("fire", footage, per_hour=1e308)
    assert found.word.threshold <= 0.21
    assert found.bound_per_hour < 1e308


def test_a_scale_keeps_the_order_and_puts_the_threshold_in_the_middle():
    word = Word("fire", 0.2, 0.8)
    assert word.scaled(np.float32([0.0, 0.2, 0.5, 0.8, 0.9, 1.0])).tolist() == pytest.approx(
        [0, 0, 0.25, 0.5, 0.75, 1], abs=1e-6
    )
    with pytest.raises(InputError, match="0 <= zero < threshold < 1"):
        Word("fire", 0.8, 0.2)
