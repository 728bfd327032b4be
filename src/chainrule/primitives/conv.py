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
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule import notation as write
from chainrule.graph.batching import product
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, of_any
from chainrule.graph.types import ArrayType, DType
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
    shown=of_any(lambda *inputs, **attrs: write.convolved(*inputs, **attrs)),
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
    if lhs.dtype.kind != "f" or (_Roles(d).alone(lhs, rhs) and not fewer):
        result = _by_tap(d, slides, axes, lhs, rhs)
    else:
        how = _few_places if fewer else _few_taps
        result = how(_Roles(d), slides, places, lhs, rhs)
    return result.astype(dtype, copy=False)


def _by_tap(d: Dims, slides: Sliding, axes: Ints, lhs: Array, rhs: Array) -> Array:
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


class _Roles:
    """The letters of a convolution's axes, by what becomes of them.

    Attributes:
        window: the spatial ones.
        shared: of both operands and the result.
        summed: of both operands, and summed over.
        left, right: of one operand and the result.
    """

    def __init__(self, d: Dims) -> None:
        self.dims, self.window = d, "".join(d.window)
        lhs, rhs = _letters(d.lhs), _letters(d.rhs)
        self.shared = "".join(c for c in lhs if c in rhs and c in d.out)
        self.summed = "".join(c for c in lhs if c in rhs and c not in d.out)
        self.left = "".join(c for c in lhs if c not in rhs)
        self.right = "".join(c for c in rhs if c not in lhs)

    def alone(self, lhs: Array, rhs: Array) -> bool:
        """Return whether each element of a result has a single channel's products."""
        sizes = dict(zip(self.dims.rhs, rhs.shape))
        return all(sizes[c] == 1 for c in self.summed + self.right)

    def ordered(self, x: Array, letters: str, *order: str) -> tuple[Array, list[Ints]]:
        """Return an operand with its axes in this order, and the sizes of each part."""
        turned = x.transpose([letters.index(c) for c in "".join(order)])
        sizes = dict(zip(letters, x.shape))
        return turned, [tuple(sizes[c] for c in part) for part in order]

    def result(self, x: Array, order: str, sizes: Sequence[Ints]) -> Array:
        """Return a result whose axes are in this order in the order of the graph."""
        whole = x.reshape([n for part in sizes for n in part])
        return whole.transpose([order.index(c) for c in self.dims.out])


def _few_taps(
    r: _Roles, slides: Sliding, places: Ints, lhs: Array, rhs: Array
) -> Array:
    """Compute a convolution as one product a row, with what each window covers.

    The elements under the windows are written out for some rows at a time.
    """
    check_blas()
    d = r.dims
    x, (lefts, shared, summed, __) = r.ordered(
        lhs, d.lhs, r.left, r.shared, r.summed, r.window
    )
    w, (__, __, rights, taps) = r.ordered(
        rhs, d.rhs, r.shared, r.summed, r.right, r.window
    )
    w = np.moveaxis(w.reshape(*map(math.prod, (shared, summed, rights, taps))), 2, 1)
    n, p, (g, o, c, k) = math.prod(lefts), math.prod(places), w.shape
    x = x.reshape(n, g, c, *x.shape[x.ndim - len(taps) :])
    axes = tuple(range(3, x.ndim))
    result = np.zeros((n, g, o, p), lhs.dtype)
    for rows in _blocks(n, g * c * k * p):
        for channels in _blocks(c, g * k * p, _ROW):
            part = slides.spread(x[rows, :, channels], axes)
            covered = np.empty((*part.shape[:3], k, *places), lhs.dtype)
            for i, (__, seen) in enumerate(slides.under(part, axes)):
                covered[:, :, :, i] = seen
            weights = w[:, :, channels].reshape(g, o, -1)
            covered = covered.reshape(len(part), g, -1, p)
            if channels.start:
                result[rows] += weights @ covered
            else:
                np.matmul(weights, covered, result[rows])
    order = r.left + r.shared + r.right + r.window
    return r.result(result, order, (lefts, shared, rights, places))


def _few_places(
    r: _Roles, slides: Sliding, places: Ints, lhs: Array, rhs: Array
) -> Array:
    """Compute a convolution with a large window by a product for each row of the sum.

    Places and taps are alike: p·s + k·r is also k·r + p·s.
    """
    check_blas()
    d, window = r.dims, slides.window
    turned = slides._replace(
        window=places, strides=slides.dilation, dilation=slides.strides
    )
    x, (summed, shared, lefts, __) = r.ordered(
        lhs, d.lhs, r.summed, r.shared, r.left, r.window
    )
    w, (__, __, rights, __) = r.ordered(
        rhs, d.rhs, r.summed, r.shared, r.right, r.window
    )
    c, g, o, f = map(math.prod, (summed, shared, rights, lefts))
    x = x.reshape(c, g, f, *x.shape[x.ndim - len(window) :])
    weights = w.reshape(c, g, o, math.prod(window))
    axes, p = tuple(range(3, x.ndim)), math.prod(places)
    cut = (..., *map(slice, window))
    result = np.zeros((g, o, f, p), lhs.dtype)
    each = g * p * max(math.prod(window), o)
    for rows in _blocks(c, f * each):
        for columns in _blocks(f, each, _ROW):
            part = turned.spread(x[rows, :, columns], axes)
            covered = np.empty((*part.shape[:3], p, *window), lhs.dtype)
            for i, (__, seen) in enumerate(turned.under(part, axes)):
                covered[:, :, :, i] = seen[cut]
            lines = covered.reshape(*part.shape[:2], part.shape[2] * p, -1)
            products = weights[rows] @ lines.swapaxes(-1, -2)
            result[:, :, columns] += products.sum(0).reshape(g, o, -1, p)
    order = r.shared + r.right + r.left + r.window
    return r.result(result, order, (shared, rights, lefts, places))


#: So many elements under windows are written out at a time, about: as many rows as fit
#: into the cache, or of a large one what memory has for it.
_ROWS, _ROW = 1 << 17, 1 << 22


def _blocks(rows: int, each: int, at_once: int = _ROWS) -> Iterator[slice]:
    """Yield the rows of a convolution that are computed together."""
    step = max(1, at_once // max(1, each))
    for start in range(0, rows, step):
        yield slice(start, start + step)


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
