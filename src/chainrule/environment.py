"""What a function finds outside of itself: seen once when it is traced, so watched.

Tensors from outside are state of a compiled function and may change. Everything else
that its Python read while it was traced (numbers in closures, globals and attributes,
NumPy arrays, lists, the objects themselves) is frozen in its graph. A :class:`Snapshot`
remembers what it was: where it has changed since, the function is traced anew, and a
function that changes it while it is traced is refused.

What a function may read is found from its code: the variables outside, and of the
objects that they hold the attributes whose names occur in the code of any function on
the way (methods, properties and functions in lists are on the way too).
"""

from __future__ import annotations

import collections
import dis
import enum
import functools
import itertools
import operator
import sys
import types
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.callsite import of_user
from chainrule.errors import ArgumentError
from chainrule.nest import flatten
from chainrule.tensor import Tensor

#: Compared by their values; anything else is compared by identity.
ATOMS = (bool, int, float, complex, str, bytes, type(None), enum.Enum, np.generic)
#: Compared item by item, whoever derives from them.
CONTAINERS = (list, tuple, set, frozenset, dict, collections.deque)
#: Containers of more items are compared by identity and length alone.
ITEMS = 1000
#: Functions that call each other, and objects within objects, are followed so far.
DEPTH = 8
#: Containers within containers are compared so far.
LAYERS = 16
#: Names in code that may read any attribute.
ANY = {"getattr", "vars", "__dict__", "attrgetter"}
#: What Python calls without naming it in code, and which is not run while tracing.
_NOT_RUN = {"__init__", "__new__", "__del__", "__init_subclass__", "__repr__"}

Get = Callable[[], Any]
Found = Iterator[tuple[str, Get]]


class _Missing:
    """Stands for a name that is not bound (yet)."""


MISSING = _Missing()


def fingerprint(item: Any, depth: int = 0) -> Any:
    """What is compared of an item: its value, or its identity."""
    kind = type(item)
    if isinstance(item, ATOMS):
        return kind, item if item == item else "nan"
    if isinstance(item, np.ndarray):
        return kind, item.shape, item.dtype, _crc(item)
    if isinstance(item, CONTAINERS):
        if depth >= LAYERS or len(item) > ITEMS:
            return id(item), len(item)
        if isinstance(item, dict):
            pairs = [
                (fingerprint(k, depth + 1), fingerprint(v, depth + 1))
                for k, v in item.items()
            ]
            return kind, tuple(pairs)
        parts = [fingerprint(part, depth + 1) for part in item]
        return kind, frozenset(parts) if kind in (set, frozenset) else tuple(parts)
    if getattr(kind, "compared_by_value", False):
        return kind, id(item), fingerprint(vars(item), depth + 1)
    if kind is bytearray:
        return kind, bytes(item)
    if isinstance(item, Iterator):
        return id(item), _position(item)
    return id(item)


def _position(item: Any) -> Any:
    """How far an iterator has come, as far as that can be told."""
    frame = getattr(item, "gi_frame", None)
    if frame is not None:
        return frame.f_lasti, fingerprint(dict(frame.f_locals), LAYERS - 1)
    if isinstance(item, itertools.count):
        return repr(item)
    try:
        return operator.length_hint(item, -1)
    except TypeError:
        return -1


def _crc(array: np.ndarray) -> int:
    if array.dtype == object:
        return id(array)
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


class Attributes:
    """The attributes of a module as they are when it is called within a trace."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.items = {k: v for k, v in vars(module).items() if k != "training"}
        self.prints = {k: fingerprint(v) for k, v in self.items.items()}

    def changed(self) -> bool:
        """Whether one is another now, or new."""
        now = vars(self.module)
        if len(now) - ("training" in now) != len(self.items):
            return True
        return any(
            k not in now
            or (now[k] is not v and fingerprint(now[k]) != self.prints[k])
            or (
                isinstance(v, (*CONTAINERS, np.ndarray))
                and fingerprint(now[k]) != self.prints[k]
            )
            for k, v in self.items.items()
        )


class Snapshot:
    """What a function found outside, by the names under which it found it.

    Args:
        function: the function that is traced.
        arguments: those of its arguments that are part of the program, by name.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any] | None = None
    ) -> None:
        self._watched: list[tuple[str, Get, Any, Any]] = []
        self._kept: list[Any] = []  # whose ids are compared stay alive
        self.tensors: dict[int, str] = {}
        walk = _Walk(function, arguments or {})
        for name, get in walk.found:
            self._watch(name, get)
        self._drawn = [
            (name, draws, fingerprint(draws())) for name, draws in walk.draws
        ]

    def _watch(self, name: str, get: Get) -> None:
        item = get()
        if isinstance(item, Tensor):
            self.tensors.setdefault(id(item), name)
        self._kept.append(item)
        atom = isinstance(item, ATOMS)
        self._watched.append((name, get, item, None if atom else fingerprint(item)))

    def _changes(self) -> Iterator[tuple[str, Any, Any, Any]]:
        """(name, what it was, its fingerprint, what it is) of what is another now."""
        for name, get, item, print_ in self._watched:
            now = get()
            if not _is_still(item, print_, now):
                yield name, item, print_, now

    def holds(self) -> bool:
        """Whether everything is what it was."""
        for _, get, item, print_ in self._watched:
            now = get()
            if now is item and (print_ is None or type(print_) is int):
                continue  # most are: this is a part of every call
            if not _is_still(item, print_, now):
                return False
        return True

    def refuse_changes(self, function: str) -> None:
        """Refuse a function that changed what it found while it was traced.

        A cache may be filled: what was built with the empty one serves one call.
        """
        for name, item, print_, now in self._changes():
            if _filled(item, print_, now):
                continue
            raise ArgumentError(
                f"{function} changes {name!r}, which it found outside, while it is "
                "traced: that would happen once and not at every call.",
                expected="a function that changes tensors alone, with copy_",
                got=f"another {name} than before",
                fix=f"make {name} a tensor (copy_ changes it at every call), or "
                "return the new value",
            )
        for name, draws, before in self._drawn:
            if fingerprint(draws()) != before:
                raise ArgumentError(
                    f"{function} draws from {name!r} while it is traced: the number "
                    "would be the same at every call.",
                    expected="random numbers that are part of the graph",
                    got=f"another state of {name} than before",
                    fix="cr.rand, cr.randn or cr.randint, or draw outside and pass "
                    "the number as an argument",
                )


