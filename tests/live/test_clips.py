"""The ring on the disk, and clips cut out of it."""

import errno
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest

from lavida.live.config import Clips, Keep
from lavida.live.records import clock_time
from lavida.live.ring import Recorder, Ring
from live.sending import Camera
from live.streams import clip
from live.watching import Watching, is_phase, is_score, planned
from live.web import Web

pytest.importorskip("sqlalchemy")
from lavida.live.clips import Cutter
from lavida.live.retention import sweep
from lavida.live.store import Store
from live.test_store import record

pytestmark = pytest.mark.slow  # in real time

SHORT = Clips(before_s=1.0, after_s=1.0, longest_s=10.0, megabytes=5.0)


def film(path: Path, seconds: float, *, size: tuple[int, int] = (64, 48), codec: str = "libx264") -> Path:
    """A film with a key frame every half second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = 10
        for index in range(round(20 * seconds)):
            frame = av.VideoFrame(*size, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([index % 256]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def fed(ring: Ring | Recorder, path: Path, clock: list[float], *, jump_s: float = 0.0) -> None:
    """Add a film's packets as if they had come at real speed, from `clock` on; stamps jump after two seconds."""
    begun = clock[0]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.dts is not None:
                clock[0] = begun + float(packet.dts * stream.time_base)
                if clock[0] - begun >= 2:
                    jump = round(jump_s / stream.time_base)
                    packet.dts, packet.pts = packet.dts + jump, packet.pts + jump
                ring.add(packet, stream)
    clock[0] += 0.05
    ring.pause()


