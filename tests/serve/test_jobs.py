"""Jobs: made, worked on, listed, cancelled, removed."""

import os
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from lavida.serve.keeper import Patience
from lavida.serve.settings import Limits
from lavida.serve.store import Store
from lavida.serve.worker import Worker
from serve.conftest import Served
from serve.quick import QuickAnalyst, QuickClip, video


def test_an_upload_is_looked_at_and_its_scores_come_clip_by_clip(served: Served):
    job = served.asked("fire", "smoke", threshold=0.6)
    assert (job["state"], job["name"], job["anomalies"]) == ("queued", "street.mp4", ["fire", "smoke"])
    assert (job["width"], job["height"], job["fps"], job["video"]) == (96, 64, 25.0, "ready")
    seen = []

    class Watching(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            super()._told(clips, anomalies, scored)
            seen.append(served.get(f"/api/jobs/{job['id']}/scores"))
            seen[-1]["progress"] = served.get(f"/api/jobs/{job['id']}")["progress"]

    served.worker._analyst = Watching()
    assert served.worker.step()
    assert not served.worker.step()  # nothing else is queued
    assert [len(each["frames"]) for each in seen] == [4, 8, 12, 16, 20, 20]  # every fifth of 100; the last one waits
    assert [each["state"] for each in seen] == ["running"] * 6
    assert seen[0]["progress"] == 0.16 < seen[1]["progress"] < seen[-1]["progress"] == 0.96
    whole = served.get(f"/api/jobs/{job['id']}/scores")
    assert whole["frames"] == [*range(0, 100, 5), 99]
    assert whole["times"][:2] == [0.0, 0.2]
    assert whole["scores"][6] == pytest.approx(230 / 255, abs=0.02)
    assert whole["category_scores"][6][1] == pytest.approx(115 / 255, abs=0.02)
    rest = served.get(f"/api/jobs/{job['id']}/scores", after=seen[3]["next"])
    assert rest["frames"] == whole["frames"][16:]
    ended = served.get(f"/api/jobs/{job['id']}")
    assert (ended["state"], ended["progress"], ended["frames"], ended["message"]) == ("done", 1.0, 100, None)


def test_of_scores_that_come_one_by_one_the_first_is_told_at_once_and_others_a_few_at_a_time(served: Served):
    class OneByOne(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            whole = clips[-1]
            for t in range(len(whole.indices)):
                some = slice(t, t + 1)
                scored(
                    QuickClip(
                        whole.indices[some],
                        whole.times[some],
                        whole.scores[some],
                        whole.category_scores[some],
                        whole.size,
                    )
                )

    served.worker._analyst = OneByOne()
    job = served.done("fire", "smoke")
    assert [len(clip["frames"]) for clip in served.store.scores(job["id"])] == [1, 4, 4, 4, 4, 4]
    assert served.get(f"/api/jobs/{job['id']}/scores")["frames"] == [*range(0, 100, 5), 99]


def test_jobs_are_worked_on_by_priority_and_then_by_age(served: Served):
    first, second = served.asked("a"), served.asked("b")
    urgent = served.asked("c", priority=5)
    assert [served.get(f"/api/jobs/{each['id']}")["ahead"] for each in (urgent, first, second)] == [0, 1, 2]
    order = []
    while served.worker.step():
        order += [job["id"] for job in served.get("/api/jobs")["jobs"] if job["state"] == "done"]
    assert list(dict.fromkeys(order)) == [urgent["id"], first["id"], second["id"]]
    assert [job["id"] for job in served.get("/api/jobs")["jobs"]] == [urgent["id"], second["id"], first["id"]]


def test_a_job_that_waits_or_runs_can_be_cancelled(served: Served):
    waiting, running = served.asked("a"), served.asked("b", priority=1)

    class Cancelled(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            if len(clips) == 2:
                served.client.post(f"/api/jobs/{running['id']}/cancel")
            super()._told(clips, anomalies, scored)
            assert len(clips) < 2, "it went on"

    served.worker._analyst = Cancelled()
    assert served.worker.step()
    assert served.client.post(f"/api/jobs/{waiting['id']}/cancel").json()["state"] == "cancelled"
    assert not served.worker.step()
    ended = served.get(f"/api/jobs/{running['id']}")
    assert (ended["state"], ended["frames"]) == ("cancelled", 16)
    assert served.get(f"/api/jobs/{running['id']}/result", 409)["message"] == "there is no result: the job is cancelled"
    assert not served.get(f"/api/jobs/{running['id']}/events")["complete"]  # what there was of it


def test_what_is_removed_takes_its_files_along_but_not_those_of_others(served: Served):
    job = served.done("fire")
    body = {"same_as": job["id"], "anomalies": ["smoke"]}
    other = served.client.post("/api/jobs", json=body).json()
    assert served.worker.step()
    uploads, folders = served.settings.data / "uploads", served.settings.data / "jobs"
    assert len(list(uploads.iterdir())) == 1
    assert served.client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert served.get(f"/api/jobs/{job['id']}", 404)["message"].startswith("no such job")
    assert [folder.name for folder in folders.iterdir()] == [other["id"]]
    assert len(list(uploads.iterdir())) == 1
    assert served.get(f"/api/jobs/{other['id']}/result")["source"] == "street.mp4"
    assert served.client.delete(f"/api/jobs/{other['id']}").status_code == 204
    assert list(uploads.iterdir()) == list(folders.iterdir()) == []


def test_a_job_removed_while_it_runs_leaves_nothing(served: Served):
    job = served.asked("a")

    class Removed(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            super()._told(clips, anomalies, scored)
            if len(clips) == 6:  # the last one: it is noticed when the result is written
                served.client.delete(f"/api/jobs/{job['id']}")

    served.worker._analyst = Removed()
    assert served.worker.step()
    assert served.get("/api/jobs") == {"jobs": []}
    assert [path for path in served.settings.data.rglob("*") if path.is_file() and "sqlite" not in path.name] == []


def test_what_goes_wrong_in_the_analysis_is_the_jobs_failure(served: Served, caplog):
    mendable, defect = served.done("nothing"), served.done("defect")
    assert (mendable["state"], mendable["message"]) == ("failed", "this is not looked at: choose other words")
    said = "a defect of lavida (TypeError: a bug); the server's log has more"
    assert (defect["state"], defect["message"]) == ("failed", said)
    assert "of two lines" in caplog.text


def test_a_video_that_turns_out_too_long_is_refused_on_the_way(serving, tmp_path):
    served = serving(limits=Limits(length_s=5.0))
    job = served.asked("a")
    served.worker._longest_s = 2.0  # as if the file had announced less
    served.worker.step()
    said = served.get(f"/api/jobs/{job['id']}")["message"]
    assert said == "the video is too long: street.mp4; at most 0.000555556 hours are taken"
    long = video(tmp_path / "long.mp4", [20] * 150)
    answer = served.client.post("/api/jobs", data={"anomalies": "a"}, files={"file": ("x.mp4", long.read_bytes())})
    assert (answer.status_code, answer.json()["message"][:30]) == (422, "the video is too long: x.mp4; ")


def test_videos_below_the_folder_can_be_chosen_and_nothing_else(serving, tmp_path, clip):
    folder = tmp_path / "videos"
    (folder / "gate").mkdir(parents=True)
    for name in ("gate/10.mp4", "gate/2.mp4", ".hidden.mp4"):
        (folder / name).write_bytes(clip.read_bytes())
    (folder / "notes.txt").write_text("no video")
    (folder / "out.mp4").symlink_to(clip)
    served = serving(folder=folder)
    assert [video["path"] for video in served.get("/api/folder")["videos"]] == ["gate/2.mp4", "gate/10.mp4"]
    ask = {"anomalies": ["fire"]}
    made = served.client.post("/api/jobs", json=ask | {"source": "gate/2.mp4"})
    assert (made.status_code, made.json()["name"]) == (201, "2.mp4")
    assert served.worker.step()
    served.client.delete(f"/api/jobs/{made.json()['id']}")
    assert (folder / "gate" / "2.mp4").exists()  # it is not the server's
    outside = (
        "../street.mp4",
        str(clip),
        "out.mp4",
        "gate",
        "no.mp4",
        "gate/\0.mp4",
        "a" * 4000,
        "gate/../../street.mp4",
    )
    for source in outside:
        refused = served.client.post("/api/jobs", json=ask | {"source": source})
        assert (refused.status_code, refused.json()["message"][:27]) == (422, "no such video in the folder"), source
    assert serving().client.post("/api/jobs", json=ask | {"source": "x.mp4"}).json()["message"].startswith("no folder")


def test_results_and_the_copies_that_lavida_keeps_are_not_offered(serving, tmp_path, clip):
    folder = tmp_path / "videos"
    names = (
        "a.mp4 out/a/overlay.mp4 data/jobs/1/copy.mp4 data/uploads/1.mp4 live/clips/1.mp4 live/jobs/mine.mp4".split()
    )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(clip.read_bytes())
    for name in ("out/a/run.json", "out/a/frames.parquet", "data/lavida-serve.sqlite", "live/lavida.sqlite"):
        (folder / name).touch()
    listed = serving(folder=folder).get("/api/folder")["videos"]
    assert [video["path"] for video in listed] == ["a.mp4", "live/jobs/mine.mp4"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there alone")
def test_names_that_are_no_utf8_are_left_out_and_stop_nothing(serving, tmp_path, clip):
    folder = tmp_path / "videos"
    for name in (b"ok.mp4", b"caf\xe9.mp4", b"\xe9t\xe9/a.mp4"):
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.read_bytes())
    served = serving(folder=folder)
    assert [video["path"] for video in served.get("/api/folder")["videos"]] == ["ok.mp4"]
    served = serving(folder=path.parent)
    assert served.get("/api/folder")["videos"] == [{"path": "a.mp4", "bytes": clip.stat().st_size}]
    refused = served.client.post("/api/jobs", json={"source": "a.mp4", "anomalies": ["fire"]})
    said = "its path is no UTF-8: a.mp4; rename the file or its folder"
    assert (refused.status_code, refused.json()["message"]) == (422, said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"anomalies": []}, "anomalies: List should have at least 1 item"),
        ({"anomalies": ["  \n"]}, "anomalies.0: describe in words what counts as abnormal"),
        ({"anomalies": ["a"], "threshold": 1.0}, "threshold: Input should be less than 1"),
        ({"anomalies": ["a"], "stride": 0}, "stride: Input should be greater than or equal to 1"),
        ({"anomalies": ["a"], "words": 1}, "words: Extra inputs are not permitted"),
        ({"anomalies": ["a"], "path": "/etc"}, "path: Extra inputs are not permitted"),
        ({"anomalies": ["a"]}, "give either source or same_as"),
        ({"anomalies": ["a"], "same_as": "0" * 32}, "no such job: 0000"),
        ("{", "Invalid JSON"),
    ],
)
def test_what_means_nothing_is_one_line(served: Served, body, said):
    sent = (
        {"content": body, "headers": {"Content-Type": "application/json"}} if isinstance(body, str) else {"json": body}
    )
    answer = served.client.post("/api/jobs", **sent)
    assert answer.status_code in (404, 422)
    assert said in answer.json()["message"]
    assert "\n" not in answer.json()["message"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mp4", b""),
        ("a.mp4", b"\0\0\0\x18ftypmp42" + b"\0" * 500),
        ("../../etc/passwd", b"root:x:0:0"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 100),
        ("a.gif", b"GIF89a\xff\xff\xff\xff\0\0\0"),
    ],
)
def test_an_upload_that_is_no_video_is_refused_and_not_kept(served: Served, name, content):
    answer = served.client.post("/api/jobs", data={"anomalies": "a"}, files={"file": (name, content)})
    assert answer.status_code == 422
    said = answer.json()["message"]
    assert name.split("/")[-1] in said
    assert str(served.settings.data) not in said
    assert re.search("[0-9a-f]{32}", said) is None  # what the server calls it
    assert list((served.settings.data / "uploads").iterdir()) == []
    assert served.get("/api/jobs") == {"jobs": []}


