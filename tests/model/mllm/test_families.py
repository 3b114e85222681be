"""What holds for every family alike."""

import copy

import pytest
import torch
from families import CATEGORIES, clip, family_config, tiny_family
from tiny import clips, tiny_config, tiny_tokenizers

from lavida.checkpoints.pretrained import LavidaModel
from lavida.device import has_fast_bf16
from lavida.errors import InputError
from lavida.model.mllm import FAMILIES, cache, family_of
from lavida.model.mllm.family import cache_argument
from lavida.model.prompt import encode_prompt
from lavida.model.semantics import Semantics


@pytest.fixture(scope="module", params=FAMILIES)
def parts(request):
    return tiny_family(request.param)


def build(parts, *, ratio: float = 0.5, **settings) -> Semantics:
    return Semantics(*parts, ratio=ratio, k=3, tokens_per_pair=18, **settings).eval()


def language_calls(semantics: Semantics, *args, **settings) -> list[dict]:
    """What the language model was called with."""
    calls = []
    language = semantics.family.text_model(semantics.mllm)
    hook = language.register_forward_pre_hook(lambda _, args, call: calls.append(call), with_kwargs=True)
    semantics(*args, **settings)
    hook.remove()
    return calls


def mixed_batch() -> tuple[list[torch.Tensor], list[list[str]], list[int]]:
    """Clips of three sizes and two lengths, with categories of different lengths."""
    frames = [clip(4, 84, 112), clip(4, 150, 90, seed=1), clip(2, 60, 200, seed=2), clip(4, 84, 112, seed=3)]
    return frames, [["fire"], CATEGORIES * 3, CATEGORIES, ["car accident"]], [0, 3, 0, 2]


@pytest.mark.parametrize("ratio", [0.5, 1])
@torch.no_grad()
def test_a_batch_of_different_clips_equals_one_by_one(parts, ratio):
    semantics = build(parts, ratio=ratio)
    frames, categories, template = mixed_batch()
    batch = semantics(frames, categories, template=template, with_text_loss=True)
    assert len(set(batch.lengths)) == 4
    losses = []
    for i in range(4):
        one = semantics(frames[i][None], categories[i : i + 1], template=template[i : i + 1], with_text_loss=True)
        torch.testing.assert_close(batch.f_sem[i : i + 1], one.f_sem, atol=1e-4, rtol=1e-4)
        assert torch.equal(batch.kept[i], one.kept[0]) and batch.lengths[i] == one.lengths[0]
        losses.append(one.text_loss)
    torch.testing.assert_close(batch.text_loss, torch.stack(losses).mean(), atol=1e-4, rtol=1e-4)


def full_sequence(semantics: Semantics, frames: torch.Tensor):
    """The prompt with all visual tokens, and its positions."""
    family = semantics.family
    grid = family.grid(frames)
    prompt = encode_prompt(semantics.tokenizer, CATEGORIES, chat=family.chat, clip=family.clip_markup(grid))
    return prompt, family.positions(semantics.mllm, prompt, grid)


def left_places(prompt, kept: torch.Tensor) -> torch.Tensor:
    text = torch.ones_like(prompt.input_ids, dtype=torch.bool)
    text[prompt.visual] = False
    return torch.cat([text.nonzero().flatten(), prompt.visual[kept]]).sort().values


def positions(call: dict) -> torch.Tensor:
    """`[axes, L]` of the first sequence."""
    given = call["position_ids"]
    return given[:, 0] if given.ndim == 3 else given[:1]


@torch.no_grad()
def test_what_is_left_keeps_its_position(parts):
    semantics, frames = build(parts, ratio=0.4), clip(4, 84, 112)
    semantics.reuse_prefix = False
    (kept,) = semantics(frames[None], [CATEGORIES]).kept
    prompt, full = full_sequence(semantics, frames)
    assert len(kept) == int(0.4 * len(prompt.visual))
    (call,) = language_calls(semantics, frames[None], [CATEGORIES])
    assert torch.equal(positions(call), full[:, left_places(prompt, kept)])
    semantics.keep_positions = False
    (call,) = language_calls(semantics, frames[None], [CATEGORIES])
    assert (positions(call) == torch.arange(len(prompt.input_ids) - len(prompt.visual) + len(kept))).all()


def mostly_static_clip() -> torch.Tensor:
    """Only its upper left corner changes, in its last frame."""
    frames = clip(4, 84, 112)[:1].repeat(4, 1, 1, 1)
    frames[3, :, :40, :50] = 255 - frames[3, :, :40, :50]
    return frames


