"""2.6: the gradient of one neuron, gradient descent and its variants."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp, mpf

import chainrule as cr
from chainrule import nn, optim
from chainrule.random import permutation
from tests.textbook.oracle import ACTIVATIONS, close, descend, dot, exact, mean


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_2_6_1_the_gradient_of_a_weight(rng, name):
    """∂L/∂wᵢ = (ŷ − y) f′(z) xᵢ for L = ½(ŷ − y)²."""
    x, w, b, y = rng.normal(size=4), rng.normal(size=4), rng.normal(), rng.normal()
    neuron = nn.Sequential(nn.Linear(4, 1, dtype="float64"), getattr(nn, name)())
    neuron.load_state_dict({"0.weight": w[None], "0.bias": [b]})
    loss = nn.HalfSquaredErrorLoss()(
        neuron(cr.tensor(x[None])), cr.tensor(np.array([[y]]))
    )
    loss.backward()
    f, slope = ACTIVATIONS[name]
    z = dot(exact(w), exact(x)) + exact(b)
    error = f(z) - exact(y)
    close(loss.item(), error**2 / 2)
    close(neuron[0].weight.grad.numpy(), [[error * slope(z) * v for v in exact(x)]])
    close(neuron[0].bias.grad.numpy(), [error * slope(z)])


def test_2_6_2_gradient_descent(rng):
    """θ ← θ − η ∂L/∂θ, here of L = Σ cᵢθᵢ²/2, whose gradient is cᵢθᵢ."""
    theta, c, rate = rng.normal(size=5), rng.uniform(1, 2, size=5), 0.125
    t = cr.tensor(theta, requires_grad=True)
    optimizer = optim.SGD([t], lr=rate)
    expected = exact(theta)
    for _ in range(10):
        optimizer.zero_grad()
        ((t * t * cr.tensor(c)).sum() * 0.5).backward()
        optimizer.step()
        gradient = [a * b for a, b in zip(exact(c), expected)]
        expected = descend(expected, gradient, mpf(rate))
    close(t.numpy(), expected)


def line_after_an_epoch(batches: list[list[int]], data, rate: Fraction):
    """w and b of ŷ = wx + b after a step for each batch, in exact fractions."""
    w = b = Fraction(0)
    for batch in batches:
        errors = [(w * data[i][0] + b - data[i][1], data[i][0]) for i in batch]
        dw = sum(2 * e * x for e, x in errors) / len(batch)
        db = sum(2 * e for e, _ in errors) / len(batch)
        w, b = w - rate * dw, b - rate * db
    return w, b


@pytest.mark.parametrize(
    ("engine", "size"),
    [
        *(("numpy", size) for size in (None, 1, 3)),
        *(pytest.param("auto", size, marks=pytest.mark.slow) for size in (None, 1)),
        ("auto", 3),
    ],
)
def test_2_6_3_batch_stochastic_and_mini_batch_descent(size, engine):
    """All samples a step, one, or a few: the mean of their gradients each time."""
    data = [(Fraction(i, 4), Fraction(3 * i - 5, 8)) for i in range(8)]
    line = nn.Linear(1, 1, dtype="float64")
    line.load_state_dict({"weight": [[0.0]], "bias": [0.0]})
    trainer = cr.Trainer(
        line, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.0625), engine=engine, seed=5
    )
    x = np.array([[float(a)] for a, _ in data])
    y = np.array([[float(b)] for _, b in data])
    trainer.fit((x, y), epochs=1, batch_size=size, progress=False)
    order = permutation(8, 5, 0).tolist()
    step = size or 8
    batches = [order[i : i + step] for i in range(0, 8, step)]
    w, b = line_after_an_epoch(batches, data, Fraction(1, 16))
    close(line.weight.numpy(), [[mpf(w.numerator) / w.denominator]])
    close(line.bias.numpy(), [mpf(b.numerator) / b.denominator])


def test_2_6_3_the_gradient_of_a_batch_is_the_mean_of_its_samples(rng):
    """Which is why the three kinds go the same way on average."""
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    line = nn.Linear(3, 1, dtype="float64")

    def gradient(rows):
        line.zero_grad()
        nn.MSELoss()(line(cr.tensor(x[rows])), cr.tensor(y[rows])).backward()
        return exact(line.weight.grad.numpy())

    singles = [gradient([i]) for i in range(6)]
    close(gradient(list(range(6))), mean(singles), mpf("1e-11"))


def run(optimizer_of, start, steps=20):
    """θ after some steps on L = Σ θ⁴/4 + θ, whose gradient is θ³ + 1."""
    t = cr.tensor(np.array(start), requires_grad=True)
    optimizer = optimizer_of([t])
    for _ in range(steps):
        optimizer.zero_grad()
        ((t * t * t * t) * 0.25 + t).sum().backward()
        optimizer.step()
    return t.numpy()


START = [0.5, -1.25, 2.0]


def test_2_6_3_momentum():
    """v ← μv + g; θ ← θ − ηv."""
    eta, mu = mpf(0.02), mpf(0.9)
    expected = []
    for theta in exact(START):
        v = mpf(0)
        for _ in range(20):
            v = mu * v + theta**3 + 1
            theta -= eta * v
        expected.append(theta)
    close(run(lambda p: optim.SGD(p, lr=0.02, momentum=0.9), START), expected)


def test_2_6_3_rmsprop():
    """s ← αs + (1 − α)g²; θ ← θ − ηg/(√s + ε)."""
    eta, alpha, eps = mpf(0.02), mpf(0.99), mpf(1e-8)
    expected = []
    for theta in exact(START):
        s = mpf(0)
        for _ in range(20):
            g = theta**3 + 1
            s = alpha * s + (1 - alpha) * g**2
            theta -= eta * g / (mp.sqrt(s) + eps)
        expected.append(theta)
    close(run(lambda p: optim.RMSprop(p, lr=0.02), START), expected)


def test_2_6_3_adam():
    """m̂/(√v̂ + ε), with moments that are corrected for their start at 0."""
    eta, b1, b2, eps = mpf(0.02), mpf(0.9), mpf(0.999), mpf(1e-8)
    expected = []
    for theta in exact(START):
        m = v = mpf(0)
        for t in range(1, 21):
            g = theta**3 + 1
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            theta -= eta * (m / (1 - b1**t)) / (mp.sqrt(v / (1 - b2**t)) + eps)
        expected.append(theta)
    close(run(lambda p: optim.Adam(p, lr=0.02), START), expected)
