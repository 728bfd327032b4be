"""Functions refuse parameters whose shape merely broadcasts, and lost statistics."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    ChainruleWarning,
    DTypeError,
    ShapeError,
)
from tests.ways import WAYS

RNG = np.random.default_rng(0)
D = {"dtype": "float64"}


def normal(*shape):
    return cr.tensor(RNG.normal(size=shape))


X, LINE, PLANE = normal(2, 6), normal(2, 6, 5), normal(2, 6, 4, 4)
MATRIX, KERNELS, SQUARES = normal(6, 6), normal(6, 6, 2), normal(6, 3, 2, 2)
ROW = (6,)
#: A function of its parameters by name, and what shape these have.
FUNCTIONS = {
    "linear": (lambda bias: F.linear(X, MATRIX, bias), ["bias"], ROW),
    "conv1d": (lambda bias: F.conv1d(LINE, KERNELS, bias), ["bias"], ROW),
    "conv2d": (
        lambda bias: F.conv2d(PLANE, SQUARES, bias, groups=2),
        ["bias"],
        ROW,
    ),
    "conv_transpose1d": (
        lambda bias: F.conv_transpose1d(LINE, KERNELS, bias),
        ["bias"],
        ROW,
    ),
    "conv_transpose2d": (
        lambda bias: F.conv_transpose2d(PLANE, SQUARES, bias, groups=2),
        ["bias"],
        ROW,
    ),
    "layer_norm": (lambda **p: F.layer_norm(X, 6, **p), ["weight", "bias"], ROW),
    "layer_norm of two axes": (
        lambda **p: F.layer_norm(LINE, (6, 5), **p),
        ["weight", "bias"],
        (6, 5),
    ),
    "rms_norm": (lambda **p: F.rms_norm(X, 6, **p), ["weight"], ROW),
    "group_norm": (lambda **p: F.group_norm(LINE, 2, **p), ["weight", "bias"], ROW),
    "instance_norm": (
        lambda **p: F.instance_norm(LINE, **p),
        ["weight", "bias"],
        ROW,
    ),
    "batch_norm": (
        lambda **p: F.batch_norm(X, None, None, training=True, **p),
        ["weight", "bias"],
        ROW,
    ),
    "batch_norm with running statistics": (
        lambda **p: F.batch_norm(LINE, cr.zeros(6, **D), cr.ones(6, **D), **p),
        ["weight", "bias"],
        ROW,
    ),
}
CASES = [(name, which) for name, (_, names, _) in FUNCTIONS.items() for which in names]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "which"), CASES)
def test_a_parameter_has_its_own_shape(name, which, way):
    function, _, shape = FUNCTIONS[name]

    def run(parameter):
        return function(**{which: parameter})

    run = run if way == "eager" else cr.compile(run, engine=way)
    other = shape[::-1] if shape[1:] else (5,)
    more = [(*shape, 1), (1, *shape), (2, *shape)]
    for given in [(), (1,), *more, shape[1:] or (1, 1), other]:
        with pytest.raises(ShapeError, match=f"(?s){which}.*{shape[0]}, ?.*got: "):
            run(normal(*given))
    with pytest.raises(DTypeError, match=f"(?s)its {which} have.*{which}.astype"):
        run(cr.ones(*shape))
    assert run(normal(*shape)).shape[0] == 2


def test_parameters_may_be_lists_and_integers():
    """What they are converted to is the dtype of the weight, or of the input."""
    weight, bias = [[1.0, 2.0]], [1]
    assert F.linear([[1.0, 1.0]], weight, bias).tolist() == [[4.0]]
    assert F.conv1d([[1.0, 2.0]], [[[1.0]]], [3]).tolist() == [[4.0, 5.0]]
    made = F.layer_norm([[1, 3]], 2, [2, 2], [0, 1], eps=0.0)
    assert made.tolist() == [[-2.0, 3.0]]
    assert F.rms_norm([[3, 4]], 2, [0, 1], eps=0.0).numpy()[0, 1] == pytest.approx(
        4 / np.sqrt(12.5)
    )


# -- statistics -----------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_statistics_that_are_not_there(way):
    """Prediction by the statistics of the batch is not what was asked for."""
    for run, words in (
        (lambda x: F.batch_norm(x, None, None), "BatchNorm.*training=True"),
        (lambda x: F.instance_norm(x, use_input_stats=False), "use_input_stats=True"),
        (lambda x: F.batch_norm(x, cr.zeros(6, **D), None), "running_var=None"),
        (
            lambda x: F.batch_norm(x, None, cr.ones(6, **D), training=True),
            "a mean and a variance",
        ),
        (lambda x: F.instance_norm(x, cr.zeros(6, **D)), "a mean and a variance"),
        (lambda x: F.batch_norm(x, [0.0] * 6, [1.0] * 6), "running_mean=cr.zeros"),
    ):
        run = run if way == "eager" else cr.compile(run, engine=way)
        with pytest.raises(ArgumentError, match=f"(?s){words}"):
            run(LINE)
    for shape in ((1,), (6, 1), (5,)):
        with pytest.raises(ShapeError, match=r"(?s)running_mean.*\(6,\).*got: "):
            F.batch_norm(LINE, cr.zeros(*shape, **D), cr.ones(6, **D), training=True)
        with pytest.raises(ShapeError, match=r"(?s)running_var.*\(6,\).*got: "):
            F.instance_norm(LINE, cr.zeros(6, **D), cr.ones(*shape, **D))


def test_a_layer_without_running_statistics_predicts_by_the_batch():
    layer = nn.BatchNorm1d(6, track_running_stats=False, **D)
    assert (layer.eval()(LINE) == layer.train()(LINE)).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.InstanceNorm1d(3, affine=True, track_running_stats=True, **D), (2, 3, 1)),
        (nn.InstanceNorm1d(3, affine=True, **D), (3, 1)),
        (nn.InstanceNorm1d(3, affine=True, **D).eval(), (2, 3, 1)),
        (nn.InstanceNorm2d(3, affine=True, **D), (2, 3, 1, 1)),
        (nn.GroupNorm(3, 3, **D), (2, 3)),
        (nn.BatchNorm1d(3, track_running_stats=False, **D), (1, 3)),
        (nn.BatchNorm1d(3, track_running_stats=False, **D).eval(), (1, 3)),
    ],
    ids=repr,
)
def test_one_number_has_no_variance(layer, shape, way):
    """As in BatchNorm: β, no gradient, statistics as they are, and a warning."""
    layer.bias.copy_([0.5, -1.0, 2.0])
    before = layer.state_dict()

    def both(x):
        return layer(x), cr.grad(lambda t: layer(t).sum())(x)

    run = both if way == "eager" else cr.compile(both, engine=way)
    with pytest.warns(ChainruleWarning, match=r"(?s)Norm.*no variance.*got: +shape"):
        y, slope = run(normal(*shape))
    behind = len(shape) - 1 - shape.index(3)
    beta = np.reshape([0.5, -1.0, 2.0], (3, *[1] * behind))
    np.testing.assert_array_equal(y.numpy(), np.broadcast_to(beta, shape))
    assert not slope.numpy().any()
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_running_statistics_are_kept_from_empty_inputs():
    layer = nn.InstanceNorm1d(3, track_running_stats=True)
    assert layer(cr.zeros(0, 3, 4)).shape == (0, 3, 4)
    assert layer.running_mean.tolist() == [0.0] * 3
    with pytest.raises(ArgumentError, match=r"(?s)InstanceNorm takes.*\(2, 3, 0\)"):
        layer(cr.zeros(2, 3, 0))


# -- yes or no ------------------------------------------------------------------------

IMAGE, GRID = cr.zeros(1, 1, 2, 2), cr.zeros(1, 2, 2, 2)
#: What takes a truth value, by its name; a text counts as neither.
YES_OR_NO = {
    "training": [
        lambda no: F.dropout(X, 0.5, no),
        lambda no: F.dropout1d(LINE, 0.5, no),
        lambda no: F.dropout2d(PLANE, 0.5, no),
        lambda no: F.batch_norm(X, None, None, training=no),
        lambda no: setattr(nn.Linear(2, 3), "training", no),
    ],
    "use_input_stats": [lambda no: F.instance_norm(LINE, use_input_stats=no)],
    "align_corners": [
        lambda no: F.affine_grid(cr.zeros(1, 2, 3), (1, 1, 2, 2), no),
        lambda no: F.grid_sample(IMAGE, GRID, align_corners=no),
        lambda no: F.interpolate(IMAGE, 3, mode="bilinear", align_corners=no),
    ],
    "mode": [nn.Linear(2, 3).train],
    "is_causal": [lambda no: F.scaled_dot_product_attention(X, X, X, is_causal=no)],
}


@pytest.mark.parametrize("name", YES_OR_NO)
def test_a_text_is_neither_yes_nor_no(name):
    for run in YES_OR_NO[name]:
        for no in ("no", "", 0, [False]):
            with pytest.raises(ArgumentError, match=f"{name}=True or {name}=False"):
                run(no)
        run(np.bool_(True))
