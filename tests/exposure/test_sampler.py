from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scenes import HEIGHT, WIDTH, Scenes, box, scene, toy_vocabulary

from lavida.errors import InputError
from lavida.exposure.mixture import Mixture
from lavida.exposure.sampler import AnomalyExposureSampler, even_weights
from lavida.exposure.vocabulary import Vocabulary

NAMES = tuple(f"w{i}" for i in range(12))
PRESENT = {"w0": box(0, 6, 0, 6), "w1": box(10, 16, 10, 16)}


def draw(count, segmented=None, *, own_names=NAMES[:6], vocabulary=None, seed=0, **settings):
    settings = {"vocabulary": vocabulary or toy_vocabulary(), "phrases": False, **settings}
    sampler = AnomalyExposureSampler(**settings)
    rng = np.random.default_rng(seed)
    segmented, own = segmented or scene(PRESENT), sampler.own_names(own_names)
    return [sampler.sample(segmented, own, rng) for _ in range(count)]


def test_a_share_p_of_the_samples_is_anomalous():
    for p in (0.0, 0.3, 1.0):
        share = np.mean([e.frame_labels[0] for e in draw(1000, probability=p)])
        assert share == pytest.approx(p, abs=0.05)


def test_number_of_categories_is_uniform_from_one():
    counts = Counter(len(e.categories) for e in draw(2000, max_categories=5))
    assert set(counts) == {1, 2, 3, 4, 5}
    assert all(count == pytest.approx(400, abs=80) for count in counts.values())


def test_a_data_set_has_a_maximum_of_its_own():
    few = scene(PRESENT, dataset="few")
    counts = Counter(len(e.categories) for e in draw(900, few, max_categories=5, limits={"few": 3, "many": 7}))
    assert set(counts) == {1, 2, 3}
    assert all(count == pytest.approx(300, abs=60) for count in counts.values())
    assert max(len(e.categories) for e in draw(300, scene(PRESENT), max_categories=5, limits={"few": 3})) == 5
    many = scene(PRESENT, dataset="many")  # Table 3 varies max(K_E): a maximum of its own only lowers it
    assert max(len(e.categories) for e in draw(300, many, max_categories=2, limits={"many": 7})) == 2


def test_labels_agree_with_the_true_categories():
    for e in draw(300):
        true = {e.categories[i]: mask for i, mask in e.category_masks.items()}
        assert set(true) == set(e.categories) & set(PRESENT)
        assert all((mask == PRESENT[name]).all() for name, mask in true.items())
        union = np.logical_or.reduce([box(0, 0, 0, 0), *true.values()])
        assert (e.pixel_labels == union).all() and e.pixel_labels.shape == (1, HEIGHT, WIDTH)
        assert e.frame_labels.dtype == np.float32 and e.frame_labels[0] == bool(true)


def test_a_normal_sample_names_only_absent_things():
    for e in draw(200, probability=0.0):
        assert not e.category_masks and not e.pixel_labels.any() and e.frame_labels[0] == 0
        assert not set(e.categories) & set(PRESENT)


def test_some_anomalous_samples_have_several_true_categories():
    several = np.mean([len(e.category_masks) > 1 for e in draw(1000, probability=1.0)])
    assert 0.15 < several < 0.35
    assert {len(e.category_masks) for e in draw(300, probability=1.0, several=0.0)} == {1}
    assert np.mean([len(e.category_masks) > 1 for e in draw(300, probability=1.0, several=1.0)]) > 0.9


def test_the_true_category_may_stand_anywhere():
    places = Counter(next(iter(e.category_masks)) for e in draw(600, probability=1.0, max_categories=4))
    assert set(places) == {0, 1, 2, 3} and places[3] > 20


def test_irrelevant_names_come_from_the_own_set_and_from_the_others():
    drawn = Counter(n for e in draw(500, probability=0.0, max_categories=4) for n in e.categories)
    own = sum(drawn[n] for n in NAMES[2:6])
    assert 0.4 < own / drawn.total() < 0.65


def test_irrelevant_names_of_the_own_set_alone():
    for e in draw(300, irrelevant="own"):
        assert set(e.categories) <= set(NAMES[:6])
    # where a normal sample would have no category at all, one comes from elsewhere
    drawn = draw(300, irrelevant="own", own_names=("w0", "w1"))
    normal = [e.categories for e in drawn if not e.category_masks]
    assert all(len(names) == 1 and not set(names) & set(PRESENT) for names in normal)
    assert len(normal) == pytest.approx(150, abs=40)
    assert all(set(e.categories) <= set(PRESENT) for e in drawn if e.category_masks)


