"""The baseline without training: the backbone's own ImageNet classifier, matched to the words by their meaning."""

from collections.abc import Sequence

import torch

from lavida.model.alignment import ClassifierEvidence, presence
from lavida.model.lavida import LavidaModel


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
