"""Tile kernels whose products do not go to memory: an elementwise body takes them.

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
from typing import Any

from llvmlite import ir

from chainrule.engines.native.matmul import Tile, TileKernel
from chainrule.engines.native.text import Value
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
    """What becomes of the elements of a product.

    Attributes:
        body: its first input is the product; the others follow, then its results.
        arrays: for each further input whether it is an array, else a single number.
        folds: for each result whether it is added up, else stored.
    """

    body: Graph
    arrays: tuple[bool, ...]
    folds: tuple[bool, ...]

    @property
    def key(self) -> Any:
        """What two that do the same have in common."""
        return fingerprint(self.body), self.arrays, self.folds

    @property
    def pointers(self) -> list[str]:
        """The kernel's pointers for it: further inputs, then results."""
        inputs = [f"I{i}" for i in range(len(self.arrays))]
        return inputs + [f"O{i}" for i in range(len(self.folds))]


def is_vectorised(body: Graph) -> bool:
    """Whether an epilogue can do what a body does."""
    dtypes = {v.dtype for v in body.values()}
    return len(dtypes) == 1 and all(
        node.primitive in VECTOR or _is_scalar(node.primitive) for node in body.nodes
    )


def _is_scalar(primitive: Primitive) -> bool:
    return primitive in (broadcast_to, creation.constant)


