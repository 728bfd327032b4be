"""Guards: outside objects that a traced function read, compared at every call.

Tensors from outside are state of a compiled function and may change. Everything else
that its Python read while it was traced (numbers in closures, globals and attributes,
NumPy arrays, lists, the objects themselves) is frozen in its graph. A :class:`Guards`
remembers what it was: where it has changed since, the function is traced anew, and a
function that changes it while it is traced is refused.

A float that was another one at a later call may become an input of the graph: while the
function is traced a :class:`~chainrule.compilation.scalars.Scalar` stands in its place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from operator import is_
from typing import Any

import numpy as np

from chainrule.compilation.guards.dependencies import DependencyScan
from chainrule.compilation.guards.fingerprints import (
    ATOMS,
    CONTAINERS,
    ITEMS,
    MISSING,
    NOWHERE,
    Paths,
    fingerprint,
)
from chainrule.compilation.guards.moving_calls import Noted
from chainrule.compilation.guards.sources import Number, Source, attribute_source
from chainrule.compilation.guards.system_draws import system_draws
from chainrule.errors import ArgumentError
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.blocks import Block
from chainrule.util.pytree import flatten

#: What takes on the dtype of the tensor beside it.
FLOATS = (float, np.floating)


class Guard:
    """A guard: an outside object as it was at the trace, to detect a change later.

    Attributes:
        get: gives what stands there now.
        item: what it was.
        print: its fingerprint; None for a single value.
        free: paths to numbers in it that are inputs of the graph.
        values: what stood in it, if it is a container of single values.
    """

    __slots__ = ("free", "get", "item", "print", "source", "values")

    def __init__(self, source: Source, free: Paths, keep: list[Any]) -> None:
        self.source, self.get, self.free = source, source.get, free
        self.item = item = source.get()
        atom = isinstance(item, ATOMS)
        self.print = None if atom else fingerprint(item, free, keep=keep)
        values = _values(item)
        single = all(isinstance(value, ATOMS) for value in values)
        self.values = values if values and single else None

    def holds_for(self, now: Any) -> bool:
        """Return whether an outside object is still equal to its guarded value."""
        if now is self.item and (self.print is None or type(self.print) is int):
            return True
        if self.print is None:
            return fingerprint(now) == fingerprint(self.item)
        if type(self.print) is int:
            return False
        if now is self.item and self.values is not None:
            values = _values(now)  # mostly they are the very same
            if len(values) == len(self.values) and all(map(is_, values, self.values)):
                return True
        return fingerprint(now, self.free) == self.print

    def floats(self) -> Iterator[Number]:
        """Yield the guarded outside floats whose values, not types, have changed."""
        if self.source.put is not None:
            before = fingerprint(self.item) if self.print is None else self.print
            yield from _floats(self.source, before, self.get(), ())


def _values(item: Any) -> tuple[Any, ...]:
    """Return the keys and items of one of Python's own containers, if it is short."""
    kind = type(item)
    if kind not in (dict, list, tuple) or len(item) > ITEMS:
        return ()
    return (*item, *item.values()) if kind is dict else tuple(item)


def _floats(source: Source, before: Any, now: Any, path: tuple[Any, ...]) -> Any:
    kind = type(now)
    if type(before) is not tuple or before[0] is not kind or before[1] == "any":
        return
    if isinstance(now, FLOATS):
        if fingerprint(now) != before:
            yield Number(source, path, kind)
    elif isinstance(now, dict) and len(before) == 2:
        for (key, old), (k, item) in zip(before[1], now.items()):
            if key == fingerprint(k):
                yield from _floats(source, old, item, (*path, k))
    elif isinstance(now, CONTAINERS) and type(before[1]) is tuple:
        for i, (old, item) in enumerate(zip(before[1], now)):
            yield from _floats(source, old, item, (*path, i))


