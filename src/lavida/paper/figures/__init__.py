"""The paper's pictures of one video: scores over time (Figure 4), masks (Figure 5), token compression (Figure 6)."""

from lavida.paper.figures.findings import draw_masks, draw_scores
from lavida.paper.figures.sheet import Case
from lavida.paper.figures.tokens import draw_tokens

__all__ = ["Case", "draw_masks", "draw_scores", "draw_tokens"]
