from types import SimpleNamespace

import pytest
import torch
from families import CATEGORIES, clip, tiny_family
from transformers import SmolVLMConfig

from lavida.model.mllm import family_of
from lavida.model.semantics import Semantics

FRAME = "\nFrame from 00:0{second}:<fake_token_around_image><global-img>{tokens}<fake_token_around_image>"
CONVERSATION = (
    "<|im_start|>User: You are provided the following series of three frames from a 0:00:03 [H:MM:SS] video.\n{frames}"
    "\n\nFind the anomaly in this video. Anomaly types may contain a person riding a bicycle, car accident, fire."
    "<end_of_utterance>\nAssistant: Sure, it is <SEG>.<end_of_utterance>"
)


@torch.no_grad()
def test_without_compression_it_is_the_plain_mllm():
    mllm, tokenizer = tiny_family("smolvlm")
    frames = clip(3, 96, 96)  # 3 x 3 tokens each
    pictures = "".join(FRAME.format(second=second, tokens="<image>" * 9) for second in range(3))
    ids = tokenizer(CONVERSATION.format(frames=pictures), return_tensors="pt")["input_ids"]
    plain = mllm.model(input_ids=ids, pixel_values=frames[None] / 127.5 - 1)
    ours = Semantics(mllm, tokenizer, ratio=1, k=4, tokens_per_pair=18)([frames], [CATEGORIES])
    seg = ids[0] == tokenizer.convert_tokens_to_ids("<SEG>")
    torch.testing.assert_close(ours.f_sem, plain.last_hidden_state[0, seg], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_an_evenly_grey_frame_is_a_frame():
    mllm, _ = tiny_family("smolvlm")
    family = family_of(mllm, tokens_per_pair=18)
    frames = torch.stack([torch.full((3, 96, 96), 127.5), torch.zeros(3, 96, 96)])
    tokens = family.visual_tokens(mllm, frames[None], family.grid(frames)).tokens
    assert tokens.shape == (1, 18, 32) and not torch.allclose(tokens[:, :9], tokens[:, 9:])


def test_frames_are_squares_within_the_budget():
    mllm, _ = tiny_family("smolvlm")
    for budget, side in ((100, 3), (18, 3), (17, 2), (8, 2), (3, 1), (1, 1)):
        assert family_of(mllm, tokens_per_pair=budget).grid(clip(4, 90, 160)) == (4, side, side)


def test_a_minute_has_sixty_frames():
    mllm, _ = tiny_family("smolvlm")
    family = family_of(mllm, tokens_per_pair=2)
    markup = family.clip_markup(family.grid(torch.zeros(75, 3, 8, 8)))
    assert "series of 75 frames from a 0:01:15 [H:MM:SS] video" in markup[0]
    assert markup[-3].endswith("\nFrame from 01:14:<fake_token_around_image><global-img>")


@pytest.mark.parametrize(
    ("image", "patch", "scale", "side"),
    [(512, 16, 4, 8), (384, 14, 3, 9)],  # 256M and 500M; 2.2B
)
def test_the_published_shapes_have_64_and_81_tokens_a_frame(image, patch, scale, side):
    config = SmolVLMConfig(vision_config={"image_size": image, "patch_size": patch}, scale_factor=scale)
    family = family_of(SimpleNamespace(config=config), tokens_per_pair=200)
    assert family.grid(clip(8, 90, 160)) == (8, side, side)
