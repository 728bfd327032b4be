"""Batching: a graph of one sample computed for many samples at once.

A value that differs from sample to sample is *batched*: it has one entry a sample along
a new first axis. The others are the same for all samples and are computed once. Each
node is applied anew, by its primitive's rule::

    reduce_sum(x, axes=(0,))   for one sample, x of shape (n,)
    reduce_sum(x, axes=(1,))   for all of them, x of shape (samples, n)

A rule is a function of :class:`Samples`; all results that it gives are batched.
Elementwise primitives follow from that trait, composites from their bodies, and the
rules of the others stand in ``BATCHING``, a row where each is declared.

Source: Bradbury et al. 2018, JAX's ``vmap``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.errors import GraphError
from chainrule.graph.apply import apply
from chainrule.graph.context import absolute_scope, context, within
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import BATCHING, BODIES, Primitive, as_tuple, lookup
from chainrule.graph.types import ArrayType, Dim, Shape
from chainrule.text import _


class Samples:
    """An application of a primitive for many samples.

    Attributes:
        primitive, attrs: what is applied to one sample.
        inputs: of all samples.
        batched: for each input whether it has one entry a sample, along its first axis.
        size: the number of samples.
    """

    __slots__ = ("attrs", "batched", "inputs", "primitive", "size")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Value, ...],
        batched: tuple[bool, ...],
        size: Dim,
        attrs: dict[str, Any],
    ) -> None:
        self.primitive, self.inputs, self.batched = primitive, inputs, batched
        self.size, self.attrs = size, attrs

    def whole(self, i: int) -> Value:
        """Return an input with one entry a sample, repeated if it is the same."""
        value = self.inputs[i]
        return value if self.batched[i] else repeated(value, self.size)

    @property
    def all_whole(self) -> list[Value]:
        """All inputs with one entry a sample."""
        return [self.whole(i) for i in range(len(self.inputs))]

    @property
    def types(self) -> list[ArrayType]:
        """The types of the inputs of one sample."""
        return [
            ArrayType(v.shape[1:], v.dtype) if batched else v.type
            for v, batched in zip(self.inputs, self.batched)
        ]

    def apply(self, *inputs: Value, **attrs: Any) -> Any:
        """Apply the primitive to other inputs, with some other attributes."""
        return apply(self.primitive, inputs, self.attrs | attrs)


BatchRule = Callable[[Samples], Any]


def repeated(value: Value, size: Dim) -> Value:
    """Return a value repeated along a new first axis, one entry a sample."""
    return _apply("broadcast_to", value, shape=(size, *value.shape))


def _apply(name: str, *inputs: Value, **attrs: Any) -> Any:
    return apply(lookup(name), inputs, attrs)


def moved(value: Value, axis: int, to: int) -> Value:
    """Return a value with one axis at another place among the others."""
    if axis == to:
        return value
    order = [a for a in range(len(value.shape)) if a != axis]
    order.insert(to, axis)
    return _apply("transpose", value, axes=tuple(order))


# -- rules that primitives share -------------------------------------------------------


def pointwise(samples: Samples) -> Any:
    """Apply a primitive that computes element by element."""
    return samples.apply(*samples.all_whole)


def shifted(name: str) -> BatchRule:
    """Return the rule of a primitive that works along axes, of the attribute ``name``.

    They are one further behind.
    """

    def rule(samples: Samples) -> Any:
        axes: int | tuple[int, ...] = samples.attrs[name]
        behind = tuple([a + 1 for a in axes]) if isinstance(axes, tuple) else axes + 1
        return samples.apply(*samples.all_whole, **{name: behind})

    return rule


def product(samples: Samples) -> Any:
    """Apply a product of two operands: samples are a further letter of its ``dims``.

    Where one operand alone is batched and has a free letter, the samples join that one:
    the rows of a matrix, the images or the kernels of a convolution.
    """
    dims: str = samples.attrs["dims"]
    operands, out = dims.split("->")
    letters = operands.split(",")
    if not all(samples.batched):
        mine = samples.batched.index(True)
        free = [c for c in letters[mine] if c in out and c not in letters[1 - mine]]
        if free and (free[0] == letters[mine][0] or "0" in dims):
            return _joined_product(samples, mine, letters[mine].index(free[0]), out)
    letter = next(c for c in "bstuvwzyxBSTUVWZYX" if c not in dims)
    pairs = zip(samples.batched, letters)
    lettered = ",".join(letter + part if batched else part for batched, part in pairs)
    return samples.apply(*samples.inputs, dims=f"{lettered}->{letter}{out}")


def _joined_product(samples: Samples, mine: int, axis: int, out: str) -> Value:
    """Apply a product whose samples are part of the free axis of one operand."""
    inputs = list(samples.inputs)
    operand = moved(inputs[mine], 0, axis)
    shape = operand.shape
    join: Any = (samples.size * shape[axis + 1],)  # pyright: ignore
    inputs[mine] = _reshaped(operand, (*shape[:axis], *join, *shape[axis + 2 :]))
    result: Value = samples.apply(*inputs)
    letters = samples.attrs["dims"].split("->")[0].split(",")[mine]
    at = out.index(letters[axis])
    apart = (samples.size, shape[axis + 1])
    split = (*result.shape[:at], *apart, *result.shape[at + 1 :])
    return moved(_reshaped(result, split), at, 0)


def _reshaped(value: Value, shape: Shape) -> Value:
    return _apply("reshape", value, shape=shape)


def by_rows(samples: Samples) -> Value:
    """Apply a function of rows: those of all samples are rows of one array."""
    wholes = samples.all_whole
    rows: Any = wholes[0].shape[1]

    def joined(value: Value) -> Value:
        shape = (samples.size * rows, *value.shape[2:])
        return _reshaped(value, shape)

    result = samples.apply(*map(joined, wholes))
    return _reshaped(result, (samples.size, rows, *result.shape[1:]))


def one_by_one(samples: Samples) -> Any:
    """Apply a primitive to one sample after the other, by a loop in the graph."""
    some = [i for i, batched in enumerate(samples.batched) if batched]
    same = [i for i, batched in enumerate(samples.batched) if not batched]
    order = [*same, *some]

    def step(*values: Value) -> Any:
        inputs = [v for __, v in sorted(zip(order, values))]
        return samples.apply(*inputs)

    types = [samples.types[i] for i in order]
    name = f"each_{samples.primitive.name}"
    return _apply(
        "scan",
        *(samples.inputs[i] for i in order),
        body=trace(step, types, name=name, tracked=True),
        length=samples.size,
        constants=len(same),
        carries=0,
        reverse=False,
    )


# -- whole graphs ----------------------------------------------------------------------


def apply_to_samples(
    primitive: Primitive,
    inputs: Sequence[Value],
    batched: Sequence[bool],
    size: Dim,
    attrs: dict[str, Any],
) -> tuple[Value, ...]:
    """Apply a primitive to inputs of which some are batched; all results are."""
    samples = Samples(primitive, tuple(inputs), tuple(batched), size, attrs)
    rule = BATCHING.get(primitive)
    if rule is not None:
        return as_tuple(rule(samples))
    if primitive.elementwise:
        return as_tuple(pointwise(samples))
    if primitive not in BODIES:
        raise GraphError(
            _("vmap has no rule for {name}.", name=primitive.name),
            expected=_("primitives with batch= in their declaration"),
            got=primitive.name,
            fix=_("cr.stack([function(x) for x in xs]), a loop over the samples"),
        )
    body = BODIES[primitive](samples.types, attrs)
    if _computes_elements(body):  # the composite stays, with its own derivative
        return as_tuple(pointwise(samples))
    results = graph_of_samples(body, inputs, batched, size, body=True)
    return tuple([v if b else repeated(v, size) for v, b in results])


def _computes_elements(body: Graph) -> bool:
    """Return whether a composite computes each element from those at its place."""
    reached = set(body.inputs)
    for node in body.nodes:
        if reached.isdisjoint(node.inputs):
            continue
        if node.primitive in BODIES:
            types = [v.type for v in node.inputs]
            if not _computes_elements(BODIES[node.primitive](types, node.attrs)):
                return False
        elif not node.primitive.elementwise:
            return False
        reached.update(v for v in node.outputs if v is not None)
    return True


def graph_of_samples(
    graph: Graph,
    inputs: Sequence[Value],
    batched: Sequence[bool],
    size: Dim,
    *,
    body: bool = False,
) -> list[tuple[Value, bool]]:
    """Apply a graph of one sample to many; return its outputs, and which are batched.

    What was recorded without derivatives has none here either, unless the graph is the
    ``body`` of a composite.
    """
    known = dict(zip(graph.inputs, zip(inputs, batched), strict=True))
    for node in graph.nodes:
        pairs = [known[v] for v in node.inputs]
        values, flags = [v for v, __ in pairs], [b for __, b in pairs]
        recorded = body or any(v is not None and v.tracked for v in node.outputs)
        scope = context.scope if body else node.scope
        role = context.role if body else node.role
        derived = context.derived if body else node.derived
        place = absolute_scope(scope, role, derived)
        with place, within("grad", context.grad and recorded):
            if any(flags):
                results = apply_to_samples(
                    node.primitive, values, flags, size, node.attrs
                )
            else:
                results = as_tuple(apply(node.primitive, tuple(values), node.attrs))
        for old, new in zip(node.outputs, results, strict=True):
            if old is not None:
                known[old] = new, any(flags)
    return [known[v] for v in graph.outputs]


def batched_outputs(graph: Graph, batched: Sequence[bool]) -> list[bool]:
    """Return a flag for each output of a graph: whether batched inputs reach it."""
    known = dict(zip(graph.inputs, batched, strict=True))
    for node in graph.nodes:
        flag = any(known[v] for v in node.inputs)
        known.update((v, flag) for v in node.outputs if v is not None)
    return [known[v] for v in graph.outputs]


def batched_graph(
    graph: Graph, batched: Sequence[bool], size: Dim, results: Sequence[bool]
) -> Graph:
    """Return the graph of many samples for that of one: a loop's body, or a branch.

    Args:
        batched: which inputs have one entry a sample.
        results: which outputs get one; all that are batched must.
    """

    def function(*values: Value) -> list[Value]:
        outputs = graph_of_samples(graph, values, batched, size)
        return [
            repeated(v, size) if want and not flag else v
            for (v, flag), want in zip(outputs, results, strict=True)
        ]

    types = [of_samples(v.type, b, size) for v, b in zip(graph.inputs, batched)]
    return trace(function, types, name=f"{graph.name}_samples", tracked=True)


def of_samples(one: ArrayType, batched: bool, size: Dim) -> ArrayType:
    """Return the type of a value for all samples, from that for one."""
    shape: Shape = (size, *one.shape) if batched else one.shape
    return ArrayType(shape, one.dtype)
