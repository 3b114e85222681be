"""The command line: what it writes, what it prints where, and how it ends."""

import errno
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bright import bright_detector
from video import make

from lavida import __version__
from lavida.cli import run
from lavida.errors import InputError
from lavida.video.decode import open_source

FILES = {"frames.parquet", "events.json", "masks.json", "timeline.png", "overlay.mp4", "run.json"}
FILES |= {"analysis.npz", "candidates.json.gz"}
COLUMNS = pa.schema(
    [("frame", pa.int64()), ("time_s", pa.float64()), ("score", pa.float32()), ("category", pa.string())]
)


@pytest.fixture
def detect(tiny_model_dir: Path, tmp_path: Path, monkeypatch, loads_once) -> Callable[..., int]:
    """`lavida detect` in an empty folder with the tiny model."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object, anomaly: str = "bicycle") -> int:
        return run(["detect", *map(str, arguments), "-a", anomaly, "--model", str(tiny_model_dir)])

    return command


@pytest.fixture
def detect_bright(monkeypatch, tmp_path: Path) -> Callable[..., int]:
    """`lavida detect` in an empty folder with the model whose answers are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lavida.loading.load", lambda *_, **__: bright_detector())
    return lambda *arguments: run(["detect", *map(str, arguments), "-a", "light"])


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def read(folder: Path, name: str):
    return json.loads((folder / name).read_text())


# --- what is written


def test_every_file_is_there_as_agreed(detect_bright, tmp_path):
    make.rotated(tmp_path / "phone.mp4", (0, 1, -1, 0), frames=12)
    assert detect_bright("phone.mp4", "--stride", 3, "--threshold", 0.4) == 0
    folder = tmp_path / "lavida-out" / "phone"
    assert names(tmp_path / "lavida-out") == {"phone"} and names(folder) == FILES

    table = pq.read_table(folder / "frames.parquet")
    assert table.schema.equals(COLUMNS)
    assert table["frame"].to_pylist() == list(range(12))
    assert set(table["category"].to_pylist()) == {"light"}

    (event,) = read(folder, "events.json")
    assert set(event) == {"start_s", "end_s", "peak_s", "peak_score", "category", "box"}
    assert event["start_s"] == 0 and event["end_s"] == pytest.approx(12 / 25)
    assert np.allclose(event["box"], (24, 0, 24, 32), atol=4)  # the bright quarter, displayed

    masks = read(folder, "masks.json")
    assert [mask["frame"] for mask in masks] == [0, 3, 6, 9, 11]
    assert all(set(mask) == {"frame", "category", "score", "segmentation"} for mask in masks)
    assert all(mask["segmentation"]["size"] == [64, 48] for mask in masks)

    run_record = read(folder, "run.json")
    assert {"model", "categories", "settings", "versions", "frames", "analysed_frames", "warnings"} <= set(run_record)
    assert {"stage_ms", "export_ms", "frames_per_second", "peak_memory_mb"} <= set(run_record)


def vfr(folder: Path) -> tuple[Path, int]:
    return make.video(folder / "vfr.mkv", times_ms=[0, 40, 41, 500, 2000, 2001, 2100]), 7


def rotated(folder: Path) -> tuple[Path, int]:
    return make.rotated(folder / "phone.mp4", (0, 1, -1, 0), frames=9), 9


def truncated(folder: Path) -> tuple[Path, int]:
    path = make.truncated(folder / "cut.avi", frames=60, texture=90)
    return path, sum(1 for _ in open_source(path).read(stride=1000))


def one_frame(folder: Path) -> tuple[Path, int]:
    return make.video(folder / "still.mp4", frames=1), 1


def tiny(folder: Path) -> tuple[Path, int]:
    return make.video(folder / "tiny.mp4", frames=6, width=16, height=16), 6


def gray(folder: Path) -> tuple[Path, int]:
    return make.video(folder / "gray.mkv", codec="ffv1", pix_fmt="gray", frames=5, width=61, height=47), 5


def sixty_fps(folder: Path) -> tuple[Path, int]:
    return make.video(folder / "fast.mp4", fps=60, frames=61), 61


def one_pixel(folder: Path) -> tuple[Path, int]:
    return make.folder(folder / "dots", {f"{i}.png": make.plain(40 * i, (1, 1)) for i in range(4)}), 4


def ribbon(folder: Path) -> tuple[Path, int]:
    return make.folder(folder / "ribbon", {f"{i}.tif": make.plain(40 * i, (1500, 3)) for i in range(3)}), 3


