"""Layers and functions give on each engine what they give eagerly, for any batch."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim
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
MODULES = [
    *(
        kind()
        for kind in vars(nn).values()
        if isinstance(kind, type)
        and issubclass(kind, Activation)
        and kind is not nn.Threshold
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
    nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, **BLOCK), 2),
    nn.LearnedPositions(5, 4, **D),
    nn.SinusoidalPositions(),
    nn.RotaryPositions(),
]
FUNCTIONS |= {type(m).__name__: (m, TOKENS) for m in LAYERS}
FUNCTIONS |= {
    "RNN": (read(nn.RNN, nonlinearity="relu"), TOKENS),
    "LSTM": (read(nn.LSTM, num_layers=2), TOKENS),
    "GRU": (read(nn.GRU), TOKENS),
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


#: Layers between two others, by what they are given.
TRAINED = {
    (4, 6, 6): [
        nn.ConvTranspose2d(4, 3, 4, 2, 1),
        nn.ConvTranspose2d(4, 6, 3, (2, 3), (0, 1), (1, 0), 2, dilation=2),
        nn.Sequential(nn.InstanceNorm2d(4, affine=True), nn.Dropout2d(0.3)),
        nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.MaxPool2d(3, 2)),
        nn.Sequential(nn.PixelShuffle(2), nn.AdaptiveMaxPool2d((5, 3))),
        nn.GroupNorm(2, 4),
    ],
    (4, 12): [
        nn.ConvTranspose1d(4, 3, 3, 2, output_padding=1),
        nn.Sequential(nn.MaxPool1d(3, 2, 1), nn.Dropout1d(0.3), nn.AvgPool1d(2)),
        nn.Sequential(nn.AdaptiveMaxPool1d(5), nn.AdaptiveAvgPool1d(2)),
    ],
}
LAYERS = [(shape, layer) for shape, layers in TRAINED.items() for layer in layers]


@pytest.mark.parametrize(("shape", "layer"), LAYERS, ids=lambda given: repr(given)[:40])
def test_a_hundred_steps_are_the_same_on_each_engine(shape, layer):
    """In float32, with one seed: the losses within 1e-5 of each other."""
    before = (nn.Conv1d if len(shape) == 2 else nn.Conv2d)(4, 4, 3, padding=1)
    body = nn.Sequential(before, nn.Tanh(), layer, nn.Flatten())
    width = body(cr.zeros(1, *shape)).shape[1]
    model = nn.Sequential(body, nn.Linear(width, 2))
    start = model.state_dict()
    rng = np.random.default_rng(0)
    data = cr.data.Dataset(
        rng.normal(size=(80, *shape)).astype("float32"),
        rng.normal(size=(80, 2)).astype("float32"),
    )
    found = []
    for engine in ENGINES:
        model.load_state_dict(start)
        options = {"optimizer": optim.SGD(lr=0.02, momentum=0.5), "engine": engine}
        trainer = cr.Trainer(model, loss=nn.MSELoss(), seed=0, **options)
        found.append(trainer.fit(data, epochs=20, batch_size=16).steps["loss"])
    assert len(found[0]) == 100
    assert found[0][-20:].mean() < 0.97 * found[0][:20].mean()
    for losses in found[1:]:
        np.testing.assert_allclose(losses, found[0], rtol=1e-5)


def reader(kind):
    """A network that says one number of a sequence."""

    class Reader(nn.Module):
        def __init__(self):
            self.layer, self.out = kind(), nn.Linear(4, 1)

        def forward(self, x):
            y = self.layer(x)
            return self.out((y[0] if isinstance(y, tuple) else y).mean(1))

    return Reader()


def stepped(cell):
    """A cell over the steps of a sequence."""

    class Steps(nn.Module):
        def __init__(self):
            self.cell = cell(4, 4)

        def forward(self, x):
            state = None
            for i in range(4):
                state = self.cell(x[:, i], state)
            return (state[0] if isinstance(state, tuple) else state).unsqueeze(1)

    return Steps


def called(make, call):
    """A layer that is called with more than the sequence."""

    class Called(nn.Module):
        def __init__(self):
            self.layer = make()

        def forward(self, x):
            return call(self.layer, x)

    return Called


STEPS = np.array([2, 4, 3, 1, 4, 2])
#: Keys that are filler, and numbers that are added to scores.
FILLER, ADDED = np.arange(4) >= STEPS[:, None], np.tri(4).astype(np.float32)
READ = {
    "RNN": lambda: nn.RNN(4, 4, batch_first=True),
    "LSTM": lambda: nn.LSTM(4, 4, batch_first=True),
    "GRU": lambda: nn.GRU(4, 4, batch_first=True),
    **{c.__name__: stepped(c) for c in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)},
    "attention": lambda: nn.CausalSelfAttention(4, 2, rotary=True),
    "positions": lambda: nn.Sequential(
        nn.SinusoidalPositions(), nn.LearnedPositions(4, 4), nn.GELU()
    ),
    "encoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 5, 0.0, batch_first=True), 2
    ),
    "decoder": called(
        lambda: nn.TransformerDecoderLayer(4, 2, 5, 0.0, batch_first=True),
        lambda layer, x: layer(
            x, x.flip(1), tgt_is_causal=True, memory_key_padding_mask=FILLER
        ),
    ),
    "MultiheadAttention": called(
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        lambda layer, x: layer(x, x * x, x, FILLER, attn_mask=ADDED),
    ),
    **{
        f"{kind.__name__} with lengths": called(
            lambda kind=kind: kind(4, 2, batch_first=True, bidirectional=True),
            lambda layer, x: layer(x, lengths=STEPS),
        )
        for kind in (nn.RNN, nn.LSTM, nn.GRU)
    },
}


@pytest.mark.skipif(len(ENGINES) == 1, reason="one engine is the same as itself")
@pytest.mark.parametrize("name", READ)
def test_a_hundred_steps_over_sequences_are_the_same_on_each_engine(name):
    """In float32: the losses within 1e-5 of each other; rounding makes about 1e-6."""
    cr.manual_seed(0)
    model, losses = reader(READ[name]), []
    start, x = model.state_dict(), cr.tensor(TOKENS.astype(np.float32))
    for engine in ENGINES:
        model.load_state_dict(start)
        optimizer = optim.Adam(model.parameters(), lr=2e-3)

        def step(x):
            optimizer.zero_grad()  # noqa: B023
            loss = F.mse_loss(model(x), x[:, 0, :1] * x[:, 3, 1:2])
            loss.backward()
            optimizer.step()  # noqa: B023
            return loss

        run = cr.compile(step, engine=engine)
        losses.append([run(x).item() for _ in range(100)])
    assert losses[0][-1] < 0.99 * losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