def test_a_video_that_changes_before_its_turn_is_a_failure_that_names_it(serving, tmp_path, clip):
    folder = tmp_path / "videos"
    folder.mkdir()
    clip.rename(folder / "gate.mp4")
    served = serving(folder=folder)
    job = served.client.post("/api/jobs", json={"source": "gate.mp4", "anomalies": ["a"]}).json()
    (folder / "gate.mp4").write_bytes(b"something else by now")
    assert served.worker.step()
    ended = served.get(f"/api/jobs/{job['id']}")
    assert ended["state"] == "failed"
    assert ended["message"].startswith("not a video: gate.mp4; FFmpeg says")
    for route in ("video", "frame?frame=0"):
        answer = served.client.get(f"/api/jobs/{job['id']}/{route}")
        assert str(tmp_path) not in answer.text
    (folder / "gate.mp4").unlink()
    assert served.get(f"/api/jobs/{job['id']}/video", 404) == {"message": "there is no gate.mp4"}


def test_a_video_that_was_replaced_is_not_shown_with_the_scores_of_the_one_before(serving, tmp_path, clip):
    folder = tmp_path / "videos"
    folder.mkdir()
    played, other = clip.rename(folder / "gate.mp4"), video(folder / "yard.mov")
    served = serving(folder=folder)
    ids = {}
    for path in (played, other):
        ask = {"source": path.name, "anomalies": ["fire"]}
        ids[path] = served.client.post("/api/jobs", json=ask).json()["id"]
        assert served.worker.step()
        assert served.client.get(f"/api/jobs/{ids[path]}/frame?frame=3").status_code == 200
    assert served.client.get(f"/api/jobs/{ids[other]}/video").status_code == 200
    for path in (played, other):
        video(path, [90] * 40)
    said = "the video has changed since it was analysed: gate.mp4; look at it again"
    for route in ("video", "frame?frame=3", "overlay.mp4"):
        answer = served.client.get(f"/api/jobs/{ids[played]}/{route}")
        assert (answer.status_code, answer.json()) == (422, {"message": said}), route
    for route, status in (("video", 200), ("frame?frame=3", 200), ("overlay.mp4", 422)):  # of the copy
        assert served.client.get(f"/api/jobs/{ids[other]}/{route}").status_code == status
    assert len(served.get(f"/api/jobs/{ids[played]}/events")["events"]) == 2  # what was found stays