def _is_still(item: Any, print_: Any, now: Any) -> bool:
    """Whether something is what it was, by its fingerprint (None: a single value)."""
    if print_ is None:
        return now is item or (type(now) is type(item) and now == item)
    if type(print_) is int:
        return now is item
    return fingerprint(now) == print_


def _filled(item: Any, print_: Any, now: Any) -> bool:
    """Whether something empty was filled, or a dictionary got further keys."""
    if item is None:
        return not _has_traced(now)
    if not isinstance(now, dict) or type(now) is not type(item) or now is not item:
        return False
    (_, before), made = print_, fingerprint(now)[1]
    if not isinstance(before, tuple) or not isinstance(made, tuple):
        return False
    count = len(before)
    return made[:count] == before and not _has_traced(list(now.values())[count:])


def _has_traced(item: Any) -> bool:
    """Whether a value of the trace is within."""
    leaves, _ = flatten(item)
    return any(
        isinstance(leaf, Tensor) and leaf._value.array is None for leaf in leaves
    )


class _Walk:
    """Everything that a function may read outside, and how to read it.

    Attributes:
        found: (name, how to read it).
        draws: the same for the states of random number generators that are not ours.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any]
    ) -> None:
        self.names: set[str] = set()
        known = -1
        while known < len(self.names):  # functions on the way name more attributes
            known = len(self.names)
            self._seen: set[Any] = set()
            self.draws: list[tuple[str, Get]] = []
            name = getattr(function, "__name__", type(function).__name__)
            self.found = list(self._within(name, function, 0))
            for name, item in arguments.items():
                self.found.append((name, lambda item=item: item))
                self.found += self._within(name, item, 1)

    def _within(self, name: str, item: Any, depth: int) -> Found:
        """What may be read of an item: surroundings of functions, items, attributes."""
        if depth > DEPTH or isinstance(item, (*ATOMS, Tensor, np.ndarray)):
            return
        if isinstance(item, types.FunctionType):
            yield from self._function(name, item, depth)
        elif isinstance(item, types.MethodType):
            yield from self._within("self", item.__self__, depth)
            yield from self._within(name, item.__func__, depth)
        elif isinstance(item, functools.partial):
            yield name, lambda: (item.args, item.keywords)
            parts = (item.func, *item.args, *item.keywords.values())
            for part in parts:
                yield from self._within(name, part, depth + (part is not item.func))
        elif isinstance(item, types.BuiltinFunctionType):
            if not isinstance(item.__self__, types.ModuleType | type(None)):
                yield from self._within(name, item.__self__, depth + 1)
        elif isinstance(item, types.ModuleType):
            yield from self._module(name, item, depth)
        elif _is_a(item, "random", "Random"):
            self.draws.append((name, item.getstate))
        elif _is_a(item, "numpy.random", "Generator"):
            self.draws.append((name, lambda: item.bit_generator.state))
        elif _is_a(item, "numpy.random", "RandomState"):
            self.draws.append((name, item.get_state))
        else:
            yield from self._object(name, item, depth)

    def _function(self, name: str, function: types.FunctionType, depth: int) -> Found:
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            yield from self._within(name, wrapped, depth + 1)
        if id(function) in self._seen:
            return
        if depth > 0 and not of_user(function.__code__.co_filename):
            return
        self._seen.add(id(function))
        variables, attributes = _names(function.__code__)
        self.names |= attributes
        found: dict[str, Get] = {}
        cells = function.__closure__ or ()
        for key, cell in zip(function.__code__.co_freevars, cells):
            found[key] = lambda cell=cell: _cell(cell)
        space = function.__globals__
        for key in sorted(variables & space.keys()):
            found[key] = lambda key=key, space=space: space.get(key, MISSING)
        for part in ("__defaults__", "__kwdefaults__"):
            if getattr(function, part):
                found[f"{name}.{part}"] = lambda part=part: getattr(function, part)
        for key, get in found.items():
            yield key, get
            yield from self._within(key, get(), depth + 1)

    def _module(self, name: str, module: types.ModuleType, depth: int) -> Found:
        if module.__name__ == "random" and hasattr(module, "getstate"):
            self.draws.append((name, module.getstate))
        elif module.__name__ == "numpy.random" or (
            module is np and "random" in self.names
        ):
            self.draws.append((name, np.random.get_state))
        elif of_user(getattr(module, "__file__", None) or "<"):
            yield from self._attributes(name, module, vars(module), depth)

    def _object(self, name: str, item: Any, depth: int) -> Found:
        """The items of a container, the attributes of an object or of a class."""
        if isinstance(item, CONTAINERS) and len(item) <= ITEMS:
            if id(item) in self._seen:
                return
            self._seen.add(id(item))
            for part in list(item.values() if isinstance(item, dict) else item):
                yield from self._within(f"{name}[…]", part, depth + 1)
        wrapped = vars(item).get("__wrapped__") if hasattr(item, "__dict__") else None
        if wrapped is not None:
            yield from self._within(name, wrapped, depth)
        of = item.__mro__ if isinstance(item, type) else type(item).__mro__
        if _is_module(of):
            for key, part in vars(item).items():
                if not isinstance(item, type) and _is_module(type(part).__mro__):
                    yield from self._within(f"{name}.{key}", part, depth + 1)
        elif any(base.__module__.startswith("chainrule.") for base in of):
            return  # it tells a trace itself what it is: an optimiser
        held = getattr(item, "__dict__", None)
        own = of[0].__module__.startswith("chainrule.")
        if isinstance(held, Mapping) and not isinstance(item, type) and not own:
            yield from self._attributes(name, item, held, depth)
        for base in of:
            if _is_users(base):
                yield from self._attributes(name, item, vars(base), depth)

    def _attributes(
        self, name: str, item: Any, held: Mapping[str, Any], depth: int
    ) -> Found:
        """Those of the attributes in ``held`` that the code on the way may read."""
        everything = not self.names.isdisjoint(ANY)
        for key, raw in list(held.items()):
            function = _function_of(raw)
            runs = key.startswith("__") and function and key not in _NOT_RUN
            if isinstance(item, type) and key == "__init__":
                runs = True
            if not (runs or key in self.names or (everything and key[:1] != "_")):
                continue
            if (id(item), key) in self._seen or key == "training":
                continue
            self._seen.add((id(item), key))
            at = f"{name}.{key}"
            if function is not None and held is not getattr(item, "__dict__", None):
                yield from self._within(at, function, depth)
                continue
            get = functools.partial(_attribute, item, key)
            yield at, get
            yield from self._within(at, get(), depth + 1)


def _is_a(item: Any, module: str, kind: str) -> bool:
    """Whether an item is of a class of a module; one that is not loaded has none."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(item, getattr(loaded, kind))


