"""Which attention kernel the MLLM runs on: PyTorch's own, or flash-attention 2 where it is there and can be used."""

import torch
from transformers import PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from lavida.model.kernels import attention_kernel, has_fast_bf16

SDPA, FLASH = "sdpa", "flash_attention_2"


def fastest(device: torch.device, dtype: torch.dtype) -> str:
    """transformers' name of the implementation for weights of this precision on this device.

    Flash-attention needs its package, a CUDA device that it has kernels for, and half precision.
    """
    usable = device.type == "cuda" and dtype in (torch.float16, torch.bfloat16) and is_flash_attn_2_available()
    return FLASH if usable and has_fast_bf16(device) else SDPA


def prefer_flash(mllm: PreTrainedModel) -> None:
    """Switch a model from SDPA, the default, to flash-attention 2 and back as its device and precision allow.

    A model that was given another implementation on purpose keeps it.
    """
    current = attention_kernel(mllm)
    if current in (SDPA, FLASH):
        weight = mllm.get_input_embeddings().weight
        if (wanted := fastest(weight.device, weight.dtype)) != current:
            mllm.set_attn_implementation(wanted)
