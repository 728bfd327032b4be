"""Generation of LLVM code for operations along an axis: sort, cumulate, index.

Each is a nest of loops over the other axes, which threads share by the outermost one
(:func:`walk`), around a loop along the axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops.kernels import advance, for_loop, grouped
from chainrule.engines.native.loops.nests import Part
from chainrule.engines.native.math.scalar import (
    I64,
    checked,
    combined,
    compare,
    is_nan,
    load,
    register_type,
    store,
)
from chainrule.engines.schedule.sharing import Access
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim, DType, Sizes, resolve, size_of

#: (builder, the operands' addresses, numbers, indices) within the innermost loop.
Inner = Callable[[ir.IRBuilder, list[Any], list[Any], list[Any]], None]


def walk(
    builder: BodyBuilder,
    node: Node,
    key: tuple[Any, ...],
    label: str,
    sizes: Sequence[Dim],
    operands: Sequence[tuple[Value, Sequence[Dim], bool]],
    inner: Inner,
    *,
    numbers: Sequence[Dim] = (),
    memory: tuple[Any, Access | None, Sequence[Dim]] | None = None,
    first: Inner | None = None,
) -> None:
    """Emit a kernel of nested loops over operands, around the code of ``inner``.

    Args:
        builder: where the call goes.
        node: what is lowered.
        key: what the code of ``inner`` depends on, shapes apart.
        label: the kernel's name.
        sizes: of the loops, the outermost first.
        operands: (value, its stride in each loop, whether it is written).
        inner: emits what happens within; its last address is the status.
        numbers: sizes and strides that it needs.
        memory: (address, access, strides in bytes) of memory of the node's own; no
            access to what each thread has for itself.
        first: emits what happens at the beginning of each round of the outermost loop.
    """
    code = builder.code
    sizes = list(sizes) or [1]
    rank, count = len(sizes), len(operands)
    dtypes = [value.dtype for value, _, _ in operands]
    steps = [list(step) or [0] for _, step, _ in operands]
    if memory is not None:
        dtypes.append(DType.uint8)
        steps.append(list(memory[2]) or [0])

    def emit(b: ir.IRBuilder, pointers: list[Any], operands: list[Any]) -> None:
        *moving, status = pointers
        lengths, operands = operands[:rank], operands[rank:]
        strides: list[list[Any]] = []
        for _ in moving:
            strides.append(operands[:rank])
            operands = operands[rank:]
        *rest, begin, end = operands

        def nest(level: int, at: list[Any], indices: list[Any]) -> None:
            if level == rank:
                inner(b, [*at, status], rest, indices)
                return
            start = begin if level == 0 else I64(0)
            stop = end if level == 0 else lengths[level]
            with for_loop(b, start, stop, f"i{level}") as i:
                there = [
                    advance(b, p, dtype, b.mul(i, step[level]))
                    for p, dtype, step in zip(at, dtypes, strides)
                ]
                if level == 0 and first is not None:
                    first(b, [*there, status], rest, [i])
                nest(level + 1, there, [*indices, i])

        nest(0, moving, [])

    total = rank * (1 + len(steps)) + len(numbers) + 2
    full = (label, *key, rank, tuple(dtypes))
    function = code.kernels.once(full, label, len(steps) + 1, total, emit)
    partition = builder.partition
    part = Part(sizes[0], single=True)
    if partition is not None:
        part = Part(partition.units, partition.unit_size)
    accesses = builder.accesses(node)
    pointers = [builder.pointer(value) for value, _, _ in operands]
    if memory is not None:
        pointers.append(memory[0])
        accesses += [memory[1]] if memory[1] else []
    code.touch(accesses)
    flat = [*sizes, *(s for step in steps for s in step), *numbers]
    assert count <= len(pointers)
    arguments = [*pointers, code.status, *map(code.dim, flat)]
    code.call(function, arguments, part)


def without(items: Sequence[Dim], axis: int) -> list[Dim]:
    """Return a shape or other list without the item at position ``axis``."""
    return [item for i, item in enumerate(items) if i != axis]


def _out(node: Node) -> Value:
    (out,) = node.outputs
    assert out is not None
    return out


def _first(b: ir.IRBuilder, dtype: DType, test: str, x: Any, y: Any) -> Any:
    """Emit a sort's comparison: whether x comes strictly before y, NaN first."""
    odd = b.and_(is_nan(b, dtype, x), b.not_(is_nan(b, dtype, y)))
    return b.or_(compare(b, dtype, test, x, y), odd)


