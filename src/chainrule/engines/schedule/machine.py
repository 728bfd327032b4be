"""The cost model of the processor: measured constants, and expected times of nodes.

Times are in microseconds of one thread. They only decide how work is divided and
ordered, never what is computed: results are the same on every machine.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.composites import control
from chainrule.engines.schedule.convolution import as_convolution
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.maps import domain_of, is_elementwise, tiled
from chainrule.engines.schedule.sharing import Partition
from chainrule.engines.schedule.work import (
    BY_INDEX,
    arithmetic,
    bytes_of,
    count_of,
    innermost,
    moved,
    multiply_adds,
    written,
)
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import Sizes, resolve
from chainrule.primitives import (
    checks,
    conv,
    creation,
    elementwise,
    indexing,
    matmul,
    movement,
    random,
    reduce,
    sorting,
    trigonometry,
    windows,
)
from chainrule.primitives.matmul import parse_dims

Views = Mapping[Value, StridedView]


@dataclass(frozen=True)
class Machine:
    """The cost model of a machine: measured µs of its basic operations.

    Attributes:
        threads: how many run a step.
        barrier: for all threads to meet.
        call: to call a kernel.
        row: to begin an innermost loop.
        multiply_add: one of a product on the tile kernel, in float32.
        slow_multiply_add: one of a contraction in plain loops.
        element: a cheap elementwise operation.
        division: a quotient or a root.
        turned: to read an element that does not lie beside the one before.
        added: to add an element to a sum that waits for the one before.
        windowed: to take an element into a window's sum or maximum.
        indexed: to find an element by its index, and to change it.
        byte: to move one through the own caches.
        memory_byte: to move one more than all caches hold.
        copied_byte: to move one in many short rows.
        far_byte: to find one by its index in main memory.
        foreign_byte: to read one that another core has written.
        taken_byte: to write one that another core has read.
    """

    threads: int
    barrier: float = 1.0
    call: float = 0.03
    row: float = 3e-3
    multiply_add: float = 1.76e-5
    slow_multiply_add: float = 1e-3
    element: float = 1.5e-5
    division: float = 1e-4
    turned: float = 4e-4
    added: float = 1.6e-4
    windowed: float = 1.2e-4
    indexed: float = 1.5e-3
    byte: float = 1e-5
    memory_byte: float = 3e-5
    copied_byte: float = 3.5e-5
    far_byte: float = 8e-5
    foreign_byte: float = 1.2e-4
    taken_byte: float = 1e-4

    def microseconds(self, node: Node, sizes: Sizes, views: Views) -> float:
        """Return the expected µs of a graph node on one thread."""
        if node.primitive in (matmul.dot_general, conv.conv):
            return self.call + self._product(node, sizes, views)
        work = self._work(node, sizes, views)
        work = max(work, self._traffic(node, moved(node, sizes), sizes))
        if node.primitive is tiled:
            work += self._product(node, sizes, views)
        return self.call + work

    def busiest(self, partition: Partition | None, work: float, sizes: Sizes) -> float:
        """Return the expected µs of the busiest thread of a divided node."""
        if partition is None:
            return work
        units = resolve((partition.units,), sizes)[0]
        rounds = -(-units // self.threads)
        return self.call + (work - self.call) * rounds / units

    def _traffic(self, node: Node, length: int, sizes: Sizes) -> float:
        """Return the expected µs to move the bytes that a node reads and writes."""
        byte = self.copied_byte if node.primitive in _IN_ROWS else self.byte
        if node.primitive in BY_INDEX:
            table = bytes_of(node.inputs[0], sizes)
            byte = self.far_byte if table > CACHE.own_bytes else byte
        beyond = max(0, length - CACHE.all_bytes)
        return (length - beyond) * byte + beyond * max(byte, self.memory_byte)

    def _work(self, node: Node, sizes: Sizes, views: Views) -> float:
        """Return the expected µs of a graph node's computation, memory aside."""
        primitive = node.primitive
        if is_elementwise(node) or primitive in (movement.copy, tiled):
            return self._loop(node, sizes, views)
        if primitive in _REDUCTIONS:
            return self._reduction(node, sizes, views)
        if primitive in _WINDOWS:
            return self._windows(node, sizes, views)
        if primitive in _UPDATES:
            return count_of(node.inputs[1], sizes) * self.indexed
        written_count = max(count_of(v, sizes) for v in written(node))
        if primitive in BY_INDEX:
            return (
                count_of(node.inputs[-1], sizes) * self.row
                + written_count * self.element
            )
        count = max([written_count, *(count_of(v, sizes) for v in node.inputs)])
        return count * _FUNCTIONS.get(primitive, self.element)

    def _loop(self, node: Node, sizes: Sizes, views: Views) -> float:
        """Return the expected µs of an elementwise loop, from its rows and elements."""
        count = math.prod(resolve(domain_of(node), sizes))
        each = sum(_FUNCTIONS.get(n.primitive, self.element) for n in arithmetic(node))
        each += self.division * sum(n.primitive in _DIVISIONS for n in arithmetic(node))
        length, turned = innermost(node, sizes, views)
        rows = count / max(length, 1)
        return rows * self.row + count * (each + turned * self.turned)

    def _reduction(self, node: Node, sizes: Sizes, views: Views) -> float:
        """Return the expected µs of a reduction, from its axes' order in memory."""
        (x,) = node.inputs
        count, view = count_of(x, sizes), views[x]
        long_axes = [a for a in view.axes if resolve((x.shape[a],), sizes)[0] != 1]
        last = long_axes[-1] if long_axes else 0
        length = resolve((x.shape[last],), sizes)[0] if x.shape else 1
        if x.shape and last not in node.attrs["axes"]:
            return count / max(length, 1) * self.row + count * self.element
        return count * (self.added if length < CACHE.lanes_from else self.element)

    def _windows(self, node: Node, sizes: Sizes, views: Views) -> float:
        """Return the expected µs of a pooling (sum or maximum over sliding windows)."""
        back = node.primitive is windows.window_max_pullback
        result = node.inputs[0] if back else written(node)[0]
        count, inner = count_of(result, sizes), views[result].axes[-1:]
        line = math.prod(resolve(tuple([result.shape[a] for a in inner]), sizes))
        touched = count * math.prod(node.attrs["window"]) * (2 if back else 1)
        return count / max(line, 1) * self.row + touched * self.windowed

    def _product(self, node: Node, sizes: Sizes, views: Views) -> float:
        """Return the expected µs of a product's or convolution's multiply-adds."""
        out, dtype = written(node)[0], node.inputs[0].dtype
        count = multiply_adds(node, sizes)
        convolution = as_convolution(node)
        window = node.primitive is conv.conv and convolution is None
        if window or not dtype.is_float:
            return count * self.slow_multiply_add
        letters = parse_dims(node.attrs["dims"]).out
        letter = letters[-1:] if convolution is None else convolution.right
        lanes = CACHE.vector_bytes // dtype.itemsize
        side = [domain_of(node)[letters.index(letter)]] if letter else [1]
        (columns,) = resolve(tuple(side), sizes)
        if columns and not (views[out].blocking or node.primitive is tiled):
            count = count // columns * (-(-columns // lanes) * lanes)
        return count * self.multiply_add * dtype.itemsize / 4


