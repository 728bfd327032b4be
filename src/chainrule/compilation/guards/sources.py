"""Sources: outside variables, items and attributes that a traced function may read."""

from __future__ import annotations

import types
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from chainrule.compilation.guards.fingerprints import MISSING


@dataclass(frozen=True)
class Source:
    """A source: an outside variable, item or attribute that a traced function may read.

    Attributes:
        name: what it is called there.
        key: the same for the same source, whoever finds it.
        get: what stands there now; :data:`MISSING` where nothing does.
        put: puts another item there; None where that cannot be done.
    """

    name: str
    key: Any
    get: Callable[[], Any]
    put: Callable[[Any], object] | None = None


def cell_source(name: str, cell: types.CellType) -> Source:
    """Return the source (the way to read it again) of a closure variable."""

    def get() -> Any:
        try:
            return cell.cell_contents
        except ValueError:
            return MISSING

    def put(item: Any) -> None:
        cell.cell_contents = item

    return Source(name, (id(cell), "cell"), get, put)


def item_source(name: str, space: MutableMapping[str, Any], key: str) -> Source:
    """Return the source (the way to read it again) of a global variable."""
    return Source(
        name,
        (id(space), key),
        partial(space.get, key, MISSING),  # a part of every call: no Python runs
        partial(space.__setitem__, key),
    )


def attribute_source(name: str, owner: Any, key: str) -> Source:
    """Return the source (the way to read it again) of an object's attribute."""

    def put(item: Any) -> None:
        holder = owner
        if key not in getattr(owner, "__dict__", {}):
            classes = owner if isinstance(owner, type) else type(owner)
            owner_class = next(c for c in classes.__mro__ if key in vars(c))
            raw = vars(owner_class)[key]
            if isinstance(raw, types.MemberDescriptorType):
                raw.__set__(owner, item)
                return
            holder = owner_class
        if isinstance(holder, type):
            type.__setattr__(holder, key, item)
        else:
            holder.__dict__[key] = item

    return Source(name, (id(owner), key), lambda: attribute(owner, key), put)


def attribute(owner: Any, key: str) -> Any:
    """Return an object's stored attribute without computing a property."""
    attributes = getattr(owner, "__dict__", {})
    if key in attributes:
        return attributes[key]
    for base in (owner if isinstance(owner, type) else type(owner)).__mro__:
        if key in vars(base):
            raw = vars(base)[key]
            if isinstance(raw, types.MemberDescriptorType):
                return getattr(owner, key, MISSING)
            return raw
    return MISSING


class Number:
    """A float outside a traced function: a variable, or an item of a container.

    Attributes:
        source: where.
        path: through the containers; empty where the float itself stands there.
        key: the same for the same number, whoever finds it.
        kind: its type.
    """

    __slots__ = ("key", "kind", "path", "source")

    def __init__(self, source: Source, path: tuple[Any, ...], kind: type) -> None:
        self.source, self.path, self.kind = source, path, kind
        self.key = source.key, path, kind

    @property
    def name(self) -> str:
        """The Python expression of an outside float, such as ``config['a'][0]``."""
        return self.source.name + "".join([f"[{key!r}]" for key in self.path])

    def is_there(self) -> bool:
        """Return whether an outside float still exists with the same type."""
        return type(self.get()) is self.kind

    def get(self) -> Any:
        """Return the current value of a float outside a traced function."""
        return self._along(self.path)

    def holder(self) -> Any:
        """Return the innermost container of a float outside a traced function."""
        return self._along(self.path[:-1])

    def _along(self, path: tuple[Any, ...]) -> Any:
        item = self.source.get()
        try:
            for key in path:
                item = item[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
        return item

    def put(self, item: Any) -> None:
        """Replace a float outside a traced function, also within tuples."""
        holders = [self.source.get()]
        for key in self.path[:-1]:
            holders.append(holders[-1][key])
        for holder, key in zip(reversed(holders), reversed(self.path)):
            if not isinstance(holder, tuple):
                holder[key] = item
                return
            parts = [*holder[:key], item, *holder[key + 1 :]]
            named = hasattr(holder, "_fields")
            item = type(holder)(*parts) if named else type(holder)(parts)
        assert self.source.put is not None
        self.source.put(item)
