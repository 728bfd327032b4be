"""Kernels: generated LLVM functions that loop over array elements.

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

from chainrule.engines.native.math.scalar import (
    I1,
    I32,
    I64,
    POINTER,
    combined,
    larger,
    load,
    memory_type,
    store,
)
from chainrule.engines.native.runtime.jit import Kernel, pack_of
from chainrule.graph.types import DType

#: The names of the kernels that this process has, by what they were asked for with.
_known: dict[Any, str] = {}

#: Elements that lie apart and are gathered before a loop goes over them.
PIECE = 64

Body = Callable[[ir.IRBuilder, list[Any], list[Any]], list[Any]]


@dataclass(frozen=True)
class Operand:
    """The properties of a kernel's operand on which the generated code depends.

    Attributes:
        dtype: the element type.
        inner: its stride in the innermost loop if that is one of ``STEPS``, else None.
        fixed: whether it is a single element, read once.
    """

    dtype: DType
    inner: int | None
    fixed: bool = False


@contextmanager
def for_loop(
    b: ir.IRBuilder, start: Any, stop: Any, name: str, *, mark: Any = None
) -> Generator[ir.PhiInstr]:
    """Emit an LLVM loop ``for i in range(start, stop)`` around a block."""
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


@contextmanager
def in_pieces(
    b: ir.IRBuilder, start: Any, stop: Any, size: int, name: str
) -> Generator[tuple[Any, Any]]:
    """Emit an LLVM loop over a range in steps: the first of each, and how many."""
    step = I64(size)
    count = b.sdiv(b.add(b.sub(stop, start), I64(size - 1)), step)
    with for_loop(b, I64(0), count, name) as i:
        first = b.add(start, b.mul(i, step))
        left = b.sub(stop, first)
        yield first, b.select(b.icmp_signed("<", left, step), left, step)


def running(
    b: ir.IRBuilder,
    stop: Any,
    name: str,
    values: Sequence[Any],
    step: Callable[[Any, list[Any]], list[Any]],
) -> list[Any]:
    """Emit an LLVM loop that updates values in registers; return the last values.

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
    """LLVM metadata that marks the iterations of generated loops as independent.

    Without it the vectoriser would check at run time whether operands overlap, and give
    up where a result is written over its operand. llvmlite has no ``distinct`` nodes,
    so :func:`finish` puts them into the text.

    Attributes:
        module: where they go: that of the kernel which is being emitted.
    """

    def __init__(self) -> None:
        self.begin(ir.Module())

    def begin(self, module: ir.Module) -> None:
        """Start new loop metadata for a new LLVM module."""
        self.module, self.count = module, 0

    def new(self, *, short: bool = False) -> tuple[Any, Any]:
        """Return new LLVM metadata (access group, loop) for one vectorisable loop.

        ``short``: what is left over at its end shall be a vector too, under a mask.
        """
        m, self.count = self.module, self.count + 1
        group = m.add_metadata([ir.MetaDataString(m, f"distinct-{self.count}")])
        name = ir.MetaDataString(m, "llvm.loop.parallel_accesses")
        access = m.add_metadata([name, group])
        unique = ir.MetaDataString(m, f"loop-{self.count}")
        marks = [access]
        if short:
            masked = ir.MetaDataString(m, "llvm.loop.vectorize.predicate.enable")
            marks.append(m.add_metadata([masked, I1(1)]))
        return group, m.add_metadata([unique, *marks])


def finish(module: ir.Module) -> str:
    """Return an LLVM module's text with each loop's metadata made ``distinct``."""
    text = re.sub(r'!\{ !"distinct-\d+" \}', "distinct !{}", str(module))
    return re.sub(
        r'^(!\d+) = !\{ !"loop-\d+", ', r"\1 = distinct !{ \1, ", text, flags=re.M
    )


def remember(kernels: Mapping[Any, Kernel]) -> None:
    """Register compiled kernels in this process, for other entry points to call."""
    for key in [key for key, name in _known.items() if pack_of(name) is None]:
        del _known[key]
    for key, kernel in kernels.items():
        _known.setdefault(key, kernel.name)


