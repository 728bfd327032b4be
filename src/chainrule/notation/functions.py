r"""What formulas are declared with.

>>> from chainrule.notation.expressions import Atom
>>> x, y = Atom("x"), Atom("y")
>>> print(ln(1 + exp(x)) - y * x)
ln (1 + eˣ) − y ⊙ x
>>> print(choice(x, less(0, x), 0.01 * x).latex())
x \text{ if } 0 < x \text{ else } 0.01 x
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.notation.expressions import (
    Along,
    Atom,
    Call,
    Choice,
    Computed,
    Contracted,
    Expr,
    Fence,
    Listing,
    Number,
    Picked,
    Power,
    Prefix,
    Product,
    Quotient,
    Reduced,
    Relation,
    Script,
    Spread,
    Transposed,
    Written,
    as_expr,
)

_E = Atom("e")
_MEAN = Atom(r"\operatorname{mean}", "mean")
_SUM, _PRODUCT = Atom(r"\sum", "∑"), Atom(r"\prod", "∏")
_MAX, _MIN = Atom(r"\max", "max"), Atom(r"\min", "min")


def exp(x: Expr) -> Expr:
    """eˣ."""
    return Power(_E, x)


def ln(x: Expr) -> Expr:
    """The natural logarithm."""
    return Prefix(Atom(r"\ln", "ln"), x)


def tanh(x: Expr) -> Expr:
    """tanh x."""
    return Prefix(Atom(r"\tanh", "tanh"), x)


def sin(x: Expr) -> Expr:
    """sin x."""
    return Prefix(Atom(r"\sin", "sin"), x)


def cos(x: Expr) -> Expr:
    """cos x."""
    return Prefix(Atom(r"\cos", "cos"), x)


def sigmoid(x: Expr) -> Expr:
    """σ(x)."""
    return Call(Atom(r"\sigma", "σ"), (x,))


def distribution(x: Expr) -> Expr:
    """Φ(x), of the normal distribution."""
    return Call(Atom(r"\Phi", "Φ"), (x,))


def density(x: Expr) -> Expr:
    """φ(x), of the normal distribution."""
    return Call(Atom(r"\phi", "φ"), (x,))


def named(name: str, *arguments: Expr) -> Expr:
    """A function with a name: sign x, atan2(y, x)."""
    head = Atom(rf"\operatorname{{{name}}}", name)
    if len(arguments) == 1:
        return Prefix(head, arguments[0])
    return Call(head, arguments)


def applied(name: str, *arguments: Expr) -> Expr:
    """A function with a name and parentheses: softmax(x)."""
    return Call(Atom(rf"\operatorname{{{name}}}", name), arguments)


def softmax(x: Expr, axis: int = -1) -> Expr:
    """softmax(x) along an axis."""
    return Along(Atom(r"\operatorname{softmax}", "softmax"), (x,), axis=axis)


def log_softmax(x: Expr, axis: int = -1) -> Expr:
    """ln softmax(x) along an axis."""
    return Prefix(Atom(r"\ln", "ln"), softmax(x, axis))


def root(x: Expr) -> Expr:
    """√x."""
    return Fence(Atom(r"\sqrt{", "√("), x, Atom("}", ")"))


def absolute(x: Expr) -> Expr:
    """|x|."""
    return Fence(Atom("|"), x, Atom("|"))


def floor(x: Expr) -> Expr:
    """⌊x⌋."""
    return Fence(Atom(r"\lfloor", "⌊"), x, Atom(r"\rfloor", "⌋"))


def larger(a: Written, b: Written) -> Expr:
    """max(a, b)."""
    return Call(_MAX, (as_expr(a), as_expr(b)))


def smaller(a: Written, b: Written) -> Expr:
    """min(a, b)."""
    return Call(_MIN, (as_expr(a), as_expr(b)))


# -- conditions ------------------------------------------------------------------------


def _relation(sign: Atom) -> Callable[[Written, Written], Expr]:
    return lambda a, b: Relation((as_expr(a), as_expr(b)), (sign,))


less = _relation(Atom("<"))
more = _relation(Atom(">"))
equals = _relation(Atom("="))
at_least = _relation(Atom(r"\ge", "≥"))


def bracket(condition: Expr) -> Expr:
    """[a < b]: 1 where it holds, else 0."""
    return Fence(Atom("["), condition, Atom("]"))


def choice(a: Written, condition: Expr, b: Written) -> Expr:
    """a if the condition holds, else b."""
    words = [Atom(rf"\text{{ {word} }}", word) for word in ("if", "else")]
    return Choice((as_expr(a), condition, as_expr(b)), tuple(words))


# -- over axes -------------------------------------------------------------------------


def total(x: Expr, over: tuple[int, ...] | None = None, *, keep: bool = True) -> Expr:
    """∑ x over some axes, or over all."""
    return Reduced(_SUM, x, "wide", over, keep)


def product(x: Expr, over: tuple[int, ...] | None = None, *, keep: bool = True) -> Expr:
    """∏ x over some axes, or over all."""
    return Reduced(_PRODUCT, x, "wide", over, keep)


def mean(x: Expr, over: tuple[int, ...] | None = None, *, keep: bool = True) -> Expr:
    """The mean of x over some axes, or over all."""
    return Reduced(_MEAN, x, "", over, keep)


def variance(x: Expr, over: tuple[int, ...] | None = None) -> Expr:
    """The variance of x over some axes, or over all."""
    head = Atom(r"\operatorname{var}", "var")
    return Reduced(head, x, "", over)


def largest(x: Expr, over: tuple[int, ...] | None = None, *, keep: bool = True) -> Expr:
    """The largest of x over some axes, or over all."""
    return Reduced(_MAX, x, "", over, keep)


def picked(x: Expr, label: Expr) -> Expr:
    """x_y: of each column the element that its label names."""
    return Picked(x, label)


def margins(z: Expr, y: Expr, margin: float, p: int) -> Expr:
    """The mean over the classes of max(0, m + zᵢ − z_y)ᵖ, without that of y itself."""
    gaps = larger(0, margin + z - Spread(picked(z, y), axes=(0,), rank=2))
    powers = gaps if p == 1 else gaps**p
    own = Number(float(margin)) if p == 1 else Number(float(margin)) ** p
    classes = total(z**0, (1,), keep=False)
    return (total(powers, (1,), keep=False) - own) / classes


def by(factor: Expr, x: Expr) -> Expr:
    """A number times x, without a sign between them."""
    return Product("scale", (factor, x))


# -- for the eye -----------------------------------------------------------------------
# Whoever writes them fills in how their numbers are computed.


def shown(e: Expr, *arguments: Expr) -> Expr:
    """Something that does not say all by how it is written."""
    return Computed(e, arguments)


def moved(name: str, *arguments: Expr) -> Expr:
    """A function of whole arrays: pad(x), concat(x, y)."""
    return shown(applied(name, *arguments), *arguments)


def of_one(written: Callable[[Expr], Expr]) -> Callable[..., Expr]:
    """The formula of a function of one input."""
    return written


def function(name: str) -> Callable[..., Expr]:
    """The formula of a function of whole arrays."""

    def written(*inputs: Expr, **_: Any) -> Expr:
        return moved(name, *inputs)

    return written


def elementwise(name: str) -> Callable[..., Expr]:
    """The formula of a function of elements: and(x, y)."""

    def written(*inputs: Expr) -> Expr:
        return applied(name, *inputs)

    return written


def symbol(name: str) -> Callable[..., Expr]:
    """The formula of what has a letter alone."""

    def written(**_: Any) -> Expr:
        return shown(letter(name))

    return written


def passed(x: Expr, holds: Expr, **_: Any) -> Expr:
    """x itself."""
    del holds
    return x


def convolution(x: Expr, kernel: Expr, **_: Any) -> Expr:
    """W ∗ x."""
    return shown(Product("conv", (kernel, x)), x, kernel)


def one_number(*, value: tuple[Any, ...], **_: Any) -> Expr:
    """The number that an array consists of, or c."""
    return Number(float(value[0])) if len(set(value)) == 1 else shown(Atom("c"))


def at(x: Expr, i: Expr, *, axis: int = 0) -> Expr:
    """x[i]."""
    del axis
    return shown(Call(x, (i,), "[]"), x, i)


def added_at(x: Expr, i: Expr, u: Expr, *, axis: int = 0) -> Expr:
    """x with u added at i."""
    del axis
    sign = Atom(r"\mathrel{+}=", "+=")
    return shown(Relation((Call(x, (i,), "[]"), u), (sign,)), x, i, u)


def block(x: Expr, *starts: Expr, sizes: tuple[Any, ...]) -> Expr:
    """A block of x from where the starts say."""
    parts = [s if n == 1 else _range(s, n) for s, n in zip(starts, sizes)]
    return shown(Call(x, tuple(parts), "[]"), x, *starts)


def _range(start: Expr, size: Any) -> Expr:
    end = start + size if isinstance(size, int) else start
    return Relation((start, end), (Atom(":"),))


def replaced(x: Expr, u: Expr, *starts: Expr) -> Expr:
    """x with a block of it replaced by u."""
    sign = Atom(r"\leftarrow", "←")
    return shown(Relation((Call(x, starts, "[]"), u), (sign,)), x, u, *starts)


def sliced(x: Expr, *, starts: Any, stops: Any, strides: Any) -> Expr:
    """x[1:3, ::2]."""
    parts: list[str] = []
    for start, stop, step in zip(starts, stops, strides):
        first = str(start) if start else ""
        whole = f"{first}:{_size(stop)}"
        parts.append(whole if step == 1 else f"{whole}:{step}")
    return shown(Call(x, tuple(map(Atom, parts)), "[]"), x)


def permuted(x: Expr, axes: tuple[int, ...]) -> Expr:
    """x with its axes in another order."""
    order = Atom("".join(str(a + 1) for a in axes))
    head = Script(Atom(r"\operatorname{permute}", "permute"), below=order)
    return shown(Call(head, (x,)), x)


def reshaped(x: Expr, shape: tuple[Any, ...]) -> Expr:
    """x in another shape."""
    sizes = [_size(d) for d in shape]
    mark = Atom(r" \times ".join(sizes) or "1", "×".join(sizes) or "1")
    head = Script(Atom(r"\operatorname{reshape}", "reshape"), below=mark)
    return shown(Call(head, (x,)), x)


def _size(dim: Any) -> str:
    """A size; the number of samples is n."""
    if isinstance(dim, int):
        return str(dim)
    return repr(dim).replace("*", "").replace("N", "n")


def contracted(x: Expr, y: Expr, *, dims: str, **_: Any) -> Expr:
    """∑ₖ xᵢₖ yₖⱼ."""
    operands, out = dims.split("->")
    first, last = operands.split(",")
    return Contracted((x, y), (first, last), out)


def window(word: str) -> Callable[..., Expr]:
    """The formula of the largest or the sum of each window."""

    def written(x: Expr, **attrs: Any) -> Expr:
        sizes = attrs.get("sizes", attrs.get("window", ()))
        head: Expr = Atom(rf"\operatorname{{{word}pool}}", f"{word}pool")
        if sizes:
            mark = r" \times ".join(map(str, sizes)), "×".join(map(str, sizes))
            head = Script(head, below=Atom(*mark))
        return shown(Call(head, (x,)), x)

    return written


def pulled_back(g: Expr, x: Expr, **_: Any) -> Expr:
    """Jᵀg, through a mean and a variance."""
    hat = Script(Atom("J"), below=letter("x^"))
    return shown(Product("dot", (Transposed(hat), g)), g, x)


def wave(x: Expr) -> Expr:
    """√(2/π) x."""
    return Product("scale", (root(Quotient(Number(2), Atom(r"\pi", "π"))), x))


def steps(*parts: tuple[str, Expr] | Expr) -> Expr:
    """Named results after each other, such as the steps of an optimiser; last the one.

    >>> from chainrule.notation.expressions import Atom
    >>> v = Atom("v")
    >>> print(steps(("v", 0.9 * v), Atom("θ") - v))
    v = 0.9v, θ − v
    """
    items: list[Expr] = []
    for part in parts:
        if isinstance(part, tuple):
            name, value = part
            items.append(Relation((letter(name), value), (Atom("="),)))
        else:
            items.append(part)
    return Listing(tuple(items)) if len(items) > 1 else items[0]


_GREEK = {
    "θ": r"\theta", "η": r"\eta", "μ": r"\mu", "β": r"\beta", "ε": r"\varepsilon",
    "λ": r"\lambda", "ρ": r"\rho", "α": r"\alpha", "δ": r"\delta", "γ": r"\gamma",
}  # fmt: skip


def letter(name: str) -> Atom:
    """A letter, Latin or Greek; with a hat where ``^`` stands behind it: m^ is m̂."""
    bare = name.removesuffix("^")
    source = _GREEK.get(bare, bare)
    if bare == name:
        return Atom(source, bare)
    hats = {"m": "m̂", "v": "v̂", "x": "x̂", "y": "ŷ", "z": "ẑ"}
    return Atom(rf"\hat{{{source}}}", hats.get(bare, bare + "̂"))
