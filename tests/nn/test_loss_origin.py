"""Losses that know what the network in front of them ends in."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    ChainruleWarning,
    GradientError,
)
from tests.nn.loss_helpers import close, t64


def compiled(network, loss, x, y, engine="numpy"):
    return cr.compile(lambda x, y: loss(network(x), y), engine=engine)(x, y)


X, HOT = np.ones((2, 3)), np.array([[0.0, 1.0], [1.0, 0.0]])


def ends_in(*tail):
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2, dtype="float64"), *tail)


class Shaped(nn.Module):
    """A view between the activation and the loss."""

    def forward(self, x):
        return x.reshape(-1, 2)


@pytest.mark.parametrize("run", [lambda m, f, x, y: f(m(x), y), compiled])
@pytest.mark.parametrize(
    ("tail", "loss", "y", "words"),
    [
        (nn.Softmax(), nn.CrossEntropyLoss(), [0, 1], "softmax.*from_logits=False"),
        (nn.Softmax(), nn.CrossEntropyLoss(), HOT, "softmax.*from_logits=False"),
        (nn.LogSoftmax(), nn.CrossEntropyLoss(), [0, 1], "log_softmax.*itself.*remove"),
        (nn.Sigmoid(), nn.BCEWithLogitsLoss(), HOT, "sigmoid.*itself.*nn.BCELoss"),
        (nn.LogSoftmax(), nn.KLDivergence(), HOT, "logarithms.*nn.Softmax"),
        (nn.Softmax(), nn.KLDivLoss(), HOT, "logarithms.*nn.LogSoftmax"),
        (nn.LogSoftmax(), nn.CrossEntropyLoss(from_logits=False), [0, 1], "logarithms"),
    ],
)
def test_an_activation_too_many(tail, loss, y, words, run):
    for network in (ends_in(tail), ends_in(tail, Shaped())):
        with pytest.raises(ArgumentError, match=f"(?s){words}"):
            run(network, loss, t64(X), cr.tensor(y))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (nn.CrossEntropyLoss(from_logits=False), r"Softmax\(\), or leave out"),
        (nn.BCELoss(), r"Sigmoid\(\), or take nn.BCEWithLogitsLoss"),
        (nn.KLDivergence(), r"Softmax\(\)"),
    ],
)
def test_scores_where_probabilities_belong(loss, words):
    """Numbers are refused where they are known; the network is doubted where not."""
    for bias in (True, False):
        network = nn.Sequential(nn.Linear(3, 2, bias=bias, dtype="float64"))
        network.load_state_dict(
            {k: np.full(v.shape, 3.0) for k, v in network.state_dict().items()}
        )
        with pytest.raises(ArgumentError, match=f"(?s)probabilities.*{words}"):
            loss(network(t64(X)), HOT)
        doubted = pytest.warns(ChainruleWarning, match=f"(?s)scores.*{words}")
        with doubted, pytest.raises(ArgumentError, match=f"(?s)probabilities.*{words}"):
            compiled(network, loss, t64(X), cr.tensor(HOT))


def test_numbers_that_are_probabilities_are_not_doubted():
    """Whatever they were computed by; warnings are errors here."""
    w = t64([[0.5, 0.5], [0.25, 0.75]], requires_grad=True)
    loss = nn.CrossEntropyLoss(from_logits=False)
    close(loss(t64([[1.0, 0.0]]) @ w, [0]).item(), np.log(2))


def test_a_softmax_along_another_axis_is_not_taken_for_the_classes():
    wanted = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]])
    z = np.log(wanted) + np.arange(3.0)  # softmax along the rows gives others
    q = t64(z, requires_grad=True).softmax(dim=0)
    close(q.numpy(), wanted)
    made = nn.CrossEntropyLoss(from_logits=False)(q, np.array([1, 2, 2]))
    close(made.item(), -np.log([0.3, 0.3, 0.5]).mean())


def test_a_freed_softmax_is_still_its_numbers():
    z = t64([[0.0, 0.0]], requires_grad=True)
    q = z.softmax()
    loss = nn.CrossEntropyLoss(from_logits=False)
    loss(q, np.array([0])).backward()
    q.sum().backward()  # frees the softmax
    close(loss(q, np.array([0])).item(), np.log(2))
    with pytest.raises(GradientError, match="second time"):
        loss(q, np.array([0])).backward()


@pytest.mark.parametrize("tracked", [True, False])
def test_a_derivative_with_respect_to_probabilities_stops_there(tracked):
    """Asked for ∂ℒ/∂ŷ = −y/ŷ, cr.grad does not go behind the softmax."""
    loss = nn.CrossEntropyLoss(from_logits=False)
    q = t64([[1.0, 2.0, 0.5]], requires_grad=tracked).softmax()
    slope = cr.grad(lambda q: loss(q, np.array([1])))(q).numpy()
    close(slope, [[0, -1 / q.numpy()[0, 1], 0]])

    def inner(z):  # Σ ∂ℒ/∂ŷ = −1/ŷ₁, whose derivative is that of softmax again
        return cr.grad(lambda q: loss(q, np.array([1])))(z.softmax()).sum()

    found = cr.grad(inner)(t64([[1.0, 2.0, 0.5]])).numpy()
    p = q.numpy()[0]
    close(found, [[-p[0] / p[1], (1 - p[1]) / p[1], -p[2] / p[1]]], rtol=1e-12)


def test_training_with_a_softmax_at_the_end_is_training_with_scores():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    histories = []
    for tail, loss in (
        ([nn.Softmax()], nn.CrossEntropyLoss(from_logits=False)),
        ([], nn.CrossEntropyLoss()),
    ):
        cr.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 2), *tail)
        trainer = cr.Trainer(model, loss=loss, optimizer=cr.optim.SGD(lr=0.5))
        fitted = trainer.fit((x, y), epochs=3, batch_size=8, progress=False)
        histories.append([row["train_loss"] for row in fitted.epochs])
    assert histories[0] == histories[1]
