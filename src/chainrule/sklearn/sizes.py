"""Batch size, epochs and engine that suit the size of a data set.

The numbers were chosen on tables that ``benchmarks/sklearn_tables.py`` does not
measure: see ``--choose`` there.
"""

from __future__ import annotations

from chainrule.engines import native_problem

#: Batches have at least and at most so many rows; between them about ``BATCHES`` make
#: an epoch.
LEAST, MOST, BATCHES = 32, 256, 12
#: Updates that a run makes, as far as so many epochs go, and epochs at least.
UPDATES, EPOCHS, PASSES = 600, 60, 10
#: Updates of a small network from which on machine code is worth its compilation, and
#: the parameters that make an update cost as much again.
COMPILED, PARAMETERS = 2000, 20_000


def batch_rows(rows: int) -> int:
    """Return how many rows a batch has: a power of two.

    >>> [batch_rows(n) for n in (10, 500, 2000, 100_000)]
    [10, 32, 128, 256]
    """
    size = LEAST
    while size < MOST and size * BATCHES < rows:
        size *= 2
    return min(size, rows)


def epochs(rows: int, batch: int) -> int:
    """Return for how many epochs to train.

    >>> [epochs(n, batch_rows(n)) for n in (10, 500, 2000, 100_000)]
    [60, 38, 38, 10]
    """
    each = -(-rows // batch)
    return max(PASSES, min(EPOCHS, -(-UPDATES // each)))


def engine(updates: int, parameters: int) -> str:
    """Return the engine that ends a run sooner where nothing is compiled yet.

    It depends on the data and the settings alone, so that a fit can be repeated.

    >>> engine(100, 1000)
    'numpy'
    """
    if native_problem() is not None:
        return "numpy"
    work = updates * (1 + parameters / PARAMETERS)
    return "native" if work > COMPILED else "numpy"
