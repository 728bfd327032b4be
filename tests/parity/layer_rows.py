"""Convolutions, pooling, sequences and attention over all of their arguments.

They stand behind those of ``module_rows.py``, in one list.
"""

from __future__ import annotations

import warnings
from types import FunctionType

import numpy as np
import torch
import torch.nn.functional as TF
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from chainrule import nn
from tests.parity.module_rows import (
    AFFINE,
    BATCH,
    BIAS,
    IMAGES,
    INSTANCE,
    NN,
    NOWHERE,
    ONE,
    ROWS,
    F,
    K,
    Q,
    V,
    X,
    add,
    both,
    layer,
)
from tests.parity.table import grid, label

RNG = np.random.default_rng(1)


def normal(*shape, scale=2.0):
    return RNG.normal(scale=scale, size=shape)


# -- convolutions and pooling ----------------------------------------------------------

PICTURES = normal(3, 4, 7, 6)
layer("BatchNorm2d", PICTURES, 4, track_running_stats=AFFINE, **BATCH)
layer("BatchNorm2d", PICTURES, 4, bias=[False])
layer("Unflatten", X, 1, (2, 1, -1), train=ONE)
EDGES = {"padding_mode": ["zeros", "reflect", "replicate", "circular"], "train": ONE}
for _size, _x in ((3, IMAGES), (1, IMAGES), (4, normal(3, 4, 9)), (2, normal(4, 6))):
    layer(
        *("Conv1d", _x, 4, 6, _size),
        stride=[1, 2, 3],
        padding=[1, 0, 2, (3,), "same", "valid"],
        dilation=[1, 2],
        groups=[1, 2],
        bias=AFFINE,
        train=ONE,
    )
    layer("Conv1d", _x, 4, 2, _size, padding=[3, "same"], **EDGES)
for _size, _x in ((3, PICTURES), ((2, 4), PICTURES), ((1, 2), normal(4, 5, 3))):
    layer(
        *("Conv2d", _x, 4, 8, _size),
        stride=[1, 2, (3, 1)],
        padding=[1, 0, (0, 2), "same", "valid"],
        dilation=[1, (1, 2)],
        groups=[1, 2, 4],
        bias=AFFINE,
        train=ONE,
    )
    layer("Conv2d", _x, 4, 2, _size, padding=[(1, 2), "same"], **EDGES)
layer("Conv2d", PICTURES, 4, 4, 3, stride=[2], padding=[2], dilation=[2], groups=[4])
for _name, _x in (("ConvTranspose1d", IMAGES), ("ConvTranspose2d", PICTURES)):
    layer(
        *(_name, _x, 4, 6, 3),
        stride=[1, 2, 3],
        padding=[1, 0, 3],
        groups=[1, 2],
        bias=AFFINE,
        dilation=[1, 2],
        train=ONE,
    )
    layer(_name, _x, 4, 2, 2, stride=[3], output_padding=[1, 2], train=ONE)
layer(
    *("ConvTranspose2d", normal(4, 5, 3), 4, 4, (2, 4)),
    stride=[(2, 1), (3, 2)],
    padding=[(0, 2)],
    dilation=[(1, 3)],
    output_padding=[(1, 0), (0, 2)],
    groups=[4],
    train=ONE,
)
WINDOW = {"stride": [None, 1, (2, 3)], "padding": [0, 1], "ceil_mode": [False, True]}
for _size, _x in ((3, PICTURES), ((3, 2), normal(2, 4, 7)), (2, PICTURES[:1])):
    layer("MaxPool2d", _x, _size, train=ONE, dilation=[1, (1, 2)], **WINDOW)
    layer("MaxPool2d", _x, _size, return_indices=[True], train=ONE, **WINDOW)
    counted = {"count_include_pad": AFFINE, "divisor_override": [None, 5]}
    layer("AvgPool2d", _x, _size, train=ONE, **counted, **WINDOW)
    for _pad, _ceil in ((1, True), (1, False), (0, True)):
        odd = {"stride": [2, 3], "padding": [_pad], "ceil_mode": [_ceil]}
        layer("AvgPool2d", _x, _size, count_include_pad=AFFINE, train=ONE, **odd)
