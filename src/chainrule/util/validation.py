"""Validation of arguments: numbers in a range, truth values, choices.

A check takes the name of an argument and its value. It gives the value as it is to be
kept, or refuses it. ``what`` is the error's sentence, in which ``{name}`` is the name
and ``{kind}`` whose argument it is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ArgumentError, nearest
from chainrule.text import _, joined
from chainrule.util.atomic_files import is_open

if TYPE_CHECKING:
    from pathlib import Path

Check = Callable[[str, Any], Any]


def refused(
    name: str,
    value: Any,
    what: str,
    expected: str,
    fix: str | None = None,
    kind: str = "",
) -> ArgumentError:
    """Return the error for a function's argument of wrong type or out of range."""
    got = f"{name}={value!r:.80}"
    what = _sentence(what, name, kind)
    return ArgumentError(what, expected=expected, got=got, fix=fix)


def _sentence(what: str, name: str, kind: str) -> str:
    return what.format(name=name, **({"kind": kind} if kind else {}))


def real(value: Any) -> float:
    """Return an argument as a float if it is a real number, else NaN.

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
    what: str = _("{name} must be a finite number."),
    kind: str = "",
    fix: str | None = None,
) -> float:
    """Check that an argument is a finite number within limits; return a float.

    ∞ is allowed with ``infinite``.

    >>> number("p", 0.5, least=0, below=1)
    0.5
    """
    result = real(value)
    inside = least <= result <= most and above < result < below
    if inside or (infinite and result == math.inf):
        return result
    low = f" ≥ {least:g}" if least > -math.inf else ""
    low = f" > {above:g}" if above > -math.inf else low
    high = f" ≤ {most:g}" if most < math.inf else ""
    high = f" < {below:g}" if below < math.inf else high
    if low and high:  # 0 ≤ p < 1
        sign, limit = low.split()
        expected = f"{limit} {'≤' if sign == '≥' else '<'} {name}{high}"
    else:
        expected = f"{name}{low or high or ' = 0.1'}"
    raise refused(name, value, what, expected, fix, kind)


def whole(
    name: str,
    value: Any,
    *,
    least: int | None = 1,
    most: int | None = None,
    what: str = _("{name} must be a whole number."),
    kind: str = "",
    fix: str | None = None,
) -> int:
    """Check that an argument is an integer within limits; return it as an int.

    NumPy's integers will do.
    """
    low = -math.inf if least is None else least
    high = math.inf if most is None else most
    if type(value) is int and low <= value <= high:  # what layers ask at every call
        return value
    result = int(value) if isinstance(value, Integral) else None
    if result is None or isinstance(value, bool) or not low <= result <= high:
        if most is not None:
            expected = _("an integer from {least} to {most}", least=least, most=most)
        elif least is not None:
            expected = _("an integer, {name} ≥ {least}", name=name, least=least)
        else:
            expected = _("an integer")
        raise refused(name, value, what, expected, fix, kind)
    return result


def seed(name: str, value: Any) -> int:
    """Check that an argument is a seed of random numbers; return it as an int."""
    return whole(
        name, value, least=0, most=2**64 - 1, what=_("{name} is an integer of 64 bits.")
    )


def count(name: str, value: Any) -> int:
    """Check that an argument is an integer of at least 0; return it."""
    return whole(name, value, least=0)


def truth(
    name: str,
    value: Any,
    *,
    what: str = _("{name} is either on or off."),
    kind: str = "",
) -> bool:
    """Check that an argument is True or False; return it as a bool."""
    if not isinstance(value, bool | np.bool_):
        expected = _("{name}=True or {name}=False", name=name)
        raise refused(name, value, what, expected, kind=kind)
    return bool(value)


def text(name: str, value: Any, *, what: str = _("{name} must be a text.")) -> str:
    """Check that an argument is a string; return it."""
    if not isinstance(value, str):
        raise refused(name, value, what, _("a text"))
    return value


def place(name: str, value: Any) -> Any:
    """Return a file argument as a path; return an open file unchanged."""
    return value if is_open(value) else path(name, value)


def path(name: str, value: Any) -> Path:
    """Check that an argument is a file path; return it as a ``Path``."""
    if not isinstance(value, str | os.PathLike):
        raise refused(
            name, value, _("{name} must say where."), _("a text, or a pathlib.Path")
        )
    from pathlib import Path  # each import counts in that of the package

    return Path(value)


def instance(name: str, value: Any, kind: Any, example: str) -> Any:
    """Check that an argument is an instance of a class, not the class; return it."""
    if isinstance(value, kind) and not isinstance(value, type):
        return value
    got, fix = f"{value!r:.80}", _("pass {name}={example}", name=name, example=example)
    if isinstance(value, type):
        got = _("the class {name}", name=value.__name__)
        fix = _("write {name}(…) with parentheses", name=value.__name__)
    raise ArgumentError(
        _("{name} is of another kind.", name=name),
        expected=_("for example {name}={example}", name=name, example=example),
        got=got,
        fix=fix,
    )


def choice(
    *known: str, what: str = _("{name} has no such choice."), kind: str = ""
) -> Check:
    """Return a check that an argument is one of the known names."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ArgumentError(
                _sentence(what, name, kind),
                expected=joined(" or ", [f"{name}={k!r}" for k in known]),
                got=f"{name}={value!r:.80}",
                fix=did_you_mean(value, known),
            )
        return value

    return check


def maybe(check: Check) -> Check:
    """Return a check of an argument that also accepts None."""
    return lambda name, value: None if value is None else check(name, value)


def known_names(what: str, names: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse an unknown name in an argument; suggest the nearest known one."""
    known = list(known)
    for name in names:
        if name not in known:
            raise ArgumentError(
                _("{what} called {name!r} is not known.", what=what, name=name),
                expected=_("one of {known}", known=", ".join(known)),
                got=repr(name),
                fix=did_you_mean(name, known),
            )


def did_you_mean(
    name: Any, known: Iterable[str], otherwise: str | None = None
) -> str | None:
    """Return an error's fix that suggests the nearest known name."""
    near = nearest(name, known) if isinstance(name, str) else None
    return _("did you mean {near!r}?", near=near) if near else otherwise
