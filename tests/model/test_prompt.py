import json

import pytest
import torch
from tokenizers import AddedToken
from transformers import AutoTokenizer, Qwen2Tokenizer, Qwen2VLForConditionalGeneration

from lavida.checkpoints.presets import QWEN_TOKENS, nano_mllm_config, train_nano_tokenizer
from lavida.errors import InputError
from lavida.model.mllm.qwen import Qwen2VL
from lavida.model.mllm.smolvlm import SmolVLM
from lavida.model.prompt import (
    IGNORED,
    MAX_CATEGORY_TOKENS,
    SEG_TOKEN,
    TEMPLATES,
    add_seg_token,
    clean_category,
    encode_prompt,
)

CORPUS = [*TEMPLATES, "a person riding a bicycle", "car accident", "people fighting on the street"] * 3
TOOL_TOKEN = "<tool_call>"  # pretrained vocabularies add it without marking it special


def nano_tokenizer():
    return train_nano_tokenizer(CORPUS, 400)


def pretrained_tokenizer():
    """The class that Qwen2-VL checkpoints load, `<SEG>` added afterwards."""
    model = json.loads(nano_tokenizer().backend_tokenizer.to_str())["model"]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    special = [AddedToken(token, special=True) for token in (*QWEN_TOKENS, SEG_TOKEN)]
    tokenizer.add_tokens([*special, AddedToken(TOOL_TOKEN, special=False)])
    return tokenizer


@pytest.fixture(scope="module", params=[nano_tokenizer, pretrained_tokenizer])
def tokenizer(request):
    return request.param()


def encode(tokenizer, categories, *, video_tokens: int = 1, template: int = 0):
    clip = ["<|vision_start|>", video_tokens, "<|vision_end|>"]
    return encode_prompt(tokenizer, categories, chat=Qwen2VL.chat, clip=clip, template=template)


def count(prompt, tokenizer, token: str) -> int:
    return int((prompt.input_ids == tokenizer.convert_tokens_to_ids(token)).sum())


@pytest.mark.parametrize("template", range(len(TEMPLATES)))
def test_ordinary_categories_read_as_running_text(tokenizer, template):
    categories = ["a person riding a bicycle", "car accident", "3 dogs"]
    prompt = encode(tokenizer, categories, video_tokens=4, template=template)
    question = TEMPLATES[template].format(c=", ".join(categories))
    text = (
        f"<|im_start|>user\n<|vision_start|>{'<|video_pad|>' * 4}<|vision_end|>{question}<|im_end|>\n"
        "<|im_start|>assistant\nSure, it is <SEG>.<|im_end|>"
    )
    assert prompt.input_ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_test_time_prompt_is_the_papers(tokenizer):
    prompt = encode(tokenizer, ["car accident"], video_tokens=1)
    text = tokenizer.decode(prompt.input_ids)
    assert "Find the anomaly in this video. Anomaly types may contain car accident." in text


def test_positions_point_at_the_video_and_at_seg(tokenizer):
    prompt = encode(tokenizer, ["fire"], video_tokens=5)
    video = prompt.input_ids == tokenizer.convert_tokens_to_ids("<|video_pad|>")
    assert video.nonzero().flatten().tolist() == prompt.visual.tolist() and len(prompt.visual) == 5
    assert prompt.input_ids[prompt.seg_position] == tokenizer.convert_tokens_to_ids(SEG_TOKEN)


def test_visual_tokens_may_lie_in_several_places(tokenizer):
    clip = ["<|vision_start|>", 2, "<|vision_end|><1.0 seconds><|vision_start|>", 3, "<|vision_end|>"]
    prompt = encode_prompt(tokenizer, ["fire"], chat=Qwen2VL.chat, clip=clip)
    video = prompt.input_ids == tokenizer.convert_tokens_to_ids("<|video_pad|>")
    assert video.nonzero().flatten().tolist() == prompt.visual.tolist()
    text = tokenizer.decode(prompt.input_ids).replace("<|video_pad|>", "*")
    assert "<|vision_start|>**<|vision_end|><1.0 seconds><|vision_start|>***<|vision_end|>Find" in text


def test_a_tokenizer_of_another_model_is_a_clear_error(tokenizer):
    with pytest.raises(InputError, match="does not know <image>"):
        encode_prompt(tokenizer, ["fire"], chat=SmolVLM.chat, clip=[4])


def test_only_the_answer_is_supervised(tokenizer):
    prompt = encode(tokenizer, ["fire"], video_tokens=5)
    supervised = prompt.labels != IGNORED
    assert tokenizer.decode(prompt.labels[supervised]) == "Sure, it is <SEG>.<|im_end|>"
    assert torch.equal(prompt.labels[supervised], prompt.input_ids[supervised])


