"""A padding in front of a convolution as part of the convolution, as a graph can say it and PyTorch cannot.

PyTorch's convolutions pad by the same on both sides. A padding apart is a copy of the map, which a runtime that keeps
maps in blocks of channels turns into rows and back for it.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def fold_paddings(path: Path) -> int:
    """Rewrite a graph; how many paddings with zeros became part of the convolution that alone reads them."""
    model = onnx.load(path)
    readers = {name: node for node in model.graph.node for name in node.input}
    uses = Counter(name for node in model.graph.node for name in node.input)
    folded = 0
    for padding in [node for node in model.graph.node if node.op_type == "Pad"]:
        conv = readers.get(padding.output[0])
        if conv is None or conv.op_type != "Conv" or uses[padding.output[0]] > 1 or not _with_zeros(model, padding):
            continue
        before, after = np.split(_value(model, padding.input[1]), 2)
        if (before < 0).any() or (after < 0).any() or before[:2].any() or after[:2].any():
            continue
        _pad(conv, [*before[2:], *after[2:]])
        conv.input[0] = padding.input[0]
        model.graph.node.remove(padding)
        folded += 1
    onnx.save(model, path)
    return folded


def _with_zeros(model: ModelProto, padding: NodeProto) -> bool:
    mode = next((helper.get_attribute_value(a) for a in padding.attribute if a.name == "mode"), b"constant")
    value = padding.input[2] if len(padding.input) > 2 else ""
    return mode == b"constant" and (not value or not _value(model, value).any())


def _pad(conv: NodeProto, more: Sequence[int]) -> None:
    own = next((a for a in conv.attribute if a.name == "pads"), None)
    pads = [int(side) for side in more] if own is None else [int(a + b) for a, b in zip(own.ints, more, strict=True)]
    if own is not None:
        conv.attribute.remove(own)
    conv.attribute.append(helper.make_attribute("pads", pads))


def _value(model: ModelProto, name: str) -> np.ndarray:
    """Of a number that depends on no input."""
    makers = {output: node for node in model.graph.node for output in node.output}
    needed, open_names = {name}, [name]
    while open_names:
        maker = makers.get(open_names.pop())
        new = set() if maker is None else {*maker.input} - needed
        needed |= new
        open_names += new
    constants = [weight for weight in model.graph.initializer if weight.name in needed]
    for constant in constants:
        if constant.name == name:
            return numpy_helper.to_array(constant)
    nodes = [node for node in model.graph.node if needed & {*node.output}]  # in the graph's order: makers come first
    output = helper.make_tensor_value_info(name, TensorProto.INT64, None)
    graph = helper.make_graph(nodes, "constants", [], [output], constants)
    evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=model.opset_import))
    return np.asarray(next(iter(evaluator.run(None, {}))))
