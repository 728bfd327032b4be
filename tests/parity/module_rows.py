"""Every layer, activation, loss and function over all of its arguments.

``tests/parity/table.py`` says what is compared, and how exactly.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as TF
from torch.distributions import Normal, kl_divergence

import chainrule.nn.functional
from chainrule import nn
from tests.parity.table import Row, grid, label
from tests.recording import Offer

RNG = np.random.default_rng(0)
#: How the rows name the packages; what is called through them is written down.
NN: Any = Offer(nn, "nn.")
F: Any = Offer(chainrule.nn.functional, "F.")
ROWS: list[Row] = []


def normal(*shape, scale=2.0):
    return RNG.normal(scale=scale, size=shape)


def add(name, ours, theirs, *inputs, **more):
    ROWS.append(Row(name, ours, theirs, inputs, **more))


def layer(name, x, *args, theirs=None, renamed=None, train=(True, False), **options):
    """Rows of a layer, in training and in prediction."""
    for given in grid(**options):
        for mode in train:
            ours = getattr(NN, name)(*args, **given).train(mode)
            their = {(renamed or {}).get(k, k): v for k, v in given.items()}
            other = getattr(torch.nn, theirs or name)(*args, **their).train(mode)
            add(f"{label(name, given)}{'' if mode else ' eval'}", ours, other, x)


# -- layers ----------------------------------------------------------------------------

X, IMAGES = normal(5, 6), normal(3, 4, 6)
ONE = (True,)
layer("Linear", X, 6, 3, bias=[True, False], train=ONE)
layer("Linear", IMAGES, 6, 3, bias=[True], train=ONE)
layer("Identity", X, train=ONE)
layer("Flatten", IMAGES, start_dim=[1, 0, 2], end_dim=[-1, 1, 2][:1], train=ONE)
layer("Flatten", IMAGES, start_dim=[0], end_dim=[1], train=ONE)
layer("Dropout", X, p=[0.0], train=ONE)
layer("Dropout", X, p=[0.5, 0.9], train=(False,))
INDEX = np.array([[1, 2, 0], [2, 2, 4]])
layer("Embedding", INDEX, 5, 3, padding_idx=[None, 2, -1], train=ONE)
AFFINE = [True, False]
BATCH = {"eps": [1e-5, 1e-2], "momentum": [0.1, 0.7, None], "affine": AFFINE}
for _x in (X, normal(5, 6, 3), normal(2, 6), 10 + normal(4, 6)):
    layer("BatchNorm1d", _x, 6, track_running_stats=AFFINE, **BATCH)
layer("BatchNorm1d", X, 6, bias=[False])
LAYER = {"eps": [1e-5, 1e-2], "elementwise_affine": AFFINE}
for _x, _over in ((X, 6), (IMAGES, 6), (IMAGES, (4, 6)), (normal(6), 6)):
    layer("LayerNorm", _x, _over, bias=AFFINE, train=ONE, **LAYER)
    LAYER_RMS = {"eps": [None, 1e-2], "elementwise_affine": AFFINE}
    layer("RMSNorm", _x, _over, train=ONE, **LAYER_RMS)
GROUP = {"eps": [1e-5, 1e-2], "affine": AFFINE}
for _x in (IMAGES, normal(2, 4, 3, 2), normal(3, 8)[:, :4, None] + normal(3, 4, 3)):
    layer("GroupNorm", _x, 2, 4, train=ONE, **GROUP)
layer("GroupNorm", IMAGES, 1, 4, bias=[True, False], train=ONE)
INSTANCE = {"eps": [1e-5, 1e-2], "momentum": [0.1, 0.7], "affine": AFFINE}
layer("InstanceNorm1d", IMAGES, 4, track_running_stats=[True, False], **INSTANCE)
layer("InstanceNorm1d", IMAGES, 4, affine=[True], bias=[False])
layer("InstanceNorm1d", normal(4, 6), 4, track_running_stats=[False], affine=AFFINE)
SIZES = {"mode": ["nearest", "linear"]}
layer("Upsample", IMAGES, scale_factor=[2, 1.5, 0.5], train=ONE, **SIZES)
layer("Upsample", IMAGES, size=[7, 3, 6], train=ONE, **SIZES)
layer("Upsample", IMAGES, scale_factor=[1.2, 0.9, 17 / 6], train=ONE, **SIZES)
layer("Upsample", IMAGES, size=[7], mode=["linear"], align_corners=[True], train=ONE)
layer("Upsample", normal(2, 3, 4, 5), scale_factor=[2, (3, 2)], train=ONE)
layer(
    *("Upsample", normal(2, 3, 4, 5)),
    scale_factor=[2, (1.5, 2)],
    mode=["bilinear"],
    align_corners=[False, True],
    train=ONE,
)

# -- activations: away from kinks both have a second derivative ------------------------

POINTS = np.concatenate([normal(4, 6, scale=3.0), [[20.1, -20.1, 40, -40, 100, -100]]])
PLAIN = "ReLU ReLU6 Sigmoid Tanh SiLU SELU Hardswish Tanhshrink "
PLAIN += "Softsign LogSigmoid"
for _name in PLAIN.split():
    layer(_name, POINTS, train=ONE)
# PyTorch's own has a first derivative with ⅙ in float32, and no second one.
add("Hardsigmoid", NN.Hardsigmoid(), lambda x: TF.relu6(x + 3) / 6, POINTS)
# From 89 on the second derivative of PyTorch's is NaN in float32.
layer("Mish", POINTS.clip(-80, 80), train=ONE)
layer("LeakyReLU", POINTS, negative_slope=[0.01, 0.3, 0.0], train=ONE)
layer("GELU", POINTS, approximate=["none", "tanh"], train=ONE)
layer("ELU", POINTS, alpha=[1.0, 0.7], train=ONE)
layer("CELU", POINTS, alpha=[1.0, 0.75], train=ONE)  # its 1/α is in float32
layer("Hardtanh", POINTS, min_val=[-1.0, -0.25], max_val=[1.0, 2.5], train=ONE)
layer("Hardshrink", POINTS, lambd=[0.5, 1.5], train=ONE)
layer("Softshrink", POINTS, lambd=[0.5, 1.5], train=ONE)
layer("Threshold", POINTS, threshold=[0.5, -1.0], value=[0.0, 2.5], train=ONE)
layer("PReLU", POINTS, num_parameters=[1, 6], init=[0.25], train=ONE)
layer("PReLU", IMAGES, num_parameters=[1, 4], init=[0.25], train=ONE)
for _name in ("Softmax", "LogSoftmax", "Softmin"):
    layer(_name, POINTS, dim=[-1, 0], train=ONE)
    layer(_name, IMAGES, dim=[1], train=ONE)
layer("GLU", POINTS, dim=[-1, 1], train=ONE)
layer("GLU", IMAGES, dim=[1], train=ONE)
for _beta in (1.0, 0.5, 3.0):
    # PyTorch gives x itself beyond its threshold, which at 20 is off by 2e-9.
    add(
        f"Softplus(beta={_beta})",
        *(NN.Softplus(_beta), torch.nn.Softplus(_beta, threshold=40), POINTS),
    )

# -- losses ----------------------------------------------------------------------------

N, C = 7, 4
WEIGHT = [0.5, 1.0, 2.0, 0.25]
SCORES, OTHERS, DEEP = normal(N, C), normal(N, C), normal(N, C, 2, 3)
UNIT, SOFT = RNG.uniform(0.01, 0.99, (N, C)), RNG.uniform(0.1, 0.9, (N, C))
YES, SIGNS = RNG.integers(0, 2, (N, C)) * 1.0, RNG.integers(0, 2, (N, C)) * 2.0 - 1
ROWS_Q, ROWS_P = RNG.dirichlet(np.ones(C), N), RNG.dirichlet(np.ones(C), N)
LABELS, DEEP_LABELS = RNG.integers(0, C, N), RNG.integers(0, C, (N, 2, 3))
DEEP_P = np.moveaxis(RNG.dirichlet(np.ones(C), (N, 2, 3)), -1, 1)
COUNTS = RNG.integers(0, 5, (N, C)) * 1.0
REDUCTIONS = ("mean", "sum", "none")


def loss(
    name, *inputs, wrt=None, theirs=None, seconds=True, reductions=REDUCTIONS, **options
):
    """Rows of a loss with each reduction, weights in the dtype of the prediction."""
    for given in grid(**options):
        for reduction in reductions:
            ours = getattr(NN, name)(**given, reduction=reduction)

            def other(*tensors, given=given, reduction=reduction):
                kind = theirs or getattr(torch.nn, name)
                dtype = tensors[0].dtype
                made = {
                    k: torch.tensor(v, dtype=dtype)
                    if k in ("weight", "pos_weight") and v is not None
                    else v
                    for k, v in given.items()
                    if not (k == "ignore_index" and v is None)
                }
                return kind(**made, reduction=reduction)(*tensors)

            text = label(name, {**given, "reduction": reduction})
            add(text, ours, other, *inputs, wrt=wrt, seconds=seconds)


def sample_wise(function):
    """A loss of PyTorch made of one that gives a loss an element."""

    class Made:
        def __init__(self, reduction, **options):
            self.reduction, self.options = reduction, options

        def __call__(self, *tensors):
            each = function(*tensors, **self.options)
            return {"mean": each.mean, "sum": each.sum, "none": lambda: each}[
                self.reduction
            ]()

    return Made


for _name in ("MSELoss", "L1Loss"):
    loss(_name, SCORES, OTHERS)
loss("HalfMSELoss", SCORES, OTHERS, theirs=sample_wise(lambda p, y: (p - y) ** 2 / 2))
loss(
    *("HalfSquaredErrorLoss", SCORES, OTHERS),
    theirs=sample_wise(lambda p, y: ((p - y) ** 2 / 2).sum(1)),
)
loss("HuberLoss", SCORES, OTHERS, delta=[1.0, 0.3])
loss("SmoothL1Loss", SCORES, OTHERS, beta=[1.0, 0.3, 0.0])
loss("BCELoss", UNIT, YES, wrt=[0], weight=[None, WEIGHT, UNIT.tolist()])
loss("BCELoss", UNIT, SOFT, wrt=[0])
BINARY = {"weight": [None, WEIGHT], "pos_weight": [None, 2.5, WEIGHT]}
loss("BCEWithLogitsLoss", SCORES, SOFT, **BINARY)
loss("BCEWithLogitsLoss", SCORES, YES, wrt=[0], **BINARY)
CLASSES = {"weight": [None, WEIGHT], "ignore_index": [None, 1, -100]}
ENTROPY = {**CLASSES, "label_smoothing": [0.0, 0.1, 1.0]}
IGNORED = np.where(np.arange(N) % 3 == 1, -100, LABELS)
for _z, _y, _p in ((SCORES, LABELS, ROWS_P), (DEEP, DEEP_LABELS, DEEP_P)):
    loss("CrossEntropyLoss", _z, _y, **ENTROPY)
    loss("CrossEntropyLoss", _z, _p, weight=[None, WEIGHT], label_smoothing=[0.0, 0.1])
    loss("NLLLoss", _z, _y, **CLASSES)
loss("CrossEntropyLoss", SCORES[0], LABELS[0], **ENTROPY)
loss("CrossEntropyLoss", SCORES[0], ROWS_P[0], weight=[None, WEIGHT])
loss("NLLLoss", SCORES[0], LABELS[0], **CLASSES)
MIXED = {"weight": [WEIGHT], "ignore_index": [-100], "label_smoothing": [0.2]}
loss("CrossEntropyLoss", SCORES, IGNORED, **MIXED)
loss(
    *("CrossEntropyLoss", ROWS_Q, LABELS),
    theirs=lambda weight, from_logits, reduction: (
        lambda q, y: TF.nll_loss(q.log(), y, weight, reduction=reduction)
    ),
    weight=[None, WEIGHT],
    from_logits=[False],
)
loss(
    *("KLDivergence", ROWS_Q, ROWS_P),
    theirs=sample_wise(lambda q, p: TF.kl_div(q.log(), p, reduction="none").sum(1)),
)
for _given in ((np.log(ROWS_Q), ROWS_P), (np.log(ROWS_Q[0]), ROWS_P[0])):
    logarithms = np.log([_given[1], _given[1][..., ::-1]])
    for _pair, log_target in ((_given, False), (logarithms, True)):
        options = {"log_target": [log_target]}
        loss("KLDivLoss", *_pair, reductions=("batchmean", "sum", "none"), **options)
        terms = sample_wise(partial(TF.kl_div, reduction="none"))  # "mean" warns
        loss("KLDivLoss", *_pair, reductions=("mean",), theirs=terms, **options)


def gaussians(mu, logvar, *q):
    """KL of PyTorch's normal distributions, added up over a row."""
    q = q or (torch.zeros_like(mu), torch.zeros_like(mu))
    both = [Normal(m, (s / 2).exp()) for m, s in ((mu, logvar), q)]
    return kl_divergence(*both).sum(-1)


