"""The oracle against hand-made numbers and exact quotients; Chainrule against it."""

from __future__ import annotations

import doctest
from fractions import Fraction
from functools import cache
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from tests.explanation import oracle
from tests.explanation.oracle import DIGITS, Layer, close, descend, work

# -- the oracle ------------------------------------------------------------------------


def test_its_example():
    assert doctest.testmod(oracle).failed == 0


def test_two_relu_layers_by_hand():
    """3.7 with small numbers: each of them can be worked out in the head."""
    layers = [Layer([[1, 2], [3, -1]], [0, 1], "relu"), Layer([[2, -1]], [1], "linear")]
    step = work(layers, x=[[1, 1]], y=[[2]], rate="1/10")
    assert step.z[1:] == [[[3, 3]], [[4]]]  # 1 + 2, 3 − 1 + 1; 6 − 3 + 1
    assert step.prediction == [[4]]
    assert step.loss == 2  # ½ (4 − 2)²
    assert step.delta[1:] == [[[4, -2]], [[2]]]  # 2·2, −1·2; 4 − 2
    assert step.dW[1:] == [[[4, 4], [-2, -2]], [[6, 6]]]
    assert step.db[1:] == [[4, -2], [2]]
    (row,) = step.updated[1].W
    assert row == [Fraction(14, 10), Fraction(-16, 10)]
    assert step.updated[0].b == [Fraction(-4, 10), Fraction(12, 10)]


def test_a_number_that_is_off_is_seen():
    close([1.0, 2.0], [1, 2])
    for wrong in ([1.0, 2.0 + 1e-11], [1.0], [[1.0, 2.0]], [np.nan, 2.0]):
        with pytest.raises((AssertionError, ValueError)):
            close(wrong, [1, 2])


def test_a_dead_neuron_and_the_slope_at_zero():
    layers = [
        Layer([[1], [-1], [0]], [0, 0, 0], "relu"),
        Layer([[1, 1, 1]], [0], "relu"),
    ]
    step = work(layers, x=[[2]], y=[[0]])
    assert step.z[1] == [[2, -2, 0]]
    assert step.delta[1] == [[2, 0, 0]]


def test_a_batch_is_a_mean_or_a_sum():
    layers = [Layer([[1]], [0], "linear")]
    x, y = [[1], [2], [6]], [[0], [0], [0]]
    mean, total = (work(layers, x, y, reduction=r) for r in ("mean", "sum"))
    assert total.dW[1] == [[1 + 4 + 36]]
    assert mean.dW[1] == [[Fraction(41, 3)]]
    assert (mean.loss, total.loss) == (Fraction(41, 6), Fraction(41, 2))
    assert mean.delta[1] == [[Fraction(1, 3)], [Fraction(2, 3)], [2]]
    assert mean.z == total.z


def test_softmax_and_cross_entropy_make_the_error_of_the_prediction():
    """z = (1, 2, ½), class 2: δ = ŷ − y = (0.231, −0.371, 0.140)."""
    unit = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    layers = [Layer(unit, [0, 0, 0], "softmax")]
    step = work(layers, [[1, 2, 0.5]], [[0, 1, 0]], "cross entropy")
    np.testing.assert_allclose(
        np.array(step.delta[1], float), [[0.231, -0.371, 0.140]], atol=5e-4
    )
    shortcut = [p - t for p, t in zip(step.prediction[0], [0, 1, 0])]
    assert all(abs(d - s) < 1e-48 for d, s in zip(step.delta[1][0], shortcut))


def moved(layers: list[Layer], k: int, place: Any, by: Any) -> list[Layer]:
    """The network with one number of layer k moved; ``place`` of W or of b."""
    W, b = [list(row) for row in layers[k].W], list(layers[k].b)
    if isinstance(place, tuple):
        W[place[0]][place[1]] += by
    else:
        b[place] += by
    return [*layers[:k], Layer(W, b, layers[k].f), *layers[k + 1 :]]


def places(layer: Layer) -> list[Any]:
    rows, columns = len(layer.W), len(layer.W[0])
    return [*((i, j) for i in range(rows) for j in range(columns)), *range(rows)]


def quotients(layers: list[Layer], data: tuple[Any, ...], h: Any, **options: Any):
    """(gradient, (ℒ(θ + h) − ℒ(θ − h)) / 2h) for every weight and bias."""
    step = work(layers, *data, **options)
    for k, layer in enumerate(layers):
        for place in places(layer):
            up, down = (
                work(moved(layers, k, place, by), *data, **options).loss
                for by in (h, -h)
            )
            of_W = isinstance(place, tuple)
            found = step.dW[k + 1] if of_W else step.db[k + 1]
            g = found[place[0]][place[1]] if of_W else found[place]
            yield g, (up - down) / (2 * h)


