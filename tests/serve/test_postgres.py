"""The queue in PostgreSQL: the same jobs, scores and restarts, and one line where it is away."""

from collections.abc import Iterator

import pytest

from lavida.errors import InputError
from lavida.serve.store import Store
from serve.postgres import Postgres, postgres_server
from serve.quick import QuickAnalyst

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


def test_jobs_are_worked_on_cancelled_started_again_and_removed(serving, postgres):
    served = serving(database=postgres.database("jobs"))
    first, urgent, dropped = served.asked("fire", "ümläut ✓"), served.asked("b", priority=5), served.asked("c")
    assert served.client.post(f"/api/jobs/{dropped['id']}/cancel").json()["state"] == "cancelled"
    assert served.get(f"/api/jobs/{first['id']}")["ahead"] == 1
    assert served.store.claim().id == urgent["id"]
    assert served.store.claim().id == first["id"]
    served.store.start_again(tries=3)
    order = []

    class Watching(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            super()._told(clips, anomalies, scored)
            order.append(tuple(anomalies))

    served.worker._analyst = Watching()
    while served.worker.step():
        pass
    assert list(dict.fromkeys(order)) == [("b",), ("fire", "ümläut ✓")]
    told = served.get(f"/api/jobs/{first['id']}")
    assert (told["state"], told["frames"], told["anomalies"]) == ("done", 100, ["fire", "ümläut ✓"])
    assert len(served.get(f"/api/jobs/{first['id']}/scores")["scores"]) == 21
    assert len(served.get(f"/api/jobs/{first['id']}/events")["events"]) == 2
    assert served.get("/api/jobs/a%00b", 404)["message"].startswith("no such job")  # PostgreSQL's text takes no zero
    for job in served.get("/api/jobs")["jobs"]:
        assert served.client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert served.get("/api/jobs") == {"jobs": []}
    assert list((served.settings.data / "uploads").iterdir()) == []


def test_a_database_that_is_away_is_one_line_and_comes_back(serving, postgres, tmp_path):
    served = serving(database=postgres.database("away"))
    job = served.done("fire")
    postgres.stop()
    try:
        answer = served.client.get("/api/jobs")
        said = "the database does not answer; try again in a moment"
        assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, {"message": said}, "10")
        with pytest.raises(InputError, match="cannot keep jobs: postgresql.*check --database") as refused:
            Store(tmp_path, database=served.settings.database)
        assert "a-password" not in str(refused.value)
    finally:
        postgres.start()
    assert [each["id"] for each in served.get("/api/jobs")["jobs"]] == [job["id"]]
