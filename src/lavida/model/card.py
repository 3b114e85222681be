"""The model card that lies beside saved weights."""

import re

import yaml

from lavida.config import LavidaConfig

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TAGS = ["lavida", "video-anomaly-detection", "zero-shot"]
TRAINED = "Trained by anomaly exposure on segmentation data; no video-anomaly data was used."
WHAT = {
    "mllm": "language model (Eq. 5)",
    "vision": "vision encoder and mask decoder (Eq. 6, 9)",
    "text": "text encoder",
}


def model_card(config: LavidaConfig) -> str:
    """Markdown with the hub's metadata on top: what the model is made of, whether it is trained, how to use it."""
    state = (
        "**Untrained**: the projector and what stands around it are random; `lavida train` with `model.start=DIR` "
        "trains them."
        if config.untrained
        else TRAINED
    )
    use = 'lavida detect street.mp4 -a "person on a bicycle" --model DIR_OR_HUB_ID'
    return _card(config, title="A LAVIDA model", state=state, use=use)


def adapter_card(config: LavidaConfig) -> str:
    """The same for an adapter: what to build and how to merge it."""
    state = f"{TRAINED} This is what training has changed, without the parts below; LoRA in peft's format."
    options = " ".join(f"--{part} {source}" for part, source in (config.sources or {}).items())
    use = (
        f"lavida models build {options or 'PRESET'} --out BASE\n"
        "lavida models merge DIR_OR_HUB_ID --base BASE --out MODEL"
    )
    return _card(config, title="A LAVIDA adapter", state=state, use=use, further={"tags": [*TAGS, "peft", "lora"]})


def _card(config: LavidaConfig, *, title: str, state: str, use: str, further: dict | None = None) -> str:
    sources = config.sources or {}
    metadata = {"library_name": "lavida", "pipeline_tag": "video-classification", "tags": TAGS} | (further or {})
    if bases := sorted({source for source in sources.values() if HUB_ID.fullmatch(source)}):
        metadata["base_model"] = bases
    parts = "\n".join(f"| {WHAT.get(part, part)} | {source} |" for part, source in sources.items())
    table = f"\n| part | from |\n|---|---|\n{parts}\n" if parts else ""
    return f"""---
{yaml.safe_dump(metadata, sort_keys=False).strip()}
---

# {title}

Describe in plain words what counts as abnormal; get when and where it happens in a video.

{state}
{table}
```
{use}
```

Sizes and switches are in the configuration. The licences of the parts and of the training data hold for the weights.
"""
