"""Multi-level mask decoder (Eq. 9): f_proj as SAM 2's sparse prompt -> frame score and pixel logits."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import Sam2Model

from lavida.model.vision import VisionFeatures

EDGE_CELLS = 2.0  # how sure the edge of a mask is, in cells of 4 x 4 analysed pixels; chosen on held-out pictures


@dataclass(frozen=True, slots=True)
class Decoded:
    """N frames: `object_logits` `[N]`, `mask_logits` `[N,M,H/4,W/4]`, `iou_scores` `[N,M]` (M = 3 masks)."""

    object_logits: torch.Tensor
    mask_logits: torch.Tensor
    iou_scores: torch.Tensor

    def best_mask(self) -> torch.Tensor:
        """`[N,H/4,W/4]`: the mask with the highest predicted IoU."""
        best = self.iou_scores.argmax(-1)
        return self.mask_logits[torch.arange(best.shape[0], device=best.device), best]

    def expected_mask(self) -> torch.Tensor:
        """`[N,H/4,W/4]`: logits of the mean probability of the three masks, smoothed.

        Which of them is meant is not sure, nor where exactly they end (beyond the paper; docs/decisions.md).
        """
        mean = self.mask_logits.float().sigmoid().mean(1)  # [N, H/4, W/4]
        expected = smooth(mean, sigma=EDGE_CELLS).clamp(torch.finfo(mean.dtype).tiny, 1 - 1e-6)
        return expected.log() - torch.log1p(-expected)

    def plus_evidence(self, evidence: torch.Tensor) -> "Decoded":
        """The same with `evidence` `[N,1,h,w]` added to every mask, so that the decoder only refines it."""
        evidence = F.interpolate(evidence.float(), size=self.mask_logits.shape[-2:], mode="bilinear")
        return Decoded(self.object_logits, self.mask_logits.float() + evidence, self.iou_scores)


def decode_masks(
    sam2: Sam2Model, f_proj: torch.Tensor, f_v: VisionFeatures, dense_prompt: torch.Tensor | None
) -> Decoded:
    """Decode every frame by itself with SAM 2's mask decoder, without its memory: three masks and a score each (Eq. 9).

    One mask (SAM 2's token 0) would never receive a gradient from training with three.

    Args:
        sam2: Has the decoder.
        f_proj: `[N,P,D_m]`, P sparse prompts a frame.
        f_v: Of the N frames.
        dense_prompt: Logits `[N,1,h,w]` of any size given as mask prompt, or None.
    """
    fine, middle, coarse = f_v.levels
    grid = coarse.shape[-2:]
    if dense_prompt is None:
        dense = sam2.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(coarse.shape[0], -1, *grid)
    else:
        mask_size = (4 * grid[0], 4 * grid[1])
        dense = sam2.prompt_encoder.mask_embed(F.interpolate(dense_prompt, size=mask_size, mode="bilinear"))
    masks, iou, _, object_logits = sam2.mask_decoder(
        image_embeddings=coarse + sam2.no_memory_embedding.view(1, -1, 1, 1),
        image_positional_embeddings=_positions(sam2, grid).expand(coarse.shape[0], -1, -1, -1),
        sparse_prompt_embeddings=f_proj[:, None],  # [N, 1, P, D_m]
        dense_prompt_embeddings=dense,
        multimask_output=True,
        high_resolution_features=[sam2.mask_decoder.conv_s0(fine), sam2.mask_decoder.conv_s1(middle)],
    )
    return Decoded(object_logits[:, 0, 0], masks[:, 0], iou[:, 0])


def _positions(sam2: Sam2Model, grid: tuple[int, int]) -> torch.Tensor:
    """`[1,D_m,h,w]`: SAM 2's image-wide positions, for the grid of these frames instead of a fixed square."""
    embed = sam2.shared_image_embedding
    like = embed.positional_embedding
    y, x = (torch.arange(n, device=like.device, dtype=like.dtype).add(0.5).div(n) for n in grid)
    points = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)  # [h, w, 2] as (x, y)
    return embed(points).permute(2, 0, 1)[None]


def smooth(maps: torch.Tensor, *, sigma: float) -> torch.Tensor:
    """Gaussian over `[N,h,w]`, sigma in cells, cut off at 3 sigma; the border's values go on outside."""
    reach = round(3 * sigma)
    at = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = (-(at**2) / (2 * sigma**2)).softmax(0)
    padded = F.pad(maps[:, None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]
