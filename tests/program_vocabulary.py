"""What random programs are made of: public functions and methods, as one writes them.

A word is an expression. ``x``, ``y`` and ``z`` stand for floats, ``i`` and ``j`` for
integers, ``m`` and ``n`` for truth values; every other name below in ``CHOICES`` is
drawn. Words keep their results tame: logarithms see positive numbers, powers small
ones. Whether operands fit is for the package to say, which refuses those that do not.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import chainrule as cr
from chainrule.nn import functional as F

KINDS = dict.fromkeys("xyz", "f") | dict.fromkeys("ij", "i") | dict.fromkeys("mn", "b")


def _axes(rng: random.Random) -> Any:
    return rng.choice([None, None, 0, 1, -1, (0, 1), (-1, 0), (1, 2)])


def _perm(rng: random.Random) -> tuple[int, ...]:
    axes = list(range(rng.randint(1, 3)))
    rng.shuffle(axes)
    return tuple(axes)


def _shape(rng: random.Random) -> tuple[int, ...]:
    sizes = [*rng.choices([1, 2, 3, 4, 5, 6], k=rng.randrange(3)), -1]
    rng.shuffle(sizes)
    return tuple(sizes)


def _key(rng: random.Random) -> tuple[Any, ...]:
    """Numbers, slices, new axes and an ellipsis."""
    key: list[Any] = []
    for _ in range(rng.randint(1, 3)):
        start, stop = rng.randrange(-3, 3), rng.choice([None, -1, 3])
        step = rng.choice([None, 2, 3])
        whole, back = slice(None), slice(None, None, -1)
        key.append(rng.choice([start, slice(start, stop, step), whole, back]))
    if rng.random() < 0.3:
        key.insert(rng.randrange(len(key) + 1), None)
    if rng.random() < 0.3:
        key = [*key[: rng.randrange(len(key) + 1)], ...]
    return tuple(key)


#: What else stands in words, and how it is drawn.
CHOICES: dict[str, Callable[[random.Random], Any]] = {
    "axis": lambda rng: rng.randrange(-3, 3),
    "axes": _axes,
    "keep": lambda rng: rng.random() < 0.4,
    "perm": _perm,
    "shape": _shape,
    "key": _key,
    "k": lambda rng: rng.choice([2, 3, 0.5, -1.5, 1, 0, -2]),
    "by": lambda rng: rng.randrange(-3, 4),
    "pads": lambda rng: (rng.randrange(3), rng.randrange(3)),
    "smooth": lambda rng: rng.choice([0.0, 0.1]),
    "backwards": lambda rng: rng.random() < 0.5,
}


# -- words that are no expression ------------------------------------------------------


def assigned(x: cr.Tensor, key: Any, y: Any) -> cr.Tensor:
    x = x * 1
    x[key] = y
    return x


def scanned(x: cr.Tensor, y: cr.Tensor, backwards: bool) -> cr.Tensor:
    last, ys = cr.scan(
        lambda c, row: ((c * 0.5 + row * y).tanh().astype(x.dtype), c * row),
        x[0],
        x,
        reverse=backwards,
    )
    return ys + last


def branch(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    return cr.cond(x.sum() > 0, lambda t: (t * x).sin(), lambda t: t * t - x, y)


def loop(x: cr.Tensor) -> cr.Tensor:
    return cr.while_loop(
        lambda s: (s * s).sum() < 3.0, lambda s: s * 1.7 + 0.1, x * 0.3, max_steps=4
    )


def in_place(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    z = x.clone()
    z += y
    z.mul_(0.5).clamp_(-3.0, 3.0)
    return z


def part_in_place(x: cr.Tensor) -> cr.Tensor:
    z = x * 1
    row = z[-1]
    row *= 2
    z[0] += row * 0.3
    return z


NAMES = {"cr": cr, "F": F} | {
    f.__name__: f for f in (assigned, scanned, branch, loop, in_place, part_in_place)
}

#: Words, parted by semicolons, by how often they are drawn.
TEXTS = {
    1: """
F.softplus(x); F.gelu(x); F.silu(x); F.logsigmoid(x); F.softsign(x); F.mish(x);
F.tanhshrink(x); x.floor(); x.ceil(); x.trunc(); x.round(); x % 1.5;
cr.hypot(x, y + 5.0); cr.atan2(x, y * y + 0.3); cr.lerp(x, y, 0.3);
cr.copysign(x, y); m + n; m * n; cr.sum(i, axis=axes, keepdims=keep);
i.cumsum(axis); i[key]; m[key]; F.one_hot(i % 3, 3); (x.norm(dim=axis) + 1).log();
(x.tanh() + 1.1).cumprod(axis); F.rms_norm(x, x.shape[-1:], eps=0.1); cr.tile(x, (2,));
x.repeat_interleave(2, axis); cr.triu(x, k=by); x.diagonal();
F.scaled_dot_product_attention(x, x, x, is_causal=True);
cr.grad(lambda t: cr.grad(lambda u: (u * u.sin()).sum())(t).sum())(x);
cr.jvp(lambda t: t.tanh() * t, [x], [y])[1];
cr.vjp(cr.grad(lambda t: (t.sin() * t).sum()), x)[1](y)[0];
x + (x.sign() - x).detach(); x.narrow(axis, 1, x.shape[axis] - 1);
x.flatten().unsqueeze(0); x * x.shape[0] / x.numel(); F.smooth_l1_loss(x, y);
F.huber_loss(x, y, delta=0.6); F.normalize(x, dim=axis)
""",
    2: """
