"""Vision and decoder as one OpenVINO graph for frames of a video."""

import json
import locale
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.files import atomic_folder
from lavida.graphs.comparing import made_up_frames
from lavida.runtime import compiled, joining, opened
from lavida.runtime.exported import ExportedModel

pytest.importorskip("openvino")
pytestmark = pytest.mark.slow

FRAMES = np.stack([frame.transpose(2, 0, 1) for frame in made_up_frames(3, size=(64, 96))])
CATEGORIES = ["dog", "smoke"]


@pytest.fixture
def folder(pair) -> Path:
    return pair("whole").folder


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """Where graphs are kept in this test."""
    monkeypatch.setattr(opened, "compiled_folder", lambda manifest, caches, size: tmp_path)
    return tmp_path


def answered(folder: Path, precision: str = "float32") -> np.ndarray:
    return ExportedModel(folder, runtime="openvino", precision=precision).answer(FRAMES, CATEGORIES).category_scores


def test_frames_of_a_video_say_what_each_of_them_says_alone(folder):
    model = ExportedModel(folder, runtime="openvino")
    (apart,) = model.outputs_of_each(FRAMES, [CATEGORIES])
    first, _ = model.outputs_of_each(FRAMES, [CATEGORIES, ["tree"]])  # several questions go through two graphs
    for name, values in apart.items():
        np.testing.assert_allclose(values, first[name], atol=1e-4, rtol=1e-4, err_msg=name)


def test_what_was_compiled_is_used_again_and_what_is_damaged_made_anew(folder, kept):
    first = answered(folder)
    (graph,), (blob,) = kept.glob("*/graph.xml"), kept.glob("*.blob")
    size, written = graph.stat().st_size, [path.stat().st_mtime_ns for path in (graph, blob)]
    np.testing.assert_array_equal(answered(folder), first)
    assert [path.stat().st_mtime_ns for path in (graph, blob)] == written
    blob.chmod(0o600)
    blob.write_bytes(b"damaged")
    np.testing.assert_allclose(answered(folder), first, atol=1e-5)
    graph.write_bytes(graph.read_bytes()[: size // 2])
    for blob in kept.glob("*.blob"):
        blob.unlink()
    np.testing.assert_allclose(answered(folder), first, atol=1e-5)
    assert graph.stat().st_size > 0.9 * size


def test_opening_what_was_compiled_leaves_the_locale_alone(folder, kept):
    answered(folder)
    before = locale.setlocale(locale.LC_ALL)
    models = [ExportedModel(folder, runtime="openvino") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda model: model.answer(FRAMES, CATEGORIES), models))
    assert locale.setlocale(locale.LC_ALL) == before


def test_frames_stay_in_order_whoever_else_asks_or_stops_asking(folder):
    model = ExportedModel(folder, runtime="openvino")
    frames = FRAMES.repeat(4, 0)[[0, 5, 9, 1, 6, 10]]
    expected = model.answer(frames, CATEGORIES).category_scores
    left = model.answers([(frames, None)], CATEGORIES)
    next(left)  # and nobody asks for more
    turned = model.answers([(frames[::-1], None)], CATEGORIES)
    found, other = [], []
    for answer in model.answers([(frames, None)], CATEGORIES):  # in turn
        found.append(answer.category_scores)
        other.append(next(turned).category_scores)
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(other)[::-1], expected, atol=1e-3)  # f_sem is of the clip as it is read
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.answer(frames, CATEGORIES), range(8)):
            np.testing.assert_allclose(found.category_scores, expected, atol=1e-6)
    del left
    np.testing.assert_allclose(model.answer(frames, CATEGORIES).category_scores, expected, atol=1e-6)


def test_clips_say_what_each_says_alone_and_the_next_is_read_meanwhile(folder):
    model = ExportedModel(folder, runtime="openvino")
    moving = np.ones((3, 4, 16, 24), np.float16)
    clips = [(FRAMES, moving), (FRAMES[::-1], moving), (FRAMES[:1], None), (FRAMES[:2], None)]  # one by one, and joined
    expected = [model.answer(frames, CATEGORIES, motion=motion).category_scores for frames, motion in clips]
    read = []

    def reading():
        for clip in clips:
            read.append(len(found))
            yield clip

    found: list[np.ndarray] = []
    for answer in model.answers(reading(), CATEGORIES):
        found += [*answer.category_scores]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-5)
    assert read[0] == 0 and read[1] < 3


@pytest.mark.parametrize("error", [InputError("no more of it"), OSError("the disk has gone"), KeyError("ours")])
def test_what_goes_wrong_while_a_clip_is_read_is_not_the_runtimes_fault(folder, error):
    def broken():
        yield FRAMES, None
        raise error

    told = ExportedModel(folder, runtime="openvino").answers(broken(), CATEGORIES)
    with pytest.raises(type(error)) as raised:
        list(told)
    assert raised.value is error


