"""Machine code for eager calls whose steps cost more in Python than their numbers.

An eager call is computed by its primitive's NumPy reference, but for three kinds of
calls that networks make again and again. Each is compiled as a *piece*, its way forward
and its derivative one each:

- the loops of recurrent layers and the steps of their cells (:mod:`.loops`);
- convolutions of batches of images (:mod:`.convolutions`);
- functions of many rows or elements, such as softmax and GELU (:mod:`.rows`).

A piece serves all numbers of rows, steps and images. Whether there is one is decided by
the types of the call and by how its arrays lie, never by a count or a clock: so a
program gives the same bits in each of its runs, from the first call on.

Pieces agree with the references up to rounding; denormals count as ±0 in them, and they
tell of no floating-point exception. A derivative that is itself recorded is computed
operation by operation. The references compute what is too small to earn the time to
compile; calls where NumPy is told to raise an error (``np.errstate``); and everything
where ``cr.backends.native.enabled`` is False, or llvmlite is absent.
"""

from chainrule.composites.control import scan
from chainrule.engines.eager.convolutions import Convolutions
from chainrule.engines.eager.loops import Loops
from chainrule.engines.eager.piece import is_available, switch
from chainrule.engines.eager.rows import ROWS
from chainrule.graph.primitive import EAGER
from chainrule.primitives.conv import conv

EAGER[scan], EAGER[conv] = Loops(), Convolutions()
EAGER.update(ROWS)

__all__ = ["is_available", "switch"]
