"""The baseline without pictures: how much do the words of a prompt alone say?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from lavida.exposure.heldout import Prompt


class WordsAlone:
    """A bag of names: logistic regression on which names a prompt holds, and nothing else.

    Learns from prompts about training samples, drawn by the rule of the test.
    """

    def __init__(self, model: Pipeline) -> None:
        self._model = model

    @classmethod
    def learn(cls, prompts: Sequence[Prompt]) -> WordsAlone | None:
        """None where the prompts are not of both kinds, so that there is nothing to learn."""
        labels = [prompt.positive is not None for prompt in prompts]
        if len(set(labels)) < 2:
            return None
        model = make_pipeline(CountVectorizer(analyzer=_names), LogisticRegression(max_iter=1000))
        return cls(model.fit([prompt.categories for prompt in prompts], labels))

    def scores(self, prompts: Iterable[tuple[str, ...]]) -> NDArray[np.float64]:
        """Logits `[N]` that a named category is there; names that were never learnt from say nothing."""
        prompts = list(prompts)
        return self._model.decision_function(prompts) if prompts else np.zeros(0)


def _names(categories: tuple[str, ...]) -> tuple[str, ...]:
    """A name is one word, however many it is written with."""
    return categories
