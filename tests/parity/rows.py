"""How rows of tensors are said, and the numbers that they are about.

A row is f(library, tensors…), called with PyTorch and with Chainrule, or one function
for each where they spell it differently.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

import chainrule as cr
from tests.parity.table import Row
from tests.recording import Offer

RNG = np.random.default_rng(0)
M = RNG.normal(size=(3, 4))
N = RNG.normal(size=(4, 2))
V = RNG.normal(size=4)
S = RNG.normal(size=(2, 3, 4))
P = np.abs(M) + 0.5
U = RNG.uniform(-0.9, 0.9, (3, 4))
K = np.array([[1, 5, -3], [0, 2, 7]])
K2 = np.array([[2, -2, 4], [3, 1, -1]])
I = np.array([[0, 2, 1], [1, 1, 3]])  # noqa: E741
ONCE = np.array([[0, 2, 1], [1, 0, 3]])
MASK = M > 0
TIES = np.array([[1.0, 3.0, 3.0, -2.0], [0.0, 0.0, 0.0, 0.0], [2.0, -1.0, -1.0, -1.0]])
ZEROS = np.array([[1.5, 0.0, 2.0, -1.0], [0.0, 0.0, 3.0, 2.0], [1.0, 2.0, -3.0, 0.5]])
ODD = np.array([1.0, np.nan, np.inf, -np.inf, -2.0])

#: How the rows name the package; what is called through it can be written down.
HERE: Any = Offer(cr)
ROWS: list[Row] = []


def row(name: str, function: Callable[..., Any], *inputs: Any, **more: Any) -> None:
    """The same words in both libraries."""
    ours, theirs = partial(function, HERE), partial(function, torch)
    ROWS.append(Row(name, ours, theirs, inputs, **more))


def pair(name: str, ours: Any, theirs: Any, *inputs: Any, **more: Any) -> None:
    """Words of each one's own."""
    ROWS.append(Row(name, partial(ours, HERE), partial(theirs, torch), inputs, **more))
