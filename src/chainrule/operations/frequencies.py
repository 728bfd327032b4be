"""Tensor functions of ``cr.fft``: frequencies, and their order."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.operations.arguments import Dims, axes_of, whole
from chainrule.operations.creation import arange
from chainrule.operations.movement import roll
from chainrule.operations.op import op
from chainrule.operations.shapes import concatenated
from chainrule.primitives.elementwise import mul
from chainrule.primitives.movement import full_like
from chainrule.text import _
from chainrule.util import validation


def _scaled(places: Value, n: int, d: Any) -> Value:
    step = 1.0 / (n * validation.number("d", d))
    return mul(places, full_like(places, step))


@op(creates=True, module="fft")
def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None) -> Value:
    """Return the frequencies 0, 1, …, −2, −1 over n·d of a discrete transform.

    Args:
        n: the number of samples, at least 1.
        d: the time from one to the next.
        dtype: of the result; the default dtype where it is None.

    >>> import chainrule as cr
    >>> cr.fft.fftfreq(4)
    tensor([ 0.  ,  0.25, -0.5 , -0.25])
    """
    n = whole("n", n, least=1)
    middle = (n + 1) // 2
    parts = [
        arange(0.0, float(middle), dtype=dtype),
        arange(float(middle - n), 0.0, dtype=dtype),
    ]
    return _scaled(concatenated(parts), n, d)


@op(creates=True, module="fft")
def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None) -> Value:
    """Return the frequencies 0, 1, …, ⌊n/2⌋ over n·d of a transform of real numbers.

    >>> import chainrule as cr
    >>> cr.fft.rfftfreq(4)
    tensor([0.  , 0.25, 0.5 ])
    """
    n = whole("n", n, least=1)
    return _scaled(arange(0.0, float(n // 2 + 1), dtype=dtype), n, d)


@op(module="fft")
def fftshift(x: Value, dim: Dims = None) -> Value:
    """Return frequencies in rising order: the second half of each axis comes first.

    Args:
        x: with the frequency 0 at the beginning.
        dim: an axis or several; all of them where it is None. Axes of a tensor of
            pairs are counted like any other tensor's here, and named: the last one is
            that of the pairs.

    >>> import chainrule as cr
    >>> cr.fft.fftshift(cr.tensor([0, 1, 2, -2, -1]))
    tensor([-2, -1,  0,  1,  2])
    """
    return _moved(x, dim, 1)


@op(module="fft")
def ifftshift(x: Value, dim: Dims = None) -> Value:
    """Return frequencies in the order of a transform; undoes ``fftshift``."""
    return _moved(x, dim, -1)


def _moved(x: Value, dim: Dims, sign: int) -> Value:
    axes = axes_of(x.shape, dim)
    last = len(x.shape) - 1
    if last and last in axes and x.shape[last] == 2:
        raise ArgumentError(
            _("Real and imaginary parts would change places."),
            expected=_("axes of frequencies, without the last one, of length 2"),
            got=f"dim={dim}",
            fix=_("dim=… without it; x.roll(1, -1) if these are no pairs"),
        )
    shifts = [sign * (int(x.shape[a]) // 2) for a in axes]
    return roll(x, shifts, axes)
