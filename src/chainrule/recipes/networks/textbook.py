"""Networks of the recipes that follow the textbook: two-two-one, algorithm1, xor."""

from __future__ import annotations

from typing import Any

from chainrule import nn, optim
from chainrule.recipes import algorithm1, two_two_one, xor
from chainrule.recipes import textbook as book
from chainrule.recipes.networks.declared import network
from chainrule.recipes.networks.inspection import Inspection, Subject


@network("two-two-one", "network")
def two_two_one_network(inspection: Inspection) -> Subject:
    """The textbook's 2-2-1 network with its one sample."""
    lr = inspection.options.get("lr", two_two_one.LR)
    model, loss = two_two_one.network(), nn.HalfSquaredErrorLoss()
    return Subject(model, two_two_one.X, two_two_one.Y, loss, optim.SGD(lr=lr))


@network("algorithm1", "3.2.2", kept=False)
def small_network(inspection: Inspection) -> Subject:
    """The network of 3.2.2 on the rows of XOR, before its first step."""
    return _of_the_page(inspection, *algorithm1.small_task())


@network("algorithm1", "3.2.3", kept=False)
def digit_network(inspection: Inspection) -> Subject:
    """The network of 3.2.3 on digits of MNIST, before its first step."""
    train, __ = algorithm1.digits(inspection.options.get("limit", 1000))
    return _of_the_page(inspection, *algorithm1.large_task(train))


def _of_the_page(
    inspection: Inspection, page: dict[str, Any], model: nn.Module, loss: nn.Module
) -> Subject:
    start = book.initialise(page["sizes"], inspection.seed)
    model.load_state_dict(book.state_dict(*start))
    samples = page["samples"]
    return Subject(model, samples.x, samples.y, loss, optim.SGD(lr=page["η"]))


@network("xor", "network")
def xor_network(inspection: Inspection) -> Subject:
    """The network with one hidden layer that tells when one of two inputs is on."""
    model, labels = xor.two_layers(inspection), xor.LABELS["XOR"]
    loss = nn.functional.cross_entropy
    return Subject(model, xor.X, labels, loss, inspection.optimizer())