def _attribute(item: Any, key: str) -> Any:
    """An attribute as it is now; no property is computed."""
    held = getattr(item, "__dict__", {})
    if key in held:
        return held[key]
    for base in type(item).__mro__:
        if key in vars(base):
            raw = vars(base)[key]
            if isinstance(raw, types.MemberDescriptorType):
                return getattr(item, key, MISSING)
            return raw
    return MISSING


def _function_of(raw: Any) -> Any:
    """The function behind an attribute of a class; None for anything else."""
    if isinstance(raw, property):
        return raw.fget
    if isinstance(raw, staticmethod | classmethod):
        return raw.__func__
    if isinstance(raw, functools.cached_property):
        return raw.func
    return raw if isinstance(raw, types.FunctionType) else None


def _is_module(bases: tuple[type, ...]) -> bool:
    """Whether a class is that of a layer or a network."""
    return any(
        b.__name__ == "Module" and b.__module__ == "chainrule.nn.module" for b in bases
    )


def _is_users(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    return of_user(getattr(module, "__file__", None) or "<")


@functools.lru_cache(maxsize=4096)  # the same functions are met by every trace
def _names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals and the attributes that the code of a function reads, with those of
    functions within it; texts in it may name attributes too."""
    variables: set[str] = set()
    attributes: set[str] = set()
    waiting: list[Any] = [code]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and item.isidentifier():
            attributes.add(item)
        if not isinstance(item, types.CodeType):
            continue
        waiting.extend(item.co_consts)
        for step in dis.get_instructions(item):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                variables.add(step.argval)
            elif "ATTR" in step.opname or "METHOD" in step.opname:
                attributes.add(step.argval)
    return frozenset(variables), frozenset(attributes | (variables & ANY))


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
