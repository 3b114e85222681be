import warnings
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from lavida.export.timeline import draw_timeline, write_timeline


def bumps(count: int, *, height=0.9) -> np.ndarray:
    """`count` events of 20 frames with 20 quiet frames around each, rising slightly."""
    return np.concatenate([[0.1] * 20 + [height - 0.3 * i / count] * 20 for i in range(count)] + [[0.1] * 20])


def event_labels(figure) -> list:
    return [text for text in figure.axes[0].texts if text.get_bbox_patch() is not None]


def test_the_picture_has_the_agreed_size(detection_of, tmp_path):
    write_timeline(detection_of(bumps(3)), tmp_path / "timeline.png")
    assert Image.open(tmp_path / "timeline.png").size == (1400, 450)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4, 40, 300])
def test_labels_neither_overlap_nor_leave_the_picture(detection_of, count):
    figure = draw_timeline(detection_of(bumps(count), categories=("somebody who climbs over the tall fence",)))
    figure.canvas.draw()
    labels = event_labels(figure)
    boxes = [label.get_window_extent() for label in labels]
    assert labels
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= 1400 and box.y1 <= 450 for box in boxes)
    left_out = [text.get_text() for text in figure.axes[0].texts if "more events" in text.get_text()]
    assert left_out == ([f"{count - len(labels)} more events"] if count > len(labels) else [])


def test_the_strongest_events_are_named_first(detection_of):
    figure = draw_timeline(detection_of(bumps(40), categories=("a fight in the street",)))
    shown = {label.get_text().split()[-1] for label in event_labels(figure)}
    assert "0.90" in shown and "0.61" not in shown


def test_names_are_taken_literally(detection_of, tmp_path):
    names = ("costs $5 or $6", "_hidden", "line\nbreak", "$\\frac{")
    found = detection_of(bumps(2), categories=names, path="odd $x_2$ name.mp4")
    write_timeline(found, tmp_path / "timeline.png")
    figure = draw_timeline(found)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["score", "threshold 0.50", "costs $5 or $6", "_hidden", "line break", "$\\frac{"]
    assert figure.axes[0].get_title(loc="left") == "odd $x_2$ name.mp4"


def test_letters_that_the_font_lacks_do_not_spill_warnings(detection_of, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_timeline(detection_of(bumps(2), categories=("打架",)), tmp_path / "timeline.png")


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "lines"), [(1, 3), (8, 10), (9, 2)])
def test_category_lines_are_drawn_while_they_can_be_told_apart(detection_of, kinds, lines):
    figure = draw_timeline(detection_of([0.1] * 50, categories=tuple(f"kind {k}" for k in range(kinds))))
    assert len(figure.axes[0].get_legend().get_texts()) == lines


@pytest.mark.slow
def test_a_peak_of_one_frame_stays_visible_in_hours_of_video(detection_of):
    scores = np.full(200_000, 0.1)
    scores[123_456] = 0.95
    score_line = draw_timeline(detection_of(scores)).axes[0].lines[0]
    assert len(score_line.get_xdata()) < 50_000
    assert score_line.get_ydata().max() == np.float32(0.95)


def test_a_single_picture_is_drawn_without_complaint(detection_of, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_timeline(detection_of([0.9]), tmp_path / "timeline.png")
