from dataclasses import replace

import numpy as np
import pytest
from scenes import box, scene

from lavida.exposure.looks import degrade, recolour
from lavida.exposure.qualifier_proofs import colour_shares
from lavida.exposure.sample import SegmentationSample
from lavida.exposure.views import augment, stretched

SIZE = (48, 64)


def views(segmented, count=60, **settings):
    return [augment(segmented, size=SIZE, rng=np.random.default_rng(seed), **settings) for seed in range(count)]


def test_size_and_types():
    for view in views(scene({"w0": box(4, 20, 4, 20, frames=2)}), count=20):
        assert view.frames.shape == (2, *SIZE, 3) and view.frames.dtype == np.uint8
        assert all(mask.shape == (2, *SIZE) and mask.dtype == bool for mask in view.masks.values())
    assert augment(scene({}), size=40, rng=np.random.default_rng(0)).frames.shape == (1, 40, 40, 3)


def test_a_stretched_sample_shows_all_of_it():
    sample = scene({"speck": box(3, 4, 5, 6, frames=2), "left": box(0, 24, 0, 16, frames=2)})
    view = stretched(sample, size=(48, 32))  # of 24 x 32: twice as tall
    assert view.frames.shape == (2, 48, 32, 3) and view.ignore is sample.ignore
    for name, mask in sample.masks.items():
        assert (view.masks[name] == mask.repeat(2, axis=1)).all()
    assert np.abs(view.frames.mean((1, 2)) - sample.frames.mean((1, 2))).max() < 1


def test_masks_move_with_the_picture():
    """White pixels of the picture are the mask: after any view they still stand out from the rest."""
    for view in views(scene({"w0": box(6, 18, 8, 24)})):
        mask, known = view.masks["w0"][0], np.ones(SIZE, bool)
        if view.ignore is not None:
            known = ~view.ignore[0]
        gray = view.frames[0].mean(axis=-1)
        inside, outside = gray[mask & known], gray[~mask & known]
        if len(inside) > 50 and len(outside) > 50:
            assert np.median(inside) > np.median(outside) + 40
            threshold = (np.median(inside) + np.median(outside)) / 2
            agreement = ((gray > threshold) == mask)[known].mean()
            assert agreement > 0.9


def test_all_frames_of_a_clip_get_the_same_view():
    mask = box(6, 18, 8, 24, frames=3)
    for view in views(scene({"w0": mask})):
        if "w0" in view.masks:
            assert (view.masks["w0"] == view.masks["w0"][:1]).all()
        if view.ignore is not None:
            assert (view.ignore == view.ignore[:1]).all()


@pytest.mark.slow
def test_a_class_out_of_the_view_is_gone_and_a_sliver_is_kept_without_pixels():
    gone = sliver = 0
    for view in views(scene({"w0": box(0, 3, 0, 3), "w1": box(0, 24, 0, 32)}), count=200, scale=(1.5, 2.0)):
        assert view.masks["w1"].all()
        if "w0" not in view.masks:
            gone += 1
        elif not view.masks["w0"].any():
            sliver += 1
        else:
            assert view.masks["w0"].mean() >= 0.001
    assert gone > 20 and sliver > 0


def test_an_empty_mask_stays_listed():
    for view in views(scene({"w0": box(0, 0, 0, 0), "w1": box(0, 12, 0, 12)}), count=20):
        assert not view.masks["w0"].any()


def test_the_border_of_a_small_view_is_ignored_or_mirrored():
    ignored = mirrored = 0
    for view in views(scene({"w0": box(0, 24, 0, 32)}), scale=(0.4, 0.6)):
        ignore = view.ignore[0]
        assert not (view.masks["w0"][0] & ignore).any() and (view.masks["w0"][0] | ignore).all()
        mirrored += (~ignore).any(axis=0).all()
        ignored += ignore.any(axis=0).all() and not (~ignore).any(axis=0).all()
    assert ignored > 10 and mirrored > 10


