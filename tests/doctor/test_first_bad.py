"""The first operation that makes NaN or infinity is named, in the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.doctor import examine, examples
from chainrule.doctor.case import Case
from chainrule.errors import NonFiniteError
from chainrule.tensor import Tensor

F = nn.functional
ROWS = cr.data.Dataset(
    np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32),
    np.random.default_rng(1).integers(0, 2, 40),
    classes=2,
)
X = ROWS.x[:]


class Net(nn.Module):
    """A network whose first part is what is planted."""

    def __init__(self, planted: Callable[[Tensor], Tensor], width: int = 4) -> None:
        self.planted, self.last = planted, examples.drawn(lambda: nn.Linear(width, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.planted(x))


def scanned(x: Tensor) -> Tensor:
    def step(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        new = (carry - 1.0).sqrt() + row
        return new, new

    return cr.scan(step, x[0] * 0.0 + 3.5, x)[1]


def convolved(x: Tensor) -> Tensor:
    kernel = cr.tensor(np.full((1, 1, 1), 2e38, np.float32))
    return F.conv1d((x.abs() + 3.0).reshape(-1, 1, 4), kernel).reshape(-1, 4)


def attended(x: Tensor) -> Tensor:
    scores = (x @ x.T).log()
    return scores.softmax(-1) @ x


def masked(x: Tensor) -> Tensor:
    mask = cr.tensor(np.triu(np.full((4, 4), -np.inf, np.float32), 1))
    weights = (x.mean(0).reshape(1, 4) + mask).softmax(-1)  # −∞ hurts nothing here
    return (x @ weights - 9.0).sqrt()


#: What is planted, and the operation that is to be named.
CASES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "root": (lambda x: (x - 9.0).sqrt(), "sqrt"),
    "inner root": (lambda x: (x - 9.0).sqrt().sqrt(), "sqrt"),
    "logarithm of negatives": (lambda x: (x - 9.0).log(), "log"),
    "logarithm of zero": (lambda x: (x * 0.0).log(), "log"),
    "log1p": (lambda x: (x - 9.0).log1p(), "log1p"),
    "division by zero": (lambda x: x / (x * 0.0), "div"),
    "overflow of exp": (lambda x: (x + 200.0).exp(), "exp"),
    "exp in a sigmoid of one's own": (
        lambda x: 1 / (1 + (-x).exp()) - (900 + x).exp(),
        "exp",
    ),
    "zero times infinity": (lambda x: (x * 0.0) * (x + 200.0).exp(), "exp"),
    "infinity minus infinity": (lambda x: (x * 1e38 * 1e3) - (x * 1e38 * 1e3), "mul"),
    "a power": (lambda x: (x - 9.0) ** 0.5, ""),
    "overflow of a product": (lambda x: (x * 1e25) * (x * 1e25), "mul"),
    "convolution": (convolved, "conv"),
    "attention": (attended, "log"),
    "a mask before the root": (masked, "sqrt"),
    "scan": (scanned, "sqrt"),
    "arcsine": (lambda x: (x + 9.0).asin(), ""),
    "overflow of a matrix product": (
        lambda x: (x * 1e20) @ (x.T * 1e20) @ x,
        "dot_general",
    ),
    "standard deviation": (
        lambda x: (x - x.mean()) / (x.amax(1, keepdim=True) * 0.0),
        "div",
    ),
}


def case_of(model: nn.Module, loss: object = None) -> Case:
    trainer = cr.Trainer(
        model,
        loss=loss or nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.01),
        engine="numpy",
    )
    return Case(trainer, ROWS, epochs=2, batch_size=8)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", CASES)
def test_it_is_named_forward(name: str) -> None:
    planted, operation = CASES[name]
    width = 4
    case = case_of(Net(planted, width))
    found = case.first_bad
    assert found is not None, case.trial.error
    assert found.role == "forward"
    if operation:
        assert found.operation == operation, found
    assert found.source is not None
    assert found.source.startswith("test_first_bad.py:")


def test_the_inner_root_is_named_with_its_input() -> None:
    found = case_of(Net(lambda x: (x * 0.0 - 2.0).sqrt().sqrt())).first_bad
    assert found is not None
    assert found.call == "sqrt(-2) = nan"
    assert (found.count, found.size) == (32, 32)


def test_a_loss_of_ones_own_is_named() -> None:
    def loss(p: Tensor, t: Tensor) -> Tensor:
        return -(p[:, 0] * 0.0).log().mean()

    found = case_of(Net(lambda x: x), loss).first_bad
    assert found is not None
    assert (found.operation, found.scope) == ("log", "loss")


def test_a_step_of_a_loop_is_named() -> None:
    found = case_of(Net(scanned)).first_bad
    assert found is not None
    assert found.step is not None
    assert "scan" in found.within


class Edge(Net):
    """An operation whose result is a number, and whose derivative is none."""

    def __init__(self, edge: Callable[[Tensor], Tensor]) -> None:
        super().__init__(examples.drawn(lambda: nn.Linear(4, 4)))
        self.edge = edge

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.edge(self.planted(x)))


def looped(x: Tensor) -> Tensor:
    def step(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        new = carry + (row * 0.0).sqrt()
        return new, new

    return cr.scan(step, x[0] * 0.0, x)[1]


#: Operations at the edge of what has a derivative, and what is named with its operands.
EDGES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "root": (lambda x: (x * 0.0).sqrt(), "sqrt(0)"),
    "root of a sum of squares": (
        lambda x: x * ((x * 0.0).square().sum(1, keepdim=True)).sqrt(),
        "sqrt(0)",
    ),
    "half power": (lambda x: (x * 0.0).abs() ** 0.5, "sqrt(0)"),
    "power": (lambda x: (x * 0.0) ** 0.3, "pow(0, 0.3)"),
    "logarithm that is not used": (
        lambda x: cr.where(x > 100.0, (x * 0.0 + 0.0).log(), x),
        "log(0)",
    ),
    "arcsine": (lambda x: (x * 0.0 + 1.0).asin(), "asin(1)"),
    "arccosine": (lambda x: (x * 0.0 + 1.0).acos(), "acos(1)"),
    "loop": (looped, "sqrt(0)"),
    "recomputed": (lambda x: cr.checkpoint(lambda x: (x * 0.0).sqrt(), x), "sqrt"),
}


@pytest.mark.parametrize("name", EDGES)
def test_of_a_derivative_that_is_none_its_operation_is_named(name: str) -> None:
    edge, named = EDGES[name]
    case = case_of(Edge(edge))
    found = case.first_bad
    assert found is not None, case.trial.error
    assert found.role == "backward"
    assert found.derivative_of == named
    assert named in found.call
    line = edge.__code__.co_firstlineno
    assert found.source is not None
    file, __, number = found.source.partition(":")
    assert file == "test_first_bad.py"
    assert line <= int(number) <= line + 4


def test_of_a_derivative_in_a_loss_of_ones_own_its_operation_is_named() -> None:
    def distance(p: Tensor, t: Tensor) -> Tensor:
        return (p * 0.0).square().sum(-1).sqrt().mean()

    case = case_of(Net(lambda x: x), distance)
    found = case.first_bad
    assert found is not None
    assert (found.derivative_of, found.scope) == ("sqrt(0)", "loss")
    assert "of the derivative of sqrt" in str(case.trial.error)


def test_a_division_by_zero_in_a_loss_of_ones_own_is_named() -> None:
    def shares(p: Tensor, t: Tensor) -> Tensor:
        rest = p[:, 0] * 0.0
        return (rest / rest.sum()).mean()

    found = case_of(Net(lambda x: x), shares).first_bad
    assert found is not None
    assert (found.call, found.role) == ("div(0, 0) = nan", "forward")


class Steep(cr.autograd.Function):
    """Twice a number, with a derivative of its own that divides by 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * 2.0

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad / (ctx.saved_tensors[0] * 0.0)