for _given in ((SCORES, OTHERS), (SCORES, OTHERS, UNIT, SOFT), (DEEP, DEEP * 0.5)):
    loss("GaussianKLDivLoss", *_given, theirs=sample_wise(gaussians))
loss("HingeEmbeddingLoss", SCORES, SIGNS, wrt=[0], margin=[1.0, 0.3])
loss("SoftMarginLoss", SCORES, SIGNS, wrt=[0])
loss(
    *("HingeLoss", SCORES, SIGNS),
    wrt=[0],
    theirs=sample_wise(lambda z, y: torch.relu(1 - y * z)),
)
loss(
    *("PerceptronLoss", SCORES, YES),
    wrt=[0],
    theirs=sample_wise(lambda z, y: ((z >= 0).to(z.dtype) - y) * z),
)
for _y in (YES, SOFT):
    loss("MultiLabelSoftMarginLoss", SCORES, _y, wrt=[0], weight=[None, WEIGHT])


def multi_margin(z, y, p=1, margin=1.0, weight=None):
    """PyTorch's own has no second derivative; the first is compared with it too."""
    right = z.gather(1, y[:, None])
    short = torch.relu(margin - right + z) ** p
    short = short.scatter(1, y[:, None], 0.0)
    each = short.sum(1) / z.shape[1]
    return each if weight is None else each * weight[y]