@pytest.mark.parametrize("token", [*QWEN_TOKENS, SEG_TOKEN, TOOL_TOKEN])
@pytest.mark.parametrize("category", ["{t}", "a {t} b", "x{t}{t}", "<{t}>", "{t}\n{t}"])
def test_categories_that_spell_special_tokens_stay_text(token, category):
    tokenizer = pretrained_tokenizer()
    harmless = encode(tokenizer, ["fire"], video_tokens=3)
    hostile = encode(tokenizer, ["fire", category.format(t=token)], video_tokens=3)
    for special in (*QWEN_TOKENS, SEG_TOKEN, TOOL_TOKEN):
        assert count(hostile, tokenizer, special) == count(harmless, tokenizer, special), special
    assert hostile.input_ids[hostile.seg_position] == tokenizer.convert_tokens_to_ids(SEG_TOKEN)


def test_a_hostile_category_keeps_its_words(tokenizer):
    prompt = encode(tokenizer, ["<SEG> of a car"], video_tokens=1)
    assert "may contain <SEG> of a car." in tokenizer.decode(prompt.input_ids)


def test_control_characters_and_breaks_become_single_spaces():
    assert clean_category(" a\tcar\r\n\x00\u2028 on \x1b fire\x85\udcff ") == "a car on fire"


@pytest.mark.parametrize("text", ["", "  \n", "\x00\x1f", "\u200b\u00a0"])
def test_an_invisible_category_is_a_clear_error(tokenizer, text):
    with pytest.raises(InputError, match="empty anomaly category") as error:
        encode(tokenizer, ["fire", text], video_tokens=1)
    assert "\n" not in str(error.value)


def test_no_categories_is_a_clear_error(tokenizer):
    with pytest.raises(InputError, match="no anomaly categories"):
        encode(tokenizer, [], video_tokens=1)


def test_a_very_long_category_is_cut_alone(tokenizer):
    short = encode(tokenizer, ["fire"], video_tokens=1)
    long = encode(tokenizer, ["fire", "word " * 5000, "car accident"], video_tokens=1)
    tail = encode(tokenizer, ["fire", "car accident"], video_tokens=1)
    assert len(long.input_ids) == len(tail.input_ids) + MAX_CATEGORY_TOKENS + 1  # and its comma
    assert len(tail.input_ids) > len(short.input_ids)
    assert ", car accident." in tokenizer.decode(long.input_ids)


def test_two_hundred_categories_are_all_named(tokenizer):
    categories = [f"anomaly number {i}" for i in range(200)]
    text = tokenizer.decode(encode(tokenizer, categories, video_tokens=1).input_ids)
    assert ", ".join(categories) in text


@pytest.mark.parametrize(
    "text",
    [
        "ein Mann f\u00e4llt",
        "\u4eba\u5728\u6253\u67b6",
        "\U0001f525\U0001f46e\u200d\u2642\ufe0f",
        "\u0000\uffff",
    ],
)
def test_nano_encodes_any_unicode_without_loss(text):
    nano = nano_tokenizer()
    assert nano.decode(nano(text)["input_ids"]) == text


def test_nano_learns_its_corpus_within_the_vocabulary():
    nano = nano_tokenizer()
    assert len(nano) <= 400
    assert len(nano("car accident")["input_ids"]) < len("car accident") / 2
    with pytest.raises(ValueError, match="265"):
        train_nano_tokenizer(CORPUS, 264)


def test_nano_survives_saving(tmp_path):
    nano = nano_tokenizer()
    nano.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    before = encode(nano, ["car <SEG> fire"], video_tokens=3)
    after = encode(loaded, ["car <SEG> fire"], video_tokens=3)
    assert torch.equal(before.input_ids, after.input_ids) and before.seg_position == after.seg_position


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("spare", [0, 7])
def test_seg_token_gets_a_row_and_disturbs_no_other(tied, spare):
    tokenizer = nano_tokenizer()
    config = nano_mllm_config(tokenizer, hidden_size=32, layers=1, heads=2, vision_dim=32, vision_depth=1)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = tied
    # a vocabulary as a hub checkpoint has it: no <SEG> yet, perhaps spare rows
    backend = json.loads(tokenizer.backend_tokenizer.to_str().replace(SEG_TOKEN, "<unused>"))
    pretrained = type(tokenizer)(tokenizer_object=type(tokenizer.backend_tokenizer).from_str(json.dumps(backend)))
    known = len(pretrained)
    config.text_config.vocab_size = known + spare
    model = Qwen2VLForConditionalGeneration(config)
    before = model.get_input_embeddings().weight.detach().clone()

    seg_id = add_seg_token(pretrained, model)

    table = model.get_input_embeddings().weight
    assert pretrained(SEG_TOKEN)["input_ids"] == [seg_id] == [known]
    assert len(table) == max(known + 1, known + spare) == model.config.text_config.vocab_size
    assert model.get_output_embeddings().weight.shape == table.shape
    assert torch.equal(table[:known], before[:known])
    assert torch.allclose(table[seg_id], before[:known].mean(0), atol=1e-6)
    with torch.no_grad():
        table[seg_id] = 1.0
    assert add_seg_token(pretrained, model) == seg_id and bool((table[seg_id] == 1).all())
