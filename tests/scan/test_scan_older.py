"""Data sets of versions that kept neither the state of a source nor a column with its name go on."""

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scan_results import finished, sources, states
from video import make

from lavida.scan.dataset import DataSet
from lavida.scan.state import state_of


@pytest.fixture
def older(footage: Path, scan_to, looks, tmp_path: Path) -> Path:
    """A finished data set in the form of an earlier version, of videos that are an hour old."""
    for path in footage.rglob("*.*"):
        os.utime(path, (time.time() - 3600,) * 2)
    scan_to(footage)
    out = tmp_path / "out"
    for part in out.glob("*/*/part-0.parquet"):
        table = pq.read_table(part, partitioning=None)
        pq.write_table(table.drop_columns(["source"]), part, compression="zstd")
    for file in [*out.glob("states/*/*"), *out.glob("states/*"), out / "states"]:
        file.rmdir() if file.is_dir() else file.unlink()
    looks.sources.clear()
    return out


def tables(out: Path) -> dict[str, pa.Table]:
    return {
        str(part.relative_to(out)): pq.read_table(part, partitioning=None)
        for part in sorted(out.glob("*/*/part-0.parquet"))
    }


def test_it_counts_as_finished_and_is_brought_up_to_date(footage, older, scan_to, looks, tmp_path):
    report = scan_to(footage)
    assert (report.finished, report.scored) == (3, 0)
    assert "3 results of an earlier version are brought up to date: a column source, a state" in report.said
    scan_to(footage, out=str(tmp_path / "new"))
    assert tables(older) == tables(tmp_path / "new") and states(older) == states(tmp_path / "new")
    again = scan_to(footage)
    assert again.scored == 0 and not any("earlier version" in line for line in again.said)


def test_from_then_on_changes_are_seen(footage, older, scan_to, looks):
    scan_to(footage)
    make.video(footage / "c.avi", frames=5)
    assert scan_to(footage).scored == 1 and looks.sources == ["c.avi"]


def test_a_video_that_was_written_to_after_it_was_scored_is_scored_again(footage, older, scan_to, looks):
    os.utime(footage / "c.avi", (time.time() + 5,) * 2)  # it was still growing then
    report = scan_to(footage)
    assert looks.sources == ["c.avi"] and report.finished == 3
    assert states(older)["video=c.avi"] == [state_of(str(footage / "c.avi")).to_json()]


def test_results_of_videos_that_are_gone_get_the_column_too(footage, older, scan_to, looks):
    (footage / "c.avi").unlink()
    assert scan_to(footage).videos == 2
    assert sources(older) == {"cam 1/a.mp4": 12, "cam 1/b.mp4": 7, "c.avi": 20}
    make.video(footage / "c.avi", frames=5)  # and when another one takes its name, it is scored
    assert scan_to(footage).scored == 1 and sources(older)["c.avi"] == 5


def test_a_damaged_result_is_made_anew(footage, older, scan_to, looks):
    (older / "frames" / "video=c.avi" / "part-0.parquet").write_bytes(b"junk")
    assert scan_to(footage).scored == 1 and looks.sources == ["c.avi"]
    assert sources(older)["c.avi"] == 20


@pytest.mark.parametrize("writes", range(9))
def test_a_kill_on_the_way_changes_nothing(footage, older, scan_to, looks, tmp_path, monkeypatch, writes):
    done = []

    def dying(change):
        def changing(self, *arguments, **options):
            if len(done) == writes:
                raise KeyboardInterrupt
            done.append(arguments)
            change(self, *arguments, **options)

        return changing

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for method in ("write_table", "write_state"):
            patch.setattr(DataSet, method, dying(getattr(DataSet, method)))
        scan_to(footage)
    assert len(finished(older)) == 3
    assert scan_to(footage).scored == 0
    scan_to(footage, out=str(tmp_path / "new"))
    assert tables(older) == tables(tmp_path / "new") and states(older) == states(tmp_path / "new")


def test_remote_ones_too(footage, older, scan_to, looks):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(f"{older}/", "/older", recursive=True)
    assert scan_to(footage, out="memory://older").scored == 0
    table = pq.read_table("/older/frames", filesystem=memory, partitioning=None)
    assert set(table["source"].to_pylist()) == {"cam 1/a.mp4", "cam 1/b.mp4", "c.avi"}
    assert len(memory.find("/older/states")) == 3
    assert json.loads(memory.cat("/older/run.json"))["complete"]
    memory.rm("/", recursive=True)