x.tanh(); x.sigmoid(); x.sin(); x.cos(); x.square(); x.atan(); x.erf(); x.asinh(); -x;
cr.abs(x); cr.sign(x); cr.relu(x); F.elu(x, 0.7); F.leaky_relu(x);
(x * 0.3).clip(-4, 2).exp(); cr.expm1(-x.abs()); (x * x + 0.5).log();
cr.log1p(x * x); cr.sqrt(x * x + 0.2); (1 + x * x).rsqrt(); 1 / (x * x + 0.5); x**2;
(x * 0.3) ** 3; (x * x + 0.5) ** y.tanh(); 2.0 ** x.tanh(); x * k; k - x;
x.clip(-0.7, 0.9); cr.maximum(x, y); x.minimum(y); cr.logaddexp(x, y);
x.masked_fill(m, 0.25); x > 0; i >= j; i == j; m & n; cr.logical_or(m, n); m ^ n; ~m;
cr.any(m, axis=axes, keepdims=keep); cr.all(m, axis=axes, keepdims=keep);
cr.sum(m, axis=axes, keepdims=keep); x * m; i + j; i - j; i % 7 * j; i // (j % 5 + 1);
i % (j % 5 - 6); (i & j) ^ (i | 3); (i << 2) >> 1; x.argmax(axis);
cr.argsort(x, axis=axis); x * (i % 3); cr.amax(x, axis=axes, keepdims=keep);
cr.amin(x, axis=axes, keepdims=keep); cr.prod(x.tanh() + 1.2, axis=axes);
(x.var(axis) + 0.1).sqrt(); cr.var(x, dim=axis, keepdim=True); x.max(axis).values;
cr.logsumexp(x, axis); F.log_softmax(x, axis); x.cumsum(axis);
F.layer_norm(x, x.shape[-1:]); cr.flip(x, axis=axis); cr.roll(x, by, axis=axis);
x.unsqueeze(axis); x.expand(*y.shape); cr.cat([x, y, x], dim=axis);
x.chunk(2, axis)[-1]; cr.pad(x, pads, value=0.5); cr.tril(x, k=by); cr.outer(x, y);
x.split([1, x.shape[axis] - 1], axis)[1] * x.split([1, x.shape[axis] - 1], axis)[0];
assigned(x, i % x.shape[0], y.mean()); assigned(x, m, 0.5); x.sort(axis).values;
cr.sort(x, axis=axis, descending=True).values; x.topk(2, axis).values;
F.embedding(i % x.shape[0], x); x.mT @ x * 0.2; cr.vecdot(x, y) * 0.3;
F.mse_loss(x, y); F.binary_cross_entropy_with_logits(x * 0.9, m.astype(x.dtype));
loop(x); cr.grad(lambda t: (t[0] * t[-1].sin()).sum())(x); x.detach() * x;
in_place(x, y); part_in_place(x); x.index_add(0, i % x.shape[0], y);
x.scatter_add(0, i % x.shape[0], y.astype(x.dtype))
""",
    3: """
x - y; x / (y * y + 0.7); x < y; x.softmax(axis); x.reshape(shape); x.permute(*perm);
cr.stack([x, y], axis=axis); x[i % x.shape[0], j % x.shape[1]];
cr.take_along_axis(x, i % x.shape[axis], axis=axis);
cr.einsum("ij,kj->ki", x, y) * 0.3; cr.einsum("bij,bj->bi", x, y) * 0.3;
branch(x, y); cr.grad(lambda t: (t * t * y).tanh().sum())(x)
""",
    4: """
cr.where(m, x, y); cr.sum(x, axis=axes, keepdims=keep);
cr.mean(x, axis=axes, keepdims=keep); cr.concat([x, y], axis=axis);
x[(slice(None),) * (axis % x.ndim) + (i % x.shape[axis],)]; assigned(x, by, y);
F.cross_entropy(x * 0.9, i % x.shape[1], label_smoothing=smooth)
""",
    5: "x + y; F.linear(x, y.astype(x.dtype)) * 0.3; scanned(x, y, backwards); x[key]",
    8: "x * y; x @ y * 0.3",
}


@dataclass(frozen=True)
class Word:
    """An operation that a program may use.

    Attributes:
        kinds: of its operands: f, i or b.
        apply: called with the operands, and with what is drawn by name.
        drawn: the names of what is drawn.
    """

    kinds: str
    apply: Callable[..., Any]
    drawn: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Word:
        used = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
        operands = [name for name in KINDS if name in used]
        drawn = tuple(name for name in CHOICES if name in used)
        apply = eval(f"lambda {', '.join([*operands, *drawn])}: {text}", dict(NAMES))
        return cls("".join(KINDS[name] for name in operands), apply, drawn)


WORDS: dict[str, Word] = {}
WEIGHTS: list[int] = []
for _weight, _texts in TEXTS.items():
    for _text in _texts.split(";"):
        _name = " ".join(_text.split())
        WORDS[_name] = Word.of(_name)
        WEIGHTS.append(_weight)