def test_a_database_of_an_earlier_lavida_is_taken(tmp_path):
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "lavida-serve.sqlite")) as database:
        for table in ("seen_videos", "leftovers"):
            database.execute(f"DROP TABLE {table}")
        database.commit()
    store = Store(tmp_path)
    assert (store.seen("a"), store.leftovers()) == (None, [])
    store.close()


def test_limits_say_when_to_come_again(serving, clip):
    served = serving(limits=Limits(waiting=1, upload=10_000_000, disk=50_000_000))
    served.asked("a")
    answer = served.client.post("/api/jobs", data={"anomalies": "a"}, files={"file": clip.read_bytes()})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    served.worker.step()
    large = served.client.post("/api/jobs", data={"anomalies": "a"}, files={"file": b"\0" * 10_100_000})
    assert (large.status_code, large.json()["message"]) == (413, "too much is sent; at most 9 MB are taken")
    (served.settings.data / "filler").write_bytes(b"\0" * 49_999_000)
    full = served.client.post("/api/jobs", data={"anomalies": "a"}, files={"file": clip.read_bytes()})
    assert (full.status_code, full.headers["Retry-After"]) == (507, "60")


def test_a_job_is_out_of_time_by_what_has_passed_whatever_the_clock_of_the_day_says(served: Served):
    served.asked("a")
    job, patience = served.store.claim(), Patience(Limits(silent_s=300, job_s=1000))
    assert job is not None
    yesterday = replace(job, started=job.started - 86400, reported=job.reported - 86400)  # before the clock was set
    assert patience.over(yesterday, 50.0) is None
    assert patience.over(yesterday, 349.0) is None
    assert patience.over(yesterday, 351.0) == "no news from the analysis for 300 s; it was ended"
    assert patience.over(job, 352.0) is None  # it has reported
    assert patience.over(replace(job, reported=1.0), 651.0) is None  # the clock was set back
    assert patience.over(replace(job, reported=2.0), 1051.0).startswith("it took longer than 0.277778 h and was ended")
    assert patience.over(replace(job, run="another"), 9999.0) is None


