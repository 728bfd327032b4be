"""Snapshots of a function's environment at its trace, compared at every call.

Tensors from outside are state of a compiled function and may change. Everything else
that its Python read while it was traced (numbers in closures, globals and attributes,
NumPy arrays, lists, the objects themselves) is frozen in its graph. A :class:`Snapshot`
remembers what it was: where it has changed since, the function is traced anew, and a
function that changes it while it is traced is refused.

A float that was another one at a later call may become an input of the graph: while the
function is traced a :class:`~chainrule.compilation.scalars.Scalar` stands in its place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.compilation.guards.fingerprints import (
    ATOMS,
    CONTAINERS,
    MISSING,
    NOWHERE,
    Paths,
    fingerprint,
)
from chainrule.compilation.guards.places import Number, Place, of_attribute
from chainrule.compilation.guards.surroundings import Surroundings
from chainrule.errors import ArgumentError
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.pytree import flatten

#: What takes on the dtype of the tensor beside it.
FLOATS = (float, np.floating)


class _Watched:
    """The item that a place held at the trace, with its fingerprint.

    Attributes:
        get: gives what stands there now.
        item: what it was.
        print: its fingerprint; None for a single value.
        free: paths to numbers in it that are inputs of the graph.
    """

    __slots__ = ("free", "get", "item", "place", "print")

    def __init__(self, place: Place, free: Paths, keep: list[Any]) -> None:
        self.place, self.get, self.free = place, place.get, free
        self.item = item = place.get()
        atom = isinstance(item, ATOMS)
        self.print = None if atom else fingerprint(item, free, keep=keep)

    def is_still(self, now: Any) -> bool:
        """Return whether ``now`` equals the item at the trace."""
        if now is self.item and (self.print is None or type(self.print) is int):
            return True
        if self.print is None:
            return fingerprint(now) == fingerprint(self.item)
        if type(self.print) is int:
            return False
        return fingerprint(now, self.free) == self.print

    def floats(self) -> Iterator[Number]:
        """Yield the floats whose values, but not types, changed since the trace."""
        if self.place.put is not None:
            before = fingerprint(self.item) if self.print is None else self.print
            yield from _floats(self.place, before, self.get(), ())


def _floats(place: Place, before: Any, now: Any, path: tuple[Any, ...]) -> Any:
    kind = type(now)
    if type(before) is not tuple or before[0] is not kind or before[1] == "any":
        return
    if isinstance(now, FLOATS):
        if fingerprint(now) != before:
            yield Number(place, path, kind)
    elif isinstance(now, dict) and len(before) == 2:
        for (key, old), (k, item) in zip(before[1], now.items()):
            if key == fingerprint(k):
                yield from _floats(place, old, item, (*path, k))
    elif isinstance(now, CONTAINERS) and type(before[1]) is tuple:
        for i, (old, item) in enumerate(zip(before[1], now)):
            yield from _floats(place, old, item, (*path, i))


class Attributes:
    """A snapshot of a module's attributes, taken at its call within a trace."""

    def __init__(self, module: Any, free: Mapping[Any, Paths]) -> None:
        self.module, self._kept = module, list[Any]()
        kind = type(module).__name__
        self.items: dict[str, _Watched] = {}
        for key in vars(module):
            if key != "training":
                place = of_attribute(f"{kind}.{key}", module, key)
                paths = free.get(place.key, NOWHERE)
                self.items[key] = _Watched(place, paths, self._kept)

    def changed(self) -> bool:
        """Return whether an attribute has changed, been added or been removed."""
        now = vars(self.module)
        if len(now) - ("training" in now) != len(self.items):
            return True
        return any(True for __ in self.changes())

    def changes(self) -> Iterator[_Watched]:
        """Yield the attributes that have changed."""
        now = vars(self.module)
        for key, watched in self.items.items():
            if () not in watched.free and not watched.is_still(now.get(key, MISSING)):
                yield watched


