"""The chain rule on functions small enough to differentiate by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.autodiff import cotangents, inline, vjp
from chainrule.composites.activations import sigmoid
from chainrule.errors import GradientError
from chainrule.graph.apply import constant
from chainrule.graph.context import no_grad, recording, scope
from chainrule.graph.emit import trace, tracing
from chainrule.graph.interpret import evaluate, evaluate_all
from chainrule.graph.node import Value
from chainrule.graph.text import to_text
from chainrule.graph.types import ArrayType, DType
from chainrule.optim import SGD
from chainrule.primitives.elementwise import (
    add,
    convert,
    div,
    exp,
    log,
    mul,
    sub,
    tanh,
)
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import full_like, reduce_sum

F64 = DType.float64
Function = Callable[..., Any]


def leaf(number: Any) -> Value:
    return Value(np.asarray(number, np.float64), tracked=True)


def one() -> Value:
    return constant(1.0, F64)


def slope(f: Function, order: int = 1) -> Function:
    """The derivative of a scalar function of one scalar, as such a function."""
    if order > 1:
        return slope(slope(f, order - 1))

    def differentiated(x: Value) -> Value:
        y = f(x)
        return cotangents({y: one()}, stop=[x]).get(x) or full_like(x, 0.0)

    return differentiated


def at(f: Function, x: float) -> float:
    value = f(leaf(x))
    return float(value.array)


def gradients(f: Function, *arrays: Any) -> list[Any]:
    """Eager gradients of a scalar function of arrays."""
    inputs = [leaf(a) for a in arrays]
    known = cotangents({f(*inputs): one()})
    return [None if (g := known.get(v)) is None else g.array for v in inputs]


# dy/dx = dy/du · du/dx

BY_HAND: dict[str, tuple[Function, float, float]] = {
    "square": (lambda x: mul(x, x), 3.0, 6.0),
    "exp of a square": (lambda x: exp(mul(x, x)), 1.0, 2 * math.e),
    "log of exp": (lambda x: log(exp(x)), 0.3, 1.0),
    "twice and once": (lambda x: add(mul(x, x), x), 5.0, 11.0),
    "x / x": (lambda x: div(x, x), 7.0, 0.0),
    "x - x": (lambda x: sub(x, x), 7.0, 0.0),
    "quotient": (lambda x: div(full_like(x, 1.0), x), 2.0, -0.25),
    "sigmoid at 0": (sigmoid, 0.0, 0.25),
    "sigmoid far out": (sigmoid, -800.0, 0.0),
    "tanh at 0": (tanh, 0.0, 1.0),
    "tanh of sigmoid": (lambda x: tanh(sigmoid(x)), 0.0, (1 - math.tanh(0.5) ** 2) / 4),
}


@pytest.mark.parametrize(("f", "x", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand(f: Function, x: float, expected: float) -> None:
    assert at(slope(f), x) == pytest.approx(expected, rel=1e-15, abs=1e-300)


def test_a_mixed_second_derivative() -> None:
    """∂²(x²y³)/∂x∂y = 6xy² = 108 at (2, 3), whichever comes first."""

    def f(x: Value, y: Value) -> Value:
        return mul(mul(x, x), mul(y, mul(y, y)))

    x, y = leaf(2.0), leaf(3.0)
    first = cotangents({f(x, y): one()})
    assert float(first[x].array) == 108.0
    assert float(cotangents({first[x]: one()})[y].array) == 108.0
    assert float(cotangents({first[y]: one()})[x].array) == 108.0
    assert float(cotangents({first[x]: one()})[x].array) == 54.0


def test_a_node_without_a_derivative_ends_nothing_but_its_own_branch() -> None:
    """Of integers there is none; the walk goes on to what was computed before them."""

    def f(x: Value, n: Value) -> Value:
        return mul(exp(x), convert(add(n, n), dtype=F64))

    x, n = leaf(0.5), Value(np.asarray(3, np.int32), tracked=True)
    known = cotangents({f(x, n): one()})
    assert float(known[x].array) == pytest.approx(6 * math.exp(0.5), rel=1e-15)
    assert n not in known


@pytest.mark.parametrize("keep", [False, True])
def test_a_constant_of_a_graph_may_stay_one_where_it_is_inlined(keep: bool) -> None:
    """f(x) = x · c(x) with c = x², recorded without derivatives: f′ is c or 3x²."""

    def f(x: Value) -> Value:
        with no_grad():
            c = mul(x, x)
        return mul(x, c)

    graph = trace(f, [ArrayType((), F64)])
    x = leaf(2.0)
    (y,) = inline(graph, (x,), **({"keep_constants": True} if keep else {}))
    assert float(y.array) == 8.0
    assert float(cotangents({y: one()})[x].array) == (4.0 if keep else 12.0)


# The textbook's networks: δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾


def network(
    x: Value, w1: Value, b1: Value, w2: Value, b2: Value, y: Value
) -> tuple[Value, ...]:
    """3.2.2: two inputs, two hidden units, one output, all sigmoid; 3.7's loss."""
    with scope("0"):
        z1 = add(dot(w1, x, "oi,i->o"), b1)
    with scope("1"):
        a1 = sigmoid(z1)
    with scope("2"):
        z2 = add(dot(w2, a1, "oi,i->o"), b2)
    with scope("3"):
        prediction = sigmoid(z2)
    error = sub(prediction, y)
    loss = mul(constant(0.5, x.dtype), reduce_sum(mul(error, error), axes=(0,)))
    return loss, z1, a1, z2, prediction


