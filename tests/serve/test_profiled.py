"""Jobs on the scales of a camera's profile."""

import pytest

from lavida.cli.app import run
from lavida.detection import Detection
from lavida.live.profile import Profile, Word
from lavida.serve.places import result_folder
from lavida.serve.profiled import ProfiledAnalyst
from serve.quick import QuickAnalyst, video

PROFILE = Profile((Word("fire", 0.5, 0.75), Word("smoke", 0.1, 0.2)), 0.0, 0.5, 0.4, 0.95, 12.0, "nano")


def test_scores_and_events_are_those_of_the_profile(serving):
    served = serving(profile=PROFILE)
    served.worker._analyst = ProfiledAnalyst(QuickAnalyst(), PROFILE)
    told = served.done("fire", "smoke")
    assert told["state"] == "done"
    scores = served.get(f"/api/jobs/{told['id']}/scores")
    raw = QuickAnalyst().detect(
        str(served.clip), ["fire", "smoke"], stride=None, threshold=0.5, scored=lambda clip: None
    )
    by_word = [word.scaled(column) for word, column in zip(PROFILE.words, raw.sampled_category_scores.T, strict=True)]
    rows = [[float(row[k]) for row in scores["category_scores"]] for k in range(2)]
    for got, wanted in zip(rows, by_word, strict=True):
        assert got == pytest.approx(wanted.tolist())
    found = Detection.load(result_folder(served.settings.data, told["id"]))
    assert scores["scores"] == pytest.approx(found.sampled_scores.tolist())  # the growing curve and the result are one
    events = served.get(f"/api/jobs/{told['id']}/events")["events"]
    # 230 of 255 is 0.80 for "fire" and 0.66 for "smoke", 150 of 255 is 0.18 and 0.56
    assert [(event["category"], round(event["peak_score"], 2)) for event in events] == [("fire", 0.8), ("smoke", 0.56)]


def test_masks_grow_on_its_scale(tmp_path):
    clips = []
    ProfiledAnalyst(QuickAnalyst(), PROFILE).detect(
        str(video(tmp_path / "a.mp4")), ["fire"], stride=None, threshold=0.5, scored=clips.append
    )
    masks = [mask for clip in clips for t in range(len(clip.indices)) for mask in clip.masks_over(0.2, t, ["fire"])]
    assert {round(mask.score, 1) for mask in masks} == {0.8}  # 230 of 255; 150 of 255 is 0.18 on this scale
    assert all(clip.masks_over(0.9, t, ["fire"]) == [] for clip in clips for t in range(len(clip.indices)))


def test_words_that_the_profile_does_not_know_are_refused_at_once(serving):
    served = serving(profile=PROFILE)
    with served.clip.open("rb") as file:
        answer = served.client.post("/api/jobs", data={"anomalies": ["dog"]}, files={"file": ("a.mp4", file)})
    assert (answer.status_code, answer.json()["message"]) == (
        422,
        "the profile does not know 'dog': calibrate with it, or choose of fire, smoke",
    )
    assert served.get("/api/jobs") == {"jobs": []}


def test_a_broken_profile_is_one_line(tmp_path, capsys):
    (tmp_path / "no.yaml").write_text("a: b")
    assert run(["serve", "--data", str(tmp_path / "data"), "--profile", str(tmp_path / "no.yaml")]) == 2
    assert "a broken profile: " in capsys.readouterr().err
