"""What masks prove and disprove of a thing, on pictures made here."""

from dataclasses import replace

import numpy as np
import pytest

from lavida.exposure.qualified import any_qualified, draw_probes, draw_qualified, draw_unproven, is_thing, put
from lavida.exposure.qualifier_words import UNPROVEN, plural
from lavida.exposure.qualifiers import KINDS, Qualifier, colour_shares
from lavida.exposure.sample import SegmentationSample, Thing
from lavida.exposure.views import reframe
from lavida.model.phrase import split_phrase

H, W = 100, 120


def box(*corners: tuple[int, int, int, int]) -> np.ndarray:
    """bool [1, H, W] with boxes x0, y0, x1, y1."""
    mask = np.zeros((1, H, W), bool)
    for x0, y0, x1, y1 in corners:
        mask[0, y0:y1, x0:x1] = True
    return mask


def sample(masks: dict[str, np.ndarray], *, colours=(), things=(), dataset="coco128") -> SegmentationSample:
    frames = np.full((1, H, W, 3), 128, np.uint8)
    for mask, colour in colours:
        frames[mask] = colour
    return SegmentationSample(frames=frames, masks=masks, ignore=None, dataset=dataset, key="1", things=tuple(things))


def said(segmented: SegmentationSample, name: str, kind: str, *, absent=()) -> tuple[set[str], set[str]]:
    verdicts = Qualifier(segmented, lambda other: other in absent).verdicts(name, kind)
    return {word for word, mask in verdicts if mask is not None}, {word for word, mask in verdicts if mask is None}


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [
        ((200, 20, 25), "red"),
        ((240, 200, 20), "yellow"),
        ((30, 120, 40), "green"),
        ((25, 50, 170), "blue"),
        ((10, 10, 10), "black"),
        ((245, 245, 245), "white"),
        ((128, 128, 128), "gray"),
        ((90, 60, 35), "brown"),
        ((245, 130, 20), "orange"),
    ],
)
def test_colours_are_named_as_people_do(rgb, colour):
    shares = colour_shares(np.full((50, 3), rgb, np.uint8))
    assert max(shares, key=shares.__getitem__) == colour
    assert shares[colour] > 0.9


def test_a_red_car_is_red_and_neither_blue_nor_green():
    car = box((20, 20, 60, 50))
    true, false = said(sample({"car": car}, colours=[(car, (200, 20, 25))]), "car", "colour")
    assert true == {"red"}
    assert {"blue", "green", "white", "yellow"} <= false
    assert not {"orange", "brown"} & (true | false)  # light may make it look so


def test_where_one_car_is_red_and_one_is_blue_each_colour_is_true_of_its_own():
    red, blue = box((10, 20, 40, 50)), box((70, 20, 100, 50))
    segmented = sample({"car": red | blue}, colours=[(red, (200, 20, 25)), (blue, (25, 50, 170))])
    masks = dict(Qualifier(segmented, lambda name: False).verdicts("car", "colour"))
    assert np.array_equal(masks["red"], red)
    assert np.array_equal(masks["blue"], blue)
    assert masks["green"] is None


def test_colour_is_not_asked_of_people_nor_of_what_is_gray_and_brown_in_part():
    person = box((20, 20, 40, 80))
    assert said(sample({"person": person}, colours=[(person, (200, 20, 25))]), "person", "colour") == (set(), set())
    half = box((20, 20, 60, 35))
    car = box((20, 20, 60, 50))
    true, _ = said(sample({"car": car}, colours=[(car, (200, 20, 25)), (half, (25, 50, 170))]), "car", "colour")
    assert not true


def test_place_is_true_or_false_only_where_it_is_clear():
    true, false = said(sample({"dog": box((5, 5, 25, 25))}), "dog", "place")
    assert true == {"left", "top", "upper left"}
    assert false >= {"right", "bottom", "middle", "lower right", "upper right", "lower left"}
    true, false = said(sample({"dog": box((45, 40, 65, 60))}), "dog", "place")  # in the middle, a little to the left
    assert true == {"middle"}
    assert "left" not in false


def test_one_of_two_instances_that_is_unclear_about_a_word_silences_it():
    both = box((5, 40, 25, 60), (46, 40, 66, 60))
    true, false = said(sample({"dog": both}), "dog", "place")
    assert "left" not in true | false
    assert "right" in false or "right" not in true


