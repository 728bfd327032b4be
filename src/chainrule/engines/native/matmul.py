r"""Matrix products: the kernels that the native engine spends its time in.

:func:`emit_matmul` writes one LLVM function for C = A B, or C = C + A B:

    C[m, n]  =  Σₖ A[m, k] · B[k, n]

**The order of the sum is part of the result.** Every element of C is the chain

    c = fma(A[m, k], B[k, n], c)    for k = 0, 1, …, K−1 in this order,

from c = 0, or from what C held. An fma rounds once, and no chain is ever cut into
partial sums, so the bits of C depend on nothing else: not on the shape of the
tiles, not on how rows and columns were divided among threads, not on which of the
edge cases below an element fell into. Speed has to come from somewhere else.

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

**Memory.** A may have any strides, so a transposed A costs nothing; rows of B and C
are contiguous. Sizes and strides count elements. Those known when the code is made
are folded into it. Nothing is packed or copied: where B is large and read often,
keep it in panels, that is as ``[panels][K][tile.columns]``, and call the kernel once
a panel. To block over k, call an ``accumulate`` kernel once a block: C holds exactly
what the registers held, so the chain goes on and no bit changes.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from llvmlite import binding, ir

from chainrule.errors import DTypeError

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
_ELEMENTS = {  # bytes, LLVM's type, and its name within intrinsics
    "float32": (4, ir.FloatType(), "f32"),
    "float64": (8, ir.DoubleType(), "f64"),
}
_CACHE_LINE = 64
_MAX_ROWS = 16

Value = Any
"""An ``ir.Value``."""
Index = int | Value
"""A size, stride or position: a constant, or a value at run time."""


@dataclass(frozen=True)
class Target:
    """The vector unit that code is made for.

    Args:
        vector_bytes: bytes in one vector register.
        registers: how many of them the instruction set names.
    """

    vector_bytes: int
    registers: int


def target_for(triple: str, features: Mapping[str, bool]) -> Target:
    """The vector unit of a machine, from LLVM's names for it.

    Args:
        triple: such as ``x86_64-unknown-linux-gnu`` or ``arm64-apple-darwin``.
        features: as from ``llvmlite.binding.get_host_cpu_features()``.

    >>> target_for("x86_64-unknown-linux-gnu", {"avx2": True, "avx512f": False})
    Target(vector_bytes=32, registers=16)
    """
    if triple.startswith(("aarch64", "arm64")):
        return Target(vector_bytes=16, registers=32)
    if features.get("avx512f"):
        return Target(vector_bytes=64, registers=32)
    if features.get("avx2"):
        return Target(vector_bytes=32, registers=16)
    return Target(vector_bytes=16, registers=16)


@functools.cache
def host_target() -> Target:
    """The vector unit of this machine.

    Kernels for it must be compiled for the host's own features; a target machine
    without them cuts the vectors in pieces and calls a function for each fma.
    """
    features: Mapping[str, bool]
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor.
        features = {}
    return target_for(binding.get_default_triple(), features)


@dataclass(frozen=True)
class Tile:
    """A block of C that lives in registers; drawn at the top of this file.

    Args:
        rows: rows of C.
        vectors: vectors across.
        lanes: elements in one vector.
    """

    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        """Columns of C: vectors × lanes."""
        return self.vectors * self.lanes

    def narrowed(self, vectors: int) -> "Tile":
        """The same registers, arranged as fewer vectors and more rows."""
        if vectors == self.vectors:
            return self
        rows = max(self.rows, min(_MAX_ROWS, self.rows * self.vectors // vectors))
        return Tile(rows, vectors, self.lanes)

    def heights(self) -> list[int]:
        """Rows of this tile, then a third and so on down to 1, for the rows left over.

        >>> Tile(rows=6, vectors=4, lanes=16).heights()
        [6, 2, 1]
        """
        found = [self.rows]
        while found[-1] > 1:
            found.append(max(found[-1] // 3, 1))
        return found


def choose_tile(dtype: str, target: Target) -> Tile:
    """The tile that fills the registers of a target.

    Two registers are left for A and for the compiler, ``vectors`` hold a row of B,
    and the rest are accumulators. It serves every shape: where C is narrower,
    :func:`emit_matmul` narrows it.

    >>> choose_tile("float32", Target(vector_bytes=64, registers=32))
    Tile(rows=6, vectors=4, lanes=16)
    >>> choose_tile("float32", Target(vector_bytes=32, registers=16))
    Tile(rows=6, vectors=2, lanes=8)
    """
    vectors = 4 if target.registers >= 32 else 2
    rows = (target.registers - 2 - vectors) // vectors
    return Tile(rows, vectors, lanes=target.vector_bytes // _element(dtype)[0])


def emit_matmul(
    module: ir.Module,
    dtype: str,
    tile: Tile,
    *,
    n: int | None = None,
    k: int | None = None,
    a_m: int | None = None,
    a_k: int | None = None,
    b_k: int | None = None,
    c_m: int | None = None,
    accumulate: bool = False,
    padded: bool = False,
) -> ir.Function:
    """Emit C = A B, or C = C + A B, for a block of rows and columns of C.

    The function returned is ``void (ptr A, ptr B, ptr C, i64 m_begin, i64 m_end,
    i64 n_begin, i64 n_end, …)``. It computes rows ``m_begin ≤ m < m_end`` and
    columns ``n_begin ≤ n < n_end`` and writes nothing else, so threads may share one
    C and take some rows or some columns each. The pointers are those of the whole
    matrices, and C overlaps neither A nor B. After ``n_end`` come, as i64, those of
    ``k, a_m, a_k, b_k, c_m`` that were ``None``, in this order and under these names.

    Asking again for the same kernel in the same module gives the same function: its
    name spells out the whole specialisation.

    Args:
        module: where the function goes.
        dtype: ``"float32"`` or ``"float64"``, of A, B, C and of the sums.
        tile: the register tile; see :func:`choose_tile`.
        n: columns of C, which makes smaller code. It is a promise: column bounds
            are then multiples of ``tile.columns``, or n itself. With ``None`` any
            bounds will do.
        k: length of the sums, or ``None`` to pass it at run time, as with the rest.
        a_m: elements from one row of A to the next.
        a_k: elements from one column of A to the next.
        b_k: elements from one row of B to the next.
        c_m: elements from one row of C to the next.
        accumulate: start the sums from C instead of 0.
        padded: the caller promises that a vector may be read across the end of any
            row of B (its values do not matter), which spares masked loads.

    Raises:
        DTypeError: for another dtype.
    """
    sizes = {"n": n, "k": k, "a_m": a_m, "a_k": a_k, "b_k": b_k, "c_m": c_m}
    parts = [f"matmul.{_element(dtype)[2]}"]
    parts += [f"{tile.rows}x{tile.vectors}x{tile.lanes}"]
    parts += [f"{key}_{'var' if v is None else v}" for key, v in sizes.items()]
    parts += ["accumulate"] * accumulate + ["padded"] * padded
    name = ".".join(parts)
    function = module.globals.get(name)
    if function is None:
        kernel = _Kernel(module, name, dtype, tile, sizes, accumulate, padded)
        function = kernel.emit()
    return function


def _element(dtype: str) -> tuple[int, ir.Type, str]:
    """What LLVM has to know of a dtype: see ``_ELEMENTS``."""
    if dtype not in _ELEMENTS:
        raise DTypeError(
            f"A matrix product cannot be computed in {dtype}.",
            expected=" or ".join(_ELEMENTS),
            got=dtype,
            fix="convert both matrices to float32",
        )
    return _ELEMENTS[dtype]


class _Kernel:
    """One function under construction; a method for each level of the loop nest.

    Sizes and strides are ints where they are constants and values where they are
    arguments; :meth:`_times` and :meth:`_at` take either.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        dtype: str,
        tile: Tile,
        sizes: Mapping[str, int | None],
        accumulate: bool,
        padded: bool,
    ) -> None:
        self.module, self.tile = module, tile
        self.accumulate, self.padded = accumulate, padded
        self.bytes, self.element, suffix = _element(dtype)
        self.suffix = f"v{tile.lanes}{suffix}"
        self.vector = ir.VectorType(self.element, tile.lanes)
        # One object each: LLVM's text of a constant is made once an object.
        self.zero = ir.Constant(self.vector, None)
        self.nothing = ir.Constant(self.vector, ir.Undefined)
        self.first = ir.Constant(_I32, 0)
        self.firsts = ir.Constant(ir.VectorType(_I32, tile.lanes), None)

        late = [key for key, v in sizes.items() if v is None and key != "n"]
        names = ["A", "B", "C", "m_begin", "m_end", "n_begin", "n_end", *late]
        types = [ir.PointerType()] * 3 + [_I64] * (len(names) - 3)
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
        for attribute in ("nounwind", "noinline"):  # emitted once, compiled once
            self.function.attributes.add(attribute)
        for argument, its_name in zip(self.function.args, names):
            argument.name = its_name
        for pointer in self.function.args[:3]:
            pointer.add_attribute("noalias")
        self.builder: Any = ir.IRBuilder(self.function.append_basic_block("entry"))

        self.A, self.B, self.C, self.m_begin, self.m_end = self.function.args[:5]
        self.n_begin, self.n_end, *values = self.function.args[5:]
        size: dict[str, Any] = {**sizes, **dict(zip(late, values))}
        self.n, self.k, self.a_m, self.a_k, self.b_k, self.c_m = size.values()

    # The loop nest, from the outside in.

    def emit(self) -> ir.Function:
        """Panels of columns from left to right: full ones, then what is left over."""
        column, width = self.n_begin, self.tile.columns
        if self.n is None or self.n >= width:
            column = self._panels(column, width)
        if self.n is None:
            self._panels(column, self.tile.lanes, needed=1)
        elif self.n % width:
            self._panels(column, self.n % width)
        self.builder.ret_void()
        return self.function

    def _panels(self, column: Value, width: int, needed: int | None = None) -> Value:
        """Panels of one width, while ``needed`` columns are left (the width, unless
        given). Returns the column after them.
        """
        lanes = self.tile.lanes
        tile = self.tile.narrowed(-(-width // lanes))

        def panel(j: Value) -> None:
            mask = None
            if needed is not None:
                mask = self._mask(self.builder.sub(self.n_end, j))
            elif width % lanes:
                mask = self._mask(width % lanes)
            row = self.m_begin
            for height in tile.heights():
                body = partial(self._tile, Tile(height, tile.vectors, lanes), mask, j)
                (row,) = self._loop(row, self.m_end, height, body)

        return self._loop(column, self.n_end, width, panel, needed=needed)[0]

    def _tile(self, tile: Tile, mask: Value | None, j: Value, i: Value) -> None:
        """One register tile, at row i and column j of C, for all of k.

        ``mask`` belongs to the last vector of each row.
        """
        rows, vectors = range(tile.rows), range(tile.vectors)
        masks = [None] * (tile.vectors - 1) + [mask]
        a = self._at(self.A, self._times(i, self.a_m))
        b = self._at(self.B, j)
        c = self._at(self.C, self._times(i, self.c_m), j)

        def place(r: int, v: int) -> Value:
            return self._at(c, self._times(r, self.c_m), v * tile.lanes)

        def step(_: Value, a: Value, b: Value, *sums: Value) -> list[Value]:
            insides = [None] * tile.vectors if self.padded else masks
            across = [
                self._load(self._at(b, v * tile.lanes), insides[v]) for v in vectors
            ]
            following = [self._at(a, self.a_k), self._at(b, self.b_k)]
            for r in rows:
                where = self._at(a, self._times(r, self.a_m))
                number = self.builder.load(where, align=self.bytes, typ=self.element)
                spread = self._spread(number, self.vector)
                of_row = sums[r * tile.vectors :]
                following += [self._fma(spread, across[v], of_row[v]) for v in vectors]
            if self.a_m == 1:
                # Each k reads another line of A, too far apart for the processor to
                # guess. Fetch the neighbour, which the tiles further down will need.
                self._prefetch(self._at(a, _CACHE_LINE // self.bytes))
            return following

        spots = [(r, v) for r in rows for v in vectors]
        sums = [self.zero for _ in spots]
        if self.accumulate:
            sums = [self._load(place(r, v), masks[v]) for r, v in spots]
        _, _, _, *sums = self._loop(0, self.k, 1, step, a, b, *sums)
        for (r, v), value in zip(spots, sums):
            self._store(value, place(r, v), masks[v])

    def _loop(
        self,
        start: Index,
        stop: Index,
        step: int,
        body: Callable[..., list[Value] | None],
        *carried: Value,
        needed: int | None = None,
    ) -> list[Value]:
        """Emit a loop that carries values round, and return i and them after it.

            i = start
            while (i + needed <= stop) { carried = body(i, *carried); i += step; }

        ``needed`` is the step unless given. The test stands at the end, and once more
        in front where the loop might not run at all. Values go round in φ nodes: no
        optimiser has to take them out of memory.
        """
        builder = self.builder
        needed = needed or step
        certain = isinstance(start, int) and isinstance(stop, int)
        if certain and start + needed > stop:
            return [_value(start), *carried]
        body_block = self.function.append_basic_block("loop")
        done_block = self.function.append_basic_block("done")

        def branch_if_fits(i: Value) -> None:
            end = builder.add(i, _value(needed))
            fits = builder.icmp_signed("<=", end, _value(stop))
            builder.cbranch(fits, body_block, done_block)

        first = [_value(start), *carried]
        before = builder.block
        if certain:
            builder.branch(body_block)
        else:
            branch_if_fits(first[0])

        builder.position_at_end(body_block)
        now = [builder.phi(value.type) for value in first]
        following = [builder.add(now[0], _value(step))]
        following += body(*now) or []
        after = builder.block
        branch_if_fits(following[0])
        _join(now, (before, first), (after, following))

        builder.position_at_end(done_block)
        if certain:
            return following
        last = [builder.phi(value.type) for value in first]
        _join(last, (before, first), (after, following))
        return last

    # Single instructions.

    def _times(self, x: Index, y: Index) -> Index:
        """x · y, folded where it can be."""
        if isinstance(x, int) and isinstance(y, int):
            return x * y
        if isinstance(x, int) and x == 0:
            return 0
        return self.builder.mul(_value(x), _value(y))

    def _at(self, pointer: Value, *offsets: Index) -> Value:
        """The address that many elements further on."""
        fixed = sum(offset for offset in offsets if isinstance(offset, int))
        moving = [offset for offset in offsets if not isinstance(offset, int)]
        for offset in [*moving, _value(fixed)] if fixed else moving:
            pointer = self.builder.gep(pointer, [offset], source_etype=self.element)
        return pointer

    def _spread(self, one: Value, vector: ir.VectorType) -> Value:
        """A vector with the same value in every lane."""
        same = vector is self.vector
        nothing = self.nothing if same else ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(nothing, one, self.first)
        return self.builder.shuffle_vector(first, nothing, self.firsts)

    def _mask(self, inside: Index) -> Value:
        """A mask whose first lanes are true, as many as are ``inside``."""
        lanes = range(self.tile.lanes)
        if isinstance(inside, int):
            bits = [ir.Constant(_I1, int(v < inside)) for v in lanes]
            return ir.Constant(ir.VectorType(_I1, len(lanes)), bits)
        wide = ir.VectorType(_I64, len(lanes))
        numbers = ir.Constant(wide, [ir.Constant(_I64, v) for v in lanes])
        return self.builder.icmp_signed("<", numbers, self._spread(inside, wide))

    def _load(self, place: Value, mask: Value | None) -> Value:
        """A vector from memory; 0 in lanes outside the mask, which are not read."""
        if mask is None:
            return self.builder.load(place, align=self.bytes, typ=self.vector)
        arguments = place, ir.Constant(_I32, self.bytes), mask, self.zero
        return self._call(f"llvm.masked.load.{self.suffix}.p0", self.vector, *arguments)

    def _store(self, value: Value, place: Value, mask: Value | None) -> None:
        """A vector to memory; lanes outside the mask are not written."""
        if mask is None:
            self.builder.store(value, place, align=self.bytes)
        else:
            arguments = value, place, ir.Constant(_I32, self.bytes), mask
            self._call(f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), *arguments)

    def _fma(self, x: Value, y: Value, z: Value) -> Value:
        """x · y + z in every lane, rounded once."""
        return self._call(f"llvm.fma.{self.suffix}", self.vector, x, y, z)

    def _prefetch(self, place: Value) -> None:
        """Start to fetch a cache line; never an error, wherever it points."""
        read, keep, data = (ir.Constant(_I32, code) for code in (0, 3, 1))
        self._call("llvm.prefetch.p0", ir.VoidType(), place, read, keep, data)

    def _call(self, name: str, result: ir.Type, *arguments: Value) -> Value:
        """Call an LLVM intrinsic, declared on its first use."""
        function = self.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(result, [a.type for a in arguments])
            function = ir.Function(self.module, signature, name)
        return self.builder.call(function, arguments)


def _value(x: Index) -> Value:
    """An index as an LLVM value."""
    return ir.Constant(_I64, x) if isinstance(x, int) else x


def _join(phis: list[Value], *edges: tuple[ir.Block, list[Value]]) -> None:
    """Give each φ node its value for every block that control may come from."""
    for block, values in edges:
        for phi, value in zip(phis, values):
            phi.add_incoming(value, block)
