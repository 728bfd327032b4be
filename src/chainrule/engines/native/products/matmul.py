r"""Code generation for the matrix product's tile kernel, which works in registers.

:func:`emit_matmul` writes one LLVM function for C = A B, or C = C + A B:

    C[m, n]  =  Σₖ A[m, k] · B[k, n]

**The order of the sum is part of the result.** Every element of C is the chain

    c = fma(A[m, k], B[k, n], c)    for k = 0, 1, …, K−1 in this order,

from c = 0; what C held is added to its end. An fma rounds once, and no chain is ever
cut, so the bits of C depend on nothing else: not on the shape of the tiles, not on how
rows and columns were divided among threads, not on which of the edge cases below an
element fell into. Speed has to come from somewhere else.

**It comes from many chains at once.** One chain alone waits for each fma to finish
(four cycles) before it may start the next. A *register tile* runs ``rows × vectors``
chains of ``lanes`` elements side by side, and keeps all of them in registers while
k runs. Here ``Tile(rows=6, vectors=4, lanes=16)``, for 32 registers of 512 bits:

                        n ──▶   one step of k loads 4 vectors of B …
                    ┌────────┬────────┬────────┬────────┐
             B[k,:] │  b0    │  b1    │  b2    │  b3    │
                    └────────┴────────┴────────┴────────┘
        m   A[:,k]   16 lanes
        │    ┌──┐   ┌────────┬────────┬────────┬────────┐
        │    │a0│   │ c00    │ c01    │ c02    │ c03    │  … and 6 numbers of A, each
        ▼    │a1│   │ c10    │ c11    │ c12    │ c13    │  spread over all lanes of one
             │a2│   │ c20    │ c21    │ c22    │ c23    │  register, for 24 fmas:
             │a3│   │ c30    │ c31    │ c32    │ c33    │
             │a4│   │ c40    │ c41    │ c42    │ c43    │      c_rv += a_r · b_v
             │a5│   │ c50    │ c51    │ c52    │ c53    │
             └──┘   └────────┴────────┴────────┴────────┘
                     24 accumulators + 4 of B + 1 of A = 29 of 32 registers

That is 10 loads for 24 fmas, which the load units keep up with. A taller tile would
spill accumulators to memory; a smaller one would load more often than it computes.

**Loops.** Tiles go down the rows within a panel of ``tile.columns`` columns, and
panels go from left to right, so that the K × columns panel of B is read again and
again while it is in the cache:

    for panel of columns:            B's panel stays in the L2 cache
        for tile of rows:            A's rows stay in the L1 cache
            for k:                   the accumulators stay in registers

**Edges.** Rows left over at the bottom go to shorter tiles (for six: 2, 1).
Columns left over at the right go to narrower ones, made taller in exchange, and
the last vector is masked: lanes beyond the edge are neither read nor written.
How many vectors are left over, and whether the last has a mask, is part of the code
(:class:`Edge`); how many columns that are is not.

**Windows.** With a ``table`` row m of A starts ``table[m]`` elements after A instead of
``m · a_m``: the places of a window that slides over an image. ``outer`` contraction
loops, as over the taps of the window, run around the one over k.

**Memory.** A may have any strides, so a transposed A costs nothing; rows of B and C
are contiguous. Sizes and strides count elements, and come at run time, so that all
products of a kind share one kernel: LLVM takes 20 ms for each. Folded into the code,
they would make it no faster. Nothing is packed or copied: where B is large and read
often, keep it in panels, that is as ``[panels][K][tile.columns]``, and call the kernel
once a panel. A sum of many terms is one of chains, each a block of k: call an
``accumulate`` kernel once a block.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

from llvmlite import ir

from chainrule.engines.native.emit.llvm_text import Index, Text, Value
from chainrule.engines.native.target import Target
from chainrule.errors import DTypeError
from chainrule.text import _

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
_POINTER = ir.PointerType()
_ELEMENTS = {  # bytes, LLVM's type, and its name within intrinsics
    "float32": (4, ir.FloatType(), "f32"),
    "float64": (8, ir.DoubleType(), "f64"),
}
_CACHE_LINE = 64
_MAX_ROWS = 16


@dataclass(frozen=True)
class Tile:
    """A register tile: the block of a matrix product that fits the vector registers.

    Args:
        rows: rows of C.
        vectors: vectors across.
        lanes: elements in one vector.
        steps: of k in a round of the loop; its additions and its branch take turns that
            fmas would have.
    """

    rows: int
    vectors: int
    lanes: int
    steps: int = 1

    @property
    def columns(self) -> int:
        """The number of columns of a matrix product's register tile."""
        return self.vectors * self.lanes

    def halved(self) -> "Tile":
        """Return a matrix product's tile of half as many lanes."""
        return replace(self, lanes=self.lanes // 2)

    def narrowed(self, vectors: int) -> "Tile":
        """Return a matrix product's tile with fewer vectors and more rows."""
        if vectors == self.vectors:
            return self
        rows = max(self.rows, min(_MAX_ROWS, self.rows * self.vectors // vectors))
        return replace(self, rows=rows, vectors=vectors)

    def heights(self) -> list[int]:
        """Return the tile heights for a product's leftover rows: a third each, to 1.

        >>> Tile(rows=6, vectors=4, lanes=16).heights()
        [6, 2, 1]
        """
        heights = [self.rows]
        while heights[-1] > 1:
            heights.append(max(heights[-1] // 3, 1))
        return heights


class Edge(NamedTuple):
    """The columns of a product that its code has tiles for.

    Args:
        whole: whether there are panels of ``tile.columns`` columns.
        vectors: vectors of the panel that is left over.
        masked: whether the last of them is one of fewer lanes.
        halved: whether vectors have half the lanes, as half a vector holds a row.
    """

    whole: bool
    vectors: int
    masked: bool
    halved: bool

    @classmethod
    def of(cls, n: int, tile: Tile) -> "Edge":
        """Return the edge of products with n columns.

        >>> Edge.of(100, Tile(rows=6, vectors=4, lanes=16))
        Edge(whole=True, vectors=3, masked=True, halved=False)
        """
        halved = 2 * n <= tile.lanes
        if halved:
            tile = tile.halved()
        left = n % tile.columns
        vectors = -(-left // tile.lanes)
        return cls(n >= tile.columns, vectors, left % tile.lanes > 0, halved)


def choose_tile(dtype: str, target: Target) -> Tile:
    """Return the matrix product's tile size that fills the target's registers.

    Two registers are left for A and for the compiler, ``vectors`` hold a row of B,
    and the rest are accumulators. It serves every shape: where C is narrower,
    :func:`emit_matmul` narrows it.

    >>> choose_tile("float32", Target(vector_bytes=64, registers=32))
    Tile(rows=6, vectors=4, lanes=16, steps=2)
    >>> choose_tile("float32", Target(vector_bytes=32, registers=16))
    Tile(rows=6, vectors=2, lanes=8, steps=1)
    """
    vectors = 4 if target.registers >= 32 else 2
    rows = (target.registers - 2 - vectors) // vectors
    lanes = target.vector_bytes // _element(dtype)[0]
    # With fewer or smaller registers LLVM spills some where several stand together.
    return Tile(rows, vectors, lanes, steps=2 if target.vector_bytes == 64 else 1)


def emit_matmul(
    module: ir.Module,
    dtype: str,
    tile: Tile,
    *,
    edge: Edge | None = None,
    a_m: Literal[1] | None = None,
    a_k: Literal[1] | None = None,
    accumulate: bool = False,
    table: bool = False,
    outer: int = 0,
) -> ir.Function:
    """Emit the LLVM tile kernel of C = A B, or C = C + A B, for a part of C.

    The function returned is ``void (ptr A, ptr B, ptr C, i64 m_begin, i64 m_end,
    i64 n_begin, i64 n_end, i64 k, …)``. It computes rows ``m_begin ≤ m < m_end`` and
    columns ``n_begin ≤ n < n_end`` and writes nothing else, so threads may share one
    C and take some rows or some columns each. The pointers are those of the whole
    matrices, and C overlaps neither A nor B. After k, the length of the sums, come
    ``a_m, a_k, b_k, c_m`` under these names: the elements from one row of A to the
    next, from one column of A, one row of B, one row of C to the next. An ``a_m`` or
    ``a_k`` of 1 is left out.

    Asking again for the same kernel in the same module gives the same function: its
    name spells out the whole specialisation.

    Args:
        module: where the function goes.
        dtype: ``"float32"`` or ``"float64"``, of A, B, C and of the sums.
        tile: the register tile; see :func:`choose_tile`.
        edge: that of C's columns n, a promise: column bounds are multiples of
            ``tile.columns``, or n itself. With ``None`` any bounds will do, more
            slowly.
        a_m, a_k: 1 where that is known.
        accumulate: add the sums to C.
        table: rows of A start where a table says: its address, of i64, is one more
            pointer after C, and there is no ``a_m``.
        outer: contraction loops around the one over k. Each has three i64 at the very
            end: its length, and how far A and B move with it; the outermost first.

    Raises:
        DTypeError: for another dtype.
    """
    if edge is not None and edge.halved:
        tile = tile.halved()
    strides = {"a_m": 0 if table else a_m, "a_k": a_k}
    sizes = {"k": None, **strides, "b_k": None, "c_m": None}
    parts = [f"matmul.{_element(dtype)[2]}"]
    parts += [f"{tile.rows}x{tile.vectors}x{tile.lanes}x{tile.steps}"]
    parts += ["n_any" if edge is None else f"n_{'_'.join(map(str, map(int, edge)))}"]
    parts += [f"{key}_{'var' if v is None else v}" for key, v in strides.items()]
    parts += ["accumulate"] * accumulate
    parts += ["table"] * table + [f"outer_{outer}"] * bool(outer)
    name = ".".join(parts)
    function = module.globals.get(name)
    if function is None:
        how = (accumulate, table, outer)
        kernel = TileKernel(module, name, dtype, tile, edge, sizes, *how)
        function = kernel.emit()
    return function


def _element(dtype: str) -> tuple[int, ir.Type, str]:
    """Return size, LLVM type and name of a matrix product's element type."""
    if dtype not in _ELEMENTS:
        raise DTypeError(
            _("A matrix product cannot be computed in {dtype}.", dtype=dtype),
            expected=" or ".join(_ELEMENTS),
            got=dtype,
            fix=_("convert both matrices to float32"),
        )
    return _ELEMENTS[dtype]


class TileKernel:
    """The generator of a matrix product's tile kernel, a method for each loop level.

    Values are LLVM's names for them. Sizes and strides are ints where they are
    constants and values where they are arguments; a line of text takes either.

    Args:
        further: names of more pointers, after C, that may point to the same memory.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        dtype: str,
        tile: Tile,
        edge: Edge | None,
        sizes: Mapping[str, int | None],
        accumulate: bool = False,
        table: bool = False,
        outer: int = 0,
        further: Sequence[str] = (),
    ) -> None:
        self.tile, self.edge, self.accumulate = tile, edge, accumulate
        self.table, self.outer = table, outer
        self.bytes, element, suffix = _element(dtype)
        self.suffix = f"v{tile.lanes}{suffix}"
        vector = ir.VectorType(element, tile.lanes)
        self.element, self.vector = str(element), str(vector)
        self._declare(module, vector)

        late = [key for key, v in sizes.items() if v is None]
        late += [f"{what}{i}" for i in range(outer) for what in ("len", "a_o", "b_o")]
        pointers = ["A", "B", "C"] + ["T"] * table
        alone = len(pointers)
        pointers += further
        names = [*pointers, "m_begin", "m_end", "n_begin", "n_end", *late]
        types = [_POINTER] * len(pointers) + [_I64] * (len(names) - len(pointers))
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
        for attribute in ("nounwind", "noinline"):  # emitted once, compiled once
            self.function.attributes.add(attribute)
        for argument, its_name in zip(self.function.args, names):
            argument.name = its_name
        for pointer in self.function.args[:alone]:
            pointer.add_attribute("noalias")

        size: dict[str, Index] = {
            k: f"%{k}" if v is None else v for k, v in sizes.items()
        }
        self.k, self.a_m, self.a_k, self.b_k, self.c_m = size.values()
        self.code = Text()

    def _declare(self, module: ir.Module, vector: ir.VectorType) -> None:
        """Declare the LLVM intrinsics that a matrix product's kernel calls."""
        mask, void = ir.VectorType(_I1, self.tile.lanes), ir.VoidType()
        for name, result, arguments in (
            (f"fma.{self.suffix}", vector, [vector] * 3),
            (f"masked.load.{self.suffix}.p0", vector, [_POINTER, _I32, mask, vector]),
            (f"masked.store.{self.suffix}.p0", void, [vector, _POINTER, _I32, mask]),
            ("prefetch.p0", void, [_POINTER, _I32, _I32, _I32]),
        ):
            if f"llvm.{name}" not in module.globals:
                kind = ir.FunctionType(result, arguments)
                ir.Function(module, kind, f"llvm.{name}")

    # The loop nest, from the outside in.

    def emit(self) -> ir.Function:
        """Emit the matrix product kernel: panels of columns, then the rest."""
        column: Index = "%n_begin"
        tile, edge = self.tile, self.edge
        if edge is None or edge.whole:
            column = self._panels(column, tile)
        if edge is None:
            self._panels(column, tile.narrowed(1), masked=True)
        elif edge.vectors:
            self._panels(column, tile.narrowed(edge.vectors), masked=edge.masked)
        self._finish()
        self.code.line("ret void")
        self.code.finish(self.function)
        return self.function

    def _finish(self) -> None:
        """Emit code after a matrix product's last tile; nothing by default."""

    def _panels(self, column: Index, tile: Tile, *, masked: bool = False) -> Index:
        """Emit a product's panels of a tile's columns; return the next column.

        ``masked``: the last vector may have fewer lanes than columns are left.
        """
        inner = tile.columns - tile.lanes

        def panel(j: Value) -> None:
            mask = None
            if masked:
                mask = self._mask(self.code.new(f"sub i64 %n_end, {j}"), inner)
            row: Index = "%m_begin"
            for height in tile.heights():
                body = partial(self._tile, replace(tile, rows=height), mask, j)
                (row,) = self.code.loop(row, "%m_end", height, body)

        needed = inner + 1 if masked else tile.columns
        return self.code.loop(column, "%n_end", tile.columns, panel, needed=needed)[0]

    def _tile(self, tile: Tile, mask: Value | None, j: Value, i: Value) -> None:
        """Emit one register tile of a product, at row i and column j of C, for all k.

        ``mask`` belongs to the last vector of each row.
        """
        masks = [None] * (tile.vectors - 1) + [mask]
        a, b = self._starts(i, j)
        c = self._at("%C", self._times(i, self.c_m), j)
        step = self._step(tile, masks, i)

        def place(r: int, v: int) -> Value:
            return self._at(c, self._times(r, self.c_m), v * tile.lanes)

        spots = [(r, v) for r in range(tile.rows) for v in range(tile.vectors)]
        sums = ["zeroinitializer" for __ in spots]

        def contract(level: int, a: Value, b: Value, sums: list[Value]) -> list[Value]:
            """Emit a tile's contraction loops from a level on; return the sums."""
            carried = [("ptr", a), ("ptr", b), *((self.vector, s) for s in sums)]
            if level == self.outer:
                return self._steps(tile, step, carried)[2:]

            def around(__: Value, a: Value, b: Value, *sums: Value) -> list[Value]:
                inner = contract(level + 1, a, b, list(sums))
                further = self._at(a, f"%a_o{level}"), self._at(b, f"%b_o{level}")
                return [*further, *inner]

            return self.code.loop(0, f"%len{level}", 1, around, *carried)[3:]

        sums = contract(0, a, b, sums)
        for (r, v), value in zip(spots, sums):
            total, at = value, place(r, v)
            if self.accumulate:
                held = self._load(at, masks[v])
                total = self.code.new(f"fadd {self.vector} {held}, {value}")
            self._store(total, at, masks[v])

    def _steps(
        self,
        tile: Tile,
        step: Callable[..., list[Value]],
        carried: Sequence[tuple[str, Value]],
        first: Index = 0,
    ) -> list[Value]:
        """Emit all steps of k of a product tile from ``first`` on; return the sums."""
        many, after, k = (
            tile.steps if tile.rows >= self.tile.rows else 1,
            carried,
            first,
        )
        if many > 1:
            several = partial(self._several, step, many)
            k, *values = self.code.loop(k, self.k, many, several, *carried)
            after = list(zip([kind for kind, __ in carried], values))
        return self.code.loop(k, self.k, 1, step, *after)[1:]

    def _several(
        self, step: Callable[..., list[Value]], many: int, k: Index, *now: Value
    ) -> list[Value]:
        """Emit ``many`` steps of k of a product tile in sequence."""
        after = step(k, *now)
        for __ in range(many - 1):
            # What comes behind is not loaded before: registers are full.
            self.code.line('call void asm sideeffect "", "~{memory}"()')
            after = step(k, *after)
        return after

    def _starts(self, i: Value, j: Value) -> tuple[Value, Value]:
        """Emit the addresses in A and B of the product tile at row i, column j."""
        a = "%A" if self.table else self._at("%A", self._times(i, self.a_m))
        return a, self._at("%B", j)

    def _step(
        self, tile: Tile, masks: Sequence[Value | None], i: Value
    ) -> Callable[..., list[Value]]:
        """Return a function that emits one step of k of a product tile.

        The function is (k, A, B, *sums) → (A, B, *sums) after the step.
        """
        rows, vectors = range(tile.rows), range(tile.vectors)
        starts: list[Index] = [self._times(r, self.a_m) for r in rows]
        if self.table:
            starts = [self._entry(i, r) for r in rows]

        def step(__: Index, a: Value, b: Value, *sums: Value) -> list[Value]:
            across = [
                self._load(self._at(b, v * tile.lanes), masks[v]) for v in vectors
            ]
            following = [self._at(a, self.a_k), self._at(b, self.b_k)]
            for r in rows:
                where = self._at(a, starts[r])
                number = self.code.new(
                    f"load {self.element}, ptr {where}, align {self.bytes}"
                )
                spread = self._spread(number, self.element)
                of_row = sums[r * tile.vectors :]
                following += [self._fma(spread, across[v], of_row[v]) for v in vectors]
            if self.a_m == 1 and not self.table:
                # Each k reads another line of A, too far apart for the processor to
                # guess. Fetch the neighbour, which the tiles further down will need.
                self._prefetch(self._at(a, _CACHE_LINE // self.bytes))
            return following

        return step

    # Single instructions.

    def _times(self, x: Index, y: Index) -> Index:
        """Emit x · y of two indices; compute it at once if both are constants."""
        if isinstance(x, int) and isinstance(y, int):
            return x * y
        if x == 0:
            return 0
        return self.code.new(f"mul i64 {x}, {y}")

    def _entry(self, i: Value, r: int) -> Value:
        """Emit the offset of row i + r of the product's A, read from a table."""
        at = self.code.new(f"getelementptr i64, ptr %T, i64 {i}")
        at = self.code.new(f"getelementptr i64, ptr {at}, i64 {r}") if r else at
        return self.code.new(f"load i64, ptr {at}, align 8")

    def _at(self, pointer: Value, *offsets: Index) -> Value:
        """Emit LLVM code for an address some elements after a pointer."""
        fixed = sum(offset for offset in offsets if isinstance(offset, int))
        moving = [offset for offset in offsets if not isinstance(offset, int)]
        for offset in [*moving, fixed] if fixed else moving:
            text = f"getelementptr {self.element}, ptr {pointer}, i64 {offset}"
            pointer = self.code.new(text)
        return pointer

    def _spread(self, one: Value, kind: str) -> Value:
        """Emit an LLVM vector with the same value in every lane."""
        lanes = self.tile.lanes
        vector = f"<{lanes} x {kind}>"
        first = self.code.new(f"insertelement {vector} undef, {kind} {one}, i32 0")
        places = f"<{lanes} x i32> zeroinitializer"
        return self.code.new(
            f"shufflevector {vector} {first}, {vector} undef, {places}"
        )

    def _mask(self, left: Value, before: int) -> Value:
        """Emit an LLVM vector mask whose lanes are true while columns are left.

        Args:
            left: how many are left in all.
            before: how many of them stand in vectors before this one.
        """
        # Comparisons of 32 bits are as wide as the lanes of float32.
        few = self.code.new(f"trunc i64 {left} to i32")
        numbers = ", ".join(f"i32 {before + v}" for v in range(self.tile.lanes))
        spread = self._spread(few, "i32")
        return self.code.new(
            f"icmp slt <{self.tile.lanes} x i32> <{numbers}>, {spread}"
        )

    def _load(self, place: Value, mask: Value | None) -> Value:
        """Emit the LLVM load of a vector; masked lanes are 0 and are not read."""
        vector = self.vector
        if mask is None:
            return self.code.new(f"load {vector}, ptr {place}, align {self.bytes}")
        return self.code.new(
            f"call {vector} @llvm.masked.load.{self.suffix}.p0(ptr {place}, "
            f"i32 {self.bytes}, <{self.tile.lanes} x i1> {mask}, "
            f"{vector} zeroinitializer)"
        )

    def _store(self, value: Value, place: Value, mask: Value | None) -> None:
        """Emit the LLVM store of a vector; masked lanes are not written."""
        vector = f"{self.vector} {value}"
        if mask is None:
            self.code.line(f"store {vector}, ptr {place}, align {self.bytes}")
        else:
            self.code.line(
                f"call void @llvm.masked.store.{self.suffix}.p0({vector}, ptr {place}, "
                f"i32 {self.bytes}, <{self.tile.lanes} x i1> {mask})"
            )

    def _fma(self, x: Value, y: Value, z: Value) -> Value:
        """Emit LLVM code for x · y + z in every vector lane, rounded once."""
        v = self.vector
        return self.code.new(
            f"call {v} @llvm.fma.{self.suffix}({v} {x}, {v} {y}, {v} {z})"
        )

    def _prefetch(self, place: Value) -> None:
        """Emit an LLVM prefetch of a cache line, which is safe for any address."""
        how = "i32 0, i32 3, i32 1"  # to read, to keep, data
        self.code.line(f"call void @llvm.prefetch.p0(ptr {place}, {how})")