# -- the index of an extreme -----------------------------------------------------------


def index_of(test: str) -> Callable[[BodyBuilder, Node], None]:
    """Return the function that lowers ``argmax`` (``">"``) or ``argmin`` to LLVM."""

    def lower(builder: BodyBuilder, node: Node) -> None:
        (x,), out = node.inputs, _out(node)
        axis: int = node.attrs["axis"]
        dtype, view = x.dtype, builder.view(x)

        def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], _: Any) -> None:
            px, po = at[:2]
            length, stride = rest
            with b.goto_entry_block():
                best, where = b.alloca(register_type(dtype)), b.alloca(I64)
            b.store(load(b, px, dtype), best)
            b.store(I64(0), where)
            with for_loop(b, I64(1), length, "k") as k:
                value = load(b, advance(b, px, dtype, b.mul(k, stride)), dtype)
                known = b.load(best, typ=register_type(dtype))
                take = _first(b, dtype, test, value, known)
                b.store(b.select(take, value, known), best)
                b.store(b.select(take, k, b.load(where, typ=I64)), where)
            store(b, b.load(where, typ=I64), po, DType.int64)

        walk(
            builder,
            node,
            (test,),
            "index_of",
            without(x.shape, axis),
            [
                (x, without(view.strides, axis), False),
                (out, builder.view(out).strides, True),
            ],
            inner,
            numbers=(x.shape[axis], view.strides[axis]),
        )

    return lower


# -- elements by index -----------------------------------------------------------------


def gather(builder: BodyBuilder, node: Node) -> None:
    """Lower ``gather`` to LLVM: loops that select elements by index along an axis.

    Along the last axis, where one index stands for a whole row, it is looked at once.
    """
    (x, indices), out = node.inputs, _out(node)
    axis: int = node.attrs["axis"]
    view, kind = builder.view(x), indices.dtype
    if any(d == 0 for d in out.shape):
        return
    across = tuple(0 if i == axis else s for i, s in enumerate(view.strides))
    operands = [
        (out, builder.view(out).strides, True),
        (indices, builder.view(indices).strides, False),
        (x, across, False),
    ]
    sizes, width = out.shape, ()
    last = [strides[-1] for _, strides, _ in operands]
    whole = axis != len(sizes) - 1 and last[1] == 0 and last[0] == last[2] == 1
    if whole:
        sizes, width = sizes[:-1], sizes[-1:]
        operands = [(v, strides[:-1], write) for v, strides, write in operands]

    def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], _: Any) -> None:
        po, pi, px, status = at
        row = checked(b, pi, kind, rest[0], status)
        start = advance(b, px, x.dtype, b.mul(row, rest[1]))
        if not whole:
            store(b, load(b, start, x.dtype), po, x.dtype)
            return
        group, mark = builder.code.kernels.marks.new()
        with for_loop(b, I64(0), rest[2], "j", mark=mark) as j:
            value = grouped(b, advance(b, start, x.dtype, j), x.dtype, group)
            made = store(b, value, advance(b, po, x.dtype, j), x.dtype)
            made.set_metadata("llvm.access.group", group)

    walk(
        builder,
        node,
        (whole,),
        "gather",
        sizes,
        operands,
        inner,
        numbers=(x.shape[axis], view.strides[axis], *width),
    )


