import torch
from families import CATEGORIES, clip, tiny_family

from lavida.model.compression import assign, reverse_attention_weights
from lavida.model.mllm.patches import patchify
from lavida.model.semantics import Semantics

GROUP = "<|vision_start|>{tokens}<|vision_end|>"
CONVERSATION = (
    "<|im_start|>user\n<0.2 seconds>{group}<1.2 seconds>{group}Find the anomaly in this video. Anomaly types may "
    "contain a person riding a bicycle, car accident, fire.<|im_end|>\n<|im_start|>assistant\nSure, it is <SEG>."
    "<|im_end|>"
)


@torch.no_grad()
def test_without_compression_it_is_the_plain_mllm():
    mllm, tokenizer = tiny_family("qwen3_vl")
    frames = clip(4, 96, 128)  # 2 groups of 3 x 4 tokens
    pixels = frames[None] / 127.5 - 1
    group = GROUP.format(tokens="<|video_pad|>" * 12)
    ids = tokenizer(CONVERSATION.format(group=group), return_tensors="pt")["input_ids"]
    plain = mllm.model(
        input_ids=ids,
        pixel_values_videos=patchify(pixels, patch=16, merge=2, temporal=2)[0],
        video_grid_thw=torch.tensor([[2, 6, 8]]),
        mm_token_type_ids=2 * (ids == mllm.config.video_token_id).long(),
    ).last_hidden_state[0, ids[0] == tokenizer.convert_tokens_to_ids("<SEG>")]
    ours = Semantics(mllm, tokenizer, ratio=1, k=4, tokens_per_pair=12)([frames], [CATEGORIES])
    torch.testing.assert_close(ours.f_sem, plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_deep_features_go_where_their_tokens_go():
    mllm, tokenizer = tiny_family("qwen3_vl")
    semantics = Semantics(mllm, tokenizer, ratio=0.4, k=4, tokens_per_pair=12)
    semantics.reuse_prefix = False
    frames, calls = clip(4, 96, 128), []
    hook = mllm.model.language_model.register_forward_pre_hook(lambda _, args, kw: calls.append(kw), with_kwargs=True)
    kept = semantics([frames], [CATEGORIES]).kept[0]
    hook.remove()
    visual = semantics.family.visual_tokens(mllm, frames[None], semantics.family.grid(frames))
    tokens = visual.tokens[0]
    assignment = assign(tokens, kept)
    weights = reverse_attention_weights(tokens, kept, assignment)
    (call,) = calls
    assert len(call["deepstack_visual_embeds"]) == 2
    for given, layer in zip(call["deepstack_visual_embeds"], visual.deepstack, strict=True):
        for i in range(len(kept)):
            mine = assignment == i
            torch.testing.assert_close(given[i], (weights[mine, None] * layer[0, mine]).sum(0))
    # and they are added at the places of the merged tokens: behind the first group's time stamp, not at text
    embeds, mask = call["inputs_embeds"][0], call["visual_pos_masks"][0]
    text = mllm.get_input_embeddings().weight
    assert mask.sum() == len(kept)
    assert all(any(torch.equal(row, word) for word in text) for row in embeds[~mask])
    assert not any(any(torch.equal(row, word) for word in text) for row in embeds[mask])


@torch.no_grad()
def test_deep_features_reach_seg():
    mllm, tokenizer = tiny_family("qwen3_vl")
    semantics = Semantics(mllm, tokenizer, ratio=0.5, k=4, tokens_per_pair=12)
    with_deep = semantics([clip(4, 96, 128)], [CATEGORIES]).f_sem
    for merger in mllm.model.visual.deepstack_merger_list:
        merger.linear_fc2.weight.zero_()
        merger.linear_fc2.bias.zero_()
    assert (semantics([clip(4, 96, 128)], [CATEGORIES]).f_sem - with_deep).abs().max() > 1e-2
