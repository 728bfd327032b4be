"""ONNX Runtime: inference of a dense network with ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import (
    TensorProto,
    checker,
    helper,
    numpy_helper,
)

from frameworks.workloads import Job


def _model(job: Job) -> bytes:
    nodes, value = [], "x"
    for number, (kind, *_) in enumerate(job.work.layers):
        made = f"a{number}"
        if kind == "Linear":
            inputs = [value, f"{number}.weight", f"{number}.bias"]
            nodes.append(helper.make_node("Gemm", inputs, [made], transB=1))
        else:
            nodes.append(helper.make_node("Relu", [value], [made]))
        value = made
    kept = [numpy_helper.from_array(w, name) for name, w in job.weights.items()]

    def rows(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])

    outputs = job.work.layers[-1][-1]
    ends = [rows("x", *job.work.shape)], [rows(value, outputs)]
    model = helper.make_model(
        helper.make_graph(nodes, "network", *ends, kept),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    checker.check_model(model)
    return model.SerializeToString()


class Inference:
    def __init__(self, job: Job, variant: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(
            _model(job), options, providers=["CPUExecutionProvider"]
        )
        self.parameters = sum(w.size for w in job.weights.values())

    def __call__(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.session.run(None, {"x": x})[0]
