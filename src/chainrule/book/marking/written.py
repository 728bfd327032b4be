"""A student's written answers: numbers with their significant digits.

A number that was rounded is right where it cannot be told from the right one:

- it counts to as many significant digits as were written, but to at least 3 (a zero at
  the end is often left out) and to at most 6 (short floats know no more);
- where a sheet goes to 3 decimals or more, a half of its last decimal is allowed too
  (whoever rounds to 4 decimals writes 0.0012);
- what is right to its own digits, and has fewer than that, is *short*: right, with a
  remark.

>>> read("z1", ["0.70", "-1.25"]).values
array([ 0.7 , -1.25])
>>> read("z1", [0.7311, 2]).resolution(4)
array([5.e-05, 5.e-03])
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, NonFiniteError, ShapeError
from chainrule.notation.expressions import Array
from chainrule.tensor import Tensor
from chainrule.text import _, ngettext

#: Significant digits to which a number counts at least, and at most.
FEWEST, MOST = 3, 6
#: Fewer decimals than these say nothing about how a sheet was rounded.
DECIMALS = 3
BLANKS = ("", "?", "_", "…")
_FORM = r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d{1,3})?"
_NUMBER = re.compile(_FORM, re.IGNORECASE | re.ASCII)
_FRACTION = re.compile(r"[+-]?\d{1,15}/(?=0*[1-9])\d{1,15}", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
#: Other minus signs, among them the dash that word processors make of a hyphen, and
#: full-width characters as Chinese keyboards write them.
_WIDE = {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}
_PLAIN = str.maketrans(dict.fromkeys("−–‐‑", "-") | _WIDE)
#: Digits of what is known exactly, such as 1/3.
_EXACT = 99


@dataclass(frozen=True, eq=False)
class Written:
    """The numbers of a student's written answer, with their digits and decimals.

    Attributes:
        values: its numbers, in the shape that was written.
        digits: how many significant digits each has; 0 for a zero.
        decimals: how many decimals each has.
    """

    values: Array
    digits: Array
    decimals: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The array shape of a student's written answer."""
        return self.values.shape

    def reshaped(self, shape: tuple[int, ...]) -> Written:
        """Return a student's written answer with another array shape."""
        return self._each(lambda array: array.reshape(shape))

    @property
    def T(self) -> Written:
        """A student's written answer, transposed."""
        return self._each(np.transpose)

    def divided(self, by: float) -> Written:
        """Return a written answer divided by a number, significant digits unchanged."""
        return Written(self.values / by, self.digits, self.decimals)

    def _each(self, change: Any) -> Written:
        return Written(change(self.values), change(self.digits), change(self.decimals))

    def resolution(self, decimals: int) -> Array:
        """Return the rounding error allowed for each number of a written answer.

        Args:
            decimals: of the whole sheet.
        """
        return resolution(self.values, np.clip(self.digits, FEWEST, MOST), decimals)

    def own_step(self) -> Array:
        """Return one unit in the last written digit of each number of an answer."""
        step = 10.0 ** -np.minimum(self.decimals, 300)
        large = 10.0 ** (magnitude(self.values) + 1 - np.maximum(self.digits, 1))
        known = self.digits < _EXACT
        return np.where((self.values != 0) & known, np.maximum(step, large), 0.0)


def magnitude(values: Array) -> Array:
    """Return the decimal exponent of the first digit of each number of an array."""
    sizes = np.where(values == 0, 1.0, np.abs(values))
    return np.floor(np.log10(sizes) + 1e-12)


def resolution(values: Array, digits: Array | int, decimals: int) -> Array:
    """Return half a unit in each number's last significant digit or last decimal."""
    half = 0.5 * 10.0 ** (magnitude(values) + 1 - digits)
    half = np.where(values == 0, 0.0, half)
    if DECIMALS <= decimals < 300:
        half = np.maximum(half, 0.5 * 10.0**-decimals)
    return half


