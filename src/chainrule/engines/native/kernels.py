"""Kernels: LLVM functions that loop over elements.

Every kernel is ``void (pointers…, sizes and strides…, begin, end)`` and works on the
part ``begin … end`` of its outermost loop, so that threads share it. Sizes and strides
come in at run time except for the innermost strides, which decide whether the loop is
vectorised; a kernel that is asked for twice is emitted once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from chainrule.engines.native.jit import Kernel
from chainrule.engines.native.scalar import (
    I1,
    I32,
    I64,
    POINTER,
    combined,
    larger,
    load,
    memory_type,
    number,
    store,
)
from chainrule.graph.types import DType

#: The names of the kernels that this process has, by what they were asked for with.
_known: dict[Any, str] = {}

Body = Callable[[ir.IRBuilder, list[Any], list[Any]], list[Any]]

#: Elements that a sum adds up side by side before it combines them.
LANES = 64
#: Inner sums shorter than this run one after the other.
LANES_FROM = 256
#: Sums that run side by side.
ROWS = 8
#: What a sum and a product of nothing are.
_UNIT = {"sum": 0, "prod": 1}


@dataclass(frozen=True)
class Operand:
    """What a kernel needs to know of an operand when it is emitted.

    Attributes:
        dtype: the element type.
        inner: its stride in the innermost loop if that is 0 or 1, else None.
        fixed: whether it is a single element, read once.
    """

    dtype: DType
    inner: int | None
    fixed: bool = False


@contextmanager
def for_loop(
    b: ir.IRBuilder, start: Any, stop: Any, name: str, *, mark: Any = None
) -> Generator[ir.PhiInstr]:
    """A loop ``for i in range(start, stop)``; the block is its body."""
    function = b.function
    before = b.block
    head = function.append_basic_block(f"{name}.head")
    body = function.append_basic_block(f"{name}.body")
    done = function.append_basic_block(f"{name}.done")
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(I64, name)
    i.add_incoming(start, before)
    b.cbranch(b.icmp_signed("<", i, stop), body, done)
    b.position_at_end(body)
    yield i
    following = b.add(i, I64(1), flags=("nsw",))
    i.add_incoming(following, b.block)
    back = b.branch(head)
    if mark is not None:
        back.set_metadata("llvm.loop", mark)
    b.position_at_end(done)


def running(
    b: ir.IRBuilder,
    stop: Any,
    name: str,
    values: Sequence[Any],
    step: Callable[[Any, list[Any]], list[Any]],
) -> list[Any]:
    """The values after ``for i in range(stop): values = step(i, values)``.

    They stay in registers.
    """
    before = b.block
    head, body, done = (
        b.function.append_basic_block(f"{name}.{part}")
        for part in ("head", "body", "done")
    )
    b.branch(head)
    b.position_at_end(head)
    i, *carried = [b.phi(v.type) for v in (I64(0), *values)]
    b.cbranch(b.icmp_signed("<", i, stop), body, done)
    b.position_at_end(body)
    following = [b.add(i, I64(1), flags=("nsw",)), *step(i, carried)]
    for phi, first, new in zip((i, *carried), (I64(0), *values), following):
        phi.add_incoming(first, before)
        phi.add_incoming(new, b.block)
    b.branch(head)
    b.position_at_end(done)
    return carried


class Marks:
    """Metadata that says: the iterations of this loop do not depend on each other.

    Without it the vectoriser would check at run time whether operands overlap, and give
    up where a result is written over its operand. llvmlite has no ``distinct`` nodes,
    so :func:`finish` puts them into the text.

    Attributes:
        module: where they go: that of the kernel which is being emitted.
    """

    def __init__(self) -> None:
        self.begin(ir.Module())

    def begin(self, module: ir.Module) -> None:
        """From here on marks are those of another module."""
        self.module, self.count = module, 0

    def new(self, *, short: bool = False) -> tuple[Any, Any]:
        """(access group, loop) for one loop.

        ``short``: what is left over at its end shall be a vector too, under a mask.
        """
        m, self.count = self.module, self.count + 1
        group = m.add_metadata([ir.MetaDataString(m, f"distinct-{self.count}")])
        name = ir.MetaDataString(m, "llvm.loop.parallel_accesses")
        access = m.add_metadata([name, group])
        unique = ir.MetaDataString(m, f"loop-{self.count}")
        told = [access]
        if short:
            masked = ir.MetaDataString(m, "llvm.loop.vectorize.predicate.enable")
            told.append(m.add_metadata([masked, I1(1)]))
        return group, m.add_metadata([unique, *told])


def finish(module: ir.Module) -> str:
    """The module's text, with the metadata of :class:`Marks` made distinct."""
    text = re.sub(r'!\{ !"distinct-\d+" \}', "distinct !{}", str(module))
    return re.sub(
        r'^(!\d+) = !\{ !"loop-\d+", ', r"\1 = distinct !{ \1, ", text, flags=re.M
    )


