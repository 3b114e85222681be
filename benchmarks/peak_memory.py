"""Peak memory of a step, above what is held before it."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

MB = 2**20

Result = TypeVar("Result")


def peak_extra_mb(call: Callable[[], Result], *, device: torch.device, most_gb: float) -> tuple[Result, float | None]:
    """Run `call` once and measure it.

    Args:
        call: what is measured.
        device: its memory counts.
        most_gb: what it may take on a CPU; beyond that an allocation fails with a RuntimeError.

    Returns:
        What the call returns, and its peak in MB; None where the system does not tell.
    """
    before = reset_peak(device)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    if device.type == "cpu" and (addresses := _process_status("VmSize")) is not None:
        resource.setrlimit(resource.RLIMIT_AS, (addresses + int(most_gb * 1e9), limit[1]))
    try:
        result = call()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    synchronize(device)
    peak = peak_bytes(device)
    return result, None if before is None or peak is None else max(0, peak - before) / MB


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak(device: torch.device) -> int | None:
    """Begin a new peak; bytes held now, None where the system does not tell."""
    synchronize(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux
        return None
    return _process_status("VmRSS")


def peak_bytes(device: torch.device) -> int | None:
    """Most bytes held since `reset_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _process_status("VmHWM")


def _process_status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
