"""Calls of modules: scopes of a traced graph that know which call they are of."""

from __future__ import annotations


class Call(str):
    """The path of a module, as the scope of the graph nodes of one call of it.

    Two calls of a module have equal paths and are two objects, so that a reader of the
    graph can tell them apart. Copies of nodes keep their scope, and with it their call.
    The text form of a graph has the path alone.

    Attributes:
        outer: the scope in which the module was called.
        kind: the module's class.
        whole: whether the module is one step for its readers, such as a linear layer.
    """

    __slots__ = ("kind", "outer", "whole")

    outer: str
    kind: str
    whole: bool

    def __new__(cls, path: str, outer: str, kind: str, whole: bool) -> Call:
        """Create the scope of a call of a module at a path."""
        call = super().__new__(cls, path)
        call.outer, call.kind, call.whole = outer, kind, whole
        return call

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)
