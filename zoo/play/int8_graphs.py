"""Networks in 8-bit integers, as ONNX graphs that onnxruntime's quantization tools make.

Static quantization (Jacob et al., 2018, https://arxiv.org/abs/1712.05877): a scale for each output
channel of a kernel, one for each layer's values, found on observations of play. What follows the
last activation function, the head, stays in float32: actions' values differ by too little for less.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto

from atari_zoo.converters.onnx_runtime import silent_onnxruntime
from atari_zoo.play.byte_graphs import BYTES, PIXELS, WHITE

PREPARED = "onnx.quant.pre_process"  # the tools complain where it is missing
BATCH = 32  # observations at once
PERCENTILE = 99.99  # of a layer's values that its 256 steps reach over; beyond, the last one stands


def quantized(
    model: onnx.ModelProto, seen: Float32[np.ndarray, "frames channels height width"]
) -> onnx.ModelProto:
    """The network in int8: it is given `bytes`, as `taking_bytes` has them.

    model: of `network_to_onnx`. seen: observations in 0..1, whose ranges in each layer are taken.
    """
    silent_onnxruntime()
    from onnxruntime import quantization as tools

    source = onnx.ModelProto()
    source.CopyFrom(model)
    source.metadata_props.add(key=PREPARED, value="onnxruntime.quant")
    batches = iter(np.array_split(seen, max(1, len(seen) // BATCH)))

    class Seen(tools.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            some = next(batches, None)
            return None if some is None else {PIXELS: some}

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):  # they print
        path = Path(folder) / "int8.onnx"
        tools.quantize_static(
            source,
            path,
            Seen(),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "Relu"],
            nodes_to_quantize=_nodes(source.graph),
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            calibrate_method=tools.CalibrationMethod.Percentile,
            extra_options={
                "CalibPercentile": PERCENTILE,
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
                "TensorQuantOverrides": {
                    PIXELS: [
                        {
                            "quant_type": tools.QuantType.QUInt8,
                            "scale": np.array(1 / WHITE, np.float32),
                            "zero_point": np.array(0, np.uint8),
                        }
                    ]
                },
            },
        )
        made = onnx.load(path)
    return _given_bytes(made)


def _nodes(graph: onnx.GraphProto) -> list[str]:
    """Convolutions, dense layers that an activation function follows, and ReLUs, which are a part
    of these then. Not a dense layer of constants, as an implicit quantile network has."""
    dense = (n.name for n in graph.node if n.op_type == "Gemm" and n.name.endswith(".linear"))
    convolutions = [node.name for node in graph.node if node.op_type in ("Conv", "Relu")]
    return [*convolutions, *(name for name in dense if not name.startswith("embedding"))]


def _given_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bytes are 8-bit integers of that scale already: they are given in the place of what the
    pixels were quantized to."""
    graph = model.graph
    (rounding,) = (node for node in graph.node if PIXELS in node.input)
    if rounding.op_type != "QuantizeLinear":
        raise ValueError(f"the observations go into {rounding.op_type}, which int8 has not")
    for node in graph.node:
        for number, name in enumerate(node.input):
            if name == rounding.output[0]:
                node.input[number] = BYTES
    graph.node.remove(rounding)
    seen = graph.input[0]
    seen.name, seen.type.tensor_type.elem_type = BYTES, TensorProto.UINT8
    return model
