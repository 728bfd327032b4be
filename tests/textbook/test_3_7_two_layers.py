"""3.7: back-propagation through a two-layer network, derived."""

from __future__ import annotations

import pytest
from mpmath import mp, mpf

import chainrule as cr
from chainrule import nn, optim
from tests.textbook.oracle import (
    ACTIVATIONS,
    apply,
    close,
    descend,
    each,
    exact,
    outer,
    plus,
    times,
    transpose,
)


@pytest.mark.parametrize("f1", ACTIVATIONS)
@pytest.mark.parametrize("f2", ["Sigmoid", "Tanh", "GELU"])
def test_3_7_all_four_steps(rng, network, f1, f2):
    """δ⁽²⁾, δ⁽¹⁾, ∂L/∂W₂, ∂L/∂W₁ and the update, for L = ½(y − ŷ)²."""
    model, ((W1, b1, _), (W2, b2, _)) = network([3, 4, 1], [f1, f2])
    x, y = rng.normal(size=3), rng.normal(size=1)
    # Forward.
    z1 = plus(apply(W1, exact(x)), b1)
    a1 = each(ACTIVATIONS[f1][0], z1)
    z2 = plus(apply(W2, a1), b2)
    predicted = each(ACTIVATIONS[f2][0], z2)
    # 1. The output error.
    error = [p - t for p, t in zip(predicted, exact(y))]
    delta2 = times(error, each(ACTIVATIONS[f2][1], z2))
    # 2. Back to the hidden layer: ⊙, where the book leaves the sign out.
    back = apply(transpose(W2), delta2)
    delta1 = times(back, each(ACTIVATIONS[f1][1], z1))
    # 3. Gradients.
    dW2, dW1 = outer(delta2, a1), outer(delta1, exact(x))
    loss = nn.HalfSquaredErrorLoss()
    shown = cr.explain(model, x, y, loss)
    close(shown.loss, error[0] ** 2 / 2)
    close(shown.layer(2).delta[:, 0], delta2)
    close(shown.layer(1).delta[:, 0], delta1)
    close(shown.layer(2).dW, dW2)
    close(shown.layer(1).dW, dW1)
    # 4. The update.
    loss(model(cr.tensor(x[None])), cr.tensor(y[None])).backward()
    optim.SGD(model.parameters(), lr=0.1).step()
    close(model[0].weight.numpy(), descend(W1, dW1, mpf(0.1)))
    close(model[2].weight.numpy(), descend(W2, dW2, mpf(0.1)))
    close(model[0].bias.numpy(), descend(b1, delta1, mpf(0.1)))
    close(model[2].bias.numpy(), descend(b2, delta2, mpf(0.1)))


def test_3_11_three_layers_from_the_definition(rng, network):
    """Exercise 1: ∂L/∂W⁽¹⁾ of three layers, against a numerical derivative of L."""
    names = ["Tanh", "Sigmoid", "Tanh"]
    model, layers = network([2, 3, 2, 1], names)
    x, y = rng.normal(size=2), rng.normal(size=1)
    shown = cr.explain(model, x, y, nn.HalfSquaredErrorLoss())

    def loss(first):
        a = exact(x)
        for i, (W, b, name) in enumerate(layers):
            W = first if i == 0 else W
            a = each(ACTIVATIONS[name][0], plus(apply(W, a), b))
        return (a[0] - exact(y)[0]) ** 2 / 2

    W1 = layers[0][0]
    for i in range(3):
        for j in range(2):

            def moved(v, i=i, j=j):
                changed = [list(row) for row in W1]
                changed[i][j] = v
                return loss(changed)

            close(shown.layer(1).dW[i, j], mp.diff(moved, W1[i][j]))


def test_3_11_two_relu_layers_by_hand():
    """Exercise 3: small numbers, exact in binary, so that paper and machine agree."""
    model = nn.Sequential(
        nn.Linear(2, 2, dtype="float64"),
        nn.ReLU(),
        nn.Linear(2, 1, dtype="float64"),
        nn.ReLU(),
    )
    model.load_state_dict(
        {
            "0.weight": [[1.0, -2.0], [0.5, 1.0]],
            "0.bias": [0.5, -0.25],
            "2.weight": [[2.0, -1.0]],
            "2.bias": [1.0],
        }
    )
    shown = cr.explain(model, [1.0, 0.5], [1.0], nn.HalfSquaredErrorLoss())
    assert shown.layer(1).z[:, 0].tolist() == [0.5, 0.75]
    assert shown.layer(1).a[:, 0].tolist() == [0.5, 0.75]
    assert shown.layer(2).z[:, 0].tolist() == [1.25]
    assert shown.loss == 0.03125
    assert shown.layer(2).delta[:, 0].tolist() == [0.25]
    assert shown.layer(1).delta[:, 0].tolist() == [0.5, -0.25]
    assert shown.layer(2).dW.tolist() == [[0.125, 0.1875]]
    assert shown.layer(1).dW.tolist() == [[0.5, 0.25], [-0.25, -0.125]]
    assert shown.check().ok
