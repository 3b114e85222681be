"""Temporal smoothing: only within a steady scene, by 1, 3, 1, and the same however a video is cut into clips."""

import json
from pathlib import Path

import numpy as np
import pytest
from bright import bright_detector
from PIL import Image

from lavida.answer import Answer, sigmoid
from lavida.builder import ScoredClip
from lavida.cli import run
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.smoothing import FARTHEST_S, MOST, looks, smoothed
from lavida.video.clips import Clip
from lavida.video.decode import open_source


def scored(logits, *, looks=None, step_s: float = 0.2, start: int = 0) -> ScoredClip:
    """A clip with these category logits `[T, K]`; all frames look the same unless told."""
    logits = np.array(logits, np.float32)
    count = len(logits)
    answer = Answer(logits.max(-1), logits, np.zeros((count, 2, 2), np.float32), lambda: np.zeros(0), None, False)
    looks = np.zeros((count, 16, 16), np.float32) if looks is None else looks
    indices = np.arange(start, start + count)
    return ScoredClip(indices, step_s * indices, answer, (8, 8), looks)


def logits_of(*clips: ScoredClip) -> np.ndarray:
    return np.concatenate([clip.answer.category_logits for clip in smoothed(clips)])


def test_a_jump_on_one_frame_of_a_steady_scene_is_shared_with_its_neighbours():
    told = logits_of(scored([[0], [0], [2], [0], [0]]))[:, 0]
    assert told == pytest.approx([0, 0.4, 1.2, 0.4, 0])


def test_at_the_ends_there_is_one_neighbour():
    assert logits_of(scored([[2], [0], [0], [2]]))[:, 0] == pytest.approx([1.5, 0.4, 0.4, 1.5])


def test_what_does_not_change_stays_to_the_last_bit():
    clip = scored(np.linspace(-7, 7, 6)[None].repeat(5, 0))
    assert (logits_of(clip) == clip.answer.category_logits).all()


def test_what_is_sure_of_one_frame_stays_an_event():
    alone = logits_of(scored([[-9], [-9], [3], [-9], [-9]]))[:, 0]
    assert sigmoid(alone)[2] > 0.75
    assert sigmoid(alone[[1, 3]]).max() < 0.001, "nor do its neighbours take part"
    assert alone[2] == pytest.approx(3 - 2 * MOST / 5)


def test_frames_of_two_scenes_have_no_say_in_each_other():
    cut = np.zeros((4, 16, 16), np.float32)
    cut[2:] = 60
    assert logits_of(scored([[0], [0], [2], [2]], looks=cut))[:, 0].tolist() == [0, 0, 2, 2]


def test_the_more_a_scene_moves_the_less_a_neighbour_says():
    pan = 8.0 * np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 16, 16), np.float32)
    assert logits_of(scored([[0], [2], [0]], looks=pan))[1, 0] == pytest.approx(2 - 2 * 2 / 6 / (1 + 2 / 6))


def test_frames_far_apart_in_time_have_no_say_in_each_other():
    assert logits_of(scored([[0], [2], [0]], step_s=FARTHEST_S + 0.01))[:, 0].tolist() == [0, 2, 0]
    assert logits_of(scored([[0], [2], [0]], step_s=FARTHEST_S))[1, 0] == pytest.approx(1.2)


def test_the_frame_has_the_score_of_its_strongest_category():
    (clip,) = smoothed([scored([[2, -3], [2, 3], [2, -3]])])
    assert clip.answer.category_logits[1] == pytest.approx([2, 3 - 2 * 3 / 5])
    assert clip.frame_logits == pytest.approx(clip.answer.category_logits.max(-1))
    assert clip.scores == pytest.approx(sigmoid(clip.frame_logits))


@pytest.mark.parametrize("sizes", [(8,), (1,) * 8, (3, 5), (2, 1, 4, 1)])
def test_parts_of_any_length_give_the_same(sizes: tuple[int, ...]):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (8, 3)).astype(np.float32)
    seen = rng.uniform(0, 12, (8, 16, 16)).astype(np.float32)
    parts, start = [], 0
    for size in sizes:
        some = slice(start, start + size)
        parts.append(scored(logits[some], looks=seen[some], start=start))
        start += size
    assert (logits_of(*parts) == logits_of(scored(logits, looks=seen))).all()
    assert [clip.indices[0] for clip in smoothed(parts)] == [part.indices[0] for part in parts]


def test_a_part_is_told_as_soon_as_the_next_one_is_there():
    asked = []

    def parts():
        for start in range(3):
            asked.append(start)
            yield scored([[start]], start=start)

    told = smoothed(parts())
    next(told)
    assert asked == [0, 1]


