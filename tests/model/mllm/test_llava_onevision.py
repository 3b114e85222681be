from types import SimpleNamespace

import torch
from families import CATEGORIES, clip, tiny_family
from transformers import LlavaOnevisionConfig

from lavida.model.mllm import family_of
from lavida.model.semantics import Semantics

CONVERSATION = (
    "<|im_start|>user {video}\nFind the anomaly in this video. Anomaly types may contain a person riding a bicycle, "
    "car accident, fire.<|im_end|><|im_start|>assistant\nSure, it is <SEG>.<|im_end|>"
)


@torch.no_grad()
def test_without_compression_it_is_the_plain_mllm():
    mllm, tokenizer = tiny_family("llava_onevision")
    frames = clip(3, 70, 70)  # 3 x 3 tokens each, and the newline
    ids = tokenizer(CONVERSATION.format(video="<video>" * 28), return_tensors="pt")["input_ids"]
    plain = mllm.model(input_ids=ids, pixel_values_videos=frames[None] / 127.5 - 1)
    ours = Semantics(mllm, tokenizer, ratio=1, k=4, tokens_per_pair=18)([frames], [CATEGORIES])
    seg = ids[0] == tokenizer.convert_tokens_to_ids("<SEG>")
    torch.testing.assert_close(ours.f_sem, plain.last_hidden_state[0, seg], atol=1e-4, rtol=1e-4)
    assert ours.kept[0].tolist() == list(range(27))  # the newline is no visual token


@torch.no_grad()
def test_the_newline_outlives_compression():
    mllm, tokenizer = tiny_family("llava_onevision")
    semantics = Semantics(mllm, tokenizer, ratio=0.3, k=4, tokens_per_pair=18)
    calls = []
    hook = mllm.model.language_model.register_forward_pre_hook(lambda _, args, kw: calls.append(kw), with_kwargs=True)
    out = semantics([clip(3, 70, 70)], [CATEGORIES])
    hook.remove()
    newline = (calls[0]["inputs_embeds"][0] == mllm.model.image_newline).all(-1).nonzero().flatten()
    start = len(tokenizer("<|im_start|>user ")["input_ids"])
    assert newline.tolist() == [start + len(out.kept[0])]
    assert calls[0]["position_ids"][0, newline] == start + 27


@torch.no_grad()
def test_a_small_budget_averages_the_tokens():
    mllm, _ = tiny_family("llava_onevision")
    frames = clip(2, 90, 160)
    full, small = family_of(mllm, tokens_per_pair=18), family_of(mllm, tokens_per_pair=2)
    assert full.grid(frames) == (2, 3, 3) and small.grid(frames) == (2, 1, 1)
    tokens = full.visual_tokens(mllm, frames[None], full.grid(frames)).tokens[0]
    one = small.visual_tokens(mllm, frames[None], small.grid(frames)).tokens[0]
    torch.testing.assert_close(one, tokens.unflatten(0, (2, 9)).mean(1), atol=1e-4, rtol=1e-4)


def test_the_published_shape_has_196_tokens_a_frame():
    family = family_of(SimpleNamespace(config=LlavaOnevisionConfig()), tokens_per_pair=400)
    assert family.grid(clip(8, 90, 160)) == (8, 14, 14)
