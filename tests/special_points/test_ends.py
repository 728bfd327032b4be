"""Signs of zero, the largest numbers, infinities, and what overflows on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.operations import declared
from chainrule.tensor import Tensor
from tests.special_points.lines import ALL
from tests.special_points.rows import ROWS
from tests.special_points.test_of_one_number import taken
from tests.ways import WAYS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

#: Not functions with derivatives: truth values, bits, integers, what is 0 or 1 at once.
NO_DERIVATIVE = """allclose bitwise_and bitwise_invert bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor eq equal ge greater greater_equal gt
    isclose isfinite isinf isnan le less less_equal logical_and logical_not logical_or
    logical_xor lt ne not_equal signbit nextafter"""
#: Of F those that are no elementary functions of numbers: layers, windows, images,
#: samples; and losses that are made of functions above.
NOT_HERE = """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d
    adaptive_max_pool2d affine_grid avg_pool1d avg_pool2d batch_norm conv1d conv2d
    conv_transpose1d conv_transpose2d cosine_embedding_loss ctc_loss dropout dropout1d
    dropout2d embedding gaussian_kl_div glu grid_sample group_norm instance_norm
    interpolate linear margin_ranking_loss max_pool1d max_pool2d multi_margin_loss
    one_hot pixel_shuffle scaled_dot_product_attention triplet_margin_loss"""


FAMILIES = ("arithmetic", "elementwise")


#: Held at their special points elsewhere, by PyTorch's samples and 40 digits:
#: tests/parity/special_rows.py, sample_databases.py, tests/test_special_functions.py.
ROWS_ELSEWHERE = """
    sgn
"""
#: The same of layers' functions: tests/parity/module_database.py.
LAYERS_ELSEWHERE = """
    adaptive_avg_pool3d adaptive_max_pool3d alpha_dropout avg_pool3d bilinear celu_
    channel_shuffle conv3d conv_transpose3d dropout3d elu_ embedding_bag
    feature_alpha_dropout fold gumbel_softmax hardtanh_ leaky_relu_
    local_response_norm lp_pool1d lp_pool2d lp_pool3d max_pool3d max_unpool1d
    max_unpool2d max_unpool3d multilabel_margin_loss pad pdist pixel_unshuffle relu_
    rrelu rrelu_ selu_ threshold_ triplet_margin_with_distance_loss unfold upsample
    upsample_bilinear upsample_nearest
