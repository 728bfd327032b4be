"""A check that NumPy's BLAS library multiplies matrices correctly.

Everything rests on its products, and kernels of it have been wrong on processors that
they were not tested on. Products of small integers are exact in floating point in any
order, and NumPy multiplies integers by loops of its own: those it is held against.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from chainrule.errors import EngineError
from chainrule.graph.node import Array
from chainrule.text import _, ngettext

#: Sizes (m, k, n) of the products: vectors, less than a register, tiles and remainders.
SHAPES = (
    (1, 1, 1),
    (1, 33, 1),
    (1, 20, 7),
    (9, 20, 1),
    (2, 3, 4),
    (5, 7, 3),
    (8, 8, 8),
    (16, 9, 17),
    (13, 31, 6),
    (33, 12, 40),
)


@functools.cache
@np.errstate(all="ignore")
def check_blas() -> None:
    """Check that NumPy multiplies matrices correctly; raise an error if not.

    Raises:
        EngineError: it does; with the name of its library.
    """
    wrong = total = 0
    for m, k, n in SHAPES:
        a = np.arange(m * k).reshape(m, k) % 7 - 3
        b = np.arange(k * n).reshape(k, n) % 5 - 2
        exact: Array = np.matmul(a, b)
        for dtype in (np.float32, np.float64):
            x, y = a.astype(dtype), b.astype(dtype)
            lefts, rights = (x, np.asfortranarray(x)), (y, np.asfortranarray(y))
            for left, right in itertools.product(lefts, rights):
                wrong += bool((np.matmul(left, right) != exact).any())
                total += 1
    if wrong:
        raise EngineError(
            _(
                "NumPy multiplies matrices wrongly here: products of small "
                "integers, which are exact in floating point, are not right."
            ),
            expected=ngettext("{n} right product", "{n} right products", n=total),
            got=ngettext(
                "{n} wrong one, by {library}",
                "{n} wrong ones, by {library}",
                n=wrong,
                library=library(),
            ),
            fix=_(
                "another build of NumPy; with OpenBLAS another kernel, such as "
                "OPENBLAS_CORETYPE=NEOVERSEN1 (ARM64) or HASWELL (x86-64) in the "
                "environment before Python starts"
            ),
        )


def library() -> str:
    """Return the name, version and kernels of the BLAS library that NumPy uses."""
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    names = [blas.get("name", "its BLAS"), blas.get("version", "")]
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return " ".join(names)
    return " ".join([*names, *(i.get("architecture", "") for i in threadpool_info())])