def test_a_database_that_does_not_answer_leaves_the_job_to_be_started_again(served: Served):
    class Away(Store):
        def finish(self, *arguments, **named):
            raise OperationalError("UPDATE jobs", {}, Exception("the database is locked"))

    jobs = [served.asked(word)["id"] for word in ("nothing", "fire")]
    worker = Worker(Away(served.settings.data), served.settings.data, QuickAnalyst())
    for _ in jobs:
        with pytest.raises(OperationalError):
            worker.step()
    assert served.store.running().id == jobs[1]  # the latest one
    served.store.start_again(tries=3)
    assert served.worker.step() and served.worker.step()
    assert [served.get(f"/api/jobs/{id}")["state"] for id in jobs] == ["failed", "done"]


def test_what_ran_when_the_server_ended_starts_again_and_not_for_ever(served: Served, serving):
    job = served.asked("a")
    for _ in range(3):
        assert served.store.claim() is not None  # and the machine goes dark
        assert served.store.claim() is None
        served.store.start_again(tries=3)
    ended = served.get(f"/api/jobs/{job['id']}")
    assert (ended["state"], ended["message"][:22]) == ("failed", "it was started 3 times")
    late = served.asked("b")
    old = served.store.claim()
    served.store.start_again(tries=3)
    new = served.store.claim()
    assert old is not None
    assert new is not None
    clip = {"frames": [4], "times": [0.1], "scores": [0.5], "category_scores": [[0.5]]}
    assert not served.store.report(old, 0, clip)  # a worker that has outlived its server is not heard
    assert served.store.report(new, 0, clip)
    assert served.get(f"/api/jobs/{late['id']}")["frames"] == 5