class Kernels:
    """The kernels that an entry point calls: known ones, and newly generated ones.

    Attributes:
        module: calls them.
        new: new ones, by key.
        called: the names of all of them.
    """

    def __init__(self, module: ir.Module) -> None:
        self.module = module
        self.marks = Marks()
        self.new: dict[Any, Kernel] = {}
        self.called: dict[str, None] = {}

    def function(
        self,
        key: Any,
        kind: Any,
        emit: Callable[[ir.Module], ir.Function],
        *,
        passes: bool = False,
    ) -> ir.Function:
        """Return a kernel as an LLVM function to call; generate it if it is new.

        Args:
            key: tells apart whatever changes the code.
            kind: the function's type.
            emit: emits it into a module of its own.
            passes: whether LLVM's passes would make it better.
        """
        name = _known.get(key)
        if name is None or pack_of(name) is None:
            if key not in self.new:
                module = ir.Module()
                self.marks.begin(module)
                label = emit(module).name
                text = finish(module) if self.marks.count else str(module)
                self.new[key] = Kernel.of(label, text, passes=passes)
            name = self.new[key].name
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
        *,
        passes: bool = True,
    ) -> ir.Function:
        """Return a kernel of pointers and integers; generate it with ``emit`` if new.

        ``passes``: see :meth:`function`; what is written in vectors and keeps its
        values out of memory needs none.
        """
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

        return self.function(key, kind, define, passes=passes)

    def map(
        self,
        key: Any,
        label: str,
        rank: int,
        outs: Sequence[Operand],
        ins: Sequence[Operand],
        body: Body,
    ) -> ir.Function:
        """Return the elementwise kernel out[i…] = body(in[i…]) over nested loops.

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

            apart: dict[int, Any] = {
                i: b.alloca(ir.ArrayType(memory_type(o.dtype), PIECE))
                for i, o in enumerate(operands)
                if i >= len(outs) and o.inner == 2
            }
            for room in apart.values():
                room.align, room.type = 64, POINTER

            def moved(starts: list[Any], axis: int, i: Any) -> list[Any]:
                return [
                    p
                    if o.fixed
                    else advance(b, p, o.dtype, times(b, i, steps[k][axis]))
                    for k, (p, o) in enumerate(zip(starts, operands))
                ]

            def nest(axis: int, starts: list[Any], indices: list[Any]) -> None:
                start = begin if axis == 0 else I64(0)
                stop = end if axis == 0 else sizes[axis]
                if axis < rank - 1:
                    with for_loop(b, start, stop, f"i{axis}") as i:
                        nest(axis + 1, moved(starts, axis, i), [*indices, i])
                elif not apart:
                    line(starts, start, stop, indices, I64(0))
                else:
                    with in_pieces(b, start, stop, PIECE, "piece") as (first, count):
                        here = moved(starts, axis, first)
                        for i, room in apart.items():
                            _every_second(b, operands[i].dtype, room, here[i], count)
                        line(here, I64(0), count, indices, first)

            def line(
                starts: list[Any], start: Any, stop: Any, indices: list[Any], first: Any
            ) -> None:
                """Emit the innermost loop, whose iterations become vectors."""
                group, mark = self.marks.new()
                early = dict(known)  # what does not move with this loop
                for i, o in enumerate(operands[len(outs) :], len(outs)):
                    if not o.fixed and o.inner == 0:
                        early[i] = load(b, starts[i], o.dtype)
                with for_loop(b, start, stop, f"i{rank - 1}", mark=mark) as i:
                    inner = moved(starts, rank - 1, i)
                    for k, room in apart.items():
                        inner[k] = advance(b, room, operands[k].dtype, i)
                    values = [
                        early[k] if k in early else grouped(b, inner[k], o.dtype, group)
                        for k, o in enumerate(operands)
                        if k >= len(outs)
                    ]
                    at = i if not apart else b.add(first, i)
                    results = body(b, values, [*indices, at])
                    for value, p, o in zip(results, inner, outs):
                        store(b, value, p, o.dtype).set_metadata(
                            "llvm.access.group", group
                        )

            nest(0, pointers, [])

        count = rank * (1 + len(loose)) + 2
        full = ("map", key, rank, tuple(outs), tuple(ins))
        return self.once(full, label, len(operands), count, emit)


def _every_second(
    b: ir.IRBuilder, dtype: DType, room: Any, start: Any, count: Any
) -> None:
    """Emit code that gathers every second element into memory, by whole vectors.

    The second of two vectors begins with the first one's last element: so nothing is
    read behind the last element that is wanted.
    """
    lanes = 16
    kind, align = ir.VectorType(memory_type(dtype), lanes), dtype.itemsize
    places = [2 * i if 2 * i < lanes else 2 * i + 1 for i in range(lanes)]
    mask = ir.Constant(ir.VectorType(I32, lanes), [I32(i) for i in places])
    groups = b.sdiv(count, I64(lanes))
    with for_loop(b, I64(0), groups, "pair") as g:
        at = advance(b, start, dtype, b.mul(g, I64(2 * lanes)))
        first, second = (
            b.load(advance(b, at, dtype, I64(i)), typ=kind, align=align)
            for i in (0, lanes - 1)
        )
        to = advance(b, room, dtype, b.mul(g, I64(lanes)))
        b.store(b.shuffle_vector(first, second, mask), to, align=align)
    with for_loop(b, b.mul(groups, I64(lanes)), count, "single") as i:
        at = advance(b, start, dtype, b.mul(i, I64(2)))
        value = b.load(at, typ=memory_type(dtype), align=align)
        b.store(value, advance(b, room, dtype, i), align=align)


def combine(b: ir.IRBuilder, op: str, dtype: DType, known: Any, value: Any) -> Any:
    """Emit code for one step of a reduction: combine the result with an element."""
    if op == "max":
        return larger(b, dtype, value, known)
    return combined(b, op, dtype, known, value)


def times(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    """Emit code for the product of two i64; constants are multiplied at once."""
    if isinstance(x, ir.Constant):
        x, y = y, x
    if not isinstance(y, ir.Constant):
        return b.mul(x, y)
    if isinstance(x, ir.Constant):
        return I64(x.constant * y.constant)
    return {0: y, 1: x}.get(y.constant) or b.mul(x, y)


def advance(b: ir.IRBuilder, pointer: Any, dtype: DType, index: Any) -> Any:
    """Emit code for the address ``index`` elements after a pointer."""
    if isinstance(index, ir.Constant) and index.constant == 0:
        return pointer
    return b.gep(pointer, [index], source_etype=memory_type(dtype))


def grouped(b: ir.IRBuilder, pointer: Any, dtype: DType, group: Any) -> Any:
    """Emit a load, marked (by LLVM metadata) as independent of other iterations."""
    value = load(b, pointer, dtype)
    instruction = value.operands[0] if dtype is DType.bool else value
    instruction.set_metadata("llvm.access.group", group)
    return value
