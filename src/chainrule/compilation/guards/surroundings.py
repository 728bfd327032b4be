"""Static analysis of a function's code for the outside places it may read.

These are the variables outside, and of the objects that they hold the attributes whose
names occur in the code of any function on the way (methods, properties and functions
in lists are on the way too). The code of packages is not read: of their objects all
attributes count.
"""

from __future__ import annotations

import builtins
import dis
import functools
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.compilation.guards.fingerprints import ATOMS, CONTAINERS
from chainrule.compilation.guards.places import (
    Place,
    of_attribute,
    of_cell,
    of_item,
)
from chainrule.tensor import Tensor
from chainrule.util.source_location import of_user

#: The depth to which calls of functions and objects within objects are followed.
DEPTH = 48
#: Levels that an object of a package counts as, and the most attributes of such
#: objects that are read.
FAR, FOREIGN = 16, 500
#: Names in code that may read any attribute.
ANY = {
    *("getattr", "setattr", "delattr", "hasattr", "vars", "__dict__", "attrgetter"),
    *("exec", "eval", "__setattr__", "__getattribute__"),
}
#: Names in code that may read any global.
SPACES = {"globals", "locals", "vars", "exec", "eval", "__globals__", "__dict__"}
#: Special methods that are not run while tracing, though code may not name them.
_NOT_RUN = {"__init__", "__new__", "__del__", "__init_subclass__", "__repr__"}
#: Attributes of functions that are followed.
_OF_FUNCTIONS = {"__wrapped__"}

Found = Iterator[Place]


class Surroundings:
    """The result of the analysis: all outside places that a function may read.

    Attributes:
        found: the places.
        draws: names and states of random number generators that are not ours.
        growing: names and attributes of objects that may get more of them.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any]
    ) -> None:
        self.names: set[str] = set()
        known = -1
        while known < len(self.names):  # functions on the way name more attributes
            known = len(self.names)
            self._seen: set[Any] = set()
            self._foreign = 0
            self.draws: list[tuple[str, Callable[[], Any]]] = []
            self.growing: list[tuple[str, Mapping[str, Any]]] = []
            name = getattr(function, "__name__", type(function).__name__)
            self.found = list(self._within(name, function, 0))
            for name, item in arguments.items():
                whole = Place(name, (id(item), "argument"), lambda item=item: item)
                self.found += [whole, *self._within(name, item, 1)]

    def _within(self, name: str, item: Any, depth: int) -> Found:
        """Yield the places that may be read through an item, recursively."""
        if depth > DEPTH or isinstance(item, (*ATOMS, Tensor, np.ndarray)):
            return
        if isinstance(item, types.FunctionType):
            yield from self._function(name, item, depth)
        elif isinstance(item, types.MethodType):
            yield from self._within("self", item.__self__, depth)
            yield from self._within(name, item.__func__, depth)
        elif isinstance(item, functools.partial):
            key = id(item), "arguments"
            yield Place(name, key, lambda: (item.args, item.keywords))
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
        if depth > 0 and not _is_read(function.__code__.co_filename):
            return
        self._seen.add(id(function))
        variables, attributes = _names(function.__code__)
        self.names |= attributes
        found: list[Place] = []
        cells = function.__closure__ or ()
        for key, cell in zip(function.__code__.co_freevars, cells):
            found.append(of_cell(key, cell))
        space = function.__globals__
        if not attributes.isdisjoint(SPACES):
            variables |= attributes & space.keys()
        found += [
            of_item(key, space, key)
            for key in sorted(variables)
            if key in space or not hasattr(builtins, key)
        ]
        for part in ("__defaults__", "__kwdefaults__"):
            if getattr(function, part):
                get = functools.partial(getattr, function, part)
                put = functools.partial(setattr, function, part)
                key = id(function), part
                found.append(Place(f"{name}.{part}", key, get, put))
        for place in found:
            yield place
            yield from self._within(place.name, place.get(), depth + 1)
        held = {k: v for k, v in vars(function).items() if k not in _OF_FUNCTIONS}
        if held or not self.names.isdisjoint(ANY):
            self.growing.append((name, vars(function)))
        yield from self._attributes(name, function, held, depth)

    def _module(self, name: str, module: types.ModuleType, depth: int) -> Found:
        if module.__name__ == "random" and hasattr(module, "getstate"):
            self.draws.append((name, module.getstate))
        elif module.__name__ == "numpy.random" or (
            module is np and "random" in self.names
        ):
            self.draws.append((name, np.random.get_state))
        held = vars(module)
        if not _is_read(getattr(module, "__file__", None) or "<"):
            # Of a package its settings count, and not what it is made of.
            named = {k: held[k] for k in self.names & held.keys() if k != "__dict__"}
            made = types.ModuleType | type
            held = {
                k: v
                for k, v in named.items()
                if not (callable(v) or isinstance(v, made))
            }
            if module.__name__.startswith("chainrule"):
                return
        yield from self._attributes(name, module, held, depth)

    def _object(self, name: str, item: Any, depth: int) -> Found:
        """Yield the places of a container's items, or of an object's attributes."""
        if isinstance(item, CONTAINERS):
            if id(item) in self._seen:
                return
            self._seen.add(id(item))
            for part in list(item.values() if isinstance(item, dict) else item):
                yield from self._within(f"{name}[…]", part, depth + 1)
        held = getattr(item, "__dict__", None)
        wrapped = held.get("__wrapped__") if held else None
        if wrapped is not None:
            yield from self._within(name, wrapped, depth)
        of = item.__mro__ if isinstance(item, type) else type(item).__mro__
        if _is_one(of, "chainrule.optim.optimizer", "Optimizer"):
            return  # it tells a trace itself what it is
        module = _is_one(of, "chainrule.nn.module", "Module")
        if module and not isinstance(item, type):
            for at, part in _modules(name, item):
                if id(part) not in self._seen:
                    self._seen.add(id(part))
                    yield from self._own(at, part, depth, module)
        else:
            yield from self._own(name, item, depth, module)

    def _own(self, name: str, item: Any, depth: int, module: bool) -> Found:
        """Yield the places of the attributes of an object or a class itself."""
        of = item.__mro__ if isinstance(item, type) else type(item).__mro__
        held = getattr(item, "__dict__", None)
        if isinstance(held, Mapping) and not isinstance(item, type):
            ours = of[0].__module__.startswith("chainrule.")
            foreign = not ours and not any(map(_is_users, of))
            if not module and id(held) not in self._seen:
                self._seen.add(id(held))
                self.growing.append((name, held))
            further = depth + FAR if foreign else depth
            yield from self._attributes(name, item, held, further, foreign=foreign)
        called = {k for base in of[:-1] if not _is_users(base) for k in vars(base)}
        for base in of:
            if _is_users(base):
                # What overrides a package's method is called by the package.
                self.names |= {k for k in called & vars(base).keys() if k[:2] != "__"}
                yield from self._attributes(name, item, vars(base), depth)
                if not isinstance(item, type):
                    hidden = {k: v for k, v in vars(base).items() if k in (held or {})}
                    yield from self._attributes(base.__name__, base, hidden, depth)

    def _attributes(
        self,
        name: str,
        item: Any,
        held: Mapping[str, Any],
        depth: int,
        *,
        foreign: bool = False,
    ) -> Found:
        """Yield the places of those attributes in ``held`` that the code may read."""
        everything = not self.names.isdisjoint(ANY)
        for key, raw in list(held.items()):
            function = _function_of(raw)
            runs = key.startswith("__") and function and key not in _NOT_RUN
            if isinstance(item, type) and key == "__init__":
                runs = True
            if foreign and self._foreign < FOREIGN:
                self._foreign += 1
                runs = True
            if not (runs or key in self.names or (everything and key[:1] != "_")):
                continue
            if (id(item), key) in self._seen or key == "training":
                continue
            self._seen.add((id(item), key))
            at = f"{name}.{key}"
            if function is not None and key not in getattr(item, "__dict__", ()):
                yield from self._within(at, function, depth)
                continue
            if function is not None and isinstance(item, type):
                yield from self._within(at, function, depth)
            place = of_attribute(at, item, key)
            yield place
            yield from self._within(at, place.get(), depth + 1)


def _is_read(file: str) -> bool:
    """Return whether code of a file is analysed: user code, or a prompt's."""
    return of_user(file) or (file.startswith("<") and not file.startswith("<frozen"))


