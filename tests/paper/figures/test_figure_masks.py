import numpy as np
import pytest
from bright_scenes import ABNORMAL, square

from lavida.export.drawing import TRUTH
from lavida.paper.figures import draw_masks


def pairs(sheet) -> list[tuple[np.ndarray, np.ndarray]]:
    """(frame, frame with its mask) in the order of the sheet."""
    images = [axes.images[0].get_array() for axes in sheet.figure.axes]
    return list(zip(images[::2], images[1::2], strict=True))


def texts(sheet) -> list[str]:
    return [text.get_text() for text in sheet.figure.texts]


def centre(name: str) -> tuple[int, int]:
    return tuple((part.start + part.stop) // 2 for part in square(name))


@pytest.mark.slow
def test_each_category_of_each_video_has_its_surest_frame(case_of):
    sheet = draw_masks([case_of("Test001"), case_of("Test002")])  # the left one is a bicycle, the right one a car
    one, two, three, four = pairs(sheet)
    for found, name in ((one, "Test001"), (four, "Test002")):
        plain, masked = found
        assert (plain[centre(name)] == 255).all() and (masked[centre(name)] != 255).any()
    for plain, masked in (two, three):
        assert (plain[24, 36] == masked[24, 36]).all()
    said = texts(sheet)
    assert [text for text in said if text in ("bicycle", "car")] == ["bicycle", "car"] * 2
    assert [text.endswith("not found") for text in said if text.startswith("score")] == [False, True, True, False]


def test_the_annotation_is_outlined_on_the_plain_frame(case_of):
    rows, columns = square("Test001")
    for annotated in (True, False):
        (plain, _), _ = pairs(draw_masks([case_of("Test001", annotated=annotated)]))
        border = plain[rows.start, columns.start + 4 : columns.stop - 4].astype(int)
        assert (np.abs(border - TRUTH).max() < 80) == annotated


def test_frames_can_be_chosen_by_time(case_of):
    sheet = draw_masks([case_of("Test001")], at=[0.0, ABNORMAL["Test001"][1] / 25])
    assert len(pairs(sheet)) == 4
    before, lit = pairs(sheet)[0][0], pairs(sheet)[2][0]
    assert (before[centre("Test001")] == 90).all() and (lit[centre("Test001")] == 255).all()


def test_the_grid_grows_with_the_pairs(case_of):
    case = case_of("Test001", categories=("bicycle", "car", "dog", "boat", "cat"))
    sheet = draw_masks([case])
    assert len(pairs(sheet)) == 5
    alone = draw_masks([case_of("Test001", categories=("bicycle",))])
    assert sheet.width > 1.9 * alone.width and sheet.height > 2.5 * alone.height
