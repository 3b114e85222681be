"""What a model has to beat: the words of a prompt alone, and the backbone's own classifier without training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from lavida.checkpoints.pretrained import LavidaModel
from lavida.exposure.heldout import Prompt
from lavida.model.alignment import ClassifierEvidence, presence


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


def untrained_scores(
    model: LavidaModel, class_logits: torch.Tensor | None, categories: Sequence[str]
) -> torch.Tensor | None:
    """How much the classifier sees of the strongest category, `[T]` in [0, 1]; no learned weight takes part.

    The share of the classes that mean nearly the same as a category in what the classifier sees at a position, as in
    `ClassifierEvidence`; the mean of the top positions of each map; the strongest category. Of the two similarities
    used there, this one does better on the data kit than the expected similarity (ConSE, Norouzi et al., 2014).

    Args:
        model: its text encoder and class names are used.
        class_logits: `[T,C,h,w]` of the backbone.
        categories: K names.

    Returns:
        None where the backbone has no classifier or the model does not know its class names.
    """
    if class_logits is None or not model.config.classifier_evidence:
        return None
    least = ClassifierEvidence.SYNONYM
    with torch.autocast(class_logits.device.type, enabled=False):
        similarity = model.text(list(categories)).float() @ model.alignment.classifier.class_features.float().T
        nearest = similarity.amax(-1, keepdim=True).clamp(min=1e-6)
        synonyms = (similarity / nearest - least).clamp(min=0) / (1 - least)  # [K, C], 1 for the nearest class
        seen = torch.einsum("kc,tchw->tkhw", synonyms, class_logits.float().softmax(1))
    return presence(seen[None])[0].amax(-1)
