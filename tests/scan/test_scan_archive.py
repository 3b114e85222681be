"""A folder as recorders leave it: what is whole is scored once with its last content, and the rest is named."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from bright import bright_detector
from scan_results import failures, finished, sources, states
from video import make

from lavida.cli import run
from lavida.detector import Detector
from lavida.scan.state import state_of

OLD_S = 3600
BROKEN = {"broken/empty.mp4": b"", "broken/text.mkv": b"no video\n" * 99, "broken/header.avi": b"RIFF\0\0\0\0AVI LIST"}
ODD = ("odd/rec.dav", "odd/loop.gif", "odd/CH01_0001", "odd/frames")
GROWING = ("cam 1/48.mp4", "cam 1/49.mp4")


@dataclass
class Archive:
    """A folder, and how many frames each of its videos has."""

    folder: Path
    frames: dict[str, int]
    written: set[str]  # while they are scored

    def settle(self, name: str) -> None:
        path = self.folder / name
        for file in path.iterdir() if path.is_dir() else [path]:
            os.utime(file, (time.time() - OLD_S,) * 2)

    def clip(self, name: str, *, frames: int, **options) -> None:
        make.video(self.folder / name, frames=frames, mark=True, **options)
        self.frames[name] = frames


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """60 clips: 50 of a camera, of which two are being written, three of a day, three broken, four of odd kinds."""
    folder = tmp_path / "archive"
    for name in ("cam 1", "2026-01-01", "broken", "odd"):
        (folder / name).mkdir(parents=True)
    archive = Archive(folder, {}, set(GROWING))
    for i in range(50):
        archive.clip(f"cam 1/{i:02d}.mp4", frames=2 + i % 3)
    for i in range(3):
        archive.clip(f"2026-01-01/{i:03d}.ts", frames=6, codec="mpeg2video")
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    archive.clip("odd/rec.avi", frames=5)
    archive.clip("odd/rec.mkv", frames=4)
    for plain, odd in (("odd/rec.avi", "odd/rec.dav"), ("odd/rec.mkv", "odd/CH01_0001")):
        (folder / plain).rename(folder / odd)
        archive.frames[odd] = archive.frames.pop(plain)
    archive.clip("odd/loop.gif", frames=3, codec="gif", pix_fmt="rgb8")
    make.folder(folder / "odd" / "frames", {f"{i}.png": make.plain(250) for i in range(3)})
    archive.frames["odd/frames"] = 3
    for name in (*archive.frames, *BROKEN):
        archive.settle(name)
    (folder / "odd" / "frames" / "labels.csv").write_text("frame,label\n")
    (folder / "README").write_text("What is here.\n")
    (folder / "contract.pdf").write_bytes(b"%PDF-1.7\n")
    os.mkfifo(folder / "live.mp4")
    monkeypatch.setattr("lavida.scan.worker.load", lambda *_, **__: bright_detector())
    monkeypatch.setattr(Detector, "detect", while_others_write(Detector.detect, archive))
    monkeypatch.chdir(tmp_path)
    return archive


def while_others_write(detect: Callable, archive: Archive) -> Callable:
    """`detect`, during which a recorder adds to what it scores, and whose times of change stay old."""

    def detecting(self, source, *arguments, **options):
        detection = detect(self, source, *arguments, **options)
        name = str(Path(source).relative_to(archive.folder))
        if name in archive.written:
            with open(source, "ab") as file:
                file.write(b"more")
            archive.settle(name)
        return detection

    return detecting


@pytest.mark.slow
def test_after_two_scans_every_whole_video_is_there_once_and_the_rest_is_named(archive, capsys, tmp_path):
    first = scanned(archive, capsys)
    assert (first["videos"], first["finished"], first["scored"]) == (60, 55, 55)
    archive.clip("cam 1/07.mp4", frames=9)  # another recording under an old name
    archive.settle("cam 1/07.mp4")
    second = scanned(archive, capsys)
    assert (second["videos"], second["finished"], second["scored"]) == (60, 55, 1)
    check_results(archive, tmp_path / "out", whole=archive.frames.keys() - set(GROWING))

    archive.written.clear()
    for name in GROWING:
        archive.settle(name)
    third = scanned(archive, capsys, growing=())
    assert (third["finished"], third["scored"]) == (57, 2)
    check_results(archive, tmp_path / "out", whole=archive.frames.keys())


def scanned(archive: Archive, capsys: pytest.CaptureFixture, *, growing: tuple[str, ...] = GROWING) -> dict:
    """What `lavida scan --json` says, after a look at what it names."""
    if growing:
        os.utime(archive.folder / GROWING[1])  # just written to; the other one will be while it is scored
    assert run(["scan", "archive", "-a", "light", "--out", "out", "--stride", "3", "--settle", "600", "--json"]) == 0
    out, err = capsys.readouterr()
    said, kept = json.loads(out), json.loads(Path("out/run.json").read_text())
    assert [each["video"] for each in said["left_for_the_next_run"]] == list(growing)
    assert sorted(each["video"] for each in said["failures"]) == sorted(BROKEN)
    for line in [f"left for the next run: {name}: " for name in growing] + [f"failed: {name}: " for name in BROKEN]:
        assert line in err
    assert said["left_out"] == kept["left_out"] == {".csv": 1, ".pdf": 1, "pipe": 1, "without a suffix": 1}
    assert "left out: 1 .csv, 1 .pdf, 1 pipe, 1 without a suffix; what can be read only once has to be saved" in err
    assert (kept["failed"], kept["left_for_the_next_run"]) == (3, len(growing))
    return said


def check_results(archive: Archive, out: Path, *, whole: set[str]) -> None:
    assert sources(out) == {name: archive.frames[name] for name in whole}  # its last content, and once
    assert set(ODD) < sources(out).keys() and sources(out, "events").keys() == whole
    assert len(finished(out)) == len(whole) and failures(out).keys() == BROKEN.keys()
    kept = {f"video={quote(name, safe='')}": [state_of(str(archive.folder / name)).to_json()] for name in whole}
    assert states(out) == kept
