"""Lowerings that are loops of their own: rows by index, contractions, scan.

These are plain and right rather than fast; matrix products, which matter most, go to
``matmul`` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from chainrule.engines.native.arrange import Places, arrange
from chainrule.engines.native.emit import (
    ONE,
    Frame,
    Key,
    Part,
    plan_memory,
)
from chainrule.engines.native.kernels import advance, counting
from chainrule.engines.native.layout import Place, row_major
from chainrule.engines.native.scalar import (
    I1,
    I8,
    I64,
    convert,
    is_nan,
    load,
    number,
    register_type,
    store,
)
from chainrule.engines.plan import Plan, is_elementwise
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, DType, Sizes, size_of
from chainrule.passes import prepare
from chainrule.primitives.matmul import parse_dims

Loop = tuple[Dim, Dim]


def merged(loops: list[Loop]) -> list[Loop]:
    """Loops over one operand, with those merged that have no gap between them."""
    loops = [loop for loop in loops if loop[0] != 1]
    i = 0
    while i + 1 < len(loops):
        (outer, step), (inner, fine) = loops[i], loops[i + 1]
        if isinstance(inner, int) and isinstance(fine, int) and step == fine * inner:
            loops[i : i + 2] = [(outer * inner, fine)]
        else:
            i += 1
    return loops


def row_keys(
    frame: Frame, part: Part, operands: Sequence[tuple[Value, Dim]]
) -> list[Key]:
    """How threads share operands whose outermost loop is shared by ``part``."""
    if part.single:
        return [ONE for _ in operands]
    return [
        None if step == 0 else frame.rows_key(value, part.units, step)
        for value, step in operands
    ]


def rows_of(frame: Frame, value: Value, axis: int, rows: Dim) -> Key:
    """The key of an access by rows along ``axis``, if rows lie one after the other."""
    place = frame.place(value)
    if axis != 0 or place.panel or place.strides != row_major(place.shape):
        return None
    return frame.rows_key(value, rows, place.strides[0])


def advanced(
    frame: Frame, pointer: Any, dtype: DType, step: Dim, count: Any = None
) -> Any:
    """``pointer`` moved on by ``step`` elements, ``count`` times."""
    b = frame.b
    distance = frame.session.dim(step)
    if count is not None:
        distance = b.mul(distance, count)
    return advance(b, pointer, dtype, distance)


# -- index of the largest -------------------------------------------------------------


def argmax(frame: Frame, node: Node) -> None:
    """The first of the largest elements along an axis."""
    x, axis = node.inputs[0], node.attrs["axis"]
    (out,) = node.outputs
    assert out is not None
    session, place = frame.session, frame.place(x)
    kept = [(d, s) for i, (d, s) in enumerate(zip(x.shape, place.strides)) if i != axis]
    outs = list(frame.place(out).strides)
    kept, outs = (kept, outs) if kept else ([(1, 0)], [0])
    rank, dtype = len(kept), x.dtype

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        sizes, steps = numbers[:rank], numbers[rank : 2 * rank]
        out_steps = numbers[2 * rank : 3 * rank]
        length, stride, begin, end = numbers[3 * rank :]
        best, where = b.alloca(register_type(dtype)), b.alloca(I64)

        def search(px: Any, po: Any) -> None:
            b.store(load(b, px, dtype), best)
            b.store(I64(0), where)
            with counting(b, I64(1), length, "k") as k:
                value = load(b, advance(b, px, dtype, b.mul(k, stride)), dtype)
                known = b.load(best, typ=register_type(dtype))
                # NumPy's order: NaN is larger than everything, the first one wins.
                if dtype.is_float:
                    above = b.fcmp_ordered(">", value, known)
                else:
                    signed = dtype.kind == "int"
                    above = (b.icmp_signed if signed else b.icmp_unsigned)(
                        ">", value, known
                    )
                odd = b.and_(is_nan(b, dtype, value), b.not_(is_nan(b, dtype, known)))
                take = b.or_(above, odd)
                b.store(b.select(take, value, known), best)
                b.store(b.select(take, k, b.load(where, typ=I64)), where)
            store(b, b.load(where, typ=I64), po, DType.int64)

        def nest(level: int, px: Any, po: Any) -> None:
            if level == rank:
                search(px, po)
                return
            start = begin if level == 0 else I64(0)
            stop = end if level == 0 else sizes[level]
            with counting(b, start, stop, f"i{level}") as i:
                nest(
                    level + 1,
                    advance(b, px, dtype, b.mul(i, steps[level])),
                    advance(b, po, DType.int64, b.mul(i, out_steps[level])),
                )

        nest(0, pointers[1], pointers[0])

    function = session.kernels.once(
        ("argmax", dtype, rank), "argmax", 2, 3 * rank + 4, emit
    )
    part = Part(kept[0][0], single=session.small(x.shape))
    keys = row_keys(frame, part, [(out, outs[0]), (x, kept[0][1])])
    session.touch([frame.access(out, keys[0], write=True), frame.access(x, keys[1])])
    numbers = [d for d, _ in kept] + [s for _, s in kept] + outs
    numbers += [x.shape[axis], place.strides[axis]]
    session.call(
        function,
        [frame.pointer(out), frame.pointer(x), *map(session.dim, numbers)],
        part,
    )


# -- rows by index -------------------------------------------------------------------


def _row(
    b: ir.IRBuilder, indices: Any, i: Any, dtype: DType, rows: Any, status: Any
) -> Any:
    """Index i, kept within 0 … rows−1; an index outside is reported in ``status``."""
    raw = load(b, advance(b, indices, dtype, i), dtype)
    index = convert(b, dtype, DType.int64, raw)
    outside = b.icmp_unsigned(">=", index, rows)
    with b.if_then(outside, likely=False):
        b.store(I8(1), status)
    return b.select(outside, I64(0), index)


def take(frame: Frame, node: Node) -> None:
    """Copy rows by index."""
    x, indices = node.inputs
    (out,) = node.outputs
    assert out is not None
    session, dtype, kind = frame.session, x.dtype, indices.dtype
    width = size_of(x.shape[1:])

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        target, source, wanted, status = pointers
        rows, length, begin, end = numbers
        with counting(b, begin, end, "i") as i:
            row = _row(b, wanted, i, kind, rows, status)
            start = advance(b, source, dtype, b.mul(row, length))
            place = advance(b, target, dtype, b.mul(i, length))
            size = b.mul(length, I64(dtype.itemsize))
            copy = b.module.declare_intrinsic(
                "llvm.memcpy", [ir.PointerType(), ir.PointerType(), I64]
            )
            b.call(copy, [place, start, size, I1(0)])

    function = session.kernels.once(("take", dtype, kind), "take", 4, 4, emit)
    count = size_of(indices.shape)
    if count == 0 or width == 0:
        return
    part = Part(count, single=session.small(out.shape))
    keys = row_keys(frame, part, [(out, width), (indices, 1)])
    session.touch(
        [
            frame.access(out, keys[0], write=True),
            frame.access(x, ONE if part.single else None),
            frame.access(indices, keys[1]),
        ]
    )
    pointers = [frame.pointer(v) for v in (out, x, indices)]
    numbers = [session.dim(d) for d in (x.shape[0], width)]
    session.call(function, [*pointers, session.status, *numbers], part)


def scatter_add(frame: Frame, node: Node) -> None:
    """Add rows by index one after the other: equal indices keep their order."""
    base, indices, updates = node.inputs
    (out,) = node.outputs
    assert out is not None
    frame.copy(base, out)
    session, dtype, kind = frame.session, out.dtype, indices.dtype
    width, count = size_of(out.shape[1:]), size_of(indices.shape)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        target, wanted, more, status = pointers
        rows, length, begin, end = numbers
        with counting(b, begin, end, "i") as i:
            row = _row(b, wanted, i, kind, rows, status)
            to = advance(b, target, dtype, b.mul(row, length))
            start = advance(b, more, dtype, b.mul(i, length))
            with counting(b, I64(0), length, "j") as j:
                at = advance(b, to, dtype, j)
                known, new = (
                    load(b, at, dtype),
                    load(b, advance(b, start, dtype, j), dtype),
                )
                add = b.fadd if dtype.is_float else b.add
                store(b, add(known, new), at, dtype)

    function = session.kernels.once(("scatter", dtype, kind), "scatter_add", 4, 4, emit)
    session.touch(
        [frame.access(out, ONE, write=True)]
        + [frame.access(v, ONE) for v in (indices, updates)]
    )
    pointers = [frame.pointer(v) for v in (out, indices, updates)]
    numbers = [session.dim(d) for d in (out.shape[0], width)]
    session.call(
        function, [*pointers, session.status, *numbers], Part(count, single=True)
    )


# -- products of any kind --------------------------------------------------------------


def contraction(frame: Frame, node: Node) -> None:
    """``dot_general`` and ``conv`` in general: one sum after the other.

    Every element of the output is the chain fma(a, b, sum) over the contracted axes
    and the kernel's window, in the order of the letters.
    """
    lhs, rhs = node.inputs
    (out,) = node.outputs
    assert out is not None
    session, d = frame.session, parse_dims(node.attrs["dims"])
    pl, pr, po = (frame.place(v) for v in (lhs, rhs, out))
    wide = max((out.dtype, node.attrs["accumulate"]), key=lambda dtype: dtype.itemsize)
    if not out.dtype.is_float:
        wide = out.dtype

    def step(place: Place, letters: str, c: str) -> Dim:
        return place.strides[letters.index(c)] if c in letters else 0

    free = list(d.out)
    summed = [c for c in d.lhs if c in d.contracted] + list(d.window)
    window = len(d.window)
    out_loops = [(out.shape[d.out.index(c)], step(po, d.out, c)) for c in free] or [
        (1, 0)
    ]
    free = free or [""]
    # An output's spatial index moves the input by the stride, a tap by its dilation:
    # both are handled apart, since they may fall outside or between elements.
    left = [0 if c in d.window else step(pl, d.lhs, c) for c in free]
    right = [0 if c in d.window else step(pr, d.rhs, c) for c in free]
    inner = [
        (
            rhs.shape[d.rhs.index(c)],
            0 if c in d.window else step(pl, d.lhs, c),
            step(pr, d.rhs, c),
        )
        for c in summed
    ] or [(1, 0, 0)]
    spatial: list[tuple[Any, ...]] = []
    for i, w in enumerate(d.window):
        a = node.attrs
        spatial.append(
            (
                lhs.shape[d.lhs.index(w)],
                step(pl, d.lhs, w),
                a["strides"][i],
                a["rhs_dilation"][i],
                a["padding"][i][0],
                a["lhs_dilation"][i],
            )
        )
    place_of = [free.index(w) for w in d.window]
    rank, depth = len(free), len(inner)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        target, first, second = pointers
        numbers = list(numbers)

        def cut(count: int) -> list[Any]:
            head = numbers[:count]
            del numbers[:count]
            return head

        sizes, po_, pl_, pr_ = cut(rank), cut(rank), cut(rank), cut(rank)
        k_sizes, kl, kr = cut(depth), cut(depth), cut(depth)
        geometry = [cut(6) for _ in range(window)]
        begin, end = numbers
        total = b.alloca(register_type(wide))

        def tap(level: int, p: Any, q: Any, at: list[Any], ks: list[Any]) -> None:
            if level < depth:
                with counting(b, I64(0), k_sizes[level], f"k{level}") as k:
                    tap(
                        level + 1,
                        advance(b, p, lhs.dtype, b.mul(k, kl[level])),
                        advance(b, q, rhs.dtype, b.mul(k, kr[level])),
                        at,
                        [*ks, k],
                    )
                return
            inside: Any = I1(1)
            for w in range(window):
                size, move, stride, dilation, low, gap = geometry[w]
                k = ks[depth - window + w]
                where = b.mul(at[place_of[w]], stride)
                where = b.sub(b.add(where, b.mul(k, dilation)), low)
                index = b.sdiv(where, gap)
                fits = b.and_(
                    b.icmp_signed(">=", where, I64(0)), b.icmp_signed("<", index, size)
                )
                whole = b.icmp_signed("==", b.srem(where, gap), I64(0))
                inside = b.and_(inside, b.and_(fits, whole))
                p = advance(b, p, lhs.dtype, b.mul(index, move))

            def add_up() -> None:
                x = convert(b, lhs.dtype, wide, load(b, p, lhs.dtype))
                y = convert(b, rhs.dtype, wide, load(b, q, rhs.dtype))
                known = b.load(total, typ=register_type(wide))
                if wide.is_float:
                    b.store(b.fma(x, y, known), total)
                else:
                    b.store(b.add(known, b.mul(x, y)), total)

            if window:
                with b.if_then(inside):
                    add_up()
            else:
                add_up()

        def nest(level: int, o: Any, p: Any, q: Any, at: list[Any]) -> None:
            if level == rank:
                b.store(number(wide, 0), total)
                tap(0, p, q, at, [])
                made = b.load(total, typ=register_type(wide))
                store(b, convert(b, wide, out.dtype, made), o, out.dtype)
                return
            start = begin if level == 0 else I64(0)
            stop = end if level == 0 else sizes[level]
            with counting(b, start, stop, f"i{level}") as i:
                nest(
                    level + 1,
                    advance(b, o, out.dtype, b.mul(i, po_[level])),
                    advance(b, p, lhs.dtype, b.mul(i, pl_[level])),
                    advance(b, q, rhs.dtype, b.mul(i, pr_[level])),
                    [*at, i],
                )

        nest(0, target, first, second, [])

    key = ("contraction", lhs.dtype, wide, rank, depth, tuple(place_of))
    count = 4 * rank + 3 * depth + 6 * window + 2
    function = session.kernels.once(key, "contraction", 3, count, emit)
    part = Part(out_loops[0][0], single=session.small(out.shape))
    keys = row_keys(
        frame, part, [(out, out_loops[0][1]), (lhs, left[0]), (rhs, right[0])]
    )
    session.touch(
        [
            frame.access(out, keys[0], write=True),
            frame.access(lhs, keys[1]),
            frame.access(rhs, keys[2]),
        ]
    )
    numbers: list[Dim] = [n for n, _ in out_loops] + [s for _, s in out_loops]
    numbers += left + right
    for column in range(3):
        numbers += [row[column] for row in inner]
    for row in spatial:
        numbers += row
    pointers = [frame.pointer(v) for v in (out, lhs, rhs)]
    session.call(function, [*pointers, *map(session.dim, numbers)], part)


# -- scan ---------------------------------------------------------------------------


def scan_plan(
    node: Node, largest: Sizes, scratch: Callable[[Node, Sizes], int]
) -> tuple[Plan, Places]:
    """A scan's body as an entry point whose state is the carry, with its memory."""
    body, constants = node.attrs["body"], node.attrs["constants"]
    carries = node.attrs["carries"]
    fixed = constants + carries
    inputs = (*body.inputs[:constants], *body.inputs[fixed:])
    ys = body.outputs[carries:]
    names = tuple(f"carry{i}" for i in range(carries))
    graph = Graph(
        body.name,
        (*inputs, *body.inputs[constants:fixed]),
        (*ys, *body.outputs[:carries]),
    )
    entry = Entry(
        name=body.name,
        graph=graph,
        inputs=tuple(f"in{i}" for i in range(len(inputs))),
        each=(),
        state=names,
        replaces={name: len(ys) + i for i, name in enumerate(names)},
        outputs=len(ys),
    )

    entry = entry.with_graph(prepare(entry.graph, keep=is_elementwise))
    entry = entry.with_graph(arrange(entry.graph, entry, {}))
    places = Places({})
    places.add_inputs(entry.graph)
    for inner in entry.graph.nodes:
        places.add(inner)
    plan = plan_memory(entry, places, largest, lambda inner: scratch(inner, largest))
    for inner in plan.entry.graph.nodes:
        for value in inner.outputs:
            if value is not None and value not in places.known:
                places.add(inner)
    return plan, places