# Chosen so that z¹ = (0, 0) and z² = 0: every number below is exact in binary.
EXACT = {
    "x": [1.0, 2.0],
    "w1": [[2.0, -1.0], [-4.0, 2.0]],
    "b1": [0.0, 0.0],
    "w2": [[1.0, 3.0]],
    "b2": [-2.0],
    "y": [1.0],
}


def test_deltas_of_the_book_exactly() -> None:
    x, w1, b1, w2, b2, y = inputs = [leaf(a) for a in EXACT.values()]
    loss, z1, a1, z2, prediction = network(*inputs)
    assert float(loss.array) == 0.125
    known = cotangents({loss: one()})
    # δ² = (ŷ − y) f′(z²) = −½ · ¼;  δ¹ = (W²ᵀδ²) ⊙ f′(z¹) = (−⅛, −⅜) / 4
    expected = {
        prediction: [-1 / 2],
        z2: [-1 / 8],
        w2: [[-1 / 16, -1 / 16]],
        b2: [-1 / 8],
        a1: [-1 / 8, -3 / 8],
        z1: [-1 / 32, -3 / 32],
        w1: [[-1 / 32, -2 / 32], [-3 / 32, -6 / 32]],
        b1: [-1 / 32, -3 / 32],
        x: [10 / 32, -5 / 32],
        y: [1 / 2],
    }
    for value, numbers in expected.items():
        np.testing.assert_array_equal(known[value].array, numbers)


def test_deltas_are_found_by_name_in_a_traced_graph() -> None:
    """δ⁽ˡ⁾ is the cotangent of what the forward nodes of layer l compute last."""
    deltas: dict[str, Value] = {}

    def function(*inputs: Value) -> list[Value]:
        loss, *_ = network(*inputs)
        known = cotangents({loss: one()})
        for layer in ("0", "2"):
            last = max(
                (v for v in known if v.node is not None and v.node.scope == layer),
                key=lambda v: v.node.number if v.node is not None else -1,
            )
            deltas[layer] = known[last]
        return list(deltas.values())

    arrays = [np.array(a) for a in EXACT.values()]
    types = [ArrayType(a.shape, F64) for a in arrays]
    graph = trace(function, types, names=list(EXACT), tracked=True)
    numbers = evaluate_all(graph, arrays)
    np.testing.assert_array_equal(numbers[deltas["0"]], [-1 / 32, -3 / 32])
    np.testing.assert_array_equal(numbers[deltas["2"]], [-1 / 8])


# What is and what is not in the map


def test_several_roots_and_a_root_on_the_way_to_another() -> None:
    x = leaf(3.0)
    y = mul(x, x)
    z = mul(y, y)
    known = cotangents({z: constant(1.0, F64), y: constant(10.0, F64)})
    assert float(known[y].array) == 10 + 2 * 9
    assert float(known[x].array) == (10 + 2 * 9) * 6


def test_stop_ends_the_walk() -> None:
    x = leaf(3.0)
    y = mul(x, x)
    z = mul(y, y)
    known = cotangents({z: one()}, stop=[y])
    assert float(known[y].array) == 18.0
    assert x not in known


def test_no_grad_makes_constants() -> None:
    x = leaf(3.0)
    with no_grad():
        fixed = mul(x, x)
    assert not fixed.tracked
    assert fixed.node is None
    known = cotangents({mul(fixed, x): one()})
    assert float(known[x].array) == 9.0
    assert fixed not in known


