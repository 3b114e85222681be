"""What torch and transformers offer under private names only, each guarded here and used nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

AMPERE = (8, 0)  # older ones emulate bf16, and flash-attention 2 has no kernels for them


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 faster than float32: NVIDIA's since Ampere, AMD's, newer CPUs."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= AMPERE
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and supported()


def attention_kernel(model: nn.Module) -> str | None:
    """transformers' name of the attention that a model runs on; None where a release no longer says it."""
    return getattr(model.config, "_attn_implementation", None)


def exporting() -> bool:
    """Whether the network is being traced into a graph, where only what its operators know can stand."""
    return torch.onnx.is_in_onnx_export()


@contextmanager
def without_export_log() -> Iterator[None]:
    """Where PyTorch's exporter fails it prints the whole graph on stdout, past Python; not within the block.

    Its switch for that is of no use: an export turns it on.
    """
    log = getattr(torch._C, "_jit_onnx_log", None)
    if log is None:
        yield
        return
    torch._C._jit_onnx_log = lambda *said: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log


def at_least_one(count: int | Tensor) -> int:
    """`max(1, count)` for a number that in a graph is a tensor."""
    return max(1, count) if isinstance(count, int) else count.clamp(min=1)


def at_most(most: int, count: int | Tensor) -> int:
    """`min(most, count)` for a number that in a graph is a tensor."""
    return min(most, count) if isinstance(count, int) else count.clamp(max=most)


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The k-th smallest along the last axis, k from 1: `[..., N]` to `[...]`."""
    if exporting():  # graphs have no other selection
        return values.topk(k, dim=-1, largest=False).values[..., -1]
    return values.kthvalue(k, -1).values


def one_minus_exp(values: Tensor) -> Tensor:
    """`1 - exp(values)`, exact near 0."""
    if exporting():  # graphs have no expm1
        return torch.tanh(-values / 2) * (1 + values.exp())
    return -torch.expm1(values)


def matmul_transposed(rows: Tensor, columns: Tensor) -> Tensor:
    """`rows @ columns.mT` in full float32, without autocast; `[..., N, D]`, `[..., M, D]` -> `[..., N, M]`."""
    with torch.autocast(rows.device.type, enabled=False):
        if _onednn_multiplies(rows):
            # PyTorch's usual library for float32, MKL, uses half of the vector width of AMD's processors
            return torch.ops.mkldnn._linear_pointwise(rows, columns, None, "none", [], "")
        with _without_tf32(rows.device):
            return rows @ columns.mT


def _onednn_multiplies(rows: Tensor) -> bool:
    plain = rows.device.type == "cpu" and rows.dtype == torch.float32 and rows.ndim == 2
    return plain and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@contextmanager
def _without_tf32(device: torch.device) -> Iterator[None]:
    """Ranks and bounds need float32; a GPU may have been told to multiply with fewer bits."""
    if device.type != "cuda":
        yield
        return
    settings = torch.backends.cuda.matmul
    name, full = ("fp32_precision", "ieee") if hasattr(settings, "fp32_precision") else ("allow_tf32", False)
    before = getattr(settings, name)
    setattr(settings, name, full)
    try:
        yield
    finally:
        setattr(settings, name, before)
