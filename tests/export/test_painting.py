import numpy as np

from lavida.detection import Mask
from lavida.export.drawing import TRUTH, paint

GRAY = np.full((60, 80, 3), 100, dtype=np.uint8)


def region(rows: slice, columns: slice, size=(60, 80)) -> np.ndarray:
    pixels = np.zeros(size, dtype=bool)
    pixels[rows, columns] = True
    return pixels


def test_what_is_found_is_tinted_and_what_is_true_outlined():
    found = Mask.from_pixels(region(slice(0, 30), slice(0, 40)), frame=0, category="dog", score=0.9)
    true = region(slice(35, 55), slice(45, 75))
    picture = paint(GRAY, found=[found], colours={"dog": (0, 200, 0)}, true=true)
    assert (GRAY == 100).all()  # the frame itself is left alone
    assert picture[15, 20, 1] > 120 > picture[15, 20, 0]
    assert np.abs(picture[35, 60].astype(int) - TRUTH).max() < 60  # the border
    assert (picture[45, 60] == 100).all() and (picture[5, 70] == 100).all()


def test_masks_of_another_size_are_fitted():
    true = region(slice(0, 100), slice(0, 60), size=(120, 160))
    picture = paint(GRAY, colours={}, true=true)
    changed = np.argwhere((picture != 100).any(axis=2))
    assert 48 <= changed.max(axis=0)[0] <= 52 and 28 <= changed.max(axis=0)[1] <= 32


def test_nothing_to_draw_leaves_the_frame():
    assert (paint(GRAY, colours={}, true=np.zeros((60, 80), dtype=bool)) == GRAY).all()
