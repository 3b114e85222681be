import json
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.toy_benchmark import Given, Guesser, Toy
from lavida.errors import InputError
from lavida.evaluation import LAVIDA_UPSTREAM, STANDARD, Workers, evaluate, open_benchmark
from lavida.evaluation.scorers import BackgroundBaseline, MotionBaseline, RandomBaseline, ScoredFrame
from lavida.parallel import Failure

KEYS = {
    "benchmark", "protocol", "model", "videos", "frames", "frame_auc_micro", "frame_auc_macro", "frame_ap",
    "pixel_auc", "pixel_ap", "rbdc", "tbdc", "settings",
}  # fmt: skip
METRICS = [key for key in sorted(KEYS) if "auc" in key or "_ap" in key or "bdc" in key]


class Oracle:
    """A detector that gives the labels themselves, and keeps what it was asked."""

    name = "oracle"

    def __init__(self, benchmark):
        self.benchmark, self.asked = benchmark, []

    def stream(self, source, anomalies, *, stride, progress):
        self.asked.append(SimpleNamespace(anomalies=anomalies, stride=stride))
        video = next(v for v in self.benchmark.videos if v.source == source)
        labels = self.benchmark.frame_labels(video)
        for index, mask in enumerate(self.benchmark.pixel_labels(video)):
            progress(index + 1)
            if index % stride == 0 or index == video.frames - 1:
                yield SimpleNamespace(
                    indices=np.array([index]),
                    frame_logits=np.float32([8.0 if labels[index] else -8.0]),
                    pixel_map=partial(self.map, mask),
                )

    def map(self, mask, t):
        return (20.0 * mask - 10).astype(np.float16)


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


@pytest.mark.slow
def test_result_files_keep_their_contract(benchmark, tmp_path, capsys, caplog):
    out = tmp_path / "deep" / "out"
    result = evaluate(benchmark, baseline=BackgroundBaseline(), out=out)
    written = json.loads((out / "metrics.json").read_text())
    assert written == result and set(written) == KEYS
    assert (written["benchmark"], written["protocol"]) == ("ucsd-ped2", "standard")
    assert (written["videos"], written["frames"]) == (2, 20)
    assert 0.9 < written["pixel_auc"] <= 1 and written["frame_auc_micro"] == 1
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "scores"]
    assert _scores(out) == ["Test001.npz", "Test002.npz"]
    with np.load(out / "scores" / "Test001.npz") as video:
        assert set(video) == {"score", "label"}
        assert video["score"].dtype == np.float32 and video["score"].shape == (10,)
        assert video["label"].dtype == np.uint8 and video["label"].tolist() == [0] * 4 + [1] * 6
    assert capsys.readouterr().out == "" and "2 of 12 official videos" in caplog.text


def test_what_the_numbers_rest_on_stands_beside_them(benchmark, tmp_path):
    settings = evaluate(benchmark, baseline=RandomBaseline(), out=tmp_path / "out")["settings"]
    assert settings["protocol"] == {"name": "standard", **STANDARD.on("ucsd-ped2").settings()}
    assert settings["headline"] == "pixel_auc" and settings["scorer"] == "baseline"
    assert settings["video_names"] == ["Test001", "Test002"]
    speed = settings["speed"]
    assert speed["latency_ms_mean"] > 0 and speed["latency_ms_p95"] > 0
    assert speed["frames_per_second"] == pytest.approx(20 / speed["seconds"], rel=0.02)


def test_motion_finds_the_square(benchmark, tmp_path):
    result = evaluate(benchmark, baseline=MotionBaseline(), out=tmp_path / "out")
    assert result["pixel_auc"] > 0.9 and result["frame_auc_micro"] > 0.9


def test_a_perfect_detector_is_measured_as_perfect(benchmark, tmp_path):
    oracle = Oracle(benchmark)
    result = evaluate(benchmark, detector=oracle, out=tmp_path / "out")
    assert {result[key] for key in METRICS} == {1.0}
    assert result["model"] == "oracle" and result["settings"]["interpolated_frames"] == 0
    (first, _) = oracle.asked
    assert set(first.anomalies) == {"bicycle", "cart", "car", "skateboard", "wheelchair"} and first.stride == 1


def test_interpolated_frames_are_said_and_their_pixels_left_out(benchmark, tmp_path):
    protocol = replace(STANDARD, name="sparse", stride=4)
    result = evaluate(benchmark, detector=Oracle(benchmark), protocol=protocol, out=tmp_path / "out")
    settings = result["settings"]
    assert settings["analysed_frames"] == settings["pixel_frames"] == 8  # 0, 4, 8, 9 of two videos
    assert settings["interpolated_frames"] == 12 and result["frames"] == 20
    assert result["pixel_auc"] == 1.0  # maps meet the masks of their own frames


def test_maps_and_masks_may_differ_in_size(benchmark, tmp_path):
    class Coarse(Oracle):
        def map(self, mask, t):
            return super().map(mask, t)[::2, ::2]

    assert evaluate(benchmark, detector=Coarse(benchmark), out=tmp_path / "out")["pixel_auc"] > 0.95


def test_the_published_protocol_and_its_deviations_are_said(tmp_path):
    labels = {"long": [0] * 9 + [1] * 11, "short": [0, 1, 1], "all of it": [1] * 16}
    logits = {name: [4.0 if y else 2.0 for y in ys] for name, ys in labels.items()}
    guesser = Guesser(logits)
    toy = Toy(labels, has_pixel_labels=False)
    result = evaluate(toy, detector=guesser, protocol=replace(LAVIDA_UPSTREAM, prompt_template="paper"), out=tmp_path)
    assert result["protocol"] == "lavida-upstream" and result["videos"] == 2 and result["frames"] == 32
    assert "fewer than 8 x 1" in result["settings"]["skipped_videos"]["short"]
    assert result["settings"]["dropped_frames"] == 4
    with np.load(tmp_path / "scores" / "long.npz") as video:
        assert np.unique(video["score"]).tolist() == [2.0, 4.0]
    assert (
        result["frame_auc_micro"] < 1
    )  # the added abnormal frame of score 1 lies below the normal ones, whose logit is 2


