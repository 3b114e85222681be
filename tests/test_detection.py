import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.video.decode import SourceInfo


def detect(path="clip.mp4", **fields) -> Detection:
    """Five frames, of which 0, 2 and 4 are analysed."""
    given = {
        "info": SourceInfo(Path(path), Path(path).stem, 32, 24, 10.0, 5),
        "categories": ("fire", "fight"),
        "times": np.array([0, 0.1, 0.2, 0.3, 0.4]),
        "sampled": np.array([0, 2, 4]),
        "sampled_scores": np.array([0, 0.8, 0.6]),
        "sampled_category_scores": np.array([[0, 0.1], [0.8, 0.2], [0.1, 0.6]]),
        "threshold": 0.5,
    }
    return Detection(**{**given, **fields})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for index in range(5):
        Image.new("RGB", (32, 24), "gray").save(folder / f"{index}.png")
    return folder


def test_every_frame_gets_a_score_between_its_analysed_neighbours():
    found = detect()
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores, [0, 0.4, 0.8, 0.7, 0.6], rtol=1e-6)
    assert found.category_scores.shape == (5, 2)
    np.testing.assert_allclose(found.category_scores[:, 1], [0.1, 0.15, 0.2, 0.4, 0.6], rtol=1e-6)


def test_scores_are_linear_in_time_not_in_frame_numbers():
    found = detect(times=np.array([0, 0.3, 0.4, 0.45, 0.8]))
    np.testing.assert_allclose(found.scores[1], 0.6, rtol=1e-6)


def test_analysed_frames_that_share_a_time_stamp_keep_their_own_scores():
    found = detect(times=np.zeros(5))
    np.testing.assert_array_equal(found.scores[[0, 2, 4]], found.sampled_scores)
    assert np.isfinite(found.scores).all()


def test_each_frame_names_its_most_responsible_category():
    assert detect().categories_by_frame == ["fight", "fire", "fire", "fire", "fight"]


def test_frames_beyond_the_analysed_ones_take_the_nearest_score():
    found = detect(sampled=np.array([1, 2, 3]), sampled_scores=np.array([0.2, 0.8, 0.6]))
    np.testing.assert_allclose(found.scores, [0.2, 0.2, 0.8, 0.6, 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampled": np.array([0, 2, 5])},
        {"sampled": np.array([0, 0, 4])},
        {"sampled": np.array([-1, 2, 4])},
        {"sampled": np.array([], dtype=np.int64)},
        {"times": np.array([0, 0.2, 0.1, 0.3, 0.4])},
        {"sampled_scores": np.array([0, np.nan, 0.5])},
        {"sampled_scores": np.array([0, 1.5, 0.5])},
        {"sampled_scores": np.array([0, 0.5])},
        {"sampled_category_scores": np.zeros((3, 3))},
        {"categories": (), "sampled_category_scores": np.zeros((3, 0))},
    ],
)
def test_a_detection_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        detect(**wrong)


def test_a_mask_gives_back_its_pixels_and_its_box():
    pixels = np.zeros((24, 32), dtype=bool)
    pixels[3:7, 10:20] = True
    mask = Mask.from_pixels(pixels, frame=2, category="fire", score=np.float32(0.8))
    np.testing.assert_array_equal(mask.pixels, pixels)
    assert mask.box == (10, 3, 10, 4)
    assert mask.to_json()["segmentation"]["size"] == [24, 32]
    assert mask.score == 0.8


def test_an_empty_mask_has_no_box():
    assert Mask.from_pixels(np.zeros((4, 4), dtype=bool), frame=0, category="fire", score=1).box is None


def test_save_writes_every_file(source, tmp_path):
    pixels = np.zeros((24, 32), dtype=bool)
    pixels[3:7, 10:20] = True
    mask = Mask.from_pixels(pixels, frame=2, category="fire", score=0.8)
    found = detect(source, masks=[mask], run={"model": "nano"})
    folder = found.save(tmp_path / "out" / "source")
    assert folder == tmp_path / "out" / "source"
    assert {file.name for file in folder.iterdir()} == {
        "frames.parquet", "events.json", "masks.json", "overlay.mp4", "timeline.png", "run.json", "analysis.npz",
        "candidates.json.gz",
    }  # fmt: skip
    assert [file.name for file in folder.parent.iterdir()] == ["source"]
    assert pq.read_table(folder / "frames.parquet").num_rows == 5
    events = json.loads((folder / "events.json").read_text())
    assert events == [event.to_json() for event in found.events()]
    assert events[0]["box"] == [10, 3, 10, 4]
    assert json.loads((folder / "masks.json").read_text()) == [mask.to_json()]
    assert json.loads((folder / "run.json").read_text())["model"] == "nano"


def test_saving_again_replaces_the_whole_result(source, tmp_path):
    detect(source).save(tmp_path / "result")
    detect(source, run={"model": "other"}).save(tmp_path / "result", overlay=False)
    assert not (tmp_path / "result" / "overlay.mp4").exists()
    assert json.loads((tmp_path / "result" / "run.json").read_text())["model"] == "other"


def test_a_result_never_replaces_its_own_source(source, tmp_path):
    for result in (source, tmp_path):
        for name in ("run.json", "frames.parquet"):
            (tmp_path / name).write_text("{}")
        with pytest.raises(InputError, match="source lies in its own result"):
            detect(source).save(result)
    assert len(list(source.iterdir())) == 5


def test_a_result_never_replaces_the_data_set_of_a_scan(source, tmp_path):
    (tmp_path / "scan" / "frames").mkdir(parents=True)
    (tmp_path / "scan" / "run.json").write_text('{"command": "scan"}')
    with pytest.raises(InputError, match="no lavida result"):
        detect(source).save(tmp_path / "scan")
    assert (tmp_path / "scan" / "run.json").exists()


def test_a_source_that_vanished_leaves_no_result(source, tmp_path):
    found = detect(source)
    source.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        found.save(tmp_path / "out" / "source")
    assert list((tmp_path / "out").iterdir()) == []


def test_save_reports_overlay_progress(source, tmp_path):
    done: list[int] = []
    detect(source).save(tmp_path / "result", progress=done.append)
    assert done == [1, 2, 3, 4, 5]
