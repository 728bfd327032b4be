"""XLA's products: ``dot_general`` and ``conv``, with full precision.

Convolutions have channels last inside: in a loop on CPUs XLA is slow with others. An
input that is dilated is written out with zeros between its elements.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.engines.xla.backend import Array, jax, lax
from chainrule.engines.xla.elementwise import Lowering
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import DType
from chainrule.primitives.conv import conv
from chainrule.primitives.matmul import Dims, dot_general, parse_dims

Ints = tuple[int, ...]


def _widened(
    lhs: Array, rhs: Array, accumulate: DType
) -> tuple[Array, Array, np.dtype[Any]]:
    """Return the operands in the type to add up in, and that of the result."""
    dtype = lhs.dtype
    if dtype == np.bool_:
        return lhs.astype(np.int32), rhs.astype(np.int32), dtype
    if accumulate.itemsize > dtype.itemsize:
        lhs, rhs = lhs.astype(accumulate.numpy), rhs.astype(accumulate.numpy)
    return lhs, rhs, dtype


def _dot(lhs: Array, rhs: Array, *, dims: str, accumulate: DType) -> Array:
    lhs, rhs, dtype = _widened(lhs, rhs, accumulate)
    d = parse_dims(dims)
    contracted, batch = (
        tuple(tuple(map(letters.index, part)) for letters in (d.lhs, d.rhs))
        for part in (d.contracted, d.batch)
    )
    product = lax.dot_general(
        lhs,
        rhs,
        (contracted, batch),
        precision=lax.Precision.HIGHEST,
        preferred_element_type=lhs.dtype,
    )
    made = d.batch + d.left + d.right
    return lax.transpose(product, tuple(map(made.index, d.out))).astype(dtype)


class _Parts:
    """The letters of a convolution's axes by what becomes of them."""

    def __init__(self, d: Dims) -> None:
        plain = [[c for c in part if not c.isdigit()] for part in (d.lhs, d.rhs)]
        lhs, rhs = plain
        self.window = "".join(d.window)
        self.shared = "".join(c for c in lhs if c in rhs and c in d.out)
        self.summed = "".join(c for c in lhs if c in rhs and c not in d.out)
        self.left = "".join(c for c in lhs if c not in rhs)
        self.right = "".join(c for c in rhs if c not in lhs)


def _conv(
    lhs: Array,
    rhs: Array,
    *,
    dims: str,
    strides: Ints,
    padding: tuple[tuple[int, int], ...],
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    accumulate: DType,
) -> Array:
    lhs, rhs, dtype = _widened(lhs, rhs, accumulate)
    d = parse_dims(dims)
    p = _Parts(d)
    sizes = dict(zip(d.lhs, lhs.shape, strict=True))
    kernel = dict(zip(d.rhs, rhs.shape, strict=True))

    def count(letters: str, of: dict[str, int]) -> int:
        return math.prod(of[c] for c in letters)

    groups, channels = count(p.shared, sizes), count(p.summed, sizes)
    order = p.left + p.window + p.shared + p.summed
    x = lax.transpose(lhs, tuple(map(d.lhs.index, order)))
    spatial = tuple(sizes[c] for c in p.window)
    x = lax.reshape(x, (count(p.left, sizes), *spatial, groups * channels))
    order = p.window + p.summed + p.shared + p.right
    w = lax.transpose(rhs, tuple(map(d.rhs.index, order)))
    taps = tuple(kernel[c] for c in p.window)
    w = lax.reshape(w, (*taps, channels, groups * count(p.right, kernel)))
    spread = any(step > 1 for step in lhs_dilation) or any(
        n < 0 for pair in padding for n in pair
    )
    if spread:
        inside = [(lo, hi, s - 1) for (lo, hi), s in zip(padding, lhs_dilation)]
        none = (0, 0, 0)
        x = lax.pad(x, x.dtype.type(0), (none, *inside, none))
        padding = ((0, 0),) * len(padding)
    if not x.size or not w.size:
        places = [
            (n + lo + hi - (k - 1) * r - 1) // s + 1
            for n, k, s, (lo, hi), r in zip(
                x.shape[1:-1], taps, strides, padding, rhs_dilation
            )
        ]
        y = jax.numpy.zeros((x.shape[0], *places, w.shape[-1]), x.dtype)
    else:
        digits = "".join(map(str, range(len(taps))))
        y = lax.conv_general_dilated(
            x,
            w,
            strides,
            padding,
            rhs_dilation=rhs_dilation,
            dimension_numbers=(f"N{digits}C", f"{digits}IO", f"N{digits}C"),
            feature_group_count=groups,
            precision=lax.Precision.HIGHEST,
            preferred_element_type=x.dtype,
        )
    made = p.left + p.window + p.shared + p.right
    sizes |= kernel | dict(zip(p.window, y.shape[1:-1], strict=True))
    y = lax.reshape(y, tuple(sizes[c] for c in made))
    return lax.transpose(y, tuple(map(made.index, d.out))).astype(dtype)


PRODUCTS: dict[Primitive, Lowering] = {dot_general: _dot, conv: _conv}
