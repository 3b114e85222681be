"""An evaluation that was interrupted goes on where it stopped, and only if nothing has changed."""

import errno
import json
import os
from functools import partial

import numpy as np
import pytest
from PIL import Image

from evaluation.benchmark_trees import BrightSpot
from evaluation.toy_benchmark import Given, Toy
from lavida.errors import InputError
from lavida.evaluation import STANDARD, evaluate, open_benchmark
from lavida.evaluation.benchmarks import Video
from lavida.evaluation.measure import measure_video
from lavida.evaluation.results import MEASURE_FORMAT, UNFINISHED, ResultFolder

LABELS = {"a": [0, 1, 1], "b": [0, 0, 1, 0], "c": [1, 0]}
HELD_OUT = {"benchmark": "exposure", "model": "nano", "sets": {"moving scenes": {}}, "settings": {"scorer": "detector"}}
SCORES = {"a": [0.1, 0.9, 0.3], "b": [0.2, 0.1, 0.8, 0.3], "c": [0.4, 0.6]}


class Stopping(Given):
    """Is interrupted at one video; keeps which ones it was asked for."""

    def __init__(self, at: str | None, asked: list[str]) -> None:
        super().__init__(SCORES)
        self.at, self.asked = at, asked

    def score(self, source):
        if str(source) == self.at:
            raise KeyboardInterrupt
        self.asked.append(str(source))
        return super().score(source)


def _evaluate(out, *, at=None, key="weights 1", protocol=STANDARD, videos=None, **options) -> tuple[dict, list[str]]:
    asked: list[str] = []
    start = partial(Stopping, at, asked)
    result = evaluate(
        Toy(LABELS), start_scorer=start, out=out, resume_key=key, protocol=protocol, videos=videos, **options
    )
    return result, asked


def _interrupt(out, **options) -> None:
    with pytest.raises(KeyboardInterrupt):
        _evaluate(out, at="c", **options)


def test_finished_videos_are_not_scored_again_and_the_result_is_the_same(tmp_path, caplog):
    whole, asked = _evaluate(tmp_path / "whole", save_maps=True)
    assert asked == ["a", "b", "c"]
    _interrupt(tmp_path / "cut", save_maps=True)
    assert not (tmp_path / "cut" / "metrics.json").exists()
    result, asked = _evaluate(tmp_path / "cut", save_maps=True)
    assert asked == ["c"] and "2 of 3 videos were measured before" in caplog.text
    assert result["settings"].pop("resumed_videos") == 2 and whole["settings"].pop("resumed_videos") == 0
    assert result["settings"].pop("speed")["frames_per_second"] > 0 and whole["settings"].pop("speed")
    assert result == whole
    for path in (tmp_path / "whole").glob("*/*.np[yz]"):
        other = tmp_path / "cut" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes() or path.suffix == ".npz"
    assert not (tmp_path / "cut" / UNFINISHED).exists()


@pytest.mark.parametrize(
    "change",
    [{"key": "weights 2"}, {"protocol": STANDARD.changed(["stride=2"])}, {"categories": ["florp"]}, {"key": None}],
)
def test_with_other_settings_everything_is_scored_anew(tmp_path, change):
    _interrupt(tmp_path)
    _, asked = _evaluate(tmp_path, **change)
    assert asked == ["a", "b", "c"]


@pytest.mark.parametrize("changed", ["Test001_gt/007.bmp", "Test002/003.tif"])
def test_a_video_or_an_annotation_that_was_changed_is_measured_anew(changed, ped2, tmp_path):
    class Bright(BrightSpot):
        def stream(self, source, anomalies, **options):
            asked.append(source.name)
            if len(asked) == stops:
                raise KeyboardInterrupt
            return super().stream(source, anomalies, **options)

    def measure():
        return evaluate(open_benchmark("ucsd-ped2", ped2), detector=Bright(), out=tmp_path / "out", resume_key="1")

    asked, stops = [], 2
    with pytest.raises(KeyboardInterrupt):
        measure()
    path = ped2 / "Test" / changed
    Image.new("L", Image.open(path).size).save(path)
    asked, stops = [], 0
    measure()
    assert asked == ["Test001", "Test002"]


def test_measures_of_a_version_that_measured_otherwise_are_not_gone_on_with(tmp_path):
    toy = Toy(LABELS)
    measure = measure_video(toy, toy.videos[0], Given(SCORES), STANDARD.on("toy"))
    with ResultFolder(tmp_path, key="k", measure_format=MEASURE_FORMAT - 1) as folder:
        folder.add(measure)
        assert folder.finished("a") is not None
    with ResultFolder(tmp_path, key="k") as folder:
        assert folder.finished("a") is None


def test_without_a_key_nothing_is_left_behind(tmp_path):
    _interrupt(tmp_path, key=None)
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_measure_is_scored_again(tmp_path):
    _interrupt(tmp_path)
    (path,) = tmp_path.rglob("a.measure.npz")
    path.write_bytes(path.read_bytes()[:100])
    _, asked = _evaluate(tmp_path)
    assert asked == ["a", "c"]


def test_a_measure_comes_back_as_it_was(tmp_path):
    toy = Toy(LABELS)
    with ResultFolder(tmp_path, key="k") as folder:
        for video in toy.videos:
            measure = measure_video(toy, video, Given(SCORES), STANDARD.on("toy"))
            folder.add(measure)
            back = folder.finished(video.name)
            assert np.array_equal(back.scores, measure.scores) and back.scores.dtype == np.float32
            assert np.array_equal(back.pixels.counts, measure.pixels.counts)
            assert np.array_equal(back.regions.false_positives, measure.regions.false_positives)
            assert (back.regions.frames, back.regions.tracks) == (measure.regions.frames, measure.regions.tracks)
            assert (back.scorer, back.read, back.skipped) == (measure.scorer, measure.read, None)


