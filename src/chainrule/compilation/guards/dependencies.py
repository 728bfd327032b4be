"""The dependency scan: what a function may read outside of itself.

The scan follows references from the function: its globals, closure variables and
defaults; the items of containers; whatever objects written in C refer to (caches,
weak references, bound methods). Of the user's own objects and classes it takes the
attributes whose names occur in the code of any function that it meets: methods,
properties and functions in lists are met too. The code of packages is not read: of
their objects all attributes count, up to a limit.
"""

from __future__ import annotations

import builtins
import collections
import contextvars
import dis
import enum
import functools
import gc
import operator
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from chainrule.compilation.guards.fingerprints import CONTAINERS, MISSING
from chainrule.compilation.guards.moving_calls import may_move, moves
from chainrule.compilation.guards.sources import (
    Source,
    attribute_source,
    cell_source,
    item_source,
)
from chainrule.compilation.guards.system_draws import system_draws
from chainrule.tensor import Tensor
from chainrule.util.source_location import of_user

#: So many objects of packages in a row are followed, and so many of their attributes
#: and references in all.
FOREIGN_LEVELS, FOREIGN_ITEMS = 3, 500
#: Names in code that may read any attribute.
ANY = {
    *("getattr", "setattr", "delattr", "hasattr", "vars", "__dict__", "attrgetter"),
    *("exec", "eval", "__setattr__", "__getattribute__"),
}
#: Names in code that may read any global.
SPACES = {"globals", "locals", "vars", "exec", "eval", "__globals__", "__dict__"}
#: Special methods that are not run while tracing, though code may not name them.
_NOT_RUN = {"__init__", "__new__", "__del__", "__init_subclass__", "__repr__"}
#: ModuleGuards of functions that are followed.
_OF_FUNCTIONS = {"__wrapped__"}
_CACHE = type(functools.cache(id))
_SINGLE = (bool, int, float, complex, str, bytes, type(None), np.generic, Tensor)


