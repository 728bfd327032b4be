"""How rows of tensors are said, and the numbers that they are about.

Most are words that both libraries have, written as one writes them: ``t`` is the
library, and the names of the arrays below are tensors of them. Where that does not do,
a row is f(library, tensors…), or one function for each.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

import chainrule as cr
from tests.parity.table import Row, several
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

ARRAYS: dict[str, Any] = {
    name: array for name, array in globals().items() if isinstance(array, np.ndarray)
}
#: How the rows name the package; what is called through it can be written down.
HERE: Any = Offer(cr)
ROWS: list[Row] = []


def words(text: str, **more: Any) -> None:
    """Expressions, parted by semicolons; those of the same tensors are one row."""
    parts = [part.strip() for part in text.replace("\n", " ").split(";")]
    for names, group in itertools.groupby(parts, names_in):
        together = list(group)

        def function(t: Any, *tensors: Any, parts: Any = together, names: Any = names):
            known = {"t": t, **dict(zip(names, tensors))}
            made = [several(eval(part, known)) for part in parts]
            return [result for results in made for result in results]

        row(
            "; ".join(together)[:70],
            function,
            *(ARRAYS[name] for name in names),
            **more,
        )


def names_in(part: str) -> list[str]:
    """The arrays that an expression is about."""
    used = {node.id for node in ast.walk(ast.parse(part)) if isinstance(node, ast.Name)}
    return [name for name in ARRAYS if name in used]


def row(name: str, function: Callable[..., Any], *inputs: Any, **more: Any) -> None:
    """The same words in both libraries."""
    ours, theirs = partial(function, HERE), partial(function, torch)
    ROWS.append(Row(name, ours, theirs, inputs, **more))


def pair(name: str, ours: Any, theirs: Any, *inputs: Any, **more: Any) -> None:
    """Words of each one's own."""
    ROWS.append(Row(name, partial(ours, HERE), partial(theirs, torch), inputs, **more))
