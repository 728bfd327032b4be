"""Convolution along any number of spatial axes; its derivatives are convolutions too.

``conv`` is a product (see ``matmul``) with windows. The letters of ``dims`` say which
axes are contracted, free or shared, as in ``dot_general``; the digits 0, 1, … name
spatial axes: ``"nc01,oc01->no01"`` is a 2-d convolution with channels first,
``"n01c,01co->n01o"`` one with channels last, ``"ngc01,goc01->ngo01"`` a grouped one.

Along each spatial axis, with stride s, kernel dilation r, input dilation d and padding
(lo, hi), the input is dilated by d, padded, and

    out[p] = Σₖ padded[p·s + k·r] · kernel[k]

(cross-correlation, which the field calls convolution). Both derivatives are again of
this form: the roles of s, r and d change places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.batching import product
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, of_any
from chainrule.graph.types import ArrayType, DType
from chainrule.notation.places import convolved
from chainrule.primitives.blas import check_blas
from chainrule.primitives.matmul import Dims, letter_sizes, parse_dims
from chainrule.primitives.movement import flip
from chainrule.primitives.sliding import Ints, Pads, Sliding, dilated


class _Conv(NamedTuple):
    dims: str
    strides: Ints
    padding: Pads
    lhs_dilation: Ints
    rhs_dilation: Ints
    accumulate: DType

    def sliding(self, d: Dims, kernel: tuple[Any, ...]) -> Sliding:
        """Return a convolution's sliding window, for a kernel of this shape."""
        window = _spatial(d.rhs, d, kernel)
        dilations = self.rhs_dilation, self.lhs_dilation
        return Sliding(window, self.strides, self.padding, *dilations)


def _spatial(letters: str, d: Dims, shape: tuple[Any, ...]) -> Ints:
    """Return the sizes of an array's spatial axes in a convolution."""
    return tuple(shape[letters.index(w)] for w in d.window)


def _rule(lhs: ArrayType, rhs: ArrayType, **attrs: Any) -> ArrayType:
    a = _Conv(**attrs)
    d = parse_dims(a.dims)
    sizes = letter_sizes("conv", d, lhs, rhs, a.accumulate)
    lengths = _spatial(d.lhs, d, lhs.shape)
    places = a.sliding(d, rhs.shape).places(f"conv '{a.dims}'", lengths)
    sizes.update(zip(d.window, places))
    return ArrayType(tuple(sizes[c] for c in d.out), lhs.dtype)


def _codes(letters: str) -> list[int]:
    """Return axis letters as the integers that NumPy's ``einsum`` takes for axes."""
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
    return [alphabet.index(c) for c in letters]


def _backwards(y: Value, x: Value, kernel: Value, attrs: Any) -> tuple[_Conv, _Conv]:
    """Return the convolutions that compute a convolution's two derivatives."""
    a = _Conv(**attrs)
    d = parse_dims(a.dims)
    lengths, places = _spatial(d.lhs, d, x.shape), _spatial(d.out, d, y.shape)
    pads = a.sliding(d, kernel.shape).backwards(lengths, places)
    lhs, rhs = f"{d.out},{d.rhs}->{d.lhs}", f"{d.lhs},{d.out}->{d.rhs}"
    stride, wide, far = a.strides, a.lhs_dilation, a.rhs_dilation
    return (
        a._replace(dims=lhs, padding=pads[0], strides=wide, lhs_dilation=stride),
        a._replace(dims=rhs, padding=pads[1], strides=far, rhs_dilation=stride),
    )


def _vjp_lhs(g: Value, y: Value, x: Value, kernel: Value, **attrs: Any) -> Value:
    """Return a convolution's derivative to the input: g convolved with flipped kernel.

    g is dilated by the stride.
    """
    back, _ = _backwards(y, x, kernel, attrs)
    d = parse_dims(attrs["dims"])
    flipped = flip(kernel, axes=tuple(map(d.rhs.index, d.window)))
    return conv(g, flipped, **back._asdict())


def _vjp_rhs(g: Value, y: Value, x: Value, kernel: Value, **attrs: Any) -> Value:
    """Return a convolution's derivative to the kernel: the input convolved with g.

    g is dilated by the stride.

    Zeros between elements cost nothing in a kernel: where the input is dilated further
    than g, g is convolved with the input, and the result turned round.
    """
    _, back = _backwards(y, x, kernel, attrs)
    if math.prod(back.lhs_dilation) <= math.prod(back.rhs_dilation):
        return conv(x, g, **back._asdict())
    d = parse_dims(back.dims)
    lengths, places = _spatial(d.lhs, d, x.shape), _spatial(d.rhs, d, g.shape)
    window = _spatial(d.out, d, kernel.shape)
    pads: list[tuple[int, int]] = []
    for i, (step, (lo, _)) in enumerate(zip(back.strides, back.padding)):
        reach = (window[i] - 1) * step
        wide = dilated(lengths[i], back.lhs_dilation[i])
        far = dilated(places[i], back.rhs_dilation[i])
        pads.append((reach - lo, wide - far + lo))
    turned = back._replace(
        dims=f"{d.rhs},{d.lhs}->{d.out}",
        padding=tuple(pads),
        lhs_dilation=back.rhs_dilation,
        rhs_dilation=back.lhs_dilation,
    )
    gradient = conv(g, x, **turned._asdict())
    return flip(gradient, axes=tuple(map(d.out.index, d.window)))


