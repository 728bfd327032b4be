"""The cause of a wrong gradient: a node of the graph, and a description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from chainrule.graph.node import Node
from chainrule.text import _, joined, translated


@dataclass(frozen=True)
class Cause:
    """The graph node that causes a difference between gradient and quotient.

    Attributes:
        kind: ``rule``, ``kink``, ``precision``, ``cut`` or ``nonfinite``.
        primitive: its name.
        source: ``file:line`` that it came from, where that is known.
        scope: the module that it belongs to.
        within: the composites that it is part of, outermost first.
        input: which of its inputs, for a rule.
        index: which element of its output, for a kink.
        values: the numbers of its inputs there.
        declared: what the primitive declares about its kinks.
        derivative: along a random direction, by its rule alone.
        quotient: the same by difference quotients of it alone.
        detail: what else is known.
    """

    kind: str
    primitive: str
    source: str | None = None
    scope: str = ""
    within: tuple[str, ...] = ()
    input: int | None = None
    index: tuple[int, ...] | None = None
    values: tuple[float, ...] = ()
    declared: str = ""
    derivative: float | None = None
    quotient: float | None = None
    detail: str = ""

    @classmethod
    def of(cls, kind: str, node: Node, **more: Any) -> Cause:
        """Return a cause of a gradient error, with a graph node's name and position."""
        place = {"source": node.source, "scope": node.scope}
        call = node.attrs.get("call")  # of a function with its own derivative
        name = node.primitive.name if call is None else f"{call.name}.backward"
        return cls(kind, name, **place, **more)

    def inside(self, node: Node) -> Cause:
        """Return a gradient error's cause, found within a composite, loop or branch."""
        return replace(
            self,
            source=node.source or self.source,
            scope=node.scope or self.scope,
            within=(node.primitive.name, *self.within),
        )

    def place(self) -> str:
        """Return a gradient error's place in code and model: ``a.py:12, module 0``."""
        parts = [self.source] if self.source else []
        if self.scope:
            parts.append(_("module {path}", path=self.scope))
        if self.within:
            parts.append(_("within {composites}", composites=" → ".join(self.within)))
        return joined(", ", parts)

    def message(self) -> str:
        """Return a gradient error's cause as a message: what is wrong, and where."""
        place, text = self.place(), _TEXTS[self.kind](self)
        return joined("", [text, _(" ({place})", place=place)]) if place else text

    def __str__(self) -> str:
        return translated(self.message())


def _of_rule(c: Cause) -> str:
    if c.detail:
        return _(
            "the rule of {primitive} fails: {problem}",
            primitive=c.primitive,
            problem=c.detail,
        )
    return _(
        "the rule of {primitive} for its input {i} is wrong: alone, with a random"
        " cotangent and along a random direction, it gives {derivative} where quotients"
        " give {quotient}",
        primitive=c.primitive,
        i=c.input,
        derivative=f"{c.derivative:.6g}",
        quotient=f"{c.quotient:.6g}",
    )


def _of_kink(c: Cause) -> str:
    texts = [_("{primitive} has a kink here", primitive=c.primitive)]
    if c.index:
        index = ", ".join(map(str, c.index))
        texts.append(_(", at element [{index}]", index=index))
    if c.values:
        numbers = ", ".join(f"{v:.6g}" for v in c.values)
        texts.append(_(", where it is given {numbers}", numbers=numbers))
    if c.detail == "switch":
        texts.append(_(", because what it chooses by changes"))
    if c.declared:
        texts.append(_("; declared: {kinks}", kinks=_(c.declared)))
    return joined("", texts)


def _of_precision(c: Cause) -> str:
    if c.detail == "float32":
        return _("{primitive} computes in float32", primitive=c.primitive)
    return _(
        "{primitive} gives numbers up to {size}, of which so much cancels that their"
        " rounding is all that is seen",
        primitive=c.primitive,
        size=c.detail,
    )


def _of_cut(c: Cause) -> str:
    if c.detail == "no rule":
        return _("{primitive} has no derivative rule", primitive=c.primitive)
    return _("the derivative ends here: detach() or no_grad()")


def _of_nonfinite(c: Cause) -> str:
    return _(
        "the rule of {primitive} makes NaN or infinity of finite numbers",
        primitive=c.primitive,
    )


_TEXTS = {
    "rule": _of_rule,
    "kink": _of_kink,
    "precision": _of_precision,
    "cut": _of_cut,
    "nonfinite": _of_nonfinite,
}
