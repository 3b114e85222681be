"""Rounded weights whose errors cancel each other.

In bf16, rounded to the nearest, each weight of a depthwise kernel is off by up to 0.4 % in whatever direction; their
sum, which is what they make of an even surface, is then wrong wherever there is one, and 21 layers add up. Some are
rounded the other way instead, so that the sum stays: the logits of frames are a third nearer to those in float32, and
what is left comes from activations. The idea is that of adaptive rounding (Nagel et al. 2020), with the sum as all that
is known of the inputs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bf16_keeping_sums(kernels: NDArray[Any]) -> NDArray[np.float32]:
    """Kernels `[N, weights]` as numbers that bf16 holds, the sum of each as near to its own as it gets.

    Each weight becomes one of its two neighbours in bf16.
    """
    exact = np.ascontiguousarray(kernels, np.float32)
    below = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)  # nearer to zero
    above = (exact.view(np.uint32) + 0x10000 & 0xFFFF0000).view(np.float32)
    nearer = np.abs(exact - below) <= np.abs(above - exact)
    rounded, other = np.where(nearer, below, above).astype(np.float64), np.where(nearer, above, below)
    change = other - rounded
    off = rounded.sum(1) - exact.sum(1, dtype=np.float64)
    rows = np.arange(len(exact))
    for _ in range(exact.shape[1]):
        best = np.abs(off[:, None] + change).argmin(1)
        turned = change[rows, best]
        turned[np.abs(off + turned) >= np.abs(off)] = 0
        if not turned.any():
            break
        rounded[rows, best] += turned
        off += turned
        change[rows[turned != 0], best[turned != 0]] = 0  # once
    return rounded.astype(np.float32)


def whole_keeping_sums(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows `[N, weights]` as whole numbers, each at most 1 off, the sum of a row its own to the nearest.

    All steps are equal here, so those that were rounded farthest turn: no search, for rows of thousands. Rounded to the
    nearest alone, matrices of twelve bits leave four times the error in frame logits (docs/decisions.md).
    """
    rounded = np.rint(rows)
    errors = rounded - rows
    off = np.rint(errors.sum(1)).astype(np.int64)
    ranks = np.argsort(np.argsort(-np.sign(off)[:, None] * errors))  # 0: rounded farthest in the direction of the sum
    return (rounded - np.sign(off)[:, None] * (ranks < np.abs(off)[:, None])).astype(np.int64)
