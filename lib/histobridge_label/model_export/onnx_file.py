"""The network as ONNX: for ONNX Runtime and what builds on it."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path

import onnx
import torch
from torch.onnx import symbolic_helper

from histobridge_label.model_export.contents import FACTS, INPUT, OUTPUT, TEST, Contents
from histobridge_label.model_export.network import TRACED_PX

OPSET = 18
"""The first version with a minimum and a maximum in ScatterElements."""


def write_onnx(contents: Contents, path: Path) -> None:
    """Write the network as ONNX. Facts (JSON) and the test arrays (NumPy's npz in base64) are in its metadata."""
    sides = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        # The exporter that follows symbols through the code (dynamo) did not finish with sizes that are not fixed.
        warnings.simplefilter("ignore")
        torch.onnx.register_custom_op_symbolic("aten::scatter_reduce", _scatter_reduce, OPSET)
        torch.onnx.export(
            contents.network,
            (torch.rand(1, 1, *TRACED_PX),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: sides, OUTPUT: sides},
        )
    model = onnx.load(path)
    test = base64.b64encode(contents.test_npz()).decode()
    onnx.helper.set_model_props(model, {FACTS: contents.facts_json(), f"{TEST}.base64": test})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _scatter_reduce(graph, values, axis, index, source, reduction, include_self):
    """Return the ONNX node of `Tensor.scatter_reduce`; PyTorch's own translation loses the type of the result."""
    name = {"amin": "min", "amax": "max"}[symbolic_helper._get_const(reduction, "s", "reduce")]
    axis = symbolic_helper._get_const(axis, "i", "dim")
    node = graph.op("ScatterElements", values, index, source, axis_i=axis, reduction_s=name)
    return node.setType(values.type())
