"""Rows of ``scan`` and ``cond``: ONNX's Scan and If, with bodies as subgraphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import helper

from chainrule.composites.control import cond, scan
from chainrule.graph.graph import Graph
from chainrule.graph.types import ArrayType, Dim, DType, Shape
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.kernels import Refusal, element_type
from chainrule.interop.onnx.writer.rows.recurrent import layer
from chainrule.interop.onnx.writer.table import Call, row
from chainrule.text import _

Results = tuple[list[Ref], Sequence[Ref]]
#: A step: (emitter of the body, carry, entries) → (new carry, outputs).
Step = Callable[[Emitter, list[Ref], list[Ref]], Results]


def looped(
    e: Emitter,
    step: Step,
    carry: Sequence[Ref],
    xs: Sequence[Ref],
    shapes: Sequence[Shape],
    outputs: Sequence[ArrayType] = (),
    *,
    axis: int = 0,
    reverse: bool = False,
) -> list[Ref]:
    """Emit a Scan: return the last carry and the stacked outputs.

    ONNX Runtime allocates by declared shapes where it finds none.

    Args:
        e: the emitter of the graph around the loop.
        step: emits the body.
        carry: what the first step is given.
        xs: the sequences whose entries steps are given.
        shapes: of the carry and of entries.
        outputs: the types of what a step gives besides the carry.
        axis: along which the sequences and outputs go.
        reverse: whether from the last entry to the first.
    """
    body = e.subgraph()
    arguments = [
        Ref(body, body.root.name("carry" if i < len(carry) else "entry"), ref.dtype)
        for i, ref in enumerate((*carry, *xs))
    ]
    made = (*shapes[: len(carry)], *(t.shape for t in outputs))
    body.own.update(a.name for a in arguments)
    new, ys = step(body, arguments[: len(carry)], arguments[len(carry) :])
    results = body.results([*new, *ys], {a.name for a in arguments})
    body.prune([r.name for r in results])
    graph = helper.make_graph(
        body.nodes,
        body.root.name("body"),
        [_declared(*a) for a in zip(arguments, shapes, strict=True)],
        [_declared(*r) for r in zip(results, made, strict=True)],
    )
    ways = [int(reverse)]
    kinds = [*(ref.dtype for ref in carry), *(t.dtype for t in outputs)]
    return e.node(
        "Scan",
        [*carry, *xs],
        list(kinds),
        body=graph,
        num_scan_inputs=len(xs),
        scan_input_axes=[axis] * len(xs),
        scan_input_directions=ways * len(xs),
        scan_output_axes=[axis] * len(outputs) or None,
        scan_output_directions=ways * len(outputs) or None,
    )


def _declared(ref: Ref, shape: Shape):
    sizes = [d if isinstance(d, int) else repr(d) for d in shape]
    return helper.make_tensor_value_info(ref.name, element_type(ref.dtype), sizes)


def along(
    e: Emitter,
    step: Callable[[Emitter, list[Ref], list[Ref]], tuple[list[Ref], Ref]],
    carry: Sequence[Ref],
    xs: Sequence[Ref],
    shapes: Sequence[Shape],
    axis: int,
    *,
    reverse: bool,
) -> Ref:
    """Emit a Scan along an axis of arrays, whose one output is an array like them.

    ``shapes``: of the carry and of entries.
    """

    def steps(body: Emitter, before: list[Ref], now: list[Ref]) -> Results:
        new, y = step(body, before, now)
        return new, [y]

    outputs = [ArrayType(shapes[-1], xs[0].dtype)]
    return looped(e, steps, carry, xs, shapes, outputs, axis=axis, reverse=reverse)[-1]


@row(scan)
def of_scan(c: Call) -> Sequence[Ref]:
    body: Graph = c.attrs["body"]
    length: Dim = c.attrs["length"]
    constants, carries = c.attrs["constants"], c.attrs["carries"]
    whole = layer(c)
    if whole is not None:
        return whole
    fixed = constants + carries
    consts, carry, xs = (
        c.inputs[:constants],
        c.inputs[constants:fixed],
        list(c.inputs[fixed:]),
    )
    if length == 0:
        raise Refusal(_("a loop without steps"))
    if not xs:  # something must say how many steps there are
        xs = [c.e.expand(c.e.scalar(0, DType.int64), (length,))]

    def step(inner: Emitter, before: list[Ref], now: list[Ref]) -> Results:
        entries = now[: len(c.inputs) - fixed]
        results = c.lowering.inner(inner, body, [*consts, *before, *entries])
        return results[:carries], results[carries:]

    shapes = [v.shape for v in body.inputs[constants:]]
    shapes += [()] * (carries + len(xs) - len(shapes))
    outputs = [v.type for v in body.outputs[carries:]]
    return looped(c.e, step, carry, xs, shapes, outputs, reverse=c.attrs["reverse"])


@row(cond)
def of_cond(c: Call) -> Sequence[Ref]:
    which, *operands = c.inputs

    def branch(name: str) -> tuple[object, list[ArrayType]]:
        graph: Graph = c.attrs[name]
        inner = c.e.subgraph()
        results = inner.results(c.lowering.inner(inner, graph, operands), set())
        inner.prune([r.name for r in results])
        types = [v.type for v in graph.outputs]
        declared = [_declared(r, t.shape) for r, t in zip(results, types, strict=True)]
        made = helper.make_graph(inner.nodes, c.e.root.name(name), [], declared)
        return made, types

    then, types = branch("true")
    other, __ = branch("false")
    kinds = [t.dtype for t in types]
    return c.e.node("If", [which], list(kinds), then_branch=then, else_branch=other)