def scan(frame: Frame, node: Node) -> None:
    """A loop over steps; the outputs that are carries hold them while it runs."""
    session, b = frame.session, frame.b
    constants, carries = node.attrs["constants"], node.attrs["carries"]
    fixed = constants + carries
    outputs = [v for v in node.outputs if v is not None]
    for source, held in zip(node.inputs[constants:fixed], outputs):
        frame.copy(source, held)
    plan, places = scan_plan(node, session.largest, session.scratch)
    base, low, _ = frame.arena_space
    offset = frame.plan.scratch.get(node, 0)
    inner = Frame(session, plan, places, (base, low + offset, 0))
    entry = plan.entry
    graph = entry.graph
    sequences = node.inputs[fixed:]
    for value, outer in zip(graph.inputs[:constants], node.inputs):
        place = frame.place(outer)
        places.known[value] = Place(value, value.shape, place.strides)
        inner.bind(value, partial(frame.pointer, outer), frame.resources[place.root])
    for value, held in zip(graph.inputs[len(entry.inputs) :], outputs):
        resource = frame.resources[frame.place(held).root]
        inner.bind(value, partial(frame.pointer, held), resource)
    states = dict(zip(entry.state, graph.inputs[len(entry.inputs) :]))
    for value, name in plan.state_of.items():
        held = states[name]
        inner.bind(value, inner.pointers[held], inner.resources[held])
    if session.pending:
        session.barrier()
    length, loop = node.attrs["length"], session.new_counter()
    with counting(b, I64(0), session.dim(length), "t") as i:
        t = b.sub(b.sub(session.dim(length), I64(1)), i) if node.attrs["reverse"] else i
        session.count(loop, t)
        for value, outer in zip(graph.inputs[constants : len(entry.inputs)], sequences):
            place = frame.place(outer)
            places.known[value] = Place(value, value.shape, place.strides[1:])
            at = partial(_entry_of, frame, outer, place.strides[0], loop)
            inner.bind(value, at, frame.resources[place.root])
        _rebase(places, plan)
        inner.run(graph.nodes)
        for value, outer in zip(graph.outputs[: entry.outputs], outputs[carries:]):
            row = Value(None, value.shape, value.dtype)
            places.known[row] = places.own(row)
            start = partial(_entry_of, frame, outer, size_of(row.shape), loop)
            inner.bind(row, start, frame.resources[frame.place(outer).root])
            inner.copy(value, row)
        for value, name in plan.copies:
            inner.copy(value, states[name])
        session.barrier()


def _entry_of(frame: Frame, sequence: Value, step: Dim, loop: int) -> Any:
    """The address of a sequence's entry for the step at which a loop stands."""
    count = frame.session.counter(loop)
    return advanced(frame, frame.pointer(sequence), sequence.dtype, step, count)


def _rebase(places: Places, plan: Plan) -> None:
    """Work out the views again, now that the inputs lie where the loop has them."""
    for node in plan.entry.graph.nodes:
        places.add(node)
