"""What was found: events, masks, frames, films, files and labels of a job."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import pytest

from lavida.detection import Detection, Mask
from lavida.export.formats import FORMATS
from lavida.export.names import EVENTS, FRAMES, LABELS, MASKS, RUN, TIMELINE
from lavida.export.timeline import draw_timeline
from lavida.serve import films
from lavida.serve.results import FileName, Kind
from lavida.serve.settings import Limits
from lavida.video.decode import open_source
from serve.conftest import Here, Served
from serve.numbered import MADE
from serve.quick import LEVELS, QuickAnalyst, bright, video

BEYOND = "is not all in the video, which ends after 4 s: is it about another one?"
AVI = {"codec": "mpeg4"}


@pytest.fixture
def job(served: Served) -> str:
    return served.done("fire", "smoke")["id"]


def kept(served: Served, job: str) -> Detection:
    return Detection.load(served.settings.data / "jobs" / job / "result")


@pytest.mark.parametrize("threshold", [None, 0.3, 0.7, 0.95])
def test_events_and_masks_at_any_threshold_are_those_of_the_detection(served: Served, job, threshold):
    found, asked = kept(served, job), {} if threshold is None else {"threshold": threshold}
    told = served.get(f"/api/jobs/{job}/events", **asked)
    expected = found.events(threshold)
    assert len(expected) == {None: 2, 0.3: 2, 0.7: 1, 0.95: 0}[threshold]
    assert [{k: v for k, v in event.items() if k != "peak_frame"} for event in told["events"]] == [
        event.to_json() for event in expected
    ]
    assert [found.times[event["peak_frame"]] for event in told["events"]] == [event.peak_s for event in expected]
    masks = served.get(f"/api/jobs/{job}/masks", **asked)["masks"]
    assert [mask["frame"] for mask in masks] == [mask.frame for mask in found.masks_over(threshold or 0.5)]
    result = served.get(f"/api/jobs/{job}/result", **asked)
    assert (len(result["events"]), result["frames"], result["analysed_frames"]) == (len(expected), 100, 21)
    assert {"frames.parquet", "timeline.png", "overlay.mp4"} <= set(result["files"])


def test_masks_come_as_rings_as_run_lengths_and_as_a_picture(served: Served, job):
    stretch = {"from_s": 1.0, "to_s": 1.3}
    ring, later = served.get(f"/api/jobs/{job}/masks", **stretch)["masks"]
    assert (ring["frame"], ring["time_s"], later["frame"], ring["category"]) == (25, 1.0, 30, "fire")
    coded = served.get(f"/api/jobs/{job}/masks", **stretch, **{"as": "rle"})["masks"][0]
    pixels = Mask.from_json(coded).pixels
    canvas = np.zeros((64, 96), np.uint8)
    cv2.fillPoly(canvas, [np.array(each).reshape(-1, 2) for each in ring["rings"]], 1)
    assert (canvas == pixels).all()
    assert pixels.sum() == 16 * 22
    for query in ({"frame": 27}, {"time_s": 1.19}):  # those of the analysed frame before it
        answer = served.client.get(f"/api/jobs/{job}/mask.png", params=query)
        painted = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert ((painted[:, :, 3] > 0) == pixels).all()
    assert not cv2.imdecode(
        np.frombuffer(served.client.get(f"/api/jobs/{job}/mask.png", params={"frame": 0}).content, np.uint8), -1
    ).any()


def test_a_frame_is_the_one_that_is_shown_then(served: Served, job):
    def level(**query) -> float:
        return bright(served.client.get(f"/api/jobs/{job}/frame", params=query).content)

    for number in (0, 24, 25, 49, 50, 99):
        assert level(frame=number) == pytest.approx(LEVELS[number], abs=3), number
        assert level(time_s=number / 25 + 0.001) == pytest.approx(LEVELS[number], abs=3), number
    small = served.client.get(f"/api/jobs/{job}/frame", params={"frame": 3, "width": 48}).content
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (32, 48, 3)
    for query, status in (({"frame": 100}, 404), ({}, 422), ({"frame": 1, "time_s": 1}, 422), ({"frame": -1}, 422)):
        assert served.client.get(f"/api/jobs/{job}/frame", params=query).status_code == status


def test_frames_that_have_been_scored_can_be_seen_while_the_job_runs(served: Served):
    job = served.asked("a")["id"]
    running = served.store.claim()
    scores = {"frames": [0, 30], "times": [0.0, 1.2], "scores": [0.1, 0.9], "category_scores": [[0.1], [0.9]]}
    assert running is not None
    assert served.store.report(running, 0, scores)
    picture = served.client.get(f"/api/jobs/{job}/frame", params={"frame": 30})
    assert bright(picture.content) == pytest.approx(230, abs=3)
    assert served.client.get(f"/api/jobs/{job}/frame", params={"frame": 31}).status_code == 404
    early = served.client.get(f"/api/jobs/{job}/result")
    assert (early.status_code, early.headers["Retry-After"]) == (409, "10")


def test_while_a_job_runs_events_and_masks_grow_into_those_of_the_result(served: Served):
    job = served.asked("fire", "smoke")["id"]
    path, seen = f"/api/jobs/{job}", []
    early = served.client.get(f"{path}/events")
    assert (early.status_code, early.headers["Retry-After"]) == (409, "10")  # nothing is scored yet

    class Watching(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            super()._told(clips, anomalies, scored)
            seen.append((served.get(f"{path}/events"), served.get(f"{path}/masks")["masks"]))
            seen[-1][0]["strict"] = served.get(f"{path}/events", threshold=0.8)["events"]

    served.worker._analyst = Watching()
    assert served.worker.step()
    events, masks = served.get(f"{path}/events"), served.get(f"{path}/masks")["masks"]
    counts = [(0, 0, 0), (1, 3, 3), (1, 5, 5), (1, 6, 6), (2, 10, 10), (2, 10, 10)]  # the last frame waits for the end
    assert [(len(found["events"]), found["masks"], len(drawn)) for found, drawn in seen] == counts
    assert {found["complete"] for found, _ in seen} == {False} and events["complete"]
    assert [len(found["strict"]) for found, _ in seen] == [0, 1, 1, 1, 1, 1]
    assert (seen[-1][1], len(masks)) == (masks[:-1], 11)
    first, last = seen[2][0]["events"][0], events["events"][0]
    assert {key: first[key] for key in ("start_s", "peak_frame", "category", "box")} == {
        key: last[key] for key in ("start_s", "peak_frame", "category", "box")
    }


def test_what_was_found_before_a_job_was_started_again_is_forgotten(served: Served):
    job = served.asked("fire")["id"]
    clip = {"frames": [0, 5], "times": [0.0, 0.2], "scores": [0.9, 0.9], "category_scores": [[0.9], [0.9]]}
    assert served.store.report(served.store.claim(), 0, clip)
    assert len(served.get(f"/api/jobs/{job}/events")["events"]) == 1
    served.store.start_again(tries=3)
    assert served.store.report(served.store.claim(), 0, clip | {"scores": [0.1, 0.1]})
    assert served.get(f"/api/jobs/{job}/events")["events"] == []


def test_what_browsers_play_is_given_as_it_is_in_ranges(served: Served, job):
    whole = served.client.get(f"/api/jobs/{job}/video")
    assert (whole.headers["Content-Type"], whole.content) == ("video/mp4", served.clip.read_bytes())
    part = served.client.get(f"/api/jobs/{job}/video", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, served.clip.read_bytes()[100:200])


STEPS = [*range(0, 50), *range(52, 152, 2)]  # the second half at half the rate


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.avi", AVI),
        ("a.mkv", {}),
        ("a.mp4", {"codec": "libx265"}),
        ("a.mp4", {"stamps": STEPS}),
        ("a.mp4", {"stamps": range(5, 105)}),
        ("a.dav", None),
    ],
    ids=["avi", "matroska", "hevc", "varying", "late", "called dav"],
)
def test_what_they_do_not_play_is_copied_with_the_same_times(served: Served, tmp_path, name, how):
    path = tmp_path / name
    if how is None:
        path.write_bytes(video(tmp_path / "a.ts").read_bytes())
    else:
        try:
            video(path, **how)
        except av.error.FFmpegError:
            pytest.skip(f"this FFmpeg writes no {how}")
    job = served.done("fire", path=path)
    assert (job["state"], job["video"]) == ("done", "wanted")
    before = served.client.get(f"/api/jobs/{job['id']}/frame", params={"frame": 60})  # before there is a copy
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(served.client.get(f"/api/jobs/{job['id']}/video").content)
    assert served.get(f"/api/jobs/{job['id']}")["video"] == "ready"
    with av.open(str(copy)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        shown = [(frame.time, float(frame.to_ndarray(format="gray").mean())) for frame in container.decode(stream)]
    times = kept(served, job["id"]).times
    assert [time for time, _ in shown] == pytest.approx(times.tolist(), abs=1e-4)
    assert [level for _, level in shown] == pytest.approx(LEVELS, abs=4)
    after = served.client.get(f"/api/jobs/{job['id']}/frame", params={"frame": 60})
    assert bright(before.content) == pytest.approx(LEVELS[60], abs=4)
    assert bright(after.content) == pytest.approx(LEVELS[60], abs=4)


@pytest.mark.parametrize("kind", MADE)
def test_a_frame_is_found_by_an_index_where_there_is_one(tmp_path, kind):
    try:
        path = MADE[kind](tmp_path)
    except av.error.FFmpegError:
        pytest.skip(f"this FFmpeg writes no {kind}")
    source = open_source(path)
    frames = list(source.read(stride=1))
    last_s = frames[-1].time_s
    for frame in frames:
        found = source.picture_at(frame.time_s, last_s=last_s)
        assert (found is None) == (kind == "dav")  # which has none
        assert found is None or (found == frame.image).all(), frame.index
    assert source.picture_at(last_s + 0.02, last_s=last_s) is None


def test_a_frame_where_stamps_were_fitted_is_read_from_the_start(tmp_path):
    path = video(tmp_path / "a.mkv", stamps=[*range(50), *range(49, 99)])  # two frames at once
    source = open_source(path)
    frames = list(source.read(stride=1))
    last_s = frames[-1].time_s
    assert source.picture_at(frames[49].time_s, last_s=last_s) is None
    assert (source.picture_at(frames[60].time_s, last_s=last_s) == frames[60].image).all()


def test_a_frame_of_joined_recordings_is_read_from_the_start(tmp_path):
    """Their stamps begin anew: one of the second recording has the stamp of another frame of the first."""
    first, second = (video(tmp_path / f"{level}.mkv", [level] * 60) for level in (20, 200))
    path = tmp_path / "joined.mkv"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    source = open_source(path)
    frames = list(source.read(stride=1))
    assert len(frames) > 100 and frames[-1].image.mean() > 150 > frames[10].image.mean()
    assert all(source.picture_at(frame.time_s, last_s=frames[-1].time_s) is None for frame in frames)


def test_whether_browsers_play_a_video_is_looked_at_for_a_while_only(tmp_path, clip):
    assert films.plays(clip, within_s=30)
    assert not films.plays(clip, within_s=0)
    assert not films.look(str(clip), "a.mp4", Limits(look_s=0)).plays  # and it is taken all the same


def test_new_videos_wait_for_no_frame(serving):
    asked = []

    class Told(Here):
        async def ask(self, function, *args, **named):
            asked.append((function.__name__, id(self)))
            return await super().ask(function, *args, **named)

    served = serving(decoder=Told)
    job = served.done("fire")["id"]
    assert served.client.get(f"/api/jobs/{job}/frame", params={"frame": 3}).status_code == 200
    (look, by), (picture, another) = asked
    assert (look, picture) == ("look", "picture")
    assert by != another


def test_files_and_the_overlay_can_be_taken_home(served: Served, job):
    def file(name: str, **query):
        answer = served.client.get(f"/api/jobs/{job}/files/{name}", params=query)
        assert answer.status_code == 200, answer.text
        assert f'filename="street-{name}"' in answer.headers["Content-Disposition"]
        return answer

    found = kept(served, job)
    assert file("events.json", threshold=0.7).json() == [event.to_json() for event in found.events(0.7)]
    assert file("masks.json", threshold=0.3).json() == [mask.to_json() for mask in found.masks_over(0.3)]
    assert file("frames.parquet").content[:4] == b"PAR1"
    run = file("run.json").json()
    assert (run["frames"], run["source"]) == (100, "street.mp4")  # not where it lies on the server
    drawn = replace(found.at(0.7), info=replace(found.info, path=Path("street.mp4")))
    timeline = cv2.imdecode(np.frombuffer(file("timeline.png", threshold=0.7).content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(timeline, np.asarray(draw_timeline(drawn)))
    for name in ("labels.json", "no.json", "..%2F..%2Flavida-serve.sqlite"):
        assert served.client.get(f"/api/jobs/{job}/files/{name}").status_code in (404, 422)
    for threshold in (None, 1e-300, 1 - 1e-16, 0.7):
        query = {} if threshold is None else {"threshold": threshold}
        overlay = served.client.get(f"/api/jobs/{job}/overlay.mp4", params=query)
        assert (overlay.status_code, overlay.content[4:8]) == (200, b"ftyp")
    kept_ones = (served.settings.data / "jobs" / job).glob("*.mp4")
    assert [path.name for path in kept_ones] == ["overlay-0.7.mp4"]


def test_verdicts_are_kept_as_labels(served: Served, job):
    assert served.get(f"/api/jobs/{job}/labels") == {"labels": []}
    event = served.get(f"/api/jobs/{job}/events")["events"][0]
    said = {key: event[key] for key in ("start_s", "end_s", "category", "peak_score")} | {"threshold": 0.5}
    missed = {"start_s": 0.2, "end_s": 0.4, "category": "dog", "verdict": "missed"}
    labels = {"labels": [said | {"verdict": "false"}, missed]}
    assert served.client.put(f"/api/jobs/{job}/labels", json=labels).status_code == 200
    told = served.get(f"/api/jobs/{job}/labels")["labels"]
    assert [{k: v for k, v in label.items() if v is not None} for label in told] == labels["labels"]
    written = json.loads(served.client.get(f"/api/jobs/{job}/files/labels.json").content)
    assert written == told
    for wrong, message in (
        ({"end_s": 0.1}, "a label from 0.2 to 0.1 s: times are seconds from 0 on, and the end comes after the start"),
        ({"verdict": "maybe"}, "labels.0.verdict: Input should be 'true', 'false' or 'missed'"),
        ({"start_s": -1}, "labels.0.start_s: Input should be greater than or equal to 0"),
        ({"start_s": 4, "end_s": 5}, f"a label from 4 to 5 s {BEYOND}"),
        ({"end_s": 4.1}, f"a label from 0.2 to 4.1 s {BEYOND}"),
    ):
        refused = served.client.put(f"/api/jobs/{job}/labels", json={"labels": [missed | wrong]})
        assert (refused.status_code, refused.json()["message"]) == (422, message)
    assert served.get(f"/api/jobs/{job}/labels")["labels"] == told


def test_labels_that_came_from_elsewhere_are_told_as_they_are(served: Served, job):
    label = {"start_s": 0.0, "end_s": 1.0, "category": "x" * 600, "verdict": "true", "threshold": None}
    labels = [label | {"peak_score": None}]
    place = served.settings.data / "jobs" / job / "result" / "labels.json"
    place.write_text(json.dumps(labels))
    assert served.get(f"/api/jobs/{job}/labels") == {"labels": labels}
    place.write_text(json.dumps([label | {"threshold": 7}]))
    message = served.get(f"/api/jobs/{job}/labels", 422)["message"]
    assert "labels.json (a label from 0.0 to 1.0 s: its threshold lies between 0 and 1, not 7.0); remove" in message
    assert str(served.settings.data) not in message


def test_exports_carry_the_labels_at_any_threshold(served: Served, job):
    event = served.get(f"/api/jobs/{job}/events")["events"][0]
    said = {key: event[key] for key in ("start_s", "end_s", "category", "peak_score")} | {"verdict": "false"}
    assert served.client.put(f"/api/jobs/{job}/labels", json={"labels": [said]}).status_code == 200
    table = served.client.get(f"/api/jobs/{job}/export/csv", params={"threshold": 0.7})
    assert table.headers["Content-Disposition"] == 'attachment; filename="street-csv.csv"'
    (row,) = csv.DictReader(table.text.splitlines())
    assert (row["category"], row["verdict"]) == ("fire", "false")
    for kind in ("coco", "cvat", "label-studio", "vtt"):
        assert "false" in served.client.get(f"/api/jobs/{job}/export/{kind}").text, kind
    (task,) = json.loads(served.client.get(f"/api/jobs/{job}/export/label-studio").text)
    assert task["data"] == {"video": "street.mp4"}  # not where it lies on the server
    assert served.client.get(f"/api/jobs/{job}/export/yolo").status_code == 422


def test_an_export_reads_no_folder_that_is_called_as_an_upload(served: Served, tmp_path, monkeypatch):
    (tmp_path / "private").mkdir()
    for number in range(100):  # as many as frames
        (tmp_path / "private" / f"salary-{number}.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    job = served.done("fire", path=served.clip.rename(tmp_path / "private.mp4"))["id"]
    served.clip.with_name("private.mp4").rename(tmp_path / "private" / "private")
    named = served.done("fire", path=tmp_path / "private" / "private")["id"]
    for id, name in ((job, "private.mp4"), (named, "private")):
        text = served.client.get(f"/api/jobs/{id}/export/label-studio").text
        assert "salary" not in text
        assert json.loads(text)[0]["data"] == {"video": name}


def test_the_routes_name_every_format_and_file_of_a_result():
    assert set(get_args(Kind)) == set(FORMATS)
    assert {FRAMES, RUN, TIMELINE, LABELS, EVENTS, MASKS} == set(get_args(FileName))
