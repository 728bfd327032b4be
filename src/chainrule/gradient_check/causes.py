"""Classification of gradient errors, with their causes in the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from chainrule.gradient_check.cause import Cause
from chainrule.gradient_check.kinks import kinked
from chainrule.gradient_check.quotients import Judgement, along
from chainrule.gradient_check.rules import cuts, non_finite
from chainrule.gradient_check.subject import Subject
from chainrule.gradient_check.walk import Rounding, Walk, walk
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import DType
from chainrule.text.numbers import number

Verdict = tuple[str, Cause | None]

#: A derivative that passes a cut explains a quotient where it is so near to it.
EXPLAINED = 1e-3
#: For so many rows of each part it is said where their kink is.
LOCATED = 3


class Causes:
    """The search for the cause of each wrong gradient of a checked function.

    Args:
        subject: what is checked.
        walk: its values and cotangents.
        rounding: how far the rounding of each value moves the result.
        weights: the cotangents of its outputs.
        wrong: the nodes whose rule alone is wrong.
    """

    def __init__(
        self,
        subject: Subject,
        walk: Walk,
        rounding: Rounding,
        weights: Sequence[Array],
        wrong: Sequence[tuple[Node, Cause]],
    ) -> None:
        self.subject, self.walk, self.rounding = subject, walk, rounding
        self.weights, self.wrong = weights, wrong
        self._located = Counter[int]()

    def of(self, k: int, direction: Array, reach: float, got: Judgement) -> Verdict:
        """Return a checked gradient's result, and the cause of its error if any.

        Args:
            k: the part that was moved.
            direction: along which.
            reach: the unit of ε.
            got: what quotients say.
        """
        if got.kind == "agrees":
            return "agrees", None
        if got.kind == "precision":
            return "precision", self._imprecise(k)
        if got.kind != "differs":
            return got.kind, self._kink(k, direction, reach)
        if not np.isfinite(got.derivative):
            return "nonfinite", self._non_finite
        for node, cause in self.wrong:
            if self._reaches(k, node):
                return "rule", cause
        cut = self._cut(k, direction, got.quotient)
        if cut is not None:
            return "cut", cut
        kink = kinked(self.subject, self.walk.numbers, k, direction, reach)
        if kink is not None:
            return "cancelled", kink
        return ("unknown" if self.subject.traced else "cut"), None

    def _kink(self, k: int, direction: Array, reach: float) -> Cause | None:
        """Return the graph node with a kink in the checked function, or None."""
        self._located[k] += 1
        if self._located[k] > LOCATED:
            return None
        return kinked(self.subject, self.walk.numbers, k, direction, reach)

    def _reaches(self, k: int, node: Node) -> bool:
        """Return whether a graph node depends on array k of the checked ones."""
        bits = (self.subject.reached.get(v, 0) for v in node.inputs)
        return any(b >> k & 1 for b in bits)

    @cached_property
    def _non_finite(self) -> Cause | None:
        return non_finite(self.subject, self.walk.numbers, self.walk.cotangents)

    @cached_property
    def _cuts(self) -> list[tuple[Cause, Walk | None]]:
        """The graph nodes that stop differentiation, each with a pass through it."""
        args = (self.subject, self.walk.numbers, self.weights)
        candidates = cuts(self.subject)
        return [
            (c, walk(*args, through) if through else None) for c, through in candidates
        ]

    def _cut(self, k: int, direction: Array, quotient: float) -> Cause | None:
        """Return the node that stops differentiation and explains an error, or None."""
        unruled: Cause | None = None
        for cause, cut_walk in self._cuts:
            if cut_walk is None:
                unruled = unruled or cause
                continue
            passed = along(cut_walk.gradient(self.subject.parts[k].value), direction)
            larger = max(abs(passed), abs(quotient))
            if abs(passed - quotient) <= EXPLAINED * larger:
                return cause
        return unruled

    def _imprecise(self, k: int) -> Cause | None:
        """Return the node whose rounding error hides a checked slope, or None."""
        shares = [share for share in self.rounding.shares if share[1] >> k & 1]
        if not shares:
            return None
        _, _, node, dtype = shares[0]
        if dtype is DType.float32:
            return Cause.of("precision", self._narrowest(k) or node, detail="float32")
        largest = max(self._size(v) for v in node.outputs)
        return Cause.of("precision", node, detail=number(largest))

    def _size(self, value: Value | None) -> float:
        if value is None or value not in self.walk.numbers:
            return 0.0
        return float(np.abs(self.walk.numbers[value]).max(initial=0.0))

    def _narrowest(self, k: int) -> Node | None:
        """Return the first float32 node that depends on checked array k, or None."""
        for node in self.subject.nodes:
            narrow = any(v and v.dtype is DType.float32 for v in node.outputs)
            if narrow and self._reaches(k, node):
                return node
        return None
