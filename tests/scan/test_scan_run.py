"""What a scan writes, and what a second one makes of it."""

import errno
import gc
import json
import logging
import os
import weakref
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from bright import bright_detector
from scan_results import failures, finished, tree
from video import make

from lavida.detection import Detection
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.live.profile import Profile, Word
from lavida.scan import Video, scan
from lavida.scan.dataset import DataSet
from lavida.scan.state import State
from lavida.scan.store import Store
from lavida.scan.worker import Scored

FRAME_COLUMNS = {"frame": "int64", "time_s": "double", "score": "float", "category": "string", "source": "string"}


# --- what is written


def test_every_video_has_its_partition_with_what_detect_says(footage, scan_to, tmp_path):
    make.folder(footage / "cam 1" / "stills ü", {f"{i}.png": make.plain(250) for i in range(4)})
    report = scan_to(footage)
    out = tmp_path / "out"
    lengths = {"cam 1/a.mp4": 12, "cam 1/b.mp4": 7, "c.avi": 20, "cam 1/stills ü": 4}
    assert finished(out) == {f"video={quote(name, safe='')}" for name in lengths}
    assert {path.name for path in out.iterdir()} == {"frames", "events", "states", "failures.parquet", "run.json"}
    for name, length in lengths.items():
        detection = bright_detector().detect(footage / name, ["light"], stride=3)
        part = f"video={quote(name, safe='')}/part-0.parquet"
        frames = pq.read_table(out / "frames" / part, partitioning=None)
        assert [(field.name, str(field.type)) for field in frames.schema] == list(FRAME_COLUMNS.items())
        assert set(frames["source"].to_pylist()) == {name}
        assert frames["frame"].to_pylist() == list(range(length))
        assert frames["score"].to_pylist() == detection.scores.tolist()
        events = pq.read_table(out / "events" / part, partitioning=None).to_pylist()
        assert events == [event.to_json() | {"source": name} for event in detection.events()]
    assert (report.videos, report.finished, report.scored, report.frames) == (4, 4, 4, sum(lengths.values()))
    assert report.events == 3 and not report.failures and failures(out) == {}
    failed = pq.read_schema(out / "failures.parquet")
    assert failed.equals(pa.schema([("video", pa.string()), ("reason", pa.string())]))


def test_the_usual_readers_see_one_data_set(footage, scan_to, tmp_path):
    scan_to(footage)
    names = {"cam 1/a.mp4", "cam 1/b.mp4", "c.avi"}
    table = pa.dataset.dataset(tmp_path / "out" / "frames", partitioning="hive").to_table()
    assert table.num_rows == 39 and set(table["video"].to_pylist()) == names
    frames = pd.read_parquet(tmp_path / "out" / "frames", filters=[("video", "==", "c.avi")])
    assert frames["frame"].tolist() == list(range(20))
    events = pd.read_parquet(tmp_path / "out" / "events")
    assert set(events["video"]) == {"cam 1/a.mp4", "c.avi"} and list(events["box"][0]) == [0, 0, 32, 24]


def test_the_run_and_each_file_say_how_they_came_about(footage, scan_to, tmp_path):
    scan_to(footage, threshold=0.4)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["complete"] and (run["videos"], run["finished"], run["failed"]) == (3, 3, 0)
    assert run["categories"] == ["light"] and run["settings"] == {"stride": 3, "threshold": 0.4, "smoothing": True}
    assert run["root"] == str(footage) and len(run["model_sha256"]) == 64 and run["last_run"]["frames"] == 39
    about = json.loads(
        pq.read_schema(tmp_path / "out" / "frames" / "video=c.avi" / "part-0.parquet").metadata[b"lavida"]
    )
    assert about["video"] == "c.avi" and about["source"] == str(footage / "c.avi") and about["analysed_frames"] == 8


# --- videos that cannot be scored


def test_broken_videos_are_named_with_their_reason_and_the_rest_goes_on(footage, scan_to, tmp_path):
    (footage / "junk.mp4").write_bytes(b"junk" * 99)
    (footage / "empty.avi").write_bytes(b"")
    (footage / "dangling.mkv").symlink_to(footage / "nowhere")
    make.truncated(footage / "cut.mp4", frames=40, texture=20)  # some of it can be seen
    report = scan_to(footage)
    broken = {"junk.mp4": "not a video", "empty.avi": "not a video", "dangling.mkv": "no such file"}
    assert report.finished == 4 and set(report.failures) == set(broken)
    for name, reason in broken.items():
        assert failures(tmp_path / "out")[name].startswith(reason)
        assert f"failed: {name}: {report.failures[name]}" in report.said
    assert any(line.startswith("warning: damaged or cut short: ") for line in report.said)


def test_an_odd_defect_in_one_video_is_reported_and_the_rest_goes_on(footage, scan_to, tmp_path, monkeypatch):
    events = Detection.events
    monkeypatch.setattr(Detection, "events", lambda self: [][1] if len(self.times) == 7 else events(self))
    report = scan_to(footage)
    assert report.finished == 2
    assert report.failures["cam 1/b.mp4"].startswith("unexpected IndexError")
    assert "IndexError" in json.loads((tmp_path / "out" / "run.json").read_text())["defect"]


