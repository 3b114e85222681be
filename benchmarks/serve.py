"""`lavida serve` under load and under attack: the first point of a dropped clip, many clients, odd uploads, requests.

    python benchmarks/serve.py first-point                        # from process start to the first point drawn, twice
    python benchmarks/serve.py clients --clients 200 --seconds 60 # upload, poll, fetch, delete; the page's own requests
    python benchmarks/serve.py fuzz --uploads 2000                # truncated, wrong types, huge, archives, odd names
    python benchmarks/serve.py schema --examples 50               # Schemathesis over the whole OpenAPI document

Each starts a server of its own in an empty folder. `--stand-in` has the analysis done by brightness, where the model
would be what is measured; fuzz and schema always do. The exit code is 1 if something that must hold did not.
"""

import argparse
import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from results import add_out, publish, run
from serve_inputs import clip, uploads

from lavida.errors import InputError

READY_S, END_S = 180, 15 * 60
GROWN = 4  # so many different numbers of points show that the curve grows
STAND_IN = """
import sys
from lavida.cli.app import run
import lavida.serve.worker
from serve.quick import stand_in
lavida.serve.worker.load_detector = stand_in
if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
"""


def main() -> None:
    options = parse()
    rows, faults = options.part(options)
    for fault in faults:
        print(fault, file=sys.stderr)
    publish(f"serve-{options.name}", rows, out=options.out, about={"cores": os.cpu_count(), "faults": len(faults)})
    sys.exit(1 if faults else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True, dest="name")
    for name, part, number, default in (
        ("first-point", first_point, "--times", 2),
        ("clients", clients, "--clients", 200),
        ("fuzz", fuzz, "--uploads", 2000),
        ("schema", schema, "--examples", 50),
    ):
        one = parts.add_parser(name)
        one.set_defaults(part=part)
        one.add_argument(number, dest="count", type=int, default=default)
        one.add_argument("--stand-in", action="store_true", help="brightness instead of the model")
        if name == "clients":
            one.add_argument("--seconds", type=float, default=60)
        if name == "first-point":
            one.add_argument("--clip", type=Path, help="a video; default: one of 30 s, 640x360, that is made")
        add_out(one, f"serve-{name}")
    return parser.parse_args()


@contextmanager
def server(folder: Path, *, stand_in: bool) -> Iterator[str]:
    """`lavida serve` as a process of its own; gives its address without waiting for it."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = tried.getsockname()[1]
    command, env = [sys.executable, "-m", "lavida"], dict(os.environ)
    if stand_in:
        (folder / "main.py").write_text(STAND_IN)
        command = [sys.executable, str(folder / "main.py")]
        env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1] / "tests"), *filter(None, sys.path)])
    arguments = ["serve", "--data", str(folder / "inside" / "data"), "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([*command, *arguments], stderr=log, env=env)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def wait_for(address: str, *, worker: str | None = "ready") -> None:
    """Until the server answers, and its model is loaded."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            said = httpx.get(f"{address}/api/health", timeout=5).json()
            if worker is None or said["worker"] == worker:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise InputError(f"the server is not ready after {READY_S} s; try lavida serve")


# from the start of the process to the first point drawn


DROP = """async (name) => {
  const bytes = await (await fetch("/dropped")).arrayBuffer();
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  const how = { bubbles: true, cancelable: true, dataTransfer };
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", how));
}"""
DRAWN = "#curve[data-points]:not([data-points='0'])"