def test_derivatives_are_exactly_the_quotients():
    """ℒ is a parabola in each weight of a linear or ReLU net: its quotient is exact."""
    thirds = [[Fraction(i - 3, 3) for i in range(j, j + 2)] for j in range(3)]
    layers = [
        Layer(thirds, [1, Fraction(1, 7), -1], "relu"),
        Layer([[1, -2, 3], [2, 1, -1]], [Fraction(1, 2), 0], "linear"),
        Layer([[1, Fraction(1, 3)]], [1], "relu"),
    ]
    data = ([[1, 2], [Fraction(1, 2), -3], [4, 1]], [[2], [1], [0]])
    for reduction in ("mean", "sum"):
        pairs = list(quotients(layers, data, Fraction(1, 10**6), reduction=reduction))
        assert len(pairs) == 20
        assert all(type(g) is Fraction and g == q for g, q in pairs)
        assert sum(g != 0 for g, _ in pairs) > 10


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ("sigmoid", "half square"),
        ("tanh", "half square"),
        ("softmax", "half square"),
        ("sigmoid", "cross entropy"),
        ("softmax", "cross entropy"),
    ],
)
def test_derivatives_are_the_quotients_to_thirty_digits(last, loss):
    layers = [
        Layer([["0.3", "-0.2"], ["0.5", "0.1"]], ["0.1", "-0.4"], "tanh"),
        Layer([["1.5", "-0.7"], ["0.2", "0.9"]], ["0.3", "0.6"], "softmax"),
        Layer([["0.8", "-1.1"], ["-0.6", "0.4"]], ["0.2", "0.5"], last),
    ]
    layers = oracle.numbers(layers, False)
    data = ([["0.7", "-1.2"], ["2", "0.25"]], [[0, 1], ["0.3", "0.7"]], loss)
    h = DIGITS.mpf("1e-16")
    for g, q in quotients(layers, data, h):
        assert abs(g - q) < DIGITS.mpf("1e-30")
        assert abs(g) > DIGITS.mpf("1e-6")


# -- Chainrule, held against it --------------------------------------------------------

MODULES = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": nn.Softmax,
}

#: Name → sizes, activation functions, loss, how many samples, mean or sum.
NETS: dict[str, tuple[list[int], list[str], str, int, str]] = {
    "3.2.2": ([2, 2, 1], ["sigmoid", "sigmoid"], "half square", 1, "mean"),
    "3.7": ([3, 4, 1], ["tanh", "linear"], "half square", 3, "mean"),
    "3.7, summed": ([3, 4, 2], ["tanh", "sigmoid"], "half square", 4, "sum"),
    "3.5, exact": (
        [3, 5, 4, 3, 2],
        ["relu"] * 3 + ["linear"],
        "half square",
        5,
        "mean",
    ),
    "3.2.3": ([4, 6, 5, 3], ["relu", "relu", "softmax"], "cross entropy", 6, "mean"),
    "all of them": (
        [2, 3, 4, 3, 2],
        ["sigmoid", "softmax", "tanh", "softmax"],
        "cross entropy",
        3,
        "sum",
    ),
    "linear": ([2, 3, 2], ["linear", "linear"], "half square", 2, "mean"),
}


#: η of all steps.
RATE = 0.125


class Net:
    """One network twice: for the oracle, and as a model of Chainrule."""

    def __init__(self, name: str) -> None:
        self.name = name
        sizes, functions, loss, n, reduction = NETS[name]
        rng = np.random.default_rng(len(name))
        modules: list[nn.Module] = []
        self.layers: list[Layer] = []
        self.weights: list[nn.Linear] = []
        for (inputs, outputs), f in zip(pairwise(sizes), functions, strict=True):
            W = rng.normal(size=(outputs, inputs)).round(3)
            b = rng.normal(size=outputs).round(3)
            linear = nn.Linear(inputs, outputs, dtype="float64")
            linear.load_state_dict({"weight": W, "bias": b})
            self.layers.append(Layer(W.tolist(), b.tolist(), f))
            self.weights.append(linear)
            modules += [linear, *([MODULES[f]()] if f in MODULES else [])]
        self.model = nn.Sequential(*modules)
        self.x = rng.normal(size=(n, sizes[0])).round(3).tolist()
        classes = rng.integers(sizes[-1], size=n)
        one_hot = np.eye(sizes[-1])[classes].tolist()
        targets = rng.normal(size=(n, sizes[-1])).round(3).tolist()
        self.y = one_hot if loss == "cross entropy" else targets
        self.how = {"loss": loss, "reduction": reduction}
        self.share = n if reduction == "mean" else 1

    def loss(self, p: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        """The same loss, of tensors."""
        if self.how["loss"] == "cross entropy":
            total = -(y * p.log()).sum()
        else:
            total = ((p - y) ** 2).sum() / 2
        return total / self.share

    def data(self) -> tuple[cr.Tensor, cr.Tensor]:
        return tuple(cr.tensor(np.array(part)) for part in (self.x, self.y))

    def step(self, **options: Any) -> oracle.Step:
        return work(self.layers, self.x, self.y, **self.how, **options)


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest) -> Net:
    return Net(request.param)