LINE = {"stride": [None, 1, (3,)], "padding": [0, 1], "ceil_mode": [False, True]}
for _size, _x in ((3, IMAGES), ((2,), normal(4, 7))):
    layer("MaxPool1d", _x, _size, train=ONE, dilation=[1, (2,)], **LINE)
    layer("MaxPool1d", _x, _size, return_indices=[True], train=ONE, **LINE)
    layer("AvgPool1d", _x, _size, count_include_pad=AFFINE, train=ONE, **LINE)
for _to in (1, 3, (2, 5), (None, 4), (9, 6)):
    layer("AdaptiveAvgPool2d", PICTURES, _to, train=ONE)
    layer("AdaptiveMaxPool2d", PICTURES, _to, return_indices=AFFINE, train=ONE)
layer("AdaptiveAvgPool2d", normal(4, 8, 6), 4, train=ONE)
for _to in (1, 3, (4,), 6):
    for _x in (IMAGES, IMAGES[0]):
        layer("AdaptiveAvgPool1d", _x, _to, train=ONE)
        layer("AdaptiveMaxPool1d", _x, _to, return_indices=AFFINE, train=ONE)
for _name, _x in (("Dropout1d", IMAGES), ("Dropout2d", PICTURES)):
    layer(_name, _x, p=[0.0], train=ONE)
    layer(_name, _x, p=[0.5], train=(False,))
layer("PixelShuffle", normal(2, 8, 3, 2), 2, train=ONE)
layer("InstanceNorm2d", PICTURES, 4, track_running_stats=AFFINE, **INSTANCE)
layer("InstanceNorm2d", PICTURES[0], 4, affine=[True], bias=AFFINE)
KERNELS, PLANES = normal(4, 3, 2), normal(4, 2, 2, 3)
both(
    "conv",
    *(normal(2, 3, 6), KERNELS, normal(2, 4, 6, 5), PLANES, BIAS),
    f=lambda m, x, w, images, v, b: (
        *(m.conv1d(x, w), m.conv1d(x, w, b, 2, 1, 2), m.conv1d(x[0], w, bias=b)),
        m.conv1d(x, w[:3, :1], stride=2, padding="valid", dilation=3, groups=3),
        *(m.conv2d(images[:, :2], v), m.conv2d(images, v, b, (2, 1), 1, 1, 2)),
        m.conv2d(images, v, bias=b, stride=2, padding=(0, 1), dilation=2, groups=2),
    ),
)
both(
    "conv_transpose",
    *(normal(2, 4, 5), KERNELS, normal(2, 4, 4, 3), PLANES, normal(3), normal(4)),
    f=lambda m, x, w, images, v, b, c: (
        *(m.conv_transpose1d(x, w), m.conv_transpose1d(x, w, b, 2, 1, 1)),
        m.conv_transpose1d(x[0], w, bias=b, stride=(2,), padding=1, dilation=2),
        m.conv_transpose1d(x, w[:, :2], output_padding=0, groups=2),
        *(m.conv_transpose2d(images, v), m.conv_transpose2d(images[0], v, stride=2)),
        m.conv_transpose2d(images, v, c, (2, 1), (0, 1), (1, 0), 2, 1),
        m.conv_transpose2d(
            *(images, v),
            bias=c,
            stride=2,
            padding=1,
            output_padding=1,
            groups=2,
            dilation=(3, 1),
        ),
    ),
)
both(
    "pool of signals",
    IMAGES,
    f=lambda m, x: (
        *(m.max_pool1d(x, 2), m.max_pool1d(x, 3, 2, 1, 1, ceil_mode=True)),
        m.max_pool1d(x, kernel_size=2, stride=1, padding=1, dilation=2),
        m.max_pool1d(x, 3, return_indices=True)[1],
        *(m.avg_pool1d(x, 2), m.avg_pool1d(x, 3, 2, 1, True, False)),
        m.avg_pool1d(x, kernel_size=3, stride=2, padding=1, ceil_mode=True),
        m.avg_pool1d(x, 3, padding=1, count_include_pad=False),
        *(m.adaptive_avg_pool1d(x, 2), m.adaptive_avg_pool1d(x, output_size=(4,))),
        m.adaptive_max_pool1d(x, output_size=2),
        *m.adaptive_max_pool1d(x, 4, return_indices=True),
    ),
)
both(
    "of channels",
    PICTURES,
    f=lambda m, x: (
        *(m.dropout1d(x[0], p=0.0), m.dropout1d(x[0], 0.9, training=False)),
        *(m.dropout2d(x, p=0.0), m.dropout2d(x, 0.9, training=False)),
        *(m.pixel_shuffle(x, 2), m.pixel_shuffle(x[0], upscale_factor=1)),
    ),
)
both(
    "pool",
    PICTURES,
    f=lambda m, x: (
        *(m.max_pool2d(x, 2), m.max_pool2d(x, 3, 2, 1, 1, ceil_mode=True)),
        m.max_pool2d(x, kernel_size=2, stride=1, padding=1, dilation=2),
        m.max_pool2d(x, 3, return_indices=True)[1],
        *(m.avg_pool2d(x, 2), m.avg_pool2d(x, 3, 2, 1, True, False)),
        m.avg_pool2d(x, kernel_size=3, stride=2, padding=1, divisor_override=4),
        m.avg_pool2d(x, 3, ceil_mode=True, count_include_pad=False, padding=1),
        *(m.adaptive_avg_pool2d(x, 2), m.adaptive_avg_pool2d(x, output_size=(3, None))),
        m.adaptive_max_pool2d(x, output_size=(3, None)),
        m.adaptive_max_pool2d(x, 4, return_indices=True)[1],
    ),
)

