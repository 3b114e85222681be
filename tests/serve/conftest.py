"""A server in this process, and the worker as a call."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
from fastapi.concurrency import run_in_threadpool
from fastapi.testclient import TestClient

from lavida.serve.app import create_app
from lavida.serve.decoder import Decoder
from lavida.serve.settings import ServeSettings
from lavida.serve.store import Store
from lavida.serve.tokens import hashed
from lavida.serve.worker import Worker
from serve.quick import QuickAnalyst, video

ADDRESS = "http://127.0.0.1:8000"
TOKEN = "a-token-of-the-tests"


class Here(Decoder):
    """Decodes in a thread of the server: processes take seconds to start."""

    async def ask(self, function, *args, **named):
        return await run_in_threadpool(function, *args, **named)


@dataclass
class Served:
    """A client, the store behind it, and a worker to be called."""

    client: TestClient
    store: Store
    worker: Worker
    settings: ServeSettings
    clip: Path

    def asked(self, *words: str, path: Path | None = None, **fields) -> dict:
        """A job about an upload."""
        path = path or self.clip
        data = {"anomalies": list(words) or ["fire", "smoke"], **fields}
        with path.open("rb") as file:
            answer = self.client.post("/api/jobs", data=data, files={"file": (path.name, file)})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def done(self, *words: str, **fields) -> dict:
        """A job that has been worked on."""
        job = self.asked(*words, **fields)
        assert self.worker.step()
        return self.get(f"/api/jobs/{job['id']}")

    def get(self, path: str, status: int = 200, **query):
        answer = self.client.get(path, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return video(tmp_path / "street.mp4")


@pytest.fixture
def serving(tmp_path: Path, clip: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers: `serving(tokens=True, folder=..., limits=...)`."""
    clients = []

    def start(*, tokens: bool = False, decoder: type[Decoder] = Here, watcher=None, **settings) -> Served:
        given = ServeSettings(data=tmp_path / "data", **settings)
        store = Store(given.data, database=given.database)
        known = (hashed(TOKEN),) if tokens else None
        app = create_app(given, store, tokens=known, decoder=decoder, watcher=watcher)
        client = TestClient(app, base_url=ADDRESS, raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        worker = Worker(store, given.data, QuickAnalyst(), longest_s=given.limits.length_s)
        return Served(client, store, worker, given, clip)

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def served(serving) -> Served:
    return serving()
