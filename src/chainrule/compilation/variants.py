"""The compiled variants of a function: lookup, eviction, a warning about many.

A function has one for each kind of arguments and surroundings that it met. Where what
it found outside changes again and again that would be one a call, for ever: floats
become inputs (:mod:`chainrule.compilation.api`), the rest is bounded, and one warning
says what it is that changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.compilation.calls import Connection
from chainrule.compilation.guards.guards import Guards
from chainrule.compilation.guards.sources import Number
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Traced
from chainrule.errors import ShapeError, warn
from chainrule.graph.context import changes
from chainrule.graph.interpret import solve_sizes
from chainrule.graph.types import ArrayType, Shape, SizeGuard, Sizes, resolve
from chainrule.primitives.rules import show
from chainrule.text import _

#: The number of programs for one cause at which a function warns.
MANY = 8
#: The number of programs that a function keeps: as many as the buckets that texts are
#: sorted into by length, with room to spare. Each holds a copy of the weights, its
#: arena and up to a few hundred kB of code. The least recently used one is dropped.
KEPT = 32
#: The number of kinds of calls whose variants are cached.
CALLS = 1000


@dataclass(eq=False)
class Variant:
    """A compiled version of a function for some shapes, modes and outside objects.

    Attributes:
        program: with the function as its only entry point.
        patterns: for each array argument its shape, which may have named sizes.
        size_guards: what must hold for the values of named sizes.
        guards: what the function found outside.
        numbers: floats outside that are inputs, behind the arguments.
        static: the arguments that are part of the program, by name.
        example: the arguments of the call that it was made for, with their shapes by
            name, in which sizes that varied have names.
        count: the changes that it was last held against.
        changed: the ids of the tensors that it changes.
        connection: what connects results with what they are computed of, where a
            derivative can be asked for.
        passed: whether one of a result was taken already.
    """

    program: CompiledProgram
    traced: Traced
    patterns: tuple[Shape, ...]
    size_guards: list[SizeGuard]
    guards: Guards
    numbers: tuple[Number, ...]
    static: Mapping[str, Any]
    count: int = -1
    example: Any = None

    def __post_init__(self) -> None:
        slots = [self.traced.slots[key] for key in self.traced.entry.replaces]
        self.changed = {id(slot.tensor) for slot in slots if not slot.gradient}
        derivable, recorded = self.traced.derivable, self.traced.recorded
        self.passed = any(isinstance(s, dict) for s in derivable)
        self.connection: Connection | None = None
        if True in derivable or recorded:
            self.connection = Connection(self.traced, self.program.engine)

    def sizes(self, shapes: Sequence[Shape]) -> dict[str, int] | None:
        """Return the values of a variant's named sizes; None if shapes do not fit."""
        for pattern, shape in zip(self.patterns, shapes):
            for want, got in zip(pattern, shape):
                if type(want) is int and want != got:
                    return None
        try:
            sizes = solve_sizes(list(zip(self.patterns, shapes)))  # type: ignore
        except ShapeError:
            return None
        return sizes if all(guard(sizes) for guard in self.size_guards) else None

    def holds(self) -> bool:
        """Return whether nothing that a compiled variant depends on has changed."""
        if self.count != changes.count:
            if not self.traced.holds():
                return False
            if any(module.changed() for module in self.guards.modules):
                return False
            self.count = changes.count
        if self.traced.reads and not self.traced.reads_the_same():
            return False
        if self.traced.graded and not self.traced.finds_gradients():
            return False
        return self.guards.holds()

    def changed_numbers(self) -> Iterator[Number]:
        """Yield the changed outside floats that are constants of the variant."""
        for guard in self.guards.changes():
            yield from guard.floats()


class CachedCall:
    """A cached call of a compiled variant at some sizes, with its output types."""

    __slots__ = ("inputs", "numbers", "run", "sizes", "traced", "types", "variant")

    def __init__(self, variant: Variant, sizes: Sizes) -> None:
        self.variant, self.sizes, self.traced = variant, sizes, variant.traced
        self.numbers = [number.get for number in variant.numbers]
        entry = variant.traced.entry
        self.inputs, self.run = entry.inputs, variant.program.entries[entry.name].run
        outputs = entry.graph.outputs[: entry.outputs]
        self.types = [ArrayType(resolve(v.shape, sizes), v.dtype) for v in outputs]


