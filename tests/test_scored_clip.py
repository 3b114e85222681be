"""Scoring clip by clip: the same answers as `detect`, with no more than two clips in memory."""

import weakref

import numpy as np
import pytest
import torch
from bright import CLIP_LENGTH, BrightModel, bright_detector
from PIL import Image

from lavida.detector import Detector
from lavida.errors import InputError
from lavida.video.decode import open_source


@pytest.fixture
def source(tmp_path):
    """Eleven dark pictures; a bright box walks through them."""
    for index in range(11):
        image = Image.new("L", (80, 60), 30)
        image.paste(255, (6 * index, 10, 6 * index + 15, 40))
        image.save(tmp_path / f"{index}.png")
    return tmp_path


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("opened", [False, True])
def test_a_stream_says_what_detect_says(source, stride, opened):
    detector = bright_detector()
    found = detector.detect(source, ["left", "right"], stride=stride, pixel_maps=True)
    clips = list(detector.stream(open_source(source) if opened else source, ["left", "right"], stride=stride))
    assert max(len(clip.indices) for clip in clips) <= CLIP_LENGTH
    assert np.concatenate([clip.indices for clip in clips]).tolist() == found.sampled.tolist()
    assert np.array_equal(np.concatenate([clip.scores for clip in clips]), found.sampled_scores)
    assert np.array_equal(np.concatenate([clip.category_scores for clip in clips]), found.sampled_category_scores)
    maps = [clip.pixel_map(t) for clip in clips for t in range(len(clip.indices))]
    assert maps[0].dtype == np.float16 and np.array_equal(np.stack(maps), found.pixel_maps)


def test_frames_with_the_same_score_have_their_own_logits(source):
    detector = bright_detector()
    config = detector.model.config
    config.calibration_temperature, config.calibration_bias = 0.1, -5.0  # light is -3 to 3
    clips = list(detector.stream(source, ["light"], stride=1))
    logits, scores = (np.concatenate([getattr(clip, name) for clip in clips]) for name in ("frame_logits", "scores"))
    assert logits.dtype == scores.dtype == np.float32 and len(logits) == len(scores) == 11
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits.astype(np.float64))), rtol=1e-6)
    assert (logits > 18).all() and (scores == 1).all()


def test_progress_ends_at_the_number_of_frames_though_few_are_analysed(source):
    seen = []
    for _ in bright_detector().stream(source, ["light"], stride=1000, progress=seen.append):
        pass
    assert seen == list(range(1, 12))


def test_maps_do_not_pile_up():
    class Endless(BrightModel):
        outputs = weakref.WeakSet()

        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            self.outputs.add(output.pixel_logits)
            return output

    from test_detector import Synthetic

    detector = Detector.of(Endless(), name="bright", device=torch.device("cpu"))
    most = 0
    for _ in detector.stream(Synthetic(200), ["light"], stride=1):
        most = max(most, len(Endless.outputs))
    assert most <= 2


def test_each_clip_can_have_its_own_prompt(source):
    class Asked(BrightModel):
        templates = []

        def forward(self, frames, categories, *, motion=None, template=None):
            self.templates.append(template)
            return super().forward(frames, categories)

    detector = Detector.of(Asked(), name="bright", device=torch.device("cpu"))
    list(detector.stream(source, ["light"], stride=1, templates=iter([3, 1, 2])))
    list(detector.stream(source, ["light"], stride=4))
    assert Asked.templates == [[3], [1], [2], None]


@pytest.mark.slow
def test_the_real_model_answers_differently_to_another_prompt(tiny_model_dir, source):
    import lavida

    detector = lavida.load(tiny_model_dir, device="cpu")
    first, second = (
        np.concatenate([c.scores for c in detector.stream(source, ["dog"], stride=5, templates=[t] * 9)])
        for t in (0, 2)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("settings", [{"stride": 0}, {"anomalies": []}, {"source": "nowhere.mp4"}])
def test_bad_input_is_one_line(source, settings):
    with pytest.raises(InputError):
        list(bright_detector().stream(**{"source": source, "anomalies": ["light"], **settings}))
