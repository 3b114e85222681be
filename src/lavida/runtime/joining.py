"""Vision and decoder as one OpenVINO graph for frames of one size: no feature map is turned, copied or handed over."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lavida.files import atomic_folder
from lavida.model.rounding import bf16_keeping_sums

Shapes = Mapping[str, Sequence[int]]
_GRAPH = "graph.xml"
_MADE = 2  # rises with what changes the graph that is made


def compile_joined(
    core: Any, paths: Sequence[Path], shapes: Shapes, settings: Mapping[str, Any], *, kept: Path | None
) -> Any:
    """A compiled model.

    Args:
        core: `openvino.Core()`.
        paths: Of graphs, each of which is given what the one before gives, by the names of outputs and inputs.
        shapes: Sizes of inputs of the whole; other inputs stay as free as they are.
        settings: As `core.compile_model` takes them.
        kept: Where the whole is kept: by its path OpenVINO finds what it compiled without reading any graph.
    """
    half = settings["INFERENCE_PRECISION_HINT"] != "f32"
    folder = None if kept is None else kept / _name(paths, shapes, settings)
    if folder is not None and _is_there(folder):
        try:
            return core.compile_model(folder / _GRAPH, "CPU", settings)
        except RuntimeError:  # it was damaged on the disk
            shutil.rmtree(folder, ignore_errors=True)
    graph = _joined(paths, shapes, half=half)
    if folder is not None and _keep(graph, folder, half=half):
        return core.compile_model(folder / _GRAPH, "CPU", settings)
    return _compiled_once(core, graph, settings, half=half)


def _name(paths: Sequence[Path], shapes: Shapes, settings: Mapping[str, Any]) -> str:
    told = [
        _MADE,
        settings["INFERENCE_PRECISION_HINT"],
        [path.name for path in paths],
        sorted((name, tuple(shape)) for name, shape in shapes.items()),
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _is_there(folder: Path) -> bool:
    try:
        return (folder / _GRAPH).is_file()
    except OSError:  # a folder of somebody else's
        return False


def _compiled_once(core: Any, graph: Any, settings: Mapping[str, Any], *, half: bool) -> Any:
    """Nothing is kept; by way of a file that goes, for in 16 bits OpenVINO rounds what it reads from one otherwise."""
    if half:
        plain = {name: value for name, value in settings.items() if name != "CACHE_DIR"}
        with suppress(Exception), TemporaryDirectory(prefix="lavida-", ignore_cleanup_errors=True) as place:
            _save(graph, Path(place), half=half)
            return core.compile_model(Path(place) / _GRAPH, "CPU", plain)
    return core.compile_model(graph, "CPU", settings)


def _joined(paths: Sequence[Path], shapes: Shapes, *, half: bool) -> Any:
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.passes import ConstantFolding, Manager

    # of a damaged file `core.read_model` asks readers of other formats, too, which print all of it
    reader = FrontEndManager().load_by_framework("onnx")
    first, *others = paths
    graph = reader.convert(reader.load(str(first)))
    for path in others:
        following, free = reader.convert(reader.load(str(path))), graph.get_parameters()
        given = {name: output.node.input_value(0) for output in graph.outputs for name in output.names}
        for parameter in following.get_parameters():
            source = next((given[name] for name in parameter.output(0).names if name in given), None)
            if source is None:
                free.append(parameter)
            else:
                parameter.output(0).replace(source)
        graph = openvino.Model(following.get_results(), free, path.stem)
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(graph)  # what turns weights back; without it the next step takes longer
    graph.reshape({name: openvino.PartialShape(list(shape)) for name, shape in shapes.items()})
    folding.run_passes(graph)  # half of all nodes only told sizes
    if half:
        _round(graph)
    return graph


def _round(graph: Any) -> None:
    """The weights of depthwise convolutions, which OpenVINO would round to the nearest."""
    from openvino import op

    for convolution in graph.get_ops():
        weights = convolution.input_value(1).node if convolution.get_type_name() == "GroupConvolution" else None
        if weights is not None and weights.get_type_name() == "Constant":
            exact = weights.data
            rounded = bf16_keeping_sums(exact.reshape(exact.shape[0], -1)).reshape(exact.shape)
            convolution.input(1).replace_source_output(op.Constant(rounded).output(0))


def _keep(graph: Any, folder: Path, *, half: bool) -> bool:
    """Whether it is kept now; another process that is at it is not waited for."""
    # a full disk is a RuntimeError of OpenVINO's; on Windows another process may hold what it has kept meanwhile
    with suppress(Exception), atomic_folder(folder, replaces=_GRAPH, wait=False) as partial:
        _save(graph, partial, half=half)
    return _is_there(folder)


def _save(graph: Any, folder: Path, *, half: bool) -> None:
    import openvino

    # where it multiplies in 16 bits, weights of 16 bits halve what is kept and held
    openvino.save_model(graph, folder / _GRAPH, compress_to_fp16=half)
