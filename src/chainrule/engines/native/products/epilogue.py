"""LLVM tile kernels that apply an elementwise function to a matrix product at once.

So a weight's gradient meets the weight and its moments where it is made, and nobody
else sees it:

    for tile of C:
        for k:                      C's tile, in registers, by fmas
            now and then a vector   the tile before this one: read its sums, W and its
            of the epilogue         moments, write new ones

The quotient and the root of an optimiser keep the divider busy and nothing else, and
fmas everything but the divider. One after the other they would take their sum; side by
side one hides behind the other. Results are those of a product and a loop after it, bit
for bit.

Operands lie in blocks like the result: rows of ``c_m`` elements, of which a tile takes
some. Folds add up on an accumulator for each column of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.llvm_text import Text, Value
from chainrule.engines.native.products.matmul import Edge, Tile, TileKernel
from chainrule.engines.schedule.maps import fingerprint
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import Primitive
from chainrule.primitives import creation, elementwise
from chainrule.primitives.movement import broadcast_to

Instruction = Callable[..., str]


def _intrinsic(name: str) -> Instruction:
    def emit(kind: str, suffix: str, *x: Value) -> str:
        return f"call {kind} @llvm.{name}.{suffix}({kind} {x[0]})"

    return emit


def _operation(name: str) -> Instruction:
    def emit(kind: str, suffix: str, *x: Value) -> str:
        return f"{name} {kind} {', '.join(x)}"

    return emit


#: What can be done to whole vectors of floats: (type, suffix, operands…) → LLVM.
VECTOR: dict[Primitive, Instruction] = {
    elementwise.add: _operation("fadd"),
    elementwise.sub: _operation("fsub"),
    elementwise.mul: _operation("fmul"),
    elementwise.div: _operation("fdiv"),
    elementwise.neg: _operation("fneg"),
    elementwise.sqrt: _intrinsic("sqrt"),
    elementwise.abs_: _intrinsic("fabs"),
}


@dataclass(frozen=True)
class Epilogue:
    """An elementwise function that a kernel applies to a matrix product's elements.

    Attributes:
        body: its first input is the product; the others follow, then its results.
        arrays: for each further input whether it is an array, else a single number.
        summed: for each result whether it is added up, else stored.
    """

    body: Graph
    arrays: tuple[bool, ...]
    summed: tuple[bool, ...]

    @property
    def key(self) -> Any:
        """The cache key of an epilogue, equal for epilogues that compute the same."""
        return fingerprint(self.body), self.arrays, self.summed

    @property
    def pointers(self) -> list[str]:
        """The names of an epilogue kernel's further arguments: inputs, then results."""
        inputs = [f"I{i}" for i in range(len(self.arrays))]
        return inputs + [f"O{i}" for i in range(len(self.summed))]


def is_vectorised(body: Graph) -> bool:
    """Return whether an elementwise body can be fused into a product, on vectors."""
    dtypes = {v.dtype for v in body.values()}
    return len(dtypes) == 1 and all(
        node.primitive in VECTOR or _is_scalar(node.primitive) for node in body.nodes
    )


def _is_scalar(primitive: Primitive) -> bool:
    return primitive in (broadcast_to, creation.constant)