# -- sequences -------------------------------------------------------------------------

STEPS = normal(5, 3, 4, scale=0.7)
for _name in ("LSTM", "GRU", "RNN"):
    layer(
        *(_name, STEPS, 4, 3),
        **({"nonlinearity": ["tanh", "relu"]} if _name == "RNN" else {}),
        num_layers=[1, 2],
        bias=AFFINE,
        batch_first=[False, True],
        bidirectional=[False, True],
        train=ONE,
    )
    both_ways = {"num_layers": [2], "bidirectional": [True], "batch_first": [True]}
    layer(_name, STEPS, 4, 3, dropout=[0.5], train=(False,), **both_ways)
    layer(_name, STEPS[0], 4, 3, train=ONE, **both_ways)


def called_by(library, layer, call):
    """A module that calls a layer in this way: call(layer, tensors…)."""

    class Caller(library.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, *tensors):
            return call(self.layer, *tensors)

    return Caller()


def calling(name, call, *args, inputs, train=True, text="", more=None, **options):
    """Rows of a layer that takes several tensors.

    An argument that is a function makes a module with either library.
    """

    def made(package, library, given):
        args_of = [a(library) if isinstance(a, FunctionType) else a for a in args]
        options = {
            k: v(library) if isinstance(v, FunctionType) else v
            for k, v in given.items()
        }
        with warnings.catch_warnings():  # PyTorch's, that it goes no faster way
            warnings.filterwarnings("ignore", "enable_nested_tensor")
            layer = getattr(package, name)(*args_of, **options)
        return called_by(library, layer, call).train(train)

    for given in grid(**options):
        both = made(NN, nn, given), made(torch.nn, torch.nn, given)
        shown = {k: v for k, v in given.items() if not isinstance(v, FunctionType)}
        add(f"{label(name, shown)} {text}", *both, *inputs, **(more or {}))


for _name, _x, _size in (
    ("ConvTranspose1d", IMAGES, [13]),
    ("ConvTranspose2d", PICTURES, [15, 14]),
):
    calling(
        *(_name, lambda m, x, size=_size: m(x, output_size=size), 4, 2, 3),
        inputs=(_x,),
        stride=[2],
        text=f"to {_size}",
    )
H, CELLS = normal(4, 3, 3), normal(4, 3, 3)
BOTH_WAYS = {"num_layers": [2], "bidirectional": [True], "text": "from a state"}
calling("LSTM", lambda m, x, *hc: m(x, hc), 4, 3, inputs=(STEPS, H, CELLS), **BOTH_WAYS)
calling("GRU", lambda m, x, h: m(x, h), 4, 3, inputs=(STEPS, H), **BOTH_WAYS)
CELL = {"bias": AFFINE, "text": "a step"}
for _name in ("GRUCell", "RNNCell"):
    _f = {"nonlinearity": ["tanh", "relu"]} if _name == "RNNCell" else {}
    _in = (STEPS[0], H[0])
    calling(_name, lambda m, x, h: (m(x, h), m(x)), 4, 3, inputs=_in, **CELL, **_f)
