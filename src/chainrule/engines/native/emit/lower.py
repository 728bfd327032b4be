"""The native engine's table of code generators (lowerings), one for each primitive.

An entry emits calls of kernels. An elementwise primitive needs no entry: one row in
``scalar.SCALAR`` and the loop around it comes from :func:`elementwise`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.composites import control
from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops import along, loop_nodes
from chainrule.engines.native.loops import control as nested
from chainrule.engines.native.loops.by_numpy import by_numpy
from chainrule.engines.native.loops.kernels import advance, for_loop, times
from chainrule.engines.native.loops.nests import over
from chainrule.engines.native.loops.reductions import Reduction
from chainrule.engines.native.loops.windows import windowed
from chainrule.engines.native.math.scalar import (
    I8,
    I32,
    I64,
    compute,
    convert,
    load,
    number,
    store,
    threefry,
)
from chainrule.engines.native.products import convolution, product_nodes
from chainrule.engines.native.runtime.code import CONDITION
from chainrule.engines.schedule.layout import row_major
from chainrule.engines.schedule.libraries import BY_NUMPY
from chainrule.engines.schedule.maps import (
    domain_of,
    fingerprint,
    loop_body,
    partial_sums_of,
    scalar_broadcast,
    tiled,
)
from chainrule.engines.schedule.sharing import ONE
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import REFERENCES, Primitive
from chainrule.graph.types import Dim, DType, Sizes, resolve, size_of
from chainrule.primitives import (
    checks,
    conv,
    creation,
    indexing,
    matmul,
    movement,
    random,
    reduce,
    sorting,
    windows,
)
from chainrule.primitives.random import (
    need_countable,
    stream_words,
)


def elementwise(builder: BodyBuilder, node: Node) -> None:
    """Emit LLVM code for an elementwise node (primitive or composite): one loop."""
    body = loop_body(node)
    if body is not None:
        key: Any = fingerprint(body)
        label = node.primitive.name

        def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
            return _inline(b, body, values)
    else:
        kinds = tuple(v.dtype for v in node.inputs)
        key = (node.primitive, kinds, repr(node.attrs))
        label = node.primitive.name

        def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
            return [compute(b, node, values)]

    results = [(v, builder.view(v)) for v in node.outputs if v is not None]
    ins = [(v, builder.view(v)) for v in node.inputs]
    partial_sums = partial_sums_of(node)
    outs = [out for out, units in zip(results, partial_sums) if not units]
    if len(outs) == len(results):
        builder.map(key, label, outs, ins, run)
    else:
        sums = results[len(outs) :]
        builder.partial_reduction(key, label, outs, sums, ins, run, domain_of(node))


def _inline(b: ir.IRBuilder, body: Graph, values: list[Any]) -> list[Any]:
    known: dict[Value, Any] = dict(zip(body.inputs, values, strict=True))
    for node in body.nodes:
        (out,) = node.outputs
        assert out is not None
        if scalar_broadcast(node):
            known[out] = known[node.inputs[0]]
        elif node.primitive is creation.constant:
            known[out] = number(out.dtype, node.attrs["value"][0])
        else:
            known[out] = compute(b, node, [known[v] for v in node.inputs])
    return [known[v] for v in body.outputs]


def _only(node: Node) -> Value:
    (out,) = node.outputs
    assert out is not None
    return out


# -- values out of nothing ----------------------------------------------------------


def _constant(builder: BodyBuilder, node: Node) -> None:
    """Lower ``constant`` to LLVM: the array becomes read-only data of the module."""
    out = _only(node)
    code = builder.code
    array: Array = np.asarray(REFERENCES[node.primitive](**node.attrs))
    data = code.constant(array)
    # Reading constants conflicts with nothing, so the value moves there altogether.
    builder.bind(out, lambda: data, (("constant", code.constants), 0, 1))


def _require(builder: BodyBuilder, node: Node) -> None:
    """Lower ``require`` to LLVM: code that reports a false condition's number."""
    _, holds = node.inputs
    code, b = builder.code, builder.b
    code.conditions.append(node.attrs)
    code.touch([builder.access(holds, ONE)])
    with code.one_thread():
        value = load(b, builder.pointer(holds), DType.bool)
        with b.if_then(b.not_(value), likely=False):
            at = b.gep(code.status, [I64(CONDITION)], source_etype=I8)
            first = b.icmp_unsigned("==", b.load(at, typ=I32, align=4), I32(0))
            with b.if_then(first):
                b.store(I32(len(code.conditions)), at, align=4)


