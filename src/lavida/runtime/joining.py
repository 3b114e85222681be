"""Vision and decoder as one OpenVINO graph for frames of one size: no feature map is turned, copied or handed over."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
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
    if kept is None:
        return core.compile_model(_joined(paths, shapes, half=half), "CPU", settings)
    name = repr(
        [
            _MADE,
            settings["INFERENCE_PRECISION_HINT"],
            [path.name for path in paths],
            sorted((name, tuple(shape)) for name, shape in shapes.items()),
        ]
    )
    folder = kept / hashlib.sha256(name.encode()).hexdigest()[:16]
    if (folder / _GRAPH).is_file():
        try:
            return core.compile_model(folder / _GRAPH, "CPU", settings)
        except RuntimeError:  # it was damaged on the disk
            shutil.rmtree(folder, ignore_errors=True)
    graph = _joined(paths, shapes, half=half)
    if _keep(
        graph, folder, half=half
    ):  # where it multiplies in 16 bits, weights of 16 bits halve what is kept and held
        graph = folder / _GRAPH
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
    graph.reshape({name: openvino.PartialShape(list(shape)) for name, shape in shapes.items()})
    manager = Manager()
    manager.register_pass(ConstantFolding())  # half of all nodes only told sizes
    manager.run_passes(graph)
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
    import openvino

    # a full disk is a RuntimeError of OpenVINO's; on Windows another process may hold what it has kept meanwhile
    with suppress(Exception), atomic_folder(folder, replaces=_GRAPH) as partial:
        openvino.save_model(graph, partial / _GRAPH, compress_to_fp16=half)
    return (folder / _GRAPH).is_file()
