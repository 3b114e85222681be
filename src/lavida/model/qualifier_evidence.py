"""What qualifies a thing (beyond the paper): the noun's map times a map of each qualifier.

One cosine between a pixel and a pooled sentence reads "red car" as "car" (docs/decisions.md). Here the noun keeps its
own evidence, and each qualifier of the text (`model.phrase`) gets logits of two kinds: where in the picture it holds,
from features that know colour, place and motion, and whether it holds of the thing as a whole, from the features
pooled under the noun's map with its size, place and number, and from how the map of what the qualifier names ("with a
backpack") lies to it. The text is where both are: probabilities multiply.
"""

import torch
from torch import nn
from torch.nn import functional as F

from lavida.model.alignment import on_maps
from lavida.model.kernels import one_minus_exp

PEAKS = (3, 5, 9)  # side of the window in which a peak of the noun's map is the highest: things closer count as one
SURE = (0.0, 2.0)  # logits from which a peak counts
STATISTICS = 7 + len(PEAKS) * len(SURE)
RELATIONS = 6
NEAR, BELOW = 5, 2  # window of what is beside a thing; how far below it the ground is looked at; positions
PLACE_SCALE = 3.0  # of coordinates in -1..1


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
        # layers of their own: beside 128 channels of features, two coordinates in one layer are never heard
        self.features = nn.Conv2d(vision_dim, dim, 3, padding=1)
        self.cues = nn.Conv2d(cues + 2, dim, 3, padding=1)
        self.pixel = nn.Sequential(
            nn.GELU(), nn.Conv2d(dim, dim, 3, padding=2, dilation=2), nn.GELU(), nn.Conv2d(dim, dim, 1)
        )
        self.mean = nn.Linear(dim, dim)
        self.statistics = nn.Linear(STATISTICS, dim)
        self.relations = nn.Linear(RELATIONS, dim)
        self.whole = nn.Sequential(nn.GELU(), nn.Linear(dim, dim))
        self.text = nn.Sequential(nn.Linear(3 * text_dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, 2 * dim))
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(
        self,
        level: torch.Tensor,
        cues: torch.Tensor,
        noun: torch.Tensor,
        named: torch.Tensor,
        *,
        f_noun: torch.Tensor,
        f_qualifier: torch.Tensor,
        f_named: torch.Tensor,
    ) -> torch.Tensor:
        """Logits `[B,T,K,Q,h,w]` of up to Q qualifiers of each of K categories.

        Args:
            level: `[B,T,D_v,h,w]`, f_v at stride 8.
            cues: `[B,T,C,h,w]`, what the features may have forgotten.
            noun: `[B,T,K,h,w]`, logits of the nouns; no gradient flows back through them.
            named: `[B,T,K,Q,h,w]`, logits of what each qualifier names ("backpack"), likewise.
            f_noun: `[B,K,D_t]`, features of the nouns: a large dog is small for a truck.
            f_qualifier: `[B,K,Q,D_t]`, those of the qualifiers.
            f_named: `[B,K,Q,D_t]`, those of what each of them names.
        """
        shape = level.shape[:2]
        seen = level.flatten(0, 1)
        features = self.features(F.normalize(seen.float(), dim=1) * seen.shape[1] ** 0.5)
        besides = self.cues(torch.cat([cues.flatten(0, 1), PLACE_SCALE * _coordinates(seen)], 1))
        pixels = self.pixel(features + besides).float().unflatten(0, shape)  # [B, T, D, h, w]
        texts = torch.cat([f_qualifier, f_named, f_noun[:, :, None].expand_as(f_named)], -1) * f_named.shape[-1] ** 0.5
        local, whole = self.text(texts).float().chunk(2, -1)  # [B, K, Q, D] each
        where = on_maps(F.normalize(local, dim=-1).flatten(1, 2), F.normalize(pixels, dim=2))
        where = where.unflatten(2, local.shape[1:3])  # [B, T, K, Q, h, w]
        noun = noun.detach().float()
        mean, statistics = pooled(pixels, noun)
        things = (self.mean(mean) + self.statistics(statistics))[:, :, :, None]  # [B, T, K, 1, D]
        things = self.whole(things + self.relations(relations(noun, named.detach().float())))  # [B, T, K, Q, D]
        of_all = torch.einsum("btkqd,bkqd->btkq", F.normalize(things.float(), dim=-1), F.normalize(whole, dim=-1))
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


def pooled(pixels: torch.Tensor, noun: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of `pixels` `[B,T,D,h,w]` under each noun's map `[B,T,K,h,w]`, and what the map itself shows.

    Returns:
        `[B,T,K,D]`, and `[B,T,K,STATISTICS]`: the logarithm of its area, its middle and spread in both directions, the
        ratio of the spreads, how sure it is anywhere, and how many peaks it has, in windows of several sizes.
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
    tops = [noun == _highest(noun, window) for window in PEAKS]
    peaks = [(top & (noun > least)).flatten(3).sum(-1, keepdim=True) for top in tops for least in SURE]
    statistics = [
        torch.log(area / (height * width) + 1e-4) / 4,
        middle,
        2 * spread,
        ratio / 2,
        surest / 8,
        *(torch.log1p(count.float()) for count in peaks),
    ]
    return mean, torch.cat(statistics, -1)


def relations(noun: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
    """`[B,T,K,Q,RELATIONS]`: how the map of what a qualifier names lies to the map of its noun.

    Whether it is anywhere, and anywhere near the noun; its mean under, below and beside the noun; the part of it that
    is covered by the noun.

    Args:
        noun: logits `[B,T,K,h,w]`.
        named: logits `[B,T,K,Q,h,w]`.
    """
    there = noun.sigmoid()
    near = _highest(there, NEAR)
    below = F.pad(there, (0, 0, BELOW, 0))[..., : noun.shape[-2], :]
    there, near, below = there[:, :, :, None], near[:, :, :, None], below[:, :, :, None]  # [B, T, K, 1, h, w]
    other = named.sigmoid()

    def mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (values * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp(min=1e-3)

    found = [
        named.amax((-2, -1)) / 8,
        2 * (near * other).amax((-2, -1)) - 1,
        mean(named, there) / 8,
        2 * mean(other, below * (1 - there)) - 1,
        2 * mean(other, near * (1 - there)) - 1,
        2 * mean(there.expand_as(other), other) - 1,
    ]
    return torch.stack(found, -1)


def _highest(maps: torch.Tensor, window: int) -> torch.Tensor:
    """`[B,T,K,h,w]`: the highest value around each position."""
    return F.max_pool2d(maps.flatten(0, 2)[:, None], window, stride=1, padding=window // 2)[:, 0].view_as(maps)


def _coordinates(like: torch.Tensor) -> torch.Tensor:
    """x and y of each position in -1..1, `[N,2,h,w]`."""
    height, width = like.shape[-2:]
    y, x = (torch.arange(n, device=like.device, dtype=like.dtype).add(0.5).mul(2 / n).sub(1) for n in (height, width))
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)]).expand(like.shape[0], -1, -1, -1)
