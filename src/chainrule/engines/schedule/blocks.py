"""The width of the memory blocks in which weight matrices are stored."""

from __future__ import annotations

from chainrule.graph.types import Shape

#: Elements of a block: the widest that a register tile works on.
BLOCK = 64


def block_width(shape: Shape) -> int:
    """Return the width of the memory blocks in which a weight matrix is stored.

    The width is a rule on the shape alone, so the order of every sum over a weight is
    the same for any number of threads.
    """
    outputs = shape[0]
    assert isinstance(outputs, int)
    for width in (BLOCK, BLOCK // 2, BLOCK // 4):
        if outputs % width == 0 and outputs > width:
            return width
    return outputs
