"""Who may ask, from which page, and what no answer says."""

import json
import os
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlalchemy")
from sqlalchemy.exc import DatabaseError, InterfaceError

from lavida.cli.app import run
from lavida.errors import InputError
from lavida.live.store import Store as Watched
from lavida.serve.guard import MOST_CLIENTS, Door, Refused
from lavida.serve.settings import Limits
from lavida.serve.store import Store
from lavida.serve.tokens import hashed, is_known, make_token, read_tokens
from serve.conftest import ADDRESS, TOKEN, Served

HEADER = {"Authorization": f"Bearer {TOKEN}"}


def every_route(document: dict) -> list[tuple[str, str, bool]]:
    """Method, path and whether it needs a token, of the whole OpenAPI document."""
    found = [
        (method.upper(), path.replace("{id}", "0" * 32).replace("{name}", "run.json"), route.get("security") != [])
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]
    assert len(found) > 15
    return found


def test_every_route_of_the_document_is_refused_without_a_token(serving):
    served = serving(tokens=True)
    assert served.client.get("/openapi.json").status_code == 401
    routes = every_route(served.client.get("/openapi.json", headers=HEADER).json())
    assert [(method, path) for method, path, needs in routes if not needs] == [
        ("GET", "/api/health"),
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
    ]
    for method, path, needs in routes:
        if needs:
            for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "a=b"}):
                answer = served.client.request(method, path, headers=wrong)
                assert answer.status_code in (401, 429), (method, path, wrong)
                assert set(answer.json()) == {"message"}


def test_with_a_token_the_same_routes_answer(serving):
    served = serving(tokens=True)
    for method, path, _ in every_route(served.client.get("/openapi.json", headers=HEADER).json()):
        answer = served.client.request(method, path, headers=HEADER)
        assert answer.status_code not in (401, 403, 429, 500), (method, path)


def test_the_page_keeps_its_token_in_a_cookie_that_scripts_cannot_read(serving):
    served = serving(tokens=True)
    assert served.get("/api/health")["needs_token"]
    assert served.client.post("/api/session", json={"token": "x"}).status_code == 401
    answer = served.client.post("/api/session", json={"token": TOKEN}, headers={"Origin": ADDRESS})
    assert answer.status_code == 204
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=strict" in answer.headers["Set-Cookie"]
    assert served.get("/api/jobs") == {"jobs": []}
    changed = served.client.post("/api/jobs/x/cancel", headers={"Origin": ADDRESS})
    assert changed.status_code == 404  # it got through
    assert served.client.post("/api/jobs/x/cancel").status_code == 403  # a cookie, and nobody says from which page
    served.client.delete("/api/session", headers={"Origin": ADDRESS})
    assert served.client.get("/api/jobs").status_code == 401


def test_who_asks_too_much_in_a_minute_has_to_wait(serving):
    served = serving(tokens=True, limits=Limits(requests=4, new_jobs=2))
    mine = {"Authorization": f"Bearer {TOKEN}"}
    ask = {"json": {"anomalies": ["fire"]}, "headers": mine}
    assert [served.client.post("/api/jobs", **ask).status_code for _ in range(3)] == [422, 422, 429]
    assert served.client.get("/api/jobs", headers=mine).status_code == 200
    late = served.client.get("/api/jobs", headers=mine)
    assert (late.status_code, late.json()["message"]) == (429, "more than 4 requests in a minute; wait a moment")
    assert 1 <= int(late.headers["Retry-After"]) <= 60
    assert served.client.get("/api/health").status_code == 200


def test_who_tries_many_tokens_has_to_wait(serving):
    served = serving(tokens=True, limits=Limits(wrong_tokens=3))
    tries = [served.client.post("/api/session", json={"token": str(n)}) for n in range(5)]
    assert [each.status_code for each in tries] == [401, 401, 401, 429, 429]
    assert tries[-1].headers["Retry-After"] == "60"


def test_however_many_addresses_try_a_new_one_has_to_wait_too():
    door = Door(("0" * 64,), tries=3)

    def tried(address: str) -> int:
        with pytest.raises(Refused) as refused:
            door.check("x", {"client": (address, 1)})
        return refused.value.status

    for number in range(MOST_CLIENTS):
        tried(f"a{number}")
    assert [tried("new") for _ in range(4)] == [401, 401, 401, 429]
    assert len(door._wrong) == MOST_CLIENTS


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}, 404),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example:8000"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "[::1"}, 421),
        ({"Origin": "http://[::1"}, 403),
    ],
)
def test_other_pages_change_nothing_here(served: Served, headers, status):
    answer = served.client.post("/api/jobs/x/cancel", headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"message"}


