import cv2
import numpy as np
import pytest
import torch
from tiny import WIDTH, clips, tiny_sam2_config
from transformers import Sam2Config, Sam2Model

from lavida.model.decoder import Decoded, decode_masks
from lavida.model.vision import VisionFeatures, vision_features

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]


@pytest.fixture(scope="module")
def sam2(lavida) -> Sam2Model:
    return lavida.sam2


def encode(sam2: Sam2Model, frames: torch.Tensor) -> VisionFeatures:
    """f_v of frames `[N,3,H,W]`."""
    return vision_features(sam2, frames[None], mean=MEAN, std=STD)


def prompts(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(frames, 2, WIDTH, generator=torch.Generator().manual_seed(seed))


def hiera() -> Sam2Model:
    """SAM 2's own backbone, which has no classifier."""
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "num_attention_heads": 1,
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2],
                "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "fpn_hidden_size": WIDTH,
        },
        prompt_encoder_config={"hidden_size": WIDTH},
        mask_decoder_config={"hidden_size": WIDTH, "mlp_dim": 64, "iou_head_hidden_dim": WIDTH},
    )
    return Sam2Model(config).eval()


@torch.no_grad()
@pytest.mark.parametrize("light", [True, False], ids=["efficientnet", "hiera"])
def test_the_pyramid_has_strides_4_8_and_16(sam2, light):
    f_v = encode(sam2 if light else hiera(), clips(1, 2, size=(64, 128))[0])
    assert [tuple(level.shape) for level in f_v.levels] == [
        (2, WIDTH, 16, 32),
        (2, WIDTH, 8, 16),
        (2, WIDTH, 4, 8),
    ]
    assert f_v.coarsest is f_v.levels[-1]
    assert (tuple(f_v.class_logits.shape) == (2, 1000, 2, 4)) if light else (f_v.class_logits is None)