def test_a_share_of_the_irrelevant_names_are_further_words():
    def further(segmented=None, **settings):
        asked = draw(600, segmented, names=NAMES[:6], probability=0.0, max_categories=2, **settings)
        names = [name for e in asked for name in e.categories]
        return np.mean([name in NAMES[6:] for name in names]), set(names)

    assert further()[0] == 0
    share, names = further(negatives_only=NAMES, negatives_only_share=0.3)
    assert share == pytest.approx(0.3, abs=0.06) and names.isdisjoint(PRESENT)
    seen = {"w7": PRESENT["w1"]}
    assert "w7" not in further(scene(seen), negatives_only=NAMES, negatives_only_share=0.9)[1]


def test_never_irrelevant_what_may_be_there():
    vocabulary = toy_vocabulary(w0={"implies": ["w2"], "like": ["w3"], "maybe": ["w4"]})
    drawn = {n for e in draw(300, vocabulary=vocabulary, probability=0.0) for n in e.categories}
    assert drawn == {"w5", "w6", "w7", "w10", "w11"}


def test_two_categories_never_mean_the_same():
    vocabulary = toy_vocabulary(w0={"implies": ["w1"]}, w5={"like": ["w6"]})
    for e in draw(300, vocabulary=vocabulary):
        assert not {"w0", "w1"} <= set(e.categories)
        assert not {"w5", "w6"} <= set(e.categories)


def test_a_class_out_of_sight_is_neither_true_nor_irrelevant():
    sample = scene({"w0": box(0, 0, 0, 0), "w1": box(0, 4, 0, 4)})
    for e in draw(200, sample):
        assert "w0" not in e.categories
    for e in draw(50, scene({"w0": box(0, 0, 0, 0)}), probability=1.0):
        assert e.frame_labels[0] == 0 and not e.category_masks


def test_min_area_leaves_small_things_out():
    sample = scene({"w0": box(0, 2, 0, 2), "w1": box(0, 12, 0, 16)})
    names = {n for e in draw(100, sample, min_area=0.01) for n in e.categories}
    assert "w0" not in names and "w1" in names


def test_observed_labels_follow_the_object_and_letter_labels_follow_the_equation():
    mask = box(0, 6, 0, 6, frames=3)
    mask[1] = False
    sample = scene({"w0": mask})
    observed = {tuple(e.frame_labels) for e in draw(50, sample)}
    letter = {tuple(e.frame_labels) for e in draw(50, sample, labels="literal")}
    assert observed == {(1, 0, 1), (0, 0, 0)} and letter == {(1, 1, 1), (0, 0, 0)}


def test_phrases_say_the_same_and_expressions_only_what_is_true():
    sample = scene(PRESENT, expressions={"w0": ("the red one",)})
    seen = set()
    for e in draw(400, sample, phrases=True):
        seen.update(e.categories)
        for index, text in enumerate(e.categories):
            assert (text in {"w0", "word 0", "the red one", "w1", "word 1"}) == (index in e.category_masks)
    assert {"the red one", "word 0", "w5", "word 5"} <= seen


def test_no_phrase_says_a_removed_class():
    vocabulary = toy_vocabulary(w0={"phrases": ["next to a w5", "nought"]}, w2={"phrases": ["two", "unlike word 5"]})
    exposures = draw(300, phrases=True, names=[], own_names=NAMES[:5], vocabulary=vocabulary, removed=frozenset({"w5"}))
    texts = {text for e in exposures for text in e.categories}
    assert {"nought", "two", "w0", "w2"} <= texts
    assert not {"next to a w5", "unlike word 5"} & texts


def test_an_exposure_takes_over_what_its_sample_has_besides_the_labels():
    sample = replace(scene(PRESENT), motion=np.ones((1, 4, 6, 8), np.float16), ignore=box(0, 2, 0, 2))
    (e,) = draw(1, sample)
    assert e.motion is sample.motion and e.ignore is sample.ignore and e.frames is sample.frames
    assert (e.dataset, e.key) == (sample.dataset, sample.key)


def test_names_that_a_sample_was_searched_for_are_absent_unless_listed():
    sampler = AnomalyExposureSampler(vocabulary=toy_vocabulary(), names=(), phrases=False, probability=0.0)
    sample, rng = scene({**PRESENT, "fast w0": box(0, 0, 0, 0)}), np.random.default_rng(0)
    # w1 and w8 may be there; someone has looked
    own = sampler.own_names(NAMES[:4], motion_words=("fast w0", "slow w1", "w8"))
    drawn = {n for _ in range(50) for n in sampler.sample(sample, own, rng).categories}
    assert drawn == {"w2", "w3", "slow w1", "w8"}


