"""One graph in ONNX Runtime or OpenVINO: named arrays in, named arrays out."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError, first_line, interrupted, not_installed
from lavida.runtime.joining import Shapes, compile_joined

Array = NDArray[Any]
# Else ONNX Runtime 1.32 writes an identity of the machine to the user's caches when it is imported, to be sent
# (`onnxruntime_writes_when_imported.sh` in findings/). On Windows its events are switched off afterwards.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# While OpenVINO reads what it compiled before, the whole process has the locale "C"; of two threads at a time each may
# give back what the other one has set, or read what is freed (`openvino_cache_changes_locale.sh` in findings/).
_ONE_AT_A_TIME = Lock()
PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime"}  # the first that is installed is `auto`
_TELEMETRY = "openvino_telemetry"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # their numbers in malloc.h
AT_ONCE = 2  # frames in OpenVINO, each of which takes memory
_NEEDED = {"openvino": ("openvino", "onnxruntime"), "onnx": ("onnxruntime",)}  # OpenVINO runs videos, see `opened.py`


class OpenGraph(Protocol):
    """A graph that was opened.

    Attributes:
        inputs: The names of each of its inputs: some runtimes know more than one.
        outputs: Likewise, of what it gives.
    """

    inputs: list[set[str]]
    outputs: list[set[str]]


class OnnxSession:
    """An `OpenGraph` in ONNX Runtime, on the CPU.

    `seldom`: what depends on no input is computed at each run. Done once when the graph is opened, all that leads from
    stored weights to those of float32 is held at a time, ten times what the weights take.
    """

    def __init__(self, path: Path, threads: int, *, seldom: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors are raised: in words of ours, and once
        options.enable_mem_pattern = False  # a plan of memory for each size that was ever asked: 6 MB, and no faster
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores, too
        _share_arena()
        if seldom:  # the arena would keep what it takes
            options.enable_cpu_mem_arena = False
        else:
            options.add_session_config_entry("session.use_env_allocators", "1")
        self._session = onnxruntime.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"] if seldom else None,
        )
        self.inputs = [{node.name} for node in self._session.get_inputs()]
        self.outputs = [{node.name} for node in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> Sequence[Array]:
        """The outputs, in their order."""
        return self._session.run(None, dict(inputs))


@cache
def _share_arena() -> None:
    """One arena for all graphs, which run one after another: with one each, a tenth more memory is held."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    kind, place = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", kind, 0, place), None)


class OpenVinoSession:
    """Several graphs as one of known sizes (`joining.compile_joined`): an `OpenGraph` in OpenVINO, on the CPU.

    Two frames at a time, of half the threads each: threads of one frame wait for each other after every step, the
    longer the more else goes on. On two cores a frame takes three quarters of the time, beside a busy core two thirds.
    """

    def __init__(
        self, paths: Sequence[Path], threads: int, precision: str, compiled: Path | None, shapes: Shapes
    ) -> None:
        import openvino

        self._at_once = min(AT_ONCE, threads)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": {"float32": "f32"}.get(precision, precision),
            "NUM_STREAMS": self._at_once,
        }
        if compiled is not None:
            settings["CACHE_DIR"] = str(compiled)
        core = openvino.Core()
        reads = compiled is not None and any(compiled.glob("*.blob"))
        with _ONE_AT_A_TIME if reads else nullcontext():  # what compiles does not change it, and takes long
            self._compiled = compile_joined(core, paths, shapes, settings, kept=compiled)
        self._requests = [self._compiled.create_infer_request() for _ in range(self._at_once)]  # that are not running
        self.inputs = [node.names for node in self._compiled.inputs]
        self.outputs = [node.names for node in self._compiled.outputs]

    def run_each(
        self, inputs: Iterable[Mapping[str, Array]], *, runs: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> Iterator[Sequence[Array]]:
        """The outputs for each of the inputs, in their order; the next ones are read and answered meanwhile.

        `runs` is entered for what OpenVINO does, and not while inputs are read.
        """
        running: deque[tuple[Any, Mapping[str, Array]]] = deque()
        try:
            for given in inputs:
                found = None
                with runs():
                    if len(running) == self._at_once:
                        found = self._finished(running)
                    running.append(self._begun(given))
                if found is not None:
                    yield found
            while running:
                with runs():
                    found = self._finished(running)
                yield found
        finally:  # nobody asks any more, or one has failed
            for request, _ in running:
                with suppress(RuntimeError):
                    request.wait()

    def _begun(self, inputs: Mapping[str, Array]) -> tuple[Any, Mapping[str, Array]]:
        try:
            request = self._requests.pop()
        except IndexError:  # other threads, or an answer that nobody waited for, have them all
            request = self._compiled.create_infer_request()
        request.start_async(dict(inputs), share_inputs=True)
        return request, inputs  # which it reads where they are

    def _finished(self, running: "deque[tuple[Any, Mapping[str, Array]]]") -> Sequence[Array]:
        request, _ = running[0]
        request.wait()
        running.popleft()
        found = [np.array(request.get_output_tensor(i).data) for i in range(len(self.outputs))]  # its own are reused
        if len(self._requests) < self._at_once:
            self._requests.append(request)
        return found


def installed() -> list[str]:
    """The runtimes that can be used here."""
    return [runtime for runtime, packages in _NEEDED.items() if all(map(find_spec, packages))]


def choose_runtime(name: str) -> str:
    """`auto` takes the first of `PACKAGES` that is installed. Raises InputError if it is missing or broken."""
    if name == "auto":
        if not installed():
            raise InputError("an exported model needs onnxruntime: pip install onnxruntime")
        name = installed()[0]
    for package in _NEEDED[name]:
        if find_spec(package) is None:
            raise not_installed(package, f"--runtime {name} needs it")
        try:
            with _untold():
                import_module(package)
        except Exception as error:  # a library that the system has not, or one for another processor
            if interrupted(error):
                raise KeyboardInterrupt from error
            again = f"pip install --force-reinstall {package}"
            raise InputError(f"{package} is installed but cannot be imported ({first_line(error)}): {again}") from error
    return name


@contextmanager
def _untold() -> Iterator[None]:
    """Without the package by which OpenVINO tells its makers, over the network, that it was imported.

    It does without by itself where this is missing (`openvino_tells_when_imported.sh` in findings/).
    """
    if _TELEMETRY in sys.modules:
        yield
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]