MARGIN = {"p": [1, 2], "margin": [1.0, 0.3], "weight": [None, WEIGHT]}
loss("MultiMarginLoss", SCORES, LABELS, theirs=sample_wise(multi_margin), **MARGIN)
loss("MultiMarginLoss", SCORES, LABELS, seconds=False, **MARGIN)
loss("MultiMarginLoss", SCORES[0], LABELS[0], seconds=False, **MARGIN)
POISSON = {"log_input": [True, False], "full": [False, True], "eps": [1e-8, 1e-2]}
loss("PoissonNLLLoss", UNIT, COUNTS, wrt=[0], **POISSON)
GAUSS = {"full": [False, True], "eps": [1e-6, 0.5]}
for _var in (UNIT, UNIT[:, :1], UNIT[:, 0]):
    loss("GaussianNLLLoss", SCORES, OTHERS, _var, **GAUSS)
PAIR = RNG.integers(0, 2, N) * 2 - 1
loss("CosineEmbeddingLoss", SCORES, OTHERS, PAIR, margin=[0.0, 0.4])
loss("CosineEmbeddingLoss", SCORES[0], OTHERS[0], PAIR[0], margin=[0.0, 0.4])
loss("MarginRankingLoss", SCORES, OTHERS, SIGNS, wrt=[0, 1], margin=[0.0, 0.7])
TRIPLET = {"margin": [1.0, 0.3], "eps": [1e-6, 1e-3], "swap": [False, True]}
loss("TripletMarginLoss", SCORES, OTHERS, UNIT, p=[2.0, 1.0, 3.0], **TRIPLET)