def test_size_is_height_for_people_and_area_for_things():
    assert said(sample({"person": box((50, 10, 70, 90))}), "person", "size") == ({"large"}, {"small"})
    assert said(sample({"person": box((50, 10, 55, 22))}), "person", "size") == ({"small"}, {"large"})
    assert said(sample({"person": box((50, 10, 65, 47))}), "person", "size") == (set(), set())
    assert said(sample({"bottle": box((50, 10, 56, 18))}), "bottle", "size") == ({"small"}, {"large"})


def test_what_touches_is_with_it_and_what_is_far_is_not():
    person, near, far = box((20, 20, 40, 80)), box((38, 50, 50, 62)), box((95, 60, 110, 72))
    true, false = said(sample({"person": person, "handbag": near, "suitcase": far}), "person", "relation")
    assert "with a handbag" in true
    assert "with a suitcase" in false


def test_what_is_surely_absent_is_with_nobody():
    person = box((20, 20, 40, 80))
    true, false = said(sample({"person": person}), "person", "relation", absent={"umbrella", "bicycle", "hat"})
    assert not true
    assert false == {"with a umbrella", "riding a bicycle", "wearing a hat"}


def test_things_stand_on_what_is_below_them():
    road, grass = box((0, 50, 120, 100)), box((0, 30, 120, 50))
    segmented = sample({"car": box((30, 40, 60, 70)), "road": road & ~box((30, 40, 60, 70)), "grass": grass})
    true, false = said(segmented, "car", "relation")
    assert "on the road" in true
    assert "on the grass" in false


def actor(names: set[str], mask: np.ndarray, facts: set[str], open_to: set[str] = frozenset()) -> Thing:
    return Thing(frozenset(names), mask, frozenset(facts), frozenset(open_to))


def test_made_scenes_know_how_their_actors_move():
    runner, stander = box((5, 20, 20, 60)), box((70, 20, 85, 60))
    things = [
        actor({"person"}, runner, {"running", "to the left", "upright"}),
        actor({"person"}, stander, {"standing", "upright"}),
    ]
    segmented = sample({"person": runner | stander}, things=things)
    masks = dict(Qualifier(segmented, lambda name: False).verdicts("person", "motion"))
    assert np.array_equal(masks["running"], runner)
    assert np.array_equal(masks["standing"], stander)
    assert masks["walking"] is None
    assert "parked" not in masks
    assert said(segmented, "person", "pose") == ({"upright"}, {"lying"})


def test_a_person_of_the_picture_itself_leaves_the_motion_open():
    walker, own = box((5, 20, 20, 60)), box((70, 20, 85, 60))
    segmented = sample({"person": walker | own}, things=[actor({"person"}, walker, {"walking"})])
    assert said(segmented, "person", "motion") == (set(), set())


def test_actors_are_counted():
    places = [box((10 * i, 20, 10 * i + 6, 60)) for i in range(8)]

    def scene(count: int) -> tuple[set[str], set[str]]:
        things = [actor({"person"}, mask, {"walking"}) for mask in places[:count]]
        return said(sample({"person": np.logical_or.reduce(places[:count])}, things=things), "person", "number")

    assert scene(1) == ({"one"}, {"two", "several", "crowd"})
    assert scene(2) == ({"two"}, {"one", "crowd"})  # some call two several
    assert scene(3) == ({"several"}, {"one", "two", "crowd"})
    assert scene(8) == ({"crowd"}, {"one", "two"})


def test_two_people_side_by_side_are_not_called_one():
    assert said(sample({"person": box((20, 20, 60, 80))}), "person", "number") == (set(), set())
    assert said(sample({"person": box((20, 20, 60, 80))}, dataset="humans"), "person", "number")[0] == {"one"}


