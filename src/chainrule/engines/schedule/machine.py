"""What a machine costs: the one place for measured constants.

Times are in microseconds of one thread. They only decide how work is divided and
ordered, never what is computed: results are the same on every machine.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from chainrule.engines.schedule.convolution import as_convolution
from chainrule.engines.schedule.maps import is_elementwise
from chainrule.engines.schedule.sharing import Share
from chainrule.engines.schedule.work import BY_INDEX, arithmetic, count_of, moved, multiply_adds
from chainrule.graph.node import Node
from chainrule.graph.types import Sizes, resolve
from chainrule.primitives import (
    checks,
    conv,
    creation,
    elementwise,
    matmul,
    random,
    sorting,
    trigonometry,
)
from chainrule.regions import control


@dataclass(frozen=True)
class Machine:
    """Measured constants, µs.

    Attributes:
        threads: how many run a step.
        barrier: for all threads to meet.
        call: to call a kernel.
        multiply_add: one of a product on the tile kernel.
        slow_multiply_add: one of a contraction in plain loops.
        element: a cheap elementwise operation.
        function: exp and its like.
        byte: to move one through the own caches.
        foreign_byte: to read one that another core has written.
    """

    threads: int
    barrier: float = 1.0
    call: float = 0.03
    multiply_add: float = 1.1e-5
    slow_multiply_add: float = 1e-3
    element: float = 1.2e-5
    function: float = 2e-4
    byte: float = 2e-5
    foreign_byte: float = 6e-5

    def microseconds(self, node: Node, sizes: Sizes) -> float:
        """µs that a node takes on one thread."""
        primitive = node.primitive
        if primitive in (matmul.dot_general, conv.conv):
            return self.call + self._product(node, sizes)
        outputs = [v for v in node.outputs if v is not None]
        read = node.inputs[1:] if primitive in BY_INDEX else node.inputs
        count = max(count_of(v, sizes) for v in (*read, *outputs))
        each = self.element
        if is_elementwise(node):
            each = sum(
                self.function if n.primitive in _FUNCTIONS else self.element
                for n in arithmetic(node)
            )
        elif primitive in _HEAVY:
            each = self.function
        return self.call + count * each + moved(node, sizes) * self.byte

    def busiest(self, share: Share | None, work: float, sizes: Sizes) -> float:
        """µs of the thread that has most to do, where one alone takes ``work``."""
        if share is None:
            return work
        units = resolve((share.units,), sizes)[0]
        rounds = -(-units // self.threads)
        return self.call + (work - self.call) * rounds / units

    def _product(self, node: Node, sizes: Sizes) -> float:
        (out,) = node.outputs
        assert out is not None
        window = node.primitive is conv.conv and as_convolution(node) is None
        slow = window or not out.dtype.is_float
        each = self.slow_multiply_add if slow else self.multiply_add
        return multiply_adds(node, sizes) * each


@dataclass(frozen=True)
class Cache:
    """Sizes at which large products are cut, for caches of 32 KiB and 1 MiB.

    Attributes:
        columns: of a panel of B.
        rows: of a packed block of A; products with fewer are not packed.
        depth: values of k in a block.
        panel_bytes: a panel of B that is larger is cut into blocks of k.
        far_bytes: lines further apart fall into the same few sets of a cache.
    """

    columns: int = 64
    rows: int = 48
    depth: int = 256
    panel_bytes: int = 160 * 1024
    far_bytes: int = 2048


CACHE = Cache()

#: Elementwise primitives that take a polynomial.
_FUNCTIONS = frozenset(
    (
        elementwise.exp,
        elementwise.log,
        elementwise.log1p,
        elementwise.expm1,
        elementwise.tanh,
        elementwise.sigmoid,
        elementwise.erf,
        elementwise.erfc,
        elementwise.pow_,
        trigonometry.sin,
        trigonometry.cos,
        trigonometry.atan2,
    )
)
#: What takes long for an element though it is no loop over elements.
_HEAVY = frozenset((random.random_bits, sorting.argsort))
#: Nodes with loops or branches within: they divide their work themselves.
NESTED = frozenset((control.scan, control.cond))
#: Nodes that take no time.
FREE = frozenset((creation.constant, checks.require))


@functools.cache
def machine(threads: int) -> Machine:
    """This machine, for a number of threads."""
    return Machine(threads)
