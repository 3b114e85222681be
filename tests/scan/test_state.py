"""What is known of a source, by which a later scan tells whether it is still the same."""

import os
import time
from datetime import UTC, datetime

import fsspec
import pytest
from PIL import Image
from video import make

from lavida.errors import InputError
from lavida.scan.state import UNKNOWN, State, listed_state, refuse_special, state_of


def test_a_file_is_known_by_its_size_and_time(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"12345")
    os.utime(file, (1e9, 1e9))
    first = state_of(str(file))
    assert first == State(bytes=5, stamp="1000000000000", changed=1e9)
    assert first.to_json() == {"bytes": 5, "changed": "2001-09-09T01:46:40+00:00", "stamp": "1000000000000"}
    assert state_of(str(file)).token == first.token and len(first.token) == 16
    os.utime(file, (1e9, 1e9 + 0.01))
    touched = state_of(str(file))
    file.write_bytes(b"123456")
    os.utime(file, (1e9, 1e9))
    assert len({first.token, touched.token, state_of(str(file)).token}) == 3


def test_a_folder_of_images_is_known_by_its_images_alone(tmp_path):
    folder = make.folder(tmp_path / "frames", {f"{i}.png": make.plain(9) for i in range(3)})
    first = state_of(str(folder))
    assert first.pictures == 3 and first.bytes == sum(file.stat().st_size for file in folder.iterdir())
    (folder / "labels.txt").write_text("1")
    (folder / ".4.png").write_bytes(b"x")
    assert state_of(str(folder)) == first
    (folder / "2.png").rename(folder / "4.png")
    renamed = state_of(str(folder))
    os.utime(folder / "4.png", (1e9, 1e9))
    older = state_of(str(folder))
    (folder / "0.png").unlink()
    assert len({first.token, renamed.token, older.token, state_of(str(folder)).token}) == 4


@pytest.mark.parametrize("address", ["nowhere.mp4", "memory://nowhere/a.mp4", "nul\0.mp4"])
def test_what_is_not_there_is_unknown(tmp_path, address):
    assert state_of(address if "://" in address else str(tmp_path / address)) == UNKNOWN


def test_a_remote_file_is_looked_at_anew_each_time():
    memory = fsspec.filesystem("memory")
    memory.pipe("/states/a.mp4", b"123")
    first = state_of("memory://states/a.mp4")
    assert first.bytes == 3 and abs(first.changed - time.time()) < 60
    memory.pipe("/states/a.mp4", b"1234")
    assert state_of("memory://states/a.mp4").token != first.token
    memory.pipe({"/states/f/1.png": b"1", "/states/f/2.png": b"22", "/states/f/notes.txt": b"333"})
    folder = state_of("memory://states/f")
    assert (folder.pictures, folder.bytes) == (2, 3)
    memory.rm("/states", recursive=True)


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "info",
    [
        {"LastModified": NOON},
        {"last_modified": NOON.replace(tzinfo=None)},
        {"updated": "2026-01-02T12:00:00Z"},
        {"Last-Modified": "Fri, 02 Jan 2026 12:00:00 GMT"},
        {"modificationTime": int(NOON.timestamp() * 1000)},
        {"mtime": NOON.timestamp()},
    ],
)
def test_times_are_understood_in_the_forms_that_file_systems_give(info):
    state = listed_state({"size": 7, "type": "file"} | info)
    assert state == State(bytes=7, stamp=str(int(NOON.timestamp() * 1000)), changed=NOON.timestamp())


def test_a_checksum_stands_above_the_time_and_its_quotes_mean_nothing():
    tokens = {
        listed_state({"size": 7, "ETag": tag, "LastModified": when}).token
        for tag in ('"abc"', "abc", 'W/"abc"')
        for when in (NOON, None)
    }
    assert tokens == {State(bytes=7, stamp="abc").token}
    assert listed_state({"size": 7, "ETag": '"abd"'}).token not in tokens


def test_what_tells_nothing_is_unknown():
    assert listed_state({"name": "a", "type": "file", "size": None}) == UNKNOWN
    assert listed_state({"size": None, "mtime": "yesterday"}) == UNKNOWN


@pytest.mark.parametrize(
    ("age_s", "settle", "recent"),
    [(3, 10, True), (11, 10, False), (3, 0, False), (-4, 10, True), (-3600, 10, False), (None, 10, False)],
)
def test_recent_is_what_changed_within_the_time_to_settle(age_s, settle, recent):
    state = State(1, "s", None if age_s is None else time.time() - age_s)
    found = state.recent(settle)
    assert (found is not None) == recent and (found or 0) >= 0


def test_a_time_that_no_calendar_has_is_no_defect():
    assert "changed" not in State(1, "s", 1e18).to_json()


def test_what_can_be_read_only_once_is_refused(tmp_path):
    os.mkfifo(tmp_path / "camera.mp4")
    with pytest.raises(InputError, match="a pipe cannot be read twice: .*camera.mp4; save .* to a file first"):
        refuse_special(str(tmp_path / "camera.mp4"))
    with pytest.raises(InputError, match="a device cannot be read twice"):
        refuse_special("/dev/null")
    refuse_special(str(tmp_path))
    refuse_special(str(tmp_path / "nowhere"))


def test_a_folder_of_moving_pictures_changes_with_them(tmp_path):
    for index in range(4):
        Image.new("L", (64, 48), 9).save(tmp_path / f"{index}.gif")
    before = state_of(str(tmp_path))
    for index in range(8):
        Image.new("L", (64, 48), 200).save(tmp_path / f"{index}.gif")
    assert state_of(str(tmp_path)).token != before.token