def test_frames_of_which_the_model_is_sure_are_no_ties_as_logits(tmp_path):
    toy, guesser = Toy({"v": [0, 1] * 8}, has_pixel_labels=False), Guesser({"v": [18.0, 25.0] * 8})
    result = evaluate(toy, detector=guesser, protocol=STANDARD.changed(["scale=logit"]), out=tmp_path)
    assert result["frame_auc_micro"] == 1


def test_the_headline_can_be_macro(tmp_path):
    protocol = STANDARD.changed(["averaging=macro"])
    result = evaluate(Toy({"v": [0, 1]}), baseline=Given({"v": [0, 1]}), protocol=protocol, out=tmp_path)
    assert result["settings"]["headline"] == "frame_auc_macro"
    assert result["protocol"] == "custom (standard, averaging=macro)"


def test_nothing_is_left_where_all_videos_are_skipped(tmp_path):
    toy = Toy({"v": [0, 0]})
    with pytest.raises(InputError, match="no video is left: v is skipped because it is normal"):
        evaluate(toy, baseline=Given({"v": [0, 0]}), protocol=STANDARD.changed(["videos=abnormal"]), out=tmp_path)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_overall_is_no_number(label, tmp_path):
    toy = Toy({"a": [label] * 3, "b": [label] * 2}, has_pixel_labels=False)
    result = evaluate(toy, baseline=Given({"a": [0.0, 1, 2], "b": [1, 2]}), out=tmp_path)
    assert {result[key] for key in METRICS} == {None} and result["frames"] == 5


def test_videos_are_chosen_by_glob(benchmark, tmp_path):
    result = evaluate(benchmark, baseline=BackgroundBaseline(), videos="*2", out=tmp_path / "out")
    assert result["videos"] == 1 and _scores(tmp_path / "out") == ["Test002.npz"]
    with pytest.raises(InputError, match="Nope.*Test001, Test002"):
        evaluate(benchmark, baseline=BackgroundBaseline(), videos="Nope*", out=tmp_path / "out")


@pytest.mark.slow
def test_a_new_result_leaves_no_scores_of_the_old_one_and_no_harm_to_others(benchmark, tmp_path):
    out = tmp_path / "out"
    evaluate(benchmark, baseline=BackgroundBaseline(), out=out / "other")
    evaluate(benchmark, baseline=BackgroundBaseline(), out=out, save_maps=True)
    evaluate(benchmark, baseline=BackgroundBaseline(), videos="Test001", out=out)
    assert _scores(out) == ["Test001.npz"] and not (out / "maps").exists()
    assert _scores(out / "other") == ["Test001.npz", "Test002.npz"]


@pytest.mark.slow
def test_a_failed_run_leaves_the_earlier_result_untouched(benchmark, tmp_path):
    out = tmp_path / "out"
    evaluate(benchmark, baseline=BackgroundBaseline(), out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError):
        evaluate(benchmark, baseline=Broken([0.0] * 7), out=out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "scores"]


@pytest.mark.parametrize("scores", [[0.0] * 9, [0.0] * 11, [0.0] * 9 + [float("nan")]])
def test_scores_that_do_not_fit_name_the_video(benchmark, tmp_path, scores):
    with pytest.raises(InputError, match="Test001"):
        evaluate(benchmark, baseline=Broken(scores), out=tmp_path / "out")


def test_a_defect_is_not_taken_for_bad_input(benchmark, tmp_path):
    class Defective(Broken):
        def score(self, source):
            raise ZeroDivisionError

    with pytest.raises(RuntimeError, match="(?s)Test001.*ZeroDivisionError"):
        evaluate(benchmark, baseline=Defective([]), out=tmp_path / "out")


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


# --- several workers


@pytest.mark.slow
def test_workers_that_finish_in_any_order_give_the_same_result(benchmark, tmp_path):
    class Backwards(Workers):
        def run(self, videos, start):
            work = pickle.loads(pickle.dumps(start))()
            return [(video, pickle.loads(pickle.dumps(work(video)))) for video in videos[::-1]]

    alone = evaluate(benchmark, baseline=RandomBaseline(), out=tmp_path / "alone")
    several = evaluate(benchmark, start_scorer=RandomBaseline, workers=Backwards(count=2), out=tmp_path / "several")
    assert _without_speed(alone) == _without_speed(several)
    for name in _scores(tmp_path / "alone"):
        one, other = (np.load(tmp_path / where / "scores" / name) for where in ("alone", "several"))
        assert all(np.array_equal(one[key], other[key]) for key in one)


def test_a_worker_that_fails_ends_the_evaluation_with_the_video_and_the_reason(benchmark, tmp_path):
    class Failing(Workers):
        def run(self, videos, start):
            return [(videos[0], Failure("its worker died"))]

    with pytest.raises(InputError, match="Test001: its worker died"):
        evaluate(benchmark, start_scorer=RandomBaseline, workers=Failing(count=2), out=tmp_path / "out")


def test_several_workers_load_the_scorer_themselves(benchmark, tmp_path):
    with pytest.raises(ValueError, match="start_scorer"):
        evaluate(benchmark, baseline=RandomBaseline(), workers=Workers(count=2), out=tmp_path / "out")


def _without_speed(result) -> dict:
    return {**result, "settings": {k: v for k, v in result["settings"].items() if k != "speed"}}