def test_a_video_that_vanishes_after_it_was_listed_is_a_failure(footage, scan_to, monkeypatch):
    detect = Detector.detect

    def thief(*arguments, **options):
        (footage / "c.avi").unlink(missing_ok=True)
        return detect(*arguments, **options)

    (footage / "0.avi").write_bytes((footage / "c.avi").read_bytes())
    monkeypatch.setattr(Detector, "detect", thief)
    report = scan_to(footage)
    assert report.finished == 3 and report.failures["c.avi"].startswith("no such file")


def test_a_result_that_did_not_arrive_is_a_failure(footage, scan_to, monkeypatch):
    answer = Scored(frames=1, events=0, device="cpu", versions={}, warnings=(), token="0")
    monkeypatch.setattr("lavida.parallel.run", lambda todo, *_, **__: ((video, answer) for video in todo))
    report = scan_to(footage)
    assert report.finished == 0 and len(report.failures) == 3
    assert "a place that all machines share" in report.failures["c.avi"]


# --- again


def test_a_second_scan_scores_only_what_is_new(footage, scan_to, looks, tmp_path):
    scan_to(footage)
    before = tree(tmp_path / "out")
    again = scan_to(footage)
    assert looks.loaded == 1 and (again.finished, again.scored) == (3, 0)
    assert tree(tmp_path / "out") == before
    make.video(footage / "new.mp4", frames=5)
    scan_to(footage)
    assert looks.sources[3:] == ["new.mp4"]


def test_failures_are_tried_again_and_named_again(footage, scan_to, looks, tmp_path):
    (footage / "late.mp4").write_bytes(b"")
    scan_to(footage)
    again = scan_to(footage)
    assert list(again.failures) == ["late.mp4"] and any("failed: late.mp4" in line for line in again.said)
    make.video(footage / "late.mp4", frames=5)
    mended = scan_to(footage)
    assert not mended.failures and failures(tmp_path / "out") == {} and mended.finished == 4
    assert looks.sources == ["c.avi", "a.mp4", "b.mp4", "late.mp4"]


def test_it_stops_at_once_and_goes_on_where_it_stopped(footage, scan_to, looks, tmp_path, monkeypatch):
    (footage / "0.mp4").write_bytes(b"")
    scan_to(footage, out=str(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr("lavida.detector.Detector.detect", interrupt_at("a.mp4", Detector.detect))
        with pytest.raises(KeyboardInterrupt):
            scan_to(footage)
    out = tmp_path / "out"
    assert finished(out) == {"video=c.avi"} and list(failures(out)) == ["0.mp4"]
    assert not json.loads((out / "run.json").read_text())["complete"]
    looks.sources.clear()
    assert scan_to(footage).finished == 3
    assert looks.sources == ["a.mp4", "b.mp4"] and tree(out) == tree(tmp_path / "whole")
    assert json.loads((out / "run.json").read_text())["complete"]


def interrupt_at(name, detect):
    def stopped(self, source, *arguments, **options):
        if Path(source).name == name:
            raise KeyboardInterrupt
        return detect(self, source, *arguments, **options)

    return stopped


def test_earlier_failures_are_not_forgotten_by_an_interrupted_run(footage, scan_to, tmp_path, monkeypatch):
    (footage / "z.mp4").write_bytes(b"")
    scan_to(footage)
    make.video(footage / "new.mp4", frames=5)
    monkeypatch.setattr("lavida.detector.Detector.detect", interrupt_at("new.mp4", Detector.detect))
    with pytest.raises(KeyboardInterrupt):
        scan_to(footage)
    assert list(failures(tmp_path / "out")) == ["z.mp4"]


def test_a_full_disk_ends_the_scan_with_one_line_and_keeps_what_is_done(footage, scan_to, tmp_path, monkeypatch):
    fsync, written = os.fsync, []

    def nearly_full(descriptor):
        written.append(descriptor)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", nearly_full)
    with pytest.raises(InputError, match="No space left on device; make room"):
        scan_to(footage)
    done = finished(tmp_path / "out")
    assert 0 < len(done) < 3
    monkeypatch.setattr("os.fsync", fsync)
    assert scan_to(footage).scored == 3 - len(done)


# --- what does not belong together


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": 2}, r"other settings \(stride 3, threshold 0.5, smoothing True, now stride 2, "),
        ({"threshold": 0.7}, "other settings"),
        ({"model": "other"}, r"other model \(nano, now .*other\)"),
    ],
)
def test_results_of_other_settings_are_refused(footage, scan_to, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    scan_to(footage)
    before = tree(tmp_path / "out")
    with pytest.raises(InputError, match=message + ".*choose another --out, or --overwrite"):
        scan_to(footage, **change)
    assert tree(tmp_path / "out") == before


def test_a_scan_from_before_scores_were_smoothed_is_another_one(footage, scan_to, tmp_path):
    scan_to(footage)
    run = tmp_path / "out" / "run.json"
    told = json.loads(run.read_text())
    del told["settings"]["smoothing"]
    run.write_text(json.dumps(told))
    with pytest.raises(InputError, match="other settings"):
        scan_to(footage)


def test_other_categories_are_refused(footage, scan_to, tmp_path):
    from lavida.scan import scan

    scan_to(footage)
    with pytest.raises(InputError, match=r"other categories \(light, now light, dog\)"):
        scan([str(footage)], ["light", "dog"], out=str(tmp_path / "out"), stride=3)


def test_a_model_trained_anew_under_its_old_name_is_another_model(footage, scan_to, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"1")
    scan_to(footage, model=str(model))
    (model / "model.safetensors").write_bytes(b"2")
    with pytest.raises(InputError, match=r"other model \(.*model has changed\)"):
        scan_to(footage, model=str(model))


def test_the_same_names_below_another_root_are_refused(footage, scan_to, tmp_path):
    scan_to(footage)
    (tmp_path / "elsewhere").mkdir()
    make.video(tmp_path / "elsewhere" / "c.avi", frames=5)
    with pytest.raises(InputError, match="other root"):
        scan_to(tmp_path / "elsewhere")


def test_overwrite_begins_again(footage, scan_to, tmp_path):
    scan_to(footage)
    (footage / "c.avi").unlink()
    report = scan_to(footage, stride=2, overwrite=True)
    assert report.scored == 2 and finished(tmp_path / "out") == {"video=cam%201%2Fa.mp4", "video=cam%201%2Fb.mp4"}
    assert len(list((tmp_path / "out" / "events").iterdir())) == 2


@pytest.mark.parametrize("removals", range(7))
def test_an_overwrite_that_is_killed_can_be_given_again(footage, scan_to, monkeypatch, removals):
    scan_to(footage)
    done, remove = [], Store.remove

    def dies(self, name):
        if len(done) == removals:
            raise KeyboardInterrupt
        done.append(name)
        remove(self, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "remove", dies)
        scan_to(footage, overwrite=True)
    assert scan_to(footage, overwrite=True).finished == 3


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("file", ["thesis.txt", "run.json"])
def test_a_folder_with_something_else_is_left_alone(footage, scan_to, tmp_path, file, overwrite):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / file).write_text('{"source": "a.mp4"}')
    with pytest.raises(InputError, match="holds no scan|something else lives in"):
        scan_to(footage, overwrite=overwrite)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [file]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "nowhere"}, "no such model: nowhere"),
        ({"device": "abacus"}, "device abacus"),
        ({"device": "cuda:1", "workers": 2}, "device cuda:1 cannot be used with several workers"),
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(footage, scan_to, looks, options, message):
    with pytest.raises(InputError, match=message):
        scan_to(footage, **options)
    assert looks.loaded == 0