ALIGNED, SPOKEN = normal(9, 5, C), RNG.integers(1, C, (5, 3))
SPOKEN[0], SPOKEN[2] = [2, 2, 2], [1, 1, 2]
LONG, MANY = np.array([9, 7, 4, 9, 5]), np.array([3, 2, 3, 0, 1])
SAID = np.concatenate([row[:n] for row, n in zip(SPOKEN, MANY)])


def behind_softmax(loss):
    return lambda z, *rest: loss(z.log_softmax(2), *rest)


CTC = {"blank": [0, 3], "zero_infinity": [False, True]}
for _given in grid(**CTC, reduction=REDUCTIONS):
    _long = LONG - _given["zero_infinity"] * np.array([0, 0, 1, 0, 0])  # one too short
    for _labels in (SPOKEN, SAID):
        _swapped = np.where(_labels == _given["blank"], 0, _labels)
        # PyTorch's has no second derivative, and the first one behind a softmax alone.
        add(
            f"{label('CTCLoss', _given)} {_labels.shape}",
            *(behind_softmax(package.CTCLoss(**_given)) for package in (NN, torch.nn)),
            *(ALIGNED, _swapped, _long, MANY),
            seconds=False,
        )

# -- functions -------------------------------------------------------------------------


def function(name, *inputs, wrt=None, traced=True, **options):
    ours, theirs = getattr(F, name), getattr(TF, name)
    for given in grid(**options):
        add(
            f"F.{label(name, given)}",
            *(lambda *a, g=given: ours(*a, **g), lambda *a, g=given: theirs(*a, **g)),
            *inputs,
            wrt=wrt,
            traced=traced,
        )