def test_draws_are_true_or_false_as_asked_and_never_repeat():
    red = box((10, 20, 40, 50))
    segmented = sample({"car": red}, colours=[(red, (200, 20, 25))])
    qualifier = Qualifier(segmented, lambda name: False)
    taken: set[tuple[str, str]] = set()
    for _ in range(4):
        rng = np.random.default_rng(len(taken))
        drawn = draw_qualified(qualifier, ["car"], true=False, say=str, rng=rng, taken=taken, kinds=["colour"])
        assert drawn is not None
        assert not drawn.mask.any()
        assert (drawn.name, drawn.word) not in taken
        taken.add((drawn.name, drawn.word))
    true = draw_qualified(qualifier, ["car"], true=True, say=str, rng=np.random.default_rng(0), kinds=["colour"])
    assert true is not None
    assert true.mask.any()
    assert split_phrase(true.text).noun == "car"


def test_every_pattern_keeps_its_noun_apart():
    rng = np.random.default_rng(0)
    texts = [any_qualified("lorry", rng) for _ in range(300)]
    assert {split_phrase(text).noun for text in texts} == {"lorry", "lorrys"}
    assert all(split_phrase(text).qualifiers for text in texts)
    for group in UNPROVEN.values():
        for pattern in group:
            phrase = split_phrase(pattern.format(n="lorry"))
            assert phrase.noun == "lorry", pattern
            assert phrase.qualifiers, pattern


def test_unproven_texts_are_false_everywhere():
    segmented = sample({"person": box((20, 20, 40, 80))})
    drawn = draw_unproven(
        Qualifier(segmented, lambda name: False), ["person"], say=str, rng=np.random.default_rng(0), taken=()
    )
    assert drawn is not None
    assert drawn.kind == "unproven"
    assert not drawn.mask.any()


def test_things_are_nouns_that_can_be_counted():
    assert is_thing("car")
    for name in ("sky", "road", "fast-moving person", "parked vehicle", "building or vegetation"):
        assert not is_thing(name)
    assert plural("person") == "people"
    assert put("two", "person", np.random.default_rng(1)).split()[-1] in ("people", "together")
    assert set(KINDS) == {"colour", "place", "size", "number", "relation", "motion", "pose"}


def test_probes_put_true_and_false_words_of_a_kind_beside_each_other():
    mask = box((10, 30, 60, 90))
    qualifier = Qualifier(sample({"car": mask}, colours=[(mask, (200, 20, 25))]), lambda _: False)
    rng = np.random.default_rng(0)
    probes = draw_probes(qualifier, ["car"], most=12, unproven=0.2, say=lambda name: name, rng=rng)
    assert 6 < len(probes) <= 12 and sum(probe.kind == "unproven" for probe in probes) == 2
    colours = [probe for probe in probes if probe.kind == "colour"]
    assert any("red" in probe.text for probe in colours if probe.mask is not None)
    assert all("red" not in probe.text for probe in colours if probe.mask is None)
    assert all((probe.noun == mask).all() for probe in probes)
    assert draw_probes(qualifier, [], most=4, unproven=0.5, say=lambda name: name, rng=rng) == ()


def test_people_are_in_the_colour_of_their_clothes():
    person, coat = box((40, 10, 80, 95)), box((42, 30, 78, 60))
    dressed = sample({"person": person, "coat": coat}, colours=[(coat, (200, 20, 25))], dataset="clothing_ccp")
    true, false = said(dressed, "person", "colour")
    assert true == {"in a red coat", "in red clothes"}
    assert {"in a blue coat", "in green clothes"} <= false
    assert split_phrase(put("in a red coat", "person", np.random.default_rng(0))).qualifiers == ("in a red coat",)
    undressed = replace(dressed, dataset="coco128")
    assert said(undressed, "person", "colour") == (set(), set())


def test_a_known_count_is_believed_before_what_is_connected():
    two = sample({"person": box((10, 10, 50, 90))})
    assert said(replace(two, counts={"person": 2}), "person", "number")[0] == {"two"}
    assert said(two, "person", "number") == (set(), set())


def test_a_count_holds_while_the_view_shows_the_class_whole_and_once():
    whole = replace(sample({"car": box((5, 20, 15, 30))}), counts={"car": 2})
    seen = cut = 0
    for seed in range(60):
        view = reframe(whole, size=(H, W), rng=np.random.default_rng(seed), scale=(0.5, 2.0), drop_share=0)
        if "car" in view.counts:
            assert view.counts == {"car": 2} and view.masks["car"].any()
            seen += 1
        else:
            cut += 1
    assert seen > 15 and cut > 5
