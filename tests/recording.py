"""Which arguments of what the package offers are given a value other than the default.

Calls are written down as they come from a test; what a function calls in turn is not
counted.
"""

from __future__ import annotations

import functools
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: By the name of what was called, the arguments that were given.
Given = dict[str, set[str]]


class Recorder:
    """Writes down calls while it is on; what is made of classes, always.

    Attributes:
        made: what classes were called with, by their names.
    """

    def __init__(self) -> None:
        self.given: Given | None = None
        self.made: Given = defaultdict(set)
        self.depth = 0

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, or the class, whose calls are written down under ``name``."""
        signature = inspect.signature(function)
        always = isinstance(function, type)

        @functools.wraps(function, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            given = self.made if always else self.given
            if given is None or self.depth:
                return function(*args, **kwargs)
            given[name] |= chosen(signature, args, kwargs)
            self.depth += 1
            try:
                return function(*args, **kwargs)
            finally:
                self.depth -= 1

        return call

    @contextmanager
    def on(self, given: Given) -> Iterator[None]:
        self.given = given
        try:
            yield
        finally:
            self.given = None


RECORDER = Recorder()


def chosen(signature: inspect.Signature, args: Any, kwargs: Any) -> set[str]:
    """The arguments of a call that differ from their defaults."""
    made: set[str] = set()
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if value:
                made.add(name)
        elif parameter.default is parameter.empty or not same(value, parameter.default):
            made.add(name)
    return made


def same(value: Any, default: Any) -> bool:
    plain = isinstance(value, bool | int | float | str | tuple)
    return value is default or (
        plain and type(value) is type(default) and value == default
    )


class Offer:
    """A namespace whose functions and classes are written down when they are called."""

    def __init__(self, namespace: Any, prefix: str = "") -> None:
        self.namespace, self.prefix = namespace, prefix
        self.made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self.made:
            found = getattr(self.namespace, name)
            is_called = inspect.isfunction(found) or inspect.isclass(found)
            full = f"{self.prefix}{name}"
            self.made[name] = RECORDER.wrapped(full, found) if is_called else found
        return self.made[name]


@contextmanager
def methods(kind: type[Any]) -> Iterator[None]:
    """Calls of the public methods of a class are written down, too, and properties."""
    kept: dict[str, Any] = {}
    for name in dir(kind):
        if name.startswith("_"):
            continue
        getattr(kind, name)  # which is there from its first use on
        found, full = inspect.getattr_static(kind, name), f"{kind.__name__}.{name}"
        if inspect.isfunction(found):
            new: Any = RECORDER.wrapped(full, found)
        elif isinstance(found, property) and found.fget is not None:
            new = property(RECORDER.wrapped(full, found.fget), found.fset, found.fdel)
        else:
            continue
        kept[name] = kind.__dict__.get(name)
        setattr(kind, name, new)
    try:
        yield
    finally:
        for name, own in kept.items():
            if own is None:
                delattr(kind, name)
            else:
                setattr(kind, name, own)
