"""Random tensors: draws from distributions, and permutations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, GradientError, ShapeError
from chainrule.graph.apply import single
from chainrule.graph.context import context, dtype_or_default, no_grad
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import REFERENCES
from chainrule.graph.types import ArrayType, Dim, DType, Shape, as_dtype, size_of
from chainrule.operations.arguments import axis_of, shape_of
from chainrule.operations.op import passed_twice, raises_call_error
from chainrule.operations.operands import (
    astype,
    broadcast_to,
    floating,
    full,
    value_of,
)
from chainrule.operations.order import argsort, topk
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import add, log, mul, neg, sqrt
from chainrule.primitives.integers import bitwise_or, remainder, shift_left, shift_right
from chainrule.primitives.movement import reshape, slice_
from chainrule.primitives.random import random_bits, seed_key
from chainrule.primitives.reduce import argmax
from chainrule.primitives.trigonometry import cos_turn
from chainrule.random.generator import Generator, bits, drawing
from chainrule.random.large_draws import BLOCK, draw_large
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util import validation


def _sizes(shape: tuple[Any, ...], size: Any = None) -> Shape:
    """Return the shape of random numbers: ``rand(2, 3)`` or ``rand(size=(2, 3))``."""
    if size is not None and shape:
        raise TypeError("sizes by position and by name")  # becomes a CallError
    given = shape if size is None else (size,)
    return shape_of(given, _("Random numbers are drawn in a shape."))


def _real(dtype: Any) -> DType:
    """Return the dtype of numbers that are drawn; integers would be all 0, or cut."""
    kind = dtype_or_default(dtype)
    if not kind.is_float:
        raise DTypeError(
            _("Real numbers are drawn."),
            expected="float32, float64, bfloat16",
            got=kind.name,
            fix="cr.randint(low, high, shape)",
        )
    return kind


def _tensor(value: Value, requires_grad: bool) -> Tensor:
    tensor = wrap(value)
    return tensor.requires_grad_() if requires_grad else tensor


def _by_blocks(
    function: Callable[..., Value], *raw: Value, options: Iterable[Any] = ()
) -> Value:
    """Convert random bits by an elementwise function, block by block.

    What lies between the bits and the result is several times as large as both; a block
    of it stays in a core's cache. ``options``: what else the function uses; a tensor
    among them is for the whole.
    """
    numbers = [v.array.reshape(-1) for v in raw if v.array is not None]
    plain = all(isinstance(option, int | float) for option in options)
    if not numbers or not plain or (size := numbers[0].size) <= BLOCK:
        return function(*raw)
    graphs = {
        length: trace(function, [ArrayType((length,), v.dtype) for v in raw])
        for length in {BLOCK, size % BLOCK}
    }
    result = np.empty(size, graphs[BLOCK].outputs[0].dtype.numpy)
    for start in range(0, size, BLOCK):
        block = slice(start, start + BLOCK)
        parts = [line[block] for line in numbers]
        (result[block],) = evaluate(graphs[len(parts[0])], parts)
    return Value(result.reshape(raw[0].shape))


def between(raw: Value) -> Value:
    """Convert random bits to numbers (bits + ½)·2⁻³² between 0 and 1, float64."""
    wide = astype(raw, DType.float64)
    half = add(wide, full(0.5, DType.float64, raw.shape))
    return mul(half, full(2.0**-32, DType.float64, raw.shape))


def _only_if(holds: Tensor, v: Value, what: str, expected: str, fix: str) -> Value:
    """Return ``v`` if a distribution's parameters are valid, else raise an error."""
    got = _("others, in a compiled function")
    known = holds.value.array
    if known is not None and v.array is not None and not known.all():
        got = f"{v.array[~known][0].tolist()!r:.80}"
    return require_all(v, holds.value, what, expected=expected, got=got, fix=fix)