def scatter_add_along(builder: BodyBuilder, node: Node) -> None:
    """Lower ``scatter_add_along`` to LLVM: loops that add elements by index."""
    (base, indices, updates), out = node.inputs, _out(node)
    axis: int = node.attrs["axis"]
    kind, dtype = indices.dtype, out.dtype
    builder.copy(base, out)
    if any(d == 0 for d in indices.shape):
        return
    layouts = [builder.view(v) for v in (out, indices, updates)]
    order = [a for a in layouts[0].axes if a != axis]
    order.sort(key=lambda a: a != (0 if axis else 1))  # what threads share comes first
    row = order.pop() if len(order) > 1 else None
    width = 1 if row is None else indices.shape[row]
    asides = [0 if row is None else view.strides[row] for view in layouts]

    def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], _: Any) -> None:
        po, pi, pu, status = at
        length, rows, width, *steps = rest
        along, aside = steps[:3], steps[3:]
        pairs = list(zip((po, pi, pu), (dtype, kind, dtype), aside))
        with (
            for_loop(b, I64(0), length, "k") as k,
            for_loop(b, I64(0), width, "c") as c,
        ):
            o, i, u = (advance(b, p, d, b.mul(c, s)) for p, d, s in pairs)
            i = advance(b, i, kind, b.mul(k, along[1]))
            u = advance(b, u, dtype, b.mul(k, along[2]))
            target = checked(b, i, kind, rows, status)
            to = advance(b, o, dtype, b.mul(target, along[0]))
            known, more = load(b, to, dtype), load(b, u, dtype)
            store(b, combined(b, "sum", dtype, known, more), to, dtype)

    walk(
        builder,
        node,
        (),
        "scatter_add_along",
        [indices.shape[a] for a in order],
        [
            (v, [view.strides[a] for a in order], v is out)
            for v, view in zip((out, indices, updates), layouts)
        ],
        inner,
        numbers=(
            indices.shape[axis],
            out.shape[axis],
            width,
            *(view.strides[axis] for view in layouts),
            *asides,
        ),
    )


# -- running sums ----------------------------------------------------------------------


def cumulative(op: str) -> Callable[[BodyBuilder, Node], None]:
    """Return the function that lowers a cumulative sum, product or recurrence.

    Where the axis is not the last one, the innermost loop runs over the last, which
    lies in one piece, and reads the line before.
    """

    def lower(builder: BodyBuilder, node: Node) -> None:
        out, axis = _out(node), int(node.attrs["axis"])
        back = bool(node.attrs["reverse"])
        values = [out, *node.inputs]
        layouts = [builder.view(v) for v in values]
        dtype, last = out.dtype, len(out.shape) - 1
        across = axis != last and len(out.shape) > 2
        outer = [i for i in range(last + 1) if i != axis and not (across and i == last)]

        def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], _: Any) -> None:
            length, width, *steps = rest
            along, aside = steps[: len(values)], steps[len(values) :]

            def address(which: int, t: Any, j: Any) -> Any:
                line = advance(b, at[which], dtype, b.mul(t, along[which]))
                return advance(b, line, dtype, b.mul(j, aside[which]))

            with for_loop(b, I64(0), length, "t") as i:
                t = b.sub(b.sub(length, I64(1)), i) if back else i
                before = b.add(t, I64(1)) if back else b.sub(t, I64(1))
                with b.if_else(b.icmp_signed("==", i, I64(0))) as (start, later):
                    with start, for_loop(b, I64(0), width, "j") as j:
                        value = load(b, address(len(values) - 1, t, j), dtype)
                        store(b, value, address(0, t, j), dtype)
                    with later, for_loop(b, I64(0), width, "j") as j:
                        known = load(b, address(0, before, j), dtype)
                        more = load(b, address(len(values) - 1, t, j), dtype)
                        if op == "recurrence":
                            factor = load(b, address(1, t, j), dtype)
                            total = b.fadd(b.fmul(factor, known), more)
                        else:
                            total = combined(b, op, dtype, known, more)
                        store(b, total, address(0, t, j), dtype)

        walk(
            builder,
            node,
            (op, back),
            "cumulative",
            [out.shape[i] for i in outer],
            [
                (v, [view.strides[i] for i in outer], v is out)
                for v, view in zip(values, layouts)
            ],
            inner,
            numbers=(
                out.shape[axis],
                out.shape[last] if across else 1,
                *(view.strides[axis] for view in layouts),
                *(view.strides[last] if across else 0 for view in layouts),
            ),
        )

    return lower


# -- order -----------------------------------------------------------------------------


def argsort_bytes(node: Node, largest: Sizes) -> int:
    """Return the bytes of temporary memory that the sort of ``argsort`` needs."""
    count = size_of(resolve(node.inputs[0].shape, largest))
    assert isinstance(count, int)
    return 2 * count * DType.int64.itemsize