def test_what_is_told_at_once_hears_its_neighbours_before_alone():
    logits = np.array([[0], [2], [0], [2], [0]], np.float32)
    asked = []

    def parts():
        for start in range(5):
            asked.append(start)
            yield scored(logits[start : start + 1], start=start)

    told = smoothed(parts(), told_each=2)
    first, second, third = next(told), next(told), next(told)
    assert asked == [0, 1, 2, 3], "the third waits for the fourth, and nothing for the fifth"
    known = [float(clip.answer.category_logits[0, 0]) for clip in (first, second, third)]
    assert known == pytest.approx([0.5, 1.5, 0.8])


def test_looks_are_the_mean_green_of_cells():
    frames = np.zeros((2, 3, 32, 64), np.uint8)
    frames[1, 1, :, 32:] = 200
    frames[1, 0] = 90
    assert (looks(frames)[0] == 0).all()
    assert (looks(frames)[1, :, :8] == 0).all()
    assert (looks(frames)[1, :, 8:] == 200).all()


@pytest.fixture
def flashing(tmp_path: Path) -> Path:
    """Gray pictures, the third of which has a box that is a little brighter."""
    for index in range(5):
        image = Image.new("L", (80, 60), 200)
        if index == 2:
            image.paste(226, (10, 10, 20, 20))
        image.save(tmp_path / f"{index}.png")
    return tmp_path


def test_a_detector_smooths_unless_told_otherwise(flashing: Path):
    raw, shared = (bright_detector(smoothing=on).detect(flashing, ["box"], stride=1) for on in (False, True))
    assert raw.scores == pytest.approx(sigmoid(np.array([-2.5, -2.5, 0.1, -2.5, -2.5])), abs=1e-6)
    assert shared.scores == pytest.approx(sigmoid(np.array([-2.5, -1.98, -0.94, -1.98, -2.5])), abs=0.02)
    assert [found.run["settings"]["smoothing"] for found in (raw, shared)] == [False, True]
    assert Detector(bright_detector().backend, name="bright").smoothing


def test_masks_and_events_are_those_of_smoothed_scores(flashing: Path):
    raw, shared = (bright_detector(smoothing=on).detect(flashing, ["box"], stride=1) for on in (False, True))
    assert [mask.frame for mask in raw.masks] == [2]
    assert not shared.masks
    assert [(mask.frame, mask.score) for mask in shared.candidates] == [(2, shared.sampled_scores[2])]
    assert len(raw.events(min_length_s=0)) == 1 and not shared.events(min_length_s=0)


def test_scores_of_a_clip_read_elsewhere_are_smoothed_within_it(flashing: Path):
    for on in (False, True):
        detector = bright_detector(smoothing=on)
        frames = list(open_source(flashing).read(stride=1, size=detector.analysed_size(80, 60)))
        apart = [clip.scores for clip in detector.score(frames, ["box"], size=(60, 80))]
        assert [len(scores) for scores in apart] == [4, 1]
        whole = detector.detect(flashing, ["box"], stride=1).sampled_scores
        assert apart[0][:3] == pytest.approx(whole[:3])
        assert (apart[0][3] > whole[3] + 0.01) is np.bool_(on), "its last frame does not hear the next clip"


@pytest.mark.parametrize(("flag", "on"), [([], True), (["--no-smoothing"], False)])
def test_the_command_line_has_a_switch(flashing, tmp_path, tiny_model_dir, loads_once, flag: list[str], on: bool):
    out, model = tmp_path / "out", str(tiny_model_dir)
    assert run(["detect", str(flashing), "-a", "box", "--model", model, "--out", str(out), "--no-overlay", *flag]) == 0
    assert json.loads((out / flashing.name / "run.json").read_text())["settings"]["smoothing"] is on


def test_a_file_an_opened_one_and_its_frames_say_the_same(tmp_path: Path):
    flicker = [np.full((60, 80, 3), 200, np.uint8) for _ in range(10)]
    for index in (3, 4, 7):  # a clip has four
        flicker[index][10:20, 10:20] = 226
    for index, frame in enumerate(flicker):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    detector = bright_detector(smoothing=True)
    sources = (tmp_path, open_source(tmp_path), np.stack(flicker), [Image.fromarray(frame) for frame in flicker])
    first, *others = (detector.detect(source, ["box"], stride=1).scores for source in sources)
    assert all((scores == first).all() for scores in others)
    live = detector.detect(((frame, 0.04 * i) for i, frame in enumerate(flicker)), ["box"], stride=1).scores
    assert live[3] != first[3] and live[4] == first[4], "the last frame of a clip does not wait, the next one hears it"


def test_weights_that_give_no_numbers_are_one_line():
    clip = Clip(np.zeros((1, 3, 8, 8), np.uint8), np.zeros(1, np.int64), np.zeros(1))
    answer = scored([[np.inf]]).answer
    with pytest.raises(InputError, match="not numbers"):
        ScoredClip.of(clip, answer, size=(8, 8))
