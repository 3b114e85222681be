"""Whatever the OpenAPI document allows is answered, and never by a defect."""

import sys

import pytest

from lavida.serve.app import create_app
from lavida.serve.settings import Limits, ServeSettings
from lavida.serve.store import Store
from lavida.serve.watcher import Watcher
from lavida.serve.worker import Worker
from serve.conftest import ADDRESS, Here
from serve.quick import QuickAnalyst, video

pytest.importorskip("schemathesis")
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> tuple:
    """An application with one job that is done, and the job's id."""
    place = tmp_path_factory.mktemp("schema")
    config = place / "watch.yaml"
    config.write_text("streams: {gate: 'http://127.0.0.1:9/'}\nanomalies: [fire]\n")
    given = ServeSettings(data=place / "data", limits=Limits(waiting=10_000, kept=10_000), streams=config)
    store = Store(given.data)
    watcher = Watcher([sys.executable, "-c", "import sys; sys.stdin.read()"])
    app = create_app(given, store, decoder=Here, watcher=watcher)
    with TestClient(app, base_url=ADDRESS) as client:
        content = video(place / "a.mp4").read_bytes()
        job = client.post("/api/jobs", data={"anomalies": "fire"}, files={"file": ("a.mp4", content)}).json()["id"]
        assert Worker(store, given.data, QuickAnalyst()).step()
        yield app, client, job


def sendable(part):
    """A part of a form as httpx takes it: no numbers."""
    if isinstance(part, tuple):
        return (part[0], *(each if isinstance(each, str | bytes) else str(each) for each in part[1:]))
    return part if isinstance(part, str | bytes) else str(part)


def test_no_request_that_the_document_allows_ends_in_a_defect(known):
    app, client, job = known
    document = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "127.0.0.1"})
    routes = [found.ok() for found in document.get_all_operations()]
    assert len(routes) > 15
    for route in routes:

        @settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=route.as_strategy(), real=booleans())
        def asked(case, real: bool) -> None:
            if real and case.operation.method.upper() != "DELETE":
                known = {"id": job, "name": "gate"}
                case.path_parameters |= {key: known[key] for key in case.path_parameters if key in known}
            sent = case.as_transport_kwargs(base_url=ADDRESS)
            if sent.get("files"):
                sent["files"] = [(name, sendable(value)) for name, value in sent["files"]]
            answer = client.request(**sent)
            assert answer.status_code < 500 or answer.status_code == 507, answer.text
            if answer.status_code >= 400:
                assert set(answer.json()) == {"message"}
                assert "\n" not in answer.json()["message"]

        asked()