class DependencyScan:
    """The scan for all outside variables and attributes that a function may read.

    Attributes:
        sources: what the function reads outside.
        draws: names and states of random number generators that are not ours.
        growing: names and attributes of objects that may get more of them.
        caches: the functions on the way that remember their results, and how many
            calls of each have made one.
        moves: whether it may call what changes by itself, such as a clock.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any]
    ) -> None:
        self.names: set[str] = set()
        self.moves = False
        self._root = function
        name = getattr(function, "__name__", type(function).__name__)
        known = -1
        while known < len(self.names):  # functions on the way name more attributes
            known = len(self.names)
            self.sources: list[Source] = []
            self.draws: list[tuple[str, Callable[[], Any]]] = []
            self.growing: list[tuple[str, Mapping[str, Any]]] = []
            self.caches: list[tuple[Any, int]] = []
            self._attributes_seen: set[tuple[int, str]] = set()
            self._seen: dict[int, Any] = {}
            self._foreign = 0
            self._waiting = collections.deque[tuple[str, Any, int]]()
            self._waiting.append((name, function, 0))
            for key, item in arguments.items():
                source = Source(key, (id(item), "argument"), lambda item=item: item)
                self._add(source, 0)
            while self._waiting:
                self._visit(*self._waiting.popleft())
        self.moves = self.moves or may_move(self.names)

    def objects(self) -> list[Any]:
        """Return the objects that a traced function may reach, itself among them."""
        return list(self._seen.values())

    def _follow(self, name: str, items: Iterable[Any], level: int) -> None:
        """Queue objects for the scan of what a traced function may read."""
        self._waiting += [(name, item, level) for item in items]

    def _add(self, source: Source, level: int) -> None:
        """Record an outside variable or attribute, and queue its value for the scan."""
        self.sources.append(source)
        item = source.get()
        if isinstance(item, str) and not self.names.isdisjoint(ANY):
            self.names.update(item.split("."))  # an attribute's name, perhaps
        self._waiting.append((source.name, item, level))

    def _visit(self, name: str, item: Any, level: int) -> None:
        """Scan an object for outside variables and attributes that code may read."""
        if isinstance(item, _SINGLE) or id(item) in self._seen:
            return
        self._seen[id(item)] = item
        self.moves = self.moves or moves(item)
        if isinstance(item, types.FunctionType):
            self._function(name, item, level)
        elif isinstance(item, types.MethodType):
            self._follow("self", [item.__self__], level)
            self._follow(name, [item.__func__], level)
        elif isinstance(item, types.ModuleType):
            self._module(name, item, level)
        elif isinstance(item, np.ndarray):
            self._follow(f"{name}[…]", item.flat if item.dtype.hasobject else (), level)
        elif _is_a(item, "random", "SystemRandom"):
            self.draws.append((name, system_draws))
        elif _is_a(item, "random", "Random"):
            self.draws.append((name, item.getstate))
        elif _is_a(item, "numpy.random", "Generator"):
            self.draws.append((name, lambda: item.bit_generator.state))
        elif _is_a(item, "numpy.random", "RandomState"):
            self.draws.append((name, item.get_state))
        elif isinstance(item, type):
            self._class(name, item, level)
        else:
            self._object(name, item, level)

    # -- functions and modules -----------------------------------------------------

    def _function(self, name: str, function: types.FunctionType, level: int) -> None:
        code, cells = function.__code__, function.__closure__ or ()
        self._follow(name, [getattr(function, "__wrapped__", None)], level)
        if function is not self._root and not _is_read(code.co_filename):
            for cell in cells:  # a decorator of a package holds the user's function
                self._foreign_items(name, [_contents(cell)], level)
            return
        level = 0  # packages are left
        variables, attributes, imports = _names(code)
        self.names |= attributes
        self.moves = self.moves or may_move(variables)
        for key, cell in zip(code.co_freevars, cells):
            self._add(cell_source(key, cell), level)
        space = function.__globals__
        if not attributes.isdisjoint(SPACES):
            variables |= attributes & space.keys()
        for key in sorted(variables):
            if key in space or not hasattr(builtins, key):
                self._add(item_source(key, space, key), level)
        for key in sorted(imports):
            self._add(item_source(key, sys.modules, key), level)
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            if getattr(function, part):
                get = functools.partial(getattr, function, part)
                put = functools.partial(setattr, function, part)
                self._add(
                    Source(f"{name}.{part}", (id(function), part), get, put), level
                )
        own = {k: v for k, v in vars(function).items() if k not in _OF_FUNCTIONS}
        if own or not self.names.isdisjoint(ANY):
            self.growing.append((name, vars(function)))
        self._attributes(name, function, own, level)

    def _module(self, name: str, module: types.ModuleType, level: int) -> None:
        if module.__name__ == "random" and hasattr(module, "getstate"):
            self.draws.append((name, module.getstate))
            if "SystemRandom" in self.names:  # it may be made while tracing
                self.draws.append((name, system_draws))
        elif module.__name__ == "secrets":
            self.draws.append((name, system_draws))
        elif module.__name__ == "numpy.random" or (
            module is np and "random" in self.names
        ):
            self.draws.append((name, np.random.get_state))
        elif module is os and "getenv" in self.names:
            self.names.add("environ")
        attributes = vars(module)
        if not _is_read(getattr(module, "__file__", None) or "<"):
            # Of a package its settings count, and not what it is made of.
            named = {
                k: attributes[k]
                for k in self.names & attributes.keys()
                if k != "__dict__"
            }
            parts = types.ModuleType | type
            attributes = {
                k: v
                for k, v in named.items()
                if not (callable(v) or isinstance(v, parts))
            }
            if module.__name__.startswith("chainrule"):
                return
        self._attributes(name, module, attributes, level)

    # -- objects and classes -------------------------------------------------------

    def _object(self, name: str, item: Any, level: int) -> None:
        """Scan the references and the attributes of an object that code may read."""
        self._references(name, item, level)
        own = getattr(item, "__dict__", None)
        attributes: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
        self._follow(name, [attributes.get("__wrapped__")], level)
        kinds = type(item).__mro__
        if _is_one(kinds, "chainrule.optim.rule_optimizer", "RuleOptimizer"):
            return  # it tells a trace itself what it is
        if own is not None:
            module = _is_module(item)
            parts = {k: v for k, v in attributes.items() if module and _is_module(v)}
            for key, part in parts.items():
                self._follow(f"{name}.{key}", [part], level)
            ours = kinds[0].__module__.startswith("chainrule.")
            ours = ours or isinstance(item, types.SimpleNamespace)
            foreign = not ours and not any(map(_is_users, kinds))
            level = level if foreign else 0
            if not module:
                self.growing.append((name, attributes))
            every = foreign and level < FOREIGN_LEVELS
            self._attributes(name, item, attributes, level + foreign, every=every)
        self._of_classes(name, item, kinds, attributes, level)

    def _references(self, name: str, item: Any, level: int) -> None:
        """Scan the items of a container, or the target of a reference or partial."""
        if isinstance(item, CONTAINERS):
            self._follow(f"{name}[…]", _referents(item), level)
        elif isinstance(item, weakref.ref):
            self._add(Source(name, (id(item), "()"), item), level)
        elif isinstance(item, functools.partial):
            self._follow(name, [item.func], level)
            key = id(item), "arguments"
            self._add(Source(name, key, lambda: (item.args, item.keywords)), level)
        elif isinstance(item, _CACHE):
            self._cache(name, item, level)
        elif isinstance(item, contextvars.ContextVar):
            with suppress(LookupError):
                self._follow(name, [item.get()], level)
        elif isinstance(item, types.BuiltinFunctionType):
            own = item.__self__
            if not isinstance(own, types.ModuleType | type(None)):
                self._add(Source(name, (id(own), "self"), lambda: own), level)
        elif isinstance(item, operator.attrgetter | operator.methodcaller):
            texts = [part for part in item.__reduce__()[1] if isinstance(part, str)]
            self.names.update(*[text.split(".") for text in texts])
        elif not isinstance(item, types.CodeType) and not _is_plain(type(item)):
            self._foreign_items(name, _referents(item), level)

    def _class(self, name: str, kind: type, level: int) -> None:
        """Scan the attributes of a class that the traced code may read."""
        if _is_users(type(kind)):
            self._follow(type(kind).__name__, [type(kind)], level)
        if isinstance(kind, enum.EnumMeta) and _is_users(kind):
            self._follow(name, list(kind), level)
        self._of_classes(name, kind, kind.__mro__, {}, level)

    def _of_classes(
        self,
        name: str,
        item: Any,
        kinds: tuple[type, ...],
        instance_attributes: Mapping[str, Any],
        level: int,
    ) -> None:
        """Scan what an object, or a class itself, inherits from the user's classes."""
        called = {k for base in kinds[:-1] if not _is_users(base) for k in vars(base)}
        for base in kinds:
            if not _is_users(base):
                continue
            # What overrides a package's method is called by the package.
            self.names |= {k for k in called & vars(base).keys() if k[:2] != "__"}
            if (id(base), "") not in self._attributes_seen:
                self._attributes_seen.add((id(base), ""))
                self.growing.append((base.__name__, vars(base)))
            self._attributes(name, item, vars(base), level)
            if not isinstance(item, type):
                hidden = {
                    k: v for k, v in vars(base).items() if k in instance_attributes
                }
                self._attributes(base.__name__, base, hidden, level)

    def _attributes(
        self,
        name: str,
        item: Any,
        attributes: Mapping[str, Any],
        level: int,
        *,
        every: bool = False,
    ) -> None:
        """Record those attributes in ``attributes`` that the traced code may read.

        ``every``: code that is not read may read all of them.
        """
        everything = not self.names.isdisjoint(ANY)
        of = item if isinstance(item, type) else type(item)
        private = "__" if any(map(_is_users, of.__mro__)) else "_"
        for key, raw in list(attributes.items()):
            function = _function_of(raw)
            runs = key.startswith("__") and function and key not in _NOT_RUN
            if isinstance(item, type) and key == "__init__":
                runs = True
            if every and self._foreign < FOREIGN_ITEMS:
                self._foreign += 1
                runs = True
            named = key in self.names or (everything and not key.startswith(private))
            if not (runs or named):
                continue
            if (id(item), key) in self._attributes_seen or key == "training":
                continue
            self._attributes_seen.add((id(item), key))
            at = f"{name}.{key}"
            if function is not None and key not in getattr(item, "__dict__", ()):
                get = functools.partial(attributes.get, key, MISSING)
                self.sources.append(Source(at, (id(attributes), key), get))
                self._follow(at, [function], level)
                continue
            if function is not None and isinstance(item, type):
                self._follow(at, [function], level)
            self._add(attribute_source(at, item, key), level)

    # -- what is written in C ------------------------------------------------------

    def _foreign_items(self, name: str, items: Iterable[Any], level: int) -> None:
        """Queue library objects for the dependency scan, up to fixed limits."""
        for item in items:
            if level < FOREIGN_LEVELS and self._foreign < FOREIGN_ITEMS:
                self._foreign += 1
                self._follow(name, [item], level + 1)

    def _cache(self, name: str, cache: Any, level: int) -> None:
        """Scan and guard the results that ``functools.lru_cache`` has stored."""
        self.caches.append((cache, cache.cache_info().misses))
        results = _results(cache)
        self._follow(f"{name}(…)", results, level)
        results_before = {id(result) for result in results}
        held: list[int] = []

        def get() -> bool:
            """Return whether the cache still has what it had: a part of every call."""
            nonlocal held
            now = _ids(cache)
            if now != held:  # as when it was looked at last: mostly
                if not results_before <= set(map(id, _results(cache))):
                    return False
                held = now
            return True

        self.sources.append(Source(name, (id(cache), "cache"), get))


