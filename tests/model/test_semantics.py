import copy

import pytest
import torch
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

from lavida.checkpoints.presets import nano_mllm_config, train_nano_tokenizer
from lavida.errors import InputError
from lavida.model.mllm import CLIP_MEAN, CLIP_STD, patchify
from lavida.model.mllm.qwen import Qwen2VL
from lavida.model.prompt import TEMPLATES, encode_prompt
from lavida.model.semantics import Semantics

CATEGORIES = ["a person riding a bicycle", "car accident"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_nano_tokenizer([*TEMPLATES, *CATEGORIES] * 3, 400)


@pytest.fixture(scope="module")
def mllm(tokenizer):
    torch.manual_seed(0)
    config = nano_mllm_config(tokenizer, hidden_size=64, layers=2, heads=4, vision_dim=32, vision_depth=2)
    model = Qwen2VLForConditionalGeneration(config).eval()
    with torch.no_grad():  # at its initial scale attention is near uniform and hides wrong positions
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model


def build(mllm, tokenizer, *, ratio: float = 0.5, tokens_per_pair: int = 12) -> Semantics:
    return Semantics(mllm, tokenizer, ratio=ratio, k=4, tokens_per_pair=tokens_per_pair).eval()


def clips(*shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth random clips, `[B, T, 3, H, W]` uint8."""
    coarse = torch.rand(shape[0] * shape[1], 3, 5, 6, generator=torch.Generator().manual_seed(seed)) * 255
    full = torch.nn.functional.interpolate(coarse, shape[-2:], mode="bilinear")
    return full.to(torch.uint8).reshape(shape)


def call_of(module: torch.nn.Module, run) -> tuple[tuple, dict]:
    """The arguments with which `run` calls `module`."""
    calls = []
    hook = module.register_forward_pre_hook(lambda _, *call: calls.append(call), with_kwargs=True)
    run()
    hook.remove()
    (call,) = calls
    return call


def encode(tokenizer, *, video_tokens: int):
    clip = ["<|vision_start|>", video_tokens, "<|vision_end|>"]
    return encode_prompt(tokenizer, CATEGORIES, chat=Qwen2VL.chat, clip=clip)


def plain_forward(mllm, tokenizer, frames, **outputs):
    """The MLLM's own forward over the same conversation."""
    pixels = frames.float() / 255
    pixels = (pixels - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)
    grid = torch.tensor([[frames.shape[1] // 2, frames.shape[3] // 14, frames.shape[4] // 14]])
    prompt = encode(tokenizer, video_tokens=int(grid.prod()) // 4)
    result = mllm(
        input_ids=prompt.input_ids[None],
        labels=prompt.labels[None],
        pixel_values_videos=patchify(pixels, patch=14, merge=2, temporal=2)[0],
        video_grid_thw=grid,
        mm_token_type_ids=2 * (prompt.input_ids == mllm.config.video_token_id).long()[None],
        output_hidden_states=True,
    )
    return prompt, result


@torch.no_grad()
def test_without_compression_it_is_the_plain_mllm(mllm, tokenizer):
    frames = clips(1, 4, 3, 84, 112)
    prompt, plain = plain_forward(mllm, tokenizer, frames)
    ours = build(mllm, tokenizer, ratio=1.0)(frames, [CATEGORIES], with_text_loss=True)
    torch.testing.assert_close(ours.f_sem[0], plain.hidden_states[-1][0, prompt.seg_position])
    torch.testing.assert_close(ours.text_loss, plain.loss)
    assert ours.lengths == [len(prompt.input_ids)] and ours.kept[0].tolist() == list(range(24))


@torch.no_grad()
def test_compressed_tokens_keep_their_rotary_positions(mllm, tokenizer):
    semantics, frames = build(mllm, tokenizer, ratio=0.4), clips(1, 4, 3, 84, 112)
    out = semantics(frames, [CATEGORIES])
    _, call = call_of(mllm.model.language_model, lambda: semantics(frames, [CATEGORIES]))
    prompt = encode(tokenizer, video_tokens=24)
    full, _ = mllm.model.get_rope_index(
        input_ids=prompt.input_ids[None],
        mm_token_type_ids=2 * (prompt.input_ids == mllm.config.video_token_id).long()[None],
        video_grid_thw=torch.tensor([[2, 6, 8]]),
    )
    text = torch.ones(len(prompt.input_ids), dtype=torch.bool)
    text[prompt.visual] = False
    survivors = torch.cat([text.nonzero().flatten(), prompt.visual[out.kept[0]]]).sort().values
    assert len(out.kept[0]) == int(0.4 * 24)
    assert torch.equal(call["position_ids"][:, 0], full[:, 0, survivors])


@torch.no_grad()
def test_a_batch_equals_its_clips_one_by_one(mllm, tokenizer):
    semantics, frames = build(mllm, tokenizer), clips(3, 4, 3, 84, 112)
    categories = [["fire"], CATEGORIES * 4, CATEGORIES]
    template = [0, 3, 2]
    batch = semantics(frames, categories, template=template)
    assert len(set(batch.lengths)) == 3
    for i in range(3):
        alone = semantics(frames[i : i + 1], [categories[i]], template=[template[i]])
        torch.testing.assert_close(batch.f_sem[i : i + 1], alone.f_sem, atol=1e-5, rtol=1e-5)
        assert torch.equal(batch.kept[i], alone.kept[0]) and batch.lengths[i] == alone.lengths[0]


@torch.no_grad()
def test_video_categories_and_template_all_reach_seg(mllm, tokenizer):
    semantics, frames = build(mllm, tokenizer), clips(1, 4, 3, 84, 112)
    base = semantics(frames, [CATEGORIES]).f_sem
    others = [
        semantics(clips(1, 4, 3, 84, 112, seed=1), [CATEGORIES]).f_sem,
        semantics(frames, [["fire"]]).f_sem,
        semantics(frames, [CATEGORIES], template=[1]).f_sem,
        semantics(frames.flip(1), [CATEGORIES]).f_sem,
    ]
    assert all((base - other).abs().max() > 1e-3 for other in others)
    assert torch.equal(semantics(frames, [CATEGORIES]).f_sem, base)


@pytest.mark.parametrize("frames", [1, 3])
@torch.no_grad()
def test_an_odd_clip_repeats_its_last_frame(mllm, tokenizer, frames):
    semantics, clip = build(mllm, tokenizer), clips(1, frames, 3, 84, 112)
    padded = torch.cat([clip, clip[:, -1:]], dim=1)
    assert torch.equal(semantics(clip, [CATEGORIES]).f_sem, semantics(padded, [CATEGORIES]).f_sem)


@torch.no_grad()
def test_uint8_and_float_frames_agree(mllm, tokenizer):
    semantics, frames = build(mllm, tokenizer, ratio=1.0), clips(1, 2, 3, 150, 200)
    ours, other = semantics(frames, [CATEGORIES]).f_sem, semantics(frames.float(), [CATEGORIES]).f_sem
    assert torch.nn.functional.cosine_similarity(ours, other).item() > 0.99


@torch.no_grad()
def test_bfloat16_stays_bfloat16(mllm, tokenizer):
    semantics = build(copy.deepcopy(mllm).to(torch.bfloat16), tokenizer)
    out = semantics(clips(2, 2, 3, 84, 112), [CATEGORIES, ["fire"]], with_text_loss=True)
    assert out.f_sem.dtype == torch.bfloat16 and out.f_sem.isfinite().all() and out.text_loss.isfinite()


def test_learning_reaches_the_vision_tower_and_the_seg_embedding(mllm, tokenizer):
    semantics, frames = build(copy.deepcopy(mllm), tokenizer), clips(2, 2, 3, 84, 112)
    with torch.inference_mode():  # prompts remembered while validating must serve training too
        semantics(frames, [CATEGORIES, ["fire"]])
    out = semantics(frames, [CATEGORIES, ["fire"]], with_text_loss=True)
    (out.f_sem.square().mean() + out.text_loss).backward()
    seg_row = semantics.mllm.get_input_embeddings().weight.grad[tokenizer.convert_tokens_to_ids("<SEG>")]
    assert seg_row.abs().sum() > 0
    assert semantics.mllm.model.visual.patch_embed.proj.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_text_loss_covers_the_answer_of_a_compressed_batch(mllm, tokenizer):
    semantics, frames = build(mllm, tokenizer), clips(2, 4, 3, 84, 112)
    both = semantics(frames, [CATEGORIES, ["fire"]], with_text_loss=True).text_loss
    each = [
        semantics(frames[i : i + 1], [c], with_text_loss=True).text_loss for i, c in enumerate((CATEGORIES, ["fire"]))
    ]
    torch.testing.assert_close(both, sum(each) / 2, atol=1e-5, rtol=1e-5)
    assert semantics(frames, [CATEGORIES, ["fire"]]).text_loss is None


@torch.no_grad()
def test_saved_and_loaded_it_says_the_same(mllm, tokenizer, tmp_path):
    mllm.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = Qwen2VLForConditionalGeneration.from_pretrained(tmp_path).eval()
    again = build(loaded, AutoTokenizer.from_pretrained(tmp_path))
    frames = clips(1, 2, 3, 84, 112)
    before = build(mllm, tokenizer)(frames, [CATEGORIES]).f_sem
    torch.testing.assert_close(again(frames, [CATEGORIES]).f_sem, before)


def test_wrong_input_is_refused(mllm, tokenizer):
    semantics = build(mllm, tokenizer)
    with pytest.raises(InputError, match="empty anomaly category"):
        semantics(clips(1, 2, 3, 84, 112), [["fire", " "]])
    with pytest.raises(ValueError, match="2 clips, 1 categories"):
        semantics(clips(2, 2, 3, 84, 112), [CATEGORIES])
    with pytest.raises(ValueError, match="hidden_size"):
        nano_mllm_config(tokenizer, hidden_size=100)