calling(
    *("LSTMCell", lambda m, x, h, c: (*m(x, (h, c)), *m(x[0])), 4, 3),
    inputs=(STEPS[0], H[0], CELLS[0]),
    **CELL,
)


def of_lengths(m, x, lengths):
    """Sequences of these lengths, which PyTorch wants packed."""
    if isinstance(m, nn.Module):
        return m(x, lengths=lengths)
    first = m.batch_first
    packed = pack_padded_sequence(x, lengths, first, enforce_sorted=False)
    y, states = m(packed)
    return pad_packed_sequence(y, first, total_length=x.shape[int(first)])[0], states


for _name in ("LSTM", "GRU", "RNN"):
    calling(
        *(_name, of_lengths, 4, 3),
        inputs=(STEPS.transpose(1, 0, 2), np.array([2, 5, 1])),
        **{**BOTH_WAYS, "text": "of lengths", "batch_first": [True]},
        more={"narrow": _name != "RNN"},  # where tanh is near 1, 1 − tanh² cancels
    )
    calling(
        *(_name, of_lengths, 4, 3, 1),
        inputs=(STEPS, np.array([1, 4, 3])),
        bidirectional=[False, True],
        text="of lengths",
    )

QUERIES, KEYS, VALUES = (normal(n, 3, 8, scale=0.3) for n in (4, 5, 5))
ASKED = (QUERIES, KEYS, VALUES)
FIRST = [a.transpose(1, 0, 2) for a in ASKED]
LOOK = RNG.random((4, 5)) < 0.3
LOOK[:, 0] = False
FILLER = np.arange(5) >= np.array([[5], [3], [4]])
EACH = np.where(RNG.random((6, 4, 5)) < 0.2, -np.inf, normal(6, 4, 5))
EACH[..., 0] = 0.0
calling("MultiheadAttention", lambda m, *t: m(*t), 8, 2, inputs=ASKED, bias=AFFINE)
calling(
    *("MultiheadAttention", lambda m, *t: m(*t), 8, 2),
    inputs=(QUERIES, KEYS[..., :3], VALUES[..., :5]),
    kdim=[3],
    vdim=[5],
    bias=AFFINE,
)
calling(
    *("MultiheadAttention", lambda m, x: m(x, x, x), 8, 4),
    inputs=FIRST[:1],
    batch_first=[True, False],
    dropout=[0.3],
    train=False,
)
for _call, _inputs in (
    (lambda m, q, k, v, a: m(q, k, v, attn_mask=a), (*FIRST, LOOK)),
    (lambda m, q, k, v, a: m(q, k, v, attn_mask=a), (*FIRST, EACH)),
    (lambda m, q, k, v, p, a: m(q, k, v, p, True, a), (*FIRST, FILLER, LOOK)),
    (lambda m, q, k, v: m(q, k, v, average_attn_weights=False), FIRST),
    (lambda m, q, k, v: m(q[0], k[0], v[0]), FIRST),
):
    text = f"{len(_inputs)} {_inputs[-1].dtype} {_inputs[-1].shape}"
    options = {"batch_first": [True], "inputs": _inputs, "text": text}
    calling("MultiheadAttention", _call, 8, 2, **options)
# Without weights PyTorch has another way, which has no second derivative.
calling(
    *("MultiheadAttention", lambda m, q, k, v, p: m(q, k, v, p, False)[0], 8, 2),
    inputs=(*FIRST, FILLER),
    batch_first=[True],
    more={"seconds": False},
)
# All weights are positive, so norms subtract numbers that are nearly the same.
BLOCK = {"activation": ["relu", "gelu"], "bias": AFFINE, "layer_norm_eps": [1e-5, 0.1]}
BLOCK |= {"norm_first": [False, True], "dropout": [0.0], "dim_feedforward": [6]}
BLOCK |= {"more": {"seconds": False, "narrow": False}, "batch_first": [True]}
TOKENS = (normal(3, 4, 8),)
calling("TransformerEncoderLayer", lambda m, x: m(x), 8, 2, inputs=TOKENS, **BLOCK)
calling(
    *("TransformerEncoderLayer", lambda m, x: m(x), 8, 2, 5),
    inputs=TOKENS,
    dropout=[0.0],
    more=BLOCK["more"],
)
calling(
    *("TransformerEncoderLayer", lambda m, x, a, p: m(x, a, p), 8, 2),
    inputs=(FIRST[1], RNG.random((5, 5)) < np.tri(5, k=-1), FILLER),
    text="masked",
    **{**BLOCK, "dropout": [0.2]},
    train=False,
)