def _ids(cache: Any) -> list[int]:
    """Return the ids of whatever a function of ``functools.lru_cache`` refers to."""
    parts = gc.get_referents(cache)
    for part in tuple(parts):
        if type(part) is dict:
            parts += part.values()
    return list(map(id, parts))


def _results(cache: Any) -> list[Any]:
    """Return the objects that a function of ``functools.lru_cache`` has stored."""
    results = _referents(cache)
    for item in list(results):
        if type(item) is dict:
            results += item.values()
    return results


def _referents(item: Any) -> list[Any]:
    """Return the objects that an object refers to, except class and attribute dict."""
    skipped = (type(item), getattr(item, "__dict__", None))
    referents = gc.get_referents(item)
    return [part for part in referents if not any(part is other for other in skipped)]


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _is_read(file: str) -> bool:
    """Return whether the scan reads a file's code: user code, or a prompt's."""
    return of_user(file) or (file.startswith("<") and not file.startswith("<frozen"))


def _is_users(kind: type) -> bool:
    """Return whether a class is defined by user code or at an interactive prompt."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is not None:
        return of_user(file)
    by_statement = kind.__flags__ & (1 << 9)  # by a class statement
    known = kind.__module__ in sys.builtin_module_names
    return bool(by_statement) and (not known or kind.__module__ == "builtins")


def _is_plain(kind: type) -> bool:
    """Return whether objects of a class store their attributes in a ``__dict__``."""
    return any("__dict__" in vars(base) for base in kind.__mro__)


def _is_a(item: Any, module: str, kind: str) -> bool:
    """Return whether an object is an instance of a class, if its module is loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(item, getattr(loaded, kind))


