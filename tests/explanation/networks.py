"""Networks of many kinds that the tests of explain share."""

from itertools import pairwise

import numpy as np

import chainrule as cr
from chainrule import nn

rng = np.random.default_rng(0)
MSE = nn.MSELoss()


def linear(*sizes, **options):
    return [nn.Linear(a, b, dtype="float64", **options) for a, b in pairwise(sizes)]


class Residual(nn.Module):
    def __init__(self):
        self.a, self.b, self.c = linear(3, 3, 3, 2)

    def forward(self, x):
        h = self.a(x).tanh()
        return self.c(h + self.b(h).relu())


class Tied(nn.Module):
    def __init__(self):
        (self.a,) = linear(3, 3)

    def forward(self, x):
        return self.a(self.a(x).tanh()).sigmoid()


class OwnLayer(nn.Module):
    """A layer that is no nn.Linear, with preprocessing and z σ(z)."""

    def __init__(self):
        self.w = nn.module.Parameter(rng.normal(size=(2, 3)))
        self.c = nn.module.Parameter(rng.normal(size=(2,)))

    def forward(self, x):
        z = (x * 2 - 1) @ self.w.T + self.c
        return z * z.sigmoid()


class Flatten(nn.Module):
    def forward(self, x):
        return x.flatten(1)


def networks():
    cr.manual_seed(0)
    a, b = linear(3, 4, 2)
    yield "nested", nn.Sequential(nn.Sequential(a, nn.Tanh()), nn.Sequential(b))
    a, b = linear(3, 4, 2)
    yield "softmax", nn.Sequential(a, nn.Softmax(), b, nn.Softmax())
    a, b = linear(3, 4, 2)
    yield "dropout", nn.Sequential(a, nn.ReLU(), nn.Dropout(0.5), b)
    a, b = linear(3, 4, 2, bias=False)
    yield "no bias, no activation", nn.Sequential(a, b)
    yield "residual", Residual()
    yield "own layer", OwnLayer()
    a, b = linear(3, 300, 2)
    yield "wide softmax", nn.Sequential(a, nn.Softmax(), b)


NETWORKS = dict(networks())
