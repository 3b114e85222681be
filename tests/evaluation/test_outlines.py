"""How well a mask is drawn."""

import numpy as np
import pytest

from lavida.evaluation.held_out.outlines import boundary_f, parts


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((100, 100), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_the_same_outline_is_one_and_a_far_one_nothing():
    assert boundary_f(box(20, 20, 60, 60), box(20, 20, 60, 60)) == 1
    assert boundary_f(box(21, 20, 61, 60), box(20, 20, 60, 60)) == 1  # within the tolerance of one pixel
    assert boundary_f(box(70, 70, 90, 90), box(10, 10, 40, 40)) == 0
    assert boundary_f(np.zeros((100, 100), bool), box(10, 10, 40, 40)) == 0


def test_one_side_of_four_that_is_off_costs_a_quarter():
    assert boundary_f(box(20, 20, 60, 70), box(20, 20, 60, 60)) == pytest.approx(0.75, abs=0.04)


def test_the_edge_of_the_picture_is_no_outline():
    assert boundary_f(box(0, 0, 50, 100), box(0, 40, 50, 100)) < 1
    assert boundary_f(box(0, 0, 100, 50), box(0, 0, 100, 50)) == 1
    assert boundary_f(np.ones((100, 100), bool), np.ones((100, 100), bool)) == 0  # there is no outline at all


def test_parts_are_connected_by_corners_too():
    mask = box(0, 0, 5, 5) | box(5, 5, 9, 9) | box(50, 50, 60, 60)
    assert parts(mask) == 2 and parts(np.zeros((4, 4), bool)) == 0
