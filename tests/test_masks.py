"""Masks without specks and holes."""

import json

import cv2
import numpy as np
import pytest

from lavida.answer import Answer
from lavida.builder import ScoredClip
from lavida.loading import EMBEDDED
from lavida.masks import cleaned


def drawn(*boxes: tuple[int, int, int, int], size=(60, 80)) -> np.ndarray:
    mask = np.zeros(size, bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def test_specks_go_and_holes_are_filled():
    thing, speck = drawn((10, 10, 40, 50)), drawn((60, 5, 63, 8))
    hole = drawn((20, 20, 26, 26))
    mask = (thing | speck) & ~hole
    logits = np.where(mask, 2.0, -2.0)
    logits[speck] = 1.0
    assert (cleaned(mask, logits) == thing).all()


def test_a_second_thing_stays_if_it_is_large_or_sure():
    thing, second, third = drawn((5, 5, 35, 45)), drawn((45, 5, 65, 25)), drawn((45, 40, 52, 47))
    mask = thing | second | third
    logits = np.where(thing, 5.0, -1.0)
    logits[second] = 0.5  # a third of the largest: unsure, but no speck
    logits[third] = 4.5
    assert (cleaned(mask, logits) == mask).all()
    logits[third] = 3.0
    assert (cleaned(mask, logits) == thing | second).all()


def test_a_gap_at_the_border_and_a_large_one_are_no_holes():
    bay = drawn((10, 0, 40, 40)) & ~drawn((20, 0, 25, 5))
    ring = drawn((10, 10, 50, 50)) & ~drawn((15, 15, 45, 45))
    for mask in (bay, ring):
        assert (cleaned(mask, np.where(mask, 1.0, -1.0)) == mask).all()


def test_nothing_and_everything_stay():
    for mask in (np.zeros((8, 9), bool), np.ones((8, 9), bool)):
        assert (cleaned(mask, mask - 0.5) == mask).all()


@pytest.mark.parametrize("clean", [True, False])
def test_the_masks_of_a_detection_are_clean_where_the_model_says_so(clean: bool):
    # the second category lies in a hole of the first
    thing, speck, other = drawn((10, 10, 40, 50)), drawn((60, 5, 63, 8)), drawn((20, 20, 26, 26))
    logits = np.where(thing | speck, 2.0, -2.0).astype(np.float32)
    sure = np.full((1, 2), 9.0, np.float32)
    answer = Answer(
        sure[0, :1],
        sure,
        logits[None],
        lambda: logits[None],
        lambda t: other.astype(np.uint8),
        clean,
    )
    clip = ScoredClip(np.zeros(1, np.int64), np.zeros(1), answer, (60, 80), np.zeros((1, 16, 16)))
    masks = clip.masks(0)
    assert (masks[1] == other).all()
    assert (masks[0] == (thing & ~other if clean else (thing | speck) & ~other)).all()


def test_the_embedded_model_says_so():
    assert json.loads((EMBEDDED / "config.json").read_text())["clean_masks"] is True


def test_where_a_mask_lies_in_the_picture_changes_nothing():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(1, 40, 2)
        logits = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), float(rng.uniform(0.3, 4)))
        logits = np.asarray(logits - rng.uniform(-1, 1.5) * logits.std())
        wide = np.pad(logits, 9, constant_values=-1.0)  # an inlet at the border is a hole in a larger picture
        found, whole = cleaned(logits > 0, logits), cleaned(wide > 0, wide)[9 : 9 + height, 9 : 9 + width]
        assert not (found & ~whole).any()
        edge = np.zeros_like(found)
        edge[[0, -1]] = edge[:, [0, -1]] = True
        assert (found == whole).all() or ((logits <= 0) & edge).any()
