"""Files and folders that are whole or not there, locks, and names."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lavida.errors import InputError
from lavida.files import atomic_file, atomic_folder, check_target, fingerprint, locked, natural_order, unique_stems


def write(target: Path, text: str) -> None:
    with atomic_folder(target, replaces="run.json") as folder:
        (folder / "run.json").write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_who_does_not_wait_for_another_run_is_told_of_it(tmp_path):
    with atomic_folder(tmp_path / "clip", replaces="run.json") as folder:
        (folder / "run.json").write_text("{}")
        with (
            pytest.raises(InputError, match="another process is writing .*clip"),
            atomic_folder(tmp_path / "clip", replaces="run.json", wait=False),
        ):
            raise AssertionError
    assert (tmp_path / "clip" / "run.json").read_text() == "{}"


def test_a_atomic_folder_appears_whole_with_nothing_beside_it(tmp_path):
    target = tmp_path / "deep" / "clip"
    with atomic_folder(target, replaces="run.json") as folder:
        (folder / "run.json").write_text("1")
        assert not target.exists()
        assert folder.name.startswith(".")
    assert names(target) == ["run.json"]
    assert names(target.parent) == ["clip"]


def test_others_may_read_it_as_the_umask_says(tmp_path):
    write(tmp_path / "clip", "1")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "clip").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_all_of_it_is_on_the_disk_before_the_older_one_goes(tmp_path, monkeypatch):
    write(tmp_path / "clip", "1")
    synced: dict[int, bool] = {}  # inode -> whether the older one was still there in full
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        older = [path.read_text() for path in tmp_path.rglob("run.json")]
        synced[os.fstat(descriptor).st_ino] = "1" in older
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", watched)
    with atomic_folder(tmp_path / "clip", replaces="run.json") as folder:
        (folder / "run.json").write_text("2")
        (folder / "deep").mkdir()
        (folder / "deep" / "a.npz").write_text("3")
    files = [path for path in (tmp_path / "clip").rglob("*") if path.is_file()]
    folders = [] if sys.platform == "win32" else [tmp_path, tmp_path / "clip", tmp_path / "clip" / "deep"]
    assert synced == {path.stat().st_ino: True for path in (*files, *folders)}


def test_a_disk_that_is_full_at_the_last_moment_leaves_the_older_one(tmp_path, monkeypatch):
    write(tmp_path / "clip", "1")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="the disk is full: .*clip"):
        write(tmp_path / "clip", "2")
    assert (tmp_path / "clip" / "run.json").read_text() == "1" and names(tmp_path) == ["clip"]


def test_an_older_result_is_replaced_with_all_its_files(tmp_path):
    write(tmp_path / "clip", "1")
    (tmp_path / "clip" / "overlay.mp4").touch()
    write(tmp_path / "clip", "2")
    assert names(tmp_path / "clip") == ["run.json"]
    assert (tmp_path / "clip" / "run.json").read_text() == "2"
    assert names(tmp_path) == ["clip"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_run_leaves_the_older_result_and_nothing_else(tmp_path, failure):
    write(tmp_path / "clip", "1")
    with pytest.raises(failure), atomic_folder(tmp_path / "clip", replaces="run.json") as folder:
        (folder / "run.json").write_text("2")
        raise failure
    assert (tmp_path / "clip" / "run.json").read_text() == "1"
    assert names(tmp_path) == ["clip"]


def test_a_killed_run_looks_unfinished_and_the_next_one_cleans_up(tmp_path):
    script = (
        "import os, signal, sys; from lavida.files import atomic_folder\n"
        "with atomic_folder(sys.argv[1], replaces='run.json') as folder:\n"
        "    (folder / 'run.json').touch(); (folder / 'left').mkdir(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    killed = subprocess.run([sys.executable, "-c", script, tmp_path / "clip"], env={**os.environ, "PYTHONPATH": path})
    assert killed.returncode == -9
    assert all(leftover.name.startswith(".") for leftover in tmp_path.iterdir())
    write(tmp_path / "clip", "1")
    assert names(tmp_path) == ["clip"]
    assert names(tmp_path / "clip") == ["run.json"]


def test_a_result_that_a_killed_run_had_moved_aside_comes_back(tmp_path):
    write(tmp_path / "clip", "1")
    with atomic_folder(tmp_path / "clip", replaces="run.json") as folder:
        aside = folder.with_suffix(".replaced")
        (folder / "run.json").touch()
    (tmp_path / "clip" / "run.json").write_text("1")
    (tmp_path / "clip").rename(aside)
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "clip", replaces="run.json"):
        raise RuntimeError
    assert (tmp_path / "clip" / "run.json").read_text() == "1"
    assert names(tmp_path) == ["clip"]


def test_two_runs_to_one_target_do_not_mix(tmp_path):
    def second() -> None:
        write(tmp_path / "clip", "second")

    other = threading.Thread(target=second)
    with atomic_folder(tmp_path / "clip", replaces="run.json") as folder:
        other.start()
        other.join(0.2)
        assert other.is_alive()
        (folder / "run.json").write_text("first")
    other.join(10)
    assert (tmp_path / "clip" / "run.json").read_text() == "second"
    assert names(tmp_path) == ["clip"]


def test_a_folder_that_is_no_result_is_never_deleted(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    for foreign in (tmp_path / "photos", Path("/")):
        with pytest.raises(InputError, match="no lavida result"):
            write(foreign, "1")
    assert names(tmp_path / "photos") == ["me.jpg"]
    with atomic_folder(tmp_path / "photos", replaces="me.jpg") as folder:
        (folder / "new.jpg").touch()
    assert names(tmp_path / "photos") == ["new.jpg"]


def test_an_empty_folder_may_be_there_already(tmp_path):
    (tmp_path / "clip").mkdir()
    write(tmp_path / "clip", "1")
    assert names(tmp_path / "clip") == ["run.json"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "clip").write_text("mine")
    with pytest.raises(InputError, match="clip"):
        write(tmp_path / "clip", "1")
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "clip" / "below", "1")
    assert (tmp_path / "clip").read_text() == "mine"


def test_a_target_can_be_checked_before_the_work(tmp_path):
    write(tmp_path / "result", "1")
    for good in ("new/deep", "result"):
        check_target(tmp_path / good, replaces="run.json")
    assert names(tmp_path) == ["result"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    for bad in ("photos", "photos/me.jpg", "photos/me.jpg/below/deeper"):
        with pytest.raises(InputError, match=bad):
            check_target(tmp_path / bad, replaces="run.json")


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "Read-only"), (errno.EACCES, "denied")],
)
def test_what_the_disk_says_reaches_the_user_in_one_line(tmp_path, number, message):
    with (
        pytest.raises(InputError, match=message) as caught,
        atomic_folder(tmp_path / "clip", replaces="run.json") as folder,
    ):
        (folder / "half").touch()
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "clip") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a.mp4", "b.avi"], ["a", "b"]),
        (["x/a.mp4", "y/a.mp4", "a.avi"], ["a", "a-2", "a-3"]),
        (["a.mp4", "b/a.mp4", "a-2.mp4"], ["a", "a-3", "a-2"]),
        (["a-2.mp4", "a.mp4", "b/a.mp4", "b/a-2.mp4"], ["a-2", "a", "a-3", "a-2-2"]),
        (["cam.1.mp4"], ["cam.1"]),
        (["x/Cam1.mp4", "y/cam1.mp4"], ["Cam1", "cam1-2"]),  # one name on disks that ignore case
        ([], []),
        (["..mp4", "b/...mp4", "c/....mp4", "..jpg.mp4"], ["video", "video-2", "video-3", "..jpg"]),
        (["/", "video.mp4"], ["video", "video-2"]),
    ],
)
def test_every_source_gets_its_own_name(paths, expected):
    assert unique_stems(paths) == expected


def test_a_folder_of_images_is_named_in_full(tmp_path):
    (tmp_path / "cam.1").mkdir()
    (tmp_path / "cam.1" / "inner").mkdir()
    assert unique_stems([tmp_path / "cam.1", f"{tmp_path}/cam.1/", tmp_path / "cam.1" / "inner" / ".."]) == [
        "cam.1",
        "cam.1-2",
        "cam.1-3",
    ]


def test_a_file_appears_whole_with_nothing_beside_it(tmp_path):
    target = tmp_path / "deep" / "page.html"
    for text in ("1", "2"):
        with atomic_file(target) as partial:
            partial.write_text(text)
            assert not target.exists() or target.read_text() == "1"
            assert partial.suffix == ".html" and partial.name.startswith(".")
        assert target.read_text() == text and names(target.parent) == ["page.html"]
    (tmp_path / "plain").touch()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_file_that_was_not_finished_leaves_the_older_one(tmp_path, failure):
    (tmp_path / "page.html").write_text("1")
    with pytest.raises(failure), atomic_file(tmp_path / "page.html") as partial:
        partial.write_text("half")
        raise failure
    assert (tmp_path / "page.html").read_text() == "1" and names(tmp_path) == ["page.html"]


def test_a_file_on_a_full_disk_is_named(tmp_path):
    with pytest.raises(InputError, match="disk is full: .*page.html"), atomic_file(tmp_path / "page.html"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write: .*file/page.html"), atomic_file(tmp_path / "file/page.html"):
        pytest.fail("there is no such folder")


HOLDER = """
import sys, time; from pathlib import Path; from lavida.files import locked
with locked(Path(sys.argv[1])) as mine:
    print(mine, flush=True); time.sleep(60)