@pytest.fixture
def clock(monkeypatch):
    now = [1767225600.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def decoded(path: Path) -> tuple[list[float], set[tuple[int, int]]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.time for frame in frames], {(frame.width, frame.height) for frame in frames}


def test_the_ring_holds_the_latest_seconds_and_no_more_bytes_than_it_may(tmp_path, clock):
    path = film(tmp_path / "film.mp4", 30)
    ring = Ring(tmp_path / "ring", seconds=12, most_bytes=10**6)
    fed(ring, path, clock)
    pieces = ring.pieces(0, clock[0])
    assert 12 <= clock[0] - pieces[0].begin < 12 + 2 * 4.5
    assert all(abs(after.begin - before.end) < 0.1 for before, after in pairwise(pieces))
    small = Ring(tmp_path / "small", seconds=100, most_bytes=pieces[0].size * 2)
    fed(small, path, clock)
    assert sum(each.stat().st_size for each in (tmp_path / "small").iterdir()) <= pieces[0].size * 2
    assert len(Ring(tmp_path / "small", seconds=100, most_bytes=10**6).pieces(0, clock[0])) == 2  # after a restart


def test_a_clip_is_the_seconds_about_an_event_as_they_were_coded(tmp_path, clock):
    store = Store(tmp_path, receivers={"x": ("clip",)}, clips=SHORT)
    cutter, begun = Cutter(store, SHORT), clock[0]
    fed(cutter.ring("gate"), film(tmp_path / "film.mp4", 14), clock)
    walls = {"start_wall": clock_time(begun + 5), "end_wall": clock_time(begun + 8)}
    store.keep(record("start", **walls | {"end_wall": None}), None)
    cutter.work(now=begun + 9)
    assert store.events()[0]["clip"] is None  # it goes on
    store.keep(record("end", end_s=8.0, **walls), None)
    cutter.work(now=begun + 9)
    assert store.events()[0]["clip"] == "clips/a1.mp4"
    times, sizes = decoded(tmp_path / "clips" / "a1.mp4")
    assert sizes == {(64, 48)}
    assert len(times) == pytest.approx(5 * 20, abs=12)  # from a key frame at most half a second before
    assert times[-1] - times[0] == pytest.approx(5.0, abs=0.6)
    assert store.outbox.due("x", now=clock[0] + 60).key == "a1-clip"


def test_an_event_without_end_gets_a_clip_of_the_longest_length(tmp_path, clock):
    store = Store(tmp_path, clips=SHORT)
    cutter, begun = Cutter(store, SHORT), clock[0]
    store.keep(record("start", start_wall=clock_time(begun + 1), end_wall=None), None)
    fed(cutter.ring("gate"), film(tmp_path / "film.mp4", 16), clock)
    cutter.work(now=clock[0])
    times, _ = decoded(tmp_path / "clips" / "a1.mp4")
    assert times[-1] == pytest.approx(11.0, abs=0.6)  # one second before, and the ten


def test_a_stream_that_changed_its_size_gives_a_clip_of_what_came_before(tmp_path, clock):
    store = Store(tmp_path, clips=SHORT)
    cutter, begun = Cutter(store, SHORT), clock[0]
    fed(cutter.ring("gate"), film(tmp_path / "a.mp4", 5), clock)
    fed(cutter.ring("gate"), film(tmp_path / "b.mp4", 5, size=(128, 96)), clock)
    store.keep(record("end", end_s=8.0, start_wall=clock_time(begun + 2), end_wall=clock_time(begun + 8)), None)
    cutter.work(now=begun + 60)
    assert decoded(tmp_path / "clips" / "a1.mp4")[1] == {(64, 48)}


@pytest.mark.parametrize("unblurred", [False, True])
def test_of_a_stream_that_is_blurred_there_are_clips_only_if_that_is_said(tmp_path, clock, unblurred):
    clips = replace(SHORT, unblurred=unblurred)
    store, begun = Store(tmp_path, clips=clips), clock[0]
    fed(Cutter(store, clips).ring("gate"), film(tmp_path / "film.mp4", 14), clock)
    cutter = Cutter(store, clips)  # after a restart, with the ring of the process before
    ((_, other),) = planned(str(tmp_path / "film.mp4"), blur=("person",)).items()
    cutter.follow({"gate": other})
    store.keep(record("end", start_wall=clock_time(begun + 5), end_wall=clock_time(begun + 8)), None)
    fed(cutter.ring("gate"), tmp_path / "film.mp4", clock)
    cutter.work(now=clock[0] + 60)
    assert store.events()[0]["clip"] == ("clips/a1.mp4" if unblurred else None)
    assert bool(list((tmp_path / "ring" / "gate").iterdir())) == unblurred
    cutter.follow({"gate": replace(other, settings=replace(other.settings, blur=()))})
    fed(cutter.ring("gate"), tmp_path / "film.mp4", clock)
    assert list((tmp_path / "ring" / "gate").iterdir())  # held again


def test_a_stream_whose_ring_cannot_be_made_is_watched_all_the_same(tmp_path, caplog):
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring" / "gate").write_text("in the way")
    cutter = Cutter(Store(tmp_path, clips=SHORT), SHORT)
    plan = planned("rtsp://gate", blur=("fire",))
    cutter.follow(plan)  # holds nothing
    with av.open(str(clip(tmp_path / "a.mp4", [20] * 5))) as container:
        stream = container.streams.video[0]
        ring = cutter.ring("gate")
        ring.hold(True)
        for packet in container.demux(stream):
            ring.add(packet, stream)
    assert "nothing is held for 30 s" in caplog.text


def test_a_disk_that_cannot_be_written_costs_the_ring_only(tmp_path, clock, caplog):
    ring = Ring(tmp_path / "ring", seconds=60, most_bytes=10**6)
    (tmp_path / "ring").write_text("in the way")
    fed(ring, film(tmp_path / "film.mp4", 2), clock)
    assert "nothing is held for 30 s" in caplog.text
    assert len(caplog.records) == 1
    assert ring.pieces(0, clock[0]) == []


def test_a_full_disk_keeps_no_old_pieces(tmp_path, clock):
    """They would be what fills it."""

    class Full(Ring):
        full = False

        def _open(self, packet, stream, now):
            if self.full:
                raise OSError(errno.ENOSPC, "no space left on device")
            super()._open(packet, stream, now)

    path, ring = film(tmp_path / "film.mp4", 14), Full(tmp_path / "ring", seconds=20, most_bytes=10**7)
    fed(ring, path, clock)
    assert ring.pieces(0, clock[0])
    ring.full = True
    clock[0] += 60
    fed(ring, path, clock)
    assert ring.pieces(0, clock[0]) == [] and list((tmp_path / "ring").iterdir()) == []
    ring.full = False
    clock[0] += 60
    fed(ring, path, clock)
    assert ring.pieces(0, clock[0])


def test_a_file_of_the_ring_has_one_size_also_where_pictures_come_out_late(tmp_path, clock):
    """With B-frames the first picture of a size comes out of the decoder after its key frame has been kept."""
    ring = Ring(tmp_path / "ring", seconds=60, most_bytes=10**7)
    joined = tmp_path / "joined.ts"
    sizes = (64, 48), (128, 96)
    joined.write_bytes(b"".join(film(tmp_path / f"{size[0]}.ts", 2, size=size).read_bytes() for size in sizes))
    begun, number = clock[0], 0
    with av.open(str(joined)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            stream.codec_context.decode(packet)
            if packet.size:
                clock[0], number = begun + number / 20, number + 1
                ring.add(packet, stream)
    ring.pause()
    assert [decoded(piece.path)[1] for piece in ring.pieces(0, clock[0] + 1)] == [{size} for size in sizes]


@pytest.mark.parametrize("jump_s", [3600.0, -4.0])
def test_stamps_that_jump_within_a_piece_go_on_by_arrival(tmp_path, clock, jump_s):
    path, ring = film(tmp_path / "film.mp4", 8), Ring(tmp_path / "ring", seconds=60, most_bytes=10**7)
    fed(ring, path, clock, jump_s=jump_s)
    times = [decoded(piece.path)[0] for piece in ring.pieces(0, clock[0])]
    assert sum(map(len, times)) == 160
    steps = [after - before for piece in times for before, after in pairwise(piece)]
    assert min(steps) > 0.01 and max(steps) < 0.3


def test_a_camera_that_was_left_adds_nothing_to_the_ring_any_more(tmp_path, clock):
    ring = Ring(tmp_path / "ring", seconds=60, most_bytes=10**7)
    left = ring.recorder()
    new = ring.recorder()
    fed(left, film(tmp_path / "left.mp4", 2), clock)
    assert ring.pieces(0, clock[0]) == []
    fed(new, film(tmp_path / "new.mp4", 2, size=(128, 96)), clock)
    (piece,) = ring.pieces(0, clock[0])
    assert decoded(piece.path)[1] == {(128, 96)}


KILLED = """
import sys, time, os, signal
sys.path[:0] = [{tests!r}]
import av
from pathlib import Path
from lavida.live.ring import Ring
ring = Ring(Path({folder!r}), seconds=600, most_bytes=10**8)
with av.open({film!r}) as container:
    stream = container.streams.video[0]
    for number, packet in enumerate(container.demux(stream)):
        if packet.dts is not None:
            ring._add(packet, stream, 1767225600.0 + number / 20)
        if number == 150:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_held_still_gives_a_clip(tmp_path, clock):
    path, tests = film(tmp_path / "film.mp4", 14), str(Path(__file__).parents[1])
    code = KILLED.format(tests=tests, folder=str(tmp_path / "ring" / "gate"), film=str(path))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    store = Store(tmp_path, clips=SHORT)
    begun = clock[0]
    walls = {"start_wall": clock_time(begun + 2), "end_wall": clock_time(begun + 5)}
    store.keep(record("end", end_s=5.0, **walls), None)
    Cutter(store, SHORT).work(now=begun + 60)
    times, _ = decoded(tmp_path / "clips" / "a1.mp4")
    assert times[-1] == pytest.approx(5.0, abs=0.7)


@pytest.mark.parametrize("kind", ["ts", "mjpeg"])
def test_a_watched_camera_fills_the_ring_and_an_event_gets_its_clip(tmp_path, kind):
    camera = Camera() if kind == "ts" else Web()
    url = camera.url if kind == "ts" else camera.url("cam.mjpeg")
    clips = Clips(before_s=1.0, after_s=0.5, longest_s=10.0, megabytes=5.0)
    store = Store(tmp_path, clips=clips)
    cutter = Cutter(store, clips)
    with Watching(url, tapes=cutter.ring, seen=store.keep) as seen:
        seen.until(is_score, within=10)
        time.sleep(1)
        camera.level = 250
        seen.until(is_phase("start"), within=5)
        camera.level = 20
        seen.until(is_phase("end"), within=5)
        time.sleep(0.6)
    camera.close()
    cutter.work(now=time.time(), last=True)
    (event,) = store.events()
    times, _ = decoded(tmp_path / event["clip"])
    assert event["clip"].endswith(".mkv")  # MPEG-2 and MJPEG: not in MP4
    assert times[-1] - times[0] > event["end_s"] - event["start_s"] + 1


def test_the_oldest_events_go_first_and_kept_ones_stay(tmp_path, clock):
    store = Store(tmp_path)
    for number in range(6):
        name, begun = f"e{number}", clock[0] - (6 - number) * 86400
        store.keep(record("end", event=name, end_s=2.0, start_wall=clock_time(begun), end_wall=clock_time(begun)), None)
        (tmp_path / "snapshots" / f"{name}.jpg").write_bytes(b"x" * 1000)
    with store.tables.engine.begin() as connection:
        events = store.tables.events
        connection.execute(events.update().values(snapshot="snapshots/" + events.c.id + ".jpg"))
        connection.execute(events.update().where(events.c.id == "e0").values(kept=True))
    assert sweep(store, Keep(days=999_999), now=clock[0]) == sweep(store, Keep(days=1e300), now=clock[0]) == 0
    assert sweep(store, Keep(days=3.5), now=clock[0]) == 2
    assert [event["id"] for event in store.events()] == ["e0", "e3", "e4", "e5"]
    assert sweep(store, Keep(days=999_999, gigabytes=2.5e-6), now=clock[0]) == 2
    assert [event["id"] for event in store.events()] == ["e0", "e5"]
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["e0.jpg", "e5.jpg"]
    assert sweep(store, Keep(), now=clock[0]) == 0
