"""The example of docs/mllm.md, as it stands there."""

import re
from pathlib import Path

import torch
from families import CATEGORIES, clip, family_tokenizer
from transformers import AutoModelForImageTextToText, InternVLConfig

from lavida.model.mllm import FAMILIES
from lavida.model.semantics import Semantics

DOCS = Path(__file__).parents[3] / "docs" / "mllm.md"
CONVERSATION = (
    "<|im_start|>user\nFrame1: <img>{picture}</img>\nFrame2: <img>{picture}</img>\nFind the anomaly in this video. "
    "Anomaly types may contain a person riding a bicycle, car accident, fire.<|im_end|>\n<|im_start|>assistant\n"
    "Sure, it is <SEG>.<|im_end|>"
)


@torch.no_grad()
def test_the_example_is_the_plain_mllm(monkeypatch):
    scope: dict = {}
    exec(re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1], scope)
    monkeypatch.setitem(FAMILIES, "internvl", scope["InternVL"])
    tokenizer = family_tokenizer("internvl")
    tokenizer.add_tokens(["<img>", "</img>", "<IMG_CONTEXT>"], special_tokens=True)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = InternVLConfig(
        vision_config=shape | {"image_size": 84, "patch_size": 14},
        text_config=shape | {"model_type": "qwen2", "vocab_size": len(tokenizer), "num_key_value_heads": 1},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )
    torch.manual_seed(0)
    mllm = AutoModelForImageTextToText.from_config(config).eval()
    frames = clip(2, 84, 84)  # 3 x 3 tokens each
    ids = tokenizer(CONVERSATION.format(picture="<IMG_CONTEXT>" * 9), return_tensors="pt")["input_ids"]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (frames / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    plain = mllm.model(input_ids=ids, pixel_values=pixels).last_hidden_state[0]
    semantics = Semantics(mllm, tokenizer, ratio=1, k=4, tokens_per_pair=18)
    seg = ids[0] == tokenizer.convert_tokens_to_ids("<SEG>")
    torch.testing.assert_close(semantics([frames], [CATEGORIES]).f_sem, plain[seg], atol=1e-4, rtol=1e-4)
    semantics.ratio = 0.5
    assert len(semantics([frames], [CATEGORIES]).kept[0]) == 9
