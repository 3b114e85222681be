"""Where the model runs, and in which precision."""

from collections.abc import Callable

import torch

from lavida.errors import InputError, first_line
from lavida.model.kernels import has_fast_bf16

DEVICE_TYPES = ("cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU. Raises InputError for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICE_TYPES:
            raise RuntimeError(f"lavida runs on {', '.join(DEVICE_TYPES)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error).split(". ")[0]
        raise InputError(f"device {name} cannot be used: {reason}; try --device auto") from error
    return device


def autocast(device: torch.device) -> Callable[[], torch.autocast]:
    """A context for the forward pass: bf16 where that is fast, else float32."""
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """The most memory that this process has held on a CUDA device so far; None on other devices."""
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None
