"""What a function finds outside of itself: seen once when it is traced, so watched.

Tensors from outside are state of a compiled function and may change. Everything else
that its Python read while it was traced (numbers in closures, globals and attributes,
NumPy arrays, lists, the objects themselves) is frozen in its graph. A :class:`Snapshot`
remembers what it was: where it has changed since, the function is traced anew, and a
function that changes it while it is traced is refused.
"""

from __future__ import annotations

import dis
import enum
import types
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.source import of_user
from chainrule.tensor import Tensor

#: Compared by their values; anything else is compared by identity.
ATOMS = (bool, int, float, complex, str, bytes, type(None), enum.Enum, np.generic)
#: Containers of more items are compared by identity and length alone.
ITEMS = 1000
#: Functions that call each other are followed so far.
DEPTH = 8

Get = Callable[[], Any]


class _Missing:
    """Stands for a name that is not bound (yet)."""


MISSING = _Missing()


def _print(item: Any, depth: int = 0) -> Any:
    """What is compared of an item: its value, or its identity."""
    kind = type(item)
    if isinstance(item, ATOMS):
        return kind, item if item == item else "nan"
    if kind is np.ndarray:
        return kind, item.shape, item.dtype, _crc(item)
    if depth < 4 and kind in (list, tuple, set, frozenset, dict) and len(item) <= ITEMS:
        if kind is dict:
            pairs = [
                (_print(k, depth + 1), _print(v, depth + 1)) for k, v in item.items()
            ]
            return kind, tuple(pairs)
        parts = [_print(part, depth + 1) for part in item]
        return kind, frozenset(parts) if kind in (set, frozenset) else tuple(parts)
    if kind in (list, tuple, set, frozenset, dict):
        return id(item), len(item)
    return id(item)


def _crc(array: np.ndarray) -> int:
    if array.dtype == object:
        return id(array)
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


class Attributes:
    """The attributes of a module as they are when it is called within a trace."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.items = {k: v for k, v in vars(module).items() if k != "training"}
        self.prints = {k: _print(v) for k, v in self.items.items()}

    def changed(self) -> bool:
        """Whether one is another now, or new."""
        now = vars(self.module)
        if len(now) - ("training" in now) != len(self.items):
            return True
        return any(
            k not in now
            or (now[k] is not v and _print(now[k]) != self.prints[k])
            or (type(v) in _CONTAINERS and _print(now[k]) != self.prints[k])
            for k, v in self.items.items()
        )


_CONTAINERS = (list, dict, set, np.ndarray)


class Snapshot:
    """What a function found outside, by the names under which it found it.

    Args:
        function: the function that is traced.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._watched: list[tuple[str, Get, Any, Any]] = []
        self._kept: list[Any] = []  # whose ids are compared stay alive
        self.tensors: dict[int, str] = {}
        seen: set[Any] = set()
        for name, get in _outside(function, seen, 0):
            self._watch(name, get)

    def _watch(self, name: str, get: Get) -> None:
        item = get()
        if isinstance(item, Tensor):
            self.tensors.setdefault(id(item), name)
        self._kept.append(item)
        atom = isinstance(item, ATOMS)
        self._watched.append((name, get, item, None if atom else _print(item)))

    def changed(self) -> str | None:
        """The name of something that is no longer what it was; None: all is."""
        for name, get, item, print_ in self._watched:
            now = get()
            if print_ is None:
                same = now is item or (type(now) is type(item) and now == item)
            elif type(print_) is int:
                same = now is item
            else:
                same = _print(now) == print_
            if not same:
                return name
        return None

    def refuse_changes(self, function: str) -> None:
        """Refuse a function that changed what it found while it was traced."""
        name = self.changed()
        if name is not None:
            raise ArgumentError(
                f"{function} changes {name!r}, which it found outside, while it is "
                "traced: that would happen once and not at every call.",
                expected="a function that changes tensors alone, with copy_",
                got=f"another {name} than before",
                fix=f"make {name} a tensor (copy_ changes it at every call), or "
                "return the new value",
            )


def _outside(function: Any, seen: set[Any], depth: int) -> Iterator[tuple[str, Get]]:
    """(name, how to read it) of everything that a function may read outside."""
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        _, names = _names(getattr(function, "__func__", function))
        yield from _attributes("self", owner, names, seen, depth)
    function = getattr(function, "__func__", function)
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        yield from _outside(wrapped, seen, depth + 1)
    if isinstance(function, types.FunctionType):
        if id(function) in seen or depth > DEPTH or not _followed(function, depth):
            return
        seen.add(id(function))
        variables, names = _names(function)
        found: dict[str, Get] = {}
        cells = function.__closure__ or ()
        for name, cell in zip(function.__code__.co_freevars, cells):
            found[name] = lambda cell=cell: _cell(cell)
        space = function.__globals__
        for name in variables & space.keys():
            found[name] = lambda name=name, space=space: space.get(name, MISSING)
        for name, get in found.items():
            yield name, get
            yield from _within(name, get(), names, seen, depth)
        for part in (function.__defaults__, function.__kwdefaults__):
            for item in part.values() if isinstance(part, dict) else part or ():
                yield from _within(function.__name__, item, names, seen, depth)
    elif callable(function) and not isinstance(function, type):
        call = type(function).__call__
        if isinstance(call, types.FunctionType) and _followed(call, depth):
            name, (_, names) = type(function).__name__, _names(call)
            yield from _attributes(name, function, names, seen, depth)


def _within(
    name: str, item: Any, names: set[str], seen: set[Any], depth: int
) -> Iterator[tuple[str, Get]]:
    """What may be read of an item: a function's surroundings, an object's numbers."""
    if isinstance(item, types.FunctionType | types.MethodType):
        yield from _outside(item, seen, depth + 1)
    elif isinstance(item, types.ModuleType):
        if of_user(getattr(item, "__file__", None) or "<"):
            yield from _attributes(name, item, names, seen, depth)
    elif not isinstance(item, ATOMS) and hasattr(item, "__dict__"):
        yield from _attributes(name, item, names, seen, depth)


def _attributes(
    name: str, item: Any, names: set[str], seen: set[Any], depth: int
) -> Iterator[tuple[str, Get]]:
    """The attributes of an object that code with these names may read."""
    held = getattr(item, "__dict__", None)
    if not isinstance(held, Mapping) or isinstance(item, type | Tensor):
        return
    if depth > DEPTH or watches_itself(item):
        return
    for key in sorted(names & held.keys()):
        if (id(item), key) in seen:
            continue
        seen.add((id(item), key))
        yield f"{name}.{key}", lambda held=held, key=key: held.get(key, MISSING)
        yield from _within(f"{name}.{key}", held[key], names, seen, depth + 1)


def watches_itself(item: Any) -> bool:
    """Whether an object tells a trace itself what it is (a module, an optimiser)."""
    return type(item).__module__.startswith("chainrule.") or any(
        base.__module__.startswith("chainrule.") for base in type(item).__mro__[:-1]
    )


def _followed(function: types.FunctionType, depth: int) -> bool:
    return depth == 0 or of_user(function.__code__.co_filename)


def _names(function: Any) -> tuple[set[str], set[str]]:
    """The globals and the attributes that a function's code reads, with those of
    functions within it."""
    variables: set[str] = set()
    attributes: set[str] = set()
    waiting = [getattr(function, "__code__", None)]
    while waiting:
        code = waiting.pop()
        if not isinstance(code, types.CodeType):
            continue
        waiting.extend(code.co_consts)
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                variables.add(step.argval)
            elif "ATTR" in step.opname or "METHOD" in step.opname:
                attributes.add(step.argval)
    return variables, attributes


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
