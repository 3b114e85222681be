"""How well a mask is drawn."""

import cv2
import numpy as np
import pytest

from lavida.evaluation.held_out.outlines import boundary_f, parts


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((100, 100), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def davis_f(found: np.ndarray, true: np.ndarray) -> float:
    """`f_measure` of davis2017-evaluation, with `_seg2bmap`, as they are there but for the names."""

    def bmap(seg):
        e, s, se = np.zeros_like(seg), np.zeros_like(seg), np.zeros_like(seg)
        e[:, :-1], s[:-1, :], se[:-1, :-1] = seg[:, 1:], seg[1:, :], seg[1:, 1:]
        b = seg ^ e | seg ^ s | seg ^ se
        b[-1, :] = seg[-1, :] ^ e[-1, :]
        b[:, -1] = seg[:, -1] ^ s[:, -1]
        b[-1, -1] = 0
        return b

    reach = np.ceil(0.008 * np.linalg.norm(found.shape))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x * x + y * y <= reach * reach).astype(np.uint8)
    mine, theirs = bmap(found), bmap(true)
    matched = theirs * cv2.dilate(mine.astype(np.uint8), disk), mine * cv2.dilate(theirs.astype(np.uint8), disk)
    if not mine.any() or not theirs.any():
        precision, recall = (1, int(not theirs.any())) if not mine.any() else (0, 1)
    else:
        precision, recall = matched[1].sum() / mine.sum(), matched[0].sum() / theirs.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


@pytest.mark.parametrize("size", [(100, 100), (227, 320), (243, 432), (416, 312)])
def test_it_is_the_measure_of_davis_whose_parts_reach_the_edge_or_not(size):
    rng = np.random.default_rng(0)
    for blur in (3, 9, 25):
        for share in (0.3, 0.7, 1.5):
            noise = cv2.GaussianBlur(rng.normal(size=size), (0, 0), blur)
            true = noise > share * noise.std()
            found = np.roll(true, (2, 1), (0, 1)) & (cv2.GaussianBlur(rng.normal(size=size), (0, 0), 5) > -0.05)
            assert boundary_f(found, true) == pytest.approx(davis_f(found, true), abs=1e-12)
            assert 0 < boundary_f(found, true) < 1


def test_the_same_outline_is_one_and_a_far_one_nothing():
    assert boundary_f(box(20, 20, 60, 60), box(20, 20, 60, 60)) == 1
    assert boundary_f(box(22, 20, 62, 60), box(20, 20, 60, 60)) == 1  # within the tolerance: 1.13 pixels, rounded up
    assert boundary_f(box(70, 70, 90, 90), box(10, 10, 40, 40)) == 0


def test_one_side_of_four_that_is_off_costs_a_quarter():
    assert boundary_f(box(20, 20, 60, 70), box(20, 20, 60, 60)) == pytest.approx(0.75, abs=0.04)


def test_the_edge_of_the_picture_is_no_outline():
    whole, none = box(0, 0, 100, 100), box(0, 0, 0, 0)
    assert boundary_f(box(0, 0, 50, 100), box(0, 40, 50, 100)) < 1
    assert boundary_f(box(0, 0, 100, 50), box(0, 0, 100, 50)) == 1
    assert boundary_f(whole, whole) == 1 == boundary_f(none, none)  # there is no outline at all
    assert boundary_f(none, whole) == 0 == boundary_f(whole, none)
    assert boundary_f(none, box(10, 10, 40, 40)) == 0 == boundary_f(box(10, 10, 40, 40), whole)


def test_parts_are_connected_by_corners_too():
    mask = box(0, 0, 5, 5) | box(5, 5, 9, 9) | box(50, 50, 60, 60)
    assert parts(mask) == 2 and parts(np.zeros((4, 4), bool)) == 0