def remember(kernels: Mapping[Any, Kernel]) -> None:
    """Have other entry points call kernels that are in this process now."""
    for key, kernel in kernels.items():
        _known.setdefault(key, kernel.name)


class Kernels:
    """The kernels of one entry point; those that the process has are only called.

    Attributes:
        module: calls them.
        made: new ones, by key.
        called: the names of all of them.
    """

    def __init__(self, module: ir.Module) -> None:
        self.module = module
        self.marks = Marks()
        self.made: dict[Any, Kernel] = {}
        self.called: dict[str, None] = {}

    def function(
        self,
        key: Any,
        kind: Any,
        emit: Callable[[ir.Module], ir.Function],
        *,
        passes: bool = False,
    ) -> ir.Function:
        """The function for ``key``, emitted if neither module nor process has it.

        Args:
            key: tells apart whatever changes the code.
            kind: the function's type.
            emit: emits it into a module of its own.
            passes: whether LLVM's passes would make it better.
        """
        name = _known.get(key)
        if name is None:
            if key not in self.made:
                module = ir.Module()
                self.marks.begin(module)
                label = emit(module).name
                text = finish(module) if self.marks.count else str(module)
                self.made[key] = Kernel.of(label, text, passes=passes)
            name = self.made[key].name
        self.called[name] = None
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, kind, name)

    def once(
        self,
        key: Any,
        label: str,
        pointers: int,
        integers: int,
        emit: Callable[[ir.IRBuilder, list[Any], list[Any]], None],
    ) -> ir.Function:
        """The function for ``key``, emitted by ``emit`` if it is new."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER] * pointers + [I64] * integers)

        def define(module: ir.Module) -> ir.Function:
            function = ir.Function(module, kind, f"{label}.")
            function.attributes.add("noinline")
            function.attributes.add("nounwind")
            b = ir.IRBuilder(function.append_basic_block("entry"))
            arguments = list(function.args)
            emit(b, arguments[:pointers], arguments[pointers:])
            b.ret_void()
            return function

        return self.function(key, kind, define, passes=True)

    def map(
        self,
        key: Any,
        label: str,
        rank: int,
        outs: Sequence[Operand],
        ins: Sequence[Operand],
        body: Body,
    ) -> ir.Function:
        """out[i…] = body(in[i…]) over ``rank`` nested loops.

        Arguments after the pointers (outs, ins): ``rank`` sizes, then for each operand
        that is not fixed ``rank`` strides, then begin and end of the outermost loop.
        ``body(b, values, indices)`` gives the output elements.
        """
        operands = (*outs, *ins)
        loose = [i for i, o in enumerate(operands) if not o.fixed]

        def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
            sizes, rest = numbers[:rank], numbers[rank:]
            begin, end = rest[-2:]
            steps: dict[int, list[Any]] = {}
            for k, i in enumerate(loose):
                mine = rest[k * rank : (k + 1) * rank]
                if (inner := operands[i].inner) is not None:
                    mine = [*mine[:-1], I64(inner)]
                steps[i] = mine
            known = {
                i: load(b, pointers[i], o.dtype)
                for i, o in enumerate(operands)
                if o.fixed
            }

            def nest(axis: int, starts: list[Any], indices: list[Any]) -> None:
                innermost = axis == rank - 1
                group, mark = self.marks.new() if innermost else (None, None)
                start = begin if axis == 0 else I64(0)
                stop = end if axis == 0 else sizes[axis]
                early = dict(known)
                if innermost:  # what does not move with this loop is read before it
                    for i, o in enumerate(operands[len(outs) :], len(outs)):
                        if not o.fixed and o.inner == 0:
                            early[i] = load(b, starts[i], o.dtype)
                with for_loop(b, start, stop, f"i{axis}", mark=mark) as i:
                    inner = [
                        p
                        if o.fixed
                        else advance(b, p, o.dtype, times(b, i, steps[k][axis]))
                        for k, (p, o) in enumerate(zip(starts, operands))
                    ]
                    if not innermost:
                        nest(axis + 1, inner, [*indices, i])
                    else:
                        values = [
                            early[k]
                            if k in early
                            else grouped(b, inner[k], o.dtype, group)
                            for k, o in enumerate(operands)
                            if k >= len(outs)
                        ]
                        made = body(b, values, [*indices, i])
                        for value, p, o in zip(made, inner, outs):
                            store(b, value, p, o.dtype).set_metadata(
                                "llvm.access.group", group
                            )

            nest(0, pointers, [])

        count = rank * (1 + len(loose)) + 2
        full = ("map", key, rank, tuple(outs), tuple(ins))
        return self.once(full, label, len(operands), count, emit)

    def reduce(
        self, op: str, dtype: DType, kept: int, reduced: int, inner: int | None
    ) -> ir.Function:
        """out[i…] = Σ, Π or max over r… of x[i…, r…], in the order of r….

        A long inner sum runs on LANES accumulators, element j on lane j mod LANES,
        which a fixed tree combines. Of others ROWS run side by side, since one alone
        would wait for each of its additions. Arguments after (out, x): sizes of
        the kept and the reduced loops, strides of x for both, strides of out, begin,
        end.
        """
        rank = kept + reduced

        def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
            out, x = pointers
            sizes = numbers[:rank]
            x_steps = numbers[rank : 2 * rank]
            if inner is not None:
                x_steps = [*x_steps[:-1], I64(inner)]
            out_steps = numbers[2 * rank : 2 * rank + kept]
            begin, end = numbers[-2:]
            total = b.alloca(memory_type(dtype))

            def sum_up(px: Any, po: Any) -> None:
                initial = (
                    load(b, px, dtype) if op == "max" else number(dtype, _UNIT[op])
                )
                store(b, initial, total, dtype)
                self._accumulate(b, op, dtype, px, sizes[kept:], x_steps[kept:], total)
                store(b, load(b, total, dtype), po, dtype)

            def side_by_side(xs: list[Any], level: int, sums: list[Any]) -> list[Any]:
                """The sums of several lines after the loops from this one on."""
                if level == rank:
                    return [
                        combine(b, op, dtype, known, load(b, at, dtype))
                        for known, at in zip(sums, xs)
                    ]

                def step(i: Any, sums: list[Any]) -> list[Any]:
                    move = times(b, i, x_steps[level])
                    further = [advance(b, at, dtype, move) for at in xs]
                    return side_by_side(further, level + 1, sums)

                return running(b, sizes[level], f"r{level}", sums, step)

            def nest(axis: int, px: Any, po: Any) -> None:
                start = begin if axis == 0 else I64(0)
                stop = end if axis == 0 else sizes[axis]

                def line(i: Any) -> tuple[Any, Any]:
                    return (
                        advance(b, px, dtype, times(b, i, x_steps[axis])),
                        advance(b, po, dtype, times(b, i, out_steps[axis])),
                    )

                if axis < kept - 1:
                    with for_loop(b, start, stop, f"i{axis}") as i:
                        nest(axis + 1, *line(i))
                    return
                groups = b.sdiv(b.sub(stop, start), I64(ROWS))
                if op == "sum" and dtype.is_float:
                    long = b.icmp_signed(">=", sizes[-1], I64(LANES_FROM))
                    groups = b.select(long, I64(0), groups)
                with for_loop(b, I64(0), groups, "rows") as group:
                    first = b.add(start, b.mul(group, I64(ROWS)))
                    lines = [line(b.add(first, I64(i))) for i in range(ROWS)]
                    xs = [at for at, _ in lines]
                    begun = [
                        load(b, at, dtype) if op == "max" else number(dtype, _UNIT[op])
                        for at in xs
                    ]
                    made = side_by_side(xs, kept, begun)
                    for value, (_, at) in zip(made, lines):
                        store(b, value, at, dtype)
                first = b.add(start, b.mul(groups, I64(ROWS)))
                with for_loop(b, first, stop, f"i{axis}") as i:
                    sum_up(*line(i))

            nest(0, x, out)

        key = ("reduce", op, dtype, kept, reduced, inner)
        return self.once(key, f"reduce_{op}", 2, 2 * rank + kept + 2, emit)

    def _accumulate(
        self,
        b: ir.IRBuilder,
        op: str,
        dtype: DType,
        x: Any,
        sizes: list[Any],
        steps: list[Any],
        total: Any,
    ) -> None:
        """Add (or compare) the elements of some nested loops into ``total``."""
        *outer, last = range(len(sizes))

        def nest(axis: int, px: Any) -> None:
            if axis in outer:
                with for_loop(b, I64(0), sizes[axis], f"r{axis}") as i:
                    nest(axis + 1, advance(b, px, dtype, times(b, i, steps[axis])))
                return
            first = I64(0)
            if op == "sum" and dtype.is_float:
                first = self._lanes(b, dtype, px, sizes[last], steps[last], total)
            with for_loop(b, first, sizes[last], "r") as i:
                value = load(b, advance(b, px, dtype, times(b, i, steps[last])), dtype)
                known = load(b, total, dtype)
                store(b, combine(b, op, dtype, known, value), total, dtype)

        nest(0, x)

    def _lanes(
        self, b: ir.IRBuilder, dtype: DType, x: Any, size: Any, step: Any, total: Any
    ) -> Any:
        """Add whole groups of LANES elements; the index after them."""
        kind = ir.VectorType(memory_type(dtype), LANES)
        with b.goto_entry_block():
            view = b.alloca(kind)
            view.type = POINTER  # addressed by lane and as a whole
        long = b.icmp_signed(">=", size, I64(LANES_FROM))
        groups = b.select(long, b.sdiv(size, I64(LANES)), I64(0))
        b.store(ir.Constant(kind, None), view)
        with for_loop(b, I64(0), groups, "group") as i:
            at = advance(b, x, dtype, times(b, b.mul(i, I64(LANES)), step))
            if isinstance(step, ir.Constant) and step.constant == 1:
                more = b.load(at, typ=kind, align=dtype.itemsize)
                b.store(b.fadd(b.load(view, typ=kind), more), view)
            else:
                with for_loop(b, I64(0), I64(LANES), "lane") as lane:
                    value = load(b, advance(b, at, dtype, times(b, lane, step)), dtype)
                    mine = advance(b, view, dtype, lane)
                    store(b, b.fadd(load(b, mine, dtype), value), mine, dtype)
        with b.if_then(long):
            lane = tree(b, b.load(view, typ=kind))
            store(b, b.fadd(load(b, total, dtype), lane), total, dtype)
        return b.mul(groups, I64(LANES))

    def column_sums(self, op: str, dtype: DType) -> ir.Function:
        """out[c] = Σ, Π or max over r of x[r, c], r after r, for columns begin … end.

        Arguments after (out, x): rows, the stride of rows.
        """

        kind = memory_type(dtype)
        line = 64 // dtype.itemsize
        widths = [(count, line) for count in (8, 4, 2, 1)]
        widths += [(1, lanes) for lanes in (line // 2, line // 4, 1) if lanes]
        if dtype is DType.bool:  # a bit in registers, a byte in memory
            widths = widths[-1:]

        def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
            out, x = pointers
            rows, step, first, end = numbers

            def block(column: Any, vectors: int, lanes: int) -> None:
                """Some columns, whose sums stay in registers."""
                across = ir.VectorType(kind, lanes) if lanes > 1 else kind

                def places(line: Any) -> list[Any]:
                    offsets = [I64(i * lanes) for i in range(vectors)]
                    return [
                        advance(b, line, dtype, b.add(column, more)) for more in offsets
                    ]

                def read(line: Any) -> list[Any]:
                    if lanes == 1:
                        return [load(b, at, dtype) for at in places(line)]
                    align = dtype.itemsize
                    return [b.load(at, typ=across, align=align) for at in places(line)]

                def add(r: Any, sums: list[Any]) -> list[Any]:
                    more = read(advance(b, x, dtype, b.mul(r, step)))
                    pairs = zip(sums, more)
                    return [combine(b, op, dtype, known, one) for known, one in pairs]

                unit = [number(dtype, _UNIT.get(op, 0))] * lanes
                none = ir.Constant(across, unit) if lanes > 1 else unit[0]
                begun = read(x) if op == "max" else [none] * vectors
                for value, at in zip(running(b, rows, "r", begun, add), places(out)):
                    store(b, value, at, dtype)

            for vectors, lanes in widths:
                width = vectors * lanes
                count = b.sdiv(b.sub(end, first), I64(width))
                with for_loop(b, I64(0), count, f"c{width}") as c:
                    block(b.add(first, b.mul(c, I64(width))), vectors, lanes)
                first = b.add(first, b.mul(count, I64(width)))

        return self.once(("columns", op, dtype), f"columns_{op}", 2, 4, emit)


def tree(b: ir.IRBuilder, vector: Any) -> Any:
    """The sum of a vector of LANES elements: halves onto each other."""
    width = LANES
    while width > 1:
        width //= 2
        undef = ir.Constant(vector.type, ir.Undefined)
        kind = ir.VectorType(I32, width)
        low, high = (
            ir.Constant(kind, [I32(start + i) for i in range(width)])
            for start in (0, width)
        )
        vector = b.fadd(
            b.shuffle_vector(vector, undef, low), b.shuffle_vector(vector, undef, high)
        )
    return b.extract_element(vector, I32(0))


def combine(b: ir.IRBuilder, op: str, dtype: DType, known: Any, value: Any) -> Any:
    """One step of a reduction."""
    if op == "max":
        return larger(b, dtype, value, known)
    return combined(b, op, dtype, known, value)


def times(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    """x · y of two i64, without an instruction where that is known."""
    if isinstance(x, ir.Constant):
        x, y = y, x
    if not isinstance(y, ir.Constant):
        return b.mul(x, y)
    if isinstance(x, ir.Constant):
        return I64(x.constant * y.constant)
    return {0: y, 1: x}.get(y.constant) or b.mul(x, y)


def advance(b: ir.IRBuilder, pointer: Any, dtype: DType, index: Any) -> Any:
    """The address ``index`` elements after ``pointer``."""
    if isinstance(index, ir.Constant) and index.constant == 0:
        return pointer
    return b.gep(pointer, [index], source_etype=memory_type(dtype))


def grouped(b: ir.IRBuilder, pointer: Any, dtype: DType, group: Any) -> Any:
    """A load that belongs to a loop's access group."""
    value = load(b, pointer, dtype)
    made = value.operands[0] if dtype is DType.bool else value
    made.set_metadata("llvm.access.group", group)
    return value
