import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.evaluation import STANDARD, evaluate, open_benchmark
from lavida.evaluation.baselines import BackgroundBaseline, MotionBaseline
from lavida.evaluation.benchmarks.ucsd_ped2 import CATEGORIES
from lavida.evaluation.scoring import ScoredFrame

KEYS = {
    "benchmark", "protocol", "model", "videos", "frames", "frame_auc_micro", "frame_auc_macro", "frame_ap",
    "pixel_auc", "pixel_ap", "rbdc", "tbdc", "settings",
}  # fmt: skip


class Oracle:
    """A detector that gives the labels themselves, and keeps what it was asked."""

    name = "oracle"

    def __init__(self, benchmark):
        self.benchmark, self.asked = benchmark, []

    def detect(self, source, anomalies, *, stride, pixel_maps, progress):
        self.asked.append(SimpleNamespace(anomalies=anomalies, stride=stride, pixel_maps=pixel_maps))
        video = next(v for v in self.benchmark.videos if v.source == source)
        sampled = np.unique([*range(0, video.frames, stride), video.frames - 1])
        maps = np.stack(list(self.benchmark.pixel_labels(video)))[sampled]
        progress(video.frames)
        return SimpleNamespace(
            scores=self.benchmark.frame_labels(video).astype(np.float32),
            sampled=sampled,
            pixel_maps=(20.0 * maps - 10).astype(np.float16),
        )


class Broken:
    name = "broken"

    def __init__(self, scores):
        self.scores = scores

    def score(self, source):
        return (ScoredFrame(score, np.zeros((4, 4), dtype=np.float32)) for score in self.scores)


@pytest.fixture
def benchmark(ped2):
    return open_benchmark("ucsd-ped2", ped2)


def _scores(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "scores").iterdir())


def test_result_files_keep_their_contract(benchmark, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    result = evaluate(benchmark, baseline=BackgroundBaseline(), out=out)
    written = json.loads((out / "metrics.json").read_text())
    assert written == result and set(written) == KEYS
    assert (written["benchmark"], written["protocol"]) == ("ucsd-ped2", "standard")
    assert (written["videos"], written["frames"]) == (2, 20)
    assert written["rbdc"] is None and written["tbdc"] is None
    assert 0.9 < written["pixel_auc"] <= 1 and written["frame_auc_micro"] == 1
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "scores"]
    assert _scores(out) == ["Test001.npz", "Test002.npz"]
    with np.load(out / "scores" / "Test001.npz") as video:
        assert set(video) == {"score", "label"}
        assert video["score"].dtype == np.float32 and video["score"].shape == (10,)
        assert video["label"].dtype == np.uint8 and video["label"].tolist() == [0] * 4 + [1] * 6
    streams = capsys.readouterr()
    assert streams.out == "" and "2 of 12 official videos" in streams.err


def test_motion_finds_the_square(benchmark, tmp_path):
    result = evaluate(benchmark, baseline=MotionBaseline(), out=tmp_path / "out")
    assert result["pixel_auc"] > 0.9 and result["frame_auc_micro"] > 0.9


def test_a_perfect_detector_is_measured_as_perfect(benchmark, tmp_path):
    oracle = Oracle(benchmark)
    result = evaluate(benchmark, detector=oracle, out=tmp_path / "out")
    assert {result[k] for k in KEYS if "auc" in k or "_ap" in k} == {1.0}
    assert result["model"] == "oracle" and result["settings"]["interpolated_frames"] == 0
    (first, _) = oracle.asked
    assert tuple(first.anomalies) == CATEGORIES and first.stride == 1 and first.pixel_maps is True


def test_interpolated_frames_are_said_and_their_pixels_left_out(benchmark, tmp_path):
    protocol = replace(STANDARD, name="sparse", stride=4)
    result = evaluate(benchmark, detector=Oracle(benchmark), protocol=protocol, out=tmp_path / "out")
    settings = result["settings"]
    assert settings["analysed_frames"] == settings["pixel_frames"] == 8  # 0, 4, 8, 9 of two videos
    assert settings["interpolated_frames"] == 12 and result["frames"] == 20
    assert result["pixel_auc"] == 1.0  # maps meet the masks of their own frames


def test_maps_and_masks_may_differ_in_size(benchmark, tmp_path):
    class Coarse(Oracle):
        def detect(self, *args, **kwargs):
            detection = super().detect(*args, **kwargs)
            detection.pixel_maps = detection.pixel_maps[:, ::2, ::2]
            return detection

    assert evaluate(benchmark, detector=Coarse(benchmark), out=tmp_path / "out")["pixel_auc"] > 0.95


def test_videos_are_chosen_by_glob(benchmark, tmp_path):
    result = evaluate(benchmark, baseline=BackgroundBaseline(), videos="*2", out=tmp_path / "out")
    assert result["videos"] == 1 and _scores(tmp_path / "out") == ["Test002.npz"]
    with pytest.raises(InputError, match="Nope.*Test001, Test002"):
        evaluate(benchmark, baseline=BackgroundBaseline(), videos="Nope*", out=tmp_path / "out")


def test_a_new_result_leaves_no_scores_of_the_old_one_and_no_harm_to_others(benchmark, tmp_path):
    out = tmp_path / "out"
    evaluate(benchmark, baseline=BackgroundBaseline(), out=out / "other")
    evaluate(benchmark, baseline=BackgroundBaseline(), out=out)
    evaluate(benchmark, baseline=BackgroundBaseline(), videos="Test001", out=out)
    assert _scores(out) == ["Test001.npz"]
    assert _scores(out / "other") == ["Test001.npz", "Test002.npz"]


def test_a_failed_run_leaves_the_earlier_result_untouched(benchmark, tmp_path):
    out = tmp_path / "out"
    evaluate(benchmark, baseline=BackgroundBaseline(), out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError):
        evaluate(benchmark, baseline=Broken([0.0] * 7), out=out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("scores", [[0.0] * 9, [0.0] * 11, [0.0] * 9 + [float("nan")]])
def test_scores_that_do_not_fit_name_the_video(benchmark, tmp_path, scores):
    with pytest.raises(InputError, match="Test001"):
        evaluate(benchmark, baseline=Broken(scores), out=tmp_path / "out")


def test_a_detector_without_a_map_for_each_analysed_frame_is_refused(benchmark, tmp_path):
    class Short(Oracle):
        def detect(self, *args, **kwargs):
            detection = super().detect(*args, **kwargs)
            detection.pixel_maps = detection.pixel_maps[:-1]
            return detection

    with pytest.raises(InputError, match="Test001.*9 pixel maps for 10"):
        evaluate(benchmark, detector=Short(benchmark), out=tmp_path / "out")


def test_an_unwritable_folder_is_named(benchmark, tmp_path):
    (tmp_path / "out").write_text("a file is in the way")
    with pytest.raises(InputError, match="cannot write.*out"):
        evaluate(benchmark, baseline=BackgroundBaseline(), out=tmp_path / "out")


def test_exactly_one_scorer(benchmark, tmp_path):
    with pytest.raises(ValueError, match="detector or a baseline"):
        evaluate(benchmark, out=tmp_path / "out")


def test_other_words_can_be_asked_for(benchmark, tmp_path):
    oracle = Oracle(benchmark)
    result = evaluate(benchmark, detector=oracle, categories=["florp", "blick"], out=tmp_path / "out")
    assert all(asked.anomalies == ["florp", "blick"] for asked in oracle.asked)
    assert result["settings"]["categories"] == ["florp", "blick"] and not result["settings"]["own_categories"]
