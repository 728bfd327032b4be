"""The gates and states of an LSTM, step by step in NumPy, and correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.text import _


@dataclass(frozen=True)
class Steps:
    """The gates and states of an LSTM over one sequence, (T, units) each.

    Attributes:
        i, f, o: input, forget and output gates, 0 to 1.
        c, h: memory and output.
    """

    i: np.ndarray
    f: np.ndarray
    o: np.ndarray
    c: np.ndarray
    h: np.ndarray


def steps(weights: Mapping[str, np.ndarray], x: np.ndarray) -> Steps:
    """Compute an LSTM's gates and states over a sequence, in NumPy.

    Formula:
        i, f, o = σ(W x + U h + b),  g = tanh(W x + U h + b);
        c ← f ⊙ c + i ⊙ g,  h ← o ⊙ tanh c

    Args:
        weights: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` and ``bias_hh_l0``
            of :class:`chainrule.nn.LSTM`.
        x: one sequence, (T, inputs).
    """
    w, u, b, bias = (
        np.asarray(weights[f"{name}_l0"], float)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = c = np.zeros(u.shape[1])
    rows: list[list[np.ndarray]] = []
    for step in x:
        i, f, g, o = np.split(w @ step + b + u @ h + bias, 4)
        i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        rows.append([i, f, o, c, h])
    return Steps(*map(np.array, zip(*rows)))


def correlations(states: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return each LSTM unit's Pearson correlation with a quantity; 0 if constant.

    Args:
        states: (samples, units).
        y: (samples,).

    >>> correlations(np.array([[1.0, 5, 2], [2, 5, 1], [3, 5, 0]]), np.arange(3.0))
    array([ 1.,  0., -1.])
    """
    states, y = states - states.mean(0), y - y.mean()
    return y @ states / (np.linalg.norm(states, axis=0) * np.linalg.norm(y) + 1e-12)


def mean_gates(
    runs: Sequence[Steps], unit: int, marked: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Return the means of an LSTM unit's gates at marked steps, and at the others.

    Args:
        runs: of each sequence its gates.
        unit: the number of the unit.
        marked: booleans, (sequences, T).
    """
    means = {}
    for name, gate in (
        (_("input"), "i"),
        (_("forget"), "f"),
        (_("output"), "o"),
    ):
        values = np.array([getattr(run, gate)[:, unit] for run in runs])
        means[name] = float(values[marked].mean()), float(values[~marked].mean())
    return means