class Snapshot:
    """A snapshot of a function's environment at its trace.

    Args:
        function: the function that is traced.
        arguments: those of its arguments that are part of the program, by name.
        numbers: floats outside that are inputs of its graph.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        numbers: Sequence[Number] = (),
    ) -> None:
        around = Surroundings(function, arguments or {})
        self._kept: list[Any] = []  # whose ids are compared stay alive
        self._numbers = [(number.get, number.kind) for number in numbers]
        self._free: dict[Any, Paths] = {}
        for number in numbers:
            paths = self._free.get(number.place.key, NOWHERE)
            self._free[number.place.key] = paths | {number.path}
        watched = [
            _Watched(place, self._free.get(place.key, NOWHERE), self._kept)
            for place in around.found
        ]
        self._watched = [w for w in watched if () not in w.free]
        self._looked_at = [(w.get, w.item, w.print, w) for w in self._watched]
        self._growing = [(name, held, len(held)) for name, held in around.growing]
        self._had = [frozenset(held) for __, held in around.growing]
        self._drawn = [
            (name, draws, fingerprint(draws())) for name, draws in around.draws
        ]
        self.modules: list[Attributes] = []

    def add_modules(self, modules: Iterable[Any]) -> None:
        """Watch the attributes of modules that were called."""
        self.modules += [Attributes(module, self._free) for module in modules]

    def holds(self) -> bool:
        """Return whether the environment is unchanged; modules are not compared."""
        for get, item, print_, watched in self._looked_at:
            now = get()
            if now is item and (print_ is None or type(print_) is int):
                continue  # most are: this is a part of every call
            if not watched.is_still(now):
                return False
        for __, held, count in self._growing:
            if len(held) != count:
                return False
        for get, kind in self._numbers:  # noqa: SIM110 - a generator is slower
            if type(get()) is not kind:
                return False
        return True

    def changes(self) -> Iterator[_Watched]:
        """Yield the places, module attributes included, that have changed."""
        for watched in self._watched:
            if not watched.is_still(watched.get()):
                yield watched
        for module in self.modules:
            yield from module.changes()

    def refuse_changes(self, function: str) -> None:
        """Refuse a function that changed its environment during its trace.

        A cache may be filled: what was built with the empty one serves one call.
        """
        for watched in self.changes():
            if not _filled(watched, watched.get()):
                raise changed(function, watched.place.name)
        for (name, held, __), had in zip(self._growing, self._had):
            for key in held.keys() - had:
                if _has_traced(held[key]):
                    raise changed(function, f"{name}.{key}")
        for name, draws, before in self._drawn:
            if fingerprint(draws()) != before:
                raise ArgumentError(
                    _(
                        "{function} draws from {name!r} while it is traced: the "
                        "number would be the same at every call.",
                        function=function,
                        name=name,
                    ),
                    expected=_("random numbers that are part of the graph"),
                    got=_("another state of {name} than before", name=name),
                    fix=_(
                        "cr.rand, cr.randn or cr.randint, or draw outside and pass "
                        "the number as an argument"
                    ),
                )


def changed(function: str, name: str) -> ArgumentError:
    """Return the error for a function that changes its environment."""
    return ArgumentError(
        _(
            "{function} changes {name!r}, which it found outside, while it is "
            "traced: that would happen once and not at every call.",
            function=function,
            name=name,
        ),
        expected=_("a function that changes tensors alone, with copy_"),
        got=_("another {name} than before", name=name),
        fix=_(
            "make {name} a tensor (copy_ changes it at every call), or return "
            "the new value",
            name=name,
        ),
    )


def _filled(watched: _Watched, now: Any) -> bool:
    """Return whether a change only fills an empty cache, or adds keys to a dict."""
    item, print_ = watched.item, watched.print
    if item is None or item is MISSING:
        return not _has_traced(now)
    if not isinstance(now, dict) or now is not item or print_ is None:
        return False
    before, made = print_[1], fingerprint(now, watched.free)[1]
    if not isinstance(before, tuple) or not isinstance(made, tuple):
        return False
    count = len(before)
    return made[:count] == before and not _has_traced(list(now.values())[count:])


def _has_traced(item: Any) -> bool:
    """Return whether an item contains a tensor of the trace."""
    leaves, __ = flatten(item)
    return any(
        isinstance(leaf, Tensor) and leaf._value.array is None for leaf in leaves
    )


@contextmanager
def standing_in(
    function: str, numbers: Sequence[Number], others: Sequence[Any]
) -> Generator[None]:
    """Replace ``numbers`` by ``others`` within a block, and restore them after.

    Raises:
        ArgumentError: one was replaced within the block.
    """
    before: list[tuple[Number, Any, Any, Any]] = []
    moved: list[str] = []
    try:
        for number, other in zip(numbers, others, strict=True):
            item = number.get()
            if not any(
                item is known for __, __, known, __ in before
            ):  # by another name
                copied = copy.copy(number.holder()) if number.path else None
                before.append((number, item, other, copied))
                number.put(other)
        yield
    finally:
        for number, item, other, copied in reversed(before):
            if number.get() is not other:
                moved.append(number.name)
                _restore(number.holder(), copied)
            number.put(item)
    if moved:
        raise changed(function, moved[-1])


def _restore(holder: Any, items: Any) -> None:
    """Restore the items of a container."""
    if isinstance(holder, dict):
        holder.clear()
        holder.update(items)
    elif isinstance(holder, list):
        holder[:] = items
    elif hasattr(holder, "extend") and hasattr(holder, "clear"):
        holder.clear()
        holder.extend(items)
