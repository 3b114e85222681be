"""One graph in ONNX Runtime or OpenVINO: named arrays in, named arrays out."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError, first_line, not_installed

Array = NDArray[Any]
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}


class Session(Protocol):
    """Runs a graph."""

    def run(self, inputs: Mapping[str, Array]) -> Sequence[Array]: ...


class OnnxSession:
    """In ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores, too
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, Array]) -> Sequence[Array]:
        return self._session.run(None, dict(inputs))


@cache
def _share_arena() -> None:
    """One arena for all graphs, which run one after another: with one each, a tenth more memory is held."""
    import onnxruntime

    kind, place = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, place), None)


class OpenVinoSession:
    """In OpenVINO, on the CPU; what it compiles is kept in a folder, if one is given."""

    def __init__(self, path: Path, threads: int, precision: str, compiled: Path | None) -> None:
        import openvino

        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": {"float32": "f32"}.get(precision, precision),
            "PERFORMANCE_HINT": "LATENCY",
        }
        if compiled is not None:
            settings["CACHE_DIR"] = str(compiled)
        self._compiled = openvino.Core().compile_model(path, "CPU", settings)
        self._request = self._compiled.create_infer_request()

    def run(self, inputs: Mapping[str, Array]) -> Sequence[Array]:
        found = self._request.infer(dict(inputs))
        return [np.array(found[output]) for output in self._compiled.outputs]  # the request's own are overwritten


def installed() -> list[str]:
    """The runtimes that can be used here."""
    return [runtime for runtime, package in PACKAGES.items() if find_spec(package)]


def choose_runtime(name: str) -> str:
    """`auto` takes the first of `PACKAGES` that is installed. Raises InputError if it or none is installed."""
    if name == "auto":
        if not installed():
            raise InputError("an exported model needs onnxruntime or openvino: pip install onnxruntime")
        return installed()[0]
    package = PACKAGES[name]
    if find_spec(package) is None:
        raise not_installed(package, f"--runtime {name} needs it")
    return name


def choose_precision(name: str, runtime: str) -> str:
    """`auto` takes bf16 where OpenVINO says that this processor multiplies it, else float32."""
    if name != "auto":
        return name
    if runtime != "openvino":
        return "float32"
    import openvino

    return "bf16" if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "float32"


def open_session(path: Path, runtime: str, *, precision: str, compiled: Path | None = None) -> Session:
    """`compiled`: where OpenVINO keeps what it compiles. Raises InputError if the graph cannot be read."""
    try:
        if runtime == "onnx":
            return OnnxSession(path, threads())
        return OpenVinoSession(path, threads(), precision, compiled)
    except Exception as error:  # neither has one type for a damaged file
        raise InputError(f"damaged export: {path} cannot be read ({first_line(error)}); export it again") from error


def threads() -> int:
    """As many as OpenMP would use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(given) if given.isdigit() and int(given) else available
