"""Places: outside variables, items and attributes that a function may read."""

from __future__ import annotations

import types
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from chainrule.compilation.guards.fingerprints import MISSING


@dataclass(frozen=True)
class Place:
    """An outside variable, item or attribute that a function may read.

    Attributes:
        name: what it is called there.
        key: the same for the same place, whoever finds it.
        get: what stands there now; :data:`MISSING` where nothing does.
        put: puts another item there; None where that cannot be done.
    """

    name: str
    key: Any
    get: Callable[[], Any]
    put: Callable[[Any], object] | None = None


def of_cell(name: str, cell: types.CellType) -> Place:
    """Return the place of a closure variable."""

    def get() -> Any:
        try:
            return cell.cell_contents
        except ValueError:
            return MISSING

    def put(item: Any) -> None:
        cell.cell_contents = item

    return Place(name, (id(cell), "cell"), get, put)


def of_item(name: str, space: MutableMapping[str, Any], key: str) -> Place:
    """Return the place of a global: a name in a namespace."""
    return Place(
        name,
        (id(space), key),
        partial(space.get, key, MISSING),  # a part of every call: no Python runs
        partial(space.__setitem__, key),
    )


def of_attribute(name: str, owner: Any, key: str) -> Place:
    """Return the place of an attribute; no property is computed."""

    def put(item: Any) -> None:
        holder = owner
        if key not in getattr(owner, "__dict__", {}):
            classes = owner if isinstance(owner, type) else type(owner)
            found = next(c for c in classes.__mro__ if key in vars(c))
            raw = vars(found)[key]
            if isinstance(raw, types.MemberDescriptorType):
                raw.__set__(owner, item)
                return
            holder = found
        if isinstance(holder, type):
            type.__setattr__(holder, key, item)
        else:
            holder.__dict__[key] = item

    return Place(name, (id(owner), key), lambda: attribute(owner, key), put)


def attribute(owner: Any, key: str) -> Any:
    """Return the current value of an attribute; no property is computed."""
    held = getattr(owner, "__dict__", {})
    if key in held:
        return held[key]
    for base in (owner if isinstance(owner, type) else type(owner)).__mro__:
        if key in vars(base):
            raw = vars(base)[key]
            if isinstance(raw, types.MemberDescriptorType):
                return getattr(owner, key, MISSING)
            return raw
    return MISSING


class Number:
    """An outside float: the value of a place, or an item of a container in one.

    Attributes:
        place: where.
        path: through the containers; empty where the float itself stands there.
        key: the same for the same number, whoever finds it.
        kind: its type.
    """

    __slots__ = ("key", "kind", "path", "place")

    def __init__(self, place: Place, path: tuple[Any, ...], kind: type) -> None:
        self.place, self.path, self.kind = place, path, kind
        self.key = place.key, path, kind

    @property
    def name(self) -> str:
        """The Python expression of the outside float, such as ``config['a'][0]``."""
        return self.place.name + "".join([f"[{key!r}]" for key in self.path])

    def is_there(self) -> bool:
        """Return whether the current value is still a float of the same type."""
        return type(self.get()) is self.kind

    def get(self) -> Any:
        """Return the current value of the outside float."""
        return self._along(self.path)

    def holder(self) -> Any:
        """Return the innermost container of the outside float."""
        return self._along(self.path[:-1])

    def _along(self, path: tuple[Any, ...]) -> Any:
        item = self.place.get()
        try:
            for key in path:
                item = item[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
        return item

    def put(self, item: Any) -> None:
        """Replace the outside float by another item; rebuild tuples on its path."""
        holders = [self.place.get()]
        for key in self.path[:-1]:
            holders.append(holders[-1][key])
        for holder, key in zip(reversed(holders), reversed(self.path)):
            if not isinstance(holder, tuple):
                holder[key] = item
                return
            parts = [*holder[:key], item, *holder[key + 1 :]]
            named = hasattr(holder, "_fields")
            item = type(holder)(*parts) if named else type(holder)(parts)
        assert self.place.put is not None
        self.place.put(item)
