import numpy as np
import pytest
from scenes import Scenes

from lavida.exposure.cutouts import MOVERS, CutoutBank, cut_out
from lavida.exposure.mixture import Mixture
from lavida.exposure.moving import DRIVING, FAST, PARKED, Crowd, neighbours, set_in_motion, with_own_motion
from lavida.exposure.sample import SegmentationSample

HEIGHT, WIDTH = 128, 160
WALKER = next(mover for mover in MOVERS if (mover.dataset, mover.name) == ("camvid", "pedestrian"))


def street(seed: int = 0, *, objects: dict[str, tuple[int, int]] | None = None) -> SegmentationSample:
    """A noisy picture with 40 x 20 boxes of given classes (left upper corners)."""
    frame = np.random.default_rng(seed).integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    masks = {}
    for name, (top, left) in (objects or {}).items():
        masks[name] = np.zeros((1, HEIGHT, WIDTH), bool)
        masks[name][0, top : top + 40, left : left + 20] = True
        frame[masks[name][0]] = np.random.default_rng(7).integers(150, 255, (800, 3), dtype=np.uint8)
    return SegmentationSample(frames=frame[None], masks=masks, ignore=None, dataset="camvid", key="0")


@pytest.fixture(scope="module")
def bank() -> CutoutBank:
    sample = street(objects={"pedestrian": (20, 20), "bicyclist": (20, 60), "car": (80, 100)})
    return CutoutBank(Mixture([Scenes([sample], name="camvid")], [1.0]))


def scenes(bank: CutoutBank, count: int = 40, *, length: int = 1, view: SegmentationSample | None = None):
    for seed in range(count):
        yield set_in_motion(view or street(), bank, length=length, rng=np.random.default_rng(seed))


def test_whole_objects_are_cut_out_and_touching_ones_are_not():
    cutouts = cut_out(street(objects={"pedestrian": (20, 20)}), WALKER)
    assert len(cutouts) == 1
    pixels = cutouts[0].pixels
    assert pixels.shape == (42, 22, 4) and (pixels[1:-1, 1:-1, 3] == 255).all() and not pixels[0, :, 3].any()
    assert cut_out(street(objects={"pedestrian": (20, 0)}), WALKER) == []


def test_removed_names_give_no_cut_outs(bank):
    assert {mover.name for mover in bank.movers} == {"pedestrian", "bicyclist", "car"}
    sample = street(objects={"pedestrian": (20, 20), "bicyclist": (20, 60)})
    mixture = Mixture([Scenes([sample], name="camvid")], [1.0])
    assert {mover.name for mover in CutoutBank(mixture, removed=["bicycle"]).movers} == {"pedestrian"}


@pytest.mark.slow
def test_a_scene_has_neighbours_masks_and_labels_for_what_it_shows(bank):
    for view in scenes(bank, length=3):
        assert view.frames.shape == view.before.shape == (3, HEIGHT, WIDTH, 3)
        assert view.seconds.shape == (3,) and (view.seconds > 0).all()
        shown = {name for name, mask in view.masks.items() if mask.any()}
        assert all(mask.shape == (3, HEIGHT, WIDTH) for mask in view.masks.values())
        if DRIVING in shown or PARKED in shown:
            assert "car" in shown
        if FAST in shown:
            assert "person" in shown and not {"skating", "skateboard"} & shown and "skateboard" in view.masks


@pytest.mark.slow
def test_a_crowd_has_as_many_people_as_asked_and_one_or_two_who_run(bank):
    found = set()
    for seed in range(12):
        crowd = Crowd(people=(8, 12), height=(10.0, 20.0), running=0.0, riders=False)
        view = set_in_motion(street(), bank, length=1, rng=np.random.default_rng(seed), crowd=crowd, crowded=1.0)
        assert 8 <= len(view.things) <= 12 and all("person" in thing.names for thing in view.things)
        running = sum("running" in thing.facts for thing in view.things)
        assert running <= 2 and not any("cycling" in thing.facts for thing in view.things)
        seen = any("running" in thing.facts and thing.mask.any() for thing in view.things)
        assert view.masks[FAST].any() == seen if FAST in view.masks else not seen
        found.add(running > 0)
    assert found == {True, False}


def test_masks_cover_what_differs_from_the_still_picture(bank):
    still = street()
    for view in scenes(bank, view=still):
        changed = np.abs(view.frames[0].astype(int) - still.frames[0]).max(-1) > 60
        masked = np.logical_or.reduce([mask[0] for mask in view.masks.values()])
        assert changed[~masked].mean() < 0.01


@pytest.mark.slow
def test_what_moves_fast_is_faster_than_what_walks(bank):
    speed = {FAST: [], "pedestrian": []}
    for view in scenes(bank, 75):
        view = with_own_motion(view)
        assert view.before is None and view.motion.shape == (1, 4, HEIGHT // 4, WIDTH // 4)
        own = view.motion[0, :2].astype(float)
        own = np.linalg.norm(own - np.median(own, (1, 2), keepdims=True), axis=0)
        small = {name: mask[0, 2::4, 2::4] for name, mask in view.masks.items()}
        small["pedestrian"] = small.get("pedestrian", False) & ~small.get(FAST, False)
        for name, speeds in speed.items():
            if np.count_nonzero(small.get(name, 0)) > 8:
                speeds.append(own[small[name]].mean())
    assert np.median(speed[FAST]) > 2 * np.median(speed["pedestrian"])


def test_standing_vehicles_of_the_picture_are_parked(bank):
    view = street(objects={"car": (80, 20)})
    for moved in scenes(bank, view=view):
        assert PARKED in moved.masks
        still_there = moved.masks["car"] & view.masks["car"]
        assert not still_there.any() or moved.masks[PARKED].any() or moved.masks[DRIVING].any()


def test_the_neighbours_of_a_clip_are_its_own_frames_and_of_a_picture_itself():
    rng = np.random.default_rng(0)
    one = street()
    clip = SegmentationSample(
        np.repeat(one.frames, 3, 0) + np.arange(3, dtype=np.uint8)[:, None, None, None], {}, None, "davis", "a/0"
    )
    seen = neighbours(clip, rng=rng)
    assert (seen.before[0] == clip.frames[1]).all() and (seen.before[2] == clip.frames[1]).all()
    assert seen.seconds[0] < 0 < seen.seconds[1]
    views = [neighbours(one, rng=np.random.default_rng(seed)) for seed in range(60)]
    known = [view for view in views if view.before is not None]
    same = [view for view in known if (view.before == one.frames).all()]
    assert 20 < len(known) < 55 and 10 < len(same) < len(known)
    assert with_own_motion(one).motion is None


def test_a_seed_fixes_the_scene(bank):
    a, b = (next(scenes(bank, 1, length=2)) for _ in range(2))
    assert (a.frames == b.frames).all() and (a.before == b.before).all() and a.masks.keys() == b.masks.keys()
