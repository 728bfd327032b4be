r"""Mathematical expressions as MathML, which browsers show without scripts.

>>> from chainrule.notation.functions import symbol
>>> print(mathml(symbol("a") / symbol("b")))
<math><mrow><mi>a</mi><mo>/</mo><mi>b</mi></mrow></math>
>>> print(mathml(symbol("ŷ") ** 2))
<math><msup><mover><mi>y</mi><mo>^</mo></mover><mn>2</mn></msup></math>

Parentheses stand where :meth:`~chainrule.notation.expressions.Expr.latex` has them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from html import escape
from typing import Any

from chainrule.notation.expressions import (
    ODOT,
    PREFIX,
    PRODUCT,
    RELATION,
    SCRIPT,
    SIGNS,
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
    Reduced,
    Relation,
    Script,
    Span,
    Spread,
    Sum,
    Transposed,
    beside,
)
from chainrule.text import _

#: Marks above letters, as they combine in Unicode and as MathML wants them.
_ACCENTS = {"\u0302": "^", "\u0304": "¯", "\u0303": "~", "\u0307": "˙"}
#: Signs that are operators where they stand alone.
_OPERATORS = frozenset("∑∏∇∂=<>≤≥+−⊙∗:←′¬⊤") | {"+="}
#: What has letters below it, and not beside it.
_LIMITS = frozenset({"∑", "∏", "max", "min", "argmax", "argmin"})
#: What stands, unseen, between factors, and between a function and its argument.
_TIMES, _OF = "<mo>&#x2062;</mo>", "<mo>&#x2061;</mo>"
#: What TeX has between a function and an argument without parentheses.
_SPACE = '<mspace width=".17em"></mspace>'


def mathml(e: Expr, *, display: bool = False) -> str:
    """Return a mathematical expression as a MathML ``<math>`` element.

    Args:
        e: the expression.
        display: whether it stands on a line of its own.
    """
    return equation((e,), display=display)


def equation(sides: tuple[Expr, ...], *, display: bool = True, sign: str = "=") -> str:
    """Return an equation as one MathML ``<math>`` element.

    Args:
        sides: the expressions.
        display: whether they stand on a line of their own.
        sign: what stands between the first two.

    >>> from chainrule.notation.functions import symbol
    >>> print(equation((symbol("z"), symbol("x") + 1), display=False))
    <math><mrow><mi>z</mi><mo>=</mo><mrow><mi>x</mi><mo>+</mo><mn>1</mn></mrow></mrow></math>
    """
    block = ' display="block"' if display else ""
    name, *rest = [_of(side) for side in sides]
    inner = _row(name, *([_mo(sign), *_between("=", rest)] if rest else []))
    return f"<math{block}>{inner}</math>"


def _of(e: Expr) -> str:
    for kind, write in _WRITERS:
        if isinstance(e, kind):
            return write(e)
    raise TypeError(_("{kind} has no MathML", kind=type(e).__name__))


def _row(*parts: str) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _mo(sign: str) -> str:
    return f"<mo>{escape(sign)}</mo>"


def _between(sign: str, parts: list[str]) -> list[str]:
    items = parts[:1]
    for part in parts[1:]:
        items += [_mo(sign), part]
    return items


def _fenced(inner: str, fence: str = "()") -> str:
    return _row(_mo(fence[0]), inner, _mo(fence[1]))


def _within(e: Expr, level: int) -> str:
    """Return an expression in MathML, in parentheses if its precedence is low."""
    return _of(e) if e.level >= level else _fenced(_of(e))


# -- symbols ---------------------------------------------------------------------------


def _atom(e: Atom) -> str:
    text = e.text()
    if text in _OPERATORS:
        return _mo(text)
    if text.replace(".", "", 1).isdecimal():
        return f"<mn>{text}</mn>"
    if text.startswith("∇_"):
        below, __, rest = text[2:].partition(" ")
        below = f"<msub>{_mo('∇')}{_atom(Atom(below))}</msub>"
        return _row(below, *([_atom(Atom(rest))] if rest else []))
    apart = unicodedata.normalize("NFD", text)
    if len(apart) == 2 and apart[1] in _ACCENTS:
        letter = f"<mi>{escape(apart[0])}</mi>"
        return f"<mover>{letter}<mo>{escape(_ACCENTS[apart[1]])}</mo></mover>"
    if not text.isalnum() and not text.replace("_", "").isalnum():
        return f"<mtext>{escape(text)}</mtext>"
    return f"<mi>{escape(text)}</mi>"


def _number(e: Number) -> str:
    sign, mantissa, exponent = e.digits()
    parts = [_mo(sign)] if sign else []
    if mantissa:
        tag = "mn" if mantissa[0].isnumeric() else "mi"
        parts.append(f"<{tag}>{mantissa}</{tag}>")
    if exponent:
        digits = f"<mn>{exponent.removeprefix('−')}</mn>"
        raised = _row(_mo("−"), digits) if exponent[0] == "−" else digits
        parts += [_mo("·")] if mantissa else []
        parts.append(f"<msup><mn>10</mn>{raised}</msup>")
    return _row(*parts)


def _script(e: Script) -> str:
    base = _within(e.base, e.need())
    below = _of(e.below) if e.below else ""
    turned = isinstance(e, Transposed)
    above = _mo("⊤") if turned else _of(e.above) if e.above else ""
    if above and below:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    if above:
        return f"<msup>{base}{above}</msup>"
    return f"<msub>{base}{below}</msub>" if below else base


# -- sums, products, quotients ---------------------------------------------------------


def _sum(e: Sum) -> str:
    parts: list[str] = []
    for i, (sign, term) in enumerate(e.terms):
        parts += [_mo("−" if sign < 0 else "+")] if sign < 0 or i else []
        parts.append(_within(term, ODOT))
    return _row(*parts)


def _product(e: Product) -> str:
    written = [_within(f, n) for f, n in zip(e.factors, e.needs())]
    if e.kind in SIGNS:
        return _row(*_between(SIGNS[e.kind][2], written))
    parts = written[:1]
    for factor, part in zip(e.factors[1:], written[1:]):
        digit = factor.level >= PREFIX and factor.text()[:1].isdigit()
        parts += [_mo("·") if digit else _TIMES, part]
    return _row(*parts)


def _quotient(e: Quotient) -> str:
    if e.bar:
        return f"<mfrac>{_of(e.top)}{_of(e.bottom)}</mfrac>"
    bottom = _within(e.bottom, beside(e.bottom, PREFIX))
    return _row(_within(e.top, PRODUCT), _mo("/"), bottom)


# -- functions and brackets ------------------------------------------------------------


def _prefix(e: Prefix) -> str:
    sign = isinstance(e.head, Atom) and e.head.text() in _OPERATORS
    wide = e.reach == "wide" or sign
    inner = _within(e.argument, e.need())
    fenced = inner.startswith(f"<mrow>{_mo('(')}")
    between = [] if wide else [_OF] if fenced else [_OF, _SPACE]
    return _row(_head(e.head), *between, inner)


def _reduced(e: Reduced) -> str:
    if e.reach != "call":
        return _prefix(e)
    return _row(_head(e.head), _OF, _fenced(_of(e.argument)))


def _head(head: Expr) -> str:
    """Return an operator in MathML; limits of ∑ or max are written below it."""
    if isinstance(head, Script) and head.below and head.base.text() in _LIMITS:
        return f"<munder>{_of(head.base)}{_of(head.below)}</munder>"
    return _of(head)


def _call(e: Call) -> str:
    inner = _row(*_between(",", [_of(a) for a in e.arguments])) if e.arguments else ""
    between = [_OF] if e.fence == "()" else []
    return _row(_within(e.head, SCRIPT), *between, _fenced(inner, e.fence))


def _fence(e: Fence) -> str:
    left, right = e.left.text(), e.right.text()
    if left.startswith("√"):
        return f"<msqrt>{_of(e.inner)}</msqrt>"
    return _fenced(_of(e.inner), left + right)


# -- relations and listings ------------------------------------------------------------


def _relation(e: Relation) -> str:
    parts = [_within(e.items[0], SUM)]
    for sign, item in zip(e.signs, e.items[1:]):
        parts += [_mo(sign.text()), _within(item, SUM)]
    return _row(*parts)


def _choice(e: Choice) -> str:
    parts = [_within(e.items[0], SUM)]
    for i, (word, item) in enumerate(zip(e.signs, e.items[1:]), 1):
        parts.append(f"<mtext>&#xa0;{word.text()}&#xa0;</mtext>")
        parts.append(_within(item, e.need(i)))
    return _row(*parts)


def _listing(e: Listing) -> str:
    return _row(*_between(",", [_of(item) for item in e.items]))


def _span(e: Span) -> str:
    parts: list[str] = []
    for i, end in enumerate((e.start, e.stop)):
        parts += [_mo(":")] if i else []
        parts += [_within(end, RELATION)] if end else []
    parts += [_mo(":"), f"<mn>{e.stride}</mn>"] if e.stride != 1 else []
    return _row(*parts)


_Write = Callable[[Any], str]
#: Special kinds stand before the kinds that they are kinds of.
_WRITERS: tuple[tuple[type[Expr], _Write], ...] = (
    (Number, _number),
    (Atom, _atom),
    (Spread, lambda e: _script(e) if e.below else _of(e.base)),
    (Script, _script),
    (Sum, _sum),
    (Product, _product),
    (Quotient, _quotient),
    (Reduced, _reduced),
    (Prefix, _prefix),
    (Call, _call),
    (Fence, _fence),
    (Choice, _choice),
    (Relation, _relation),
    (Listing, _listing),
    (Span, _span),
    (Contracted, lambda e: _of(e.written())),
    (Computed, lambda e: _of(e.shown)),
)
