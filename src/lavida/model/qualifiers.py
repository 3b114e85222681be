"""What qualifies a thing (beyond the paper): the noun's map times a map of each qualifier.

One cosine between a pixel and a pooled sentence reads "red car" as "car" (docs/decisions.md). Here the noun keeps its
own evidence, and each qualifier of the text (`model.phrase`) gets logits of two kinds: where in the picture it holds,
from features that know colour, place and motion, and whether it holds of the thing as a whole, from the features
pooled under the noun's map with its size, place and number. The text is where both are: probabilities multiply.
"""

import torch
from torch import nn
from torch.nn import functional as F

from lavida.model.kernels import one_minus_exp

STATISTICS = 9
PEAK = 5  # positions to each side and between that a peak of the noun's map overlooks: things closer count as one


class QualifierEvidence(nn.Module):
    """Logits of each qualifier at stride 8.

    Args:
        vision_dim: D_v of the features at stride 8.
        cues: Channels of `VisionFeatures.cues`.
        text_dim: D_t of the qualifier's and the noun's features.
        dim: Of the common space.
    """

    def __init__(self, *, vision_dim: int, cues: int, text_dim: int, dim: int):
        super().__init__()
        self.pixel = nn.Sequential(
            nn.Conv2d(vision_dim + cues + 2, dim, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(dim, dim, 3, padding=2, dilation=2),
            nn.GELU(),
            nn.Conv2d(dim, dim, 1),
        )
        self.whole = nn.Sequential(nn.Linear(dim + STATISTICS, dim), nn.GELU(), nn.Linear(dim, dim))
        self.text = nn.Sequential(nn.Linear(2 * text_dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, 2 * dim))
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(
        self, level: torch.Tensor, cues: torch.Tensor, noun: torch.Tensor, qualifiers: torch.Tensor, nouns: torch.Tensor
    ) -> torch.Tensor:
        """Logits `[B,T,K,Q,h,w]` of up to Q qualifiers of each of K categories.

        Args:
            level: `[B,T,D_v,h,w]`, f_v at stride 8.
            cues: `[B,T,C,h,w]`, what the features may have forgotten.
            noun: `[B,T,K,h,w]`, logits of the nouns; no gradient flows back through them.
            qualifiers: `[B,K,Q,D_t]`, features of their texts.
            nouns: `[B,K,D_t]`, those of the nouns: a large dog is small for a truck.
        """
        shape = level.shape[:2]
        seen = torch.cat([level.flatten(0, 1), cues.flatten(0, 1), _coordinates(level.flatten(0, 1))], 1)
        pixels = self.pixel(seen).float().unflatten(0, shape)  # [B, T, D, h, w]
        texts = torch.cat([qualifiers, nouns[:, :, None].expand_as(qualifiers)], -1)
        local, whole = self.text(texts).float().chunk(2, -1)  # [B, K, Q, D] each
        where = torch.einsum("btdhw,bkqd->btkqhw", F.normalize(pixels, dim=2), F.normalize(local, dim=-1))
        things = self.whole(pooled(pixels, noun.detach().float()))  # [B, T, K, D]
        of_all = torch.einsum("btkd,bkqd->btkq", F.normalize(things.float(), dim=-1), F.normalize(whole, dim=-1))
        return (where + of_all[..., None, None]) * self.scale + self.bias


def qualified(noun: torch.Tensor, qualifiers: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Logits `[B,T,K,h,w]` of a thing and all that qualifies it: the product of their probabilities.

    Args:
        noun: `[B,T,K,h,w]`.
        qualifiers: `[B,T,K,Q,h,w]`.
        present: bool `[B,K,Q]`, False for padding. Without a qualifier the noun's logits stay as they are.
    """
    log_probability = F.logsigmoid(qualifiers.float()).masked_fill(~present[:, None, :, :, None, None], 0).sum(3)
    log_probability = log_probability + F.logsigmoid(noun.float())
    both = log_probability - torch.log(one_minus_exp(log_probability.clamp(max=-1e-6)))  # [B, T, K, h, w]
    return torch.where(present.any(-1)[:, None, :, None, None], both, noun.float())


def pooled(pixels: torch.Tensor, noun: torch.Tensor) -> torch.Tensor:
    """`[B,T,K,D+9]`: the mean of `pixels` `[B,T,D,h,w]` under each noun's map `[B,T,K,h,w]`, and what the map shows.

    That is: the logarithm of its area, its middle and spread in both directions, the ratio of the spreads, how sure
    it is anywhere, the number of its peaks and of sure peaks.
    """
    height, width = noun.shape[-2:]
    weight = noun.sigmoid().flatten(3)  # [B, T, K, h*w]
    area = weight.sum(-1, keepdim=True)
    share = weight / area.clamp(min=1e-6)
    mean = torch.einsum("btkn,btdn->btkd", share, pixels.flatten(3))
    grid = _coordinates(noun.new_zeros(1, 1, height, width)).flatten(2)[0]  # [2, h*w]
    middle = share @ grid.T  # [B, T, K, 2]
    spread = (share @ (grid.T**2) - middle**2).clamp(min=1e-8).sqrt()
    ratio = (spread[..., :1] / spread[..., 1:]).log()
    surest = noun.flatten(3).amax(-1, keepdim=True)
    top = F.max_pool2d(noun.flatten(0, 2)[:, None], PEAK, stride=1, padding=PEAK // 2)[:, 0].view_as(noun)
    peaks = [((noun == top) & (noun > least)).flatten(3).sum(-1, keepdim=True).float() for least in (0.0, 2.0)]
    statistics = [
        torch.log(area / (height * width) + 1e-4) / 4,
        middle,
        2 * spread,
        ratio / 2,
        surest / 8,
        *(torch.log1p(count) for count in peaks),
    ]
    return torch.cat([mean, *statistics], -1)


def _coordinates(like: torch.Tensor) -> torch.Tensor:
    """x and y of each position in -1..1, `[N,2,h,w]`."""
    height, width = like.shape[-2:]
    y, x = (torch.arange(n, device=like.device, dtype=like.dtype).add(0.5).mul(2 / n).sub(1) for n in (height, width))
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)]).expand(like.shape[0], -1, -1, -1)
