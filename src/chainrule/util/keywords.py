"""Refusal of unknown keyword arguments, with the nearest name suggested.

Python would say that they are unexpected; who comes from another library wants to know
how it is done here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from inspect import CO_VARKEYWORDS
from types import FunctionType
from typing import Any, TypeVar

from chainrule.errors import CallError
from chainrule.text import _
from chainrule.util.blocks import opened, settle, settled
from chainrule.util.pytorch_hints import DATA_KEYWORDS, KEYWORDS
from chainrule.util.validation import did_you_mean

T = TypeVar("T")


def unknown_keyword(who: str, name: str, value: Any, known: Iterable[str]) -> CallError:
    """Return the error for an unknown keyword argument of a function."""
    known = [other for other in known if not other.startswith("_")]
    hint = KEYWORDS.get(name)
    if {"train", "data"}.intersection(known):
        hint = DATA_KEYWORDS.get(name, hint)
    return CallError(
        _("{who} takes no argument {name!r}.", who=who, name=name),
        expected=", ".join(known) or _("no keywords"),
        got=f"{name}={value!r:.80}",
        fix=hint or did_you_mean(name, known, _("leave it out")),
    )


def strict(target: T) -> T:
    """Decorate a function, or a class's methods, to refuse unknown keyword arguments.

    However a call of it ends, no block in it stays open: :mod:`chainrule.util.blocks`.

    >>> @strict
    ... def scaled(x, by=1.0):
    ...     return x * by
    >>> scaled(2.0, bye=3.0)
    Traceback (most recent call last):
    ...
    chainrule.errors.CallError: scaled takes no argument 'bye'.
      expected: x, by
      got:      bye=3.0
      fix:      did you mean 'by'?
    """
    if not isinstance(target, type):
        return strict_function(target)
    for name, item in list(vars(target).items()):
        function = getattr(item, "__func__", item)
        if not isinstance(function, FunctionType):
            continue
        if name == "__init__":
            setattr(target, name, strict_function(function))
        elif not name.startswith("_"):
            checked: Any = strict_function(function)
            setattr(target, name, checked if function is item else type(item)(checked))
    return target


def strict_function(function: Any) -> Any:
    """Decorate a function or a constructor to refuse unknown keyword arguments."""
    code = function.__code__
    if code.co_flags & CO_VARKEYWORDS:
        return settled(function)
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[code.co_posonlyargcount : count]
    known = frozenset(names)
    shown = names[1:] if names[:1] in (("self",), ("cls",)) else names

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not known.issuperset(kwargs):
            name = next(name for name in kwargs if name not in known)
            who = function.__qualname__
            if names[:1] == ("self",):  # by the class of the user's object
                kind = type(args[0]).__name__
                own = function.__name__
                who = kind if own == "__init__" else f"{kind}.{own}"
            raise unknown_keyword(who, name, kwargs[name], shown)
        outer = opened.top
        try:
            return function(*args, **kwargs)
        except BaseException:
            settle(outer)
            raise

    return call