@dataclass(frozen=True)
class Cache:
    """The block sizes of large matrix products, for caches of 32 KiB and 1 MiB.

    Attributes:
        columns: of a panel of B.
        rows: of a packed block of A; products with fewer are not packed.
        depth: values of k in a block.
        panel_bytes: a panel of B that is larger is cut into blocks of k.
        far_bytes: rows further apart lie on pages of their own, in the same few sets of
            a cache.
        own_bytes: what a core keeps for itself.
        all_bytes: what stays out of main memory.
        vector_bytes: of a vector, whole ones of which a product computes.
        lanes_from: elements of a row from which on a sum is many side by side.
        tiled_depth: the longest sums of a product whose tiles go straight into the loop
            that reads them: beside longer ones that loop is short, and the product
            better off with all registers.
    """

    columns: int = 64
    rows: int = 48
    depth: int = 256
    panel_bytes: int = 160 * 1024
    far_bytes: int = 4096
    own_bytes: int = 1024 * 1024
    all_bytes: int = 16 * 1024 * 1024
    vector_bytes: int = 64
    lanes_from: int = 8
    tiled_depth: int = 64


CACHE = Cache()

#: µs of an element where it takes a polynomial, or as long.
_FUNCTIONS: dict[Primitive, float] = {
    elementwise.exp: 2.2e-4,
    elementwise.expm1: 2.3e-4,
    elementwise.log: 3.4e-4,
    elementwise.log1p: 4.1e-4,
    elementwise.tanh: 3.8e-4,
    elementwise.sigmoid: 3.8e-4,
    elementwise.erf: 4.7e-4,
    elementwise.erfc: 7e-4,
    elementwise.pow_: 2.7e-3,
    trigonometry.sin: 2.3e-3,
    trigonometry.cos: 2.3e-3,
    trigonometry.cos_turn: 6e-4,
    trigonometry.atan2: 1.5e-3,
    random.random_bits: 9e-4,
    random.encrypted: 9e-4,
    sorting.argsort: 5e-2,
}
_DIVISIONS = frozenset((elementwise.div, elementwise.sqrt))
_REDUCTIONS = frozenset((movement.reduce_sum, reduce.reduce_max, reduce.reduce_prod))
_WINDOWS = frozenset(
    (
        windows.window_sum,
        windows.window_max,
        windows.window_argmax,
        windows.window_best,
        windows.window_max_pullback,
    )
)
#: What changes elements that it finds by their indices.
_UPDATES = frozenset(
    (indexing.scatter_add, indexing.scatter_add_along, indexing.put_rows)
)
#: What copies many short rows.
_IN_ROWS = frozenset((movement.concatenate, movement.pad))
#: Nodes with loops or branches within: they divide their work themselves.
NESTED = frozenset((control.scan, control.cond))
#: Nodes that take no time.
FREE = frozenset((creation.constant, checks.require))


@functools.lru_cache(maxsize=16)
def machine(threads: int) -> Machine:
    """Return the cost model of this machine, for a number of threads."""
    return Machine(threads)
