"""3.4: back-propagation: the chain rule, the error term, the update."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule import nn, optim
from tests.textbook.oracle import (
    ACTIVATIONS,
    Pass,
    apply,
    close,
    descend,
    each,
    exact,
    times,
    transpose,
)

SIZES, NAMES = [3, 4, 4, 2], ["Sigmoid", "Tanh", "GELU"]


@pytest.fixture
def worked(rng, network):
    """A model, its explanation for one sample, and the pass worked out alone."""
    model, layers = network(SIZES, NAMES)
    x, y = rng.normal(size=3), rng.normal(size=2)
    shown = cr.explain(model, x, y, nn.HalfSquaredErrorLoss())
    return model, layers, x, y, shown, Pass(layers, exact(x), exact(y))


@pytest.mark.parametrize("outer", ACTIVATIONS)
@pytest.mark.parametrize("inner", ACTIVATIONS)
def test_3_4_1_the_chain_rule(outer, inner):
    """dy/dx = dy/du · du/dx for y = f(u), u = g(x)."""
    at = np.array([-1.5, -0.25, 0.375, 2.0])
    x = cr.tensor(at, requires_grad=True)
    u = getattr(nn, inner)()(x)
    y = getattr(nn, outer)()(u)
    y.sum().backward()
    (f, df), (g, dg) = ACTIVATIONS[outer], ACTIVATIONS[inner]
    expected = [df(g(v)) * dg(v) for v in exact(at)]
    # Where ReLU gives 0, f′ of the outer ReLU is taken at its kink.
    close(x.grad.numpy(), expected, floor=1e-15)
    close(y.numpy(), [f(g(v)) for v in exact(at)], floor=1e-15)


def test_3_4_1_the_gradient_of_a_weight_is_a_product_of_three(worked):
    """∂L/∂W⁽ˡ⁾ = ∂L/∂a⁽ˡ⁾ · ∂a⁽ˡ⁾/∂z⁽ˡ⁾ · ∂z⁽ˡ⁾/∂W⁽ˡ⁾, entry by entry."""
    _, layers, _, y, shown, p = worked
    count = len(layers)
    for l in range(1, count + 1):  # noqa: E741 - the book's letter
        if l == count:
            by_a = [a - t for a, t in zip(p.a[l], exact(y))]
        else:
            by_a = apply(transpose(layers[l][0]), p.delta[l + 1])
        slope = each(ACTIVATIONS[NAMES[l - 1]][1], p.z[l])
        product = [
            [by_a[i] * slope[i] * p.a[l - 1][j] for j in range(SIZES[l - 1])]
            for i in range(SIZES[l])
        ]
        close(shown.layer(l).dW, product)


def test_3_4_2_the_error_term_is_the_derivative_by_z(worked):
    """δ⁽ˡ⁾ = ∂L/∂z⁽ˡ⁾, against numerical derivatives of the rest of the network."""
    _, layers, _, y, shown, p = worked

    def loss_from(l, z):  # noqa: E741
        a = each(ACTIVATIONS[NAMES[l - 1]][0], z)
        rest = layers[l:]
        if not rest:
            return sum((q - t) ** 2 for q, t in zip(a, exact(y))) / 2
        return Pass(rest, a, exact(y)).loss

    for l in range(1, len(layers) + 1):  # noqa: E741
        for i in range(SIZES[l]):

            def moved(v, l=l, i=i):  # noqa: E741
                return loss_from(l, [*p.z[l][:i], v, *p.z[l][i + 1 :]])

            close(shown.layer(l).delta[i, 0], mp.diff(moved, p.z[l][i]))


def test_3_4_2_the_recursion(worked):
    """δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾)."""
    _, layers, _, _, shown, p = worked
    for l in (1, 2):  # noqa: E741
        back = apply(transpose(layers[l][0]), exact(shown.layer(l + 1).delta[:, 0]))
        slope = each(ACTIVATIONS[NAMES[l - 1]][1], p.z[l])
        close(shown.layer(l).delta[:, 0], times(back, slope))


def test_3_4_3_the_update_of_weights_and_biases(worked):
    """W⁽ˡ⁾ ← W⁽ˡ⁾ − η ∂L/∂W⁽ˡ⁾ and b⁽ˡ⁾ ← b⁽ˡ⁾ − η ∂L/∂b⁽ˡ⁾, with ∂L/∂b = δ."""
    model, layers, x, y, _, p = worked
    loss = nn.HalfSquaredErrorLoss()(model(cr.tensor(x[None])), cr.tensor(y[None]))
    loss.backward()
    optim.SGD(model.parameters(), lr=0.25).step()
    for l, (W, b, _) in enumerate(layers, 1):  # noqa: E741
        linear = model[2 * l - 2]
        close(linear.weight.numpy(), descend(W, p.dW[l], mp.mpf(0.25)))
        close(linear.bias.numpy(), descend(b, p.delta[l], mp.mpf(0.25)))
