"""Batch size and engine that suit the size of a data set.

The numbers were chosen on tables that ``benchmarks/sklearn_tables.py`` does not
measure: see ``--choose`` there.
"""

from __future__ import annotations

from chainrule.engines import EngineName, native_problem

#: The rows of a batch, at least and at most; between them about ``BATCHES`` make an
#: epoch.
LEAST, MOST, BATCHES = 32, 128, 24
#: Updates of a small network from which on machine code is worth its compilation, and
#: the parameters that make an update cost as much again.
COMPILED, PARAMETERS = 3000, 10_000


def batch_rows(rows: int) -> int:
    """Return how many rows a batch has, so that hardly any is left at the end.

    >>> [(n, batch_rows(n), n % batch_rows(n)) for n in (10, 120, 3001, 100_000)]
    [(10, 10, 0), (120, 30, 0), (3001, 125, 1), (100000, 128, 32)]
    """
    wanted = min(max(LEAST, rows // BATCHES), MOST)
    return rows // max(1, round(rows / wanted))


def engine(updates: int, parameters: int) -> EngineName:
    """Return the engine that ends a run sooner where nothing is compiled yet.

    It depends on the data and the settings alone, so that a fit can be repeated.

    >>> engine(100, 1000)
    'numpy'
    """
    if native_problem() is not None:
        return "numpy"
    work = updates * (1 + parameters / PARAMETERS)
    return "native" if work > COMPILED else "numpy"
