"""Peak memory of one call, above what the process holds before it."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

Result = TypeVar("Result")


def peak_extra_mb(call: Callable[[], Result], *, device: torch.device, most_gb: float) -> tuple[Result, float]:
    """Run `call` once and measure it.

    Args:
        call: what is measured.
        device: its memory counts.
        most_gb: what it may take on a CPU; beyond that an allocation fails with a RuntimeError.

    Returns:
        What the call returns, and its peak in MB.
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        torch.cuda.synchronize()
        return result, (torch.cuda.max_memory_allocated() - before) / 1e6
    addresses = _status_kb("VmSize") * 1024 + int(most_gb * 1e9)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (addresses, limit[1]))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status_kb("VmRSS")
    try:
        result = call()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    return result, max(0, _status_kb("VmHWM") - before) * 1024 / 1e6


def _status_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))