@raises_call_error
@drawing
def uniform(
    *shape: Dim | Sequence[Dim],
    size: Any = None,
    low: float = 0.0,
    high: float = 1.0,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw numbers from the uniform distribution on [low, high).

    u = (bits >> 8)·2⁻²⁴ has 24 random bits, which float32 holds exactly; of bfloat16
    u = (bits >> 24)·2⁻⁸ has 8. Rounding of
    low + u·(high − low) can reach ``high`` itself, where low is not 0.

    Args:
        shape: sizes, ``uniform(2, 3)`` or ``uniform((2, 3))``; none for one number.
        size: the same by name.
        low, high: the ends.
        dtype: of the result; the default dtype where it is None.
        requires_grad: whether ``backward()`` shall fill ``.grad``.
        generator: where the random bits come from; the process's own by default.
        device: the CPU.

    Raises:
        ShapeError: sizes that are no integers ≥ 0.
        DTypeError: a dtype of integers.

    >>> import chainrule as cr
    >>> cr.manual_seed(0)
    >>> bool((uniform(1000) < 1).all())
    True
    """
    kind = _real(dtype)
    digits, own = 8 if kind is DType.bfloat16 else 24, single(kind)

    def spread(raw: Value, *options: Value) -> Value:
        wide, least = map(wrap, options) if options else (high - low, low)
        high_bits = shift_right(raw, full(32 - digits, DType.uint32, raw.shape))
        unit = wrap(astype(high_bits, own)) * 2.0**-digits
        return astype((unit * wide + least).value, kind)

    sizes = _sizes(shape, size)
    numbers = draw_large("uniform", spread, sizes, (0,), kind, (high - low, low), own)
    if numbers is None:
        numbers = _by_blocks(spread, bits(sizes).value, options=(low, high))
    return _tensor(numbers, requires_grad)


@raises_call_error
@drawing
def randn(
    *shape: Dim | Sequence[Dim],
    size: Any = None,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw numbers from the normal distribution N(mean, std²).

    Box & Muller 1958: √(−2 ln u) cos 2πv, with u and v uniform and computed in float64.
    u = (bits + ½)·2⁻³² reaches 6.8 standard deviations.

    Args:
        shape: sizes, ``randn(2, 3)`` or ``randn((2, 3))``; none for one number.
        size: the same by name.
        mean, std: of the distribution.
        dtype: of the result; the default dtype where it is None.
        requires_grad: whether ``backward()`` shall fill ``.grad``.
        generator: where the random bits come from; the process's own by default.
        device: the CPU.

    Raises:
        ShapeError: sizes that are no integers ≥ 0.
        DTypeError: a dtype of integers.

    >>> import chainrule as cr
    >>> cr.manual_seed(0); a = randn(1000)
    >>> bool(abs(a.mean()) < 0.1), bool(abs(a.std() - 1) < 0.1)
    (True, True)
    """
    kind = _real(dtype)

    def spread(first: Value, second: Value, *options: Value) -> Value:
        scale, middle = map(wrap, options) if options else (std, mean)
        u, v = between(first), between(second)
        radius = sqrt(mul(full(-2.0, DType.float64, u.shape), log(u)))
        return astype((wrap(mul(radius, cos_turn(v))) * scale + middle).value, kind)

    sizes = _sizes(shape, size)
    count, options = size_of(sizes), (std, mean)
    # Two draws, and other counters in each.
    numbers = draw_large(
        "randn", spread, sizes, (0, count), kind, options, DType.float64
    )
    if numbers is None:
        first, second = bits(sizes).value, _half(bits((2, *sizes)).value, 1)
        numbers = _by_blocks(spread, first, second, options=options)
    return _tensor(numbers, requires_grad)


@raises_call_error
@drawing
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw numbers from normal distributions N(mean, std²), as ``torch.normal`` does.

    Args:
        mean, std: of the distribution: numbers, or tensors with those of each element.
        size: the shape; by default that of ``mean`` and ``std``.
        dtype: of the result; by default that of ``mean`` or ``std``.
        requires_grad: whether ``backward()`` shall fill ``.grad``.
        generator: where the random bits come from; the process's own by default.
        device: the CPU.

    Raises:
        ArgumentError: a deviation that is negative.
        ShapeError: a shape that these do not have.

    >>> import chainrule as cr
    >>> cr.normal(0.0, 1.0, (2, 3)).shape, cr.normal(cr.zeros(4), cr.ones(4)).shape
    ((2, 3), (4,))
    """
    parts = [p for p in (mean, std) if isinstance(p, Tensor)]
    if context.grad and any(p.requires_grad for p in parts):
        raise GradientError(
            _("normal draws numbers that have no derivative."),
            expected=_("a mean and a deviation without a derivative"),
            got=_("requires_grad=True"),
            fix="mean + std * cr.randn_like(mean), or normal(mean.detach(), …)",
        )
    with no_grad():
        zeros = [p * 0.0 for p in parts]
        like = sum(zeros[1:], zeros[0]) if zeros else None
        shape = _sizes((size,)) if size is not None else ()
        if like is not None:
            shape = shape if size is not None else like.shape
            dtype = dtype or like.dtype
        kind = _real(dtype)
        drawn = randn(shape, dtype=single(kind)) * std + mean
        if isinstance(std, Tensor):
            fix = _("std = log_std.exp(), or abs(std)")
        else:
            fix = _("a standard deviation, which is no variance")
        deviation = as_tensor(std)
        value = _only_if(
            (deviation >= 0).all(),
            astype(drawn.value, kind),
            _("normal draws with a standard deviation, and it is negative."),
            _("std ≥ 0"),
            fix,
        )
        if drawn.shape != shape:
            raise ShapeError(
                _("mean and std do not fit the size."),
                expected=str(shape),
                got=str(drawn.shape),
            )
    return _tensor(value, requires_grad)


def _half(v: Value, i: int) -> Value:
    rest = v.shape[1:]
    zeros, ones = (0,) * len(rest), (1,) * len(rest)
    half = slice_(v, starts=(i, *zeros), stops=(i + 1, *rest), strides=(1, *ones))
    return reshape(half, shape=rest)


rand = uniform


@raises_call_error
@drawing
def rand_like(
    x: Any,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw random numbers as :func:`uniform`, in the shape and dtype of x."""
    x = as_tensor(x)
    return uniform(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


@raises_call_error
@drawing
def randn_like(
    x: Any,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw random numbers as :func:`randn`, in the shape and dtype of x."""
    x = as_tensor(x)
    return randn(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


@raises_call_error
@drawing
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = "int64",
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw random integers from ``low`` to below ``high``, all equally likely.

    Args:
        low: the smallest; 0 where only ``high`` and ``size`` are given, as in
            ``randint(10, (2, 3))``.
        high: one more than the largest.
        size: the shape.
        dtype: of the result.

    64 random bits modulo the range: no number is likelier by more than one in
    2⁶⁴ / (high − low).

    >>> import chainrule as cr
    >>> cr.manual_seed(0); x = randint(1, 7, (100,))
    >>> x.amin().item(), x.amax().item()
    (1, 6)
    """
    if size is None:
        low, high, size = (0, low, high) if high is not None else (0, low, ())
    shape, span = _sizes((size,) if not isinstance(size, tuple) else size), high - low
    if not 0 < span < 2**63:
        raise ArgumentError(
            _("randint draws from a range of integers."),
            expected="low < high",
            got=_("from {low} to before {high}", low=low, high=high),
        )
    kind = as_dtype(dtype)

    def within(first: Value, second: Value) -> Value:
        a, b = astype(first, DType.uint64), astype(second, DType.uint64)
        wide = bitwise_or(shift_left(a, full(32, DType.uint64, a.shape)), b)
        rest = remainder(wide, full(span, DType.uint64, a.shape))
        return astype((wrap(astype(rest, DType.int64)) + low).value, kind)

    raw = bits((2, *shape)).value
    return wrap(_by_blocks(within, _half(raw, 0), _half(raw, 1), options=(low, span)))


@raises_call_error
@drawing
def bernoulli(
    p: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from the Bernoulli distribution: 1 with probability p, else 0.

    Args:
        p: a number or a tensor, from 0 to 1.
        size: the shape; that of p by default.
        dtype: of the result; that of p by default.

    Raises:
        ArgumentError: a p that is no probability; of a compiled function, when it runs.

    >>> bernoulli(Tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    chance = floating(value_of(p))
    shape = chance.shape if size is None else shape_of(size)
    with no_grad():
        chances = wrap(chance)
        chance = _only_if(
            (chances >= 0.0) & (chances <= 1.0),
            chance,
            _("bernoulli draws with probabilities, and p has a number that is none."),
            _("numbers from 0 to 1"),
            _("p = scores.sigmoid(), of scores that are finite"),
        )
        even = wrap(between(bits(shape).value))
        drawn = even < wrap(broadcast_to(chance, shape)).double()
    return drawn.astype(dtype or chance.dtype)


@raises_call_error
@drawing
def gumbel(
    *shape: Dim | Sequence[Dim],
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Draw numbers from the standard Gumbel distribution: −ln(−ln u), u uniform.

    The largest of logits plus these is a class drawn by softmax(logits) (Gumbel 1954).

    Args:
        shape: sizes, ``gumbel(2, 3)`` or ``gumbel((2, 3))``; none for one number.
        dtype: of the result; the default dtype where it is None.
        requires_grad: whether ``backward()`` shall fill ``.grad``.
        generator: where the random bits come from; the process's own by default.
        device: the CPU.

    Raises:
        ShapeError: sizes that are no integers ≥ 0.
        DTypeError: a dtype of integers.

    >>> import chainrule as cr
    >>> cr.manual_seed(0); a = cr.random.gumbel(10_000)
    >>> bool(abs(a.mean() - 0.5772) < 0.05), bool(abs(a.var() - 1.6449) < 0.1)
    (True, True)
    """
    kind = _real(dtype)
    return _tensor(astype(_gumbel(_sizes(shape)), kind), requires_grad)


def _gumbel(shape: Shape) -> Value:
    """Draw Gumbel noise in float64, for sampling of classes by argmax."""
    return _by_blocks(lambda raw: neg(log(neg(log(between(raw))))), bits(shape).value)


@raises_call_error
@drawing
def categorical(logits: Any, dim: int = -1, *, axis: int | None = None) -> Tensor:
    """Draw random classes with the probabilities softmax(logits) along ``dim``.

    Gumbel 1954: the largest of logits − ln(−ln u), with u uniform.

    Args:
        logits: unnormalised log-probabilities; −∞ for a class that never comes.
        dim: the axis of the classes, which the result lacks.

    Raises:
        ArgumentError: logits with NaN or ∞, or −∞ for every class, which are no
            distribution; of a compiled function, when it runs.

    >>> categorical(Tensor([[0.0, 100.0], [100.0, 0.0]]))
    tensor([1, 0])
    """
    if axis is not None and dim != -1:
        raise passed_twice("dim", dim, "axis", axis)
    v = astype(value_of(logits), DType.float64)
    at = axis_of(v.shape, dim if axis is None else axis)
    with no_grad():
        v = _only_if(
            wrap(v).amax(at).isfinite(),  # the largest beside NaN is NaN
            v if at == len(v.shape) - 1 else wrap(v).movedim(at, -1).value,
            _("categorical draws by scores, and a row of them is no distribution."),
            _("numbers or −∞, and a finite one among them"),
            _("look where the scores became NaN: cr.isfinite(logits).all()"),
        )
        return wrap(argmax(add(v, _gumbel(v.shape)), axis=len(v.shape) - 1))


@raises_call_error
@drawing
def multinomial(
    probs: Any,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Draw random classes with probabilities proportional to ``probs``, row by row.

    Args:
        probs: (classes,) or (rows, classes), ≥ 0.
        num_samples: how many draws a row.
        replacement: whether a class can come twice.

    Raises:
        ArgumentError: weights with NaN, ∞ or a negative number; a row of zeros; without
            ``replacement``, fewer weights above 0 than draws. Of a compiled function,
            when it runs.

    >>> multinomial(Tensor([0.0, 3.0]), 2, replacement=True)
    tensor([1, 1])
    """
    v = astype(value_of(probs), DType.float64)
    if len(v.shape) not in (1, 2):
        raise ShapeError(
            _("multinomial draws from rows."),
            expected=_("weights of shape (classes,) or (rows, classes)"),
            got=f"{v.shape}",
        )
    replacement = validation.truth("replacement", replacement)
    num_samples = validation.whole("num_samples", num_samples)
    with no_grad(), np.errstate(divide="ignore"):
        weights = wrap(v)
        least = 1 if replacement else num_samples
        enough = (weights > 0).count_nonzero(-1) >= least
        v = _only_if(
            (weights.isfinite() & (weights >= 0)).all(-1) & enough,
            v,
            _(
                "multinomial draws in proportion to weights, and a row of them "
                "does not say how."
            ),
            _("finite numbers ≥ 0, {least} of them above 0", least=least),
            "" if least == 1 else _("replacement=True lets a class come twice"),
        )
        scores = log(v)
        if not replacement:
            noisy = add(scores, _gumbel(v.shape))
            return wrap(topk(noisy, num_samples, -1, True)[1])
        shape = (*v.shape[:-1], num_samples, v.shape[-1])
        column = reshape(scores, shape=(*v.shape[:-1], 1, v.shape[-1]))
        noisy = add(broadcast_to(column, shape), _gumbel(shape))
        return wrap(argmax(noisy, axis=len(shape) - 1))


@raises_call_error
@drawing
def randperm(
    n: Dim,
    *,
    generator: Generator | None = None,
    dtype: Any = "int64",
    device: Any = None,
) -> Tensor:
    """Return a random permutation of the integers from 0 to n − 1.

    Sorting by fresh random bits gives every order the same chance, but for ties, which
    keep their place.

    >>> import chainrule as cr
    >>> cr.manual_seed(0); randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    order = argsort(bits(_sizes((n,))).value, 0, False)
    return wrap(astype(order, as_dtype(dtype)))


@raises_call_error
def permutation(n: int, seed: int, epoch: int, block: int = 0) -> Array:
    """Return the shuffled order of n samples in an epoch, or of a stream's block.

    Sorting by fresh random bits gives every order the same chance, but for ties, which
    keep their place.

    Raises:
        ArgumentError: what is no whole number ≥ 0, or an epoch beyond 2³² − 1.
    """
    n = validation.whole("n", n, least=0)
    epoch = validation.whole("epoch", epoch, least=0, most=2**32 - 1)
    block = validation.whole("block", block, least=0)
    stream = f"shuffle#{block}" if block else "shuffle"
    drawn = REFERENCES[random_bits](
        seed_key(validation.seed("seed", seed)),
        np.uint32(epoch),
        shape=(n,),
        stream=stream,
    )
    assert isinstance(drawn, np.ndarray)
    return np.argsort(drawn, kind="stable").astype(np.int32)
