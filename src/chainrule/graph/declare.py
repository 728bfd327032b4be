"""The decorator that declares primitives: type rule, NumPy code, derivative rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from chainrule import notation as write
from chainrule.graph.apply import apply
from chainrule.graph.batching import BatchRule
from chainrule.graph.node import Cotangent, Value
from chainrule.graph.primitive import (
    BATCHING,
    DERIVATIVES,
    REFERENCES,
    Formula,
    Primitive,
    RefusalRule,
    TypeRule,
)

if TYPE_CHECKING:
    from chainrule.notation.expressions import Computed, Expr


class Operation(Primitive):
    """A primitive that can be called with values to apply it."""

    def __call__(self, *inputs: Value, **attrs: Any) -> Any:
        """Apply a primitive: compute on numbers, or record a node while tracing."""
        return apply(self, inputs, attrs)


#: A derivative rule (g, y, inputs…, attributes…). The first four lines are the last one
#: spelt out: from them a type checker knows what the parameters of a lambda are.
DerivativeRule = (
    Callable[[Value, Value, Any], Value]
    | Callable[[Value, Value, Any, Any], Value]
    | Callable[[Value, Value, Any, Any, Any], Value]
    | Callable[[Value, Value, Any, Any, Any, Any], Value]
    | Callable[..., Value]
)


def declare(
    *,
    rule: TypeRule,
    name: str = "",
    vjp: tuple[DerivativeRule | None, ...] = (),
    joint_vjp: Callable[..., Sequence[Cotangent]] | None = None,
    batch: BatchRule | None = None,
    refuses: RefusalRule | None = None,
    formula: Formula | None = None,
    shown: Formula | None = None,
    **traits: Any,
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare a NumPy function as a primitive, with its type rule and derivative.

    Args:
        rule: gives the types of the result; see :class:`Primitive`.
        name: how the text form calls it; the function's name by default, without the
            ``_`` behind a name that Python knows.
        vjp: the derivative rule, one function for each input: ``vjp[i](g, y, *inputs,
            **attrs)`` is the cotangent of input i when the result y has cotangent g. It
            is written in primitives, so derivatives are graphs. None for an input
            without a derivative (an index); the last rule stands for further inputs.
        joint_vjp: instead of ``vjp`` where the inputs' derivatives share their work:
            ``joint_vjp(gs, ys, inputs, needed, **attrs)``, all in tuples.
        batch: how it is computed for many samples at once; elementwise primitives
            need no rule. See :mod:`chainrule.graph.batching`.
        refuses: see :class:`Primitive`.
        formula: the result as an expression of the inputs, which says all that is
            needed to work it out; see :class:`Primitive`.
        shown: instead of ``formula`` where elements move, or bits: how the result is
            written, though what is written does not say all. It is worked out by the
            decorated function.
        traits: the other attributes of a :class:`Primitive`.
    """

    def declared(reference: Callable[..., Any]) -> Operation:
        called = name or reference.__name__.removesuffix("_")
        whole = formula or (shown and computed_formula(called, shown, reference))
        operation = Operation(
            name=called, rule=rule, refuses=refuses, formula=whole, **traits
        )
        REFERENCES[operation] = reference
        if batch is not None:
            BATCHING[operation] = batch
        if joint_vjp is not None:
            DERIVATIVES[operation] = joint_vjp
        elif any(vjp):
            DERIVATIVES[operation] = by_input(vjp)
        return operation

    return declared


def computed_formula(
    name: str, shown: Formula, reference: Callable[..., Any]
) -> Callable[..., Computed]:
    """Return a primitive's formula; its NumPy code evaluates the formula."""

    def formula(*inputs: Expr, **attrs: Any) -> Computed:
        key = (name, *sorted(attrs.items()))
        how = partial(reference, **attrs)
        return write.Computed(shown(*inputs, **attrs), inputs, how, key)

    return formula


def by_input(
    rules: tuple[DerivativeRule | None, ...],
) -> Callable[..., Sequence[Cotangent]]:
    """Return a primitive's derivative rule that combines one rule for each input."""

    def derivative(
        gs: tuple[Value],
        ys: tuple[Value],
        inputs: tuple[Value, ...],
        needed: Sequence[bool],
        **attrs: Any,
    ) -> Sequence[Cotangent]:
        mine = rules + rules[-1:] * (len(inputs) - len(rules))
        return [
            rule(gs[0], ys[0], *inputs, **attrs) if rule is not None and need else None
            for rule, need in zip(mine, needed, strict=True)
        ]

    return derivative