def back(m, x):
    """A sequence that looks at itself and back."""
    if isinstance(m, nn.Module):
        return m(x)
    return m(x, x, x, attn_mask=torch.ones(4, 4).triu(1).bool())[0]


for _bias in AFFINE:
    for _x in (TOKENS[0], TOKENS[0][1]):
        _sizes = {"embed_dim": 8, "num_heads": 2, "dropout": 0.3, "bias": _bias}
        _theirs = torch.nn.MultiheadAttention(batch_first=True, **_sizes)
        add(
            f"CausalSelfAttention(bias={_bias}) {_x.shape}",
            called_by(nn, NN.CausalSelfAttention(**_sizes), back).eval(),
            called_by(torch.nn, _theirs, back).eval(),
            _x,
        )
MEMORY, AHEAD = normal(3, 5, 8), np.tri(4, k=0) == 0
calling(
    *("TransformerDecoderLayer", lambda m, x, y: m(x, y), 8, 2),
    inputs=(*TOKENS, MEMORY),
    **BLOCK,
)
MASKS = (AHEAD, LOOK, np.arange(4) >= np.array([[3], [4], [2]]), FILLER)
BOTH_SIDES = {"inputs": (*TOKENS, MEMORY, *MASKS), "text": "masked"}
BOTH_SIDES |= {"dropout": [0.0], "dim_feedforward": [6], "more": BLOCK["more"]}
calling(
    *("TransformerDecoderLayer", lambda m, *t: m(*t), 8, 2),
    batch_first=[True],
    norm_first=[False, True],
    **BOTH_SIDES,
)


def block(side):
    """A layer of a stack, and a norm, of either library."""
    options = {"dropout": 0.0, "batch_first": True}
    kind = f"Transformer{side}Layer"
    return lambda library: getattr(library, kind)(8, 2, 6, **options)


for _norm in (None, lambda library: library.LayerNorm(8)):
    calling(
        "TransformerEncoder",
        lambda m, x, a, p: m(x, a, p),
        *(block("Encoder"), 2),
        inputs=(*TOKENS, AHEAD, MASKS[2]),
        norm=[_norm],
        text="with a norm" if _norm else "",
        more=BLOCK["more"],
    )
    calling(
        *("TransformerDecoder", lambda m, *t: m(*t), block("Decoder"), 2),
        inputs=BOTH_SIDES["inputs"],
        norm=[_norm],
        text="with a norm" if _norm else "",
        more=BLOCK["more"],
    )
WHOLE = {"num_encoder_layers": [1], "num_decoder_layers": [2], "batch_first": [True]}
calling(
    "Transformer",
    lambda m, x, y, ahead, look, x_filler, y_filler: m(
        *(y, x, None, ahead, look, y_filler, x_filler, y_filler)
    ),
    *(8, 2),
    activation=["relu", "gelu"],
    layer_norm_eps=[1e-5, 0.1],
    norm_first=[False, True],
    bias=AFFINE,
    **{**BOTH_SIDES, **WHOLE},
)
calling(
    *("Transformer", lambda m, x, y: m(x, y), 8, 2, 1, 1, 6, 0.0, "relu"),
    inputs=(*TOKENS, MEMORY),
    custom_encoder=[
        lambda library: library.TransformerEncoder(block("Encoder")(library), 1)
    ],
    custom_decoder=[
        lambda library: library.TransformerDecoder(block("Decoder")(library), 2)
    ],
    batch_first=[True],
    more=BLOCK["more"],
)
for _mask in (np.where(NOWHERE, 0.0, -np.inf), EACH[:, None, 1:]):
    _shapes = (
        (Q, K, V)
        if _mask.ndim == 2
        else (normal(6, 1, 3, 5), K[0, :1, :5], V[0, :1, :5])
    )
    add(
        f"F.attention(−∞ {_mask.shape})",
        *(F.scaled_dot_product_attention, TF.scaled_dot_product_attention),
        *(*_shapes, _mask),
        wrt=[0, 1, 2],
    )

__all__ = ["ROWS"]