NORM = {"p": [2.0, 1.0, 3.0], "dim": [1, 0, -1], "eps": [1e-12, 10.0]}
function("normalize", SCORES, **NORM)
function("cosine_similarity", SCORES, OTHERS, dim=[1, 0], eps=[1e-8, 1e-3])
DISTANCE = {"p": [2.0, 1.0, 3.0], "eps": [1e-6, 0.1], "keepdim": [False, True]}
function("pairwise_distance", SCORES, OTHERS, **DISTANCE)
Q, K, V = normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 7)
MASK = RNG.random((4, 6)) < 0.6
MASK[:, 0] = True
NOWHERE = MASK.copy()
NOWHERE[1] = False
ATTENTION = "scaled_dot_product_attention"
function(ATTENTION, Q, K, V, is_causal=[False, True], scale=[None, 0.3])
function(ATTENTION, Q[0, 0], K[0, 0], V[0, 0], is_causal=[False, True])
for _mask in (MASK, NOWHERE, normal(4, 6), normal(2, 1, 4, 6)):
    add(
        f"F.attention(mask {_mask.dtype} {_mask.shape})",
        *(F.scaled_dot_product_attention, TF.scaled_dot_product_attention),
        *(Q, K, V, _mask),
    )
function("one_hot", LABELS, num_classes=[-1], wrt=[], traced=False)
function("one_hot", LABELS, num_classes=[C, 9], wrt=[])


def called(name, ours, theirs, *inputs, **more):
    """A row of a function whose arguments are tensors of the row, or made of them."""
    add(f"F.{name}", ours, theirs, *inputs, **more)


def both(name, *inputs, **more):
    """The same words in both libraries: f(functional, tensors…)."""
    function = more.pop("f")
    called(
        name,
        lambda *a: function(F, *a),
        lambda *a: function(TF, *a),
        *inputs,
        **more,
    )


both(
    "ctc_loss",
    *(ALIGNED, SPOKEN, LONG, MANY),
    f=lambda m, z, y, a, b: (
        m.ctc_loss(z.log_softmax(2), y, a, b, reduction="none"),
        m.ctc_loss(z[:, 0].log_softmax(1), y[0], a[0], b[0], zero_infinity=True),
        m.ctc_loss(
            log_probs=z.log_softmax(2),
            targets=y,
            input_lengths=a,
            target_lengths=b * 0,
            blank=3,
            reduction="sum",
        ),
    ),
    seconds=False,
)
for _name in ("relu", "relu6", "sigmoid", "tanh", "silu", "selu", "hardswish"):
    function(_name, POINTS)
for _name in ("tanhshrink", "softsign", "logsigmoid"):
    function(_name, POINTS)
for _name in ("softmax", "log_softmax", "softmin"):
    function(_name, IMAGES, dim=[1, 0])
