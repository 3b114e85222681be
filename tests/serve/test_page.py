"""The page in a browser: real clicks and keys, and the frame that is shown is the one that was asked for."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from live.test_store import moment, record

from lavida.live.store import Store as Watched
from lavida.serve.app import create_app
from lavida.serve.settings import ServeSettings
from lavida.serve.store import Store
from lavida.serve.tokens import hashed
from lavida.serve.watcher import Watcher
from lavida.serve.worker import Worker
from serve.conftest import TOKEN, Here
from serve.numbered import BRIGHT, MADE, NUMBER
from serve.quick import LEVELS, QuickAnalyst, video

uvicorn = pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
expect = playwright.expect
expect.set_options(timeout=30_000)  # a machine may be busy

# the level of the middle of what the video element shows
SHOWN = """video => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth || video.naturalWidth, video.videoHeight || video.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  return pen.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0];
}"""


@dataclass
class Site:
    address: str
    store: Store
    worker: Worker


@contextlib.contextmanager
def site(
    data: Path, *, tokens: bool = False, pause_s: float = 0.0, watcher: Watcher | None = None, **given
) -> Iterator[Site]:
    """A server that listens, and a thread that works on its jobs."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    settings, ended = ServeSettings(data=data, **given), threading.Event()
    store = Store(data)
    worker = Worker(store, data, QuickAnalyst(pause_s=pause_s))
    app = create_app(settings, store, tokens=(hashed(TOKEN),) if tokens else None, decoder=Here, watcher=watcher)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning"))

    def work() -> None:
        while not ended.is_set():
            if not worker.step():
                time.sleep(0.05)

    threads = [threading.Thread(target=work), threading.Thread(target=server.run, kwargs={"sockets": [listening]})]
    for thread in threads:
        thread.start()
    try:
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", store, worker)
    finally:
        ended.set()
        threads[0].join()
        server.should_exit = True
        threads[1].join()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
    page.origins = set()
    page.on("request", lambda asked: page.origins.add("/".join(asked.url.split("/")[:3])))
    yield page
    page.close()


def begin(page, where: Site, path: Path, words: str) -> None:
    page.goto(where.address)
    page.set_input_files("#file", path)
    page.fill("#words", words)
    page.get_by_role("button", name="Look", exact=True).click()


def at(page, second: float, *, length: float = 4.0) -> None:
    """Click on the curve at a time."""
    box = page.locator("#curve").bounding_box()
    page.mouse.click(box["x"] + 34 + second / length * (box["width"] - 44), box["y"] + 60)


def shows(page, level: int, *, element: str = "#video") -> None:
    """Wait until the middle of the picture has this level."""
    deadline = time.monotonic() + 30
    while abs((got := page.locator(element).evaluate(SHOWN)) - level) > 6:
        assert time.monotonic() < deadline, f"{got} is shown, not {level}"
        page.wait_for_timeout(50)


def number(page, wanted: int, *, element: str = "#video") -> None:
    """Wait until the picture has this number in its bars."""
    deadline = time.monotonic() + 30
    while (got := page.locator(element).last.evaluate(NUMBER)) != wanted:
        assert time.monotonic() < deadline, f"frame {got} is shown, not {wanted}"
        page.wait_for_timeout(50)


def numbered(count: int = 100) -> list[int]:
    """Levels that tell every frame from those beside it; the 30th to the 50th are bright."""
    return [(190 if 30 <= i < 50 else 20) + 8 * (i % 8) for i in range(count)]


