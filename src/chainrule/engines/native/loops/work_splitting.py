"""Rules on which graph nodes the native engine can divide among threads.

A kernel works on a part of its outermost loop, so that loop's axis is what can be
divided: the first axis of a result for most, blocks of columns for elementwise nodes
and products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chainrule.engines.native.loops.reductions import LANES
from chainrule.engines.native.products.epilogue import is_vectorised
from chainrule.engines.schedule.assign_layouts import as_nest, as_product, sums_lines
from chainrule.engines.schedule.blocks import block_width
from chainrule.engines.schedule.convolution import as_convolution
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.machine import CACHE, machine
from chainrule.engines.schedule.maps import (
    is_elementwise,
    loop_body,
    partial_sums_of,
    tiled,
)
from chainrule.engines.schedule.order import reduction_partition
from chainrule.engines.schedule.sharing import Partition
from chainrule.engines.schedule.work import multiply_adds
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Sizes, resolve
from chainrule.primitives import (
    conv,
    creation,
    indexing,
    matmul,
    movement,
    random,
    reduce,
    sorting,
    windows,
)
from chainrule.primitives.matmul import parse_dims

#: What lies side by side is cut at whole vectors.
VECTOR = 16

_TWO = machine(2)
#: Nodes whose outermost loop is over the first axis of the result.
_BY_ROWS = frozenset(
    (
        creation.iota,
        random.random_bits,
        reduce.argmax,
        reduce.argmin,
        indexing.gather,
        indexing.take,
        windows.window_sum,
        windows.window_max,
        windows.window_argmax,
        windows.window_best,
        windows.window_max_pullback,
        indexing.dynamic_slice,
    )
)
#: Nodes whose outermost loop is over the first axis beside the one they work along.
_BESIDE_AXIS = frozenset(
    (
        reduce.cumsum,
        reduce.cumprod,
        reduce.linear_recurrence,
        sorting.argsort,
        indexing.scatter_add_along,
    )
)
_REDUCTIONS = frozenset((movement.reduce_sum, reduce.reduce_max, reduce.reduce_prod))


def passes_on(sizes: Sizes) -> Callable[[Node, Node], bool]:
    """Return a test whether a matrix product can be fused with the loop reading it.

    Args:
        sizes: the largest sizes.
    """

    def can(product: Node, loop: Node) -> bool:
        (out,) = product.outputs
        body = loop_body(loop)
        assert out is not None
        width = block_width(out.shape)
        simple = as_product(product, blocked=True)
        if simple is None or body is None or width % VECTOR or width > LANES:
            return False
        alone = multiply_adds(product, sizes) * _TWO.multiply_add
        if 1 in partial_sums_of(loop) and alone > 2 * _TWO.barrier:
            return False  # one thread would do the product too
        shape = product.inputs[simple.a].shape
        letters = parse_dims(product.attrs["dims"])
        mine = (letters.lhs, letters.rhs)[simple.a]
        depth = resolve((shape[mine.index(simple.k)],), sizes)[0]
        return depth <= CACHE.tiled_depth and is_vectorised(body)

    return can


def divides(views: Mapping[Value, StridedView]) -> Callable[[Node, Partition], bool]:
    """Return a test whether threads can divide a node in a given way."""

    def can(node: Node, partition: Partition) -> bool:
        primitive = node.primitive
        if is_elementwise(node) or primitive is movement.copy:
            return _elementwise(node, partition)
        if primitive in _REDUCTIONS:
            return _reduction(node, partition)
        if primitive is matmul.dot_general:
            return _product(node, partition)
        if primitive is tiled:
            return _tiled(node, partition)
        if primitive is conv.conv:
            return _convolution(node, partition)
        if primitive is movement.concatenate:
            return partition.axis == 0 and node.attrs["axis"] != 0
        if primitive in _BESIDE_AXIS:  # the outermost loop is the first axis beside it
            return partition.axis == (0 if node.attrs["axis"] else 1)
        if primitive is indexing.take and not node.inputs[1].shape:
            return False
        if primitive is windows.window_max_pullback and 0 in node.attrs["axes"]:
            return False  # windows of two threads might share elements
        return partition.axis == 0 and primitive in _BY_ROWS

    def _elementwise(node: Node, partition: Partition) -> bool:
        if any(partial_sums_of(node)):
            return partition == reduction_partition(node)
        out = node.outputs[0]
        assert out is not None
        strides = views[out].strides
        fine = strides[partition.axis] == 1 and partition.unit_size < VECTOR
        if fine and len([d for d in out.shape if d != 1]) > 1:
            return False  # threads would take turns within each cache line
        operands = (*node.inputs, *node.outputs)
        widths = {views[v].blocking for v in operands if v is not None} - {0}
        return not widths or (partition.axis == 0 and widths == {partition.unit_size})

    def _reduction(node: Node, partition: Partition) -> bool:
        x = node.inputs[0]
        axes = node.attrs["axes"]
        return (
            partition.axis == 0 and not views[x].blocking and len(axes) < len(x.shape)
        )

    def _convolution(node: Node, partition: Partition) -> bool:
        plan = as_convolution(node)
        if plan is None:
            return partition.axis == 0
        letters = parse_dims(node.attrs["dims"]).out
        return plan.forward and letters[partition.axis] == plan.images

    def _tiled(node: Node, partition: Partition) -> bool:
        if any(partial_sums_of(node)):
            return partition == reduction_partition(node)
        out = node.outputs[0]
        assert out is not None
        return partition.axis == 0 and partition.unit_size == views[out].blocking

    def _product(node: Node, partition: Partition) -> bool:
        (out,) = node.outputs
        assert out is not None
        if sums_lines(node, [views[v] for v in node.inputs]):
            return partition.axis == 0
        target = views[out]
        letter = parse_dims(node.attrs["dims"]).out[partition.axis]
        simple = as_product(node, bool(target.blocking))
        if simple is None:
            nest = as_nest(node, [views[v] for v in node.inputs])
            if nest is None or nest.copied:
                return partition.axis == 0
            return letter == (nest.outer or nest.u)[:1]
        if letter == simple.u:
            return True
        width = target.blocking or views[node.inputs[simple.b]].blocking
        return (
            partition.unit_size == width if width else partition.unit_size % VECTOR == 0
        )

    return can
