import warnings
from itertools import combinations, pairwise

import numpy as np
import pytest
from PIL import Image

from lavida.export.drawing import colours
from lavida.export.timeline import draw_timeline, write_timeline
from lavida.export.timeline_layout import (
    BOTTOM,
    HEIGHT,
    LEFT,
    LEGEND,
    RIGHT,
    TOP,
    WIDTH,
    is_clock,
    lay_out,
    thin,
    time_ticks,
)

DARK = 80  # gray level below which a pixel belongs to the score's line


def bumps(count: int, *, height=0.9) -> np.ndarray:
    """`count` events of 20 frames with 20 quiet frames around each, falling slightly."""
    return np.concatenate([[0.1] * 20 + [height - 0.3 * i / count] * 20 for i in range(count)] + [[0.1] * 20])


def pixels(found, events=None) -> np.ndarray:
    return np.asarray(draw_timeline(found, events)).astype(int)


def inside(picture: np.ndarray) -> np.ndarray:
    """What is drawn over time, without the axes."""
    return picture[TOP : BOTTOM - 1, LEFT + 2 : RIGHT]


def layout_of(found):
    return lay_out(found, found.events())


def distance(picture: np.ndarray, colour) -> np.ndarray:
    return np.abs(picture - np.array(colour)).max(axis=-1)


def test_the_picture_has_the_agreed_size(detection_of, tmp_path):
    write_timeline(detection_of(bumps(3)), tmp_path / "timeline.png")
    assert Image.open(tmp_path / "timeline.png").size == (WIDTH, HEIGHT) == (1400, 450)


