import numpy as np
import pytest
from PIL import Image

from lavida.evaluation.scorers import BASELINES, BackgroundBaseline, RandomBaseline

LOOKING = [name for name in BASELINES if name != "random"]


def _texture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return 128 + 50 * np.sin(x / 3) + 40 * np.cos(y / 4) + 20 * np.sin((x + y) / 5)


def _folder(path, frames):
    path.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame.astype(np.uint8)).save(path / f"{index:03d}.png")
    return path


@pytest.mark.parametrize("name", LOOKING)
def test_scores_point_at_what_moves(ped2, name):
    frames = list(BASELINES[name]().score(ped2 / "Test" / "Test001"))
    scores = np.array([frame.score for frame in frames])
    assert len(frames) == 10
    assert scores[4:].min() > 2 * scores[:3].max()  # the square enters at frame 4; the flow sees it coming at 3
    peak_y, peak_x = np.unravel_index(frames[6].pixel_map.argmax(), frames[6].pixel_map.shape)
    assert 8 <= peak_y < 20 and 12 <= peak_x < 34  # the square lies at columns 16 to 27


@pytest.mark.parametrize("name", LOOKING)
def test_a_frozen_scene_scores_nothing(tmp_path, name):
    source = _folder(tmp_path / "still", [_texture(40, 50)] * 3)
    assert [frame.score for frame in BASELINES[name]().score(source)] == pytest.approx([0, 0, 0], abs=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_a_video_of_one_frame_gets_its_score(tmp_path, name):
    source = _folder(tmp_path / "one", [_texture(40, 50)])
    (frame,) = BASELINES[name]().score(source)
    assert np.isfinite(frame.score) and frame.pixel_map.shape == (40, 50)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("damaged", [0, 2, 4])
def test_a_damaged_frame_still_gets_a_score(tmp_path, name, damaged):
    source = _folder(tmp_path / "damaged", [_texture(40, 50)] * 5)
    path = source / f"{damaged:03d}.png"
    path.write_bytes(path.read_bytes()[:60])
    assert len(list(BASELINES[name]().score(source))) == 5


@pytest.mark.parametrize("name", BASELINES)
def test_large_frames_are_shrunk_to_bound_the_cost(tmp_path, name):
    source = _folder(tmp_path / "large", [_texture(480, 640)] * 2)
    assert next(iter(BASELINES[name]().score(source))).pixel_map.shape == (240, 320)


def test_chance_is_the_same_in_every_run_and_another_in_every_video(tmp_path):
    one, other = (_folder(tmp_path / name, [_texture(40, 50)] * 30) for name in ("one", "other"))

    def noise(source):
        frames = list(RandomBaseline().score(source))
        return np.array([f.score for f in frames]), np.stack([f.pixel_map for f in frames])

    scores, maps = noise(one)
    assert np.array_equal(scores, noise(one)[0]) and np.array_equal(maps, noise(one)[1])
    assert not np.isclose(scores, noise(other)[0]).any()
    assert 0 <= scores.min() < 0.2 and 0.8 < scores.max() <= 1 and abs(maps.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(scores, maps.max(axis=(1, 2)))[0, 1]) < 0.6  # the score is no summary of the map


def test_background_of_a_long_video_spans_all_of_it(tmp_path):
    # dark for the first 70 frames, bright for the other 80: the median over all of it is bright
    frames = [np.full((8, 8), 20)] * 70 + [np.full((8, 8), 200)] * 80
    scores = [frame.score for frame in BackgroundBaseline().score(_folder(tmp_path / "long", frames))]
    assert scores[0] == pytest.approx(180, abs=1) and scores[-1] == pytest.approx(0, abs=1)
