"""Expressions as MathML, which browsers and notebooks set without any script.

>>> from chainrule.notation.expressions import Atom
>>> print(mathml(Atom("a") / Atom("b")))
<math><mrow><mi>a</mi><mo>/</mo><mi>b</mi></mrow></math>
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

from chainrule.notation.expressions import (
    ATOM,
    ODOT,
    PREFIX,
    PRODUCT,
    SCRIPT,
    SUM,
    Atom,
    Call,
    Choice,
    Computed,
    Contracted,
    Expr,
    Fence,
    Listing,
    Number,
    Prefix,
    Product,
    Quotient,
    Relation,
    Script,
    Spread,
    Sum,
)

_ACCENTS = {"\u0302": "^", "\u0304": "¯", "\u0307": "˙"}
_PRODUCTS = {"odot": "⊙", "conv": "∗"}
_OPERATORS = frozenset("∑∏∇∂=<>≤≥+−⊙∗:←′") | {"+="}


def mathml(e: Expr, *, display: bool = False) -> str:
    """An expression as a ``<math>`` element; ``display``: on a line of its own."""
    block = ' display="block"' if display else ""
    return f"<math{block}>{_of(e)}</math>"


def equation(sides: tuple[Expr, ...], *, display: bool = True) -> str:
    """Expressions with = between them."""
    block = ' display="block"' if display else ""
    return f"<math{block}><mrow>{'<mo>=</mo>'.join(map(_of, sides))}</mrow></math>"


def _of(e: Expr) -> str:
    for kind, write in _WRITERS:
        if isinstance(e, kind):
            return write(e)
    raise TypeError(f"{type(e).__name__} has no MathML")


def _row(*parts: str) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _mo(sign: str) -> str:
    return f"<mo>{escape(sign)}</mo>"


def _within(e: Expr, level: int) -> str:
    """``e``, in parentheses where it binds looser than ``level``."""
    inner = _of(e)
    return inner if e.level >= level else _row(_mo("("), inner, _mo(")"))


def _atom(e: Atom) -> str:
    text = e.shown or e.source
    if text in _OPERATORS:
        return _mo(text)
    if len(text) == 2 and text[1] in _ACCENTS:
        base, accent = text[0], _ACCENTS[text[1]]
        return f"<mover><mi>{escape(base)}</mi><mo>{accent}</mo></mover>"
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return f"<mn>{text}</mn>"
    variant = ' mathvariant="normal"' if len(text) > 1 else ""
    return f"<mi{variant}>{escape(text)}</mi>"


def _number(e: Number) -> str:
    (text,) = e.spell({})
    if text.startswith("−"):  # pyright: ignore
        return _row(_mo("−"), f"<mn>{text[1:]}</mn>")
    return f"<mn>{text}</mn>"


def _script(e: Script) -> str:
    raised = isinstance(e.base, Script) and e.base.above and e.above
    base = _within(e.base, ATOM if raised else SCRIPT)
    if e.above and e.below:
        return f"<msubsup>{base}{_of(e.below)}{_of(e.above)}</msubsup>"
    if e.above:
        return f"<msup>{base}{_of(e.above)}</msup>"
    return f"<msub>{base}{_of(e.below)}</msub>" if e.below else base


def _sum(e: Sum) -> str:
    parts: list[str] = []
    for i, (sign, term) in enumerate(e.terms):
        if sign < 0 or i:
            parts.append(_mo("−" if sign < 0 else "+"))
        parts.append(_within(term, ODOT))
    return _row(*parts)


def _product(e: Product) -> str:
    sign = _mo(_PRODUCTS[e.kind]) if e.kind in _PRODUCTS else "<mo>&#x2062;</mo>"
    parts: list[str] = []
    for i, (factor, need) in enumerate(zip(e.factors, e.needs())):
        parts += [sign] if i else []
        parts.append(_within(factor, need))
    return _row(*parts)


def _quotient(e: Quotient) -> str:
    if e.bar:
        return f"<mfrac>{_of(e.top)}{_of(e.bottom)}</mfrac>"
    return _row(_within(e.top, PRODUCT), _mo("/"), _within(e.bottom, PREFIX))


def _prefix(e: Prefix) -> str:
    need = ODOT if e.reach == "wide" else PREFIX
    gap = "" if e.reach == "tight" else '<mspace width="0.17em"/>'
    return _row(_of(e.head), gap, _within(e.argument, need))


def _call(e: Call) -> str:
    inner = _mo(",").join(map(_of, e.arguments))
    left, right = e.fence
    return _row(_within(e.head, SCRIPT), _mo(left), _row(inner), _mo(right))


def _fence(e: Fence) -> str:
    left, right = e.left.text(), e.right.text()
    if left.startswith("√"):
        return f"<msqrt>{_of(e.inner)}</msqrt>"
    return _row(_mo(left), _of(e.inner), _mo(right))


def _choice(e: Choice) -> str:
    a, condition, b = map(_of, e.items)
    words = [f"<mtext>&#xa0;{word}&#xa0;</mtext>" for word in ("if", "else")]
    return _row(a, words[0], condition, words[1], b)


def _relation(e: Relation) -> str:
    parts = [_within(e.items[0], SUM)]
    for sign, item in zip(e.signs, e.items[1:]):
        parts += [_mo(sign.text()), _within(item, SUM)]
    return _row(*parts)


def _listing(e: Listing) -> str:
    return _row("<mo>,</mo>".join(map(_of, e.items)))


_Write = Callable[[Any], str]
_WRITERS: tuple[tuple[type[Expr], _Write], ...] = (
    (Number, _number),
    (Spread, lambda e: _script(e) if e.below else _of(e.base)),
    (Script, _script),
    (Sum, _sum),
    (Product, _product),
    (Quotient, _quotient),
    (Prefix, _prefix),
    (Call, _call),
    (Fence, _fence),
    (Choice, _choice),
    (Relation, _relation),
    (Listing, _listing),
    (Contracted, lambda e: _of(e.written())),
    (Computed, lambda e: _of(e.shown)),
    (Atom, _atom),
)