def test_weights_shift_the_draws():
    weights = {"w0": 100.0, "w5": 100.0}
    exposures = draw(400, probability=0.5, max_categories=1, weights=weights)
    drawn = Counter(e.categories[0] for e in exposures)
    assert drawn["w1"] > 10 * max(1, drawn["w0"])
    assert drawn["w5"] > 3 * drawn["w4"]


def test_same_seed_same_exposure():
    first, again, other = (draw(20, seed=s, phrases=True) for s in (3, 3, 4))
    assert [e.categories for e in first] == [e.categories for e in again]
    assert [e.categories for e in first] != [e.categories for e in other]


def test_a_name_that_no_sample_shows_can_be_kept_out():
    drawn = {n for e in draw(200, names=NAMES[:6], probability=0.0) for n in e.categories}
    assert drawn == set(NAMES[2:6])


@pytest.mark.parametrize(
    "bad",
    [
        {"probability": 1.5},
        {"max_categories": 0},
        {"limits": {"x": 0}},
        {"labels": "none"},
        {"irrelevant": "all"},
        {"absent": "maybe"},
        {"class_share": 1.5},
        {"several": -0.1},
        {"ask_out_of_view": 2},
    ],
)
def test_bad_settings_are_named(bad):
    with pytest.raises(InputError):
        draw(1, **bad)


def test_earlier_names_of_settings_work_and_are_told():
    given = {"vocabulary": toy_vocabulary(), "ask_left": 0.75, "further": NAMES, "further_share": 0.3}
    with pytest.warns(DeprecationWarning, match="is now called") as told:
        sampler = AnomalyExposureSampler(**given, labels="letter")
    assert (sampler.ask_out_of_view, sampler.negatives_only_share, sampler.labels) == (0.75, 0.3, "literal")
    assert len(told) == 4 and {each.filename for each in told} == {__file__}


def test_no_irrelevant_name_is_an_input_error():
    with pytest.raises(InputError, match="toys/0"):
        draw(1, names=("w0", "w1"), own_names=("w0",), probability=0.0)


def test_no_conflict_over_the_real_data(train_sets):
    vocabulary = Vocabulary.builtin()
    sampler = AnomalyExposureSampler(vocabulary=vocabulary, phrases=False)
    rng = np.random.default_rng(0)
    for dataset in train_sets.values():
        for index in rng.integers(len(dataset), size=30):
            segmented = dataset[int(index)]
            conflicts = vocabulary.conflicts(segmented.masks, segmented.dataset, scene=segmented.scene)
            for _ in range(4):
                e = sampler.sample(segmented, dataset.vocabulary, rng)
                true = [e.categories[i] for i in e.category_masks]
                assert not conflicts & (set(e.categories) - set(true))
                assert len(set(e.categories)) == len(e.categories) >= 1
                assert all(mask.any() for mask in e.category_masks.values())


def test_even_weights_lift_rare_words_and_reproduce():
    # w0 is in every scene, so it can never be irrelevant; w1 and w2 share the rest.
    scenes = [scene({"w0": box(0, 24, 0, 32), name: box(4, 20, 6, 26)}) for name in ("w1", "w2", "w2", "w2")]
    mixture = Mixture([Scenes(scenes)], [1.0])
    samplers = [AnomalyExposureSampler(vocabulary=toy_vocabulary(), names=mixture.names) for _ in range(2)]
    first, again = (even_weights(sampler, mixture, draws=150) for sampler in samplers)
    assert first == again and set(first) == {"w0", "w1", "w2"}
    assert first["w0"] > first["w2"] > first["w1"]
    # and the sampler draws by them: w1 in place of w2, the other way round than without weights
    view, rng = scene({"w1": box(0, 6, 0, 6), "w2": box(8, 12, 8, 12)}), np.random.default_rng(0)
    true = Counter(name for _ in range(300) for name in samplers[0].choose(view, mixture.names, rng).true[:1])
    assert true["w1"] > true["w2"]


def test_even_weights_give_an_expression_its_part_of_what_is_true():
    said = {"the glip": ("a fony", "that drobe")}
    scenes = [scene({"the glip": box(2, 22, 2, 30)}, expressions=said), scene({"w1": box(2, 22, 2, 30)})]
    texts = Scenes(scenes)
    texts.vocabulary = ("the glip", "a fony", "that drobe", "w1")
    mixture = Mixture([texts], [1.0])
    sampler = AnomalyExposureSampler(vocabulary=toy_vocabulary(), names=mixture.names)
    weights = even_weights(sampler, mixture, draws=300)
    of_one = [weights[text] for text in texts.vocabulary[:3]]
    assert max(of_one) < 1.6 * min(of_one)
