"""Streams on the page: a watch is started, changed and stopped by clicks, and what it tells comes without reloading."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.test_latest import health, live, score
from live.watching import planned
from live.web import Web

from lavida.live.config import read_config
from lavida.live.latest import Latest
from lavida.live.regions import Regions
from serve.test_page import browser, expect, page, pytestmark, site
from serve.watching_server import bright_watcher

assert browser and page and pytestmark  # fixtures, and what all tests of the page need


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture
def config(tmp_path, web) -> Path:
    path = tmp_path / "watch.yaml"
    path.write_text(f"streams: {{gate: '{web.url('cam.mjpeg')}'}}\nanomalies: [fire]\nhealth_s: 0.5\nupdate_s: 0.5\n")
    return path


def points(page) -> int:
    return int(page.locator("#stream-curve").get_attribute("data-points") or 0)


def grows(page) -> None:
    """Wait until the curve has more points than now."""
    begun, deadline = points(page), time.monotonic() + 60
    while points(page) <= begun:
        assert time.monotonic() < deadline, "the curve does not grow"
        page.wait_for_timeout(100)


def corner(page, x: float, y: float) -> None:
    """Click on the picture of the stream, at shares of its width and height."""
    place = page.locator("#stream-regions")
    box = place.bounding_box()
    place.click(position={"x": x * box["width"], "y": y * box["height"]})


def test_a_watch_is_started_looked_at_changed_and_stopped(tmp_path, page, web, config):
    data = tmp_path / "data"
    with site(data, streams=config, watcher=bright_watcher(config, data)) as where:
        page.goto(where.address)
        expect(page.locator("#watch-said")).to_have_text("Nobody watches")
        expect(page.locator("#stream-list .state")).to_have_text("not watched")
        page.get_by_role("button", name="Start watching").click()
        page.locator("#stream-list button").click()
        expect(page.locator("#watch-said")).to_have_text("A watch runs", timeout=90_000)
        expect(page.locator("#stream-health")).to_contain_text("running")
        expect(page.locator("#stream-health")).to_contain_text(re.compile(r"\d\.\d frames a second"))
        for _ in range(3):  # by itself
            grows(page)
        expect(page.locator("#stream-list .state")).to_have_text("0.08")
        assert page.locator("#stream-picture").evaluate("image => image.naturalWidth") == 128

        page.get_by_label("What counts as abnormal?").last.fill("smoke, fire")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#stream-saved")).to_contain_text("the watch takes it within a second")
        expect(page.locator("#stream-words-said")).to_have_text("smoke, fire; threshold 0.50")
        expect(page.locator("#stream-legend li")).to_have_count(2)
        grows(page)
        assert read_config(config).streams["gate"].anomalies == ["smoke", "fire"]

        web.level = 250  # an alert comes, with its picture
        expect(page.locator("#stream-alerts .what").first).to_have_text("smoke")  # a busy machine may cut it in two
        expect(page.locator("#alerts .what").first).to_have_text("smoke")
        expect(page.locator("#stream-alerts img").first).to_have_js_property("naturalWidth", 32)
        expect(page.locator("#streams-said")).to_contain_text("; 1 going on")
        expect(page.locator("#stream-list .state")).to_have_text("0.98")

        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#stream-health")).to_contain_text("stopped")
        expect(page.locator("#watch-said")).to_have_text("Nobody watches")  # it was the only one
        expect(page.locator("#streams-said")).not_to_contain_text("going on")
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator("#stream-health")).to_contain_text("not watched")
        page.get_by_role("button", name="Start watching").click()
        expect(page.locator("#stream-health")).to_contain_text("running", timeout=90_000)
        page.get_by_role("button", name="Stop watching").click()
        expect(page.locator("#watch-said")).to_have_text("Nobody watches")
        assert page.origins == {where.address}
        assert page.faults == []


def test_regions_are_drawn_on_the_picture_or_written(tmp_path, page, web, config):
    data, web.level = tmp_path / "data", 250
    with site(data, streams=config, watcher=bright_watcher(config, data)) as where:
        page.goto(where.address + "/#stream/gate")
        page.get_by_role("button", name="Start watching").click()
        expect(page.locator("#stream-alerts li").first).to_be_visible(timeout=90_000)  # all of it counts
        page.get_by_role("button", name="Draw such a region").click()
        page.locator("#stream-stage").scroll_into_view_if_needed()
        for count, (x, y) in enumerate(((0.5, 0.5), (0.75, 0.5), (0.75, 0.9), (0.1, 0.2)), start=1):
            corner(page, x, y)
            expect(page.locator("#stream-regions")).to_have_attribute("data-corners", str(count))
        page.keyboard.press("Backspace")
        page.get_by_role("button", name="Finish").click()
        expect(page.locator("#stream-regions")).to_have_attribute("data-polygons", "1")
        page.get_by_label("and not in these").fill("0,0 0.2,0 0.2,0.2\n0.9,0.9 1,0.9 1,1")
        expect(page.locator("#stream-regions")).to_have_attribute("data-polygons", "3")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#stream-saved")).to_contain_text("Saved")
        entry = read_config(config).streams["gate"]
        ((first, *_),) = entry.regions
        assert first == pytest.approx([0.5, 0.5], abs=0.01)
        assert entry.ignore == [[[0, 0], [0.2, 0], [0.2, 0.2]], [[0.9, 0.9], [1, 0.9], [1, 1]]]
        # what is bright in this stream has its mask elsewhere: it no longer counts
        expect(page.locator("#stream-list .state")).to_have_text("0.00")
        expect(page.locator("#streams-said")).not_to_contain_text("going on")
        page.reload()
        expect(page.locator("#stream-regions")).to_have_attribute("data-polygons", "3")
        expect(page.get_by_label("and not in these")).to_have_value("0,0 0.2,0 0.2,0.2\n0.9,0.9 1,0.9 1,1")
        page.get_by_label("and not in these").fill("0,0 1,1")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#stream-fault")).to_contain_text("Line 1: give three or more corners")
        assert page.faults == []


def test_a_stream_is_added_and_removed_and_what_is_refused_is_said(tmp_path, page, web, config):
    with site(tmp_path / "data", streams=config, allow_streams=("camera.local",)) as where:
        page.goto(where.address)
        page.get_by_role("button", name="Add a stream").click()
        page.get_by_label("Name").fill("yard")
        page.get_by_label("Address").fill("rtsp://me:geheim@10.0.0.1/1")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#stream-fault")).to_have_text(
            "url: 10.0.0.1 is no host that this server may be told of; see --allow-streams"
        )
        page.get_by_label("Address").fill("rtsp://me:geheim@camera.local/1")
        page.get_by_label("Threshold").last.fill("0.25")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#stream-title")).to_have_text("yard")
        expect(page.get_by_label("Address")).to_have_value("rtsp://***@camera.local/1")
        assert "geheim" not in page.content()
        page.get_by_label("Address").fill("rtsp://***@camera.local/2")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#stream-saved")).to_have_text("Saved.")
        entry = read_config(config).streams["yard"]
        assert (entry.url, entry.threshold, entry.only_host) == ("rtsp://me:geheim@camera.local/2", 0.25, True)
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove from the file").click()
        expect(page.locator("#stream")).to_be_hidden()
        expect(page.locator("#stream-list li")).to_have_count(1)
        assert list(read_config(config).streams) == ["gate"]


def test_a_phone_and_axe_find_nothing_wrong_with_streams(tmp_path, browser, web, config):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    data, web.level = tmp_path / "data", 250
    with site(data, streams=config, watcher=bright_watcher(config, data)) as where:
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.goto(where.address + "/#stream/gate")
        page.get_by_role("button", name="Start watching").click()
        expect(page.locator("#stream-alerts li").first).to_be_visible(timeout=90_000)
        expect(page.locator("#stream-picture")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        said = [
            (each["id"], node["html"][:90]) for each in axe.run(page).response["violations"] for node in each["nodes"]
        ]
        assert said == []
        page.close()


def test_streams_of_a_watch_that_was_started_elsewhere_are_shown_and_not_changed(tmp_path, page):
    latest = Latest(tmp_path)
    latest.follow(planned("http://a/one", regions=Regions.of([[[0, 0], [1, 0], [1, 1]]], [])))
    begun = time.time() - 30
    for second in range(20):
        latest.tell(score("a-one", begun + second, second / 20))
    latest.tell(health("a-one", rate=1.0, dropped=3, thinned=2, held_back=4, sessions=2))
    latest.look("a-one", live(100))
    latest.write(now=time.time())
    with site(tmp_path) as where:
        page.goto(where.address)
        page.locator("#stream-list button").click()
        expect(page.locator("#stream-curve")).to_have_attribute("data-points", "20")
        expect(page.locator("#stream-words-said")).to_have_text("fire, smoke; threshold 0.50")
        expect(page.locator("#stream-regions")).to_have_attribute("data-polygons", "1")
        expect(page.locator("#stream-health")).to_contain_text("Left out5 framesHeld back4 events")
        expect(page.locator("#stream-form")).to_be_hidden()
        page.locator("#stream-curve").focus()
        page.keyboard.press("Home")
        expect(page.locator("#stream-moment")).to_contain_text("score 0.00")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#stream-moment")).to_contain_text("score 0.05")
        latest.tell(score("a-one", time.time(), 0.9))
        latest.write(now=time.time())
        expect(page.locator("#stream-curve")).to_have_attribute("data-points", "21")
        page.keyboard.press("End")
        expect(page.locator("#stream-moment")).to_contain_text("score 0.90")
        assert page.faults == []
    latest.close()


def test_without_streams_the_page_says_how_to_get_them(tmp_path, page):
    with site(tmp_path / "data") as where:
        page.goto(where.address)
        expect(page.locator("#streams-how")).to_contain_text("--streams watch.yaml")
        expect(page.get_by_role("button", name="Start watching")).to_be_hidden()
