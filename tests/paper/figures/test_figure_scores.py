import warnings
from dataclasses import replace

import numpy as np
import pytest
from bright_scenes import ABNORMAL, FRAMES, square
from PIL import Image

from lavida.errors import InputError
from lavida.export.drawing import TRUTH
from lavida.paper.figures import draw_scores


def plots(sheet) -> list:
    return [axes for axes in sheet.figure.axes if axes.get_ylabel() == "score"]


def pictures(sheet) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in sheet.figure.axes if axes.images]


def texts(sheet) -> list[str]:
    return [text.get_text() for text in sheet.figure.texts]


def shades(axes) -> list[tuple[float, float]]:
    """(start, end) of the shaded stretches in seconds."""
    pink = [patch for patch in axes.patches if np.allclose(patch.get_facecolor()[:3], np.array(TRUTH) / 255)]
    return [(round(patch.get_x(), 4), round(patch.get_x() + patch.get_width(), 4)) for patch in pink]


def test_the_score_and_the_annotated_stretch_are_drawn(case_of):
    case = case_of("Test001")
    sheet = draw_scores([case], moments=4)
    (axes,) = plots(sheet)
    curve = next(line for line in axes.lines if len(line.get_xdata()) == FRAMES)
    assert np.array_equal(curve.get_ydata(), case.detection.scores)
    first, last = ABNORMAL["Test001"][0], ABNORMAL["Test001"][-1]
    assert shades(axes) == [(round(first / 25, 4), round((last + 1) / 25, 4))]
    assert "ucsd-ped2 Test001" in texts(sheet)


def test_masks_lie_on_the_telling_frames_and_the_truth_around_them(case_of):
    sheet = draw_scores([case_of("Test001")], at=[0.0, 6 / 25])
    before, lit = pictures(sheet)
    rows, columns = square("Test001")
    centre = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    assert (before[centre] == 90).all()
    assert lit[centre][0] > lit[centre][2]  # white, tinted in the colour of the first category
    ring = lit[rows.start, columns.start + 3 : columns.stop - 3].astype(int)
    assert np.abs(ring - TRUTH).max() < 80
    assert [text for text in texts(sheet) if "score" in text][1].startswith("0.2 s   score 0.9")


@pytest.mark.slow
def test_without_truth_nothing_is_shaded_and_the_legend_does_not_name_it(case_of):
    (axes,) = plots(draw_scores([case_of("Test001", annotated=False)]))
    assert shades(axes) == []
    with_truth, without = (
        [t.get_text() for a in draw_scores([case_of("Test001", annotated=known)]).figure.axes
         for t in (a.get_legend().get_texts() if a.get_legend() else [])]
        for known in (True, False)
    )  # fmt: skip
    assert "annotated as abnormal" in with_truth and "annotated as abnormal" not in without
    assert "bicycle" in without and "car: not found" in without


@pytest.mark.slow
def test_several_videos_stand_beside_each_other(case_of):
    one, two, three = (draw_scores([case_of("Test001")] * count, moments=2) for count in (1, 2, 3))
    assert two.width > 1.9 * one.width and two.height == pytest.approx(one.height)
    assert three.height > 1.8 * two.height and len(plots(three)) == 3


@pytest.mark.slow
def test_odd_names_are_taken_literally_and_the_file_is_a_picture(case_of, tmp_path):
    case = case_of("Test002", categories=("costs $5 or $6", "打架", "_x"))
    sheet = draw_scores([replace(case, title="odd $x_2$ name")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sheet.save(tmp_path / "new" / "figure.png")
    with Image.open(tmp_path / "new" / "figure.png") as picture:
        assert picture.format == "PNG" and picture.width == round(sheet.width * 150)
    assert "odd $x_2$ name" in texts(sheet)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["figure.png"]


def test_nothing_leaves_the_sheet(case_of):
    sheet = draw_scores([case_of("Test001", categories=tuple(f"somebody who climbs over fence {k}" for k in range(7)))])
    sheet.figure.canvas.draw()
    width, height = sheet.figure.canvas.get_width_height()
    for axes in sheet.figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width + 1 and box.y1 <= height + 1


def test_a_time_outside_the_video_and_an_unwritable_file_are_said(case_of, tmp_path):
    with pytest.raises(InputError, match="--at 9"):
        draw_scores([case_of("Test001")], at=[9])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write: .*below.png"):
        draw_scores([case_of("Test001")]).save(tmp_path / "file" / "below.png")


def test_the_truth_of_a_stretch_is_cut_with_it(case_of):
    case = case_of("Test001")
    later = replace(case, first=2, detection=replace(case.detection, times=case.detection.times[:8], sampled=[0, 7],
                    sampled_scores=[0.1, 0.2], sampled_category_scores=[[0.1, 0.1], [0.2, 0.2]]))  # fmt: skip
    assert later.labels().tolist() == [0, 0, 1, 1, 1, 1, 1, 0]
    assert set(later.true_masks([2, 7])) == {2, 7} and later.true_masks([2])[2].any()
    assert not later.true_masks([7])[7].any()
