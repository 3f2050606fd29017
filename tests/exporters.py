"""torch's two ONNX exporters, as somebody calls them who leaves the batch open."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import Tensor, nn


def scripted(model: nn.Module, seen: Tensor, fold: bool = True) -> onnx.ModelProto:
    """torch.onnx.export's older exporter."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is deprecated
        torch.onnx.export(
            model,
            (seen,),
            file,
            dynamo=False,
            do_constant_folding=fold,
            input_names=["seen"],
            dynamic_axes={"seen": {0: "batch"}},
        )
    return onnx.load_from_string(file.getvalue())


def dynamo(model: nn.Module, seen: Tensor) -> onnx.ModelProto:
    """torch.onnx.export's newer exporter."""
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model, (seen,), dynamo=True, dynamic_shapes=shapes, verbose=False
        )
    assert program is not None
    return program.model_proto
