"""Token compression (Eq. 3 and 4) as a graph: `model.compression` in mode "exact", of one clip.

Without loops over blocks it holds `[L, L]` matrices, which for the few hundred tokens of a clip are small.
"""

import math

import torch
from torch import Tensor

from lavida.model.kernels import at_least_one, at_most

SPARE = 4  # neighbours more than asked for that are measured, since the matmul's ranks are off by its rounding
EPSILON = 1e-10
MANY = 2**24 - 1  # OpenVINO computes integers as float32 here and there, which holds no larger one exactly
NEAREST = 3  # references whose distance is measured


def compress_graph(tokens: Tensor, slots: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`[L, D]` to R merged tokens and where they stand in the sequence, int64 `[R]` ascending.

    `slots` is `arange(R)`: its length says how many are kept.
    """
    length, width = tokens.shape
    count = slots.shape[0]
    centred = tokens - tokens.mean(0)
    norms = centred.square().sum(1)
    squared = norms[:, None] + norms - 2 * (centred @ centred.T)  # [L, L], to rank them
    places = torch.arange(length)
    others = squared.masked_fill(places[:, None] == places, torch.inf)
    partners = at_least_one(length - 1)
    near = others.topk(at_most(k + SPARE, partners), largest=False).indices
    density = k / (
        _measured(tokens, near).topk(at_most(k, partners), largest=False).values.sum(1) + EPSILON
    )  # [L], Eq. 3
    # of equals the lower index, as ONNX's TopK has it
    keep = -(-density.topk(count).indices.float()).topk(count).values
    keep = keep.long()

    candidates = squared[:, keep].topk(at_most(NEAREST, count), largest=False).indices  # [L, C]
    exact = _measured(tokens, keep[candidates])
    least = exact.amin(1, keepdim=True)
    own = candidates.masked_fill(exact != least, MANY).amin(1, keepdim=True)  # N_i, the lower of equals
    itself = places[:, None] == keep  # [L, R]
    mine = itself | (~itself.any(1, keepdim=True) & (own == slots))
    logits = -(tokens @ tokens[keep].T) / math.sqrt(int(width))  # [L, R]
    attention = logits.masked_fill(~mine, -torch.inf).softmax(0)  # Eq. 4
    return attention.T @ tokens, keep


def _measured(tokens: Tensor, partners: Tensor) -> Tensor:
    """Squared distance of each token to its own partners `[L, C]`, exact where the matmul leaves noise."""
    return (tokens[partners] - tokens[:, None]).square().sum(-1)