class EpilogueKernel(TileKernel):
    """The generator of a matrix product's tile kernel with a fused epilogue.

    C is memory for one tile. Two variables describe the one that waits there: its first
    element's place in the result, and how many vectors it has.

    Args:
        module, name, dtype, tile: as for :class:`TileKernel`.
        width: the columns of C, a power of two: whole vectors.
        strides: a_m and a_k, where they are known.
        epilogue: what becomes of them.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        dtype: str,
        tile: Tile,
        width: int,
        strides: Mapping[str, int | None],
        epilogue: Epilogue,
    ) -> None:
        self.epilogue = epilogue
        edge, further = Edge.of(width, tile), epilogue.pointers
        sizes = {"k": None, **strides, "b_k": None, "c_m": width}
        super().__init__(module, name, dtype, tile, edge, sizes, further=further)
        vector = ir.VectorType(
            ir.FloatType() if dtype == "float32" else ir.DoubleType(), tile.lanes
        )
        count = ir.IntType(64)
        for full, kind, operands in (
            (f"llvm.sqrt.{self.suffix}", vector, 1),
            (f"llvm.fabs.{self.suffix}", vector, 1),
            ("llvm.umax.i64", count, 2),
            ("llvm.umin.i64", count, 2),
        ):
            if full not in module.globals:
                ir.Function(module, ir.FunctionType(kind, [kind] * operands), full)
        self._place, self._count = (self.code.new("alloca i64") for __ in range(2))
        self.code.line(f"store i64 0, ptr {self._count}")
        self.code.line(f"store i64 0, ptr {self._place}")
        self._width = width
        self._across = min(tile.columns, width) // tile.lanes
        self._scalars = self._spread_scalars()
        self._rest = self._emit_rest(module, f"{name}.rest")

    def _spread_scalars(self) -> dict[int, Value]:
        """Emit an epilogue's scalar inputs, each repeated in all lanes of a vector."""
        return {
            i: self._spread(self._number(f"%I{i}"), self.element)
            for i, array in enumerate(self.epilogue.arrays)
            if not array
        }

    def _number(self, pointer: Value) -> Value:
        text = f"load {self.element}, ptr {pointer}, align {self.bytes}"
        return self.code.new(text)

    def _emit_rest(self, module: ir.Module, name: str) -> ir.Function:
        """Emit the LLVM function that applies the epilogue to a finished tile.

        Its arguments: C, the epilogue's pointers, the place, the first vector and how
        many there are.
        """
        names = ["C", *self.epilogue.pointers]
        kinds = [ir.PointerType()] * len(names) + [ir.IntType(64)] * 3
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        function.linkage = "internal"
        for attribute in ("nounwind", "noinline"):
            function.attributes.add(attribute)
        for argument, its in zip(function.args, [*names, "place", "first", "count"]):
            argument.name = its
        outside = self.code, self._scalars
        self.code = Text()
        self._scalars = self._spread_scalars()
        self.code.loop("%first", "%count", 1, partial(self._vector, "%place"))
        self.code.line("ret void")
        self.code.finish(function)
        self.code, self._scalars = outside
        return function

    def _tile(self, tile: Tile, mask: Value | None, j: Value, i: Value) -> None:
        """Emit code for one product tile, and for the epilogue of the tile before."""
        assert mask is None  # blocks are whole vectors wide
        code, across = self.code, tile.vectors
        a, b = self._starts(i, j)
        step = self._step(tile, [None] * across, i)
        place, count = self._waiting()
        sums = ["zeroinitializer"] * (tile.rows * across)
        carried = [("ptr", a), ("ptr", b), *((self.vector, s) for s in sums)]
        kinds = [kind for kind, __ in carried]
        beside, done = "0", "0"
        if tile.rows >= self.tile.rows:  # fewer hide nothing
            # Vectors of the epilogue come as far apart as k has room for them all.
            some = code.new(f"call i64 @llvm.umax.i64(i64 {count}, i64 1)")
            apart = code.new(f"udiv i64 {self.k}, {some}")
            apart = code.new(f"call i64 @llvm.umax.i64(i64 {apart}, i64 1)")
            many = code.new(f"udiv i64 {self.k}, {apart}")
            beside = code.new(f"call i64 @llvm.umin.i64(i64 {many}, i64 {count})")

            def both(n: Value, *carried_values: Value) -> list[Value]:
                """Emit some steps of a product tile, and one vector of the epilogue."""
                after = code.loop(0, apart, 1, step, *zip(kinds, carried_values))[1:]
                self._vector(place, n)
                return after

            carried = list(zip(kinds, code.loop(0, beside, 1, both, *carried)[1:]))
            done = code.new(f"mul i64 {beside}, {apart}")
        accumulators = self._steps(tile, step, carried, done)[2:]
        self._remaining(place, beside, count)
        for n, value in enumerate(accumulators):
            self._store(value, self._at("%C", n * tile.lanes), None)
        first = self._times(i, self.c_m)
        code.line(f"store i64 {code.new(f'add i64 {first}, {j}')}, ptr {self._place}")
        code.line(f"store i64 {tile.rows * across}, ptr {self._count}")

    def _finish(self) -> None:
        """Emit the epilogue of a matrix product's last tile."""
        place, count = self._waiting()
        self._remaining(place, "0", count)

    def _waiting(self) -> tuple[Value, Value]:
        """Emit code that loads the finished tile's position and number of vectors."""
        return (
            self.code.new(f"load i64, ptr {self._place}"),
            self.code.new(f"load i64, ptr {self._count}"),
        )

    def _remaining(self, place: Value, first: Value, count: Value) -> None:
        """Emit the epilogue of a tile's remaining vectors, from ``first`` on."""
        parameters = [f"ptr %{name}" for name in ("C", *self.epilogue.pointers)]
        parameters += [f"i64 {number}" for number in (place, first, count)]
        text = f'call void @"{self._rest.name}"({", ".join(parameters)})'
        left = self.code.new(f"icmp slt i64 {first}, {count}")
        once = self.code.new(f"zext i1 {left} to i64")

        def call(__: Value) -> None:
            self.code.line(text)

        self.code.loop(0, once, 1, call)

    def _vector(self, place: Value, n: Value) -> None:
        """Emit the epilogue of one vector of the finished product tile."""
        code, e = self.code, self.epilogue
        spot = code.new(f"mul i64 {n}, {self.tile.lanes}")
        away = spot
        if self.c_m != self._across * self.tile.lanes:  # a block is wider than a tile
            row = code.new(f"udiv i64 {n}, {self._across}")
            column = code.new(f"urem i64 {n}, {self._across}")
            away = code.new(f"mul i64 {column}, {self.tile.lanes}")
            away = code.new(f"add i64 {away}, {self._times(row, self.c_m)}")
        at = code.new(f"add i64 {place}, {away}")
        known: dict[Any, Value] = {
            e.body.inputs[0]: self._load(self._at("%C", spot), None)
        }
        for i, value in enumerate(e.body.inputs[1:]):
            if e.arrays[i]:
                known[value] = self._load(self._at(f"%I{i}", at), None)
            else:
                known[value] = self._scalars[i]
        for node in e.body.nodes:
            (out,) = node.outputs
            assert out is not None
            if node.primitive is broadcast_to:
                known[out] = known[node.inputs[0]]
            elif node.primitive is creation.constant:
                known[out] = self._constant(node.attrs["value"][0])
            else:
                operands = [known[x] for x in node.inputs]
                emit = VECTOR[node.primitive]
                known[out] = code.new(emit(self.vector, self.suffix, *operands))
        column = code.new(f"and i64 {at}, {self._width - 1}")
        for i, value in enumerate(e.body.outputs):
            result, where = (
                known[value],
                self._at(f"%O{i}", column if e.summed[i] else at),
            )
            if e.summed[i]:
                total = self._load(where, None)
                result = code.new(f"fadd {self.vector} {total}, {result}")
            self._store(result, where, None)

    def _constant(self, number: float) -> Value:
        kind = ir.FloatType() if self.element == "float" else ir.DoubleType()
        one = str(ir.Constant(kind, float(number)))  # with its type
        return f"<{', '.join([one] * self.tile.lanes)}>"


def emit_epilogue(
    module: ir.Module,
    dtype: str,
    tile: Tile,
    width: int,
    strides: Mapping[str, int | None],
    epilogue: Epilogue,
) -> ir.Function:
    """Emit the LLVM kernel of a matrix product with a fused elementwise epilogue.

    Its arguments are those of :func:`emit_matmul`, with the epilogue's pointers after
    C. The tile is a row lower than a product's alone, which leaves registers.

    Args:
        module: where the function goes.
        dtype: of all that it works on.
        tile: see :func:`choose_tile`.
        width: the columns of C, and its rows are as far apart.
        strides: a_m and a_k, where they are known.
        epilogue: what becomes of the product.
    """
    tile = replace(tile, rows=max(tile.rows - 1, 1))
    kernel = EpilogueKernel(module, "epilogue", dtype, tile, width, strides, epilogue)
    return kernel.emit()
