"""Dense text-pixel alignment (beyond the paper): per-category evidence maps.

The paper's only path from words to a frame score is the prompt f_proj; with little training data that channel
learns presence slowly (docs/decisions.md). Here every category gets a map of logits, trained with its mask, from
two sources: a learned cosine between pixels and words, and the ImageNet classifier that the backbone carries
anyway, read as a convex combination of word embeddings (ConSE, Norouzi et al. 2014), which knows words that no
training mask ever named.
"""

import torch
from torch import nn
from torch.nn import functional as F

from lavida.model.kernels import at_least_one

TOP_SHARE = 200  # presence = mean of one in so many positions: small objects count, single pixels do not


class ClassifierEvidence(nn.Module):
    """Similarity of a category to what a 1,000-class classifier sees at each position.

    Three features a position: the expected similarity of what is seen to the category; the probability of just the
    classes that mean nearly the same (a cab is like a bicycle, but is none); how near the nearest class is at all.
    """

    SYNONYM = 0.75  # of the nearest class's similarity: where the classes begin that mean nearly the same

    def __init__(self, *, classes: int, text_dim: int, hidden: int = 16):
        super().__init__()
        self.class_features = nn.Buffer(torch.zeros(classes, text_dim))  # filled once from the class names
        self.to_logit = nn.Sequential(nn.Linear(3, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, class_logits: torch.Tensor, f_c: torch.Tensor) -> torch.Tensor:
        """`class_logits` `[B,T,C,h,w]`, `f_c` `[B,K,D_t]` (unit length) -> logits `[B,T,K,h,w]`."""
        with torch.autocast(class_logits.device.type, enabled=False):
            similarity = f_c.float() @ self.class_features.float().T  # [B, K, C]
            nearest = similarity.amax(-1, keepdim=True).clamp(min=1e-6)
            synonyms = (similarity / nearest - self.SYNONYM).clamp(min=0) / (1 - self.SYNONYM)  # 1 for the nearest
            posterior = class_logits.float().softmax(2).flatten(3)  # [B, T, C, h*w]
            # a word that is near to everything gets no credit
            expected = (similarity - similarity.mean(-1, keepdim=True))[:, None] @ posterior  # [B, T, K, h*w]
            seen = synonyms[:, None] @ posterior  # [B, T, K, h*w]
            known = nearest[:, None].expand_as(seen)
        features = torch.stack([8 * expected, 4 * seen, 2 * known - 1], -1)
        return self.to_logit(features)[..., 0].unflatten(3, class_logits.shape[-2:])


class Alignment(nn.Module):
    """Evidence logits of each category at stride 8 and their presence in a frame."""

    def __init__(
        self,
        *,
        vision_dim: int,
        text_dim: int,
        dim: int,
        classifier: ClassifierEvidence | None,
        drop: float = 0.2,
    ):
        super().__init__()
        self.pixel = nn.Sequential(
            nn.Conv2d(vision_dim, dim, 3, padding=1), nn.GELU(), nn.Conv2d(dim, dim, 3, padding=1)
        )
        self.text = nn.Sequential(nn.Linear(text_dim, dim), nn.GELU(), nn.Linear(dim, dim))
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.tensor(-3.0))
        self.classifier = classifier
        self.drop = drop

    def forward(self, level: torch.Tensor, f_c: torch.Tensor, class_logits: torch.Tensor | None) -> torch.Tensor:
        """`level` `[B,T,D_v,h,w]`, `f_c` `[B,K,D_t]`, `class_logits` `[B,T,C,h',w']` -> `[B,T,K,h,w]`."""
        batch, length = level.shape[:2]
        pixels = F.normalize(self.pixel(level.flatten(0, 1)).float(), dim=1).unflatten(0, (batch, length))
        words = F.normalize(self.text(f_c).float(), dim=-1)  # [B, K, D]
        cosine = on_maps(words, pixels) * self.scale
        if self.training and self.classifier is not None:
            # some words are left to the classifier alone, so that its logits stand on their own for unseen words
            keep = torch.rand(batch, 1, f_c.shape[1], 1, 1, device=level.device) >= self.drop
            cosine = cosine * keep
        evidence = cosine + self.bias
        if self.classifier is not None and class_logits is not None:
            prior = self.classifier(class_logits, f_c)  # [B, T, K, h', w']
            prior = F.interpolate(prior.flatten(0, 1), size=level.shape[-2:], mode="bilinear")
            evidence = evidence + prior.unflatten(0, (batch, length))
        return evidence


def on_maps(texts: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """The product of features `[B,K,D]` with each place of maps `[B,T,D,h,w]`: `[B,T,K,h,w]`."""
    return (texts[:, None] @ maps.flatten(3)).unflatten(-1, maps.shape[-2:])  # an einsum would turn the maps first


def presence(evidence: torch.Tensor) -> torch.Tensor:
    """Is the category anywhere in the frame? `[B,T,K,h,w]` -> logits `[B,T,K]`: mean of the top positions."""
    flat = evidence.flatten(3)
    return flat.topk(at_least_one((flat.shape[-1] + TOP_SHARE // 2) // TOP_SHARE), -1).values.mean(-1)
