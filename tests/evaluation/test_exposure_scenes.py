from pathlib import Path

import numpy as np
import pytest

from lavida.evaluation.held_out.questions import ROWS, MovingScenes


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_each_clear_scene_is_asked_for_the_word_with_and_without_it(kit: Path, known_bank: None, row: str):
    word, otherwise = ROWS[row]
    questions = list(MovingScenes(kit, row, scenes=12))
    assert len(questions) == 12
    asked = [question for question in questions if question.prompts]
    for question in asked:
        (prompt,) = question.prompts
        masks = question.sample.masks
        assert word in prompt.categories and len(set(prompt.categories)) == 5
        assert (prompt.positive == word) == (word in masks and masks[word].any())
        if prompt.positive is None:
            assert word not in masks and masks[otherwise].any()
        assert not {name for name in prompt.categories if name != word} & {n for n, m in masks.items() if m.any()}
        assert question.sample.before.shape == question.sample.frames.shape
    positives = sum(question.prompts[0].positive is not None for question in asked)
    assert 3 <= positives <= len(asked) - 3
    again = MovingScenes(kit, row, scenes=2)
    assert all(np.array_equal(a.sample.frames, b.sample.frames) for a, b in zip(questions, again, strict=False))