@torch.no_grad()
@pytest.mark.parametrize("top_down", [[0, 1, 2], [2]])
def test_the_pyramid_is_that_of_sam2s_neck(sam2, monkeypatch, top_down):
    neck = sam2.vision_encoder.neck
    monkeypatch.setattr(neck, "fpn_top_down_levels", top_down)
    frames = clips(1, 2)[0]
    pixels = (frames.float() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    expected, _ = neck(sam2.vision_encoder.backbone(pixels).intermediate_hidden_states)  # coarsest first
    for level, own in zip(encode(sam2, frames).levels[::-1], expected[-3:], strict=True):
        torch.testing.assert_close(level, own, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_uint8_and_float_frames_are_the_same_frames(sam2):
    frames = clips(1, 2)[0]
    whole, floating = encode(sam2, frames), encode(sam2, frames.float())
    assert all(torch.equal(a, b) for a, b in zip(whole.levels, floating.levels, strict=True))


@torch.no_grad()
def test_frames_are_normalised_by_channel(sam2):
    seen = []
    hook = sam2.vision_encoder.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    encode(sam2, torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 32, 32))
    hook.remove()
    torch.testing.assert_close(seen[0][0, :, 0, 0], torch.tensor([(1 - 0.5) / 0.2, -0.4 / 0.25, (0.2 - 0.3) / 0.5]))


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (96, 64), (128, 128)])
def test_three_masks_at_a_quarter_of_any_frame_size(sam2, size):
    decoded = decode_masks(sam2, prompts(2), encode(sam2, clips(1, 2, size=size)[0]), None)
    assert decoded.mask_logits.shape == (2, 3, size[0] // 4, size[1] // 4)
    assert decoded.object_logits.shape == (2,) and decoded.iou_scores.shape == (2, 3)
    assert decoded.mask_logits.isfinite().all()


@torch.no_grad()
def test_frames_are_decoded_one_by_one(sam2):
    frames, f_proj = clips(1, 3)[0], prompts(3)
    together = decode_masks(sam2, f_proj, encode(sam2, frames), None)
    alone = decode_masks(sam2, f_proj[1:2], encode(sam2, frames[1:2]), None)
    torch.testing.assert_close(together.mask_logits[1:2], alone.mask_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.object_logits[1:2], alone.object_logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_words_and_mask_prompt_change_what_is_decoded(sam2):
    f_v = encode(sam2, clips(1, 1)[0])
    plain = decode_masks(sam2, prompts(1), f_v, None)
    other_words = decode_masks(sam2, prompts(1, seed=1), f_v, None)
    left = torch.full((1, 1, 8, 12), -10.0)
    left[..., :6] = 10.0
    prompted = decode_masks(sam2, prompts(1), f_v, left)
    spread = plain.mask_logits.std()
    assert (plain.mask_logits - other_words.mask_logits).abs().max() > 0.01 * spread
    assert (plain.object_logits - other_words.object_logits).abs() > 1e-4
    assert (plain.mask_logits - prompted.mask_logits).abs().max() > 0.01 * spread
    assert plain.mask_logits.shape == prompted.mask_logits.shape


def positions(sam2: Sam2Model, size: tuple[int, int]) -> torch.Tensor:
    """The positions `[D_m, h, w]` that SAM 2's mask decoder is given."""
    seen = []
    hook = sam2.mask_decoder.register_forward_pre_hook(lambda _, __, kw: seen.append(kw), with_kwargs=True)
    decode_masks(sam2, prompts(1), encode(sam2, clips(1, 1, size=size)[0]), None)
    hook.remove()
    return seen[0]["image_positional_embeddings"][0]


@torch.no_grad()
def test_positions_on_square_frames_are_sam2s_own():
    sam2 = Sam2Model(tiny_sam2_config(image_size=64)).eval()
    own = sam2.get_image_wide_positional_embeddings()[0]  # [D_m, 4, 4]
    ours = positions(sam2, (64, 64))
    torch.testing.assert_close(ours, own, atol=1e-6, rtol=0)


@torch.no_grad()
def test_positions_span_wide_frames_from_edge_to_edge(sam2):
    ours = positions(sam2, (64, 96))
    assert ours.shape == (WIDTH, 4, 6)
    for row in range(4):
        for column in range(6):
            point = torch.tensor([[(column + 0.5) / 6, (row + 0.5) / 4]])  # (x, y)
            torch.testing.assert_close(ours[:, row, column], sam2.shared_image_embedding(point)[0])


def test_the_expected_mask_is_the_mean_of_the_three_smoothed():
    masks = torch.full((1, 3, 32, 40), -20.0)
    masks[0, :2, 10:20, 10:20] = 20.0  # two of three say so
    expected = Decoded(torch.zeros(1), masks, torch.rand(1, 3)).expected_mask()[0].sigmoid()
    mean = np.zeros((32, 40), np.float32)
    mean[10:20, 10:20] = 2 / 3
    smooth = cv2.GaussianBlur(mean, (13, 13), 2.0, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(expected, smooth, atol=1e-5)


def test_an_expected_mask_keeps_its_order_far_from_zero():
    ramp = torch.linspace(-60, 60, 48).view(1, 1, 1, 48).expand(1, 3, 20, 48)
    expected = Decoded(torch.zeros(1), ramp, torch.rand(1, 3)).expected_mask()[0, 10]
    assert expected.isfinite().all() and (expected.diff() >= 0).all() and (expected[8:24].diff() > 0).all()
    assert Decoded(torch.zeros(1), ramp - 500, torch.rand(1, 3)).expected_mask().isfinite().all()


def test_the_best_mask_is_the_one_with_the_highest_predicted_iou():
    masks = torch.arange(6.0).view(2, 3, 1, 1).expand(2, 3, 4, 5)
    decoded = Decoded(torch.zeros(2), masks, torch.tensor([[0.1, 0.9, 0.3], [0.5, 0.2, 0.6]]))
    assert decoded.best_mask().shape == (2, 4, 5)
    assert decoded.best_mask()[:, 0, 0].tolist() == [1.0, 5.0]


def test_evidence_is_added_to_every_mask_and_nothing_else():
    decoded = Decoded(torch.zeros(1), torch.ones(1, 3, 4, 4), torch.rand(1, 3))
    evidence = torch.tensor([[-2.0, 3.0]]).view(1, 1, 1, 2).expand(1, 1, 2, 2)
    more = decoded.plus_evidence(evidence)
    assert more.mask_logits[0, :, :, 0].unique().tolist() == [-1.0]
    assert more.mask_logits[0, :, :, -1].unique().tolist() == [4.0]
    assert torch.equal(more.iou_scores, decoded.iou_scores)
    assert torch.equal(more.object_logits, decoded.object_logits)
