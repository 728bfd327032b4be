"""The book's functions in NumPy: activations (2.7), losses (2.5), their derivatives.

Samples are columns, as in the book. A recipe that follows a page of the book by hand
takes its functions from here, and initial weights and samples.

>>> SLOPE[σ](np.array([[0.0]]))
array([[0.25]])
"""

# ruff: noqa: E741  (l is the book's letter for a layer)

from __future__ import annotations

from itertools import pairwise

import numpy as np


def σ(z):
    """The sigmoid function σ(z) = 1 / (1 + e⁻ᶻ) in NumPy."""
    return 1 / (1 + np.exp(-z))


def relu(z):
    """The ReLU function max(0, z) in NumPy."""
    return np.maximum(0, z)


def softmax(z):
    """The softmax function e^zᵢ / Σⱼ e^zⱼ in NumPy, without overflow."""
    e = np.exp(z - z.max())
    return e / e.sum()


#: f′. Of softmax, whose every output depends on every input, the Jacobian matrix J.
SLOPE = {
    σ: lambda z: σ(z) * (1 - σ(z)),
    relu: lambda z: (z > 0) * 1.0,
    softmax: lambda z: np.diagflat(softmax(z)) - softmax(z) @ softmax(z).T,
}


def half_square(ŷ, y):
    """The half squared error loss ½ Σ (ŷ − y)² in NumPy."""
    return 0.5 * np.sum((ŷ - y) ** 2)


def cross_entropy(ŷ, y):
    """The cross-entropy loss −Σ yᵢ ln ŷᵢ in NumPy; y is 1 at the right class."""
    return -np.sum(y * np.log(ŷ))


#: ∇_ŷ ℒ.
GRADIENT = {
    half_square: lambda ŷ, y: ŷ - y,
    cross_entropy: lambda ŷ, y: -y / ŷ,
}


def initialise(sizes, seed):
    """Draw initial weights and biases of all layers from U(−1/√n, 1/√n)."""
    rng = np.random.default_rng(seed)
    W, b = {}, {}
    for l, (n, m) in enumerate(pairwise(sizes), start=1):
        W[l] = rng.uniform(-1, 1, (m, n)) / np.sqrt(n)
        b[l] = rng.uniform(-1, 1, (m, 1)) / np.sqrt(n)
    return W, b


def columns(samples, seed, epoch):
    """Yield a data set's samples in a Trainer's order, as columns x and y."""
    for x, y in samples.batches(1, seed=seed, epoch=epoch):
        yield x.T, np.eye(samples.classes)[:, y] if samples.classes else y.T


def state_dict(W, b):
    """Return hand-trained weights and biases by parameter names of a Sequential."""
    weights = {f"{2 * l - 2}.weight": W[l] for l in W}
    return weights | {f"{2 * l - 2}.bias": b[l].ravel() for l in b}
