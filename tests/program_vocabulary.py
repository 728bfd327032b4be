"""What random programs are made of: public functions and methods, with safe operands.

Every row keeps its results tame (logarithms see positive numbers, powers small ones),
and says how near its operands are to a jump or a kink, where float32 and float64 may
take different sides.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.nn import functional as F

Shapes = list[tuple[int, ...]]
Attrs = dict[str, Any]


def _no_attrs(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {}


def _far(*_: np.ndarray) -> float:
    return 1.0


@dataclass(frozen=True)
class Word:
    """An operation that a program may use.

    Attributes:
        kinds: of its operands: f, i or b.
        apply: called with the operands and the attributes.
        draw: attributes for operands of these shapes; None where they do not fit.
        margin: how far the operands' numbers are from where the result jumps.
        weight: how often it is drawn.
    """

    kinds: str
    apply: Callable[..., Any]
    draw: Callable[[random.Random, Shapes], Attrs | None] = _no_attrs
    margin: Callable[..., float] = _far
    weight: int = 2


WORDS: dict[str, Word] = {}


def word(name: str, *args: Any, **options: Any) -> None:
    assert name not in WORDS
    WORDS[name] = Word(*args, **options)


# -- how near a jump is ----------------------------------------------------------------


def _at_zero(x: np.ndarray) -> float:
    return float(np.min(np.abs(x), initial=1.0))


def _apart(x: np.ndarray, y: np.ndarray) -> float:
    return _at_zero(np.subtract(x, y))


def _at_steps(x: np.ndarray) -> float:
    return _at_zero(x - np.round(x))


def _at_halves(x: np.ndarray) -> float:
    return _at_zero(x - np.floor(x) - 0.5)


def _ties(x: np.ndarray) -> float:
    """The smallest difference between any two numbers: for what sorts and picks."""
    flat = np.sort(np.ravel(x))
    return float(np.min(np.diff(flat), initial=1.0))


# -- attributes ------------------------------------------------------------------------


def _axis(rng: random.Random, shapes: Shapes) -> Attrs | None:
    n = len(shapes[0])
    return {"axis": rng.randrange(-n, n)} if n else None


def _full_axis(rng: random.Random, shapes: Shapes) -> Attrs | None:
    found = _axis(rng, shapes)
    return found if found and shapes[0][found["axis"]] > 1 else None


def _axes(rng: random.Random, shapes: Shapes) -> Attrs | None:
    n = len(shapes[0])
    chosen = tuple(i for i in range(n) if rng.random() < 0.6)
    axis = None if len(chosen) == n else chosen or None
    return {"axis": axis, "keepdims": rng.random() < 0.4}


def _perm(rng: random.Random, shapes: Shapes) -> Attrs | None:
    axes = list(range(len(shapes[0])))
    rng.shuffle(axes)
    return {"axes": tuple(axes)}


def _reshape(rng: random.Random, shapes: Shapes) -> Attrs | None:
    n = int(np.prod(shapes[0]))
    pairs = [(a, n // a) for a in range(1, n + 1) if n % a == 0]
    a, b = rng.choice(pairs) if pairs else (0, 0)
    return (
        {"shape": rng.choice([(a, b), (n,), (a, 1, b), (-1,), (a, -1)])} if n else None
    )


def _broadcast(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {} if _fits(shapes) else None


def _fits(shapes: Shapes) -> bool:
    try:
        return np.prod(np.broadcast_shapes(*shapes)) <= 200
    except ValueError:
        return False


def _index(rng: random.Random, shapes: Shapes) -> Attrs | None:
    key: list[Any] = []
    for d in shapes[0]:
        kind = rng.randrange(5)
        if d == 0 or kind == 0:
            key.append(slice(None))
        elif kind == 1:
            key.append(rng.randrange(-d, d))
        elif kind == 2:
            key.append(slice(rng.randrange(d), None, rng.choice([1, 2, 3])))
        elif kind == 3:
            key.append(slice(None, None, -1))
        else:
            key.append(slice(-rng.randrange(1, d + 1), rng.choice([None, d])))
    if rng.random() < 0.3:
        key.insert(rng.randrange(len(key) + 1), None)
    if rng.random() < 0.3:
        key = [*key[: rng.randrange(len(key) + 1)], ...]
    return {"key": tuple(key)}


def _take(rng: random.Random, shapes: Shapes) -> Attrs | None:
    x, i = shapes
    if not x or len(i) > 2:
        return None
    axis = rng.randrange(len(x))
    return {"axis": axis} if x[axis] and np.prod(x) * np.prod(i) <= 400 else None


def _along(rng: random.Random, shapes: Shapes) -> Attrs | None:
    x, i = shapes
    axes = [a for a in range(len(x)) if len(i) == len(x) and x[a] > 0]
    axes = [a for a in axes if x[:a] + x[a + 1 :] == i[:a] + i[a + 1 :]]
    return {"axis": rng.choice(axes)} if axes else None


def _same(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return _axis(rng, shapes) if len(set(shapes)) == 1 else None


def _concat(rng: random.Random, shapes: Shapes) -> Attrs | None:
    found = _axis(rng, shapes)
    x, y = shapes
    if found is None or len(x) != len(y):
        return None
    axis = found["axis"] % len(x)
    return found if x[:axis] + x[axis + 1 :] == y[:axis] + y[axis + 1 :] else None


def _matmul(rng: random.Random, shapes: Shapes) -> Attrs | None:
    x, y = shapes
    if not x or not y or x[-1] != (y[-2] if len(y) > 1 else y[0]):
        return None
    return {} if len(x) < 3 or len(y) < 3 or _fits([x[:-2], y[:-2]]) else None


def _matrix(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {"k": rng.randrange(-1, 2)} if len(shapes[0]) >= 2 else None


def _linear(rng: random.Random, shapes: Shapes) -> Attrs | None:
    x, w = shapes
    return {} if x and len(w) == 2 and x[-1] == w[1] else None


def _roll(rng: random.Random, shapes: Shapes) -> Attrs | None:
    found = _axis(rng, shapes)
    return found and {**found, "by": rng.randrange(-3, 4)}


def _pad(rng: random.Random, shapes: Shapes) -> Attrs | None:
    if not shapes[0]:
        return None
    return {
        "pad": (rng.randrange(3), rng.randrange(3)),
        "value": rng.choice([0.0, 0.5]),
    }


def _scalar(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {"k": rng.choice([2, 3, 0.5, -1.5, 1, 0, -2])}


def _set(rng: random.Random, shapes: Shapes) -> Attrs | None:
    x, y = shapes
    if not x or not x[0] or y not in (x[1:], ()):
        return None
    return {"row": rng.randrange(-x[0], x[0])}


def _rows(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {} if len(shapes[0]) == 2 and shapes[0][0] else None


def _classes(rng: random.Random, shapes: Shapes) -> Attrs | None:
    x, y = shapes
    if len(x) != 2 or y != x[:1] or x[1] < 2 or not x[0]:
        return None
    return {"smooth": rng.choice([0.0, 0.1])}


def _cond(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {} if _fits(shapes) and shapes[1] == np.broadcast_shapes(*shapes) else None


def _nonempty(rng: random.Random, shapes: Shapes) -> Attrs | None:
    found = _axes(rng, shapes)
    return found if np.prod(shapes[0]) > 0 else None


def _nonempty_rows(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {} if shapes[0] and all(shapes[0]) else None


def _alike(rng: random.Random, shapes: Shapes) -> Attrs | None:
    return {} if shapes[0] == shapes[1] and np.prod(shapes[0]) else None


# -- elementwise -----------------------------------------------------------------------

for name in ("tanh", "sigmoid", "sin", "cos", "square", "atan", "erf", "asinh", "neg"):
    word(name, "f", lambda x, name=name: getattr(x, name)())
for name in (
    "softplus",
    "gelu",
    "silu",
    "logsigmoid",
    "softsign",
    "mish",
    "tanhshrink",
):
    word(name, "f", lambda x, name=name: getattr(F, name)(x), weight=1)
for name in ("abs", "sign", "relu"):
    word(name, "f", lambda x, name=name: getattr(cr, name)(x), margin=_at_zero)
for name in ("floor", "ceil", "trunc"):
    word(name, "f", lambda x, name=name: getattr(x, name)(), margin=_at_steps, weight=1)
word("round", "f", lambda x: x.round(), margin=_at_halves, weight=1)
word("elu", "f", lambda x: F.elu(x, 0.7), margin=_at_zero)
word("leaky_relu", "f", F.leaky_relu, margin=_at_zero)
word(
    "exp",
    "f",
    lambda x: (x * 0.3).clip(-4, 2).exp(),
    margin=lambda x: min(_apart(x * 0.3, -4.0), _apart(x * 0.3, 2.0)),
)
word("expm1", "f", lambda x: cr.expm1(-x.abs()), margin=_at_zero)
word("log", "f", lambda x: (x * x + 0.5).log())
word("log1p", "f", lambda x: cr.log1p(x * x))
word("sqrt", "f", lambda x: cr.sqrt(x * x + 0.2))
word("rsqrt", "f", lambda x: (1 + x * x).rsqrt())
word("reciprocal", "f", lambda x: 1 / (x * x + 0.5))
word("pow2", "f", lambda x: x**2)
word("pow3", "f", lambda x: (x * 0.3) ** 3)
word("power", "ff", lambda x, y: (x * x + 0.5) ** y.tanh(), _broadcast)
word("rpow", "f", lambda x: 2.0 ** x.tanh())
word("scaled", "f", lambda x, k: x * k, _scalar)
word("shifted", "f", lambda x, k: k - x, _scalar)
word(
    "clip",
    "f",
    lambda x: x.clip(-0.7, 0.9),
    margin=lambda x: min(_apart(x, -0.7), _apart(x, 0.9)),
)
word("add", "ff", lambda x, y: x + y, _broadcast, weight=5)
word("sub", "ff", lambda x, y: x - y, _broadcast, weight=3)
word("mul", "ff", lambda x, y: x * y, _broadcast, weight=6)
word("div", "ff", lambda x, y: x / (y * y + 0.7), _broadcast, weight=3)
word("maximum", "ff", cr.maximum, _broadcast, _apart)
word("minimum", "ff", lambda x, y: x.minimum(y), _broadcast, _apart)
word("hypot", "ff", lambda x, y: cr.hypot(x, y + 5.0), _broadcast, weight=1)
word("atan2", "ff", lambda x, y: cr.atan2(x, y * y + 0.3), _broadcast, weight=1)
word("logaddexp", "ff", cr.logaddexp, _broadcast)
word("lerp", "ff", lambda x, y: cr.lerp(x, y, 0.3), _broadcast, weight=1)
word("where", "bff", cr.where, _broadcast, weight=4)
word(
    "masked_fill",
    "fb",
    lambda x, m: x.masked_fill(m, 0.25),
    lambda r, s: {} if _fits(s) and np.broadcast_shapes(*s) == s[0] else None,
)
word("remainder", "f", lambda x: x % 1.5, margin=lambda x: _at_steps(x / 1.5), weight=1)
word(
    "copysign",
    "ff",
    lambda x, y: cr.copysign(x, y),
    _broadcast,
    lambda x, y: min(_at_zero(x), _at_zero(y)),
    weight=1,
)

# -- truth and whole numbers -----------------------------------------------------------

word("less", "ff", lambda x, y: x < y, _broadcast, _apart, weight=3)
word("positive", "f", lambda x: x > 0, margin=_at_zero)
word("ge_i", "ii", lambda x, y: x >= y, _broadcast)
word("eq_i", "ii", lambda x, y: x == y, _broadcast)
word("and", "bb", lambda x, y: x & y, _broadcast)
word("or", "bb", lambda x, y: cr.logical_or(x, y), _broadcast)
word("xor", "bb", lambda x, y: x ^ y, _broadcast)
word("not", "b", lambda x: ~x)
word("bool_add", "bb", lambda x, y: x + y, _broadcast, weight=1)
word("bool_mul", "bb", lambda x, y: x * y, _broadcast, weight=1)
word("any", "b", lambda x, **a: cr.any(x, **a), _axes)
word("all", "b", lambda x, **a: cr.all(x, **a), _axes)
word("count", "b", lambda x, **a: cr.sum(x, **a), _axes)
word("gate", "fb", lambda x, m: x * m, _broadcast)
word("add_i", "ii", lambda x, y: x + y, _broadcast)
word("sub_i", "ii", lambda x, y: x - y, _broadcast)
word("mul_i", "ii", lambda x, y: x % 7 * y, _broadcast)
word("floordiv_i", "ii", lambda x, y: x // (y % 5 + 1), _broadcast)
word("mod_i", "ii", lambda x, y: x % (y % 5 - 6), _broadcast)
word("bits_i", "ii", lambda x, y: (x & y) ^ (x | 3), _broadcast)
word("shift_i", "i", lambda x: (x << 2) >> 1)
word("sum_i", "i", lambda x, **a: cr.sum(x, **a), _axes, weight=1)
word("cumsum_i", "i", lambda x, axis: x.cumsum(axis), _axis, weight=1)
word("argmax", "f", lambda x, axis: x.argmax(axis), _full_axis, _ties)
word("argsort", "f", lambda x, axis: cr.argsort(x, axis=axis), _full_axis, _ties)
word("weigh", "fi", lambda x, i: x * (i % 3), _broadcast)
word("index_i", "i", lambda x, key: x[key], _index, weight=1)
word("index_b", "b", lambda x, key: x[key], _index, weight=1)
word("one_hot", "i", lambda x: F.one_hot(x % 3, 3), weight=1)

# -- reductions ------------------------------------------------------------------------

for name in ("sum", "mean"):
    word(
        name,
        "f",
        lambda x, name=name, **a: getattr(cr, name)(x, **a),
        _nonempty,
        weight=4,
    )
word("max", "f", lambda x, **a: cr.max(x, **a), _nonempty, _ties)
word("min", "f", lambda x, **a: cr.min(x, **a), _nonempty, _ties)
word("prod", "f", lambda x, **a: cr.prod(x.tanh() + 1.2, **a), _nonempty)
word("std", "f", lambda x, axis: (x.var(axis) + 0.1).sqrt(), _full_axis)
word("var0", "f", lambda x, axis: cr.var(x, axis=axis, keepdims=True), _axis)
word("max_pair", "f", lambda x, axis: x.max(axis).values, _full_axis, _ties)
word("logsumexp", "f", lambda x, axis: cr.logsumexp(x, axis), _axis)
word(
    "norm",
    "f",
    lambda x, axis: (x.norm(dim=axis) + 1).log(),
    _axis,
    lambda x: 1.0 if np.min(np.sum(np.square(x), initial=1)) > 1e-2 else 0.0,
    weight=1,
)
word("softmax", "f", lambda x, axis: x.softmax(axis), _axis, weight=3)
word("log_softmax", "f", lambda x, axis: F.log_softmax(x, axis), _axis)
word("cumsum", "f", lambda x, axis: x.cumsum(axis), _axis)
word("cumprod", "f", lambda x, axis: (x.tanh() + 1.1).cumprod(axis), _axis, weight=1)
word(
    "layer_norm",
    "f",
    lambda x: F.layer_norm(x, x.shape[-1:]),
    lambda r, s: {} if s[0] and s[0][-1] > 2 else None,
    lambda x: float(np.min(np.std(x, -1))) / 20,
)
word(
    "rms_norm",
    "f",
    lambda x: F.rms_norm(x, x.shape[-1:]),
    lambda r, s: {} if s[0] and s[0][-1] > 2 else None,
    lambda x: float(np.min(np.mean(x * x, -1))) / 20,
    weight=1,
)

# -- movement --------------------------------------------------------------------------

word("reshape", "f", lambda x, shape: x.reshape(shape), _reshape, weight=3)
word("permute", "f", lambda x, axes: x.permute(*axes), _perm, weight=3)
word("flip", "f", lambda x, axis: cr.flip(x, axis=axis), _axis)
word("roll", "f", lambda x, by, axis: cr.roll(x, by, axis=axis), _roll)
word("unsqueeze", "f", lambda x, axis: x.unsqueeze(axis), _axis)
word(
    "expand",
    "ff",
    lambda x, y: x.expand(*y.shape),
    lambda r, s: (
        {}
        if len(s[0]) <= len(s[1]) and _fits(s) and np.broadcast_shapes(*s) == s[1]
        else None
    ),
)
word("concat", "ff", lambda x, y, axis: cr.concat([x, y], axis=axis), _concat, weight=4)
word("cat3", "ff", lambda x, y, axis: cr.cat([x, y, x], dim=axis), _concat)
word("stack", "ff", lambda x, y, axis: cr.stack([x, y], axis=axis), _same, weight=3)
word("chunk", "f", lambda x, axis: x.chunk(2, axis)[-1], _full_axis)
word(
    "split",
    "f",
    lambda x, axis: (lambda p: p[0].sum() * p[1])(
        x.split([1, x.shape[axis] - 1], axis)
    ),
    _full_axis,
)
word("pad", "f", lambda x, pad, value: cr.pad(x, pad, value=value), _pad)
word(
    "tile",
    "f",
    lambda x: cr.tile(x, (2,)),
    lambda r, s: {} if np.prod(s[0]) < 60 else None,
    weight=1,
)
word(
    "repeat",
    "f",
    lambda x, axis: x.repeat_interleave(2, axis),
    lambda r, s: _axis(r, s) if np.prod(s[0]) < 60 else None,
    weight=1,
)
word("tril", "f", lambda x, k: cr.tril(x, k=k), _matrix)
word("triu", "f", lambda x, k: cr.triu(x, k=k), _matrix, weight=1)
word("diagonal", "f", lambda x: x.diagonal(), _rows, weight=1)
word(
    "outer",
    "ff",
    cr.outer,
    lambda r, s: (
        {} if len(s[0]) == len(s[1]) == 1 and s[0][0] * s[1][0] < 200 else None
    ),
)

# -- indexing --------------------------------------------------------------------------

word("index", "f", lambda x, key: x[key], _index, weight=6)
word(
    "take",
    "fi",
    lambda x, i, axis: x[(*[slice(None)] * axis, i % x.shape[axis])],
    _take,
    weight=4,
)
word(
    "take2",
    "fii",
    lambda x, i, j: x[i % x.shape[0], j % x.shape[1]],
    lambda r, s: (
        {}
        if len(s[0]) == 2
        and min(s[0])
        and len(s[1]) <= 2
        and len(s[2]) <= 2
        and _fits(s[1:])
        else None
    ),
    weight=3,
)
word(
    "along",
    "fi",
    lambda x, i, axis: cr.take_along_axis(x, i % x.shape[axis], axis=axis),
    _along,
    weight=3,
)
word("set_row", "ff", lambda x, y, row: _assigned(x, row, y), _set, weight=4)
word(
    "set_index",
    "fif",
    lambda x, i, y: _assigned(x, i % x.shape[0], y.mean()),
    lambda r, s: {} if s[0] and s[0][0] and len(s[1]) <= 1 and np.prod(s[2]) else None,
    weight=2,
)
word(
    "set_mask",
    "fb",
    lambda x, m: _assigned(x, m, 0.5),
    lambda r, s: {} if s[0] == s[1] and s[0] else None,
)
word("sort", "f", lambda x, axis: x.sort(axis).values, _full_axis, _ties)
word(
    "sort_np",
    "f",
    lambda x, axis: cr.sort(x, axis=axis, descending=True),
    _full_axis,
    _ties,
)
word("topk", "f", lambda x, axis: x.topk(2, axis).values, _full_axis, _ties)
word(
    "embedding",
    "if",
    lambda i, w: F.embedding(i % w.shape[0], w),
    lambda r, s: {} if len(s[0]) == 1 and len(s[1]) == 2 and s[1][0] else None,
)


def _assigned(x: cr.Tensor, key: Any, y: Any) -> cr.Tensor:
    x = x * 1
    x[key] = y
    return x


# -- products and losses ---------------------------------------------------------------

word("matmul", "ff", lambda x, y: x @ y * 0.3, _matmul, weight=9)
word(
    "linear", "ff", lambda x, w: F.linear(x, w.astype(x.dtype)) * 0.3, _linear, weight=5
)
word("gram", "f", lambda x: x.mT @ x * 0.2, lambda r, s: {} if len(s[0]) >= 2 else None)
word(
    "einsum",
    "ff",
    lambda x, y: cr.einsum("ij,kj->ki", x, y) * 0.3,
    lambda r, s: {} if len(s[0]) == len(s[1]) == 2 and s[0][1] == s[1][1] else None,
    weight=3,
)
word(
    "einsum_b",
    "ff",
    lambda x, y: cr.einsum("bij,bj->bi", x, y) * 0.3,
    lambda r, s: {} if len(s[0]) == 3 and s[1] == (s[0][0], s[0][2]) else None,
    weight=3,
)
word(
    "vecdot",
    "ff",
    lambda x, y: cr.vecdot(x, y) * 0.3,
    lambda r, s: {} if s[0] == s[1] and s[0] else None,
)
word(
    "cross_entropy",
    "fi",
    lambda x, y, smooth: F.cross_entropy(
        x * 0.9, y % x.shape[1], label_smoothing=smooth
    ),
    _classes,
    weight=4,
)
word(
    "mse", "ff", F.mse_loss, lambda r, s: {} if s[0] == s[1] and np.prod(s[0]) else None
)
word(
    "bce",
    "fb",
    # Scores that are a sigmoid's are refused, where it is known that they are.
    lambda x, y: F.binary_cross_entropy_with_logits(x * 0.9, y.astype(x.dtype)),
    lambda r, s: {} if s[0] == s[1] and np.prod(s[0]) else None,
)
word(
    "attention",
    "f",
    lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    lambda r, s: {} if len(s[0]) in (2, 3) and np.prod(s[0]) else None,
    weight=1,
)

# -- loops, branches and derivatives within --------------------------------------------


def _scanned(x: cr.Tensor, y: cr.Tensor, reverse: bool) -> cr.Tensor:
    last, ys = cr.scan(
        lambda c, row: ((c * 0.5 + row * y).tanh().astype(x.dtype), c * row),
        x[0],
        x,
        reverse=reverse,
    )
    return ys + last


def _branch(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    return cr.cond(x.sum() > 0, lambda t: (t * x).sin(), lambda t: t * t - x, y)


def _loop(x: cr.Tensor) -> cr.Tensor:
    return cr.while_loop(
        lambda s: (s * s).sum() < 3.0, lambda s: s * 1.7 + 0.1, x * 0.3, max_steps=4
    )


def _loop_margin(x: np.ndarray) -> float:
    s, found = x * 0.3, 1.0
    for _ in range(4):
        found = min(found, abs(float((s * s).sum()) - 3.0))
        s = s * 1.7 + 0.1
    return found


word(
    "scan",
    "ff",
    _scanned,
    lambda r, s: (
        {"reverse": r.random() < 0.5}
        if len(s[0]) >= 1 and s[0][0] and (s[1] == s[0][1:] or s[1] == ())
        else None
    ),
    weight=6,
)
word("cond", "ff", _branch, _cond, lambda x, y: abs(float(np.sum(x))), weight=3)
word("while", "f", _loop, margin=_loop_margin, weight=2)
word(
    "slope",
    "ff",
    lambda x, y: cr.grad(lambda t: (t * t * y).tanh().sum())(x),
    _broadcast,
    weight=3,
)
word(
    "slope_of_row",
    "f",
    lambda x: cr.grad(lambda t: (t[0] * t[-1].sin()).sum())(x),
    lambda r, s: {} if s[0] and s[0][0] else None,
    weight=2,
)
word(
    "curve",
    "f",
    lambda x: cr.grad(lambda t: cr.grad(lambda u: (u * u.sin()).sum())(t).sum())(x),
    weight=1,
)
word(
    "jvp",
    "ff",
    lambda x, y: cr.jvp(lambda t: t.tanh() * t, [x], [y])[1],
    lambda r, s: {} if s[0] == s[1] else None,
    weight=1,
)
word("detached", "f", lambda x: x.detach() * x)
word(
    "hessian_vector",
    "ff",
    lambda x, y: cr.vjp(cr.grad(lambda t: (t.sin() * t).sum()), x)[1](y)[0],
    lambda r, s: {} if s[0] == s[1] else None,
    weight=1,
)
word("straight", "f", lambda x: x + (x.sign() - x).detach(), margin=_at_zero, weight=1)

# -- changes in place, of a copy and of a part -----------------------------------------


def _in_place(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    z = x.clone()
    z += y
    z.mul_(0.5).clamp_(-3.0, 3.0)
    return z


def _part_in_place(x: cr.Tensor) -> cr.Tensor:
    z = x * 1
    row = z[-1]
    row *= 2
    z[0] += row * 0.3
    return z


word(
    "in_place",
    "ff",
    _in_place,
    lambda r, s: {} if _fits(s) and np.broadcast_shapes(*s) == s[0] else None,
    lambda x, y: _at_zero(np.abs(x + y) * 0.5 - 3.0),
)
word(
    "part_in_place", "f", _part_in_place, lambda r, s: {} if s[0] and s[0][0] else None
)
word(
    "index_add",
    "fif",
    lambda x, i, y: x.index_add(0, i % x.shape[0], y),
    lambda r, s: (
        {}
        if len(s[1]) == 1 and s[0] and s[0][0] and s[2] == (*s[1], *s[0][1:])
        else None
    ),
)
word(
    "scatter_add",
    "fif",
    lambda x, i, y: x.scatter_add(0, i % x.shape[0], y.astype(x.dtype)),
    lambda r, s: (
        {}
        if len(s[0]) == len(s[1]) > 0
        and s[0][0]
        and s[1] == s[2]
        and s[0][1:] == s[1][1:]
        else None
    ),
)
word(
    "narrow",
    "f",
    lambda x, axis: x.narrow(axis, 1, x.shape[axis] - 1),
    _full_axis,
    weight=1,
)
word("flat", "f", lambda x: x.flatten().unsqueeze(0), weight=1)
word("half_whole", "f", lambda x: x * x.shape[0] / x.numel(), _nonempty_rows, weight=1)
word("smooth_l1", "ff", F.smooth_l1_loss, _alike, weight=1)
word("huber", "ff", lambda x, y: F.huber_loss(x, y, delta=0.6), _alike, weight=1)
word(
    "normalize",
    "f",
    lambda x, axis: F.normalize(x, dim=axis),
    _axis,
    lambda x: 1.0 if np.min(np.abs(x), initial=1) > 1e-2 else 0.0,
    weight=1,
)
