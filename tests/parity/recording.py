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
    """Writes down calls while it is on."""

    def __init__(self) -> None:
        self.given: Given | None = None
        self.depth = 0

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose calls are written down under ``name``."""
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.given is None or self.depth:
                return function(*args, **kwargs)
            self.given[name] |= chosen(signature, args, kwargs)
            self.depth += 1
            try:
                return function(*args, **kwargs)
            finally:
                self.depth -= 1

        return call

    @contextmanager
    def on(self) -> Iterator[Given]:
        self.given = defaultdict(set)
        try:
            yield self.given
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
    return value is default or (plain and type(value) is type(default) and value == default)


class Offer:
    """A namespace whose functions are written down when they are called."""

    def __init__(self, namespace: Any, prefix: str = "") -> None:
        self.namespace, self.prefix = namespace, prefix
        self.made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self.made:
            found = getattr(self.namespace, name)
            plain = inspect.isfunction(found) or inspect.isbuiltin(found)
            full = f"{self.prefix}{name}"
            self.made[name] = RECORDER.wrapped(full, found) if plain else found
        return self.made[name]


@contextmanager
def methods(kind: type[Any]) -> Iterator[None]:
    """Calls of the public methods of a class are written down, too."""
    kept: dict[str, Any] = {}
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        if not name.startswith("_") and inspect.isfunction(found):
            kept[name] = kind.__dict__.get(name)
            setattr(kind, name, RECORDER.wrapped(f"{kind.__name__}.{name}", found))
    try:
        yield
    finally:
        for name, own in kept.items():
            if own is None:
                delattr(kind, name)
            else:
                setattr(kind, name, own)