"""


def test_every_elementary_function_has_a_row() -> None:
    named = {name for row in [*ROWS, *ALL] for name in row.names.split()}
    here = {n.removeprefix("cr.") for n in named if n.startswith("cr.")}
    public = [op for op in declared() if op.public and op.family in FAMILIES]
    names = {name for op in public for name in (op.name, *op.names)}
    assert not names - here - {*NO_DERIVATIVE.split(), *ROWS_ELSEWHERE.split()}
    there = {n.removeprefix("F.") for n in named if n.startswith("F.")}
    known = {*NOT_HERE.split(), *LAYERS_ELSEWHERE.split()}
    assert not set(F.__all__) - there - known


ODD = ["sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf", "expm1"]


@pytest.mark.parametrize("way", WAYS)
def test_odd_functions_keep_the_sign_of_zero(way: str) -> None:
    def all_of_them(x: Tensor) -> list[Tensor]:
        return [getattr(cr, name)(x) for name in ODD] + [F.softsign(x)]

    run = all_of_them if way == "eager" else cr.compile(all_of_them, engine=way)
    for name, made in zip([*ODD, "softsign"], run(cr.tensor([-0.0, 0.0]))):
        assert np.signbit(made.numpy()).tolist() == [True, False], name


#: What turns for ever, and what replaces ∞ by a number.
ELSEWHERE = ("cr.sin", "cr.cos", "cr.tan", "cr.nan_to_num")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_at_the_largest_numbers_and_at_infinity(dtype: str) -> None:
    """What a derivative tends to, or NaN: no other number."""
    top = float(np.finfo(dtype).max)
    for row in ROWS:
        if row.names in ELSEWHERE:
            continue
        low, high = row.domain
        for sign in (1, -1):
            if not low <= sign * top <= high:
                continue
            x = cr.tensor([sign * 1e12, sign * top, sign * np.inf], dtype=dtype)
            made = np.stack([t.numpy() for t in taken(row, x, 2)])
            near, *ends = made.astype(np.float64).T
            for end in ends:
                for k, (a, b) in enumerate(zip(near, end)):
                    same = abs(b - a) <= 1e-5 * max(1, abs(a))
                    grown = np.sign(a) == np.sign(b) and abs(a) < abs(b)
                    right = np.isnan(b) or a == b or same or (grown and abs(a) > 1)
                    assert right or abs(a) < 1e-3 > abs(b), (row.names, sign, k, a, b)


HUGE = [3e38, 1.0, 2.0, 0.5]
#: Functions whose squares overflow in float32 there, though they themselves do not.
OVERFLOWS: dict[str, tuple[Callable[[Tensor], Tensor], Any]] = {
    "logaddexp": (lambda x: cr.logaddexp(x, x)[:1], [3e38]),
    "hypot": (lambda x: cr.hypot(x * 0.5, x * 0.5)[:1], [3e38 / 2**0.5]),
    "normalize": (lambda x: F.normalize(x, dim=0)[:1], [np.nan]),
    "cosine_similarity": (lambda x: F.cosine_similarity(x, x, 0).reshape(1), [np.nan]),
    "layer_norm": (lambda x: F.layer_norm(x, 4)[:1], [np.nan]),
    "rms_norm": (lambda x: F.rms_norm(x, 4)[:1], [np.nan]),
    "batch_norm": (
        lambda x: F.batch_norm(x.reshape(-1, 1), None, None, training=True)[:1, 0],
        [np.nan],
    ),
    "group_norm": (lambda x: F.group_norm(x.reshape(1, 2, 2), 1)[:, 0, 0], [np.nan]),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_overflow_on_the_way_is_no_wrong_number(way: str) -> None:
    """It does not come about, or gives NaN, in the value and in the derivative."""

    def all_of_them(x: Tensor) -> list[tuple[Tensor, Tensor]]:
        slopes = [cr.grad(lambda x, f=f: f(x).sum())(x) for f, _ in OVERFLOWS.values()]
        return [(f(x), g) for (f, _), g in zip(OVERFLOWS.values(), slopes)]

    run = all_of_them if way == "eager" else cr.compile(all_of_them, engine=way)
    for name, (value, slope) in zip(OVERFLOWS, run(cr.tensor(HUGE))):
        want = OVERFLOWS[name][1]
        np.testing.assert_allclose(value.numpy(), want, rtol=1e-6, err_msg=name)
        assert np.isnan(slope.numpy()).all() == np.isnan(want).all(), name


def test_running_statistics_that_overflowed_give_nan() -> None:
    x, mean, var = cr.ones((2, 1)), cr.zeros((1,)), cr.full((1,), np.inf)
    assert np.isnan(F.batch_norm(x, mean, var).numpy()).all()


def test_a_wrong_certainty_learns() -> None:
    """As in PyTorch: 100, with the derivative −10¹²."""
    for prediction, target, slope in ((0.0, 1.0, -1e12), (1.0, 0.0, 1e12)):
        p = cr.tensor([prediction], requires_grad=True)
        loss = nn.BCELoss()(p, cr.tensor([target]))
        loss.backward()
        assert loss.item() == 100
        np.testing.assert_allclose(p.grad.numpy(), [slope], rtol=1e-6)


def test_batchmean_of_logarithms_is_the_mean_of_the_divergence() -> None:
    q, p = cr.tensor([[0.25, 0.75]] * 3), cr.tensor([[0.5, 0.5]] * 3)
    of_logarithms = nn.KLDivLoss(reduction="batchmean")(q.log(), p)
    np.testing.assert_allclose(of_logarithms.item(), 0.5 * np.log(4 / 3), rtol=1e-6)
    of_numbers = nn.KLDivergence(reduction="mean")(q, p)
    np.testing.assert_allclose(of_numbers.item(), of_logarithms.item(), rtol=1e-6)