def argsort(builder: BodyBuilder, node: Node) -> None:
    """Lower ``argsort`` to LLVM: a merge sort, in which equal elements keep order."""
    (x,), out = node.inputs, _out(node)
    axis: int = node.attrs["axis"]
    view, target = builder.view(x), builder.view(out)
    dtype, descending = x.dtype, node.attrs["descending"]
    outer = without(x.shape, axis)
    if any(d == 0 for d in x.shape):
        return
    offset = builder.plan.scratch.get(node, 0)  # none, if sizes so far are 0
    base, low, _ = builder.arena_space
    size = argsort_bytes(node, builder.code.largest)
    room = Access(base, low + offset, low + offset + size, True, None)
    address = builder.memory(offset)
    line: Dim = x.shape[axis] * (2 * DType.int64.itemsize)
    steps: list[Dim] = []
    for d in reversed(outer):
        steps.insert(0, line)
        line = d * line

    def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], _: Any) -> None:
        px, po, memory, _ = at
        length, stride, out_stride = rest
        other = advance(b, memory, DType.int64, length)
        with b.goto_entry_block():
            source, into = b.alloca(ir.PointerType()), b.alloca(ir.PointerType())
            width, left, right = b.alloca(I64), b.alloca(I64), b.alloca(I64)
        with for_loop(b, I64(0), length, "i") as i:
            b.store(i, advance(b, memory, DType.int64, i), align=8)
        b.store(memory, source)
        b.store(other, into)
        b.store(I64(1), width)

        def smaller(x: Any, y: Any) -> Any:
            return b.select(b.icmp_signed("<", x, y), x, y)

        def key(index: Any) -> Any:
            return load(b, advance(b, px, dtype, b.mul(index, stride)), dtype)

        def entry(pointer: Any, i: Any) -> Any:
            return b.load(advance(b, pointer, DType.int64, i), typ=I64, align=8)

        with repeating(b, lambda: b.icmp_signed("<", b.load(width, typ=I64), length)):
            run = b.load(width, typ=I64)
            old = b.load(source, typ=ir.PointerType())
            new = b.load(into, typ=ir.PointerType())
            pair = b.add(run, run)
            pairs = b.sdiv(b.sub(b.add(length, pair), I64(1)), pair)
            with for_loop(b, I64(0), pairs, "pair") as p:
                begin = b.mul(p, pair)
                middle = smaller(b.add(begin, run), length)
                end = smaller(b.add(begin, pair), length)
                b.store(begin, left)
                b.store(middle, right)
                with for_loop(b, begin, end, "to") as to:
                    i, j = b.load(left, typ=I64), b.load(right, typ=I64)
                    # What is read behind its run's end is not used.
                    a = entry(old, smaller(i, b.sub(length, I64(1))))
                    c = entry(old, smaller(j, b.sub(length, I64(1))))
                    sooner = (
                        _first(b, dtype, ">", key(c), key(a))
                        if descending
                        else _first(b, dtype, ">", key(a), key(c))
                    )
                    more = b.icmp_signed("<", j, end)
                    empty = b.icmp_signed(">=", i, middle)
                    take = b.or_(empty, b.and_(more, sooner))
                    there = advance(b, new, DType.int64, to)
                    b.store(b.select(take, c, a), there, align=8)
                    b.store(b.select(take, i, b.add(i, I64(1))), left)
                    b.store(b.select(take, b.add(j, I64(1)), j), right)
            b.store(new, source)
            b.store(old, into)
            b.store(pair, width)
        done = b.load(source, typ=ir.PointerType())
        with for_loop(b, I64(0), length, "i") as i:
            there = advance(b, po, DType.int64, b.mul(i, out_stride))
            b.store(entry(done, i), there, align=8)

    walk(
        builder,
        node,
        (descending,),
        "argsort",
        outer,
        [
            (x, without(view.strides, axis), False),
            (out, without(target.strides, axis), True),
        ],
        inner,
        numbers=(x.shape[axis], view.strides[axis], target.strides[axis]),
        memory=(address, room, steps),
    )


class repeating:  # noqa: N801 - used like a function
    """A context manager that emits LLVM code of a while loop around its block."""

    def __init__(self, b: ir.IRBuilder, condition: Callable[[], Any]) -> None:
        self.b, self.condition = b, condition

    def __enter__(self) -> None:
        b = self.b
        self.head = b.function.append_basic_block("while")
        body, self.done = (
            b.function.append_basic_block("do"),
            b.function.append_basic_block("od"),
        )
        b.branch(self.head)
        b.position_at_end(self.head)
        b.cbranch(self.condition(), body, self.done)
        b.position_at_end(body)

    def __exit__(self, *_: object) -> None:
        self.b.branch(self.head)
        self.b.position_at_end(self.done)