def test_a_derivative_of_ones_own_is_named_by_its_own_line() -> None:
    found = case_of(Edge(Steep.apply)).first_bad
    assert found is not None
    assert (found.operation, found.derivative_of) == ("div", "")
    line = Steep.backward.__code__.co_firstlineno
    assert found.source == f"test_first_bad.py:{line + 2}"


def test_what_helps_is_said_of_the_derivative() -> None:
    made = case_of(Edge(lambda x: (x * 0.0).sqrt()))
    diagnosis = examine(made, 0)
    found = next(f for f in diagnosis.findings if f.code == "non-finite-loss")
    assert "no finite derivative" in found.cause
    assert "sqrt(0)" in found.evidence["operation"]


def test_nothing_is_named_where_all_is_finite() -> None:
    assert case_of(Net(lambda x: x)).first_bad is None


def test_an_overflow_of_a_derivative_is_no_missing_one() -> None:
    """The derivative of a product is finite everywhere: gradients have exploded."""
    layers: list[nn.Module] = [nn.Linear(4, 16)]
    for _i in range(12):
        layers += [nn.ReLU(), nn.Linear(16, 16)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Linear(16, 1))

    def draw() -> None:
        for p in model.parameters():
            nn.init.normal_(p, 0.0, 400.0 if p.ndim > 1 else 0.0)

    examples.drawn(draw)
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    rows = cr.data.Dataset(x * np.float32(1e-11), x[:, :1])
    trainer, data, given = examples.example(model, rows, loss=nn.L1Loss())
    found = cr.diagnose(trainer, data, **given)
    (said,) = [f for f in found.findings if f.code == "non-finite-loss"]
    assert said.evidence["pass"] == "backward"
    assert "no finite derivative" not in str(found)
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(data, epochs=1, progress=False)
    assert "such as 0 of a root" not in str(caught.value)