def first_point(options: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """A browser waits; the server is started; as soon as the page is there, the clip is dropped."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise InputError("Playwright is missing: pip install playwright, and a Chromium") from error
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        path = options.clip or clip(Path(place) / "clip.mp4", seconds=30, size=(640, 360))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for number in range(options.count):
            folder = Path(place) / str(number)
            folder.mkdir()
            page = browser.new_page()
            page.route("**/dropped", lambda route: route.fulfill(path=path))  # comes from no server
            start = time.monotonic()
            with server(folder, stand_in=options.stand_in) as address:
                wait_for(address, worker=None)
                page.goto(address)
                opened = time.monotonic() - start
                page.evaluate(DROP, path.name)
                page.fill("#words", "fire, person lying on the ground")
                page.get_by_role("button", name="Look", exact=True).click()
                page.locator(DRAWN).wait_for(timeout=1000 * READY_S)
                drawn = time.monotonic() - start
                seen = _growth(page)
            page.close()
            rows.append({"start": number + 1, "page open s": opened, "first point s": drawn, "points seen": seen})
            if len(seen) < GROWN:
                faults.append(f"the curve did not grow: {seen}")
        browser.close()
    return rows, faults


def _growth(page) -> list[int]:
    """Numbers of points that were seen: until the curve has grown often enough, or the job has ended."""
    seen: list[int] = []
    end = time.monotonic() + END_S
    while time.monotonic() < end:
        points = int(page.locator("#curve").get_attribute("data-points"))
        seen += [points] if points not in seen[-1:] else []
        if len(seen) == GROWN or not page.locator("#job-state").text_content():
            break
        page.wait_for_timeout(100)
    return seen


# many clients at once


def clients(options: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """Each uploads a clip of two seconds, polls, fetches and deletes, again and again."""
    with tempfile.TemporaryDirectory() as place:
        content = clip(Path(place) / "clip.mp4", seconds=2, size=(160, 120)).read_bytes()
        with server(Path(place), stand_in=options.stand_in) as address:
            wait_for(address)
            return asyncio.run(_crowd(address, content, options.count, options.seconds))


async def _crowd(address: str, content: bytes, count: int, seconds: float) -> tuple[list[dict], list[str]]:
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    accepted: set[str] = set()
    done: set[str] = set()
    waits: list[float] = []
    end = time.monotonic() + seconds

    async def ask(client: httpx.AsyncClient, method: str, path: str, **sent) -> httpx.Response:
        try:
            answer = await client.request(method, path, **sent)
        except httpx.TransportError as error:
            faults.append(f"{method} {path}: {type(error).__name__} {error}")
            return httpx.Response(599, json={"state": "lost"})
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 507:
            faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code in (429, 507) and "Retry-After" not in answer.headers:
            faults.append(f"{method} {path}: {answer.status_code} without Retry-After")
        return answer

    async def one(client: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            form = {"data": {"anomalies": ["fire"]}, "files": {"file": ("clip.mp4", content)}}
            made = await ask(client, "POST", "/api/jobs", **form)
            if made.status_code != 201:
                await asyncio.sleep(min(float(made.headers.get("Retry-After", 1)), 5) * random.uniform(0.5, 1))
                continue
            path = f"/api/jobs/{made.json()['id']}"
            accepted.add(path)
            deadline = time.monotonic() + END_S
            while (state := (await ask(client, "GET", path)).json()["state"]) in ("queued", "running"):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(1)
            if state != "done":
                faults.append(f"{path}: {state}")
                continue
            done.add(path)
            for more in ("/events", "/masks", "/files/events.json"):
                await ask(client, "GET", path + more)
            await ask(client, "DELETE", path)

    async def page(client: httpx.AsyncClient) -> None:
        """What the page asks for all the time."""
        while time.monotonic() < end:
            for path in ("/api/health", "/api/jobs", "/"):
                begun = time.monotonic()
                await ask(client, "GET", path)
                waits.append(time.monotonic() - begun)
            await asyncio.sleep(0.2)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
        begun = time.monotonic()
        await asyncio.gather(page(client), *(one(client) for _ in range(count)))
        whole = time.monotonic() - begun
    p50, p95 = np.percentile(waits, [50, 95]).tolist()
    faults += [f"never done: {path}" for path in accepted - done]
    row = {"clients": count, "accepted": len(accepted), "done": len(done), "until all done s": whole}
    row |= {"answers": dict(sorted(statuses.items())), "page p50 s": p50, "page p95 s": p95}
    return [row], faults


# odd uploads, and any request that the document allows


def fuzz(options: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """None ends in a defect, hangs, or leaves a file where it should not."""
    statuses: Counter[str] = Counter()
    faults, longest = [], 0.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sample = clip(folder / "clip.mp4", seconds=1, size=(96, 64)).read_bytes()
        with server(folder, stand_in=True) as address, httpx.Client(base_url=address, timeout=90) as client:
            wait_for(address)
            for kind, name, content in uploads(sample, count=options.count):
                begun = time.monotonic()
                sent = {"data": {"anomalies": "fire"}, "files": {"file": (name, content)}}
                try:
                    answer = client.post("/api/jobs", **sent)
                except httpx.TimeoutException:
                    faults.append(f"{kind}, {name[:40]!r}: no answer within 90 s")
                    continue
                longest = max(longest, time.monotonic() - begun)
                statuses[f"{kind}: {answer.status_code}"] += 1
                if answer.status_code >= 500 or "\n" in (answer.json().get("message") or ""):
                    faults.append(f"{kind}, {name[:40]!r}: {answer.status_code} {answer.text[:200]}")
                if answer.status_code == 201:
                    client.delete(f"/api/jobs/{answer.json()['id']}")
            left = [path.name for path in (folder / "inside" / "data" / "uploads").iterdir()]
            outside = {path.name for path in folder.iterdir()} - {"clip.mp4", "inside", "main.py", "server.log"}
            outside |= {path.name for path in (folder / "inside").iterdir()} - {"data"}
            if left or outside:
                faults.append(f"files are left: {left[:3]}, {sorted(outside)[:3]}")
    return [
        {"uploads": sum(statuses.values()), "longest s": longest, "answers": dict(sorted(statuses.items()))}
    ], faults


def schema(options: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """Requests that Schemathesis makes of the document, half of them about a job that is there."""
    try:
        import schemathesis
    except ImportError as error:
        raise InputError("Schemathesis is missing: pip install schemathesis") from error
    rows: list[dict] = []
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        sample = clip(Path(place) / "clip.mp4", seconds=1, size=(96, 64)).read_bytes()
        with server(Path(place), stand_in=True) as address, httpx.Client(base_url=address, timeout=90) as client:
            wait_for(address)
            made = client.post("/api/jobs", data={"anomalies": "fire"}, files={"file": ("a.mp4", sample)}).json()["id"]
            for found in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
                route = found.ok()
                statuses = _asked(route, made, examples=options.count, faults=faults)
                rows.append({"route": route.label, "answers": dict(sorted(statuses.items()))})
    return rows, faults


def _asked(route: Any, made: str, *, examples: int, faults: list[str]) -> Counter[int]:
    """The answers of one route; `made` is the job that is there."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis.strategies import booleans

    statuses: Counter[int] = Counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=route.as_strategy(), real=booleans())
    def ask(case: Any, real: bool) -> None:
        if real and "id" in case.path_parameters and case.operation.method.upper() != "DELETE":
            case.path_parameters["id"] = made
        answer = case.call(timeout=90)
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 507:
            faults.append(f"{route.label}: {answer.status_code} {answer.text[:200]}")

    ask()
    return statuses


if __name__ == "__main__":
    run(main)
