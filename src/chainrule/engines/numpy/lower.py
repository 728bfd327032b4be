"""The NumPy engine's table of code generators (lowerings), one for each primitive.

An entry writes Python statements that store into the output's buffer. A primitive that
is not listed runs through its reference, whose result is copied into place. Views cost
nothing at run time and do not appear here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array, Node
from chainrule.graph.primitive import REFERENCES, Primitive
from chainrule.graph.types import DType
from chainrule.primitives import (
    checks,
    elementwise,
    indexing,
    integers,
    matmul,
    movement,
    reduce,
    trigonometry,
)
from chainrule.primitives.long_sums import added_up
from chainrule.primitives.matmul import plan_product
from chainrule.text import _


class Writer(Protocol):
    """The interface through which lowerings write the NumPy engine's statements."""

    def name(self, item: Any) -> str:
        """Return a name for an object in the generated Python statements."""
        ...

    def line(self, text: str) -> None:
        """Append a statement to the generated Python code."""
        ...

    def scratch(self, index: int, length: int, dtype: np.dtype[Any]) -> Array:
        """Return temporary array number ``index`` for generated code."""
        ...

    def repeated(self) -> AbstractContextManager[None]:
        """Return a context manager that repeats generated statements in a loop."""
        ...

    def each(self, items: Sequence[Any]) -> str:
        """Return a variable that takes each item in turn in a ``repeated`` loop."""
        ...

    def turn(self, name: str) -> str:
        """Return an array's transpose as a name in the generated statements."""
        ...

    def is_transposed(self, name: str) -> bool:
        """Return whether a named array of the generated code is stored transposed."""
        ...


#: Primitives that are one ufunc.
UFUNCS: dict[Primitive, np.ufunc] = {
    elementwise.add: np.add,
    elementwise.sub: np.subtract,
    elementwise.mul: np.multiply,
    elementwise.div: np.divide,
    elementwise.neg: np.negative,
    elementwise.exp: np.exp,
    elementwise.log: np.log,
    elementwise.log1p: np.log1p,
    elementwise.expm1: np.expm1,
    elementwise.tanh: np.tanh,
    elementwise.sqrt: np.sqrt,
    elementwise.abs_: np.absolute,
    elementwise.sign: np.sign,
    elementwise.maximum: np.maximum,
    elementwise.minimum: np.minimum,
    elementwise.less: np.less,
    elementwise.equal: np.equal,
    elementwise.isnan: np.isnan,
    elementwise.floor: np.floor,
    elementwise.round_: np.rint,
    elementwise.copysign: np.copysign,
    elementwise.nextafter: np.nextafter,
    trigonometry.sin: np.sin,
    trigonometry.cos: np.cos,
    trigonometry.atan2: np.arctan2,
    integers.floor_divide: np.floor_divide,
    integers.gcd: np.gcd,
    integers.remainder: np.remainder,
    integers.bitwise_and: np.bitwise_and,
    integers.bitwise_or: np.bitwise_or,
    integers.bitwise_xor: np.bitwise_xor,
    integers.bitwise_not: np.bitwise_not,
    integers.shift_left: np.left_shift,
    integers.shift_right: np.right_shift,
}


def _take(x: Array, indices: Array, out: Array) -> None:
    try:
        if indices.size and indices.min() < 0:
            raise IndexError
        x.take(indices, 0, out)
    except IndexError:
        raise ArgumentError(
            _("take was asked for a row that does not exist."),
            expected=_("indices from 0 to {shape}", shape=x.shape[0] - 1),
            got=_("indices from {min} to {max}", min=indices.min(), max=indices.max()),
        ) from None


def _check(holds: Array, **message: str) -> Array:
    """Return a condition that is true; raise the error of ``require`` if false."""
    if not holds:
        raise checks.failed(**message)
    return holds


def _where(w: Writer, node: Node, ins: list[str], out: str) -> None:
    # np.where and a copy are faster than two masked copies.
    w.line(f"copyto({out}, where({', '.join(ins)}))")


def _copy(w: Writer, node: Node, ins: list[str], out: str) -> None:
    w.line(f'copyto({out}, {ins[0]}, casting="unsafe")')


def _convert(w: Writer, node: Node, ins: list[str], out: str) -> None:
    to, of = node.attrs["dtype"], node.inputs[0].dtype
    saturates = of.is_float and to.is_integer
    # Between bfloat16 and what is not float32 there are two steps.
    two = DType.bfloat16 in (to, of) and DType.float32 not in (to, of)
    (reference if saturates or two else _copy)(w, node, ins, out)


def _pow(w: Writer, node: Node, ins: list[str], out: str) -> None:
    if not node.inputs[0].dtype.is_float:
        return reference(w, node, ins, out)
    w.line(f"{w.name(np.power)}({', '.join(ins)}, {out})")
    return None


def _concatenate(w: Writer, node: Node, ins: list[str], out: str) -> None:
    w.line(f"concatenate(({', '.join(ins)},), {node.attrs['axis']}, {out})")


