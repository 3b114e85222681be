import torch
from families import CATEGORIES, clip, tiny_family

from lavida.model.mllm import family_of
from lavida.model.mllm.patches import CLIP_MEAN, CLIP_STD, patchify
from lavida.model.prompt import encode_prompt
from lavida.model.semantics import Semantics

CONVERSATION = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|>{video}"
    "<|vision_end|>Find the anomaly in this video. Anomaly types may contain a person riding a bicycle, "
    "car accident, fire."
    "<|im_end|>\n<|im_start|>assistant\nSure, it is <SEG>.<|im_end|>"
)


@torch.no_grad()
def test_without_compression_it_is_the_plain_mllm():
    mllm, tokenizer = tiny_family("qwen2_5_vl")
    frames = clip(6, 140, 168)  # 3 groups of 5 x 6 tokens: 9 windows each, some of them cut
    pixels = (frames[None] / 255 - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)
    ids = tokenizer(CONVERSATION.format(video="<|video_pad|>" * 90), return_tensors="pt")["input_ids"]
    plain = mllm.model(
        input_ids=ids,
        pixel_values_videos=patchify(pixels, patch=14, merge=2, temporal=2)[0],
        video_grid_thw=torch.tensor([[3, 10, 12]]),
        mm_token_type_ids=2 * (ids == mllm.config.video_token_id).long(),
        second_per_grid_ts=torch.tensor([1.0]),  # 2 frames a second
    ).last_hidden_state[0, ids[0] == tokenizer.convert_tokens_to_ids("<SEG>")]
    semantics = Semantics(mllm, tokenizer, ratio=1, k=4, tokens_per_pair=30)
    torch.testing.assert_close(semantics([frames], [CATEGORIES]).f_sem, plain, atol=1e-4, rtol=1e-4)


def test_a_group_of_frames_lasts_a_second():
    mllm, tokenizer = tiny_family("qwen2_5_vl")
    family = family_of(mllm, tokens_per_pair=4)
    grid = family.grid(clip(6, 56, 56))
    prompt = encode_prompt(tokenizer, ["fire"], chat=family.chat, clip=family.clip_markup(grid))
    time = family.positions(mllm, prompt, grid)[0, prompt.visual]
    assert (time - time[0]).tolist() == [0] * 4 + [2] * 4 + [4] * 4  # 2 positions a second
