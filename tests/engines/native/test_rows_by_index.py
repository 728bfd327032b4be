"""Rows by index: what one index and many of them write, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr

ONE_ROW = """
import numpy as np, chainrule as cr
x = np.random.default_rng(0).random((7, 5000))
for threads in (1, 2, 3):
    run = cr.compile(lambda x, i: (x[i], x[i] + 1), engine="native", threads=threads)
    for i in range(-7, 7):
        one, two = run(cr.tensor(x), cr.tensor(i))
        np.testing.assert_array_equal(one.numpy(), x[i])
        np.testing.assert_array_equal(two.numpy(), x[i] + 1)
print("right")
"""


def test_a_single_index_writes_one_row() -> None:
    # What writes further ends the process.
    made = subprocess.run([sys.executable, "-c", ONE_ROW], capture_output=True)
    assert made.stdout.split() == [b"right"], made.stderr.decode()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_rows_of_each_width(threads: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for width in (1, 3, 15, 16, 17, 64, 100, 1000):
        x = rng.integers(0, 2, (37, width)).astype(dtype)
        indices = rng.integers(0, 37, (5, 9))
        run = cr.compile(lambda x, i: x[i], engine="native", threads=threads)
        got = run(cr.tensor(x), cr.tensor(indices)).numpy()
        np.testing.assert_array_equal(got, x[indices])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_a_row_of_each_sample(threads: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for width in (1, 3, 15, 16, 17, 64, 100, 1000):
        x = rng.integers(0, 2, (23, 9, width)).astype(dtype)
        indices = rng.integers(-9, 9, 23)
        run = cr.vmap(lambda x, i: x[i])
        got = cr.compile(run, engine="native", threads=threads)(
            cr.tensor(x), cr.tensor(indices)
        )
        np.testing.assert_array_equal(got.numpy(), x[np.arange(23), indices])


def test_a_row_outside_is_refused() -> None:
    run = cr.compile(cr.vmap(lambda x, i: x[i]), engine="native")
    with pytest.raises((cr.ChainruleError, IndexError)):
        run(cr.zeros(4, 5, 64), cr.tensor([0, 1, 5, 2]))