def read(name: str, answer: Any) -> Written | None:
    """Return a student's answer parsed from numbers or texts, or None if it is blank.

    Raises:
        DTypeError: for what is no number.
        NonFiniteError: for NaN and infinity.
        ShapeError: for rows of unequal lengths.
        ArgumentError: where some numbers are filled in and others are not.
    """
    if isinstance(answer, Tensor):
        answer = answer.numpy()
    if not isinstance(answer, (str, bytes)) and hasattr(answer, "__array__"):
        answer = np.asarray(answer)
    flat: list[tuple[float, int, int] | None] = []
    shape = _walk(name, answer, (), flat)
    if all(leaf is None for leaf in flat):
        return None
    if any(leaf is None for leaf in flat):
        raise ArgumentError(
            _("{name} is not filled in to the end.", name=name),
            expected=ngettext("{n} number", "{n} numbers", n=len(flat)),
            got=_("{blank} of them blank", blank=flat.count(None)),
            fix=_("fill in all of it, or leave all of it blank"),
        )
    columns = list(zip(*[leaf for leaf in flat if leaf is not None], strict=True))
    values = np.array(columns[0], np.float64).reshape(shape)
    digits, decimals = (np.array(c, np.int64).reshape(shape) for c in columns[1:])
    return Written(values, digits, decimals)


def _walk(name: str, answer: Any, at: tuple[int, ...], flat: list[Any]) -> Any:
    """Return the shape of a nested list of numbers; append the numbers to ``flat``."""
    if not isinstance(answer, (list, tuple, np.ndarray)) or _is_single(answer):
        flat.append(_leaf(name, answer, at))
        return ()
    deep = len(at) > 3
    each = () if deep else enumerate(answer)
    shapes = {_walk(name, item, (*at, i), flat) for i, item in each}
    if len(shapes) != 1:
        raise ShapeError(
            _("{name} has rows of unequal lengths, or none.", name=name),
            expected=_("a number, a list, or rows of equal length"),
            got=f"{answer!r:.80}",
        )
    return (len(answer), *shapes.pop())


def _is_single(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.ndim == 0


def _leaf(name: str, item: Any, at: tuple[int, ...]) -> tuple[float, int, int] | None:
    """Return value, significant digits and decimals of a written number, or None."""
    if _is_single(item):
        item = item[()]
    if item is None or (isinstance(item, str) and item.strip() in BLANKS):
        return None
    place = f"{name}{list(at) if at else ''}"
    text = _spelled(item)
    if text is not None and text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise NonFiniteError(
            _("An answer is a number."),
            expected=_("finite numbers"),
            got=f"{place} = {text}",
            fix=_("leave it blank where you have none"),
        )
    if text is not None and _FRACTION.fullmatch(text):
        return float(Fraction(text)), _EXACT, _EXACT
    if text is None or not _NUMBER.fullmatch(text):
        raise DTypeError(
            _("{name} must be numbers.", name=name),
            expected=_("numbers such as 0.7311 or -1.5e-3"),
            got=f"{place} = {item!r:.60}",
            fix=_("a decimal point is a point: 0.5, not 0,5")
            if text is not None and _COMMA.fullmatch(text)
            else None,
        )
    exact = Decimal(text.replace("_", ""))
    if abs(exact) > Decimal("1e300"):
        raise NonFiniteError(
            _("An answer is a number."),
            expected=_("finite numbers"),
            got=f"{place} = {text}",
        )
    __, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    return float(exact), len(digits) if exact else 0, max(-exponent, 0)


def _spelled(item: Any) -> str | None:
    """Return the shortest text of a written number, or None if it is not a number."""
    if isinstance(item, (bool, np.bool_)):
        return None
    if isinstance(item, str):
        return item.strip().translate(_PLAIN)
    if isinstance(item, (int, float, Decimal, np.integer, np.floating)):
        return str(item)
    return None


def decimals_of(answers: Iterable[Written]) -> int:
    """Return the largest number of decimals in a student's answers; 99 if fractions."""
    return max([int(w.decimals.max()) for w in answers if w.values.size], default=0)


def digits_of(answers: Iterable[Written]) -> int:
    """Return the median number of significant digits of a student's answers."""
    most = _most(answers)
    return most[len(most) // 2] if most else MOST


def coarsest_of(answers: Iterable[Written]) -> int:
    """Return the significant digits of a student's answer that has the fewest."""
    return min(_most(answers), default=MOST)


def _most(answers: Iterable[Written]) -> list[int]:
    """Return the largest number of digits in each answer of a student, sorted."""
    digit_counts = [int(w.digits.max()) for w in answers if w.values.size]
    return sorted(min(max(digits, FEWEST), MOST) for digits in digit_counts)