def test_a_skipped_video_comes_back_as_skipped(tmp_path):
    toy = Toy({"v": [0, 0]})
    measure = measure_video(toy, toy.videos[0], Given({}), STANDARD.changed(["videos=abnormal"]))
    with ResultFolder(tmp_path, key="k") as folder:
        folder.add(measure)
        assert folder.finished("v").skipped == "it is normal" and folder.finished("w") is None


def test_a_video_name_may_hold_dots(tmp_path):
    toy = Toy({"v1.0_label_G-0-0": [0, 1], "v1.5_label_A": [0, 0]})
    scores = {name: [0.1, 0.2] for name in toy.labels}
    evaluate(toy, baseline=Given(scores), out=tmp_path)
    assert {path.name for path in (tmp_path / "scores").iterdir()} == {f"{name}.npz" for name in toy.labels}
    assert json.loads((tmp_path / "metrics.json").read_text())["videos"] == len(toy.videos)
    assert isinstance(toy.videos[0], Video)


def _written(out) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", '{"accuracy": 0.9}'),
        ("metrics.json", "no JSON"),
        ("metrics.json", '{"benchmark": "mine", "model": "m", "sets": [], "settings": {}}'),
        ("scores/run1.npz", "mine"),
        ("maps/depth.npy", "mine"),
    ],
)
def test_files_of_somebody_else_are_refused_before_anything_is_measured(tmp_path, file, content):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    before, asked = _written(tmp_path), []
    with pytest.raises(InputError, match="no result of lavida eval: .*; choose another folder"):
        evaluate(Toy(LABELS), start_scorer=partial(Stopping, None, asked), out=tmp_path, save_maps=True)
    assert _written(tmp_path) == before and asked == []


def test_files_that_an_earlier_result_does_not_list_stay(tmp_path):
    _evaluate(tmp_path, save_maps=True)
    for mine in ("scores/mine.npz", "maps/mine.npy"):
        (tmp_path / mine).write_text("mine")
    _evaluate(tmp_path, videos="a")
    assert sorted(_written(tmp_path)) == ["maps/mine.npy", "metrics.json", "scores/a.npz", "scores/mine.npz"]


def test_an_evaluation_that_was_killed_while_it_published_can_be_given_again(tmp_path):
    _interrupt(tmp_path)
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "a.npz").write_bytes(b"half")
    _evaluate(tmp_path)
    assert np.load(tmp_path / "scores" / "a.npz")["label"].tolist() == LABELS["a"]


def test_a_disk_that_is_full_at_the_last_moment_leaves_the_earlier_result(tmp_path, monkeypatch):
    _evaluate(tmp_path, key=None)
    before = _written(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk, pytest.raises(InputError, match="disk is full"):
        disk.setattr(os, "fsync", full)
        _evaluate(tmp_path, key=None)
    assert _written(tmp_path) == before
    _evaluate(tmp_path, key=None)


def test_a_result_of_the_held_out_test_is_replaced(tmp_path):
    for label in (0, 1):
        with ResultFolder(tmp_path) as folder:
            folder.write_scores("moving-scenes", scores=np.zeros(1), labels=np.full(1, label))
            folder.publish(HELD_OUT)
    assert np.load(tmp_path / "scores" / "moving-scenes.npz")["label"].tolist() == [1]
    _evaluate(tmp_path)
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["a.npz", "b.npz", "c.npz"]


def test_a_further_file_comes_with_the_result_or_not_at_all(tmp_path):
    def publish(write, content):
        with ResultFolder(tmp_path) as folder:
            folder.add_file("curve.png", write)
            folder.publish(HELD_OUT | {"model": content})

    def fail(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    publish(lambda path: path.write_text("first"), "first")
    with pytest.raises(InputError, match="No space left"):
        publish(fail, "second")
    assert (
        (tmp_path / "curve.png").read_text() == json.loads((tmp_path / "metrics.json").read_text())["model"] == "first"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.png", "metrics.json"]
    publish(lambda path: path.write_text("third"), "third")
    assert (tmp_path / "curve.png").read_text() == "third"


def test_two_evaluations_to_one_folder_leave_each_other_what_they_measured(tmp_path):
    class Another(Given):
        """Another evaluation publishes while this one is at its last video."""

        def score(self, source):
            if str(source) == "c":
                _evaluate(tmp_path, key="weights 2")
            return super().score(source)

    evaluate(Toy(LABELS), start_scorer=lambda: Another(SCORES), out=tmp_path, save_maps=True, resume_key="weights 1")
    assert sorted(path.name for path in (tmp_path / "maps").glob("?.npy")) == ["a.npy", "b.npy", "c.npy"]
    assert not (tmp_path / UNFINISHED).exists()


def test_the_same_evaluation_twice_at_once_is_refused(tmp_path):
    with ResultFolder(tmp_path, key="k"):
        with pytest.raises(InputError, match="is measuring the same into .*; wait"), ResultFolder(tmp_path, key="k"):
            pytest.fail("both would write the same files")
        with ResultFolder(tmp_path, key="other"):
            pass


def test_what_interrupted_evaluations_left_goes_with_the_next_result(tmp_path):
    _interrupt(tmp_path, key="weights 2")
    assert (tmp_path / UNFINISHED).exists()
    _evaluate(tmp_path)
    assert not (tmp_path / UNFINISHED).exists()
