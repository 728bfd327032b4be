"""Layers and functions give on each engine what they give eagerly, for any batch.

tests/parity/test_layers.py trains networks of them on each engine.
"""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.graph.types import ArrayType, SymbolicDim, as_dtype
from chainrule.nn.activations import Activation
from tests.ways import ENGINES

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(scale=2.0, size=shape)


ROWS, SERIES, IMAGES = normal(6, 4), normal(6, 4, 3), normal(6, 4, 5, 4)
D = {"dtype": "float64"}
cr.manual_seed(0)  # the layers below, whatever was imported before
MODULES = [
    *(
        kind()
        for kind in vars(nn).values()
        if isinstance(kind, type)
        and issubclass(kind, Activation)
        and kind not in (nn.Threshold, nn.Softmax2d, nn.RReLU)
    ),
    nn.Threshold(0.5, -1.0),
    nn.Softplus(0.5),
    nn.PReLU(4, **D),
    nn.Linear(4, 3, **D),
    nn.Identity(),
    nn.BasisExpansion(["x1", "x2^3", "x1*x4", "sin(x3)", "x2*cos(x2)"]),
    nn.Flatten(),
    nn.BatchNorm1d(4, **D),
    nn.BatchNorm1d(4, momentum=None, affine=False, **D),
    nn.BatchNorm1d(4, track_running_stats=False, **D),
    nn.BatchNorm1d(4, **D).eval(),
    nn.LayerNorm(4, bias=False, **D),
    nn.RMSNorm(4, **D),
    nn.GroupNorm(2, 4, bias=False, **D),
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
    nn.MaxPool1d(2, 1, 1),
    nn.AvgPool1d(2, ceil_mode=True),
    nn.AdaptiveAvgPool1d(2),
    nn.AdaptiveMaxPool1d(2),
]
PLANES = [
    nn.Conv2d(4, 6, 2, padding=1, **D),
    nn.Conv2d(4, 6, (3, 2), (2, 1), "valid", groups=2, bias=False, **D),
    nn.Conv2d(4, 4, 2, dilation=2, padding=2, groups=4, **D),
    nn.Conv2d(4, 2, 3, padding="same", padding_mode="reflect", **D),
    nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, **D),
    nn.ConvTranspose2d(4, 2, (3, 2), (1, 3), groups=2, bias=False, dilation=2, **D),
    nn.BatchNorm2d(4, **D),
    nn.InstanceNorm2d(4, affine=True, track_running_stats=True, **D),
    nn.PixelShuffle(2),
    nn.MaxPool2d((2, 1)),
    nn.MaxPool2d(2, 1, 1, ceil_mode=True),
    nn.AvgPool2d(2, 1, 1, count_include_pad=False),
    nn.AdaptiveAvgPool2d((2, 3)),
    nn.AdaptiveMaxPool2d((2, 3)),
]
LINES = [
    nn.Conv1d(4, 2, 2, stride=2, padding=1, **D),
    nn.Conv1d(4, 4, 3, padding=2, padding_mode="circular", groups=2, **D),
    nn.ConvTranspose1d(4, 2, 3, 2, 2, 1, **D),
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
TOKENS, LENGTHS = normal(6, 4, 4), np.array([2, 4, 3, 1])
BLOCK = {"dim_feedforward": 5, "dropout": 0.0, "batch_first": True, **D}


def read(kind, **options):
    """What a recurrent layer gives, of sequences that have lengths."""
    layer = kind(4, 3, bidirectional=True, **options, **D)
    return lambda x: layer(x, lengths=LENGTHS)[0]


LAYERS = [
    nn.CausalSelfAttention(4, 2, rotary=True, **D),
    nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, **BLOCK), 1),
    nn.LearnedPositions(5, 4, **D),
    nn.SinusoidalPositions(),
    nn.RotaryPositions(),
]
FUNCTIONS |= {type(m).__name__: (m, TOKENS) for m in LAYERS}
#: Numbers that are added to scores.
ADDED = np.tri(4)
DECODER = nn.TransformerDecoderLayer(4, 2, **BLOCK)
HEADS = nn.MultiheadAttention(4, 2, batch_first=True, **D)


