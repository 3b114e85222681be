"""The paper's pictures of one video: scores over time (Figure 4), masks (Figure 5), token compression (Figure 6)."""

from lavida.figures.case import Case
from lavida.figures.masks import draw_masks
from lavida.figures.scores import draw_scores
from lavida.figures.tokens import draw_tokens

__all__ = ["Case", "draw_masks", "draw_scores", "draw_tokens"]