@torch.no_grad()
def test_static_tokens_are_dropped(parts):
    semantics, frames = build(parts, ratio=1, static_patch_drop=0.01), mostly_static_clip()
    (kept,) = semantics(frames[None], [CATEGORIES]).kept
    grid = semantics.family.grid(frames)
    group, place = kept // (grid.rows * grid.cols), kept % (grid.rows * grid.cols)
    assert (group == 0).sum() == grid.rows * grid.cols and set(group.tolist()) == {0, grid.groups - 1}
    moved = place[group > 0]
    assert (moved // grid.cols < grid.rows - 1).all() and (moved % grid.cols < grid.cols - 1).all()
    semantics.train()  # the published code drops at test time only
    assert len(semantics(frames[None], [CATEGORIES]).kept[0]) == grid.tokens


@torch.no_grad()
def test_what_is_not_static_is_compressed_and_keeps_its_position(parts):
    semantics, frames = build(parts, ratio=0.5, static_patch_drop=0.01), mostly_static_clip()
    semantics.reuse_prefix = False
    (kept,) = semantics(frames[None], [CATEGORIES]).kept
    semantics.ratio = 1
    (present,) = semantics(frames[None], [CATEGORIES]).kept
    semantics.ratio = 0.5
    assert len(kept) == len(present) // 2 and torch.isin(kept, present).all()
    (call,) = language_calls(semantics, frames[None], [CATEGORIES])
    prompt, full = full_sequence(semantics, frames)
    assert torch.equal(positions(call), full[:, left_places(prompt, kept)])
    (token_map,) = semantics.token_map(frames[None])
    assert token_map.kept.flatten().nonzero().flatten().tolist() == kept.tolist()
    assert token_map.density.flatten().nonzero().flatten().tolist() == present.tolist()


@torch.inference_mode()
def test_a_reused_prefix_changes_nothing(parts):
    semantics = build(parts)
    semantics.reused_share = 0
    frames, categories, template = mixed_batch()
    batch = torch.stack([frames[0], frames[3]]), categories[:2], template[:2]
    semantics.reuse_prefix = False
    plain = semantics(*batch[:2], template=batch[2], with_text_loss=True)
    semantics.reuse_prefix = True
    lengths = []
    for _ in range(2):
        reused = semantics(*batch[:2], template=batch[2], with_text_loss=True)
        torch.testing.assert_close(reused.f_sem, plain.f_sem, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(reused.text_loss, plain.text_loss, atol=1e-4, rtol=1e-4)
        assert reused.lengths == plain.lengths
        lengths.append([call["inputs_embeds"].shape[1] for call in language_calls(semantics, *batch[:2])])
    (last,) = lengths[-1]  # one call, without the prefix
    assert last < max(semantics(*batch[:2]).lengths)


@pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")
@pytest.mark.parametrize("reused_share", [0, 1e9], ids=["with a cache", "without"])
@torch.inference_mode()
def test_a_forward_pass_uses_nothing_that_goes_away(parts, reused_share):
    semantics = build(parts)
    semantics.reused_share = reused_share
    (call,) = language_calls(semantics, clip(4, 84, 112)[None], [CATEGORIES], with_text_loss=True)[-1:]
    assert call["use_cache"] is (reused_share == 0)


def test_a_cache_goes_by_the_name_that_the_language_model_knows():
    class Renamed(torch.nn.Module):
        def forward(self, inputs_embeds, cache=None, **kwargs): ...

    class Older(torch.nn.Module):
        def forward(self, inputs_embeds, past_key_values=None, **kwargs): ...

    assert cache_argument(Renamed()) == "cache" and cache_argument(Older()) == "past_key_values"


@torch.inference_mode()
def test_a_prefix_is_reused_where_it_pays():
    semantics, frames = build(tiny_family("qwen2_5_vl"), ratio=0.1), clip(2, 84, 112)[None]
    prefix = len("<|im_start|>system\nYou are a helpful assistant.") // 4  # tokens, at the very least
    semantics(frames, [["fire"]])
    (call,) = language_calls(semantics, frames, [["fire"]])
    assert call["inputs_embeds"].shape[1] < semantics(frames, [["fire"]]).lengths[0] - prefix
    calls = language_calls(semantics, frames, [CATEGORIES * 60])  # long behind the video
    assert [call["inputs_embeds"].shape[1] for call in calls] == semantics(frames, [CATEGORIES * 60]).lengths


def test_a_prefix_is_not_reused_after_the_weights_changed(parts):
    semantics = build((copy.deepcopy(parts[0]), parts[1]))
    semantics.reused_share = 0
    frames = clip(4, 84, 112)[None]
    state = copy.deepcopy(semantics.state_dict())
    with torch.no_grad():
        before = semantics(frames, [CATEGORIES]).f_sem
    semantics(frames, [CATEGORIES]).f_sem.square().sum().backward()
    with torch.no_grad():
        for weight in semantics.mllm.parameters():
            if weight.grad is not None:
                weight -= 0.1 * weight.grad.sign()
        after = semantics(frames, [CATEGORIES]).f_sem
        semantics.reuse_prefix = False
        torch.testing.assert_close(semantics(frames, [CATEGORIES]).f_sem, after, atol=1e-4, rtol=1e-4)
        semantics.reuse_prefix = True
        assert (after - before).abs().max() > 1e-2
        semantics(frames, [CATEGORIES])
        semantics.load_state_dict(state)
        torch.testing.assert_close(semantics(frames, [CATEGORIES]).f_sem, before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_says_nearly_the_same(parts, dtype):
    frames = [clip(4, 84, 112), clip(2, 60, 200, seed=2)]
    exact = build(parts, ratio=1)(frames, [CATEGORIES, ["fire"]], with_text_loss=True)
    half = build((copy.deepcopy(parts[0]).to(dtype), parts[1]), ratio=1)
    out = half(frames, [CATEGORIES, ["fire"]], with_text_loss=True)
    assert out.f_sem.dtype == dtype and out.text_loss.isfinite()
    assert torch.cosine_similarity(out.f_sem.float(), exact.f_sem).min() > 0.98
    half.ratio = 0.5
    assert half(frames, [CATEGORIES, ["fire"]]).f_sem.isfinite().all()


def test_learning_reaches_the_whole_model(parts):
    semantics = build((copy.deepcopy(parts[0]), parts[1]))
    with torch.inference_mode():  # prompts remembered while validating must serve training too
        semantics(clip(4, 84, 112)[None], [CATEGORIES])
    out = semantics(clip(4, 84, 112)[None], [CATEGORIES], with_text_loss=True)
    (out.f_sem.square().mean() + out.text_loss).backward()
    # SigLIP's last layer is read before the final norm of the tower
    silent = [name for name, weight in semantics.mllm.named_parameters() if weight.grad is None]
    assert not [name for name in silent if "post_layernorm" not in name]


@pytest.mark.slow
@torch.no_grad()
def test_a_whole_lavida_runs_on_it(parts):
    mllm, tokenizer = parts
    text_tokenizer = tiny_tokenizers()[1]
    mllm_config = family_config(mllm.config.model_type, tokenizer)
    config = tiny_config(tokenizer, text_tokenizer, mllm_config=mllm_config, static_patch_drop=0.01)
    model = LavidaModel(config, tokenizer, text_tokenizer).eval()
    output = model(clips(2, 4), [["dog"], ["dog", "smoke"]], with_text_loss=True)
    assert output.frame_logits.shape == (2, 4) and output.text_loss.isfinite()
    assert model.semantics.static_patch_drop == 0.01


def test_an_unknown_family_is_a_clear_error():
    mllm, _ = tiny_family("qwen2_vl")
    mllm.config.model_type = "blip_2"
    with pytest.raises(InputError, match="'blip_2': supported are qwen2_vl, .*smolvlm") as error:
        family_of(mllm, tokens_per_pair=4)
    assert "\n" not in str(error.value)


def test_flash_attention_needs_its_package_cuda_and_half_precision(monkeypatch):
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    monkeypatch.setattr(cache, "is_flash_attn_2_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert cache.fastest(cuda, torch.float16) == "sdpa" and not has_fast_bf16(cuda)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert has_fast_bf16(cuda)
    assert cache.fastest(cuda, torch.bfloat16) == cache.fastest(cuda, torch.float16) == "flash_attention_2"
    assert cache.fastest(cuda, torch.float32) == cache.fastest(cpu, torch.bfloat16) == "sdpa"
    monkeypatch.setattr(cache, "is_flash_attn_2_available", lambda: False)
    assert cache.fastest(cuda, torch.bfloat16) == "sdpa"


def test_attention_chosen_on_purpose_is_kept():
    mllm, tokenizer = tiny_family("qwen2_vl")
    for chosen in ("eager", "sdpa"):
        mllm.set_attn_implementation(chosen)
        build((mllm, tokenizer))(clip(2, 56, 56)[None], [["fire"]])
        assert mllm.config._attn_implementation == chosen
