"""Leave-one-out predictions of a small table by decision trees and networks.

Every known cell of a table of binary properties is predicted from the rest of its row,
by a learner that was fitted to the other rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment
from chainrule.text import padded, say, tr
from chainrule.text.numbers import width

#: Of the networks; twenty rows leave none to choose them with, so none was chosen.
HIDDEN, STEPS, LR, WEIGHT_DECAY = 8, 200, 0.02, 0.3


def examples(
    table: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a table's known cells, and the other columns that predict each of them.

    Args:
        table: (rows, properties): 1, 0, or −1 where it is unknown.
        features: (rows, features), inputs beside the other properties.

    Returns:
        Cells (n, 2) as row and column. Inputs (n, rows, properties − 1 + features),
        with properties as 1, −1, or 0 where unknown. Targets (n, rows), −1 where
        unknown.

    >>> cells, x, y = examples(np.array([[1, 0], [-1, 1]]), np.array([[True], [False]]))
    >>> cells.tolist(), x[0].tolist(), y[0].tolist()
    ([[0, 0], [0, 1], [1, 1]], [[-1.0, 1.0], [1.0, 0.0]], [1, -1])
    """
    cells = np.argwhere(table >= 0)
    signs = np.where(table < 0, 0, 2 * table - 1)
    columns = [np.column_stack([np.delete(signs, j, 1), features]) for __, j in cells]
    return cells, np.array(columns, np.float32), table[:, cells[:, 1]].T


def by_trees(cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[int]:
    """Predict each table cell with a decision tree fitted to the other rows."""
    from sklearn.tree import DecisionTreeClassifier

    predictions = []
    for (i, __), inputs, targets in zip(cells, x, y):
        rows = (targets >= 0) & (np.arange(len(targets)) != i)
        tree = DecisionTreeClassifier(random_state=0)
        tree.fit(inputs[rows], targets[rows])
        predictions.append(int(tree.predict(inputs[[i]])[0]))
    return predictions


class ParallelNetworks(nn.Module):
    """Many small networks V tanh(W x + b) + c, evaluated together in one product."""

    def __init__(self, networks: int, inputs: int) -> None:
        self.first = nn.Parameter(_weights(networks, inputs, HIDDEN))
        self.last = nn.Parameter(_weights(networks, HIDDEN, 2))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of many networks, (networks, rows, 2), for their inputs."""
        hidden = (x @ self.first[:, :-1] + self.first[:, -1:]).tanh()
        return hidden @ self.last[:, :-1] + self.last[:, -1:]


def _weights(networks: int, inputs: int, outputs: int) -> cr.Tensor:
    """Draw many networks' weights and biases from U(−1/√inputs, 1/√inputs)."""
    bound = inputs**-0.5
    return cr.uniform(networks, inputs + 1, outputs, low=-bound, high=bound)


def by_networks(
    experiment: Experiment, cells: np.ndarray, x: np.ndarray, y: np.ndarray
) -> list[int]:
    """Predict each table cell with a network of its own, trained on the other rows.

    Args:
        experiment: its seed draws the weights; its engine runs the step.
        cells, x, y: of :func:`examples`.
    """
    cr.manual_seed(experiment.seed)
    model = ParallelNetworks(len(x), x.shape[2])
    adam = optim.AdamW(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    inputs, labels = cr.tensor(x), np.maximum(y, 0).reshape(-1)
    used = (y >= 0) & (np.arange(y.shape[1]) != cells[:, :1])
    mask = cr.tensor(used.reshape(-1)).float()

    @experiment.compile
    def train() -> None:
        model.zero_grad()
        scores = model(inputs).reshape(-1, 2)
        losses = nn.functional.cross_entropy(scores, labels, reduction="none")
        (losses * mask).sum().backward()
        adam.step()

    for __ in range(STEPS):
        train()
    predictions = model(inputs).numpy().argmax(2)
    return predictions[np.arange(len(cells)), cells[:, 0]].tolist()


def scored(
    predictions: Mapping[str, Sequence[int]],
    table: np.ndarray,
    cells: np.ndarray,
    names: Sequence[str],
) -> dict[str, float]:
    """Print each table column's correct predictions; return the accuracies.

    Args:
        predictions: of each cell, by the name of the learner; −1 is none.
        table, cells: of :func:`examples`.
        names: the properties.

    >>> table = np.array([[1, 0], [-1, 1]])
    >>> cells = np.argwhere(table >= 0)
    >>> scored({"tree": [1, 1, 1], "rules": [0, -1, 1]}, table, cells, ["fly", "hair"])
       property      known      tree     rules
       fly               1         1         0
       hair              2         1         1
       all               3         2         1
    {'tree': 0.6666666666666666, 'rules': 0.3333333333333333}
    """
    labels = table[tuple(cells.T)]
    correct = {k: np.equal(p, labels) for k, p in predictions.items()}
    headings = "   ".join(" " * (7 - width(tr(k))) + tr(k) for k in correct)
    say("   property      known   {names}", names=headings)
    for j, name in enumerate((*names, tr("all"))):
        rows = (cells[:, 1] == j) | (j == len(names))
        sums = "   ".join(f"{c[rows].sum():7}" for c in correct.values())
        print(f"   {padded(name, 12)}  {rows.sum():5}   {sums}")
    return {learner: float(c.mean()) for learner, c in correct.items()}