@pytest.mark.slow
@pytest.mark.parametrize("write", [vfr, rotated, truncated, one_frame, tiny, gray, sixty_fps, one_pixel, ribbon])
def test_odd_videos_get_one_row_and_one_overlay_picture_for_every_frame(detect, tmp_path, write, capsys):
    path, count = write(tmp_path)
    assert count > 0 and detect(path.name, "--threshold", "0.0001") == 0
    folder = tmp_path / "lavida-out" / path.stem
    rows = pq.read_table(folder / "frames.parquet")
    assert rows["frame"].to_pylist() == list(range(count))
    times = rows["time_s"].to_numpy()
    assert times[0] == 0 and np.all(np.diff(times) >= 0)
    assert np.allclose(times, [frame.time_s for frame in open_source(path).read(stride=1000)])
    assert np.all((rows["score"].to_numpy() >= 0) & (rows["score"].to_numpy() <= 1))
    assert len(read(folder, "events.json")) >= 1
    assert len(list(open_source(folder / "overlay.mp4").read(stride=1000))) == count
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warned) == (write is truncated)


def test_images_are_read_in_natural_order(detect_bright, tmp_path):
    levels = {"2.png": 20, "10.png": 255, "1.png": 20, "11.png": 20}
    make.folder(tmp_path / "in", {name: make.plain(level, (64, 48)) for name, level in levels.items()})
    assert detect_bright("in", "--stride", 1) == 0
    scores = pq.read_table(tmp_path / "lavida-out" / "in" / "frames.parquet")["score"].to_numpy()
    assert (scores > 0.5).tolist() == [False, False, True, False]


def test_without_overlay_all_else_is_written(detect, tmp_path):
    make.video(tmp_path / "clip.mp4", frames=3)
    assert detect("clip.mp4", "--no-overlay", "--out", "deep/er") == 0
    assert names(tmp_path / "deep" / "er" / "clip") == FILES - {"overlay.mp4"}


@pytest.mark.slow
def test_a_second_run_replaces_the_first(detect, tmp_path):
    make.video(tmp_path / "clip.mp4", frames=3)
    assert detect("clip.mp4") == 0
    assert detect("clip.mp4", "--no-overlay", anomaly="dog") == 0
    assert names(tmp_path / "lavida-out") == {"clip"}
    folder = tmp_path / "lavida-out" / "clip"
    assert names(folder) == FILES - {"overlay.mp4"} and read(folder, "run.json")["categories"] == ["dog"]