def test_from_a_dropped_video_to_a_verdict(tmp_path, page):
    levels = numbered()
    clip = video(tmp_path / "street.mp4", levels)
    with site(tmp_path / "data") as where:
        turn = threading.Semaphore(0)

        class Held(QuickAnalyst):
            def _told(self, clips, anomalies, scored):
                assert turn.acquire(timeout=60)
                super()._told(clips, anomalies, scored)

        where.worker._analyst = Held()
        begin(page, where, clip, "fire, smoke")
        for points in (4, 8, 12, 16, 20, 21):  # the curve grows while it runs
            turn.release()
            expect(page.locator("#curve")).to_have_attribute("data-points", str(points))
            if points == 12:  # frames 30 to 45 were bright: it is an event already, and nothing can be said of it yet
                expect(page.locator("#events li")).to_have_count(1)
                expect(page.get_by_role("button", name="is true")).to_have_count(0)
        expect(page.locator("#count")).to_have_text("1 event, 4 masks")
        for number in (35, 20, 95, 0):  # exactly those frames, which differ from their neighbours
            at(page, number / 25)
            expect(page.locator("#moment")).to_contain_text(f"0:0{number / 25:.2f}")
            shows(page, levels[number])
        page.get_by_role("button", name="Go to fire at").click()
        (event,) = page.evaluate("fetch('/api/jobs').then(r => r.json())")["jobs"]
        found = page.evaluate(f"fetch('/api/jobs/{event['id']}/events').then(r => r.json())")["events"][0]
        shows(page, levels[found["peak_frame"]])
        expect(page.locator("#masks")).to_have_attribute("data-masks", "1")
        page.get_by_label("Masks").uncheck()
        expect(page.locator("#masks")).to_have_js_property("width", 0)

        page.locator("#threshold").focus()
        page.keyboard.press("End")
        expect(page.locator("#count")).to_have_text("0 events, 0 masks")
        expect(page.locator("#events li")).to_have_count(0)
        page.locator("#threshold").fill("0.5")
        expect(page.locator("#events li")).to_have_count(1)
        assert len(where.store.jobs()) == 1  # no new run

        page.get_by_role("button", name="is false").click()
        expect(page.get_by_role("button", name="is false")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Here", exact=True).click()
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#missed-list li")).to_have_count(1)
        page.reload()
        expect(page.get_by_role("button", name="is false")).to_have_attribute("aria-pressed", "true")
        with page.expect_download() as taken:
            page.get_by_role("link", name="labels.json").click()
        assert '"verdict": "false"' in Path(taken.value.path()).read_text()
        assert page.origins == {where.address}
        assert page.faults == []


@pytest.mark.parametrize("kind", MADE)
def test_what_the_browser_does_not_play_jumps_to_the_very_frame(tmp_path, page, kind):
    clip = MADE[kind](tmp_path)
    with site(tmp_path / "data", pause_s=0.3) as where:
        begin(page, where, clip, "fire")
        # single frames, until the copy is there
        number(page, 0, element="#stage :is(img, video):not([hidden])")
        page.locator("#curve").focus()
        page.keyboard.press("ArrowRight")
        number(page, 5, element="#stage :is(img, video):not([hidden])")
        expect(page.locator("#video")).to_be_visible(timeout=20_000)
        expect(page.locator("#jobs li").first).to_contain_text("done", timeout=60_000)
        expect(page.locator("#events li")).to_have_count(1)
        for key, frame in (("End", 99), ("Home", 0), ("ArrowRight", 5), ("ArrowRight", 10), ("ArrowLeft", 5)):
            page.keyboard.press(key)
            number(page, frame)
        (told,) = page.evaluate(f"fetch('/api/jobs/{page.url.split('#')[1]}/events').then(r => r.json())")["events"]
        page.get_by_role("button", name="Go to fire at").click()
        number(page, told["peak_frame"])
        assert told["peak_frame"] in BRIGHT
        assert page.locator("#video").evaluate("video => [video.videoWidth, video.videoHeight]") == [128, 96]
        assert page.faults == []


def test_a_phone_has_all_of_it_without_scrolling_sideways(tmp_path, browser):
    with site(tmp_path / "data") as where:
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
        begin(page, where, video(tmp_path / "a.mp4", LEVELS), "fire, a very long description of something that burns")
        expect(page.locator("#events li")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        small = page.evaluate(
            "[...document.querySelectorAll('button, select, input[type=range]')].filter(each => each.checkVisibility())"
            ".map(each => [each.textContent, each.getBoundingClientRect().height]).filter(([, height]) => height < 31)"
        )
        assert small == []
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 22)"
        page.close()


def test_a_server_with_tokens_asks_for_one(tmp_path, page):
    folder = tmp_path / "videos"
    folder.mkdir()
    video(folder / "gate.mp4")
    with site(tmp_path / "data", tokens=True, folder=folder) as where:
        page.goto(where.address)
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#sign-in-fault")).to_have_text("the token is not known here")
        for _ in range(3):  # there is nothing to see without one
            page.keyboard.press("Escape")
        page.get_by_role("textbox", name="Token").fill(TOKEN)
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("or one of the server").select_option("gate.mp4")
        page.fill("#words", "fire")
        page.get_by_role("button", name="Look", exact=True).click()
        expect(page.locator("#events li")).to_have_count(2)
        page.locator("#events .jump").first.click()
        shows(page, 230)  # pictures need the token, too
        assert TOKEN not in page.content()


def test_a_restart_and_other_words_on_the_same_video(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(page.locator("#events li")).to_have_count(2)
        address = page.url
    with site(tmp_path / "data") as where:
        page.goto(where.address + "/#" + address.split("#")[1])
        expect(page.locator("#events li")).to_have_count(2)
        page.get_by_label("Other words for this video").fill("smoke")
        page.get_by_role("button", name="Look again").click()
        expect(page.locator("#job-words")).to_have_text("smoke")
        expect(page.locator("#events li")).to_have_count(2)
        page.get_by_role("group", name="Compare with").get_by_label("fire").check()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.locator("#shown")).to_be_hidden()
        expect(page.locator("#jobs li")).to_have_count(1)


def test_alerts_of_a_watch_appear_without_reloading(tmp_path, page):
    watched = Watched(tmp_path / "data")
    watched.keep(record("start"), moment())
    with site(tmp_path / "data") as where:
        page.goto(where.address)
        expect(page.locator("#alerts li")).to_have_count(1)
        expect(page.locator("#streams-said")).to_have_text("gate (1); 1 going on")
        watched.keep(
            record("start", "b2", stream="yard", category="smoke", start_wall="2026-01-02T00:00:00Z"), moment()
        )
        expect(page.locator("#alerts li")).to_have_count(2)
        expect(page.locator("#alerts .what").first).to_have_text("smoke")
        assert page.locator("#alerts img").first.evaluate("image => image.naturalWidth") == 128
        assert page.faults == []
    watched.close()


def test_what_is_refused_is_said_on_the_page(tmp_path, page):
    with site(tmp_path / "data") as where:
        (tmp_path / "no.mp4").write_bytes(b"no video at all")
        begin(page, where, tmp_path / "no.mp4", "fire")
        expect(page.locator("#new-fault")).to_contain_text("not a video: no.mp4")
        begin(page, where, video(tmp_path / "a.mp4"), "nothing")
        expect(page.locator("#job-state")).to_have_text("Failed: this is not looked at: choose other words")


def test_the_api_page_shows_every_route(tmp_path, page):
    with site(tmp_path / "data") as where:
        page.goto(where.address + "/docs")
        expect(page.get_by_text("PUT /api/jobs/{id}/labels")).to_be_visible()
        page.get_by_text("POST /api/jobs", exact=True).click()
        expect(page.get_by_text("multipart/form-data")).to_be_visible()
        assert page.origins == {where.address}
        assert page.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(tmp_path, browser, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with site(tmp_path / "data", folder=tmp_path) as where:
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme=scheme)
        begin(page, where, video(tmp_path / "a.mp4"), "fire, smoke")
        expect(page.locator("#events li")).to_have_count(2)
        page.get_by_role("button", name="is true").first.click()
        expect(page.get_by_role("link", name="labels.json")).to_be_visible()
        pages = [axe.run(page).response["violations"]]
        page.goto(where.address + "/docs")
        expect(page.get_by_text("PUT /api/jobs/{id}/labels")).to_be_visible()
        pages.append(axe.run(page).response["violations"])
        said = [(each["id"], node["html"][:90]) for found in pages for each in found for node in each["nodes"]]
        assert said == []
        page.close()