def _size(builder: BodyBuilder, node: Node) -> None:
    out = _only(node)
    count = builder.code.dim(node.attrs["dim"])
    code = builder.code
    code.touch([builder.access(out, ONE, write=True)])
    with code.one_thread():
        value = convert(builder.b, DType.int64, out.dtype, count)
        builder.b.store(value, builder.pointer(out), align=out.dtype.itemsize)


def _iota(builder: BodyBuilder, node: Node) -> None:
    """Lower ``iota`` to LLVM: code that writes each element's index along an axis."""
    out, code = _only(node), builder.code
    axis, dtype = int(node.attrs["axis"]), out.dtype
    step, size = row_major(out.shape)[axis], out.shape[axis]
    if any(d == 0 for d in out.shape):
        return

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        span, length, begin, end = numbers
        span = I64(1) if step == 1 else span

        def count(at: Any, low: Any, high: Any) -> None:
            """Emit code that writes part of a repeated range 0, 1, 2, … of ``iota``."""
            with for_loop(b, low, high, "number") as i:
                converted = convert(b, DType.int64, dtype, i)
                first = b.add(at, times(b, i, span))
                with for_loop(b, I64(0), span, "copy") as j:
                    place = b.add(first, j)
                    store(b, converted, advance(b, pointers[0], dtype, place), dtype)

        if axis == 0:
            count(I64(0), b.udiv(begin, span), b.udiv(end, span))
            return
        cycle = times(b, length, span)
        first, last = (b.udiv(x, cycle) for x in (begin, end))
        with for_loop(b, first, last, "cycle") as c:
            count(b.mul(c, cycle), I64(0), length)

    key = ("iota", dtype, step == 1, axis == 0)
    function = code.kernels.once(key, "iota", 1, 4, emit)
    row = size_of(out.shape[1:])
    part = builder.part(out, row)
    code.touch(builder.accesses(node))
    numbers = [code.dim(step), code.dim(size)]
    code.call(function, [builder.pointer(out), *numbers], part)


def _random_bits(builder: BodyBuilder, node: Node) -> None:
    """Lower ``random_bits`` to LLVM: Threefry-2x32 of each element's position."""
    out = _only(node)
    key, step = node.inputs
    words = stream_words(node.attrs["stream"])
    need_countable(size_of(resolve(out.shape, builder.code.largest)))

    def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
        k0, k1, count = values
        u32 = k0.type
        named = threefry(b, (k0, k1), u32(words[0]), u32(words[1]))
        drawn, _ = threefry(b, named, b.trunc(indices[-1], u32), count)
        return [drawn]

    second = Value(None, (), DType.uint32)
    base = builder.pointer(key)
    builder.bind(
        second,
        lambda: builder.b.gep(base, [I64(4)], source_etype=I8),
        builder.resources[builder.view(key).root],
    )
    first = Value(None, (), DType.uint32)
    builder.bind(first, lambda: base, builder.resources[builder.view(key).root])
    for value in (first, second):
        builder.layouts.known[value] = builder.layouts.own(value)
    scalars = [(v, builder.view(v)) for v in (first, second, step)]
    builder.map(
        ("random_bits", words), "random_bits", [(out, builder.view(out))], scalars, run
    )


# -- movement -----------------------------------------------------------------------


def _copy(builder: BodyBuilder, node: Node) -> None:
    builder.copy(node.inputs[0], _only(node))