def test_a_full_disk_keeps_nothing_and_answers(folder, kept, monkeypatch):
    import openvino

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("No space left on device")

    expected = answered(folder)
    for graph in kept.glob("*/graph.xml"):
        graph.unlink()
    monkeypatch.setattr(openvino, "save_model", full)
    np.testing.assert_allclose(answered(folder), expected, atol=1e-5)
    assert not list(kept.glob("*/graph.xml")) and not list(kept.glob(".*"))


def test_what_is_kept_changes_no_score_and_what_another_process_is_keeping_is_not_waited_for(folder, kept, monkeypatch):
    expected = answered(folder, "auto")
    np.testing.assert_array_equal(answered(folder, "auto"), expected)  # kept
    monkeypatch.setattr(opened, "compiled_folder", lambda manifest, caches, size: None)
    np.testing.assert_array_equal(answered(folder, "auto"), expected)  # nowhere to keep it
    monkeypatch.setattr(opened, "compiled_folder", lambda manifest, caches, size: kept)
    (graph,) = kept.glob("*/graph.xml")
    shutil.rmtree(graph.parent)
    with atomic_folder(graph.parent, replaces=graph.name):  # another run that keeps it
        np.testing.assert_array_equal(answered(folder, "auto"), expected)
        assert not graph.exists()


def test_a_picture_says_the_same_whatever_was_asked_before(folder):
    model = ExportedModel(folder, runtime="openvino")
    first = model.answer(FRAMES[:1], CATEGORIES).category_scores
    model.answer(FRAMES, CATEGORIES)
    np.testing.assert_array_equal(model.answer(FRAMES[:1], CATEGORIES).category_scores, first)


def test_what_could_not_be_opened_is_tried_again(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    model, graph = ExportedModel(copy, runtime="openvino"), copy / "vision.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(b"x" * len(whole))
    with pytest.raises(InputError, match="damaged export"):
        model.answer(FRAMES, CATEGORIES)
    graph.write_bytes(whole)
    np.testing.assert_allclose(model.answer(FRAMES, CATEGORIES).category_scores, answered(folder), atol=1e-5)


def test_threads_hold_no_more_sizes_than_one(folder, monkeypatch):
    monkeypatch.setattr(opened, "MOST_JOINED", 2)
    model = ExportedModel(folder, runtime="openvino")
    asked = [[*CATEGORIES, *map(str, range(count))] for count in range(5)]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda categories: model.answer(FRAMES, categories), asked * 2))
    assert len(model.graphs._joined) <= 2


def test_only_some_sizes_are_held(folder, monkeypatch):
    monkeypatch.setattr(opened, "MOST_JOINED", 2)
    model = ExportedModel(folder, runtime="openvino")
    for width in (64, 96, 128):
        model.answer(FRAMES[:, :, :, :64].repeat(width // 32, 3)[:, :, :, :width], CATEGORIES)
    assert [width for _, _, _, width, *_ in model.graphs._joined] == [96, 128]
    model.answer(FRAMES, [*CATEGORIES, "tree"])  # another number of categories is another graph
    assert len(model.graphs._joined) == 2 and [key[-2] for key in model.graphs._joined] == [2, 3]


def test_a_process_that_asks_for_many_sizes_keeps_no_more_than_the_bound(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.setattr(compiled, "MOST_OF_ONE", 1)
    model = ExportedModel(folder, runtime="openvino")
    for width in (64, 96, 128):
        model.answer(FRAMES[:, :, :, :64].repeat(width // 32, 3)[:, :, :, :width], CATEGORIES)
    assert len(list(tmp_path.rglob("graph.xml"))) == len(list(tmp_path.rglob("*.blob"))) == 1  # the latest


def test_a_graph_that_does_not_fit_is_one_line(folder, kept, monkeypatch):
    import openvino

    def another(paths, shapes, *, half):
        return openvino.Core().read_model(paths[-1])

    monkeypatch.setattr(joining, "_joined", another)
    with pytest.raises(InputError, match="damaged export: .*vision.onnx or .*has other inputs") as raised:
        answered(folder)
    assert "\n" not in str(raised.value)


def test_a_damaged_graph_is_one_line_and_nothing_else_is_printed(folder, kept, tmp_path, capfd):
    """Of an export that does not tell what its files were, as earlier ones do not."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "vision.onnx").write_bytes(b"x" * (copy / "vision.onnx").stat().st_size)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"files": {}}))
    with pytest.raises(InputError, match="damaged export: .*vision.onnx or .*cannot be read") as raised:
        answered(copy)
    assert len(str(raised.value)) < 600 and "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