def test_other_pages_read_nothing_here_but_may_link(served: Served):
    assert served.client.get("/api/jobs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert served.client.get("/", headers=link).status_code == 200
    assert served.client.get("/api/jobs", headers=link).status_code == 403


def test_nobody_is_sent_elsewhere(serving):
    served = serving(tokens=True)
    for path in ("/api/jobs/", "/docs/", "/api/streams/"):
        answer = served.client.get(path, headers=HEADER | {"Host": "evil.example"}, follow_redirects=False)
        assert (answer.status_code, answer.headers.get("Location")) == (404, None)


def test_every_answer_forbids_other_origins(served: Served):
    for path in ("/", "/docs", "/static/page.js", "/api/jobs", "/api/jobs/x", "/nothing"):
        answer = served.client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_defect_is_one_line_without_a_traceback(served: Served, monkeypatch):
    monkeypatch.setattr(served.store, "jobs", lambda: 1 / 0)
    answer = served.client.get("/api/jobs")
    assert (answer.status_code, answer.json()) == (500, {"message": "a defect of lavida; the server's log has more"})


def test_a_token_is_made_once_and_only_its_hash_is_kept(tmp_path, capsys):
    file = tmp_path / "tokens.txt"
    assert run(["serve", "token", "--token-file", str(file), "--name", "my phone"]) == 0
    token = capsys.readouterr().out.strip()
    make_token(file, name="")
    first, second = file.read_text().splitlines()
    assert first == f"{hashed(token)} my phone"
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    known = read_tokens(file)
    assert known == (hashed(token), second)
    assert is_known(token, known)
    assert not is_known(f"{token}x", known)


def test_a_token_file_that_an_editor_has_written_takes_another_token(tmp_path):
    file = tmp_path / "tokens.txt"
    first = make_token(file, name="my phone")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().rstrip(b"\n"))  # a byte-order mark, and an open last line
    second = make_token(file, name="tablet")
    assert [line.split()[1:] for line in file.read_text().splitlines()] == [["my", "phone"], ["tablet"]]
    assert read_tokens(file) == (hashed(first), hashed(second))


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no token in"), ("# none\n", "no token in"), ("secret\n", "line 1 of .* is no SHA-256"), (None, "read")],
)
def test_a_broken_token_file_is_one_line(tmp_path, content, said):
    file = tmp_path / "tokens.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=said) as error:
        read_tokens(file)
    assert "secret" not in str(error.value)


def test_other_machines_need_a_token(tmp_path, capsys):
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        assert run(["serve", "--host", host, "--data", str(tmp_path / "data")]) == 2
        assert "could use it: give --token-file" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--folder", "no"], "no such folder: no"),
        (["--token-file", "no"], "the token file cannot be read: no"),
        (["--database", "postgresql://me:geheim@127.0.0.1:9/x"], "cannot keep jobs: "),
        (["--database", "nothing"], "its address is not understood"),
        (["--database", "sqlite://:memory:"], "its address is not understood"),
        (["--database", "sqlite://"], "SQLite in memory is not seen by the process that works on the jobs"),
        (["--device", "gpu"], "unknown device gpu: choose auto, cpu, cuda, cuda:1, mps"),
        (["--model", "no/such", "--port", "1"], "no/such"),
    ],
)
def test_what_no_start_mends_is_one_line(tmp_path, capsys, arguments, said):
    assert run(["serve", "--data", str(tmp_path / "data"), "--port", "8765", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert "geheim" not in captured.err


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_the_folder_may_be_called_anything(tmp_path):
    data = tmp_path / "who?x=1#2 50%40"
    Store(data).close()
    Watched(data).close()
    assert [path.name for path in tmp_path.iterdir()] == [data.name]
    assert {path.name for path in data.iterdir()} >= {"lavida-serve.sqlite", "lavida.sqlite"}


@pytest.mark.parametrize("change", ["ALTER TABLE jobs ADD COLUMN newer TEXT", "ALTER TABLE jobs DROP COLUMN state"])
def test_the_folder_of_another_lavida_is_one_line(tmp_path, capsys, change):
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "lavida-serve.sqlite")) as database:
        database.execute(change)
        database.commit()
    assert run(["serve", "--data", str(tmp_path), "--port", "8765"]) == 2
    err = capsys.readouterr().err
    assert "is that of a newer or older lavida" in err
    assert f"its table jobs differs in {change.split()[-1 if 'DROP' in change else -2]}" in err
    assert err.count("\n") == 1


def test_a_token_is_added_to_no_other_file(tmp_path, clip, capsys):
    whole = clip.read_bytes()
    assert run(["serve", "token", "--token-file", str(clip)]) == 2
    assert capsys.readouterr().err.startswith(f"lavida: the token file cannot be read: {clip}; ")
    (tmp_path / "notes.txt").write_text("milk\n")
    assert run(["serve", "token", "--token-file", str(tmp_path / "notes.txt")]) == 2
    assert "line 1 of" in capsys.readouterr().err
    assert (clip.read_bytes(), (tmp_path / "notes.txt").read_text()) == (whole, "milk\n")


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
def test_whatever_ails_the_database_is_one_line(served: Served, monkeypatch, error):
    def broken(*args):
        raise error("SELECT", {}, sqlite3.DatabaseError("database disk image is malformed"))

    monkeypatch.setattr(served.store, "jobs", broken)
    answer = served.client.get("/api/jobs")
    said = {"message": "the database does not answer; try again in a moment"}
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, said, "10")


def test_the_document_can_be_read_by_anything(served: Served):
    document = served.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    create = document["paths"]["/api/jobs"]["post"]["requestBody"]["content"]
    assert set(create) == {"multipart/form-data", "application/json"}
    assert "http://" not in json.dumps(document["paths"])