def _pad(builder: BodyBuilder, node: Node) -> None:
    """Lower ``pad`` to LLVM: zeros everywhere, then the elements in place."""
    out, (x,) = _only(node), node.inputs
    view = builder.view(out)

    def zero(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
        return [number(out.dtype, 0)]

    builder.map(("zero", out.dtype), "zero", [(out, view)], [], zero)
    steps: list[Dim] = []
    pointer = builder.pointer(out)
    for stride, low, gap in zip(
        view.strides, node.attrs["low"], node.attrs["interior"], strict=True
    ):
        steps.append(stride * (gap + 1))
        if low:
            pointer = loop_nodes.advanced(builder, pointer, out.dtype, stride * low)
    builder.copy(x, loop_nodes.part_of(builder, out, x, steps, pointer))


# -- reductions ---------------------------------------------------------------------


def _reduce(op: str) -> Lowering:
    def lower(builder: BodyBuilder, node: Node) -> None:
        x, out = node.inputs[0], _only(node)
        axes: tuple[int, ...] = node.attrs["axes"]
        view, code = builder.view(x), builder.code
        loops = list(zip(x.shape, view.strides))
        if view.blocking:  # only whole sums meet blocks; they run in memory order
            loops, axes = [(size_of(x.shape), 1)], (0,)
        kept = tuple([loop for i, loop in enumerate(loops) if i not in axes])
        outs = tuple(zip(out.shape, builder.view(out).strides))
        reduced = tuple([loops[i] for i in sorted(axes)])
        reduction = Reduction.of(op, x.dtype, [outs, kept], [reduced])
        part = over(reduction.kept, builder.part(out))
        code.touch(builder.accesses(node))
        code.call(
            reduction.kernel(code.kernels),
            [
                *map(builder.pointer, (out, x)),
                *map(code.dim, reduction.numbers),
            ],
            part,
        )

    return lower


def scratch_bytes(node: Node, largest: Sizes) -> int:
    """Return the bytes of temporary memory that a node's generated code needs."""
    if node.primitive is sorting.argsort:
        return along.argsort_bytes(node, largest)
    if node.primitive is conv.conv:
        return convolution.scratch_bytes(node, largest)
    if node.primitive is control.scan:
        return nested.scan_plan(node, largest, scratch_bytes)[0].arena
    if node.primitive is control.cond:
        plans = nested.cond_plans(node, largest, scratch_bytes)
        return max(plan.arena for plan, _, _ in plans)
    return 0


Lowering = Callable[[BodyBuilder, Node], None]

LOWERINGS: dict[Primitive, Lowering] = {
    creation.constant: _constant,
    creation.size: _size,
    creation.iota: _iota,
    random.random_bits: _random_bits,
    checks.require: _require,
    movement.copy: _copy,
    movement.pad: _pad,
    movement.reduce_sum: _reduce("sum"),
    reduce.reduce_max: _reduce("max"),
    reduce.reduce_prod: _reduce("prod"),
    reduce.argmax: along.index_of(">"),
    reduce.argmin: along.index_of("<"),
    reduce.cumsum: along.cumulative("sum"),
    reduce.cumprod: along.cumulative("prod"),
    reduce.linear_recurrence: along.cumulative("recurrence"),
    sorting.argsort: along.argsort,
    movement.concatenate: loop_nodes.concatenate,
    windows.window_sum: windowed("sum"),
    windows.window_max: windowed("max"),
    windows.window_argmax: windowed("argmax"),
    windows.window_best: windowed("best"),
    windows.window_max_pullback: windowed("pullback"),
    tiled: product_nodes.tiled_product,
    matmul.dot_general: product_nodes.product,
    conv.conv: convolution.convolve,
    indexing.take: loop_nodes.take,
    indexing.scatter_add: loop_nodes.changed_rows,
    indexing.put_rows: loop_nodes.changed_rows,
    indexing.gather: along.gather,
    indexing.scatter_add_along: along.scatter_add_along,
    indexing.dynamic_slice: loop_nodes.dynamic_slice,
    indexing.dynamic_update_slice: loop_nodes.dynamic_update_slice,
    control.scan: nested.scan,
    control.cond: nested.cond,
    **dict.fromkeys(BY_NUMPY, by_numpy),
}


def lower(builder: BodyBuilder, node: Node) -> None:
    """Emit LLVM code for a node: by its table entry, or as an elementwise loop."""
    if node.primitive in LOWERINGS:
        LOWERINGS[node.primitive](builder, node)
    else:
        elementwise(builder, node)
