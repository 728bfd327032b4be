"""Layers and functions give on each engine what they give eagerly, for any batch."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.compiled_program import CompiledProgram
from chainrule.graph.types import ArrayType, SymbolicDim, as_dtype
from chainrule.tracing import Input, trace_entry

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(scale=2.0, size=shape)


ROWS, SERIES, IMAGES = normal(6, 4), normal(6, 4, 3), normal(6, 4, 5, 4)
D = {"dtype": "float64"}
MODULES = [
    *(
        kind()
        for kind in vars(nn).values()
        if hasattr(kind, "function") and kind.__name__ not in ("Threshold",)
    ),
    nn.Threshold(0.5, -1.0),
    nn.Softplus(0.5),
    nn.PReLU(4, **D),
    nn.Linear(4, 3, **D),
    nn.Identity(),
    nn.Flatten(),
    nn.BatchNorm1d(4, **D),
    nn.BatchNorm1d(4, momentum=None, affine=False, **D),
    nn.BatchNorm1d(4, track_running_stats=False, **D),
    nn.BatchNorm1d(4, **D).eval(),
    nn.LayerNorm(4, bias=False, **D),
    nn.RMSNorm(4, **D),
    nn.GroupNorm(2, 4, **D),
]
DEEPER = [
    nn.BatchNorm1d(4, **D),
    nn.InstanceNorm1d(4, affine=True, track_running_stats=True, **D),
    nn.InstanceNorm1d(4, track_running_stats=True, **D).eval(),
    nn.GroupNorm(2, 4, affine=False, **D),
    nn.LayerNorm((4, 3), **D),
    nn.GLU(1),
    nn.Softmax(1),
    nn.PReLU(4, **D),
    nn.Upsample(scale_factor=2),
    nn.Upsample(size=5, mode="linear"),
]
PLANES = [
    nn.Conv2d(4, 6, 2, padding=1, **D),
    nn.Conv2d(4, 6, (3, 2), (2, 1), "valid", groups=2, bias=False, **D),
    nn.Conv2d(4, 4, 2, dilation=2, padding=2, groups=4, **D),
    nn.Conv2d(4, 2, 3, padding="same", padding_mode="reflect", **D),
    nn.BatchNorm2d(4, **D),
    nn.MaxPool2d((2, 1)),
    nn.MaxPool2d(2, 1, 1, ceil_mode=True),
    nn.AvgPool2d(2, 1, 1, count_include_pad=False),
    nn.AdaptiveAvgPool2d((2, 3)),
]
LINES = [
    nn.Conv1d(4, 2, 2, stride=2, padding=1, **D),
    nn.Conv1d(4, 4, 3, padding=2, padding_mode="circular", groups=2, **D),
]
K, V, MASK = normal(4, 3), normal(4, 5), RNG.random((4, 4)) < 0.6
FUNCTIONS = {
    "normalize": (F.normalize, ROWS),
    "normalize p=1": (lambda x: F.normalize(x, 1.0), ROWS),
    "cosine": (lambda x: F.cosine_similarity(x, x * x), ROWS),
    "distance": (lambda x: F.pairwise_distance(x, x * x, p=1.0), ROWS),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x), SERIES),
    "causal": (
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        SERIES,
    ),
    "masked": (lambda x: F.scaled_dot_product_attention(x, x, x, MASK), SERIES),
    "bilinear": (lambda x: F.interpolate(x, (5, 4), mode="bilinear"), IMAGES),
    "one-hot": (lambda i: F.one_hot(i, 5), RNG.integers(0, 5, (6, 2))),
    "embedding": (
        nn.Embedding(5, 3, padding_idx=1, **D),
        RNG.integers(0, 5, (6, 2)),
    ),
}
CASES = [
    *((repr(m), m, ROWS) for m in MODULES),
    *((f"{m!r} deeper", m, SERIES) for m in DEEPER),
    *((repr(m), m, IMAGES) for m in PLANES),
    *((repr(m), m, SERIES) for m in LINES),
    *((name, f, x) for name, (f, x) in FUNCTIONS.items()),
]


@pytest.mark.parametrize(("name", "function", "x"), CASES, ids=[c[0] for c in CASES])
def test_compiled_is_eager(name, function, x, engine):
    """One graph over N samples: values, derivative, and what the module keeps."""
    floating = x.dtype.kind == "f"

    def step(x):
        if not floating:
            return {"y": function(x)}

        def total(x):
            y = function(x)
            return (y * y * 0.1 + y.tanh()).sum()

        return {"y": function(x), "slope": cr.grad(total)(x)}

    state = function.state_dict() if isinstance(function, nn.Module) else {}
    kind = ArrayType((SymbolicDim("N"), *x.shape[1:]), as_dtype(x.dtype))
    program = CompiledProgram(
        [trace_entry("step", step, [Input("x", kind)])], engine=engine
    )
    for n in (6, 5):
        eager, kept = step(cr.tensor(x[:n])), {}
        if state:
            kept = function.state_dict()
            function.load_state_dict(state)
        got = program.run("step", {"x": x[:n]})
        for key, value in eager.items():
            np.testing.assert_allclose(
                got[key], value.numpy(), rtol=1e-10, atol=1e-12, err_msg=key
            )
        for key, array in kept.items():
            np.testing.assert_allclose(
                function.state_dict()[key], array, rtol=1e-12, err_msg=key
            )
        if state:
            function.load_state_dict(state)
