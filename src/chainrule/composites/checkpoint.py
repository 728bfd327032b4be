"""The composite ``checkpoint``: its derivative computes its body anew.

    y = body(inputs);   ∂ℒ/∂inputs = the derivative of body, from the inputs alone

Nothing within the body is kept for the way back. The way back is a ``scan`` of one
step: its body holds the second computation, and no pass merges that with the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chainrule import notation as write
from chainrule.autodiff import inline, vjp
from chainrule.composites.composite import Composite
from chainrule.composites.control import scan
from chainrule.graph.batching import Samples, batched_graph
from chainrule.graph.declare import computed_formula
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import (
    BATCHING,
    BODIES,
    DERIVATIVES,
    REFERENCES,
    Case,
    as_tuple,
    of_any,
)
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.elementwise import mul, tanh
from chainrule.primitives.movement import full_like, reshape
from chainrule.primitives.rules import need_types
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr


def _function(*inputs: Value, body: Graph) -> tuple[Value, ...]:
    """Compute a function, whose derivative computes it anew: y = body(inputs)."""
    return inline(body, inputs, keep_constants=True)


def _rule(*types: ArrayType, body: Graph) -> tuple[ArrayType, ...]:
    wanted = [v.type for v in body.inputs]
    need_types(_("checkpoint's inputs do not fit its body."), wanted, types)
    return tuple([v.type for v in body.outputs])


def _reference(*arrays: Array, body: Graph) -> Any:
    results = evaluate(body, arrays)
    return results[0] if len(results) == 1 else results


def _derivative(
    gs: Sequence[Cotangent],
    ys: Any,
    inputs: tuple[Value, ...],
    needed: Sequence[bool],
    *,
    body: Graph,
) -> Sequence[Cotangent]:
    cotangents = [g for g in gs if g is not None]
    wanted = [i for i, need in enumerate(needed) if need]

    def step(*values: Value) -> list[Value]:
        rest = iter(values[len(inputs) :])
        full = tuple([None if g is None else next(rest) for g in gs])
        point = values[: len(inputs)]
        back = vjp(_function, point, full, tuple(needed), {"body": body})
        pairs = [(back[i], point[i]) for i in wanted]
        return [full_like(x, 0.0) if g is None else g for g, x in pairs]

    constants = (*inputs, *cotangents)
    graph = trace(
        step, [v.type for v in constants], name=f"{body.name}_vjp", tracked=True
    )
    results = as_tuple(
        scan(
            *constants,
            body=graph,
            length=1,
            constants=len(constants),
            carries=0,
            reverse=False,
        )
    )
    gradients: list[Cotangent] = [None] * len(inputs)
    for i, stacked in zip(wanted, results, strict=True):
        gradients[i] = reshape(stacked, shape=stacked.shape[1:])
    return gradients


def _samples(s: Samples) -> Any:
    body: Graph = s.attrs["body"]
    everywhere = [True] * len(body.outputs)
    return s.apply(*s.inputs, body=batched_graph(body, s.batched, s.size, everywhere))


def _written(*inputs: Expr, body: Graph) -> Expr:
    return write.apply(body.name, *inputs)


def _cases() -> tuple[Case, ...]:
    def product(x: Value, y: Value) -> tuple[Value, Value]:
        inner = tanh(mul(x, y))
        return mul(inner, x), inner

    cases: list[Case] = []
    for dtype in (DType.float32, DType.float64):
        kind = ArrayType((2, 3), dtype)
        graph = trace(product, [kind] * 2, name="product", tracked=True)
        cases.append(Case((str(kind), str(kind)), {"body": graph}))
    return tuple(cases)


checkpoint = Composite(
    name="checkpoint",
    rule=_rule,
    function=_function,
    own_vjp=True,
    formula=computed_formula("checkpoint", of_any(_written), _reference),
    moves=True,
    source="Chen, Xu, Zhang & Guestrin 2016 (training with sublinear memory)",
    cases=_cases,
)
REFERENCES[checkpoint], DERIVATIVES[checkpoint] = _reference, _derivative
BODIES[checkpoint] = lambda types, attrs: attrs["body"]
BATCHING[checkpoint] = _samples