def _is_one(bases: tuple[type, ...], module: str, kind: str) -> bool:
    """Return whether a class of this name is among base classes, without an import."""
    return any(b.__name__ == kind and b.__module__ == module for b in bases)


def _is_module(item: Any) -> bool:
    return _is_one(type(item).__mro__, "chainrule.nn.module", "Module")


def _function_of(raw: Any) -> Any:
    """Return the function of a method or property; None for any other attribute."""
    if isinstance(raw, property):
        return raw.fget
    if isinstance(raw, staticmethod | classmethod):
        return raw.__func__
    if isinstance(raw, functools.cached_property):
        return raw.func
    return raw if isinstance(raw, types.FunctionType) else None


@functools.lru_cache(maxsize=512)  # the same functions are met by every trace
def _names(
    code: types.CodeType,
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the names of globals, attributes and modules that bytecode may read.

    Functions within it are included; texts in it may name attributes too.
    """
    variables, attributes, imports = set[str](), set[str](), set[str]()
    waiting: list[Any] = [code]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            attributes.update(filter(str.isidentifier, item.split(".")))
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
            elif step.opname == "IMPORT_NAME":
                imports.add(step.argval)
            elif step.opname == "KW_NAMES":
                waiting.append(step.argval)
    attributes |= variables & (ANY | SPACES)
    return frozenset(variables), frozenset(attributes), frozenset(imports)