# --- memory


def test_results_are_not_held(tmp_path, scan_to, monkeypatch):
    video = make.video(tmp_path / "a.mp4", frames=4, mark=True)
    (tmp_path / "many").mkdir()
    for i in range(5):
        (tmp_path / "many" / f"{i}.mp4").symlink_to(video)
    written, alive, write = weakref.WeakSet(), [], DataSet.write_video

    def counting(self, video: Video, detection: Detection, state: State) -> None:
        written.add(detection)
        gc.collect()
        alive.append(len(written))
        write(self, video, detection, state)

    monkeypatch.setattr(DataSet, "write_video", counting)
    scan_to(tmp_path / "many")
    assert len(alive) == 5 and max(alive) <= 2


# --- what is deprecated


def test_lines_for_people_may_still_be_taken_as_in_the_version_before(footage, looks, tmp_path):
    (footage / "broken.mp4").write_bytes(b"no video")
    lines, logger = [], logging.getLogger("lavida.scan")
    before = logger.level, logger.handlers[:]
    with pytest.warns(DeprecationWarning, match=r"scan\(say=\)"):
        scan([str(footage)], ["light"], out=str(tmp_path / "out"), stride=3, settle=0, say=lines.append)
    assert lines[0].startswith("4 videos, 0 of them finished") and any("failed: broken.mp4" in line for line in lines)
    assert (logger.level, logger.handlers) == before


def test_a_profile_stretches_the_scores_and_another_one_is_another_scan(footage, scan_to, tmp_path):
    profile = Profile((Word("light", 0.0, 0.9),), 60.0, 1.0, 1.0, 0.95, 1.0, "nano")
    scan_to(footage, profile=profile)
    part = f"video={quote('c.avi', safe='')}/part-0.parquet"
    told = pq.read_table(tmp_path / "out" / "frames" / part, partitioning=None)["score"].to_pylist()
    found = profile.ask(bright_detector().detect, footage / "c.avi", anomalies=["light"], threshold=0.5, stride=3)
    assert told == found.scores.tolist()
    assert told != bright_detector().detect(footage / "c.avi", ["light"], stride=3).scores.tolist()
    with pytest.raises(InputError, match="profile .*now stride 3, threshold 0.5"):
        scan_to(footage)
    with pytest.raises(InputError, match="the profile does not know 'light'"):
        scan_to(footage, profile=Profile((Word("dog", 0.0, 0.9),), 60.0, 1.0, 1.0, 0.95, 1.0, "nano"))
