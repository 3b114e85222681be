"""The graphs of an export, opened in the background and run by name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.files import MANIFEST
from lavida.runtime.compiled import compiled_folder
from lavida.runtime.contract import GRAPHS
from lavida.runtime.manifest import MEND, Manifest
from lavida.runtime.session import (
    PACKAGES,
    OnnxSession,
    OpenVinoSession,
    choose_precision,
    choose_runtime,
    give_back_memory,
    keep_little_memory,
    open_graph,
    open_joined,
    why,
)

Array = NDArray[Any]
MOST_JOINED = 4  # graphs of one size that are held at a time


class OpenedGraphs:
    """Each graph is opened when it is asked, or before, in threads beside those that import, decode and ask others.

    Args:
        manifest: Of the export.
        runtime: As `choose_runtime` takes it.
        precision: As `choose_precision` takes it.
        keeps: Whether what OpenVINO compiles is kept for the next start.

    Attributes:
        versions: Of the packages that answer, by their names.
        joins: Whether vision and decoder run as one graph for frames of a video, which takes half of the time in
            OpenVINO. All else runs in ONNX Runtime, which asks for no compiling and takes any sizes.

    Raises:
        InputError: The runtime is not installed.
    """

    def __init__(self, manifest: Manifest, *, runtime: str, precision: str, keeps: bool) -> None:
        self._manifest, self._keeps = manifest, keeps
        self.runtime = choose_runtime(runtime)
        self.precision = choose_precision(precision, self.runtime)
        self.versions = {package: version(package) for package in (PACKAGES[self.runtime], PACKAGES["onnx"])}
        self.joins = self.runtime == "openvino"
        if self.joins:
            keep_little_memory()
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="lavida-open")
        self._sessions: dict[str, Future[OnnxSession]] = {}
        self._asking = Lock()  # several threads may ask one detector
        self._joined: dict[tuple[object, ...], Future[OpenVinoSession]] = {}

    @property
    def name(self) -> str:
        """Package and version, for people."""
        package = PACKAGES[self.runtime]
        return f"{package} {self.versions[package]}"

    def begin(self, graph: str) -> Future[OnnxSession]:
        """Open a graph if it is not."""
        with self._asking:
            opening = self._sessions.get(graph)
            if opening is None or _has_failed(opening):
                opening = self._sessions[graph] = self._threads.submit(self._open, graph)
            return opening

    def begin_joined(self, decoder: str, sizes: Mapping[str, int]) -> Future[OpenVinoSession]:
        """Open vision and a decoder as one graph of these sizes, by their names in the manifest."""
        key = (decoder, *sizes.values())
        with self._asking:
            opening = self._joined.pop(key, None)  # what was asked last goes last
            if opening is None or _has_failed(opening):
                while len(self._joined) >= MOST_JOINED:
                    self._joined.pop(next(iter(self._joined)))
                opening = self._threads.submit(self._open_joined, decoder, dict(sizes))
            self._joined[key] = opening
            return opening

    def ready(self) -> None:
        """Wait for all that was begun. Raises InputError for a graph that cannot be read."""
        for opening in list(self._sessions.values()):
            opening.result()
        for joined in list(self._joined.values()):
            joined.result()

    def forget(self, graph: str) -> None:
        """Close it; it is opened anew when it is asked."""
        with self._asking:
            self._sessions.pop(graph, None)
        give_back_memory()

    def run(self, graph: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name. Raises InputError if the graph does not take the inputs."""
        wanted = {name: inputs[name] for name in self._manifest.inputs(graph)}
        session = self.begin(graph).result()
        with self._runs(PACKAGES["onnx"], graph):
            return self._named(graph, session.run(wanted))

    def run_joined(
        self, decoder: str, sizes: Mapping[str, int], inputs: Iterable[Mapping[str, Array]]
    ) -> Iterator[dict[str, Array]]:
        """What the decoder gives for each of the inputs: those of vision, and the decoder's others."""
        wanted = [*self._manifest.inputs(GRAPHS.vision), *self._of_texts(decoder)]
        told = ({name: given[name] for name in wanted} for given in inputs)
        first = list(islice(told, 1))  # is made while the graph is being opened
        session = self.begin_joined(decoder, sizes).result()
        for found in session.run_each(chain(first, told), runs=partial(self._runs, PACKAGES["openvino"], decoder)):
            yield self._named(decoder, found)

    @contextmanager
    def _runs(self, package: str, graph: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # neither runtime has one type for what a graph does not take
            path = self._manifest.path(graph)
            raise InputError(f"{package} cannot run {path} ({why(error)}); {MEND}, or use another --runtime") from error

    def _named(self, graph: str, found: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(self._manifest.outputs(graph), found, strict=True))

    def _of_texts(self, decoder: str) -> list[str]:
        seen = self._manifest.outputs(GRAPHS.vision)
        return [name for name in self._manifest.inputs(decoder) if name not in seen]

    def _open(self, graph: str) -> OnnxSession:
        manifest = self._manifest
        manifest.check_graph(graph)
        session = open_graph(
            manifest.path(graph),
            inputs=manifest.inputs(graph),
            outputs=manifest.outputs(graph),
            seldom=graph == GRAPHS.text,  # once for all words
        )
        manifest.check_same()  # it may have been replaced between the two
        return session

    def _open_joined(self, decoder: str, sizes: Mapping[str, int]) -> OpenVinoSession:
        manifest, graphs = self._manifest, (GRAPHS.vision, decoder)
        for graph in graphs:
            manifest.check_graph(graph)
        of_decoder = manifest.shapes(decoder)
        told = manifest.shapes(GRAPHS.vision) | {name: of_decoder[name] for name in self._of_texts(decoder)}
        session = open_joined(
            [manifest.path(graph) for graph in graphs],
            precision=self.precision,
            shapes={
                name: [side if isinstance(side, int) else sizes.get(side, -1) for side in shape]
                for name, shape in told.items()
            },
            outputs=manifest.outputs(decoder),
            compiled=self._compiled_folder(),  # each time: many sizes may be asked in one process
        )
        manifest.check_same()
        give_back_memory()
        return session

    def _compiled_folder(self) -> Path | None:
        if not self._keeps:
            return None
        from platformdirs import user_cache_path  # 10 ms that ONNX Runtime has no need of

        caches = user_cache_path("lavida", appauthor=False)
        manifest = self._manifest
        return compiled_folder(manifest.folder / MANIFEST, caches=caches, size=manifest.size)


def _has_failed(opening: Future[Any]) -> bool:
    """So that it is tried again: what stood in the way may have gone."""
    return opening.done() and opening.exception() is not None