class ModuleGuards:
    """Guards of a module's attributes, as they were when traced code called it."""

    def __init__(self, module: Any, free: Mapping[Any, Paths]) -> None:
        self.module, self._alive = module, list[Any]()
        kind = type(module).__name__
        self.items: dict[str, Guard] = {}
        for key in vars(module):
            if key != "training":
                source = attribute_source(f"{kind}.{key}", module, key)
                paths = free.get(source.key, NOWHERE)
                self.items[key] = Guard(source, paths, self._alive)

    def changed(self) -> bool:
        """Return whether a module's attribute has been changed, added or removed."""
        now = vars(self.module)
        if len(now) - ("training" in now) != len(self.items):
            return True
        return any(True for __ in self.changes())

    def changes(self) -> Iterator[Guard]:
        """Yield the guards of a module's attributes that have changed."""
        now = vars(self.module)
        for key, guard in self.items.items():
            if () not in guard.free and not guard.holds_for(now.get(key, MISSING)):
                yield guard


class Guards:
    """All guards of a traced function: the outside objects that it may read.

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
        self._scan = partial(DependencyScan, function, arguments or {})
        around = self._scan()
        self._alive: list[Any] = []  # whose ids are compared stay alive
        self._numbers = [(number.get, number.kind) for number in numbers]
        self._free: dict[Any, Paths] = {}
        for number in numbers:
            paths = self._free.get(number.source.key, NOWHERE)
            self._free[number.source.key] = paths | {number.path}
        self._guards: list[Guard] = []
        self._checks: list[tuple[Callable[[], Any], Any, Any, Guard]] = []
        self._add(around.sources)
        self._growing = [
            (name, mapping, len(mapping)) for name, mapping in around.growing
        ]
        self._had = [frozenset(mapping) for __, mapping in around.growing]
        draws = [*around.draws, (_("the operating system"), system_draws)]
        self._drawn = [(name, draw, fingerprint(draw())) for name, draw in draws]
        self._moves, self._calls = around.moves, list[str]()
        self._caches = around.caches
        self.modules: list[ModuleGuards] = []

    def _add(self, sources: Iterable[Source]) -> None:
        """Add guards for outside objects, except those that are inputs of the graph."""
        for source in sources:
            free = self._free.get(source.key, NOWHERE)
            if () not in free:
                guard = Guard(source, free, self._alive)
                self._guards.append(guard)
                self._checks.append((guard.get, guard.item, guard.print, guard))

    def add_modules(self, modules: Iterable[Any]) -> None:
        """Add guards for the attributes of modules that the traced function called."""
        self.modules += [ModuleGuards(module, self._free) for module in modules]

    def holds(self) -> bool:
        """Return whether no outside object has changed (modules are not compared)."""
        for get, item, print_, guard in self._checks:
            now = get()
            if now is item and (print_ is None or type(print_) is int):
                continue  # most are: this is a part of every call
            if not guard.holds_for(now):
                return False
        for __, mapping, count in self._growing:
            if len(mapping) != count:
                return False
        for get, kind in self._numbers:  # noqa: SIM110 - a generator is slower
            if type(get()) is not kind:
                return False
        return True

    def changes(self) -> Iterator[Guard]:
        """Yield the guards of a traced function whose objects have changed."""
        for guard in self._guards:
            if not guard.holds_for(guard.get()):
                yield guard
        for module in self.modules:
            yield from module.changes()

    def watching(self) -> Any:
        """Return a block that notes calls of what changes by itself."""
        return Noted(self._calls) if self._moves else nullcontext()

    def refuse_changes(self, function: str) -> None:
        """Refuse a function that changed outside objects during its trace.

        A cache may be filled: what was built with the empty one serves one call.
        """
        for guard in self.changes():
            if not _fills_cache(guard, guard.get()):
                raise changed(function, guard.source.name)
        for (name, mapping, __), had in zip(self._growing, self._had):
            for key in mapping.keys() - had:
                if _has_traced(mapping[key]):
                    raise changed(function, f"{name}.{key}")
        self._refuse_draws(function)
        if any(cache.cache_info().misses > n for cache, n in self._caches):
            # What caches have got while tracing was not scanned before.
            known = {guard.source.key for guard in self._guards}
            sources = self._scan().sources
            self._add(s for s in sources if s.key not in known or s.key[1] == "cache")

    def _refuse_draws(self, function: str) -> None:
        """Refuse a function that took what changes by itself during its trace."""
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
        if self._calls:
            raise ArgumentError(
                _(
                    "{function} calls {name} while it is traced: what that returns "
                    "would be the same at every call.",
                    function=function,
                    name=self._calls[0],
                ),
                expected=_("a function of its arguments and of tensors"),
                got=f"{self._calls[0]}()",
                fix=_("call it outside, and pass the result as an argument"),
            )

    def take_back(self) -> bool:
        """Empty what a trace has filled: caches, dictionaries, attributes.

        Returns:
            whether there was anything.
        """
        filled = False
        for guard in list(self.changes()):
            now = guard.get()
            if not _fills_cache(guard, now):
                continue
            if isinstance(now, dict) and now is guard.item:
                assert guard.print is not None
                for key in list(now)[len(guard.print[1]) :]:
                    del now[key]
            elif guard.item is None and guard.source.put is not None:
                guard.source.put(None)
            filled = True
        for (_name, mapping, __), had in zip(self._growing, self._had):
            for key in mapping.keys() - had:
                filled = True
                if isinstance(mapping, dict):
                    del mapping[key]
        for cache, misses in self._caches:
            if cache.cache_info().misses > misses:
                cache.cache_clear()
                filled = True
        return filled


def changed(function: str, name: str) -> ArgumentError:
    """Return the error for a function that changes outside objects while traced."""
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


def _fills_cache(guard: Guard, now: Any) -> bool:
    """Return whether a change of an outside object only fills a cache or dictionary."""
    item, print_ = guard.item, guard.print
    if item is None or item is MISSING:
        return not _has_traced(now)
    if not isinstance(now, dict) or now is not item or print_ is None:
        return False
    before, after = print_[1], fingerprint(now, guard.free)[1]
    if not isinstance(before, tuple) or not isinstance(after, tuple):
        return False
    count = len(before)
    return after[:count] == before and not _has_traced(list(now.values())[count:])


def _has_traced(item: Any) -> bool:
    """Return whether an object contains a tensor that exists only within the trace."""
    leaves, __ = flatten(item)
    return any(
        isinstance(leaf, Tensor) and leaf._value.array is None for leaf in leaves
    )


class substituted(Block):  # noqa: N801 - used like a function
    """Replace outside floats by other values within a block, and restore them after.

    Raises:
        ArgumentError: one was replaced within the block.
    """

    def __init__(
        self, function: str, numbers: Sequence[Number], others: Sequence[Any]
    ) -> None:
        self.function = function
        self.pairs = list(zip(numbers, others, strict=True))
        self.before: list[tuple[Number, Any, Any, Any]] = []

    def saved(self) -> list[tuple[Number, Any, Any, Any]]:
        return self.before  # which grows as they are replaced

    def change(self) -> None:
        for number, other in self.pairs:
            item = number.get()
            if not any(
                item is known for __, __, known, __ in self.before
            ):  # by another name
                copied = copy.copy(number.holder()) if number.path else None
                self.before.append((number, item, other, copied))
                number.put(other)

    def undo(self, saved: list[tuple[Number, Any, Any, Any]]) -> None:
        for number, item, other, copied in reversed(saved):
            if number.get() is not other:
                _restore(number.holder(), copied)
            number.put(item)

    def __exit__(self, *error: object) -> None:
        moved = [n.name for n, __, other, __ in self.before if n.get() is not other]
        super().__exit__(*error)
        if moved and error[0] is None:
            raise changed(self.function, moved[0])


def _restore(holder: Any, items: Any) -> None:
    """Restore the former items of a dictionary or list after a trace."""
    if isinstance(holder, dict):
        holder.clear()
        holder.update(items)
    elif isinstance(holder, list):
        holder[:] = items
    elif hasattr(holder, "extend") and hasattr(holder, "clear"):
        holder.clear()
        holder.extend(items)
