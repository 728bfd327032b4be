"""The five patients: programs on handwritten digits, each with one mistake.

A program is what a learner reads when he asks for it, so nothing in it is named after
the mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.clinics.clinic import Clinic, Program
from chainrule.data import Dataset
from chainrule.nn import functional as F
from chainrule.tensor import Tensor
from chainrule.text import _


def digits(rows: int) -> tuple[Dataset, Dataset]:
    """Return so many handwritten digits to train on, and half as many to test on."""
    train, test = cr.data.mnist()
    return train.take(rows), test.take(rows // 2)


def layers(sizes: Sequence[int], act: type[nn.Module], *end: nn.Module) -> nn.Module:
    """Return linear layers of these sizes with an activation between them."""
    made: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        made += [nn.Linear(inputs, outputs), act()]
    return nn.Sequential(*made[:-1], *end)


def first(rows: int, seed: int) -> Program:
    train, test = digits(rows)
    model = layers([784, *[32] * 20, 10], nn.Sigmoid)
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(lr=0.001)
    return cr.Trainer(model, loss=loss, optimizer=optimizer, seed=seed), train, test


def second(rows: int, seed: int) -> Program:
    train, test = digits(rows)
    model = layers([784, 128, 64, 10], nn.ReLU)
    loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(lr=10.0)
    return cr.Trainer(model, loss=loss, optimizer=optimizer, seed=seed), train, test


def third(rows: int, seed: int) -> Program:
    train, test = digits(rows)
    model = layers([784, 128, 64, 10], nn.ReLU)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(lr=0.1)
    return cr.Trainer(model, loss=loss, optimizer=optimizer, seed=seed), train, test


def fourth(rows: int, seed: int) -> Program:
    train, test = (
        Dataset(np.array(part.x.stored, np.float32), part.y, classes=10)
        for part in digits(rows)
    )
    model = layers([784, 128, 64, 10], nn.ReLU)
    loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(lr=0.1)
    return cr.Trainer(model, loss=loss, optimizer=optimizer, seed=seed), train, test


def fifth(rows: int, seed: int) -> Program:
    def loss(y: Tensor, target: Tensor) -> Tensor:
        return -(F.log_softmax(y, -1) * F.one_hot(target, 10)).sum(-1).mean()

    train, test = digits(rows)
    model = layers([784, 128, 64, 10], nn.ReLU, nn.Softmax())
    optimizer = optim.SGD(lr=0.1)
    return cr.Trainer(model, loss=loss, optimizer=optimizer, seed=seed), train, test


#: Name → clinic, in the order in which one would do them.
CLINICS = {
    f"clinic-{number}": Clinic(f"clinic-{number}", *about)
    for number, about in enumerate(
        (
            (
                first,
                ("3.8", "2.7"),
                _("a deep network answers the same for every digit"),
                _("The loss stays near ln 10 = 2.303 from the first step to the last."),
                "gradients",
                "vanishing-gradient",
                _(
                    "δ⁽ˡ⁾ = (Wᵀδ⁽ˡ⁺¹⁾) ⊙ σ′(z⁽ˡ⁾), and σ′ ≤ ¼: over twenty layers what "
                    "reaches the first weights is nothing that float32 could add to "
                    "them. ReLU has slope 1 wherever it is on, and weights of variance "
                    "2/n keep the size of what passes through."
                ),
            ),
            (
                second,
                ("2.6.2", "3.11"),
                _("the loss jumps, and ends worse than guessing"),
                _("After a few steps the loss is many times what it was at first."),
                "loss",
                "learning-rate-too-large",
                _(
                    "A step η∂ℒ/∂θ is longer than the valley is wide: it lands on the "
                    "other side, higher up, where the gradient is larger still. A "
                    "hundredth of the rate trains the same network."
                ),
            ),
            (
                third,
                ("3.9", "3.4.2"),
                _("a wide network learns as if it had one unit"),
                _("The loss falls by a hair, to what the classes' shares alone give."),
                "weights",
                "constant-weights",
                _(
                    "From zero weights every a⁽¹⁾ is 0 and every Wᵀδ is 0: no gradient "
                    "reaches any weight, and only the last bias learns how often each "
                    "digit occurs. Equal weights that are not 0 would stay equal. What "
                    "breaks the symmetry is that initial weights are drawn."
                ),
            ),
            (
                fourth,
                ("2.6.2", "2.7"),
                _("a network that others train well fails on these data"),
                _("The program is a colleague's; only the data are read differently."),
                "data",
                "unscaled-inputs",
                _(
                    "∂ℒ/∂W⁽¹⁾ = δ⁽¹⁾xᵀ grows with x, so a rate that suits pixels from "
                    "0 to 1 is far too large for pixels from 0 to 255: units die in "
                    "the first steps. Features are scaled by numbers of the training "
                    "rows, and the same numbers serve for all later rows."
                ),
            ),
            (
                fifth,
                ("3.2.3", "3.3"),
                _("the network learns, but far too slowly"),
                _("The loss falls from step to step, and cannot get anywhere near 0."),
                "outputs",
                "output-activation-twice",
                _(
                    "The loss takes the softmax of what is a softmax already: of "
                    "probabilities between 0 and 1 it makes nearly even ones again, "
                    "and no loss below ln(e + 9) − 1 = 1.46 can be reached. With "
                    "scores δ = ŷ − y; here it is multiplied by one more Jacobian of "
                    "softmax."
                ),
            ),
        ),
        1,
    )
}
