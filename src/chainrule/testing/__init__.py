"""Assertions for tests of programs, by PyTorch's names.

>>> import chainrule as cr
>>> cr.testing.assert_close(cr.ones(2) / 3 * 3, cr.ones(2))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph.types import DType
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.keywords import strict

__all__ = ["assert_close"]

#: PyTorch's relative and absolute tolerances; integers and truth values are equal.
_TOLERANCES = {DType.float32: (1.3e-6, 1e-5), DType.float64: (1e-7, 1e-7)}


@strict
def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    check_device: bool = True,
    msg: str | None = None,
) -> None:
    """Assert |actual − expected| ≤ atol + rtol |expected|, element by element.

    Args:
        actual, expected: tensors, arrays or numbers, or nests of them.
        rtol, atol: the tolerances, both or none. By default 1.3e-6 and 1e-5 for
            float32, 1e-7 each for float64, and 0 for others; where the dtypes differ,
            the larger.
        equal_nan: whether NaN equals NaN.
        check_dtype: whether the dtypes must be the same.
        check_device: of no effect, all tensors are on the CPU.
        msg: a text in front of the differences.

    Raises:
        AssertionError: other numbers, shapes, dtypes or nests.
        ArgumentError: one tolerance without the other.

    >>> import chainrule as cr
    >>> cr.testing.assert_close([cr.ones(2), 0.5], [cr.ones(2) + 1e-7, 0.5])
    >>> cr.testing.assert_close(cr.ones(2), cr.ones(2, dtype="float64"))
    Traceback (most recent call last):
    ...
    AssertionError: dtypes: float32 and float64
    """
    if (rtol is None) != (atol is None):
        raise ArgumentError(
            _("assert_close takes both tolerances, or none."),
            expected="rtol=…, atol=…",
            got=f"rtol={rtol}, atol={atol}",
        )
    for x, y in _pairs(actual, expected, msg):
        if check_dtype and x.dtype is not y.dtype:
            raise AssertionError(
                f"{msg or 'dtypes'}: {x.dtype.name} and {y.dtype.name}"
            )
        if x.shape != y.shape:
            raise AssertionError(f"{msg or 'shapes'}: {x.shape} and {y.shape}")
        usual = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in (x.dtype, y.dtype)]
        bounds = [max(pair) for pair in zip(*usual)]
        np.testing.assert_allclose(
            x.detach().numpy(),
            y.detach().numpy(),
            rtol=bounds[0] if rtol is None else rtol,
            atol=bounds[1] if atol is None else atol,
            equal_nan=equal_nan,
            err_msg=msg or "",
        )


def _pairs(a: Any, b: Any, msg: str | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the tensors of two nests that stand at the same place."""
    for kinds in (Mapping, list | tuple):
        if isinstance(a, kinds) and isinstance(b, kinds):
            keys, others = (
                [*x] if kinds is Mapping else [*range(len(x))] for x in (a, b)
            )
            if {*keys} != {*others}:
                raise AssertionError(f"{msg or 'nests'}: {keys} and {others}")
            for key in keys:
                yield from _pairs(a[key], b[key], msg)
            return
    # Python's numbers have float64, whatever the default dtype.
    plain = bool | int | float
    x, y = (as_tensor(np.asarray(v) if isinstance(v, plain) else v) for v in (a, b))
    yield x, y


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