class Variants:
    """The compiled variants of a function (one per kind of call), as a cache.

    A family are those for arguments of the same kinds, in surroundings alike.

    Attributes:
        ready: what was looked up for the kinds of calls.
    """

    def __init__(self, function: str) -> None:
        self.function = function
        self.ready: dict[Any, CachedCall] = {}
        self._families: dict[Any, list[Variant]] = {}
        self._used: dict[Variant, Any] = {}  # with its family, oldest first
        self._causes: Counter[str] = Counter()
        self._last: Variant | None = None
        self._warned = False

    def __iter__(self) -> Iterator[Variant]:
        return iter(self._used)

    def family(self, key: Any) -> list[Variant]:
        """Return the compiled variants of a function for one kind of arguments."""
        return self._families.get(key, [])

    def newest(self, variant: Variant) -> Variant:
        """Return the newest variant of a family, for most sizes; itself if dropped."""
        family = self.family(self._used.get(variant))
        return family[0] if family else variant

    def use(self, variant: Variant) -> None:
        """Mark a compiled variant of a function as the most recently used."""
        key = self._used.pop(variant)
        self._used[variant] = key

    def add(self, key: Any, variant: Variant) -> None:
        """Add a compiled variant; drop the least recently used beyond ``KEPT``."""
        self._note(variant, self.family(key))
        self._families.setdefault(key, []).insert(0, variant)
        self._used[variant] = key
        if len(self._used) > KEPT:
            used = {id(ready.variant) for ready in self.ready.values()}
            stale = (v for v in self._used if id(v) not in used and v is not variant)
            self.drop(next(stale, next(iter(self._used))))

    def drop(self, variant: Variant) -> None:
        """Drop a compiled variant, after its state was fetched into the tensors."""
        key = self._used.pop(variant)
        family = self._families[key]
        family.remove(variant)
        if not family:
            del self._families[key]
        self.ready = {k: r for k, r in self.ready.items() if r.variant is not variant}
        variant.program.settle()

    def look_up(self, call: Any, ready: CachedCall) -> CachedCall:
        """Cache the prepared compiled call for a kind of arguments, and return it."""
        if len(self.ready) >= CALLS:
            del self.ready[next(iter(self.ready))]
        self.ready[call] = ready
        return ready

    # -- why there are many ------------------------------------------------------------

    def _note(self, variant: Variant, family: list[Variant]) -> None:
        """Count the causes of recompilation of a function; warn of a frequent one."""
        last, self._last = self._last, variant
        if last is None:
            return
        cause = _cause(last, variant, last in family)
        if cause is None:
            return
        what, before, now, fix = cause
        self._causes[what] += 1
        if self._causes[what] == MANY - 1 and not self._warned:
            self._warned = True
            warn(
                _(
                    "{function} was compiled {MANY} times, because {what} is "
                    "another each time.",
                    function=self.function,
                    MANY=MANY,
                    what=what,
                ),
                expected=_(
                    "what seldom changes: each has a program of its own, "
                    "and {KEPT} are kept",
                    KEPT=KEPT,
                ),
                got=_("{before:.60}, then {now:.60}", before=before, now=now),
                fix=fix,
            )


def _cause(
    last: Variant, variant: Variant, related: bool
) -> tuple[str, str, str, str] | None:
    """Return why a function was compiled again: name, old and new value, and a fix."""
    names = variant.static.keys() | last.static.keys()
    for name in sorted(names):
        before, now = last.static.get(name), variant.static.get(name)
        if type(before) is not type(now) or (before is not now and before != now):
            fix = _(
                "pass a number that changes as a tensor, {name}=cr.tensor({name})",
                name=name,
            )
            if not isinstance(now, int | float):
                fix = _("pass the same {name} again, or the tensors in it", name=name)
            return _("the argument {name!r}", name=name), repr(before), repr(now), fix
    for name, old, new in zip(
        variant.traced.entry.inputs, last.patterns, variant.patterns
    ):
        if related and old != new:
            fix = _(
                "pad {name} to one of few sizes, or do not need its size as a number",
                name=name,
            )
            return _("the shape of {name!r}", name=name), show(old), show(new), fix
    if related:
        for guard in last.guards.changes():
            name, now = guard.source.name, guard.get()
            fix = _(
                "make {name} a tensor that copy_ changes, or pass it as an argument",
                name=name,
            )
            return repr(name), repr(guard.item), repr(now), fix
    return None
