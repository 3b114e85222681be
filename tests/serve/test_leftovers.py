"""What is cut off, killed or removed leaves nothing behind, and a full disk is said."""

import asyncio
import errno
import shutil
from pathlib import Path
from threading import Event

import pytest
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from lavida.errors import InputError
from lavida.serve import films
from lavida.serve.guard import Refused
from lavida.serve.settings import GIGABYTE, Limits
from serve.conftest import Here, Served


def test_a_job_removed_while_its_copy_is_made_leaves_nothing_though_nobody_waits_any_more(serving, tmp_path, clip):
    going, on = Event(), Event()

    class Held(Here):
        async def ask(self, function, *args, **named):
            if function is films.copy:
                going.set()
                await run_in_threadpool(on.wait, 30)
            return await super().ask(function, *args, **named)

    clip.rename(tmp_path / "a.mov")
    served = serving(decoder=Held, folder=tmp_path)
    id = served.client.post("/api/jobs", json={"source": "a.mov", "anomalies": ["fire"]}).json()["id"]
    assert served.worker.step()
    service, job = served.client.app.state.service, served.store.get(id)

    async def copied() -> None:
        waits = asyncio.create_task(service.copied(job))
        assert await run_in_threadpool(going.wait, 30)
        waits.cancel()
        service.remove(job)
        on.set()
        await asyncio.gather(*service._making.values())

    asyncio.run(copied())
    assert [path for path in served.settings.data.rglob("*") if path.is_file() and "sqlite" not in path.name] == []


def test_a_film_that_is_cut_off_leaves_nothing_behind(serving, tmp_path, clip):
    class Killed(Here):
        async def ask(self, function, *args, **named):
            if function is films.copy:
                Path(args[1]).with_name(".lavida-0123456789ab.mp4").write_bytes(b"half of it")
                raise InputError("it takes too long")
            return await super().ask(function, *args, **named)

    served = serving(decoder=Killed)
    job = served.done("fire", path=clip.rename(tmp_path / "a.mov"))
    folder = served.settings.data / "jobs" / job["id"]
    assert served.get(f"/api/jobs/{job['id']}/video", 422) == {"message": "it takes too long"}
    assert [path.name for path in folder.iterdir()] == ["result"]
    (folder / ".lavida-0123456789ab.mp4").write_bytes(b"of a server that was killed")
    serving()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_what_an_earlier_server_could_not_remove_is_removed_at_the_next_start(served: Served, serving):
    gone, kept = served.done("fire"), served.done("fire")
    video, data = Path(served.store.get(gone["id"]).path), served.settings.data
    served.store.remove(gone["id"], leaves=[data / "jobs" / gone["id"], video])  # and the machine goes dark
    late = data / "uploads" / "late.mp4"
    served.store.may_be_left(late)
    late.write_bytes(b"of no job")
    foreign = data / "jobs" / ("0" * 32)  # of another database
    foreign.mkdir()
    serving()
    assert {path.name for path in (data / "jobs").iterdir()} == {kept["id"], foreign.name}
    assert [path.stem for path in (data / "uploads").iterdir()] == [kept["id"]]
    assert served.store.leftovers() == []


def test_a_disk_that_is_full_while_an_upload_comes_is_said(served: Served, monkeypatch, caplog):
    async def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(UploadFile, "write", full)
    answer = served.client.post("/api/jobs", data={"anomalies": "a"}, files={"file": ("a.mp4", b"x" * 3_000_000)})
    said = "the disk is full: the server's folder (No space left on device); make room there or choose another place"
    assert (answer.status_code, answer.json()["message"]) == (507, said)
    assert caplog.records == []


def test_an_upload_needs_twice_its_room_for_a_moment(serving, tmp_path):
    limits = Limits(free=shutil.disk_usage(tmp_path).free - 15 * GIGABYTE)
    service = serving(limits=limits).client.app.state.service
    service.check_room(5 * GIGABYTE)
    with pytest.raises(Refused, match="the server's disk is full"):
        service.check_room(10 * GIGABYTE)


def test_an_upload_that_is_cut_off_is_passed_over(served: Served, caplog):
    head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    messages = iter(
        [{"type": "http.request", "body": head + b"x" * 2_000_000, "more_body": True}, {"type": "http.disconnect"}]
    )
    sent = []

    async def receive() -> dict:
        return next(messages)

    async def send(message: dict) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1", "content-type": "multipart/form-data; boundary=X", "content-length": "9000000"}
    scope = {"type": "http", "method": "POST", "path": "/api/jobs", "query_string": b"", "http_version": "1.1"}
    scope |= {"headers": [(name.encode(), value.encode()) for name, value in headers.items()], "scheme": "http"}
    asyncio.run(served.client.app(scope, receive, send))
    assert sent == caplog.records == []
