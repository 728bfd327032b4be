"""One table: how the native engine runs each primitive that is not elementwise.

An entry emits calls of kernels. What is elementwise needs no entry: one row in
``scalar.SCALAR`` and the loop around it comes from :func:`elementwise`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.engines.native import loops
from chainrule.engines.native.arrange import as_product
from chainrule.engines.native.emit import ONE, Access, Frame, Part
from chainrule.engines.native.kernels import SLAB
from chainrule.engines.native.layout import Place, row_major
from chainrule.engines.native.matmul import choose_tile, emit_matmul, host_target
from chainrule.engines.native.scalar import (
    I8,
    I32,
    I64,
    compute,
    convert,
    load,
    number,
)
from chainrule.engines.plan import loop_body, scalar_broadcast
from chainrule.errors import EngineError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import REFERENCES, Primitive
from chainrule.graph.types import Dim, DType, Sizes, size_of
from chainrule.primitives import (
    checks,
    conv,
    creation,
    indexing,
    matmul,
    movement,
    random,
    reduce,
)
from chainrule.primitives.matmul import parse_dims
from chainrule.primitives.random import PARITY, ROTATIONS, ROUNDS, stream_words
from chainrule.regions import control

#: Weights larger than this stay with the thread that owns their panels, whatever the
#: batch: reading them from another core costs more than sharing the work by rows.
OWNED_BYTES = 64 * 1024
#: Where in the status the number of the first condition that does not hold stands.
CONDITION = 4


def elementwise(frame: Frame, node: Node) -> None:
    """One loop over the elements, for a primitive or a whole region."""
    body = loop_body(node)
    if body is not None:
        key: Any = _fingerprint(body)
        label = node.primitive.name

        def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
            return _inline(b, body, values)
    else:
        kinds = tuple(v.dtype for v in node.inputs)
        key = (node.primitive, kinds, repr(node.attrs))
        label = node.primitive.name

        def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
            return [compute(b, node, values)]

    outs = [(v, frame.place(v)) for v in node.outputs if v is not None]
    ins = [(v, frame.place(v)) for v in node.inputs]
    frame.map(key, label, outs, ins, run)


def _fingerprint(body: Graph) -> Any:
    """What two bodies that compute the same have in common, whatever their shapes."""
    number_of = {v: i for i, v in enumerate(body.values())}
    rows = tuple(
        (
            node.primitive,
            tuple(number_of[v] for v in node.inputs),
            tuple(v.dtype for v in node.inputs),
            "" if scalar_broadcast(node) else repr(node.attrs),
        )
        for node in body.nodes
    )
    return rows, tuple(number_of[v] for v in body.outputs)


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


def _constant(frame: Frame, node: Node) -> None:
    """Numbers in the module's read-only memory, copied where the value lies."""
    out = _only(node)
    session = frame.session
    array = REFERENCES[node.primitive](**node.attrs)
    assert isinstance(array, np.ndarray)
    kind = ir.ArrayType(I8, array.nbytes)
    data = ir.GlobalVariable(session.module, kind, f"constant.{session.constants}")
    session.constants += 1
    data.global_constant = True
    data.linkage = "internal"
    data.align = 64
    data.initializer = ir.Constant(kind, bytearray(array.tobytes()))
    # Reading constants conflicts with nothing, so the value moves there altogether.
    frame.bind(
        out,
        lambda: frame.b.bitcast(data, ir.PointerType()),
        (("constant", session.constants), 0, 1),
    )


def _require(frame: Frame, node: Node) -> None:
    """Report a condition that does not hold by its number; the result is a view."""
    _, holds = node.inputs
    session, b = frame.session, frame.b
    session.conditions.append(node.attrs)
    session.touch([frame.access(holds, ONE)])
    with session.one_thread():
        value = load(b, frame.pointer(holds), DType.bool)
        with b.if_then(b.not_(value), likely=False):
            at = b.gep(session.status, [I64(CONDITION)], source_etype=I8)
            first = b.icmp_unsigned("==", b.load(at, typ=I32, align=4), I32(0))
            with b.if_then(first):
                b.store(I32(len(session.conditions)), at, align=4)


def _size(frame: Frame, node: Node) -> None:
    out = _only(node)
    count = frame.session.dim(node.attrs["dim"])
    session = frame.session
    session.touch([frame.access(out, ONE, write=True)])
    with session.one_thread():
        value = convert(frame.b, DType.int64, out.dtype, count)
        frame.b.store(value, frame.pointer(out), align=out.dtype.itemsize)


