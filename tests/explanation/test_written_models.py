"""Explanations of models as people write them: any public function, one behind another.

Every formula comes to its numbers, whatever shapes its parts have in memory, and every
document is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.autograd import Function
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.explanation import Explanation
from chainrule.graph.types import UnknownSizeError
from tests.explanation.test_formulas import held
from tests.explanation.written_models import Written

F = nn.functional
CE = nn.CrossEntropyLoss()
D: Any = {"dtype": "float64"}


def documents(e: Explanation) -> None:
    assert "DISAGREE" not in e.text()
    for document in (e.to_html(), e.to_markdown(), e.to_latex()):
        assert document


def written(seed: int, many: int) -> None:
    model = Written(seed, many)
    x = np.random.default_rng(seed).normal(size=(3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of derivatives that are not there
        try:
            e = cr.explain(model, x, [0, 1, 1], CE)
        except ChainruleError as error:
            alone = "for one number of samples alone" in str(error)
            assert alone or isinstance(error, UnknownSizeError)  # noqa: PT017
            return
        held(e, path=False)
        documents(e)


#: With what each found: loops and branches of one result; arrays of parameters beside
#: samples; parts of sums that are dropped; places in arrays.
SEEDS = [42, 53, 60, 90, 93, 126, 135]


@pytest.mark.parametrize("seed", [*SEEDS, *range(12)])
def test_written_models(seed: int) -> None:
    written(seed, 4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_many_written_models(seed: int) -> None:
    written(seed, 5)


# -- others ----------------------------------------------------------------------------


class Model(nn.Module):
    """Modules, and a function of them and x."""

    def __init__(self, function: Callable[..., Any], **modules: Any) -> None:
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: cr.Tensor) -> Any:
        return self.function(self, x)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


class Sign(Function):
    """A step with the derivative of a ramp (a straight-through estimator)."""

    @staticmethod
    def forward(ctx: Any, x: cr.Tensor) -> cr.Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, g: cr.Tensor) -> cr.Tensor:
        (x,) = ctx.saved_tensors
        return g * (x.abs() < 1).to(g.dtype)


def _einsum() -> Any:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        q = cr.einsum("btd,hde->bhte", x, m.w)
        a = cr.einsum("bhte,bhse->bhts", q, q).softmax(-1)
        y = cr.einsum("bhts,bhse->bthe", a, q)
        return m.out(y.flatten(2).mean(1))

    w = nn.Parameter(numbers(2, 4, 4))
    return Model(forward, w=w, out=nn.Linear(8, 2, **D)), numbers(2, 3, 4), [0, 1], CE


def _both_ways() -> Any:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        every, (h, _) = m.lstm(x)
        return m.out(cr.cat([h[-1], h[-2]], -1) + every[:, 0])

    more = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    lstm, out = nn.LSTM(3, 2, **more, **D), nn.Linear(4, 2, **D)
    return Model(forward, lstm=lstm, out=out), numbers(2, 3, 3), [0, 1], CE


def _bilinear() -> Any:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        w = m.f(x).view(-1, 2, 3)
        return m.out(x, cr.bmm(w, x.unsqueeze(2)).squeeze(2))

    parts = {"f": nn.Linear(3, 6, **D), "out": nn.Bilinear(3, 2, 2, **D)}
    return Model(forward, **parts), numbers(2, 3), [0, 1], CE


def _graph() -> Any:
    ends = cr.tensor([0, 1, 2, 2, 0]), cr.tensor([1, 0, 1, 0, 2])

    def around(h: cr.Tensor) -> cr.Tensor:
        return cr.zeros_like(h).index_add(0, ends[1], h[ends[0]]) + h

    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return m.g(around(m.f(around(x)).relu()))

    parts = {"f": nn.Linear(2, 3, **D), "g": nn.Linear(3, 2, **D)}
    return Model(forward, **parts), numbers(3, 2), [0, 1, 0], CE


def _sequences() -> Any:
    def loss(p: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        lengths = cr.full((p.shape[0],), 5), cr.full((p.shape[0],), 2)
        return F.ctc_loss(p.log_softmax(-1).transpose(0, 1), y, *lengths)

    model = nn.Sequential(nn.Linear(3, 4, **D))
    return model, numbers(2, 5, 3), [[1, 2], [2, 1]], loss


def _left_out() -> Any:
    """The last label is none: it has no weight, and no place to be one-hot."""
    weight = cr.tensor([1.0, 2.0, 0.5], **D)
    loss = nn.CrossEntropyLoss(weight=weight, ignore_index=-100, label_smoothing=0.1)
    return nn.Sequential(nn.Linear(3, 3, **D)), numbers(4, 3), [0, 2, 1, -100], loss


def _own_derivative() -> Any:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return m.g(Sign.apply(m.f(x)))

    parts = {"f": nn.Linear(3, 3, **D), "g": nn.Linear(3, 2, **D)}
    return Model(forward, **parts), numbers(2, 3), [0, 1], CE


def _mixed() -> Any:
    def forward(m: Any, x: cr.Tensor) -> cr.Tensor:
        return m.g(m.f(x.float()).to("float64").tanh().float())

    parts = {"f": nn.Linear(3, 3), "g": nn.Linear(3, 2)}
    return Model(forward, **parts), numbers(2, 3), [0, 1], CE


MODELS = [
    *(_einsum, _both_ways, _bilinear, _graph, _sequences),
    *(_left_out, _own_derivative, _mixed),
]


@pytest.mark.parametrize("make", MODELS)
def test_models_of_others(make: Callable[[], Any]) -> None:
    cr.manual_seed(0)
    e = cr.explain(*make())
    held(e, path=False)
    documents(e)


def test_a_guard_is_written_where_it_guards() -> None:
    """‖h‖ of a row of zeros is divided by something else than 0."""
    f = nn.Linear(2, 2, bias=False, **D)
    model = Model(lambda m, x: F.normalize(m.f(x), dim=1), f=f)
    held(cr.explain(model, [[0.0, 0.0], [1.0, 2.0]], [0, 1], CE), path=False)


def test_own_derivatives_are_those_of_the_paths() -> None:
    cr.manual_seed(0)
    model, x, y, loss = _own_derivative()
    x *= 4  # some z are beyond 1
    e = cr.explain(model, x, y, loss)
    (w, b), (v, c) = ((m.weight.numpy(), m.bias.numpy()) for m in (model.f, model.g))
    z = x @ w.T + b
    scores = np.exp(np.sign(z) @ v.T + c)
    errors = (scores / scores.sum(1, keepdims=True) - np.eye(2)[y]) / 2
    wanted = ((errors @ v) * (np.abs(z) < 1)).T @ x
    assert 0 < (np.abs(z) < 1).sum() < z.size
    for place in np.ndindex(3, 3):
        path = e.element("f.weight", place)
        assert path.gradient == pytest.approx(float(wanted[place]), rel=1e-12)


@pytest.mark.parametrize("name", [0, None, ("f.weight", 0)])
def test_what_is_no_name(name: Any) -> None:
    e = cr.explain(*_own_derivative())
    with pytest.raises(ArgumentError, match="Nothing here is called"):
        e[name]
