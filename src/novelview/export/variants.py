"""ONNX graphs with smaller weights."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from novelview.errors import OutputError

Variant = Literal["float32", "float16", "int8"]

# Tensors below this number of values stay as they are: frames, frequencies and biases weigh nothing and cost precision.
_SMALLEST = 1024
# Of float16.
_LARGEST = 65504.0


def reduce(model: Any, variant: Literal["float16", "int8"]) -> Any:
    """The same network (an ``onnx.ModelProto``) with its large weights in fewer bits.

    Raises:
        OutputError: it has no weights that the variant could change.
    """
    return _in_halves(model) if variant == "float16" else _in_integers(model)


def _in_halves(model: Any) -> Any:
    """Weights are stored in float16; runtimes undo that once, when they load the file.

    Not in bfloat16: onnxruntime-web cannot read it, and weights need its range less than float16's digits.
    """
    import onnx

    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    graph, casts = smaller.graph, []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _SMALLEST or np.abs(values).max() > _LARGEST:
            continue
        name, stored = tensor.name, f"{tensor.name}.float16"
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _forget_shapes(graph)
    return smaller


def _in_integers(model: Any) -> Any:
    """Matrices of weights in 8 bits, one scale per column; what they are multiplied with is rounded as it comes."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    # Shapes that the exporter noted contradict those of the rewritten graph.
    _forget_shapes(plain.graph)
    # The package asks, by a warning in the log, for a preparation that this graph went through.
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
            onnx.save_model(plain, source)
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul", "Gemm"],
                nodes_to_exclude=_outermost(plain.graph),
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=False,
            )
            smaller = onnx.load_model(target)
    finally:
        logging.root.setLevel(level)
    if not any(node.op_type == "MatMulInteger" for node in smaller.graph.node):
        raise OutputError(
            "The variant int8 leaves this network as it is",
            why="it has no matrices of weights between its first and its last layer",
            cure="choose float16",
        )
    return smaller


def _outermost(graph: Any) -> list[str]:
    """The first and the last matrix product: places and colours need more than 8 bits, and they are small."""
    products = [node.name for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    return products[:1] + products[-1:]


def _forget_shapes(graph: Any) -> None:
    del graph.value_info[:]