def _is_users(kind: type) -> bool:
    """Return whether a class is defined by user code or at an interactive prompt."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is not None:
        return of_user(file)
    made = kind.__flags__ & (1 << 9)  # by a class statement
    known = kind.__module__ in sys.builtin_module_names
    return bool(made) and (not known or kind.__module__ == "builtins")


def _is_a(item: Any, module: str, kind: str) -> bool:
    """Return whether an item is an instance of a class of a loaded module."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(item, getattr(loaded, kind))


def _is_one(bases: tuple[type, ...], module: str, kind: str) -> bool:
    """Return whether a class of this name is among the bases, without an import."""
    return any(b.__name__ == kind and b.__module__ == module for b in bases)


def _modules(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield a module and all its submodules by name, without recursion."""
    waiting = [(name, module)]
    while waiting:
        name, module = waiting.pop()
        yield name, module
        waiting += [
            (f"{name}.{key}", part)
            for key, part in vars(module).items()
            if _is_one(type(part).__mro__, "chainrule.nn.module", "Module")
        ]


def _function_of(raw: Any) -> Any:
    """Return the function behind an attribute of a class; None for anything else."""
    if isinstance(raw, property):
        return raw.fget
    if isinstance(raw, staticmethod | classmethod):
        return raw.__func__
    if isinstance(raw, functools.cached_property):
        return raw.func
    return raw if isinstance(raw, types.FunctionType) else None


@functools.lru_cache(maxsize=512)  # the same functions are met by every trace
def _names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of globals and attributes that a function's code may read.

    Functions within it are included; texts in it may name attributes too.
    """
    variables: set[str] = set()
    attributes: set[str] = set()
    waiting: list[Any] = [code]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and item.isidentifier():
            attributes.add(item)
        if isinstance(item, tuple | frozenset):
            waiting.extend(item)
        if not isinstance(item, types.CodeType):
            continue
        waiting.extend(item.co_consts)
        for step in dis.get_instructions(item):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") or "_GLOBAL" in step.opname:
                variables.add(step.argval)
            elif "ATTR" in step.opname or "METHOD" in step.opname:
                attributes.add(step.argval)
            elif step.opname == "KW_NAMES":
                waiting.append(step.argval)
    return frozenset(variables), frozenset(attributes | (variables & (ANY | SPACES)))
