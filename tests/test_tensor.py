"""The eager tensor against NumPy: operators, indexing, broadcasting, exchange."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import weakref

import mpmath
import numpy as np
import pytest
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    DTypeError,
    GradientError,
    ShapeError,
)
from chainrule.util.pytorch_hints import TENSORS
from tests.mistakes import explained

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)


def numbers(shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype(np.float32)


def test_a_key_that_equals_another_is_not_taken_for_it():
    """1, 1.0 and True are one key of a dictionary, and three indices."""
    a = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    x = cr.tensor(a)
    for key in (1, (1,), slice(1, 2), (slice(0, 1), None), ..., (..., 0), (1, 0)):
        np.testing.assert_array_equal(x[key].numpy(), a[key])
        np.testing.assert_array_equal(x.double()[key].numpy(), a[key])
    np.testing.assert_array_equal(x[np.int64(1)].numpy(), a[1])
    np.testing.assert_array_equal(x[[1, 0]].numpy(), a[[1, 0]])
    for wrong in (1.0, True):
        with pytest.raises(ArgumentError):
            x[wrong]
    with pytest.raises(DTypeError, match="whole numbers"):
        x[1.0:2.0]
    with pytest.raises(ShapeError, match="out of range"):
        x[:1][1]
    y = cr.tensor(a, requires_grad=True)
    (y[1] * y[1]).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy()[1], 2 * a[1])


def test_axes_are_named_by_their_numbers():
    x = cr.tensor(numbers((2, 3, 4)))
    for wrong in ("rows", 1.0, True, None):
        with pytest.raises(
            ArgumentError, match=r"named by its number(.|\n)*such as -1"
        ):
            x.softmax(wrong)
    for wrong in (3, -4):
        with pytest.raises(ShapeError, match=f"Axis {wrong} does not exist"):
            x.sum((0, wrong))
    with pytest.raises(ShapeError):
        x.sum((0, 0))
    assert x.softmax(np.int64(1)).shape == (2, 3, 4)


@pytest.mark.parametrize("name", ["max", "min"])
def test_a_tensor_is_no_axis_of_an_extreme(name):
    x, other = cr.tensor([[1, 5], [3, 2]]), cr.tensor([0, 1])
    f, method = getattr(cr, name), getattr(x, name)
    larger = getattr(np, f"{name}imum")(x.numpy(), other.numpy())
    for pair in (f(x, other), method(other), method(other=other)):
        np.testing.assert_array_equal(pair.numpy(), larger)
    for wrong in (other, cr.tensor(0)):
        for keyword in ("dim", "axis"):
            with pytest.raises(ArgumentError, match="named by its number"):
                f(x, **{keyword: wrong})
    with pytest.raises(ArgumentError, match="reduce no axis"):
        method(other, keepdim=True)
    for first in (0, other):
        with pytest.raises(ArgumentError, match="dim is given once"):
            method(first, axis=1)
    by_position, by_name = method(0, True), method(axis=0, keepdims=True)
    np.testing.assert_array_equal(by_position.values.numpy(), by_name.values.numpy())


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("float32", 1e300), ("float64", 10**5000), ("uint8", 300), ("int32", 2**40)],
    ids=["float32", "float64", "uint8", "int32"],
)
def test_numbers_that_the_dtype_cannot_hold(dtype, number):
    x = cr.tensor([1, 2], dtype=dtype)
    with pytest.raises(ArgumentError, match=f"does not fit {dtype}(.|\n)*from -?[0-9]"):
        x + number
    assert (x.astype("float64") * 1e300).numpy().tolist() == [1e300, 2e300]
    assert np.isinf((cr.tensor([1.0]) * float("inf")).numpy()).all()


def test_truth_values_are_counted():
    hits = cr.tensor([1, 2, 3, 4]) == cr.tensor([1, 0, 3, 4])
    assert hits.sum().item() == 3
    assert (hits * 2).tolist() == [2, 0, 2, 2]
    assert (1 - hits).tolist() == [0, 1, 0, 0]
    assert hits.mean().item() == 0.75


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_has_gradients_of_its_own(way):
    model = nn.Linear(2, 1)
    other = way(model)
    assert other.state_dict().keys() == model.state_dict().keys()
    assert type(other.weight) is nn.Parameter
    other(cr.tensor([[1.0, 2.0]])).sum().backward()
    assert other.weight.grad.tolist() == [[1.0, 2.0]]
    assert model.weight.grad is None
    assert way(other).weight.grad is None  # as in PyTorch; a plain tensor's stays
    plain = cr.tensor([3.0], requires_grad=True)
    (plain * plain).sum().backward()
    assert way(plain).grad.tolist() == [6.0]
    frozen = cr.tensor([1.0], dtype="float64")
    assert not way(frozen).requires_grad
    assert way(frozen).dtype is cr.float64
    with pytest.raises(GradientError, match="detach"):
        way(model.weight * 2)


def test_in_place_operators_change_a_parameter():
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    before = w
    (w * w).sum().backward()
    with cr.no_grad():
        w -= 0.5 * w.grad
        w += 1
        w *= 6
        w /= 2
    assert w is before
    assert w.requires_grad
    assert w.tolist() == [3.0, 3.0]
    with pytest.raises(GradientError, match=r"no_grad(.|\n)*optimiser"):
        w -= 1.0
    total = cr.tensor(0.0)
    total += (w * w).sum()
    total.backward()
    assert w.grad.tolist() == [2.0 + 6.0, 4.0 + 6.0]


def test_pytorchs_other_names_are_answered_with_ours():
    x = cr.tensor([[1.0, 2.0]], requires_grad=True)
    for name, answer in TENSORS.items():
        assert name not in vars(cr.Tensor)
        with pytest.raises(AttributeError, match=re.escape(f"; here: {answer}")):
            getattr(x, name)
    with pytest.raises(AttributeError, match=r"attribute 'nothing'$"):
        x.nothing  # noqa: B018
    with pytest.raises(ShapeError, match=r"one element(.|\n)*\(1, 2\)(.|\n)*tolist"):
        x.item()


def test_one_number_is_formatted_as_such():
    assert f"{cr.tensor(2.0) / 3:.3f}" == "0.667"
    assert f"{cr.tensor([[3]]):>4}" == "   3"
    assert round(cr.tensor(2.0) / 3, 2) == pytest.approx(0.67)
    x = cr.tensor([1.0, 2.0])
    assert f"{x}" == str(x)
    assert f"{x[0]}" == str(x[0])


@pytest.mark.parametrize(
    ("name", "definition"),
    [("erf", mpmath.erf), ("log1p", mpmath.log1p), ("expm1", mpmath.expm1)],
)
def test_functions_that_are_exact_near_zero(name, definition):
    x = np.array([-0.9, -1e-10, 0.0, 1e-300, 1e-10, 0.5, 3.0])
    t = cr.tensor(x, requires_grad=True)
    y = getattr(t, name)()
    y.sum().backward()
    with mpmath.workdps(40):
        wanted = [float(definition(mpmath.mpf(v))) for v in x.tolist()]
        slopes = [float(mpmath.diff(definition, mpmath.mpf(v))) for v in x.tolist()]
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-15, atol=0)
    np.testing.assert_allclose(t.grad.numpy(), slopes, rtol=1e-14)


def test_dtypes_of_results():
    f32, f64 = cr.tensor([1.5]), cr.tensor(np.array([1.5]))
    i32, u8 = cr.tensor(np.int32([2])), cr.tensor(np.uint8([3]))
    assert f32.dtype is cr.float32
    assert f64.dtype is cr.float64
    assert (f32 + f64).dtype is cr.float64
    assert (i32 + f32).dtype is cr.float32
    assert (i32 + u8).dtype is cr.int32
    assert (i32 * 2).dtype is cr.int32
    assert (i32 * 0.5).dtype is cr.float32
    assert (i32 / i32).dtype is cr.float32
    assert (f64 * 2).dtype is cr.float64
    assert cr.tensor([1, 2]).mean().dtype is cr.float32


def test_exchange_with_numpy():
    x = cr.tensor([[1.0, 2.0]])
    np.testing.assert_array_equal(np.asarray(x), [[1, 2]])
    np.testing.assert_array_equal(np.from_dlpack(x), [[1, 2]])
    assert np.asarray(x, dtype="float64").dtype == np.float64

    class Foreign:
        def __dlpack__(self, **options):
            return np.ones(3, np.float32).__dlpack__(**options)

        def __dlpack_device__(self):
            return np.ones(3, np.float32).__dlpack_device__()

    assert cr.tensor(Foreign()).tolist() == [1, 1, 1]
    assert isinstance(np.ones(1, np.float32) * cr.tensor([2.0]), cr.Tensor)


def test_a_tensor_has_its_own_memory():
    array = np.zeros(2, np.float32)
    x = cr.tensor(array)
    array[0] = 1
    assert x.tolist() == [0, 0]


def test_gradients_add_up_and_history_is_freed():
    x = cr.tensor([2.0], requires_grad=True)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [8.0]
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(GradientError, match="retain_graph=True"):
        loss.backward()


def test_forgotten_results_free_their_history_without_the_collector():
    x = cr.tensor(np.ones(1000), requires_grad=True)
    gc.disable()
    try:
        y = x * 2.0
        for _ in range(5):
            y = y * y
        ghost = weakref.ref(y.value.node.inputs[0])
        del y
        assert ghost() is None
    finally:
        gc.enable()


def test_create_graph():
    x = cr.tensor(3.0, requires_grad=True)
    (x * x * x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert float(x.grad) == 18.0


def test_no_grad_and_detach():
    x = cr.tensor([1.0], requires_grad=True)
    with cr.no_grad():
        assert not (x * 2.0).requires_grad
    y = (x * 2.0).detach()
    assert not y.requires_grad
    assert (x * y).requires_grad


#: What is written, by its error, and words of the message.
MISTAKES = {
    ShapeError: {
        "cr.tensor([1.0, 2.0]) + cr.tensor([1.0, 2.0, 3.0])": "combine",
        "cr.tensor([1.0, 2.0])[2]": "out of range",
        "cr.tensor([1.0])[0, 0]": "Too many",
        "cr.tensor([1.0])[[True, False]]": "mask",
        "cr.tensor([1.0, 2.0]).reshape(3)": "elements",
        "cr.tensor([1.0]).sum(1)": "does not exist",
        "cr.tensor([[1.0, 2.0]]) @ cr.tensor([[1.0, 2.0]])": "multiply",
        "cr.tensor([1.0]).copy_(cr.tensor([1.0, 2.0]))": "same shape",
        "cr.tensor(1.0) @ cr.tensor(1.0)": "vectors and matrices",
    },
    ArgumentError: {
        "cr.tensor([[1.0], [2.0, 3.0]])": "equal lengths",
        "cr.tensor([1.0])[True]": "truth value",
    },
    DTypeError: {
        "cr.tensor('abc')": "element type",
        "cr.tensor([1, 2], requires_grad=True)": "floating",
    },
    GradientError: {
        "cr.tensor([1.0]).backward()": "requires_grad=True",
        "cr.tensor([1.0, 2.0], requires_grad=True).backward()": "scalar",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())


def test_numbers_are_not_there_while_tracing():
    def peek(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(ArgumentError, match="where"):
        cr.compile(peek, engine="numpy")(np.ones(2, np.float32))


def test_check_gradients_finds_a_wrong_derivative(monkeypatch):
    tanh = cr.Tensor.tanh
    cr.check_gradients(tanh, [0.1, -0.4])
    from chainrule.graph.primitive import DERIVATIVES
    from chainrule.primitives import elementwise

    wrong = lambda gs, ys, inputs, needed: [elementwise.mul(gs[0], ys[0])]  # noqa: E731
    monkeypatch.setitem(DERIVATIVES, elementwise.tanh, wrong)
    with pytest.raises(
        GradientError, match=r"respect to x\[.*the rule of tanh"
    ) as caught:
        cr.check_gradients(tanh, [0.1, -0.4])
    assert caught.value.report.rules[0].primitive == "tanh"
