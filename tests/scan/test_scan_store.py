"""Files that are whole or not there, on a disk, on an object store, and on a remote disk that renames."""

import errno
import multiprocessing

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from lavida.errors import InputError
from lavida.parallel import AbortRun
from lavida.scan.store import UNFINISHED, Store


class RemoteDisk(MemoryFileSystem):
    """A remote file system with a true rename, such as SFTP's, which refuses to replace a file."""

    protocol = "remotedisk"
    store: dict = {}
    pseudo_dirs: list = [""]
    moves: list = []

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("remotedisk://", "memory://"))

    def mv(self, path1, path2, **_):
        if path2 in self.store:
            raise FileExistsError(path2)
        self.moves.append((path1, path2))
        self.store[path2] = self.store.pop(path1)


fsspec.register_implementation("remotedisk", RemoteDisk, clobber=True)


@pytest.fixture(params=["local", "memory", "remotedisk"])
def store(request, tmp_path):
    if request.param == "local":
        yield Store(str(tmp_path / "out"))
        return
    yield Store(f"{request.param}://out")
    fsspec.filesystem(request.param).rm("/", recursive=True)


def test_what_is_written_can_be_read_listed_replaced_and_removed(store):
    assert store.is_empty() and store.read("run.json") is None and not list(store.names("frames"))
    store.write("run.json", b"1")
    store.write("run.json", b"2")
    store.write("frames/video=a%2F%20b.mp4/part-0.parquet", b"3")
    assert store.read("run.json") == b"2" and not store.is_empty()
    assert list(store.names("frames")) == ["video=a%2F%20b.mp4/part-0.parquet"]
    store.remove("frames")
    store.remove("frames")
    assert not list(store.names("frames")) and store.read("run.json") == b"2"
    store.remove(UNFINISHED)
    store.remove("run.json")
    assert store.is_empty()


def test_a_disk_that_fills_up_leaves_no_half_file(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "out"))
    store.write("run.json", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(AbortRun, match="cannot use .*out: No space left on device; make room .* same command"):
        store.write("run.json", b"new")
    assert store.read("run.json") == b"old"
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == ["run.json"]


def test_a_remote_disk_shows_a_file_only_when_it_is_whole():
    store = Store("remotedisk://shown")
    store.write("a", b"1")
    source, target = RemoteDisk.moves[-1]
    assert source.startswith(f"/shown/{UNFINISHED}/") and target == "/shown/a"


def test_a_remote_disk_that_replaces_files_never_lacks_one(monkeypatch):
    def replaces(self, path1, path2, **_):
        self.store[path2] = self.store.pop(path1)

    store = Store("remotedisk://kept")
    store.write("run.json", b"1")
    monkeypatch.setattr(RemoteDisk, "mv", replaces)
    monkeypatch.setattr(RemoteDisk, "rm_file", None)  # nobody removes what is to be replaced
    store.write("run.json", b"2")
    assert store.read("run.json") == b"2"


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="cannot use .*out"):
        Store(str(tmp_path / "out")).write("run.json", b"")
    with pytest.raises(InputError, match="cannot use .*out"), Store(str(tmp_path / "out")).claimed():
        pass


def claim(address: str, answer) -> None:
    try:
        with Store(address).claimed():
            answer.put("claimed")
    except InputError as error:
        answer.put(str(error))


def test_two_scans_into_one_place_are_kept_apart(tmp_path):
    answer = multiprocessing.SimpleQueue()
    with Store(str(tmp_path)).claimed():
        other = multiprocessing.get_context("fork").Process(target=claim, args=(str(tmp_path), answer))
        other.start()
        other.join()
        assert answer.get().startswith(f"another scan writes to {tmp_path}")
    claim(str(tmp_path), answer)
    assert answer.get() == "claimed"