def _cumulative(ufunc: np.ufunc) -> Lowering:
    def lower(w: Writer, node: Node, ins: list[str], out: str) -> None:
        axis = node.attrs["axis"]
        cut = [":"] * len(node.inputs[0].shape)
        cut[axis] = "::-1" if node.attrs["reverse"] else ":"
        part = f"[{', '.join(cut)}]"
        function = w.name(ufunc.accumulate)
        w.line(f"{function}({ins[0]}{part}, {axis}, None, {out}{part})")

    return lower


def _reduce(ufunc: np.ufunc) -> Lowering:
    def lower(w: Writer, node: Node, ins: list[str], out: str) -> None:
        function = w.name(ufunc.reduce)
        w.line(f"{function}({ins[0]}, {node.attrs['axes']!r}, None, {out})")

    return lower


def _sum(w: Writer, node: Node, ins: list[str], out: str) -> None:
    w.line(f"{w.name(added_up)}({ins[0]}, {node.attrs['axes']!r}, {out})")


def _index(method: str) -> Lowering:
    def lower(w: Writer, node: Node, ins: list[str], out: str) -> None:
        w.line(f"{ins[0]}.{method}({node.attrs['axis']}, {out})")

    return lower


def _take_rows(w: Writer, node: Node, ins: list[str], out: str) -> None:
    w.line(f"{w.name(_take)}({ins[0]}, {ins[1]}, {out})")


def _changed(name: str, change: Callable[[Array, Array, Array], None]) -> Lowering:
    """Return the lowering of what changes rows by index, in place where it may be."""

    def run(base: Array, indices: Array, rows: Array, out: Array) -> None:
        indexing.check_indices(name, indices, len(base))
        if out.ctypes.data != base.ctypes.data:
            np.copyto(out, base)
        change(out, indices, rows)

    def lower(w: Writer, node: Node, ins: list[str], out: str) -> None:
        w.line(f"{w.name(run)}({', '.join(ins)}, {out})")

    return lower


def _put(out: Array, indices: Array, rows: Array) -> None:
    out[indices] = rows  # in order: the last of equal indices counts


def _dot(w: Writer, node: Node, ins: list[str], out: str) -> None:
    a, b = node.inputs
    plan = plan_product(node.attrs["dims"])
    simple = plan.batch == 0 and plan.left == plan.contracted == 1 and len(b.shape) == 2
    if not simple or node.attrs["accumulate"].itemsize > a.dtype.itemsize:
        return reference(w, node, ins, out)
    left = ins[0] if plan.lhs == (0, 1) else w.turn(ins[0])
    right = ins[1] if plan.rhs == (0, 1) else w.turn(ins[1])
    # The output is written in the order in which it lies: as the transposed product,
    # right.T · left.T, if that is the other one.
    if plan.out != (0, 1):
        out = w.turn(out)
    if w.is_transposed(out):
        left, right, out = w.turn(right), w.turn(left), w.turn(out)
    w.line(f"matmul({left}, {right}, {out})")
    return None


def reference(w: Writer, node: Node, ins: list[str], out: str) -> None:
    """Write a Python call of a primitive's NumPy reference, and copy its result."""
    attrs = w.name(node.attrs)
    function = w.name(REFERENCES[node.primitive])
    w.line(f"copyto({out}, {function}({', '.join([*ins, f'**{attrs}'])}))")


Lowering = Callable[[Writer, Node, list[str], str], None]
#: (input, attributes…) → view; spelt out so that the lambdas have types.
View = (
    Callable[[Array, Any], Array]
    | Callable[[Array, Any, Any, Any], Array]
    | Callable[..., Array]
)

LOWERINGS: dict[Primitive, Lowering] = {
    movement.copy: _copy,
    movement.concatenate: _concatenate,
    elementwise.pow_: _pow,
    elementwise.where: _where,
    elementwise.convert: _convert,
    movement.reduce_sum: _sum,
    reduce.reduce_max: _reduce(np.maximum),
    reduce.reduce_prod: _reduce(np.multiply),
    reduce.cumsum: _cumulative(np.add),
    reduce.cumprod: _cumulative(np.multiply),
    reduce.argmax: _index("argmax"),
    reduce.argmin: _index("argmin"),
    indexing.take: _take_rows,
    indexing.scatter_add: _changed("scatter_add", indexing.add_rows),
    indexing.put_rows: _changed("put_rows", _put),
    matmul.dot_general: _dot,
}

#: Primitives that change some rows of their first operand, in its memory if they may.
CHANGED_ROWS = frozenset((indexing.scatter_add, indexing.put_rows))

#: How primitives with the trait ``view`` show memory that exists already.
VIEWS: dict[Primitive, View] = {
    checks.require: _check,
    movement.reshape: lambda x, shape: x.reshape(shape),
    movement.broadcast_to: lambda x, shape: np.broadcast_to(x, shape),
    movement.transpose: lambda x, axes: x.transpose(axes),
    movement.slice_: lambda x, starts, stops, strides: x[
        tuple(map(slice, starts, stops, strides))
    ],
    movement.flip: lambda x, axes: np.flip(x, axes),
}

#: Names that every program may use.
GLOBALS: dict[str, Any] = {
    "concatenate": np.concatenate,
    "copyto": np.copyto,
    "matmul": np.matmul,
    "where": np.where,
}