def choose_precision(name: str, runtime: str) -> str:
    """`auto` takes bf16 where OpenVINO says that this processor multiplies it, else float32."""
    if name != "auto":
        return name
    if runtime != "openvino":
        return "float32"
    import openvino

    return "bf16" if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "float32"


def open_graph(path: Path, *, inputs: Sequence[str], outputs: Sequence[str], seldom: bool = False) -> OnnxSession:
    """A graph of any sizes, ready to run, in ONNX Runtime.

    Args:
        path: Its file.
        inputs: The names that it has to have.
        outputs: Likewise, in their order.
        seldom: It is run a few times and should take little memory (`OnnxSession`).

    Raises:
        InputError: The graph cannot be read, or has other inputs or outputs.
    """
    with _damaged(str(path)):
        session = OnnxSession(path, threads(), seldom=seldom)
    _check_graph(session, str(path), inputs, outputs)
    return session


def open_joined(
    paths: Sequence[Path], *, precision: str, shapes: Shapes, outputs: Sequence[str], compiled: Path | None
) -> OpenVinoSession:
    """Graphs that become one, ready to run, in OpenVINO.

    Args:
        paths: Their files, in the order of `compile_joined`.
        precision: As `choose_precision` gives it.
        shapes: Of all inputs of the whole.
        outputs: The names that it has to have, in their order.
        compiled: Where it is kept.

    Raises:
        InputError: As `open_graph`.
    """
    said = " or ".join(map(str, paths))
    with _damaged(said):
        session = OpenVinoSession(paths, threads(), precision, compiled, shapes)
    _check_graph(session, said, list(shapes), outputs)
    return session


@contextmanager
def _damaged(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # neither has one type for a damaged file
        raise InputError(f"damaged export: {path} cannot be read ({why(error)}); export it again") from error


def _check_graph(session: OpenGraph, path: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    _check_names(path, "inputs", inputs, session.inputs, set().union(*session.inputs) >= set(inputs))
    fits = all(name in names for name, names in zip(outputs, session.outputs, strict=False))
    _check_names(path, "outputs", outputs, session.outputs, fits)


def why(error: Exception) -> str:
    """What a runtime says in one line: OpenVINO's begin with where in its own source they arose."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Exception from ")]
    return lines[0].strip().rstrip(".:!") if lines else first_line(error)


def _check_names(path: str, kind: str, wanted: Sequence[str], found: Sequence[set[str]], fits: bool) -> None:
    if not fits or len(wanted) != len(found):
        has = ", ".join(min(names, default="nameless") for names in found)
        told = f"has other {kind} ({has}) than the manifest beside it tells ({', '.join(wanted)})"
        raise InputError(f"damaged export: {path} {told}; export it again")


def give_back_memory() -> None:
    """What reading and compiling graphs used is kept for later by glibc, some tens of MB; the system gets it back."""
    _ask_glibc("malloc_trim", 0)


def keep_little_memory() -> None:
    """From now on glibc gives back what is as large as a picture's features as soon as it is freed: 30 MB less.

    By itself it keeps more and more of what a program frees again and again, which saves time where much is larger. Of
    smaller things a few MB stay, which would else be asked for anew with each frame: a twentieth of the time.
    """
    _ask_glibc("mallopt", _MMAP_THRESHOLD, 4 << 20)
    _ask_glibc("mallopt", _TRIM_THRESHOLD, 6 << 20)


def _ask_glibc(function: str, *arguments: int) -> None:
    import ctypes

    with suppress(OSError, AttributeError):  # another system, or another C library
        getattr(ctypes.CDLL("libc.so.6"), function)(*arguments)


def threads() -> int:
    """As many as OpenMP would use, but no more than there are cores: a runtime makes every thread that it is told."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # "4,2": of nested regions
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = int(given) if given.isdecimal() and len(given) < 10 else 0
    return min(wished, os.cpu_count() or 1) or available
