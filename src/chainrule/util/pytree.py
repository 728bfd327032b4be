"""Nested tuples, lists and dictionaries (pytrees): flattening and rebuilding."""

from __future__ import annotations

from collections.abc import Sequence
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