def _case(lhs: str, rhs: str, dims: str, **changes: Any) -> Case:
    rank = len(parse_dims(dims).window)
    ones = (1,) * rank
    plain = _Conv(dims, ones, ((0, 0),) * rank, ones, ones, DType.float64)
    return Case((lhs, rhs), plain._asdict() | changes)


@declare(
    rule=_rule,
    vjp=(_vjp_lhs, _vjp_rhs),
    batch=product,
    shown=of_any(convolved),
    source="Goodfellow, Bengio & Courville 2016, 9.1 and 9.5",
    cases=(
        _case("f[2,3,7]", "f[4,3,3]", "nc0,oc0->no0"),
        _case("f[2,3,6,5]", "f[4,3,3,2]", "nc01,oc01->no01"),
        _case("f[2,6,5,3]", "f[3,2,3,4]", "n01c,01co->n01o", padding=((1, 1), (0, 1))),
        _case("f[2,3,8]", "f[4,3,3]", "nc0,oc0->no0", strides=(2,), padding=((1, 2),)),
        _case("f[1,2,9]", "f[3,2,3]", "nc0,oc0->no0", strides=(3,), rhs_dilation=(2,)),
        _case("f[1,2,6]", "f[3,2,3]", "nc0,oc0->no0", strides=(2,)),
        _case("f[1,2,4]", "f[2,2,3]", "nc0,oc0->no0", lhs_dilation=(2,)),
        _case(
            "f[1,2,3]",
            "f[2,2,3]",
            "nc0,co0->no0",
            strides=(2,),
            lhs_dilation=(3,),
            rhs_dilation=(2,),
            padding=((1, 0),),
        ),
        _case("f[2,2,3,5]", "f[2,4,3,2]", "ngc0,goc0->ngo0", padding=((1, 0),)),
        _case("f[1,1,6]", "f[1,1,2]", "nc0,oc0->no0", padding=((-1, -2),)),
        _case(
            "f[2,6,5]",
            "f[2,3,2]",
            "c01,c10->01",
            padding=((0, 1), (1, 0)),
            strides=(1, 2),
        ),
    ),
)
def conv(lhs: Array, rhs: Array, **attrs: Any) -> Array:
    a = _Conv(**attrs)
    d, dtype = parse_dims(a.dims), lhs.dtype
    if a.accumulate.numpy.itemsize > dtype.itemsize:
        lhs, rhs = lhs.astype(a.accumulate.numpy), rhs.astype(a.accumulate.numpy)
    slides, axes = a.sliding(d, rhs.shape), tuple(map(d.lhs.index, d.window))
    places = slides.places("conv", _spatial(d.lhs, d, lhs.shape))
    fewer = math.prod(places) < math.prod(slides.window)
    result = (_by_place if fewer else _by_tap)(d, slides, places, axes, lhs, rhs)
    return result.astype(dtype, copy=False)


def _by_tap(
    d: Dims, slides: Sliding, _: Ints, axes: Ints, lhs: Array, rhs: Array
) -> Array:
    """Compute a convolution as a sum of products, one for each kernel element.

    Each product is that element's weights times all that they cover.
    """
    letters = _codes(d.lhs), _codes(_letters(d.rhs)), _codes(d.out)
    at = tuple(map(d.rhs.index, d.window))
    total: Any = 0
    for tap, seen in slides.seen(lhs, axes):
        weights = rhs[_at(rhs.ndim, at, tap)]
        total = total + _product(seen, weights, *letters)
    return total


def _by_place(
    d: Dims, slides: Sliding, places: Ints, axes: Ints, lhs: Array, rhs: Array
) -> Array:
    """Compute a convolution by one product for each position of the result.

    Places and taps are alike: p·s + k·r is also k·r + p·s.
    """
    letters = _codes(d.lhs), _codes(d.rhs), _codes(_letters(d.out))
    window, at = slides.window, tuple(map(d.out.index, d.window))
    turned = slides._replace(
        window=places, strides=slides.dilation, dilation=slides.strides
    )
    sizes = dict(zip(d.lhs + d.rhs, lhs.shape + rhs.shape))
    sizes.update(zip(d.window, places))
    result = np.empty([sizes[c] for c in d.out], lhs.dtype)
    for place, seen in turned.seen(lhs, axes):
        seen = seen[_at(lhs.ndim, axes, [slice(w) for w in window])]
        result[_at(result.ndim, at, place)] = _product(seen, rhs, *letters)
    return result


def _product(x: Array, y: Array, a: list[int], b: list[int], out: list[int]) -> Array:
    check_blas()
    return np.einsum(x, a, y, b, out, optimize=True)


def _letters(dims: str) -> str:
    return "".join(c for c in dims if not c.isdigit())


def _at(rank: int, axes: Ints, chosen: Sequence[Any]) -> tuple[Any, ...]:
    """Return an array index: ``chosen`` along ``axes``, and everything elsewhere."""
    index: list[Any] = [slice(None)] * rank
    for axis, choice in zip(axes, chosen):
        index[axis] = choice
    return tuple(index)
