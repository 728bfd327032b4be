"""Composites: named graph operations whose body is a graph of primitives.

The type rule, the reference and the derivative follow from the body. For
stability or teaching a composite may declare another derivative, which the conformance
suite compares with the body's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.autodiff import vjp as vjp_of
from chainrule.graph.batching import BatchRule
from chainrule.graph.context import context
from chainrule.graph.declare import (
    DerivativeRule,
    Operation,
    by_input,
    computed_formula,
)
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import (
    BATCHING,
    BODIES,
    DERIVATIVES,
    EAGER,
    REFERENCES,
    Formula,
    Primitive,
)
from chainrule.graph.types import ArrayType, type_of
from chainrule.util.bounded import Bounded

#: Bodies of one composite, and graphs of its rule, that are kept for the types met.
GRAPHS_AT_MOST = 128

Rule = Callable[..., Sequence[Cotangent]]
Values = tuple[Value, ...]
#: Cotangents, or outputs of which some were not kept.
Maybe = tuple[Value | None, ...]


class Composite(Operation):
    """A composite: a named graph operation whose body is made of primitives.

    Attributes:
        function: of values; what it records is the body.
        own_vjp: whether the derivative is not the body's.
    """

    def __init__(
        self, *, function: Callable[..., Any], own_vjp: bool = False, **traits: Any
    ) -> None:
        super().__init__(**traits)
        self.function, self.own_vjp = function, own_vjp

    def body(
        self, types: Sequence[ArrayType], attrs: dict[str, Any] | None = None
    ) -> Graph:
        """Return a composite's body as a graph of primitives, for these input types."""
        return BODIES[self](types, attrs or {})

    def __repr__(self) -> str:
        return f"<composite {self.name}>"


def composite(
    *,
    formula: Formula | None = None,
    shown: Formula | None = None,
    vjp: tuple[DerivativeRule | None, ...] = (),
    batch: BatchRule | None = None,
    **declaration: Any,
) -> Callable[[Callable[..., Any]], Composite]:
    """Declare a function of graph values as a composite: a named operation.

    Args:
        formula: the result as an expression of the inputs; see :class:`Primitive`. With
            several results a listing names those but the first, which it ends in.
        shown: instead of ``formula``, as for a primitive.
        vjp: its own derivative, one rule an input as for a primitive; by default the
            body's.
        batch: how it is computed for many samples at once; by default as its body is.
        declaration: source, domain, kinks, cases, as for a primitive.
    """

    def declare(function: Callable[..., Any]) -> Composite:
        name = function.__name__
        bodies: Bounded[Any, Graph] = Bounded(GRAPHS_AT_MOST)
        by_arrays: Bounded[Any, Graph] = Bounded(GRAPHS_AT_MOST)

        def body(types: Sequence[ArrayType], attrs: dict[str, Any]) -> Graph:
            key = (tuple(types), tuple(sorted(attrs.items())))
            result = bodies.get(key)
            if result is None:
                result = trace(function, types, name=name, attrs=attrs)
                bodies[key] = result
            return result

        def rule(*types: ArrayType, **attrs: Any) -> tuple[ArrayType, ...]:
            return tuple([v.type for v in body(types, attrs).outputs])

        def reference(*arrays: Array, **attrs: Any) -> Any:
            # Types are made and compared slowly, and this is a part of eager calls.
            key = (*[(a.shape, a.dtype) for a in arrays], *attrs.items())
            graph = by_arrays.get(key)
            if graph is None:
                graph = by_arrays[key] = body([type_of(a) for a in arrays], attrs)
            results = evaluate(graph, arrays)
            return results[0] if len(results) == 1 else results

        def body_vjp(
            gs: Maybe, ys: Maybe, inputs: Values, needed: tuple[bool, ...], **attrs: Any
        ) -> Sequence[Cotangent]:
            return vjp_of(function, inputs, gs, needed, attrs)

        whole = formula or (shown and computed_formula(name, shown, reference))
        own = {"function": function, "own_vjp": bool(vjp)}
        result = Composite(name=name, rule=rule, formula=whole, **own, **declaration)
        REFERENCES[result], BODIES[result] = reference, body
        if batch is not None:
            BATCHING[result] = batch
        own_rule = by_input(vjp) if vjp else body_vjp
        DERIVATIVES[result] = graph_once(name, own_rule, result)
        return result

    return declare


def graph_once(name: str, rule: Rule, primitive: Primitive | None = None) -> Rule:
    """Return a composite's derivative rule that caches its graph for eager use."""
    graphs: Bounded[Any, tuple[Graph, list[int]]] = Bounded(GRAPHS_AT_MOST)

    def derivative(
        gs: Maybe, ys: Maybe, inputs: Values, needed: tuple[bool, ...], **attrs: Any
    ) -> Sequence[Cotangent]:
        if context.trace is not None or context.grad:
            return rule(gs, ys, inputs, needed, **attrs)
        if primitive is not None and primitive.name in EAGER:
            found = EAGER[primitive.name].backward(gs, ys, inputs, needed, attrs)
            if found is not None:
                return found
        arguments = (*gs, *ys, *inputs)
        types = tuple([None if v is None else (v.shape, v.dtype) for v in arguments])
        key = (types, needed, *attrs.values())
        known = graphs.get(key)
        if known is None:
            positions: list[int] = []

            def function(*values: Value) -> list[Value]:
                rest = iter(values)
                full = [None if v is None else next(rest) for v in arguments]
                a, b = len(gs), len(gs) + len(ys)
                at = (tuple(full[:a]), tuple(full[a:b]), tuple(full[b:]))
                cotangents = enumerate(rule(*at, needed, **attrs))
                present = {i: g for i, g in cotangents if g is not None}
                positions[:] = present
                return list(present.values())

            of = [v.type for v in arguments if v is not None]
            graph = trace(function, of, name=f"{name}_vjp", tracked=True)
            known = graphs[key] = graph, positions
        graph, positions = known
        present = evaluate(graph, [v.array for v in arguments if v is not None])
        result: list[Cotangent] = [None] * len(inputs)
        for i, array in zip(positions, present, strict=True):
            result[i] = Value(array)
        return result

    return derivative
