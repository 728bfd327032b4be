"""Nested tuples, lists and dictionaries (pytrees): flattening and rebuilding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Leaf:
    """The position of a leaf in a flattened nested structure (pytree)."""

    index: int


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of nested tuples, lists and dictionaries, and the structure.

    Whatever is no tuple, list or dictionary is a leaf, but for None, which is
    structure. Named tuples stay what they are.

    >>> leaves, structure = flatten({"a": [1, (2, None)]})
    >>> leaves, unflatten(structure, "xy")
    ([1, 2], {'a': ['x', ('y', None)]})
    """
    leaves: list[Any] = []

    def walk(item: Any) -> Any:
        if isinstance(item, dict):
            return {k: walk(v) for k, v in item.items()}
        if isinstance(item, tuple | list):
            return _like(item, [walk(v) for v in item])
        if item is None:
            return None
        leaves.append(item)
        return Leaf(len(leaves) - 1)

    return leaves, walk(tree)


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Rebuild nested tuples, lists and dictionaries from structure and leaves."""
    if type(structure) is Leaf:
        return leaves[structure.index]
    if isinstance(structure, dict):
        return {k: unflatten(v, leaves) for k, v in structure.items()}
    if isinstance(structure, tuple | list):
        return _like(structure, [unflatten(v, leaves) for v in structure])
    return structure


def _like(nest: Any, parts: list[Any]) -> Any:
    kind = type(nest)
    return kind(*parts) if hasattr(nest, "_fields") else kind(parts)


# -- nests of data ---------------------------------------------------------------------


def is_nest(item: Any) -> bool:
    """Return whether data are several parts: a dictionary or a tuple, and no list."""
    return isinstance(item, tuple) or _is_mapping(type(item))


@functools.lru_cache(maxsize=256)
def _is_mapping(kind: type) -> bool:
    """Return whether a type is a dictionary's; the answer is asked for every array."""
    return issubclass(kind, Mapping)


def mapped(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function to each leaf of a nest, and to those of others of its form.

    Dictionaries and tuples are structure; all else is a leaf, lists too.

    >>> mapped(lambda a, b: a + b, {"a": 1, "b": (2, 3)}, {"b": (5, 6), "a": 4})
    {'a': 5, 'b': (7, 9)}
    """
    if _is_mapping(type(tree)):
        return {
            k: mapped(function, v, *[o[k] for o in others]) for k, v in tree.items()
        }
    if isinstance(tree, tuple):
        parts = zip(tree, *others, strict=True)
        return _like(tree, [mapped(function, *part) for part in parts])
    return function(tree, *others)


def named(tree: Any, name: str) -> Any:
    """Return a nest of the names of a nest's leaves; two are equal for one form.

    >>> named({"a": 1, "b": (2, 3)}, "x"), named([4], "x")
    ({'a': 'x.a', 'b': ('x.b.0', 'x.b.1')}, 'x')
    """
    if _is_mapping(type(tree)):
        return {k: named(v, f"{name}.{k}") for k, v in tree.items()}
    if isinstance(tree, tuple):
        return tuple(named(v, f"{name}.{i}") for i, v in enumerate(tree))
    return name


def leaves(tree: Any, name: str) -> dict[str, Any]:
    """Return the leaves of a nest by their names.

    >>> leaves({"a": 1, "b": (2, 3)}, "x"), leaves([4], "x")
    ({'x.a': 1, 'x.b.0': 2, 'x.b.1': 3}, {'x': [4]})
    """
    if not is_nest(tree):
        return {name: tree}
    items: dict[str, Any] = {}
    mapped(items.__setitem__, named(tree, name), tree)
    return items
