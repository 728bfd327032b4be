"""Nothing is touched outside of arrays: they lie between pages that cannot be read.

Arguments and results end where such a page begins, or begin where one ends. A process
that reads or writes beyond them ends at once, so each runs in a process of its own.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native.runtime import executable

PAGE = mmap.PAGESIZE
SIZES = (1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129, 255, 256, 257)
DTYPES = ("float32", "float64", "int32", "uint8", "bool")


def between_pages(shape: Any, dtype: Any, *, at_end: bool, missing: int = 0) -> Any:
    """Memory at a page that cannot be touched; ``missing``: elements that reach in."""
    bytes_ = int(np.prod(shape)) * np.dtype(dtype).itemsize
    inside = -(-bytes_ // PAGE) * PAGE or PAGE
    memory = mmap.mmap(-1, inside + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for page in (start, start + PAGE + inside):
        assert protect(page, PAGE, 0) == 0
    first = PAGE + (inside - bytes_) * at_end + missing * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, memory, first)


def results(x: cr.Tensor, y: cr.Tensor, rows: cr.Tensor) -> list[cr.Tensor]:
    """Maps, views and rows of a matrix; of numbers their sums too."""
    made = [x == y.T, x[:, ::2] == x[:, ::2], x[rows], x.T, x.flip(1), x[1:] == x[:-1]]
    if x.dtype.kind != "bool":
        made += [x.sum(1), x.amax(0), x.amin(1), x.prod(0), x.sum(), x * 2, x.argmax(1)]
        made += [(x + y.T).sum(0), x.T.sum(1), x[:, ::2].sum(1), x.cumsum(0)]
    if x.dtype.kind == "float":
        made += [x @ y, x @ x[0], (x * x).sum(1), x.softmax(1), y @ x[:, 0]]
    return made


def run_all(dtype: str, *, at_end: bool, missing: int = 0) -> None:
    """Run the functions of this file with all arrays between pages."""
    where = {"at_end": at_end, "missing": missing}

    def run(self: Any, inputs: Any, steps: int) -> list[Any]:
        del steps
        compiled = self._compiled
        given: list[Any] = []
        for at, word in self._words:
            compiled.words[at] = word
        for at, name, dtype, _ in self._pointed:
            item = np.asarray(getattr(inputs[name], "data", inputs[name]))
            given.append(between_pages(item.shape, dtype, at_end=at_end))
            given[-1][...] = item
            compiled.words[at] = given[-1].ctypes.data
        outputs: list[Any] = []
        for _, at, shape, dtype in self._allocated:
            outputs.append(between_pages(shape, dtype, **where))
            compiled.words[at] = outputs[-1].ctypes.data
        compiled.start(1, self._choice, [])
        return outputs

    executable.COPIED = -1
    executable._Call.run = run  # type: ignore[method-assign]
    random = np.random.default_rng(0)
    for m, n in zip(SIZES, random.permutation(SIZES)):
        x, y = (random.integers(0, 2, s).astype(dtype) for s in ((m, n), (n, m)))
        rows = random.integers(0, m, 5)
        threads = 1 + (m + n + DTYPES.index(dtype)) % 3
        fixed = cr.compile(results, engine="native", threads=threads)
        fixed(*map(cr.tensor, (x, y, rows)))


@pytest.mark.skipif(sys.platform == "win32", reason="pages are protected otherwise")
@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", ["end", "start"])
def test_nothing_is_touched_outside_of_arrays(place: str, dtype: str) -> None:
    assert in_a_process(place, dtype) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pages are protected otherwise")
def test_what_is_touched_outside_is_seen() -> None:
    assert in_a_process("short", "float32") < 0


def in_a_process(place: str, dtype: str) -> int:
    command = [sys.executable, "-m", "tests.engines.native.test_bounds", place, dtype]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    place, dtype = sys.argv[1:]
    run_all(dtype, at_end=place != "start", missing=int(place == "short"))
