"""Anomaly exposure: segmentation data sets become anomaly samples (Sec. 3.3, Eq. 1, 2)."""

from lavida.exposure.datasets import load
from lavida.exposure.heldout import Query, heldout_prompts
from lavida.exposure.mixture import Mixture
from lavida.exposure.sample import ExposedSample, SegmentationDataset, SegmentationSample
from lavida.exposure.sampler import AnomalyExposureSampler, even_weights
from lavida.exposure.vocabulary import Vocabulary

__all__ = [
    "AnomalyExposureSampler",
    "ExposedSample",
    "Mixture",
    "Query",
    "SegmentationDataset",
    "SegmentationSample",
    "Vocabulary",
    "even_weights",
    "heldout_prompts",
    "load",
]


def __getattr__(name: str) -> type:
    """The names of one version ago, told as deprecated where they are kept."""
    from lavida.exposure import heldout, sample

    if name not in ("Segmented", "Exposure", "Prompt"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(heldout if name == "Prompt" else sample, name)
