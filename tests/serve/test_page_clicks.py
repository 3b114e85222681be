"""The page under quick clicks, slow answers, other tabs and odd names: nothing is lost, cut off or left behind."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serve.quick import LEVELS, QuickAnalyst, video
from serve.test_page import begin, browser, expect, page, pytestmark, site

assert browser and page and pytestmark  # fixtures, and what all tests of the page need


def verdicts(where, page) -> list[tuple[float, str]]:
    """What the server has, by the start of each label."""
    kept = httpx.get(f"{where.address}/api/jobs/{page.url.split('#')[1]}/labels").json()["labels"]
    return sorted((label["start_s"], label["verdict"]) for label in kept)


def button(page, verdict: str, event: int):
    return page.get_by_role("button", name=f"is {verdict}").nth(event)


def pressed(page, verdict: str, event: int) -> None:
    expect(button(page, verdict, event)).to_have_attribute("aria-pressed", "true")


def held(page, method: str) -> list:
    """Keeps requests about labels back; `continue_` lets one go."""
    waiting: list = []
    keep = lambda route: waiting.append(route) if route.request.method == method else route.continue_()  # noqa: E731
    page.route("**/labels", keep)
    return waiting


def came(page, waiting: list, count: int) -> None:
    for _ in range(600):
        if len(waiting) >= count:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(waiting)} requests came, not {count}")


@contextmanager
def half_done(page, where, folder: Path) -> Iterator[None]:
    """A job that has found one event, and goes on after the block."""
    going, on = threading.Event(), threading.Event()

    class Held(QuickAnalyst):
        def _told(self, clips, anomalies, scored):
            super()._told(clips, anomalies, scored)
            if len(clips) == 3:
                going.set()
                assert on.wait(60)

    where.worker._analyst = Held()
    begin(page, where, video(folder / "a.mp4"), "fire")
    try:
        assert going.wait(60)
        yield
    finally:
        on.set()


def test_quick_verdicts_are_all_kept(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(button(page, "true", 1)).to_be_visible()
        waiting = held(page, "PUT")
        button(page, "true", 0).click()
        button(page, "false", 1).click()  # while the first one is on its way
        came(page, waiting, 1)
        waiting[0].continue_()
        came(page, waiting, 2)
        waiting[1].continue_()
        pressed(page, "true", 0)
        pressed(page, "false", 1)
        assert [verdict for _, verdict in verdicts(where, page)] == ["true", "false"]


def test_verdicts_can_be_given_once_those_that_are_there_are_known(tmp_path, page):
    with site(tmp_path / "data") as where:
        waiting = held(page, "GET")
        with half_done(page, where, tmp_path):
            expect(page.locator("#events li")).to_have_count(1)
        came(page, waiting, 1)
        expect(page.locator("#jobs li")).to_contain_text("done")
        assert not button(page, "true", 0).is_visible()  # a click now would be undone by the answer
        waiting[0].continue_()
        page.unroute("**/labels")
        button(page, "true", 0).click()
        pressed(page, "true", 0)


def test_what_another_tab_says_is_kept_and_shown(tmp_path, page, browser):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(button(page, "true", 1)).to_be_visible()
        other = browser.new_page()
        other.goto(page.url)
        button(other, "false", 1).click()
        pressed(other, "false", 1)
        button(page, "true", 0).click()
        pressed(page, "true", 0)
        pressed(page, "false", 1)
        assert [verdict for _, verdict in verdicts(where, page)] == ["true", "false"]
        other.once("dialog", lambda dialog: dialog.accept())
        other.get_by_role("button", name="Remove", exact=True).click()
        expect(page.locator("#shown")).to_be_hidden()
        expect(page.locator("#no-jobs")).to_be_visible()
        other.close()
        assert page.faults == []


def test_the_keyboard_keeps_its_place_while_the_list_changes(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        button(page, "true", 0).focus()
        page.keyboard.press("Enter")
        pressed(page, "true", 0)
        for level, count in ((0.8, 1), (0.5, 2)):  # the second event goes and comes back
            page.evaluate(
                "level => { const slider = document.getElementById('threshold'); slider.value = level;"
                " slider.dispatchEvent(new Event('input')); }",
                level,
            )
            expect(page.locator("#events li")).to_have_count(count)
            expect(button(page, "true", 0)).to_be_focused()
        page.get_by_role("link", name="CSV").focus()
        page.get_by_role("button", name="Here", exact=True).dispatch_event("click")
        page.get_by_role("button", name="Add", exact=True).dispatch_event("click")
        expect(page.locator("#missed-list li")).to_have_count(1)
        expect(page.get_by_role("link", name="CSV")).to_be_focused()
        page.get_by_role("button", name="Remove missed").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#missed-list li")).to_have_count(0)
        expect(page.locator("#missed-from")).to_be_focused()


def test_what_was_missed_lies_in_the_video(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(button(page, "true", 1)).to_be_visible()
        page.locator("#curve").focus()
        page.keyboard.press("End")
        expect(page.locator("#moment")).to_contain_text("0:03.96")
        page.get_by_role("button", name="Here", exact=True).click()
        expect(page.locator("#missed-to")).to_have_value("4.00")  # not half a second behind the end
        page.fill("#missed-to", "9")
        page.get_by_role("button", name="Add", exact=True).click()
        assert page.locator("#missed-to").evaluate("field => field.validity.rangeOverflow")
        page.evaluate("document.getElementById('missed').noValidate = true")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#label-fault")).to_contain_text("is not all in the video, which ends after 4 s")
        expect(page.locator("#missed-list li")).to_have_count(0)


def test_a_page_opened_while_nothing_new_comes_shows_what_there_is(tmp_path, page, browser):
    with site(tmp_path / "data") as where:
        with half_done(page, where, tmp_path):
            late = browser.new_page()
            late.goto(page.url)
            expect(late.locator("#events li")).to_have_count(1)
            late.close()
        expect(page.locator("#events li")).to_have_count(2)


def test_a_job_that_is_refused_before_the_page_knows_all_is_told(tmp_path, page):
    with site(tmp_path / "data", folder=tmp_path) as where:
        waiting: list = []
        page.route("**/api/folder", lambda route: waiting.append(route))
        (tmp_path / "no.mp4").write_bytes(b"no video at all")
        begin(page, where, tmp_path / "no.mp4", "fire")
        expect(page.locator("#new-fault")).to_contain_text("not a video: no.mp4")
        came(page, waiting, 1)
        waiting[0].continue_()
        expect(page.locator("#folder")).to_be_visible()
        expect(page.locator("#new-fault")).to_contain_text("not a video: no.mp4")


def test_a_folder_that_takes_long_keeps_nothing_waiting(tmp_path, page):
    with site(tmp_path / "data", folder=tmp_path) as where:
        waiting: list = []
        page.route("**/api/folder", lambda route: waiting.append(route))
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(page.locator("#events li")).to_have_count(2)
        page.reload()
        expect(page.locator("#events li")).to_have_count(2)
        page.locator("#jobs button").first.click()
        assert page.faults == []
        came(page, waiting, 2)
        waiting[1].continue_()
        expect(page.locator("#folder")).to_be_visible()


def test_nothing_is_drawn_twice_where_answers_cross(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(page.locator("#curve")).to_have_attribute("data-points", "21")
        waiting: list = []
        page.route("**/scores?after=0", lambda route: waiting.append(route))
        for _ in range(3):
            page.locator("#jobs button").first.click()
        came(page, waiting, 3)
        for route in reversed(waiting):
            route.continue_()
        expect(page.locator("#curve")).to_have_attribute("data-points", "21")
        expect(page.locator("#events li")).to_have_count(2)
        expect(page.locator("#curve")).to_have_attribute("data-points", "21")


def test_a_moment_without_answers_is_got_over(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(page.locator("#events li")).to_have_count(2)
        failed: list[str] = []

        def once(route):
            first = route.request.url not in failed
            failed.append(route.request.url)
            message = json.dumps({"message": "the database does not answer; try again in a moment"})
            route.fulfill(status=503, content_type="application/json", body=message) if first else route.continue_()

        for what in ("**/api/jobs", "**/api/folder", "**/events?*"):
            page.route(what, once)
        page.reload()
        expect(page.locator("#new-fault")).to_have_text("the database does not answer; try again in a moment")
        expect(page.locator("#events li")).to_have_count(2)
        expect(page.locator("#new-fault")).to_have_text("")
        assert len({url.split("?")[0] for url in failed}) == 3


def test_addresses_of_jobs_can_be_followed_and_broken_ones_do_no_harm(tmp_path, page):
    with site(tmp_path / "data") as where:
        begin(page, where, video(tmp_path / "a.mp4"), "fire")
        expect(page.locator("#events li")).to_have_count(2)
        first = page.url
        begin(page, where, video(tmp_path / "b.mp4"), "smoke")
        expect(page.locator("#job-title")).to_have_text("b.mp4")
        page.goto(first)  # the same page, with another hash
        expect(page.locator("#job-title")).to_have_text("a.mp4")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="To the video")
        skip.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#job")).to_be_focused()
        assert page.url == first
        page.goto(f"{where.address}/#stream/%E0%A4%A")
        page.reload()
        expect(page.locator("#jobs li")).to_have_count(2)
        assert page.faults == []


@pytest.mark.parametrize("width", [1280, 390])
def test_long_words_and_tall_pictures_fit(tmp_path, browser, width):
    with site(tmp_path / "data") as where:
        page = browser.new_page(viewport={"width": width, "height": 900})
        begin(
            page, where, video(tmp_path / f"{'long' * 40}.mp4", LEVELS, size=(64, 192)), f"{'x' * 300}\n{'very ' * 90}"
        )
        expect(page.locator("#events li")).to_have_count(2)
        page.get_by_role("button", name="Here", exact=True).click()
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#missed-list li")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        heights = page.evaluate(
            "[...document.querySelectorAll('#events .jump, .verdicts button')].map(each => each.clientHeight)"
        )
        assert max(heights) < 90
        swatches = page.evaluate("[...document.querySelectorAll('#legend svg')].map(each => each.clientWidth)")
        assert min(swatches) >= 20
        page.close()
