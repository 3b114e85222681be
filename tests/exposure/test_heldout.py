from collections import Counter

import numpy as np
import pytest
from scenes import HEIGHT, WIDTH, Scenes, box, scene, toy_vocabulary

from lavida.errors import InputError
from lavida.exposure.heldout import (
    HeldoutQuestions,
    Query,
    evenly_spread,
    heldout_prompts,
    removed_prompts,
    sample_prompts,
)
from lavida.exposure.vocabulary import Vocabulary

WHOLE = box(0, HEIGHT, 0, WIDTH)


class Counted(Scenes):
    """Counts how often each sample is read."""

    def __init__(self, samples):
        super().__init__(samples)
        self.reads = Counter()

    def __getitem__(self, index):
        self.reads[index] += 1
        return super().__getitem__(index)


def test_a_positive_among_absent_names_and_absent_names_alone():
    data = Scenes([scene({"w0": box(0, 12, 0, 16), "w1": box(0, 1, 0, 2)}), scene({"w2": box(0, 1, 0, 2)})])
    prompts = heldout_prompts(data, vocabulary=toy_vocabulary())
    # w1 and w2 cover less than 0.5 %
    assert [(p.index, p.positive) for p in prompts] == [(0, "w0"), (0, None), (1, None)]
    assert all(len(set(p.categories)) == 5 for p in prompts)
    assert "w0" in prompts[0].categories and not {"w1", "w8", "w9"} & set(prompts[0].categories)
    assert not {"w2", "w8", "w9"} & set(prompts[2].categories)


def test_the_prompts_are_those_of_the_first_version():
    """Published numbers belong to these draws."""
    data = Scenes([scene({"w0": WHOLE, "w3": WHOLE}), scene({"w2": WHOLE})])
    assert heldout_prompts(data, vocabulary=toy_vocabulary()) == [
        Query(0, ("w5", "w7", "w2", "w3", "w4"), "w3"),
        Query(0, ("w5", "w4", "w10", "w11", "w7"), None),
        Query(1, ("w2", "w6", "w10", "w4", "w7"), "w2"),
        Query(1, ("w7", "w1", "w5", "w11", "w0"), None),
    ]


def test_a_class_that_is_large_in_one_frame_of_a_clip_may_be_asked_for():
    clip = np.zeros((4, HEIGHT, WIDTH), bool)
    clip[2, :3, :3] = True  # 1.2 % of its frame, 0.3 % of the clip
    small = np.zeros_like(clip)
    small[:, 0, :3] = True  # 0.4 % of every frame
    positives = {p.positive for p in sample_prompts(scene({"w0": clip, "w1": small}), 0, vocabulary=toy_vocabulary())}
    assert positives == {"w0", None}


def test_what_is_said_of_a_referred_object_is_never_called_absent():
    sample = scene({"the thing with word 3": WHOLE}, expressions={"the thing with word 3": ("it is near word 4",)})
    for index in range(20):
        positive, negative = sample_prompts(sample, index, vocabulary=toy_vocabulary())
        assert positive.positive == "the thing with word 3"
        assert not {"w3", "w4"} & {*positive.categories, *negative.categories}


def test_a_sample_is_read_once_for_all_its_prompts():
    data = Counted([scene({"w0": WHOLE}), scene({"w1": WHOLE}), scene({"w2": WHOLE})])
    words = toy_vocabulary()
    questions = HeldoutQuestions(data, vocabulary=words, asked=[0, 2], removed=["w1", "w2"], seeds=range(3))
    asked = {q.index: q for q in questions}
    assert data.reads == {0: 1, 1: 1, 2: 1} and len(questions) == 3
    assert [(len(asked[i].prompts), len(asked[i].removed)) for i in range(3)] == [(6, 0), (0, 6), (6, 6)]
    assert len(set(asked[2].prompts)) == 6  # every seed draws anew
    assert asked[2].prompts[:2] == tuple(sample_prompts(asked[2].sample, 2, vocabulary=words))


def test_only_the_asked_samples_are_read_where_nothing_was_removed():
    data = Counted([scene({"w0": WHOLE})] * 4)
    questions = HeldoutQuestions(data, vocabulary=toy_vocabulary(), asked=[3, 1])
    assert [q.index for q in questions] == [1, 3] and len(questions) == 2
    assert data.reads == {1: 1, 3: 1} and all(q.removed == () for q in questions)


def test_a_removed_class_is_asked_for_among_names_of_the_training_and_denied_by_another_removed_one():
    removed = {"w0", "w1", "w2", "w3"}
    sample = scene({"w0": WHOLE, "w1": WHOLE, "w4": WHOLE, "w2": box(0, 1, 0, 2)})  # w2 is too small to ask for
    for index in range(20):
        prompts = removed_prompts(sample, index, vocabulary=toy_vocabulary(), removed=removed)
        assert [p.positive for p in prompts] == ["w0", None, "w1", None]
        for prompt in prompts:
            assert len(set(prompt.categories)) == 5 and not {"w4", "w8", "w9"} & set(prompt.categories)
            # on both sides one removed word: it gives nothing away; w3 is the only one that is absent
            assert removed & set(prompt.categories) == {prompt.positive or "w3"}


def test_a_removed_class_needs_no_other_removed_one():
    prompts = removed_prompts(scene({"w0": WHOLE}), 0, vocabulary=toy_vocabulary(), removed={"w0"})
    assert [p.positive for p in prompts] == ["w0", None] and "w0" not in prompts[1].categories
    assert removed_prompts(scene({"w1": WHOLE}), 0, vocabulary=toy_vocabulary(), removed={"w0"}) == []


def test_too_few_absent_names_name_the_sample():
    sample = scene({f"w{i}": WHOLE for i in range(8)})  # w10 and w11 are left
    with pytest.raises(InputError, match="toys/0: fewer than 5 names"):
        sample_prompts(sample, 0, vocabulary=toy_vocabulary())
    few = {f"w{i}" for i in range(7)}
    with pytest.raises(InputError, match="toys/0: fewer than 5 names"):
        removed_prompts(scene({"w0": WHOLE}), 0, vocabulary=toy_vocabulary(), removed=few)


def test_evenly_spread():
    assert evenly_spread(5, None) == evenly_spread(5, 9) == [0, 1, 2, 3, 4]
    assert evenly_spread(9, 3) == [0, 4, 8] and len(set(evenly_spread(690, 250))) == 250


@pytest.mark.parametrize("name", ["camvid", "idd_lite", "coco128", "humans", "davis"])
def test_prompts_of_the_kit_are_valid_and_reproduce(name, heldout_sets):
    dataset, vocabulary = heldout_sets[name], Vocabulary.builtin()
    prompts = heldout_prompts(dataset, vocabulary=vocabulary, limit=12)
    assert prompts == heldout_prompts(dataset, vocabulary=vocabulary, limit=12)
    assert prompts != heldout_prompts(dataset, vocabulary=vocabulary, limit=12, seed=1)
    assert {p.index for p in prompts} == set(np.linspace(0, len(dataset) - 1, 12).round().astype(int).tolist())
    assert len(prompts) >= 20
    for prompt in prompts:
        masks = dataset[prompt.index].masks
        absent = set(prompt.categories) - {prompt.positive}
        assert len(absent) == (5 if prompt.positive is None else 4)
        assert not absent & vocabulary.conflicts(masks, name, scene=dataset[prompt.index].scene) and absent <= set(
            vocabulary.names
        )
        assert prompt.positive is None or masks[prompt.positive].mean() >= 0.005
    positives = [p.categories.index(p.positive) for p in prompts if p.positive]
    assert len(set(positives)) > 1