class EpilogueKernel(TileKernel):
    """Rows and columns of a product, passed on to an epilogue.

    C is memory for one tile. Two variables describe the one that waits there: its first
    element's place in the result, and how many rows it has.

    Args:
        module, name, dtype, tile, sizes: as for :class:`TileKernel`.
        epilogue: what becomes of them.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        dtype: str,
        tile: Tile,
        sizes: Mapping[str, int | None],
        epilogue: Epilogue,
    ) -> None:
        self.epilogue = epilogue
        super().__init__(module, name, dtype, tile, sizes, further=epilogue.pointers)
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
        self._place, self._rows = (self.code.new("alloca i64") for _ in range(2))
        self.code.line(f"store i64 0, ptr {self._rows}")
        self.code.line(f"store i64 0, ptr {self._place}")
        self._scalars = {
            i: self._spread(self._number(f"%I{i}"), self.element)
            for i, array in enumerate(epilogue.arrays)
            if not array
        }
        self._vectors = 0
        width = sizes["n"]
        assert width is not None
        self._width = width  # a power of two

    def _number(self, pointer: Value) -> Value:
        text = f"load {self.element}, ptr {pointer}, align {self.bytes}"
        return self.code.new(text)

    def _tile(self, tile: Tile, mask: Value | None, j: Value, i: Value) -> None:
        """One tile, with what is left of the one before it."""
        assert mask is None  # blocks are whole vectors wide
        code, across = self.code, tile.vectors
        self._vectors = across
        a, b = self._starts(i, j)
        step = self._step(tile, [None] * across, i)
        place, rows = self._waiting()
        # Vectors of the epilogue come as far apart as k has room for them all.
        vectors = code.new(f"mul i64 {rows}, {across}")
        some = code.new(f"call i64 @llvm.umax.i64(i64 {vectors}, i64 1)")
        apart = code.new(f"udiv i64 {self.k}, {some}")
        apart = code.new(f"call i64 @llvm.umax.i64(i64 {apart}, i64 1)")
        each = code.new(f"mul i64 {apart}, {across}")
        many = code.new(f"udiv i64 {self.k}, {each}")
        beside = code.new(f"call i64 @llvm.umin.i64(i64 {many}, i64 {rows})")
        sums = ["zeroinitializer"] * (tile.rows * across)
        carried = [("ptr", a), ("ptr", b), *((self.vector, s) for s in sums)]
        kinds = [kind for kind, _ in carried]
        totals = self._totals(place)
        more = [(self.vector, total) for total in totals]

        def both(r: Value, *now: Value) -> list[Value]:
            """A row of the epilogue, a vector after some k each."""
            held, totals = list(now[: len(carried)]), list(now[len(carried) :])
            for v in range(across):
                held = code.loop(0, apart, 1, step, *zip(kinds, held))[1:]
                self._vector(place, r, v, totals)
            return [*held, *totals]

        after = code.loop(0, beside, 1, both, *carried, *more)[1:]
        totals = after[len(carried) :]
        done = code.new(f"mul i64 {beside}, {each}")
        made = self._steps(tile, step, list(zip(kinds, after)), done)[2:]
        self._remaining(place, beside, rows, totals)
        for n, value in enumerate(made):
            self._store(value, self._at("%C", n * tile.lanes), None)
        first = self._times(i, self.c_m)
        code.line(f"store i64 {code.new(f'add i64 {first}, {j}')}, ptr {self._place}")
        code.line(f"store i64 {tile.rows}, ptr {self._rows}")

    def _finish(self) -> None:
        """The epilogue of the last tile."""
        place, rows = self._waiting()
        self._remaining(place, "0", rows, self._totals(place))

    def _waiting(self) -> tuple[Value, Value]:
        """The place and the rows of the tile that waits."""
        return (
            self.code.new(f"load i64, ptr {self._place}"),
            self.code.new(f"load i64, ptr {self._rows}"),
        )

    def _totals(self, place: Value) -> list[Value]:
        """The accumulators of the columns of the tile that waits, fold by fold."""
        return [self._load(at, None) for at in self._accumulators(place)]

    def _accumulators(self, place: Value) -> list[Value]:
        column = self.code.new(f"and i64 {place}, {self._width - 1}")
        return [
            self._at(f"%O{i}", column, v * self.tile.lanes)
            for i, added in enumerate(self.epilogue.folds)
            if added
            for v in range(self._vectors)
        ]

    def _remaining(
        self, place: Value, first: Value, rows: Value, totals: list[Value]
    ) -> None:
        """The rows of the epilogue from this one on; the accumulators are put back."""

        def row(r: Value, *now: Value) -> list[Value]:
            totals = list(now)
            for v in range(self._vectors):
                self._vector(place, r, v, totals)
            return totals

        carried = [(self.vector, total) for total in totals]
        made = self.code.loop(first, rows, 1, row, *carried)[1:]
        for at, total in zip(self._accumulators(place), made):
            self._store(total, at, None)

    def _vector(self, place: Value, r: Value, v: int, totals: list[Value]) -> None:
        """The epilogue of vector ``v`` of row ``r`` of the tile that waits."""
        code, lanes, e = self.code, self.tile.lanes, self.epilogue
        spot = code.new(f"mul i64 {r}, {self._vectors * lanes}")
        product = self._load(self._at("%C", spot, v * lanes), None)
        move = self._times(r, self.c_m)
        at = code.new(f"add i64 {place}, {move}")
        known: dict[Any, Value] = {e.body.inputs[0]: product}
        for i, value in enumerate(e.body.inputs[1:]):
            if e.arrays[i]:
                known[value] = self._load(self._at(f"%I{i}", at, v * lanes), None)
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
        fold = 0
        for i, value in enumerate(e.body.outputs):
            made = known[value]
            if not e.folds[i]:
                self._store(made, self._at(f"%O{i}", at, v * lanes), None)
                continue
            mine = fold * self._vectors + v
            text = f"fadd {self.vector} {totals[mine]}, {made}"
            totals[mine] = code.new(text)
            fold += 1

    def _constant(self, number: float) -> Value:
        kind = ir.FloatType() if self.element == "float" else ir.DoubleType()
        one = str(ir.Constant(kind, float(number)))  # with its type
        return f"<{', '.join([one] * self.tile.lanes)}>"


def emit_epilogue(
    module: ir.Module,
    dtype: str,
    tile: Tile,
    sizes: Mapping[str, int | None],
    epilogue: Epilogue,
) -> ir.Function:
    """Emit the kernel of a product with an epilogue: see :class:`EpilogueKernel`.

    Its arguments are those of :func:`emit_matmul`, with the epilogue's pointers after
    C. The tile is a row lower than a product's alone, which leaves registers.

    Args:
        module: where the function goes.
        dtype: of all that it works on.
        tile: see :func:`choose_tile`.
        sizes: n, k, a_m, a_k, b_k, c_m; n and c_m are known.
        epilogue: what becomes of the product.
    """
    tile = replace(tile, rows=max(tile.rows - 1, 1))
    return EpilogueKernel(module, "epilogue", dtype, tile, sizes, epilogue).emit()