"""


def test_a_lock_keeps_another_process_out_until_that_dies(tmp_path):
    path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    lock, environment = tmp_path / "deep" / ".lock", {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], env=environment, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"True"
        with locked(lock, wait=False) as mine:
            assert not mine
        holder.kill()
        holder.wait()
    with locked(lock, wait=False) as mine:
        assert mine
    assert names(tmp_path / "deep") == []


def test_only_one_of_many_is_in_there_at_a_time(tmp_path):
    inside, most = [], []

    def enter() -> None:
        for _ in range(20):
            with locked(tmp_path / ".lock") as mine:
                inside.append(mine)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80 and names(tmp_path) == []


def test_a_disk_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    write(tmp_path / "clip", "1")
    assert names(tmp_path) == ["clip"]


def test_numbers_in_names_count_as_numbers():
    given = ["10.png", "2.png", "A1.png", "a01.png", "1.png"]
    assert sorted(given, key=natural_order) == ["1.png", "2.png", "10.png", "A1.png", "a01.png"]


def test_weights_that_cannot_be_read_are_named_and_not_called_unwritable(tmp_path, monkeypatch):
    def refuse(path, *_, **__):  # root may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"^cannot read: .*model.safetensors \(Permission denied\); check your access"):
        fingerprint(tmp_path)
