"""A threshold can be chosen after the video has been read: from the result in memory, and from its folder."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from bright import bright_detector
from PIL import Image

import lavida
from lavida.detection import Detection
from lavida.errors import InputError


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Thirty pictures; a box of growing brightness in ten of them: scores from .27 to .95."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(30):
        image = Image.new("L", (80, 60), 30)
        if 10 <= index < 20:
            image.paste(215 + 4 * (index - 10), (20, 10, 50, 40))
        image.save(folder / f"{index:02}.png")
    return folder


@pytest.fixture
def found(pictures: Path) -> Detection:
    return bright_detector().detect(pictures, ["light"], stride=1)


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.8])
def test_another_threshold_gives_what_another_run_gives(pictures, found, threshold):
    again = bright_detector().detect(pictures, ["light"], stride=1, threshold=threshold)
    assert found.events(threshold) == again.events()
    assert found.masks_over(threshold) == again.masks and len(again.masks) > 0


def test_least_length_and_gap_can_be_chosen(found):
    (event,) = found.events(0.5)
    lasts = event.end_s - event.start_s
    assert found.events(0.5, min_length_s=lasts - 0.01) == [event]
    assert found.events(0.5, min_length_s=lasts + 0.01) == []
    nan = float("nan")
    wrongs = [{"threshold": 0.0}, {"min_length_s": -1}, {"merge_gap_s": -1}]
    for wrong in (*wrongs, {"threshold": nan}, {"min_length_s": nan}, {"merge_gap_s": nan}):
        with pytest.raises(InputError):
            found.events(**wrong)


@pytest.mark.slow
def test_load_gives_back_what_save_wrote(found, tmp_path):
    folder = found.save(tmp_path / "result", overlay=False)
    back = Detection.load(folder)
    for name in ("times", "sampled", "sampled_scores", "sampled_category_scores", "scores"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
    assert (back.categories, back.masks, back.candidates) == (found.categories, found.masks, found.candidates)
    assert back.events() == found.events() and back.events(0.25) == found.events(0.25)
    assert (back.info.width, back.info.height, back.info.fps, back.info.stem) == (80, 60, 25.0, "pictures")
    assert back.end_s == found.end_s
    again = back.save(tmp_path / "again")  # the overlay reads the source where it was
    assert (again / "overlay.mp4").exists()
    assert (again / "masks.json").read_bytes() == (folder / "masks.json").read_bytes()


def test_the_files_of_a_late_threshold_are_small_and_plain(pictures, tmp_path):
    found = bright_detector().detect(pictures, ["light"], stride=1, threshold=0.8)
    folder = found.save(tmp_path / "result", overlay=False)
    candidates = json.loads(gzip.decompress((folder / "candidates.json.gz").read_bytes()))
    assert len(candidates) > len(json.loads((folder / "masks.json").read_text()))
    assert min(row["score"] for row in candidates) >= 0.2
    with np.load(folder / "analysis.npz", allow_pickle=False) as saved:
        assert saved["frames"].tolist() == list(range(30)) and saved["category_scores"].shape == (30, 1)


def run(*arguments: object) -> int:
    from lavida.cli import run as command

    return command([str(argument) for argument in arguments])


def test_events_prints_a_table_or_json(found, tmp_path, capsys):
    folder = found.save(tmp_path / "result", overlay=False)
    assert run("events", folder) == 0
    shown = capsys.readouterr().out
    assert "1 event, threshold 0.5" in shown and "light" in shown
    assert run("events", folder, "--threshold", 0.25, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [event.to_json() for event in found.events(0.25)]


@pytest.mark.slow
def test_events_written_replace_the_old_ones_and_nothing_else(found, tmp_path):
    folder = found.save(tmp_path / "result")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert run("events", folder, "--threshold", 0.8, "--write") == 0
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"events.json", "masks.json", "timeline.png", "run.json", "analysis.npz"}
    assert json.loads(after["events.json"]) == [event.to_json() for event in found.events(0.8)]
    assert json.loads(after["run.json"])["settings"]["threshold"] == 0.8
    assert Detection.load(folder).events() == found.events(0.8)
    assert [file.name for file in folder.parent.iterdir() if "lavida" in file.name] == []


@pytest.mark.slow
def test_events_of_something_else_are_one_line(tmp_path, capsys, found):
    assert run("events", tmp_path) == 2
    folder = found.save(tmp_path / "result", overlay=False)
    assert run("events", folder, "--threshold", 1.5) == 2
    (folder / "analysis.npz").write_bytes(b"PK\x03\x04 no archive")
    assert run("events", folder) == 2
    (folder / "analysis.npz").unlink()
    assert run("events", folder) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 4 and all(line.startswith("lavida: ") for line in lines)
    assert "older lavida" in lines[3] and "damaged" in lines[2]


# --- frames that a program already has


def frames(count: int = 12) -> np.ndarray:
    random = np.random.default_rng(0)
    made = random.integers(0, 60, (count, 48, 64, 3)).astype(np.uint8)
    made[5:8, 10:30, 10:30] = 250
    return made


def test_arrays_pictures_and_iterables_give_the_same_result_as_their_folder(tmp_path):
    made = frames()
    for index, frame in enumerate(made):
        Image.fromarray(frame).save(tmp_path / f"{index:02}.png")
    detector = bright_detector()
    wanted = detector.detect(tmp_path, ["light"], fps=10)
    given = {
        "array": made,
        "list of arrays": list(made),
        "pictures": [Image.fromarray(frame) for frame in made],
        "iterable": ((frame, index / 10) for index, frame in enumerate(made)),
        "opened": lavida.open_source(made, fps=10),
    }
    for name, source in given.items():
        found = detector.detect(source, ["light"], fps=10, stride=wanted.run["settings"]["stride"])
        np.testing.assert_allclose(found.times, wanted.times, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(found.scores, wanted.scores, err_msg=name)
        assert found.masks == wanted.masks and found.events() == wanted.events()


@pytest.mark.slow
def test_the_overlay_of_an_array_is_drawn_and_that_of_an_iterator_is_refused(tmp_path):
    detector = bright_detector()
    assert (detector.detect(frames(), ["light"]).save(tmp_path / "array") / "overlay.mp4").exists()
    once = detector.detect(((frame, index / 25) for index, frame in enumerate(frames())), ["light"])
    with pytest.raises(InputError, match="cannot be read twice"):
        once.save(tmp_path / "once")
    assert not (tmp_path / "once").exists()
    assert once.save(tmp_path / "once", overlay=False).exists()
    assert (once.save(tmp_path / "given", source=lavida.open_source(frames())) / "overlay.mp4").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 48, 64, 3), np.float32), "frame 0 is float32"),
        (np.zeros((4, 48, 64), np.uint8), "frame 0 is uint8"),
        (np.zeros((0, 48, 64, 3), np.uint8), "no frame"),
        ([], "no frame"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)], "frame 1 is 6x4, not 4x4"),
        ([(np.zeros((4, 4, 3), np.uint8), 1.0), (np.zeros((4, 4, 3), np.uint8), 0.5)], "never decrease"),
        (iter([np.zeros((4, 4, 3), np.uint8)]), "no frame with its time"),
        (7, "no source: int"),
    ],
)
def test_what_is_no_footage_is_one_line(given, message):
    with pytest.raises(InputError, match=message):
        bright_detector().detect(given, ["light"])


def test_earlier_names_keep_working_for_a_version(found):
    with pytest.warns(DeprecationWarning, match="categories_by_frame"):
        assert found.category == found.categories_by_frame


def test_without_supervision_its_form_is_one_line(found, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision"):
        found.to_supervision(0)
