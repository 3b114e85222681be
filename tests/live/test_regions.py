"""Where in the picture events count."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.live.background import covered, learnt
from lavida.live.regions import Regions, within
from lavida.live.scorer import ClipScores

SIZE = (90, 160)
LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]


def mask(*boxes: tuple[int, int, int, int], category: str = "car", score: float = 0.9) -> Mask:
    pixels = np.zeros(SIZE, bool)
    for x, y, width, height in boxes:
        pixels[y : y + height, x : x + width] = True
    return Mask.from_pixels(pixels, frame=0, category=category, score=score)


def cut(masks: list[Mask], regions: Regions, **scores: float) -> ClipScores:
    rows = np.array([list(scores.values())], np.float32)
    clip = ClipScores(rows.max(axis=1), rows, [masks])
    return within(clip, list(scores), lambda text: regions.area, size=SIZE, floor=0.35)


def test_what_lies_outside_scores_nothing_and_what_lies_inside_stays():
    regions = Regions.of([LEFT], [])
    outside = cut([mask((120, 10, 20, 20))], regions, car=0.9, dog=0.1)
    assert outside.scores.tolist() == outside.category_scores.max(axis=1).tolist() == [pytest.approx(0.1)]
    assert outside.masks == [[]]
    both = cut([mask((120, 10, 20, 20), (10, 10, 20, 20))], regions, car=0.9, dog=0.1)
    assert both.scores.tolist() == [pytest.approx(0.9)]
    assert both.masks[0][0].box == (10, 10, 20, 20)


def test_a_thing_that_only_reaches_in_is_not_in_it():
    regions = Regions.of([LEFT], [])
    assert cut([mask((76, 10, 40, 20))], regions, car=0.9).scores[0] == 0  # a tenth of it
    assert cut([mask((66, 10, 40, 20))], regions, car=0.9).scores[0] == pytest.approx(0.9)  # a third


def test_ignored_places_are_taken_out_of_the_others():
    regions = Regions.of([], [LEFT])
    assert cut([mask((10, 10, 20, 20))], regions, car=0.9).scores[0] == 0
    assert cut([mask((120, 10, 20, 20))], regions, car=0.9).scores[0] == pytest.approx(0.9)


def test_a_word_outside_does_not_take_the_score_of_one_inside():
    found = cut([mask((120, 10, 20, 20)), mask((10, 10, 20, 20), category="dog", score=0.6)], Regions.of([LEFT], []),
                car=0.9, dog=0.6)  # fmt: skip
    assert found.category_scores.tolist() == [[0, pytest.approx(0.6)]]
    assert found.scores.tolist() == [pytest.approx(0.6)]


@pytest.mark.parametrize(
    "polygon",
    [
        5,
        [[[0, 0], [1, 1]]],
        [[[0, 0], [1, 1], [1, 2]]],
        [[[0, 0], [1, 1], ["a", 1]]],
        [[[0, 0], [1, 1], [True, 0]]],
        [[[0, 0], [1, 1], [float("nan"), 0]]],
        [[[0.2, 0.2], [0.2, 0.2], [0.2, 0.2]]],  # a point
        [[[0, 0], [1, 1], [0.5, 0.5]]],  # a line
    ],
)
def test_polygons_that_mean_nothing_are_refused(polygon):
    with pytest.raises(InputError, match="regions: give polygons of three or more points"):
        Regions.of(polygon, [])


def painted(path: Path, size: tuple[int, int]) -> Path:
    """A picture whose left half is white."""
    pixels = np.zeros(size, np.uint8)
    pixels[:, : size[1] // 2] = 255
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("size", [SIZE, (9, 16), (1080, 1920), (3, 2)])
def test_a_picture_of_any_size_says_where_events_count(tmp_path, size):
    painted(tmp_path / "mask.png", size)
    for given, there, elsewhere in ((("mask.png", []), 0.9, 0), (([], "mask.png"), 0, 0.9)):
        regions = Regions.of(*given, beside=tmp_path / "watch.yaml")
        assert regions.area(SIZE).mean() == 0.5
        assert cut([mask((10, 10, 20, 20))], regions, car=0.9).scores[0] == pytest.approx(there)
        assert cut([mask((120, 10, 20, 20))], regions, car=0.9).scores[0] == pytest.approx(elsewhere)
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[:, 2:] = (90, 200, 90)  # light, if not white
    Image.fromarray(colours).save(tmp_path / "colours.png")
    both = Regions.of([LEFT], str(tmp_path / "colours.png"))  # polygons beside a picture
    assert both.area(SIZE)[:, :70].all() and not both.area(SIZE)[:, 85:].any()


def test_a_picture_that_is_not_there_or_is_none_is_one_line(tmp_path):
    config = tmp_path / "watch.yaml"
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(painted(tmp_path / "mask.png", SIZE).read_bytes()[:60])
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    for name, said in {
        "none.png": "No such file or directory",
        "text.png": "it is no picture",
        "cut.png": "",
        "black.png": "has nothing white",
    }.items():
        with pytest.raises(InputError) as caught:
            Regions.of(name, [], beside=config)
        assert str(caught.value).startswith("regions: ")
        assert name in str(caught.value) and said in str(caught.value)
    with pytest.raises(InputError, match="ignore: the picture cannot be read: .*none.png"):
        Regions.of([], "none.png", beside=config)
    assert Regions.of([], "black.png", beside=config).area(SIZE).all()  # nothing is ignored


def test_what_shows_through_is_not_white(tmp_path):
    clear = np.full((8, 8, 4), 255, np.uint8)
    clear[:, 4:, 3] = 0
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(clear[..., 2:]).save(tmp_path / "gray.png")
    indexed = Image.fromarray(np.repeat([[0] * 4 + [1] * 4], 8, axis=0).astype(np.uint8), "P")
    indexed.putpalette([255] * 6)
    indexed.save(tmp_path / "indexed.png", transparency=1)
    for name in ("clear.png", "gray.png", "indexed.png"):
        area = Regions.of(name, [], beside=tmp_path / "watch.yaml").area((8, 8))
        assert area[:, :4].all() and not area[:, 4:].any(), name


@pytest.mark.parametrize(("level", "counts"), [(500, False), (32_000, False), (33_000, True), (65_535, True)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_white_of_sixteen_bits_is_that_of_the_whole_range(tmp_path, level, counts, suffix):
    values = np.full((8, 8), level, np.uint16)
    values[:, 4:] = 65_535
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    area = Regions.of(f"deep.{suffix}", [], beside=tmp_path / "watch.yaml").area((8, 8))
    assert area[:, 4:].all() and area[:, :4].all() == area[:, :4].any() == counts


def test_where_nothing_counts_is_refused(tmp_path):
    Image.new("L", (8, 8), 255).save(tmp_path / "white.png")
    painted(tmp_path / "half.png", (8, 8))
    everything = [[[0, 0], [1, 0], [1, 1], [0, 1]]]
    for only, ignored in (
        ([], "white.png"),
        ([], everything),
        ("half.png", "half.png"),
        ("half.png", everything),
        ([LEFT], [LEFT]),
        ([LEFT], "white.png"),
    ):
        with pytest.raises(InputError, match="ignore: it covers all that counts"):
            Regions.of(only, ignored, beside=tmp_path / "watch.yaml")
    assert Regions.of("white.png", "half.png", beside=tmp_path / "watch.yaml").area(SIZE).mean() == 0.5
    assert Regions.of([[[0.5, 0.5], [0.5001, 0.5], [0.5, 0.5001]]], []).area(SIZE).any()


def test_what_always_stands_there_is_learnt_and_a_new_thing_is_seen_beside_it():
    parked, passing = (20, 30, 30, 15), (100, 60, 30, 15)
    footage = [mask(parked)] * 18 + [mask(parked, passing)] * 2
    background = learnt(footage, frames=22)
    area = covered(background, SIZE)
    assert area[32:42, 24:46].all()
    assert not area[:, 60:].any()

    def seen(*boxes) -> float:
        rows = np.array([[0.9]], np.float32)
        clip = ClipScores(rows[:, 0], rows, [[mask(*boxes)]])
        return within(clip, ["car"], lambda text: lambda size: ~area, size=SIZE, floor=0.35).scores[0]

    assert seen(parked) == 0
    assert seen((21, 31, 30, 15)) == 0  # it trembles
    assert seen(parked, passing) == pytest.approx(0.9)
    assert seen((20, 30, 70, 15)) == pytest.approx(0.9)  # another one right behind it
    assert learnt([mask(parked)] * 5, frames=22) is None  # there for a quarter of the time
