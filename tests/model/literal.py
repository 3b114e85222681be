"""The paper's compression and SAM 2's losses, loop by loop in float64, for the tests to compare to."""

import math

import numpy as np


def density(tokens: np.ndarray, k: int) -> np.ndarray:
    """Eq. 3 for every token, from all pairwise differences."""
    tokens = np.asarray(tokens, np.float64)
    k = min(k, len(tokens) - 1)
    result = np.zeros(len(tokens))
    for i in range(len(tokens)):
        others = sorted(np.delete(((tokens[i] - tokens) ** 2).sum(1), i).tolist())
        result[i] = k / (math.fsum(others[:k]) + 1e-10)
    return result


def references(densities: np.ndarray, count: int) -> list[int]:
    """The `count` densest, the lower index first among equals, ascending."""
    return sorted(sorted(range(len(densities)), key=lambda i: (-densities[i], i))[:count])


def assignment(tokens: np.ndarray, keep: list[int]) -> list[int]:
    """A reference is its own; every other token goes to the nearest reference, the lower one among equals."""
    tokens = np.asarray(tokens, np.float64)
    result = []
    for j in range(len(tokens)):
        if j in keep:
            result.append(keep.index(j))
            continue
        result.append(int(((tokens[j] - tokens[keep]) ** 2).sum(1).argmin()))  # the first of the nearest
    return result


def reverse_attention(tokens: np.ndarray, keep: list[int], assigned: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 4: the merged tokens `[R, D]` and the weight of every token `[L]`."""
    tokens = np.asarray(tokens, np.float64)
    merged, weights = np.zeros((len(keep), tokens.shape[1])), np.zeros(len(tokens))
    for i, reference in enumerate(keep):
        members = [j for j in range(len(tokens)) if assigned[j] == i]
        logits = [-float(tokens[reference] @ tokens[j]) / math.sqrt(tokens.shape[1]) for j in members]
        exponentials = [math.exp(logit - max(logits)) for logit in logits]
        for j, exponential in zip(members, exponentials, strict=True):
            weights[j] = exponential / math.fsum(exponentials)
            merged[i] += weights[j] * tokens[j]
    return merged, weights


def compress(tokens: np.ndarray, ratio: float, k: int) -> tuple[np.ndarray, list[int]]:
    """Section 3.4 from beginning to end."""
    if ratio >= 1:
        return np.asarray(tokens, np.float64), list(range(len(tokens)))
    keep = references(density(tokens, k), max(1, int(ratio * len(tokens))))
    return reverse_attention(tokens, keep, assignment(tokens, keep))[0], keep


def focal(logits: np.ndarray, target: np.ndarray, alpha: float = 0.25, gamma: float = 2.0) -> float:
    """-alpha_t (1 - p_t)^gamma log p_t of a binary mask, averaged over the pixels."""
    total = []
    for logit, label in zip(np.ravel(logits), np.ravel(target), strict=True):
        p = 1 / (1 + math.exp(-float(logit)))
        p_t, alpha_t = (p, alpha) if label == 1 else (1 - p, 1 - alpha)
        total.append(-alpha_t * (1 - p_t) ** gamma * math.log(p_t))
    return math.fsum(total) / len(total)


def dice(logits: np.ndarray, target: np.ndarray) -> float:
    """1 - (2 sum p t + 1) / (sum p + sum t + 1) of a binary mask."""
    overlap = areas = 0.0
    for logit, label in zip(np.ravel(logits), np.ravel(target), strict=True):
        p = 1 / (1 + math.exp(-float(logit)))
        overlap += p * float(label)
        areas += p + float(label)
    return 1 - (2 * overlap + 1) / (areas + 1)


def iou(logits: np.ndarray, target: np.ndarray) -> float:
    """IoU of the pixels with a logit above 0 and the binary mask; 0 where both are empty."""
    predicted, actual = np.ravel(logits) > 0, np.ravel(target) == 1
    union = int((predicted | actual).sum())
    return int((predicted & actual).sum()) / union if union else 0.0
