"""A video that kills the process does not keep a scan from its end."""

import pytest

from lavida.scan.dataset import BEGUN
from lavida.scan.resume import CrashLedger
from lavida.scan.store import Store
from lavida.scan.videos import Video

VIDEOS = [Video(name, f"/v/{name}") for name in ("a.mp4", "b.mp4", "c.mp4")]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


def die_at(name: str, store: Store) -> None:
    """A run whose process dies while it scores `name`."""
    deaths = CrashLedger(store)
    todo, _ = deaths.sort(VIDEOS)
    running = deaths.watch(todo)
    while next(running).name != name:
        pass
    left = store.read(BEGUN)
    running.close()
    store.write(BEGUN, left)  # what a dead process did not tidy up


def names(videos) -> list[str]:
    return [video.name for video in videos]


def test_it_is_tried_again_behind_the_others(store):
    die_at("a.mp4", store)
    todo, given_up = CrashLedger(store).sort(VIDEOS)
    assert names(todo) == ["b.mp4", "c.mp4", "a.mp4"] and not given_up


def test_two_of_them_do_not_take_turns(store):
    die_at("a.mp4", store)
    die_at("b.mp4", store)
    todo, _ = CrashLedger(store).sort(VIDEOS)
    assert names(todo) == ["c.mp4", "a.mp4", "b.mp4"]


def test_after_three_deaths_it_is_given_up_once(store):
    for _ in range(3):
        die_at("b.mp4", store)
    deaths = CrashLedger(store)
    todo, given_up = deaths.sort(VIDEOS)
    assert names(todo) == ["a.mp4", "c.mp4"]
    assert list(given_up) == ["b.mp4"] and "died 3 times" in given_up["b.mp4"]
    assert names(deaths.watch(todo)) == ["a.mp4", "c.mp4"]
    assert names(CrashLedger(store).sort(VIDEOS)[0]) == names(VIDEOS)  # the next scan may try it again


def test_an_interruption_is_no_death(store):
    deaths = CrashLedger(store)
    running = deaths.watch(VIDEOS)
    next(running), next(running)
    running.close()
    assert names(CrashLedger(store).sort(VIDEOS)[0]) == names(VIDEOS)


def test_nothing_is_left_of_a_run_that_ends(store):
    deaths = CrashLedger(store)
    assert names(deaths.watch(VIDEOS)) == names(VIDEOS)
    assert store.read(BEGUN) is None
