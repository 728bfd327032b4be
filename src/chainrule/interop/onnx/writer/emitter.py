"""The emitter of ONNX nodes: operators, constants, casts, named sizes, subgraphs.

A :class:`Ref` stands for one array in the file. It has Python's arithmetic, so that a
row of the table reads as its formula: ``x * (x + 1).op("Log")``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, dtype_of
from chainrule.interop.onnx.writer.kernels import (
    Refusal,
    carrier,
    element_type,
    full_type,
)
from chainrule.text import _

Number = int | float | bool


class Ref:
    """A named array of an ONNX graph, with its element type.

    Attributes:
        emitter: of the graph that it is in.
        name: in the file.
        dtype: its element type.
    """

    __slots__ = ("dtype", "emitter", "name")

    def __init__(self, emitter: Emitter, name: str, dtype: DType) -> None:
        self.emitter, self.name, self.dtype = emitter, name, dtype

    def op(self, operator: str, *others: Any, **options: Any) -> Ref:
        """Return the result of an operator of this array and others."""
        return self.emitter.op(operator, self, *others, **options)

    def cast(self, dtype: DType) -> Ref:
        """Return the array in another element type, by ONNX's Cast."""
        if dtype is self.dtype:
            return self
        return self.emitter.node("Cast", [self], [dtype], to=element_type(dtype))[0]

    def bits(self, operator: str, *others: Any) -> Ref:
        """Return the result of an operator that gives truth values."""
        return self.emitter.op(operator, self, *others, dtype=DType.bool)

    def __add__(self, other: Ref | Number) -> Ref:
        return self.op("Add", other)

    def __sub__(self, other: Ref | Number) -> Ref:
        return self.op("Sub", other)

    def __rsub__(self, other: Number) -> Ref:
        return self.emitter.scalar(other, self.dtype) - self

    def __mul__(self, other: Ref | Number) -> Ref:
        return self.op("Mul", other)

    def __truediv__(self, other: Ref | Number) -> Ref:
        return self.op("Div", other)

    def __neg__(self) -> Ref:
        return self.op("Neg")

    def __lt__(self, other: Ref | Number) -> Ref:
        return self.bits("Less", other)

    def __gt__(self, other: Ref | Number) -> Ref:
        return self._other(other).bits("Less", self)

    def __and__(self, other: Ref) -> Ref:
        return self.op("And", other)

    def __or__(self, other: Ref) -> Ref:
        return self.op("Or", other)

    def __invert__(self) -> Ref:
        return self.op("Not")

    def equals(self, other: Ref | Number) -> Ref:
        """Write ONNX's Equal, and return its mask."""
        return self.bits("Equal", other)

    def where(self, a: Ref | Number, b: Ref | Number) -> Ref:
        """Return ``a`` where these truth values are true, else ``b``."""
        kinds = [item.dtype for item in (a, b) if isinstance(item, Ref)]
        first, second = (
            item if isinstance(item, Ref) else self.emitter.scalar(item, kinds[0])
            for item in (a, b)
        )
        dtype = carrier("Where", first.dtype)
        chosen = [self, first.cast(dtype), second.cast(dtype)]
        return self.emitter.node("Where", chosen, [dtype])[0].cast(first.dtype)

    def _other(self, other: Ref | Number) -> Ref:
        if isinstance(other, Ref):
            return other
        return self.emitter.scalar(other, self.dtype)