def test_zoom_one_fills_the_view():
    for view in views(scene({"w0": box(0, 24, 0, 32)}), count=20, scale=(1.2, 1.2)):
        assert view.ignore is None and view.masks["w0"].all()


def test_same_seed_same_view():
    sample = scene({"w0": box(4, 20, 4, 20)})
    first, again = (augment(sample, size=SIZE, rng=np.random.default_rng(5)) for _ in range(2))
    assert (first.frames == again.frames).all() and (first.masks["w0"] == again.masks["w0"]).all()


@pytest.mark.parametrize("share", [0.3])
def test_many_views_are_gray(share):
    rng = np.random.default_rng(0)
    sample = scene({"w0": box(0, 24, 0, 32)})
    sample.frames[...] = rng.integers(0, 256, sample.frames.shape)
    gray = [np.ptp(v.frames[0].astype(int), axis=-1).max() == 0 for v in views(sample, count=300)]
    assert np.mean(gray) == pytest.approx(share, abs=0.08)


def test_a_sample_that_tells_left_from_right_is_never_mirrored():
    left = {"the man on the left": box(0, 24, 0, 10), "a tree": box(0, 24, 22, 32)}
    for view in views(scene(left), scale=(0.4, 1.0), drop_share=0):
        columns = [np.nonzero(view.masks[name][0].any(0))[0].mean() for name in left if name in view.masks]
        assert len(columns) < 2 or columns[0] < columns[1]
    mirrored = 0
    for view in views(scene({"man": box(0, 24, 0, 10), "a tree": box(0, 24, 22, 32)}), scale=(0.4, 1.0), drop_share=0):
        columns = [np.nonzero(view.masks[name][0].any(0))[0].mean() for name in ("man", "a tree")]
        mirrored += columns[0] > columns[1]
    assert mirrored > 10


@pytest.mark.slow
def test_some_views_have_the_same_specks_in_every_frame():
    flat = replace(scene({}), frames=np.full((2, 60, 80, 3), 128, np.uint8))
    specked = 0
    for seed in range(200):
        now, later = degrade(flat, rng=np.random.default_rng(seed)).frames.astype(int)
        spots = [np.abs(frame - np.median(frame, (0, 1))).max(-1) > 45 for frame in (now, later)]
        if any(spot.any() for spot in spots):
            specked += 1
            assert spots[0].mean() < 0.1 and (spots[0] & spots[1]).sum() > 0.5 * spots[0].sum()
    assert 0.05 < specked / 200 < 0.25


def test_light_goes_as_far_as_it_is_told_to():
    rng = np.random.default_rng(3)
    plain = replace(scene({}), frames=rng.integers(60, 200, (1, 60, 80, 3)).astype(np.uint8))

    def spread(light: float) -> float:
        views = [degrade(plain, rng=np.random.default_rng(s), gray=0.0, light=light) for s in range(60)]
        return float(np.std([view.frames.mean() for view in views]))

    assert 3 * spread(0.0) < spread(1.0) and 1.3 * spread(1.0) < spread(1.6)


def test_a_thing_in_another_colour_is_clearly_of_one_and_all_else_stays():
    rng = np.random.default_rng(5)
    frames = rng.integers(90, 150, (1, 60, 80, 3)).astype(np.uint8)
    mask = np.zeros((1, 60, 80), bool)
    mask[:, 10:50, 20:60] = True
    sample = SegmentationSample(frames, {"car": mask, "tree": ~mask}, None, "toy", "0", before=frames)
    clear = set()
    for seed in range(24):
        changed = recolour(sample, names={"car"}, rng=np.random.default_rng(seed))
        assert (changed.frames[~mask] == frames[~mask]).all()
        assert (changed.frames == changed.before).all()  # one paint for both
        shares = colour_shares(changed.frames[0, 14:46, 24:56].reshape(-1, 3))
        clear |= {colour for colour, share in shares.items() if share > 0.55}
    assert len(clear) >= 8
    assert recolour(sample, names={"bus"}, rng=rng) is sample
