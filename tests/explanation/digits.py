"""The numbers of a page as a reader has them: the digits that are printed, no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.explanation import Explanation
from chainrule.explanation.page import off
from chainrule.explanation.parts import paper
from chainrule.explanation.typeset import is_small
from chainrule.html.arrays import TABLE, spelled
from chainrule.notation.arithmetic import COLUMNS, Quantity, computed
from chainrule.notation.expressions import Array, Expr
from chainrule.notation.within import holds


def unit(text: str) -> float:
    """One in the last digit that is printed; 0 for a bare zero, which is exact."""
    if text == "0":
        return 0.0
    mantissa, _, exponent = text.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def printed(e: Explanation, name: Expr, *, result: bool = True) -> tuple[Array, Array]:
    """The numbers of a symbol as they are printed on paper, and their last digits.

    Of a large array its corner; of one with more axes than two nothing is printed.
    """
    array = seen(paper(e.numbers[name]))
    wrong = off(e, name) if result else None
    if array.dtype.kind in "biu" or not array.size:
        return array.astype(float), np.zeros(array.shape)
    cells = np.array(spelled(array, off=None if wrong is None else seen(wrong)))
    units = np.vectorize(unit, otypes=[float])(cells)
    return cells.astype(float).reshape(array.shape), units.reshape(array.shape)


def seen(array: Array) -> Array:
    """What is printed of an array."""
    if array.ndim > 2:
        return array[:0]
    return array if max(array.shape, default=1) <= TABLE else array[:4, :5]


def on_paper(e: Explanation, name: Expr, value: Array) -> Array:
    """What a formula comes to, in the shape in which its name stands on paper."""
    held = e.numbers[name]
    if value.size == held.array.size:
        value = value.reshape(held.array.shape)
    value = np.broadcast_to(value, held.array.shape).astype(float)
    return paper(Quantity(value, held.kind))


def distance(a: Array, b: Array) -> Array:
    """Between numbers; of equal infinities 0."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, np.abs(a - b))


def faults_of_page(e: Explanation) -> list[str]:
    """The equations whose sides differ beyond the digits that are printed."""
    found: list[str] = []
    for each in e.equations():
        side = each.sides[-1]
        if each.name not in e.numbers or side in e.numbers or len(each.sides) < 2:
            continue
        shown, units = printed(e, each.name)
        wanted = seen(on_paper(e, each.name, computed(side, e.numbers)))
        gap = distance(shown, wanted)
        allowed = units * (1 + 1e-9) + np.finfo(np.float32).tiny
        if not np.all((gap <= allowed) | ~np.isfinite(wanted)):
            found.append(f"{each.text()}: off by {np.max(gap - allowed)}")
        if is_small(paper(e.numbers[each.name])):
            found += worked(e, each.name, side, shown, units)
    return found


def worked(
    e: Explanation, name: Expr, side: Expr, shown: Array, units: Array
) -> Iterator[str]:
    """A side with its numbers in place, worked out from the digits of these."""
    arrays = {symbol: paper(q) for symbol, q in e.numbers.items()}
    pieces = [p for p in side.pieces(arrays) if not isinstance(p, str)]
    if not pieces or not all(map(is_small, pieces)):
        return
    names = [symbol for symbol in e.numbers if holds(side, symbol)]
    if not all(is_small(paper(e.numbers[symbol])) for symbol in names):
        return
    given: dict[Expr, Quantity] = {}
    last: dict[Expr, Array] = {}
    for symbol in names:
        q = e.numbers[symbol]
        if q.array.dtype.kind != "f":
            given[symbol], last[symbol] = q, np.zeros(q.array.shape)
            continue
        digits, places = printed(e, symbol, result=False)
        turned = q.array.ndim == 2 and q.kind == COLUMNS
        shape = q.array.shape
        given[symbol] = Quantity(
            (digits.T if turned else digits).reshape(shape), q.kind
        )
        last[symbol] = (places.T if turned else places).reshape(shape)
    base = on_paper(e, name, computed(side, given)).astype(float)
    room = np.zeros(base.shape)
    for symbol, places in last.items():
        for index in map(tuple, np.argwhere(places)):
            ends = []
            for sign in (-1, 1):
                moved = given[symbol].array.astype(float)
                moved[index] += sign * places[index] / 2
                other = given | {symbol: Quantity(moved, given[symbol].kind)}
                ends.append(distance(on_paper(e, name, computed(side, other)), base))
            room += np.maximum(*ends)
    gap = distance(base, shown)
    if not np.all((gap <= 1.5 * room + units + 1e-30) | ~np.isfinite(base)):
        yield f"{name.text()} = {side.text()} in digits: off by {gap.max()}"
