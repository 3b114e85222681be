"""Flames cut out of photos of fires, set into other views."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import Scenes

from lavida.errors import InputError
from lavida.exposure.burning import FIRE, FlameBank, cut_flames, likely_to_burn, set_on_fire
from lavida.exposure.looks import degrade
from lavida.exposure.mixture import Mixture
from lavida.exposure.sample import SegmentationSample, Thing

HEIGHT, WIDTH = 96, 128
FLAME, SMOKY = (255, 170, 40), (70, 60, 60)


def photo(*, colour: tuple[int, int, int] = FLAME, left: int = 40, wide: int = 30) -> SegmentationSample:
    """A fire of 50 pixels' height, as wide at its top as a pixel; the rest is dark."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    mask = (rows >= 30) & (rows < 80) & (np.abs(columns - left - wide / 2) < wide / 2 * (rows - 28) / 52)
    frame = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    frame[mask] = colour
    return SegmentationSample(frame[None], {FIRE: mask[None]}, ignore=None, dataset="fire_smoke", key="1")


def street(*, length: int = 1, neighbours: bool = False) -> SegmentationSample:
    """A gray road with a car that takes up its lower half."""
    frames = np.full((length, HEIGHT, WIDTH, 3), 110, np.uint8)
    car = np.zeros((length, HEIGHT, WIDTH), bool)
    car[:, HEIGHT // 2 :] = True
    return SegmentationSample(
        frames,
        {"car": car},
        ignore=~car,
        dataset="camvid",
        key="1",
        before=frames if neighbours else None,
        seconds=np.full(length, 0.04) if neighbours else None,
        things=(Thing(frozenset({"car"}), car, frozenset()),),
        counts={"car": 1, FIRE: 2},
        out_of_view=frozenset({FIRE, "dog"}),
    )


def house() -> SegmentationSample:
    """A dark wall with two windows, one of which is too small to see a flame in."""
    windows = np.zeros((1, HEIGHT, WIDTH), bool)
    windows[:, 20:60, 30:70] = windows[:, 4:10, 100:106] = True
    frames = np.where(windows[..., None], 15, 90).repeat(3, -1).astype(np.uint8)
    masks = {"window": windows, "building": np.ones_like(windows)}
    return SegmentationSample(frames, masks, ignore=None, dataset="facade_night", key="1")


@pytest.fixture(scope="module")
def bank() -> FlameBank:
    return FlameBank(Mixture([Scenes([photo()], name="fire_smoke")], [1.0]))


def burning(bank: FlameBank, view: SegmentationSample, count: int = 30):
    for seed in range(count):
        yield set_on_fire(view, bank, rng=np.random.default_rng(seed))


def test_a_whole_bright_flame_is_cut_out():
    (flame,) = cut_flames(photo())
    assert flame.shape == (52, 31, 4)  # with a margin of a pixel
    assert (flame[40, 12:19, 3] > 200).all() and not flame[:, 0, 3].any()
    assert tuple(flame[40, 15, :3]) == FLAME


@pytest.mark.parametrize(
    "of",
    [
        photo(left=-10),  # cut off by the picture
        photo(colour=SMOKY),  # no flame
        photo(wide=8),  # a sliver
        replace(photo(), masks={FIRE: np.pad(np.ones((1, 40, 30), bool), ((0, 0), (30, 26), (40, 58)))}),  # a box
        replace(photo(), ignore=np.ones((1, HEIGHT, WIDTH), bool)),
    ],
)
def test_what_is_no_whole_flame_is_not(of):
    assert cut_flames(of) == []


def test_its_mask_is_where_the_picture_changed_and_others_lose_it(bank):
    view, seen = street(), 0
    for fire in burning(bank, view):
        mask = fire.masks[FIRE]
        assert not (mask & fire.masks["car"]).any() and not (mask & fire.things[0].mask).any()
        assert ((mask | fire.masks["car"])[0, HEIGHT // 2 :]).all()
        assert not (fire.ignore & mask).any()
        changed = np.abs(fire.frames.astype(int) - view.frames).max(-1)
        assert not mask.any() or (changed[mask] > 15).mean() > 0.8  # flames may be as pale as the road
        red = fire.frames[..., 0].astype(int) - fire.frames[..., 2]
        assert not mask.any() or red[mask].mean() > red[~mask].mean() + 20
        seen += mask.any()
    assert seen > 20


def test_what_is_known_of_it(bank):
    for fire in burning(bank, street(), 3):
        assert fire.masks.keys() == {"car", FIRE, "smoke"} and not fire.masks["smoke"].any()  # smoke may be there
        assert fire.out_of_view == {"dog"} and fire.counts == {"car": 1}


def test_it_flickers_and_is_small_or_large(bank):
    sizes = []
    for fire in burning(bank, street(length=2, neighbours=True)):
        one, other = fire.masks[FIRE]
        assert not one.any() or (one != other).any()
        assert not one.any() or (fire.before[0] != fire.frames[0]).any()
        sizes.append(np.count_nonzero(one))
    sizes = [size for size in sizes if size]
    assert min(sizes) < 150 and max(sizes) > 1500


def test_a_view_with_windows_burns_more_often_and_then_mostly_behind_one(bank):
    assert likely_to_burn(house()) > likely_to_burn(street()) == 1
    window = np.zeros((HEIGHT, WIDTH), bool)
    window[20:60, 30:70] = True
    behind = 0
    for fire in burning(bank, house(), 60):
        mask = fire.masks[FIRE][0]
        changed = np.abs(fire.frames[0].astype(int) - house().frames[0]).max(-1)
        assert not mask.any() or (changed[mask] > 15).mean() > 0.8
        behind += mask.any() and not (mask & ~window).any()
    assert behind > 10  # with the rest something burns elsewhere, or comes out of the window


def test_without_a_fire_in_the_mixture_the_setting_is_named():
    with pytest.raises(InputError, match=r"data\.burning: .* set it to 0, or add fire_smoke"):
        FlameBank(Mixture([Scenes([street()], name="camvid")], [1.0]))


def test_a_burning_view_keeps_its_colours(bank):
    (fire,) = burning(bank, street(), 1)
    colours = [np.ptp(degrade(fire, rng=np.random.default_rng(s), gray=0.0).frames.astype(int), -1) for s in range(20)]
    assert all(each.max() > 20 for each in colours)
    assert any(np.ptp(degrade(fire, rng=np.random.default_rng(s)).frames.astype(int), -1).max() <= 3 for s in range(20))