function("mish", POINTS.clip(-80, 80))
function("leaky_relu", POINTS, negative_slope=[0.01, 0.3])
function("gelu", POINTS, approximate=["none", "tanh"])
function("elu", POINTS, alpha=[1.0, 0.7])
function("celu", POINTS, alpha=[1.0, 0.75])
function("hardtanh", POINTS, min_val=[-1.0, -0.25], max_val=[1.0, 2.5])
function("hardshrink", POINTS, lambd=[0.5, 1.5])
function("softshrink", POINTS, lambd=[0.5, 1.5])
function("threshold", POINTS, threshold=[0.5, -1.0], value=[0.0, 2.5])
function("glu", IMAGES, dim=[-1, 1])
both("prelu", IMAGES, normal(4), f=lambda m, x, a: m.prelu(x, a))
called("hardsigmoid", lambda x: F.hardsigmoid(x), lambda x: TF.relu6(x + 3) / 6, POINTS)
called(
    "softplus",
    lambda x: F.softplus(x, beta=0.5),
    lambda x: TF.softplus(x, beta=0.5, threshold=40),
    POINTS,
)
called(
    "heaviside",
    lambda x: F.heaviside(x),
    lambda x: torch.heaviside(x, x.new_tensor(1.0)),
    POINTS,
    wrt=[],
)
NOT_A_NUMBER = np.array([np.nan, 0.2, -3.0])
both(
    "NaN stays",
    *(NOT_A_NUMBER, RNG.normal(size=3)),
    f=lambda m, x, y: (
        *(m.threshold(x, 0.5, 2.0), m.hardshrink(x), m.softshrink(x), m.hardtanh(x)),
        *(m.normalize(x, dim=0), m.pairwise_distance(x, y), m.relu6(x)),
        m.pairwise_distance(x, y, p=3.0, keepdim=True),
    ),
    firsts=False,
)
both(
    "of other ranks",
    *(IMAGES, IMAGES[0], IMAGES[0, 0]),
    f=lambda m, x, y, z: (
        *(m.cosine_similarity(x, y, dim=0), m.cosine_similarity(x, z, dim=1)),
        *(m.pairwise_distance(x, z), m.cosine_similarity(z, y, dim=-1)),
    ),
)
WEIGHTS, BIAS = normal(4, 6), normal(4)
both(
    "linear",
    *(X, WEIGHTS, BIAS),
    f=lambda m, x, w, b: (m.linear(x, w, b), m.linear(x, w), m.linear(x, w, bias=b)),
)
both(
    "embedding",
    *(INDEX, normal(5, 3)),
    f=lambda m, i, w: (m.embedding(i, w), m.embedding(i, w, padding_idx=2)),
)
both(
    "dropout",
    X,
    f=lambda m, x: (m.dropout(x, p=0.0), m.dropout(x, p=0.9, training=False)),
)
both(
    "interpolate",
    IMAGES,
    f=lambda m, x: (
        *(m.interpolate(x, size=9), m.interpolate(x, scale_factor=2.0)),
        *(m.interpolate(x, 9, mode="linear"), m.interpolate(x, 4, mode="nearest")),
        m.interpolate(x, scale_factor=1.5, mode="linear", align_corners=True),
    ),
)
both(
    "layer_norm",
    *(IMAGES, normal(6), normal(6)),
    f=lambda m, x, w, b: (
        *(m.layer_norm(x, (6,)), m.layer_norm(x, (6,), w, b, eps=0.1)),
        m.layer_norm(x, (6,), weight=w, bias=b),
    ),
)
both(
    "rms_norm",
    *(IMAGES, normal(6)),
    f=lambda m, x, w: (m.rms_norm(x, (6,)), m.rms_norm(x, (6,), weight=w, eps=0.1)),
)
both(
    "group_norm",
    *(IMAGES, normal(4), normal(4)),
    f=lambda m, x, w, b: (
        m.group_norm(x, 2),
        m.group_norm(x, 2, weight=w, bias=b, eps=0.1),
    ),
)


def _with_statistics(name, **options):
    """Normalisation, and what becomes of the running statistics."""

    def run(m, x, w, b, mean, variance):
        mean, variance = mean.detach() * 1.0, variance.detach() * 1.0
        running = {"running_mean": mean, "running_var": variance}
        y = getattr(m, name)(x, **running, weight=w, bias=b, **options)
        return (y, *running.values())

    both(
        label(name, options),
        *(IMAGES, normal(4), normal(4), normal(4), RNG.uniform(0.5, 2, 4)),
        f=run,
        wrt=[0, 1, 2],
    )


for _options in ({}, {"eps": 0.1}, {"training": True, "momentum": 0.3}):
    _with_statistics("batch_norm", **_options)
for _options in ({}, {"use_input_stats": False, "eps": 0.1}, {"momentum": 0.3}):
    _with_statistics("instance_norm", **_options)

# -- images read elsewhere -------------------------------------------------------------

PICTURES, PLACES = normal(2, 3, 4, 5), 1.3 * RNG.uniform(-1, 1, (2, 3, 2, 2))
READ = {"align_corners": [False, True], "mode": ["bilinear", "nearest"]}
for _given in grid(padding_mode=["zeros", "border"], **READ):
    both(
        "grid_sample",
        *(PICTURES, PLACES),
        f=lambda m, x, g, _given=_given: m.grid_sample(x, g, **_given),
        seconds=False,
    )
THETA = normal(2, 2, 3)
for _align in (False, True):
    both(
        "affine_grid",
        THETA,
        f=lambda m, t, _align=_align: m.affine_grid(
            theta=t, size=(2, 3, 4, 5), align_corners=_align
        ),
    )