def stepped(kind):
    """A cell over two steps of a sequence."""
    cell = kind(4, 3, **D)

    def run(x):
        state = None
        for i in range(2):
            state = cell(x[:, i], state)
        return state[0] if isinstance(state, tuple) else state

    return run


FUNCTIONS |= {
    kind.__name__: (stepped(kind), TOKENS)
    for kind in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
}
FUNCTIONS |= {
    "decoder": (lambda x: DECODER(x, x.flip(1), tgt_is_causal=True), TOKENS),
    "heads": (
        lambda x: HEADS(x, x * x, x, x[..., 0] > 1.5, attn_mask=ADDED)[0],
        TOKENS,
    ),
    "RNN": (read(nn.RNN, nonlinearity="relu"), TOKENS),
    "LSTM": (read(nn.LSTM), TOKENS),
    "GRU": (read(nn.GRU), TOKENS),
}
CASES = [
    *((repr(m), m, ROWS) for m in MODULES if m.state_dict()),
    *((f"{m!r} deeper", m, SERIES) for m in DEEPER if m.state_dict()),
    *((repr(m), m, IMAGES) for m in PLANES if m.state_dict()),
    *((repr(m), m, SERIES) for m in LINES),
    *((name, f, x) for name, (f, x) in FUNCTIONS.items()),
]


def with_slope(function, x):
    """The value of a function, and a derivative where the argument has one."""
    if not x.is_floating_point():
        return {"y": function(x)}

    def total(x):
        y = function(x)
        return (y * y * 0.1 + y.tanh()).sum()

    return {"y": function(x), "slope": cr.grad(total)(x)}


def program_of(step, x, engine):
    """A compiled function of any number of samples."""
    kind = ArrayType((SymbolicDim("N"), *x.shape[1:]), as_dtype(x.dtype))
    traced = trace_entry("step", step, [Input("x", kind)])
    return CompiledProgram([traced], engine=engine)


@pytest.mark.one_in(3, first=1)
@pytest.mark.parametrize(
    ("modules", "x"), [(MODULES, ROWS), (DEEPER, SERIES), (PLANES, IMAGES)]
)
def test_compiled_is_eager_without_state(modules, x, engine):
    """One program for all of them."""
    modules = [module for module in modules if not module.state_dict()]
    assert len(modules) > 5

    def step(x):
        made = {}
        for i, module in enumerate(modules):
            made |= {f"{i}.{k}": t for k, t in with_slope(module, x).items()}
        return made

    program = program_of(step, x, engine)
    for n in (6, 5):
        got = program.run("step", {"x": x[:n]})
        for key, value in step(cr.tensor(x[:n])).items():
            name = repr(modules[int(key.partition(".")[0])])
            np.testing.assert_allclose(
                got[key], value.numpy(), 1e-10, 1e-12, err_msg=f"{name}: {key}"
            )


#: On the NumPy engine every case, in machine code every second one; others are slow.
COMPILED = [
    pytest.param(
        *(function, x, engine),
        id=f"{name}-{engine}",
        marks=[pytest.mark.slow] * (engine == "native" and i % 2 != 0),
    )
    for i, (name, function, x) in enumerate(CASES)
    for engine in ENGINES
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("function", "x", "engine"), COMPILED)
def test_compiled_is_eager(function, x, engine):
    """One graph over N samples: values, derivative, and what the module keeps."""

    def step(x):
        return with_slope(function, x)

    state = function.state_dict() if isinstance(function, nn.Module) else {}
    program = program_of(step, x, engine)
    for n in (6, 5):
        eager, kept = step(cr.tensor(x[:n])), {}
        if state:
            kept = function.state_dict()
            function.load_state_dict(state)
        got = program.run("step", {"x": x[:n]})
        for key, value in eager.items():
            np.testing.assert_allclose(
                got[key], value.numpy(), 1e-10, 1e-12, err_msg=key
            )
        for key, array in kept.items():
            np.testing.assert_allclose(
                function.state_dict()[key], array, 1e-12, err_msg=key
            )
        if state:
            function.load_state_dict(state)
