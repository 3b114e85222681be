"""Anomaly exposure: segmentation data sets become anomaly samples (Sec. 3.3, Eq. 1, 2)."""

from lavida.exposure.balance import even_weights
from lavida.exposure.datasets import load
from lavida.exposure.heldout import Prompt, heldout_prompts
from lavida.exposure.mixture import Mixture
from lavida.exposure.sample import Exposure, SegmentationDataset, Segmented
from lavida.exposure.sampler import AnomalyExposureSampler
from lavida.exposure.vocabulary import Vocabulary

__all__ = [
    "AnomalyExposureSampler",
    "Exposure",
    "Mixture",
    "Prompt",
    "SegmentationDataset",
    "Segmented",
    "Vocabulary",
    "even_weights",
    "heldout_prompts",
    "load",
]