def test_no_grad_while_tracing() -> None:
    def function(x: Value) -> Value:
        with no_grad():
            fixed = mul(x, x)
        return cotangents({mul(fixed, x): one()})[x]

    graph = trace(function, [ArrayType((), F64)], tracked=True)
    assert float(evaluate(graph, [3.0])[0]) == 9.0


def test_what_does_not_lead_to_the_root_is_left_alone() -> None:
    x, other = leaf(2.0), leaf(5.0)
    aside = mul(x, other)
    known = cotangents({mul(x, x): one()})
    assert set(known) >= {x}
    assert other not in known
    assert aside not in known


def test_integers_and_untracked_values_have_no_cotangent() -> None:
    x, plain = leaf([1.0, 2.0]), Value(np.array([3.0, 4.0]))
    through_integers = convert(convert(x, dtype=DType.int32), dtype=F64)
    y = mul(add(x, through_integers), plain)
    known = cotangents({y: Value(np.ones(2))})
    np.testing.assert_array_equal(known[x].array, [3.0, 4.0])
    assert plain not in known


def test_a_freed_node_is_refused() -> None:
    x = leaf(2.0)
    y = mul(x, x)
    assert y.node is not None
    y.node.free()
    with pytest.raises(GradientError, match="second time") as error:
        cotangents({y: one()})
    assert error.value.expected
    assert error.value.got
    assert error.value.fix


def test_backward_nodes_know_their_layer_and_role() -> None:
    def function(*inputs: Value) -> Value:
        loss, *_ = network(*inputs)
        return cotangents({loss: one()})[inputs[1]]

    types = [ArrayType(np.shape(a), F64) for a in EXACT.values()]
    graph = trace(function, types, names=list(EXACT), tracked=True)
    origins = {(node.scope, node.role) for node in graph.nodes}
    for module in "0123":
        assert (module, "forward") in origins
    for module in "123":
        assert (module, "backward") in origins
    assert "scope=2 role=backward" in to_text(graph)


# Composites


def test_a_value_given_twice_to_a_composite_gets_the_sum() -> None:
    """p − η p for one p: d/dp = 1 − η, once and not twice."""
    p, lr = leaf([1.0, 2.0]), leaf(0.25)
    known = cotangents({SGD.composite(p, p, lr, scalars="lr"): Value(np.ones(2))})
    np.testing.assert_array_equal(known[p].array, [0.75, 0.75])
    assert float(known[lr].array) == -3.0


def test_pull_back_gives_only_what_is_needed() -> None:
    a, b = leaf(2.0), leaf(3.0)
    assert vjp(mul, (a, b), (one(),), (False, False), {}) == [None, None]
    first, second = vjp(mul, (a, b), (one(),), (True, False), {})
    assert first is not None
    assert float(first.array) == 3.0
    assert second is None


def test_pull_back_of_a_body_that_hands_its_inputs_on() -> None:
    def body(x: Value, y: Value) -> tuple[Value, Value, Value]:
        return x, mul(x, y), x

    x, y = leaf(2.0), leaf(3.0)
    gs = (constant(10.0, F64), constant(1.0, F64), constant(100.0, F64))
    dx, dy = vjp(body, (x, y), gs, (True, True), {})
    assert dx is not None
    assert dy is not None
    assert (float(dx.array), float(dy.array)) == (113.0, 2.0)


def test_a_composite_is_differentiated_from_its_body_even_under_no_grad() -> None:
    p, g, lr = leaf([1.0]), leaf([2.0]), leaf(0.5)
    made = SGD.composite(p, g, lr, scalars="lr")
    with no_grad():
        known = cotangents({made: Value(np.ones(1))})
    assert float(known[g].array[0]) == -0.5
    assert not known[g].tracked
    with no_grad(), recording():
        assert mul(p, p).tracked


def test_inline_applies_a_graph_to_numbers_and_to_values() -> None:
    def f(x: Value, y: Value) -> tuple[Value, Value]:
        with scope("inner"):
            return mul(x, y), x

    graph = trace(f, [ArrayType((), F64)] * 2)
    product, same = inline(graph, [leaf(2.0), leaf(5.0)])
    assert (float(product.array), float(same.array)) == (10.0, 2.0)
    with tracing():
        inputs = [Value(None, (), F64, name=n) for n in "xy"]
        product, same = inline(graph, inputs)
    assert same is inputs[0]
    assert product.node is not None
    assert product.node.scope == "inner"