def test_sources_of_one_name_get_their_own_folders(detect, tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    make.video(tmp_path / "a" / "clip.mp4", frames=2)
    make.video(tmp_path / "b" / "clip.avi", frames=3)
    assert detect("a/clip.mp4", "b/clip.avi", "--no-overlay", "--json") == 0
    assert names(tmp_path / "lavida-out") == {"clip", "clip-2"}
    results = json.loads(capsys.readouterr().out)["results"]
    assert [(Path(result["dir"]).name, result["frames"]) for result in results] == [("clip", 2), ("clip-2", 3)]


# --- what is printed


@pytest.mark.slow
def test_json_is_one_object_on_stdout_and_a_bad_source_does_not_stop_the_good(detect_bright, tmp_path, capfd):
    make.video(tmp_path / "first.mp4", frames=6, mark=True)
    make.truncated(tmp_path / "cut.avi", frames=60, texture=90)
    (tmp_path / "notes.mp4").write_text("not a video")
    assert detect_bright("first.mp4", "notes.mp4", "gone.mp4", "cut.avi", "--json", "--no-overlay") == 2
    printed = capfd.readouterr()

    assert printed.out.count("\n") == 1
    answer = json.loads(printed.out)
    assert set(answer) == {"results", "errors"}
    first, cut = answer["results"]
    assert {"source", "dir", "frames", "events"} <= set(first)
    assert (first["source"], first["frames"]) == ("first.mp4", 6)
    assert first["dir"] == str(tmp_path / "lavida-out" / "first")
    assert first["events"] == read(Path(first["dir"]), "events.json") != []
    assert cut["source"] == "cut.avi"
    assert [error["source"] for error in answer["errors"]] == ["notes.mp4", "gone.mp4"]
    assert all(set(error) == {"source", "message"} for error in answer["errors"])
    assert names(tmp_path / "lavida-out") == {"first", "cut"}

    lines = printed.err.splitlines()
    assert len(lines) == 3 and all(line.startswith("lavida: ") for line in lines)
    assert "notes.mp4" in lines[0] and "gone.mp4" in lines[1] and "cut.avi" in lines[2] and "warning" in lines[2]


@pytest.mark.parametrize("wrong", [["--model", "nowhere"], ["--stride", "0"], ["-a", ""], ["--device", "toaster"]])
def test_json_lists_every_source_when_none_can_be_tried(detect, capsys, wrong):
    code = run(["detect", "a.mp4", "b.mp4", "-a", "x", "--json", *wrong])
    printed = capsys.readouterr()
    assert code == 2 and len(printed.err.splitlines()) == 1
    answer = json.loads(printed.out)
    assert answer["results"] == [] and [error["source"] for error in answer["errors"]] == ["a.mp4", "b.mp4"]
    assert f"lavida: {answer['errors'][0]['message']}\n" == printed.err


def test_people_read_what_was_found_and_where_to_look(detect_bright, tmp_path, capfd):
    make.video(tmp_path / "new\nclip[bold].mp4", frames=5, mark=True)
    assert detect_bright("new\nclip[bold].mp4") == 0
    printed = capfd.readouterr()
    first, event, where = printed.out.splitlines()
    assert first.startswith("new clip[bold].mp4: 1 event")
    assert "0.0 s to" in event and "light" in event
    assert "overlay.mp4" in where and str(tmp_path / "lavida-out") in where
    assert printed.err == ""  # neither bars, nor escape codes, nor a library's remarks

    make.video(tmp_path / "dark.mp4", frames=5)
    assert detect_bright("dark.mp4", "--no-overlay") == 0
    assert "nothing of light" in capfd.readouterr().out


@pytest.mark.slow
def test_many_and_long_categories_are_printed_short(detect, tmp_path, capsys):
    make.video(tmp_path / "clip.mp4", frames=3)
    more = [argument for index in range(199) for argument in ("-a", f"{index} " + "very long " * 20)]
    assert detect("clip.mp4", *more, "--threshold", "0.0001") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 1000 and "192 more" in lines[0]
    assert len(read(tmp_path / "lavida-out" / "clip", "run.json")["categories"]) == 200


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_file_name_that_is_no_text_is_no_obstacle(detect, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9.mp4")
    make.video(tmp_path / "clip.mp4", frames=3).rename(tmp_path / name)
    assert detect(name, "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert names(tmp_path / "lavida-out" / os.fsdecode(b"caf\xe9")) == FILES and result["source"] == name


def test_version_and_help(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"lavida {__version__}\n"
    for arguments in ([], ["--help"], ["detect", "--help"]):
        assert run(arguments) == 0
        assert "lavida" in capsys.readouterr().out


def test_help_waits_for_no_heavy_library():
    script = "import sys; from lavida.cli import run; run(['detect', '--help']); print(sorted(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "'lavida.cli.app'" in printed
    assert not [name for name in ("torch", "transformers", "arro3", "numpy", "cv2") if f"'{name}'" in printed]


@pytest.mark.parametrize(
    ("raised", "code"), [(EOFError("No data left in file"), None), (KeyboardInterrupt(), 130), (InputError("x"), 2)]
)
def test_only_ctrl_c_ends_as_ctrl_c(tmp_path, monkeypatch, capsys, raised, code):
    def load(folder):
        raise raised

    monkeypatch.setattr("lavida.detection.Detection.load", load)
    if code is None:  # a defect is seen as one
        with pytest.raises(EOFError, match="No data left") as seen:
            run(["events", str(tmp_path)])
        assert seen.value is raised and "stopped" not in capsys.readouterr().err
    else:
        assert run(["events", str(tmp_path)]) == code
        assert capsys.readouterr().err == {130: "lavida: stopped\n", 2: "lavida: x\n"}[code]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, "cannot read or write: scores.parquet (Permission denied); check your access to it"),
        (errno.EROFS, "cannot write: scores.parquet (Read-only file system)"),
    ],
)
def test_a_forbidden_file_is_not_called_unwritable(tmp_path, monkeypatch, capsys, code, message):
    def load(folder):
        raise OSError(code, os.strerror(code), "scores.parquet")

    monkeypatch.setattr("lavida.detection.Detection.load", load)
    assert run(["events", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"lavida: {message}")


@pytest.mark.skipif(sys.platform == "win32", reason="a current folder cannot be removed there")
@pytest.mark.parametrize("arguments", [["scan", "a.mp4", "-a", "x", "--out", "scores"], ["detect", "a.mp4", "-a", "x"]])
def test_a_current_folder_that_has_been_removed_is_one_line(tmp_path, monkeypatch, capsys, arguments):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    assert run(arguments) == 2
    assert capsys.readouterr().err == "lavida: the current folder has been removed; go to another one\n"


def test_what_the_library_logs_is_one_line_each_on_stderr(capsys, monkeypatch):
    def logging_load(*_, **__):
        logging.getLogger("lavida.checkpoints.hub").info("nothing\nspecial")
        logging.getLogger("lavida.checkpoints.hub").warning("using %s", "the copy")
        raise InputError("no model")

    monkeypatch.setattr("lavida.loading.load", logging_load)
    for _ in range(2):  # the second run adds no second handler
        assert run(["detect", "a.mp4", "-a", "x"]) == 2
        assert capsys.readouterr().err == "lavida: nothing special\nlavida: using the copy\nlavida: no model\n"
    assert logging.getLogger("lavida").level == logging.NOTSET and not logging.getLogger("lavida").handlers


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        (["eval", "exposure", "--root", ".", "--out", "o"], ["heldout", "--root", ".", "--out", "o"]),
        (
            ["ablate", "compression", "--benchmark", "x", "--benchmark-root", ".", "--out", "o"],
            ["ablate-trained", "compression", "--benchmark", "x", "--root", ".", "--out", "o"],
        ),
    ],
)
def test_a_command_is_found_under_its_earlier_name(earlier, now, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    for arguments in (earlier, now):
        assert run(arguments) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] and said[0].count("\n") == 1 and "--help" not in said[0]
