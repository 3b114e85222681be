"""The benchmark of recordings: its numbered pictures can be read, and its check sees what is wrong."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import recordings
from recorded import RECORDINGS, Recording, check
from recorded.checking import Right, steady
from recorded.numbered import COLOURS, colours_in, number_in, picture, pictures
from recorded.writing import write


@pytest.fixture
def plain() -> Recording:
    return Recording(
        name="plain",
        maker="test",
        fed="ten frames",
        source="https://example.org",
        suffix=".mp4",
        make=lambda path: write(path, pictures(10)),
        right=steady(10, 25),
    )


@pytest.mark.parametrize(("size", "step"), [((96, 64), 1), ((90, 58), 1), ((720, 576), 17), ((48, 32), 1)])
def test_every_number_can_be_read(size, step):
    numbers = range(0, 256, step)
    assert [number_in(picture(number, size=size)) for number in numbers] == list(numbers)
    assert np.abs(colours_in(picture(7, size=size)) - COLOURS).max() < 1


@pytest.mark.parametrize("change", [np.flipud, np.fliplr, lambda image: 255 - image, lambda image: image // 16])
def test_a_picture_that_is_shown_wrongly_is_not_taken_for_right(change):
    assert number_in(change(picture(3))) != 3


def test_what_is_right_passes(plain, tmp_path):
    assert check(plain, tmp_path).differences == ()


@pytest.mark.parametrize(
    "wrong",
    [
        steady(11, 25),
        steady(10, 30),
        steady(10, 25, first=1),
        steady(10, 25, size=(64, 96)),
        steady(10, 25, colours=0),
        steady(10, 25, warnings=["streams"]),
        Right(refusal="not a video"),
    ],
)
def test_what_is_not_right_differs(plain, tmp_path, wrong):
    assert check(replace(plain, right=wrong), tmp_path).differences


def test_a_fault_of_the_reader_is_a_difference(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("recorded.checking.open_source", lambda path: 1 / 0)
    assert check(plain, tmp_path).came_out.startswith("ZeroDivisionError")


def test_there_are_as_many_recordings_and_makers_as_promised():
    makers = Counter(recording.maker for recording in RECORDINGS)
    assert len(RECORDINGS) >= 40 and len(makers) >= 12 and max(makers.values()) <= 3
    assert len({recording.name for recording in RECORDINGS}) == len(RECORDINGS)
    assert all(recording.source.startswith("https://") for recording in RECORDINGS)


def test_the_page_gets_the_table_between_its_markers(plain, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{recordings.BEGIN}\nold\n{recordings.END}\nafter\n")
    recordings.write_docs(page, [recordings.row(plain, check(plain, tmp_path))], {"recordings": 1})
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| [plain](https://example.org) | test |" in text
