"""What arguments may be: numbers in a range, truth values, choices; checked alike.

A check takes the name of an argument and its value. It gives the value as it is to be
kept, or refuses it; ``{}`` in ``what``, the error's sentence, is the name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, nearest

Check = Callable[[str, Any], Any]


def refused(name: str, value: Any, what: str, expected: str) -> ArgumentError:
    """The error for an argument of another kind, or out of its range."""
    got = f"{name}={value!r:.80}"
    return ArgumentError(what.replace("{}", name), expected=expected, got=got)


def real(value: Any) -> float:
    """A real number as a float, anything else as NaN, which no range has in it.

    >>> real(np.float32(0.5)), real(True), real(10**400)
    (0.5, nan, inf)
    """
    if isinstance(value, bool) or not issubclass(type(value), Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    infinite: bool = False,
    what: str = "{} must be a finite number.",
) -> float:
    """``value`` as a finite number within limits; ∞ too where that is said.

    >>> number("p", 0.5, least=0, below=1)
    0.5
    """
    made = real(value)
    inside = least <= made <= most and above < made < below
    if inside or (infinite and made == math.inf):
        return made
    low = f" ≥ {least:g}" if least > -math.inf else ""
    low = f" > {above:g}" if above > -math.inf else low
    high = f" ≤ {most:g}" if most < math.inf else ""
    high = f" < {below:g}" if below < math.inf else high
    if low and high:  # 0 ≤ p < 1
        sign, limit = low.split()
        expected = f"{limit} {'≤' if sign == '≥' else '<'} {name}{high}"
    else:
        expected = f"{name}{low or high or ' = 0.1'}"
    raise refused(name, value, what, expected)


def whole(
    name: str,
    value: Any,
    *,
    least: int | None = 1,
    what: str = "{} must be a whole number.",
) -> int:
    """``value`` as an integer of at least ``least``; NumPy's will do."""
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not good or (least is not None and value < least):
        limit = "" if least is None else f", {name} ≥ {least}"
        raise refused(name, value, what, "an integer" + limit)
    return int(value)


def count(name: str, value: Any) -> int:
    """``value`` as an integer of at least 0."""
    return whole(name, value, least=0)


def truth(name: str, value: Any, *, what: str = "{} is either on or off.") -> bool:
    """``value`` as True or False; NumPy's will do."""
    if not isinstance(value, bool | np.bool_):
        raise refused(name, value, what, f"{name}=True or {name}=False")
    return bool(value)


def text(name: str, value: Any, *, what: str = "{} must be a text.") -> str:
    """``value``, which is a text."""
    if not isinstance(value, str):
        raise refused(name, value, what, "a text")
    return value


def choice(*known: str) -> Check:
    """A check for one of these names."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ArgumentError(
                f"{name} has no such choice.",
                expected=" or ".join(f"{name}={k!r}" for k in known),
                got=f"{name}={value!r:.80}",
                fix=did_you_mean(value, known),
            )
        return value

    return check


def maybe(check: Check) -> Check:
    """A check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def known_names(what: str, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones, with the nearest of them."""
    known = list(known)
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"{what} called {name!r} is not known.",
                expected="one of " + ", ".join(known),
                got=repr(name),
                fix=did_you_mean(name, known),
            )


def did_you_mean(
    name: Any, known: Iterable[str], otherwise: str | None = None
) -> str | None:
    """The fix for a name that is not known: the nearest one that is."""
    near = nearest(name, known) if isinstance(name, str) else None
    return f"did you mean {near!r}?" if near else otherwise
