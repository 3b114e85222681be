import numpy as np
import pytest
from scenes import Scenes, box, scene, toy_vocabulary

from lavida.exposure.heldout import heldout_prompts
from lavida.exposure.vocabulary import Vocabulary


def test_a_positive_among_absent_names_and_absent_names_alone():
    data = Scenes([scene({"w0": box(0, 12, 0, 16), "w1": box(0, 1, 0, 2)}), scene({"w2": box(0, 1, 0, 2)})])
    prompts = heldout_prompts(data, vocabulary=toy_vocabulary())
    # w1 and w2 cover less than 0.5 %
    assert [(p.index, p.positive) for p in prompts] == [(0, "w0"), (0, None), (1, None)]
    assert all(len(set(p.categories)) == 5 for p in prompts)
    assert "w0" in prompts[0].categories and not {"w1", "w8", "w9"} & set(prompts[0].categories)
    assert not {"w2", "w8", "w9"} & set(prompts[2].categories)


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