def _iota(frame: Frame, node: Node) -> None:
    out = _only(node)
    shape, axis = out.shape, int(node.attrs["axis"])
    # Loops may be merged, so the index is worked out from the position in memory.
    step, size = row_major(shape)[axis], shape[axis]
    if not isinstance(step, int) or not (isinstance(size, int) or axis == 0):
        raise EngineError(
            "The native engine counts along axes up to N, not behind it.",
            expected="N as the first axis",
            got=f"iota of shape {shape} along axis {axis}",
            fix='use engine="numpy", or put the batch axis first',
        )

    def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
        at = b.udiv(indices[-1], I64(step))
        if isinstance(size, int):
            at = b.urem(at, I64(max(size, 1)))
        return [convert(b, DType.int64, out.dtype, at)]

    key = ("iota", step, repr(size), out.dtype)
    frame.map(key, "iota", [(out, frame.place(out))], [], run)


def _random_bits(frame: Frame, node: Node) -> None:
    """Threefry-2x32 on the position of each element; see ``primitives.random``."""
    out = _only(node)
    key, step = node.inputs
    words = stream_words(node.attrs["stream"])

    def run(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
        k0, k1, count = values
        u32 = k0.type
        named = _threefry(b, (k0, k1), u32(words[0]), u32(words[1]))
        drawn, _ = _threefry(b, named, b.trunc(indices[-1], u32), count)
        return [drawn]

    second = Value(None, (), DType.uint32)
    base = frame.pointer(key)
    frame.bind(
        second,
        lambda: frame.b.gep(base, [I64(4)], source_etype=I8),
        frame.resources[frame.place(key).root],
    )
    first = Value(None, (), DType.uint32)
    frame.bind(first, lambda: base, frame.resources[frame.place(key).root])
    for value in (first, second):
        frame.places.known[value] = frame.places.own(value)
    scalars = [(v, frame.place(v)) for v in (first, second, step)]
    frame.map(
        ("random_bits", words), "random_bits", [(out, frame.place(out))], scalars, run
    )


def _threefry(
    b: ir.IRBuilder, key: tuple[Any, Any], x0: Any, x1: Any
) -> tuple[Any, Any]:
    k0, k1 = key
    u32 = k0.type
    schedule = (k0, k1, b.xor(b.xor(k0, k1), u32(PARITY)))
    x0, x1 = b.add(x0, k0), b.add(x1, k1)
    for block in range(ROUNDS // 4):
        for distance in ROTATIONS[block % 2]:
            x0 = b.add(x0, x1)
            x1 = b.or_(b.shl(x1, u32(distance)), b.lshr(x1, u32(32 - distance)))
            x1 = b.xor(x1, x0)
        x0 = b.add(x0, schedule[(block + 1) % 3])
        x1 = b.add(b.add(x1, schedule[(block + 2) % 3]), u32(block + 1))
    return x0, x1


# -- movement -----------------------------------------------------------------------


def _copy(frame: Frame, node: Node) -> None:
    frame.copy(node.inputs[0], _only(node))


def _pad(frame: Frame, node: Node) -> None:
    """Zeros everywhere, then the elements in their places."""
    out, (x,) = _only(node), node.inputs
    place = frame.place(out)

    def zero(b: ir.IRBuilder, values: list[Any], indices: list[Any]) -> list[Any]:
        return [number(out.dtype, 0)]

    frame.map(("zero", out.dtype), "zero", [(out, place)], [], zero)
    steps: list[Dim] = []
    pointer = frame.pointer(out)
    for stride, low, gap in zip(
        place.strides, node.attrs["low"], node.attrs["interior"], strict=True
    ):
        steps.append(stride * (gap + 1))
        if low:
            pointer = loops.advanced(frame, pointer, out.dtype, stride * low)
    window = Value(None, x.shape, out.dtype)
    frame.places.known[window] = Place(window, x.shape, tuple(steps))
    frame.bind(window, lambda: pointer, frame.resources[place.root])
    frame.copy(x, window)


# -- reductions ---------------------------------------------------------------------


def _reduce(op: str) -> Lowering:
    def lower(frame: Frame, node: Node) -> None:
        x, out = node.inputs[0], _only(node)
        axes: tuple[int, ...] = node.attrs["axes"]
        place, session = frame.place(x), frame.session
        whole = len(axes) == len(x.shape)
        if whole and op == "sum" and _sum_by_slabs(frame, node):
            return
        order = frame.place(out)
        x_loops = list(zip(x.shape, place.strides))
        if place.panel:  # only whole sums meet panels; they run in memory order
            x_loops = [(size_of(x.shape), 1)]
            axes = (0,)
        kept = [x_loops[i] for i in range(len(x_loops)) if i not in axes]
        reduced = [x_loops[i] for i in sorted(axes)]
        reduced = loops.merged(reduced) or [(1, 0)]
        outs = list(zip(out.shape, order.strides))
        if (
            len(kept) == 1
            and kept[0][1] == 1
            and len(reduced) == 1
            and isinstance(kept[0][0], int)
        ):
            _columns(frame, op, x, out, kept[0][0], reduced[0])
            return
        if not kept:
            kept, outs = [(1, 0)], [(1, 0)]
        part = Part(kept[0][0], single=whole or session.small(x.shape))
        inner = reduced[-1][1] if reduced[-1][1] in (0, 1) else None
        assert inner is None or isinstance(inner, int)
        function = session.kernels.reduce(op, x.dtype, len(kept), len(reduced), inner)
        keys = loops.row_keys(frame, part, [(out, outs[0][1]), (x, kept[0][1])])
        session.touch(
            [frame.access(out, keys[0], write=True), frame.access(x, keys[1])]
        )
        numbers = [d for d, _ in kept + reduced]
        numbers += [s for _, s in kept + reduced]
        numbers += [s for _, s in outs]
        session.call(
            function,
            [frame.pointer(out), frame.pointer(x), *map(session.dim, numbers)],
            part,
        )

    return lower


def _columns(
    frame: Frame, op: str, x: Value, out: Value, columns: int, rows: tuple[Dim, Dim]
) -> None:
    """Column sums, row after row, with whole vectors."""
    session = frame.session
    part = Part(columns, single=columns <= 4 * SLAB)
    keys = loops.row_keys(frame, part, [(out, 1)])
    session.touch(
        [
            frame.access(out, keys[0], write=True),
            frame.access(x, ONE if part.single else None),
        ]
    )
    function = session.kernels.column_sums(op, x.dtype)
    numbers = [session.dim(d) for d in rows]
    session.call(function, [frame.pointer(out), frame.pointer(x), *numbers], part)


def _slab_count(node: Node) -> int:
    """How many slabs a whole sum is cut into, by its shape; 0 where it is not cut."""
    x = node.inputs[0]
    total = size_of(x.shape)
    if not isinstance(total, int) or not x.dtype.is_float or total < 2 * SLAB:
        return 0
    return -(-total // SLAB)


def _sum_by_slabs(frame: Frame, node: Node) -> bool:
    """Sum a large contiguous array slab by slab, then the slabs in order."""
    x, out, session = node.inputs[0], _only(node), frame.session
    place, slabs = frame.place(x), _slab_count(node)
    flat = place.panel or place.contiguous
    if not slabs or not flat:
        return False
    offset = frame.plan.scratch[node]
    base, low, _ = frame.arena_space
    partial = frame.memory(offset)
    length = slabs * x.dtype.itemsize
    memory = Access(base, low + offset, low + offset + length, True, None)
    session.touch([memory, frame.access(x, None)])
    total = size_of(x.shape)
    assert isinstance(total, int)
    session.call(
        session.kernels.slabs(x.dtype),
        [partial, frame.pointer(x), I64(total)],
        Part(slabs),
    )
    session.touch([memory, frame.access(out, ONE, write=True)])
    function = session.kernels.reduce("sum", x.dtype, 1, 1, 1)
    numbers = [I64(n) for n in (1, slabs, 0, 1, 0)]
    session.call(
        function, [frame.pointer(out), partial, *numbers], Part(1, single=True)
    )
    return True


def scratch_bytes(node: Node, largest: Sizes) -> int:
    """Memory that a node needs for itself."""
    if node.primitive is movement.reduce_sum and len(node.attrs["axes"]) == len(
        node.inputs[0].shape
    ):
        return _slab_count(node) * node.inputs[0].dtype.itemsize
    if node.primitive is control.scan:
        return loops.scan_plan(node, largest, scratch_bytes)[0].arena
    return 0


# -- products -----------------------------------------------------------------------


def _dot(frame: Frame, node: Node) -> None:
    out = _only(node)
    target = frame.place(out)
    product = as_product(node, bool(target.panel))
    if product is None:
        loops.contraction(frame, node)
        return
    d = parse_dims(node.attrs["dims"])
    letters = (d.lhs, d.rhs)
    a, b = node.inputs[product.a], node.inputs[product.b]
    pa, pb = frame.place(a), frame.place(b)
    la, lb = letters[product.a], letters[product.b]
    rows, columns = a.shape[la.index(product.u)], b.shape[lb.index(product.v)]
    depth = a.shape[la.index(product.k)]
    a_m, a_k = (pa.strides[la.index(c)] for c in (product.u, product.k))
    width = target.panel or pb.panel
    b_k: Dim = pb.panel or pb.strides[lb.index(product.k)]
    c_m: Dim = target.panel or target.strides[d.out.index(product.u)]

    session = frame.session
    builder = frame.b
    dtype = out.dtype

    def kernel(known_n: bool) -> tuple[ir.Function, list[Any]]:
        sizes = {
            "n": _known(width or columns) if known_n else None,
            "k": _known(depth),
            "a_m": _known(a_m),
            "a_k": _known(a_k),
            "b_k": _known(b_k),
            "c_m": _known(c_m),
        }
        late = [d for d in (depth, a_m, a_k, b_k, c_m) if _known(d) is None]
        kind = ir.FunctionType(
            ir.VoidType(), [ir.PointerType()] * 3 + [I64] * (4 + len(late))
        )
        function = session.kernels.function(
            ("matmul", dtype, *sizes.items()),
            kind,
            lambda: emit_matmul(
                session.module,
                dtype.name,
                choose_tile(dtype.name, host_target()),
                **sizes,
            ),
        )
        return function, [session.dim(d) for d in late]

    pointers = [frame.pointer(v) for v in (a, b, out)]
    if not width:
        _whole_product(frame, (a, b, out), rows, columns, la, product.u, kernel)
        return
    assert isinstance(columns, int)
    count = columns // width
    # How far apart panels are: in B and in C each by its own layout.
    b_step: Dim = depth * width if pb.panel else width
    c_step: Dim = rows * width if target.panel else width
    weight = depth * columns * dtype.itemsize if isinstance(depth, int) else None
    if session.small((rows, columns)):
        part, by_panels = Part(rows, single=True), False
    elif count > 1 and (target.panel or (weight is not None and weight > OWNED_BYTES)):
        part, by_panels = Part(count), True
    else:
        part, by_panels = Part(rows), False
    function, extra = kernel(True)
    if by_panels:
        keys = (
            None,
            frame.rows_key(b, count, b_step) if pb.panel else None,
            frame.rows_key(out, count, c_step) if target.panel else None,
        )
    elif part.single:
        keys = (ONE, ONE, ONE)
    else:
        keys = (
            loops.rows_of(frame, a, la.index(product.u), rows),
            None,
            None if target.panel else loops.rows_of(frame, out, 0, rows),
        )
    session.touch(
        [
            frame.access(a, keys[0]),
            frame.access(b, keys[1]),
            frame.access(out, keys[2], write=True),
        ]
    )

    def panels(first: Any, last: Any, low: Any, high: Any) -> None:
        with loops.counting(builder, first, last, "panel") as p:
            at_b = loops.advanced(frame, pointers[1], dtype, b_step, p)
            at_c = loops.advanced(frame, pointers[2], dtype, c_step, p)
            bounds = [low, high, I64(0), I64(width)]
            builder.call(function, [pointers[0], at_b, at_c, *bounds, *extra])

    if part.single:
        with session.one_thread():
            panels(I64(0), I64(count), I64(0), session.dim(rows))
    elif by_panels:
        panels(*session.share(part), I64(0), session.dim(rows))
    else:
        panels(I64(0), I64(count), *session.share(part))


def _known(dim: Dim) -> int | None:
    return dim if isinstance(dim, int) else None


def _whole_product(
    frame: Frame,
    values: tuple[Value, Value, Value],
    rows: Dim,
    columns: Dim,
    letters: str,
    u: str,
    kernel: Callable[[bool], tuple[ir.Function, list[Any]]],
) -> None:
    """A product without panels: threads share the rows, or the columns of few rows."""
    a, b, out = values
    session = frame.session
    single = session.small((rows, columns))
    by_columns = isinstance(rows, int) and rows < 8 and not single
    fixed = isinstance(columns, int) and not by_columns
    function, extra = kernel(fixed)
    part = Part(columns if by_columns else rows, single=single)
    if single:
        keys: tuple[Any, Any, Any] = (ONE, ONE, ONE)
    elif by_columns:
        keys = (None, None, None)
    else:
        keys = (
            loops.rows_of(frame, a, letters.index(u), rows),
            None,
            loops.rows_of(frame, out, 0, rows),
        )
    session.touch(
        [
            frame.access(a, keys[0]),
            frame.access(b, keys[1]),
            frame.access(out, keys[2], write=True),
        ]
    )
    pointers = [frame.pointer(v) for v in values]

    def call(low: Any, high: Any, left: Any, right: Any) -> None:
        frame.b.call(function, [*pointers, low, high, left, right, *extra])

    if single:
        with session.one_thread():
            call(I64(0), session.dim(rows), I64(0), session.dim(columns))
    elif by_columns:
        call(I64(0), session.dim(rows), *session.share(part))
    else:
        call(*session.share(part), I64(0), session.dim(columns))


Lowering = Callable[[Frame, Node], None]

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
    reduce.argmax: loops.argmax,
    matmul.dot_general: _dot,
    conv.conv: loops.contraction,
    indexing.take: loops.take,
    indexing.scatter_add: loops.scatter_add,
    control.scan: loops.scan,
}


def lower(frame: Frame, node: Node) -> None:
    """Emit a node: its row in the table, or a loop over elements."""
    if node.primitive in LOWERINGS:
        LOWERINGS[node.primitive](frame, node)
    else:
        elementwise(frame, node)