def test_forward(net):
    step, (x, _) = net.step(), net.data()
    close(net.model(x).numpy(), step.prediction)


def test_value_and_grad(net):
    step, (x, y) = net.step(), net.data()
    value, gradient = cr.value_and_grad(lambda m: net.loss(m(x), y))(net.model)
    close(value.item(), step.loss)
    names = [name for name, _ in net.model.named_parameters()]
    for k, (weight, bias) in enumerate(zip(names[::2], names[1::2]), 1):
        close(gradient[weight].numpy(), step.dW[k])
        close(gradient[bias].numpy(), step.db[k])


def test_backward_and_what_arrives_at_x(net):
    step, (x, y) = net.step(), net.data()
    x.requires_grad_()
    net.loss(net.model(x), y).backward()
    for k, linear in enumerate(net.weights, 1):
        close(linear.weight.grad.numpy(), step.dW[k])
        close(linear.bias.grad.numpy(), step.db[k])
    first = net.layers[0]
    W = oracle.numbers(first.W, type(step.loss) is Fraction)
    close(
        x.grad.numpy(), [oracle.apply(oracle.transposed(W), d) for d in step.delta[1]]
    )


@cache
def five_steps(name: str) -> list[oracle.Step]:
    """Return the oracle's steps with a network, for every engine the same ones."""
    net = Net(name)
    steps = descend(net.layers, net.x, net.y, **net.how, rate=RATE)
    return list(islice(steps, 5))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_algorithm_1_for_five_steps(net, engine):
    optimizer = optim.SGD(net.model.named_parameters(), lr=RATE)
    x, y = net.data()

    def update(x, y):
        optimizer.zero_grad()
        loss = net.loss(net.model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    if engine != "eager":
        update = cr.compile(update, engine=engine)
    for step in five_steps(net.name):
        close(update(x, y).item(), step.loss)
        for linear, layer in zip(net.weights, step.updated):
            close(linear.weight.numpy(), layer.W)
            close(linear.bias.numpy(), layer.b)


def test_explain(net):
    """Its numbers stand as on paper: a column for each sample."""
    step, explained = net.step(), cr.explain(net.model, net.x, net.y, net.loss)
    assert len(explained.layers) == len(net.layers)
    for k in range(1, len(net.layers) + 1):
        layer = explained.layer(k)
        close(layer.z, oracle.transposed(step.z[k]))
        close(layer.a, oracle.transposed(step.a[k]))
        close(layer.delta, oracle.transposed(step.delta[k]))
        close(layer.dW, step.dW[k])
        close(np.ravel(layer.db), step.db[k])


def test_cross_entropy_from_scores_and_from_probabilities():
    """The fused forms of the losses have the numbers of the unfused one."""
    net = Net("3.2.3")
    step, (x, y) = net.step(), net.data()
    labels = y.argmax(dim=1)
    scores = nn.Sequential(*list(net.model.children())[:-1])
    for model, loss in (
        (net.model, nn.CrossEntropyLoss(from_logits=False)),
        (scores, nn.CrossEntropyLoss()),
    ):
        value, gradient = cr.value_and_grad(lambda m: loss(m(x), labels))(model)  # noqa: B023
        close(value.item(), step.loss)
        close(gradient["0.weight"].numpy(), step.dW[1])
        close(gradient["4.bias"].numpy(), step.db[3])
        explained = cr.explain(model, net.x, labels.numpy(), loss)
        close(explained.layer(1).delta, oracle.transposed(step.delta[1]))
        close(explained.layer(3).delta, oracle.transposed(step.delta[3]))
