"""The primitive ``require``: a condition that must hold while a graph runs.

Eager code checks numbers and raises an error at once. A graph has no numbers: it passes
a value on under a condition, and every engine reports if the condition is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.errors import ArgumentError
from chainrule.graph.apply import constant
from chainrule.graph.batching import Samples
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, of_any
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.elementwise import convert, equal
from chainrule.primitives.movement import full_like, reduce_sum
from chainrule.primitives.reduce import reduce_prod
from chainrule.primitives.rules import need_type
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr


def _rule(x: ArrayType, holds: ArrayType, **__: str) -> ArrayType:
    one = ArrayType((), DType.bool)
    need_type("require", _("one truth value"), one, holds, _("require_all, for many"))
    return x


def failed(what: str, expected: str, got: str, fix: str) -> ArgumentError:
    """Return the error for a false run-time condition (primitive ``require``)."""
    return ArgumentError(what, expected=expected, got=got, fix=fix or None)


def _passed(x: Expr, holds: Expr, **__: str) -> Expr:
    return x


def _let_through(g: Value, y: Value, x: Value, holds: Value, **__: str) -> Value:
    return g


def _require_samples(s: Samples) -> Value:
    """Require that a condition holds for every sample."""
    holds = s.inputs[1]
    if s.batched[1]:
        holds = reduce_prod(holds, axes=(0,))
    return s.apply(s.whole(0), holds)


@declare(
    rule=_rule,
    vjp=(_let_through, None),
    view=True,
    batch=_require_samples,
    refuses=lambda types, attrs: [(1, None)],
    formula=of_any(_passed),
    source="a value on condition; where the condition is false the run is refused",
    cases=tuple(
        Case(
            (f"{t}[{s}]", "bool[]"),
            {"what": "It does not hold.", "expected": "a", "got": "b", "fix": ""},
            (None, (1, 2)),
        )
        for t, s in (("f", "3,2"), ("f", ""), ("i32", "4"))
    ),
)
def require(x: Array, holds: Array, **message: str) -> Array:
    if not holds:
        raise failed(**message)
    return x


def require_all(
    x: Value, condition: Value, what: str, *, expected: str, got: str, fix: str = ""
) -> Value:
    """Return ``x``; a graph raises an error at run time if a condition is false.

    Args:
        x: what is passed on; use the result in its place.
        condition: truth values of any shape.
        what: the error's first sentence; with ``expected``, ``got`` and ``fix``.
    """
    false = full_like(condition, False)
    violations = convert(equal(condition, false), dtype=DType.int32)
    count = reduce_sum(violations, axes=tuple(range(len(condition.shape))))
    holds = equal(count, constant(0, DType.int32))
    return require(x, holds, what=what, expected=expected, got=got, fix=fix)