def test_the_same_result_gives_the_same_bytes(detection_of, tmp_path):
    for name in ("one", "two"):
        write_timeline(detection_of(bumps(3)), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("count", [1, 4, 40, 300])
def test_names_neither_overlap_nor_leave_the_picture(detection_of, count):
    layout = layout_of(detection_of(bumps(count), categories=("somebody who climbs over the tall fence",)))
    boxes = [layout.box(name) for name in layout.names]
    assert boxes and len(boxes) + layout.unnamed == count
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    assert all(left >= LEFT and right <= RIGHT and top > 30 for left, top, right, _ in boxes)  # below the title
    assert all(bottom < layout.y(1.0) for *_, bottom in boxes)


def test_names_stand_at_their_peaks_and_make_room_only_for_the_rows_that_are_used(detection_of):
    one, many = layout_of(detection_of(bumps(2))), layout_of(detection_of(bumps(40)))
    assert [name.centre for name in one.names] == [one.x(name.event.peak_s) for name in one.names]
    assert {name.row for name in one.names} == {0} and {name.row for name in many.names} == {0, 1, 2}
    nothing = layout_of(detection_of([0.1] * 50))
    assert TOP == nothing.top < one.top < many.top < BOTTOM


def test_the_strongest_events_are_named_first(detection_of):
    layout = layout_of(detection_of(bumps(40), categories=("a fight in the street",)))
    shown = {name.text.split()[-1] for name in layout.names}
    assert "0.90" in shown and "0.61" not in shown
    lowest = [name for name in layout.names if name.row == 0]
    assert lowest[0].event.peak_score == max(name.event.peak_score for name in layout.names)


@pytest.mark.parametrize(("count", "said"), [(4, False), (40, True)])
def test_it_says_how_many_events_have_no_name(detection_of, count, said):
    found = detection_of(bumps(count), categories=("a fight in the street",))
    corner = pixels(found)[BOTTOM - 20 : BOTTOM, LEGEND:]
    assert (layout_of(found).unnamed > 0) == said == bool((corner < 150).any())


def test_names_are_taken_literally(detection_of, tmp_path):
    names = ("costs $5 or $6", "_hidden", "line\nbreak", "$\\frac{", "no text: \udcff")
    found = detection_of(bumps(2), categories=names, path="odd $x_2$ name.mp4")
    write_timeline(found, tmp_path / "timeline.png")
    layout = layout_of(found)
    assert layout.legend == (
        "score", "threshold 0.50", "costs $5 or $6", "_hidden", "line break", "$\\frac{", "no text: ?",
    )  # fmt: skip
    assert layout.title == "odd $x_2$ name.mp4"
    assert [name.text for name in layout.names] == ["costs $5 or $6 0.90", "costs $5 or $6 0.75"]


def test_long_names_are_cut(detection_of):
    found = detection_of(bumps(1), categories=("word " * 20,), path="film " * 30 + ".mp4")
    layout = layout_of(found)
    assert (len(layout.title), len(layout.legend[2]), len(layout.names[0].text)) == (110, 22, 28 + 5)
    assert layout.legend[2].endswith("…") and layout.names[0].text.endswith("… 0.90")


def test_letters_that_the_font_lacks_are_boxes_without_warnings(detection_of, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_timeline(detection_of(bumps(2), categories=("打架",)), tmp_path / "timeline.png")
    legend = np.asarray(Image.open(tmp_path / "timeline.png"))[TOP + 32 : TOP + 48, LEGEND + 30 : LEGEND + 60]
    assert (legend < 100).any()


@pytest.mark.parametrize(("kinds", "lines"), [(1, 1), (8, 8), (9, 0)])
def test_category_lines_are_drawn_while_they_can_be_told_apart(detection_of, kinds, lines):
    names = tuple(f"kind {k}" for k in range(kinds))
    heights = np.linspace(0.1, 0.4, kinds)
    found = detection_of([0.4] * 50, categories=names, category_scores=np.tile(heights, (50, 1)))
    layout = layout_of(found)
    assert layout.legend[2:] == names[:lines]
    middle = pixels(found)[:, (LEFT + RIGHT) // 2 : (LEFT + RIGHT) // 2 + 1]
    for name, height in list(zip(names, heights, strict=True))[:-1]:  # the score lies over the last
        near = middle[round(layout.y(height)) - 1 : round(layout.y(height)) + 2]
        colour = colours(names)[name]  # of which a line between two rows of pixels leaves half
        assert (distance(near, colour).min() < 0.6 * distance(np.full(3, 255), colour)) == bool(lines)
    keys = pixels(found)[TOP + 30 : BOTTOM, LEGEND + 3]
    assert (distance(keys, (255, 255, 255)) > 10).any() == bool(lines)


def test_the_score_is_drawn_where_its_axes_say(detection_of):
    scores = np.linspace(0.1, 0.9, 200)
    found = detection_of(scores, threshold=0.95)
    layout, picture = layout_of(found), inside(pixels(found))
    for frame in (20, 100, 180):
        column = picture[:, round(layout.x(found.times[frame])) - LEFT - 2].max(axis=-1)
        assert abs(np.flatnonzero(column < DARK).mean() + TOP + 0.5 - layout.y(scores[frame])) < 1


def test_the_threshold_is_a_dashed_line(detection_of):
    found = detection_of([0.1] * 100, threshold=0.7)
    row = inside(pixels(found))[round(layout_of(found).y(0.7)) - TOP].max(axis=-1)
    assert 0.5 < np.mean(row < 120) < 0.9 and np.count_nonzero(np.diff(row < 120)) > 200


def test_events_are_shaded_in_the_colour_of_their_category(detection_of):
    names = ("fire", "dog")
    scores = np.array([0.1] * 40 + [0.9] * 40 + [0.1] * 40 + [0.8] * 40 + [0.1] * 40)
    each = np.stack([np.where(np.arange(200) < 100, scores, 0.1), np.where(np.arange(200) < 100, 0.1, scores)], axis=1)
    found = detection_of(scores, categories=names, category_scores=each)
    layout, picture = layout_of(found), pixels(found)
    height = round(layout.y(0.3))
    for event, name in zip(found.events(), names, strict=True):
        middle = round(layout.x((event.start_s + event.end_s) / 2)) + 3
        assert event.category == name
        assert picture[height, middle] == pytest.approx(255 + 0.2 * (np.array(colours(names)[name]) - 255), abs=1)
        edge = picture[height, round(layout.x(event.end_s)) - 1]
        assert edge.sum() < picture[height, middle].sum()
    assert picture[height, round(layout.x(4.0))].tolist() == [255, 255, 255]
    assert (pixels(found, [])[height, LEFT + 5 : RIGHT - 5] > 250).all(axis=-1).sum() > 1000  # those that are given


def test_a_peak_of_one_frame_stays_visible_in_hours_of_video(detection_of):
    scores = np.full(200_000, 0.1)
    scores[123_456] = 0.95
    found = detection_of(scores)
    _, kept = thin(found.times, found.scores)
    assert len(kept) <= 20_000 and kept.max() == np.float32(0.95)
    layout, picture = layout_of(found), pixels(found)
    column = round(layout.x(found.times[123_456]))
    beside = picture[:, column - 1 : column + 2].min(axis=(1, 2))
    assert (beside[round(layout.y(0.9)) : round(layout.y(0.12))] < 160).all()
    below = picture[round(layout.y(0.05)), column - 1 : column + 2]  # the event, which is narrower than a pixel
    assert (below.min(axis=-1) < 235).any()


@pytest.mark.parametrize(("frames", "width"), [(1000, 2.25), (25_000, 1.25)])
def test_the_line_of_a_long_video_is_thin(detection_of, frames, width):
    column = inside(pixels(detection_of(np.full(frames, 0.1))))[-60:, 10].max(axis=-1)
    assert ((255 - column) / (255 - column.min())).sum() == pytest.approx(width, abs=0.4)


def test_a_thinned_line_keeps_the_extremes_of_every_stretch_in_order():
    values = np.random.default_rng(0).random(10_000)
    times, kept = thin(np.arange(10_000), values, most=100)
    assert len(kept) <= 100 and (np.diff(times) > 0).all()
    for stretch in range(50):
        part = values[200 * stretch : 200 * (stretch + 1)]
        assert {part.min(), part.max()} <= set(kept)


def test_a_single_picture_is_a_dot(detection_of, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_timeline(detection_of([0.9]), tmp_path / "timeline.png")
    found = detection_of([0.4])
    layout, picture = layout_of(found), pixels(found)
    height = round(layout.y(0.4))
    around = picture[height - 8 : height + 8, LEFT + 1 : LEFT + 9].max(axis=-1) < DARK
    assert 15 < around.sum() < 60 and not around[:2].any()
    assert not (inside(picture)[:, 20:].max(axis=-1) < DARK).any()


def test_many_short_events_leave_the_frame_whole(detection_of):
    found = detection_of(np.tile([0.1] * 20 + [0.9] * 4, 400))
    picture = pixels(found)
    assert len(found.events()) == 400
    assert (picture[:BOTTOM, RIGHT + 4 : LEGEND - 2] == 255).all() and (picture[:10] == 255).all()


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (0, 0.04, "0", "0"),
        (0, 1, "0", "1"),
        (0, 3.96, "0", "3.5"),
        (0.3, 2.1, "0.4", "2"),
        (0, 10, "0", "10"),
        (0, 119.9, "0", "110"),
        (0, 120, "0:00", "2:00"),
        (0, 6000, "0:00", "1:40:00"),
        (3590, 3605, "59:50", "1:00:04"),
        (0, 86400, "0:00", "24:00:00"),
        (0, 864000, "0:00", "240:00:00"),
    ],
)
def test_times_are_marked_in_sensible_steps(start, end, first, last):
    ticks = time_ticks(start, end)
    said = list(ticks.values())
    assert (said[0], said[-1]) == (first, last)
    assert len(ticks) <= 13 and all(start - 1e-6 <= second <= end + 1e-6 for second in ticks)
    steps = [later - earlier for earlier, later in pairwise(ticks)]
    assert np.allclose(steps, steps[0] if steps else 0)
    assert is_clock(end) == (":" in first)


def test_a_video_that_begins_late_begins_at_the_left(detection_of):
    layout = layout_of(detection_of([0.1] * 50, times=np.arange(50) / 25 + 3600))
    assert (layout.x(3600.0), layout.x(3602.0)) == (LEFT, pytest.approx(RIGHT))
    assert (layout.y(0.0), layout.y(1.0)) == (BOTTOM, TOP)