class Emitter:
    """The nodes of an ONNX graph in the making, or of a subgraph in it.

    Args:
        opset: the version of ONNX's operators.
        outer: the emitter of the graph around this one.

    Attributes:
        nodes: in running order.
        initializers: arrays in the file by name, those of subgraphs too.
        sizes: what gives the value of a named size: an input and its axis.
        scope: the module whose nodes are emitted, in front of their names.
    """

    def __init__(self, opset: int, outer: Emitter | None = None) -> None:
        self.opset = opset
        self.outer, self.root = outer, self if outer is None else outer.root
        self.nodes: list[NodeProto] = []
        self.own: set[str] = set()
        self.scope = "" if outer is None else outer.scope
        if outer is None:
            self.initializers: dict[str, TensorProto] = {}
            self.sizes: dict[str, tuple[Ref, int]] = {}
            self.names: dict[str, int] = {}
            self._constants: dict[Any, Ref] = {}
            self._known: dict[SymbolicDim, Ref] = {}

    # -- names, nodes ------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """Return a name that nothing else in the file has."""
        names = self.root.names
        count = names[wanted] = names.get(wanted, -1) + 1
        return self.name(f"{wanted}_{count}") if count else wanted

    def node(
        self,
        operator: str,
        inputs: Sequence[Ref | None],
        outputs: Sequence[DType | None],
        domain: str = "",
        label: str | None = None,
        **attrs: Any,
    ) -> list[Ref]:
        """Emit one node as it is; None stands for an input or output left out.

        ``label``: the node's name, which runtimes show in errors; by default the module
        and the operator.
        """
        plain = f"{self.scope}/{operator}" if self.scope else operator
        label = self.name(plain if label is None else label)
        results = [
            Ref(self, self.name(f"{label}_out{i or ''}") if d else "", d or DType.bool)
            for i, d in enumerate(outputs)
        ]
        names = ["" if ref is None else ref.name for ref in inputs]
        while names and not names[-1]:
            names.pop()
        attrs = {k: v for k, v in attrs.items() if v is not None}
        proto = helper.make_node(
            operator, names, [r.name for r in results], label, domain=domain, **attrs
        )
        self.nodes.append(proto)
        self.own.update(r.name for r in results)
        return results

    def op(
        self,
        operator: str,
        x: Ref,
        *others: Ref | Number | None,
        dtype: DType | None = None,
        **attrs: Any,
    ) -> Ref:
        """Emit an operator whose array inputs are of one type, with the casts it needs.

        Numbers become constants of that type. Inputs of other types (axes, shapes)
        pass as they are.

        Args:
            operator: its name.
            x: the first input.
            others: the other ones.
            dtype: of the result; that of ``x`` by default.
            attrs: the operator's attributes.
        """
        wide = carrier(operator, x.dtype)
        inputs: list[Ref | None] = [x.cast(wide)]
        for other in others:
            if isinstance(other, Ref):
                other = other.cast(wide) if other.dtype is x.dtype else other
            elif other is not None:
                other = self.scalar(other, wide)
            inputs.append(other)
        (result,) = self.node(operator, inputs, [dtype or wide], **attrs)
        return result if dtype else result.cast(x.dtype)

    def own_ref(self, ref: Ref) -> Ref:
        """Return an array of a graph around this one, for what is computed here."""
        return ref if ref.emitter is self else Ref(self, ref.name, ref.dtype)

    # -- constants ---------------------------------------------------------------------

    def constant(self, array: np.ndarray[Any, Any], name: str = "constant") -> Ref:
        """Return an array that is part of the file; equal ones are one."""
        root, dtype = self.root, dtype_of(array)
        key = array.tobytes(), array.shape, dtype
        known = root._constants.get(key)
        if known is None:
            known = root.initializer(root.name(name), array)
            root._constants[key] = known
        return self.own_ref(known)

    def initializer(self, name: str, array: np.ndarray[Any, Any]) -> Ref:
        """Add an array under a name of its own, as weights are."""
        contiguous = np.ascontiguousarray(array).reshape(array.shape)
        self.root.initializers[name] = numpy_helper.from_array(contiguous, name)
        return Ref(self.root, name, dtype_of(array))

    def scalar(self, number: Number, dtype: DType) -> Ref:
        """Return a number as an array without axes."""
        return self.constant(full_type(dtype, number), "number")

    def ints(self, numbers: Sequence[int]) -> Ref:
        """Return whole numbers as an int64 vector, such as axes."""
        return self.constant(np.array(numbers, np.int64), "ints")

    # -- sizes -------------------------------------------------------------------------

    def size(self, dim: Dim) -> Ref:
        """Return a size as an int64 vector of one number."""
        if isinstance(dim, int):
            return self.ints([dim])
        root = self.root
        known = root._known.get(dim)
        if known is None:
            known = root._known[dim] = root._size(dim)
        return self.own_ref(known)

    def _size(self, dim: SymbolicDim) -> Ref:
        if dim.factor != 1 or len(dim.names) != 1:
            total = self.ints([dim.factor])
            for name in dim.names:
                part = self.size(SymbolicDim(name))
                total = part if total.name == self.ints([1]).name else total * part
            return total
        scope, self.scope = self.scope, ""
        array, axis = self.sizes[dim.names[0]]
        (shape,) = self.node("Shape", [array], [DType.int64])
        (size,) = self.node("Gather", [shape, self.ints([axis])], [DType.int64], axis=0)
        self.scope = scope
        return size

    def shape(self, dims: Shape) -> Ref:
        """Return a shape as an int64 vector, computed where sizes have names."""
        if all(isinstance(d, int) for d in dims):
            return self.ints([int(d) for d in dims])
        parts = [self.size(d) for d in dims]
        if len(parts) == 1:
            return parts[0]
        return self.node("Concat", parts, [DType.int64], axis=0)[0]

    def reshape(self, x: Ref, shape: Shape) -> Ref:
        """Return an array in another shape, in which sizes may have names."""
        named = [d for d in shape if isinstance(d, SymbolicDim)]
        if len(named) == 1 and 0 not in shape:
            to = self.ints([-1 if isinstance(d, SymbolicDim) else d for d in shape])
            return self.node("Reshape", [x, to], [x.dtype])[0]
        zero = 0 in shape or len(named) > 1
        if 0 in shape and self.opset < 14:
            raise Refusal(_("no elements in a Reshape, which opset 14 has"))
        allow = 1 if zero and self.opset >= 14 else None
        return self.node("Reshape", [x, self.shape(shape)], [x.dtype], allowzero=allow)[
            0
        ]

    def expand(self, x: Ref, shape: Shape) -> Ref:
        """Return an array repeated to a shape, by ONNX's broadcasting."""
        dtype = DType.uint8 if x.dtype is DType.bool else x.dtype
        # Of all types but some small integers; these pass as what holds them.
        if dtype in (DType.int16, DType.uint16):
            dtype = DType.int32
        repeated = self.node("Expand", [x.cast(dtype), self.shape(shape)], [dtype])[0]
        return repeated.cast(x.dtype)

    def transpose(self, x: Ref, axes: Sequence[int]) -> Ref:
        """Return an array with its axes in another order."""
        if list(axes) == sorted(axes):
            return x
        return self.node("Transpose", [x], [x.dtype], perm=list(axes))[0]

    def cut(
        self,
        x: Ref,
        axes: Sequence[int],
        starts: Sequence[int],
        stops: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> Ref:
        """Return a slice of an array along some axes."""
        if not axes:
            return x
        bounds = [self.ints(n) for n in (starts, stops, axes)]
        if steps is not None and any(s != 1 for s in steps):
            bounds.append(self.ints(steps))
        return self.node("Slice", [x, *bounds], [x.dtype])[0]

    def unsqueeze(self, x: Ref, *axes: int) -> Ref:
        """Return an array with axes of length 1 inserted."""
        return self.node("Unsqueeze", [x, self.ints(axes)], [x.dtype])[0]

    def squeeze(self, x: Ref, *axes: int) -> Ref:
        """Return an array without axes of length 1."""
        return self.node("Squeeze", [x, self.ints(axes)], [x.dtype])[0]

    def gather(self, x: Ref, indices: Ref, axis: int) -> Ref:
        """Return entries along an axis by index."""
        return self.node("Gather", [x, indices], [x.dtype], axis=axis)[0]

    def concat(self, parts: Sequence[Ref], axis: int) -> Ref:
        """Return arrays joined along an axis."""
        if len(parts) == 1:
            return parts[0]
        return self.node("Concat", parts, [parts[0].dtype], axis=axis)[0]

    def reduce(self, operator: str, x: Ref, axes: Sequence[int]) -> Ref:
        """Return a reduction over axes; none of them leave the array as it is."""
        if not axes:
            return x
        axes, as_input = sorted(axes), operator == "ReduceSum" or self.opset >= 18
        if as_input:
            return self.op(operator, x, self.ints(axes), keepdims=0)
        return self.op(operator, x, keepdims=0, axes=axes)

    def results(self, refs: Sequence[Ref], taken: set[str]) -> list[Ref]:
        """Return results that nodes of this graph give, each under a name of its own.

        ``taken``: the names of its inputs.
        """
        seen, results = set(taken), list[Ref]()
        for ref in refs:
            if ref.name in seen or ref.name not in self.own:
                (ref,) = self.node("Identity", [ref], [ref.dtype])
            seen.add(ref.name)
            results.append(ref)
        return results

    def subgraph(self) -> Emitter:
        """Return an emitter for the body of a loop or a branch."""
        return Emitter(self.opset, self)

    def prune(self, outputs: Sequence[str]) -> None:
        """Leave out the nodes that no output needs: an operator is in their place."""
        needed, kept = set(outputs), list[NodeProto]()
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                needed.update(node.input, read_within(node))
                kept.append(node)
        self.nodes[:] = reversed(kept)


def read_within(node: NodeProto) -> Iterator[str]:
    """Yield the names that the bodies of a node read."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            for inner in attribute.g.node:
                yield from inner.input
                yield from read_within(inner)
