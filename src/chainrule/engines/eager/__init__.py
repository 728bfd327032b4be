"""Machine code for eager calls whose steps cost more in Python than their numbers.

An eager call is computed by its primitive's NumPy reference, but for four kinds of
calls that networks make again and again. Each is compiled as a *piece*, its way forward
and its derivative one each:

- the loops of recurrent layers and the steps of their cells (:mod:`.loops`);
- convolutions of batches of images (:mod:`.convolutions`);
- sums and maxima over sliding windows, which are pooling (:mod:`.windows`);
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

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from chainrule.graph.primitive import EAGER, Array


class Later:
    """A row of the table whose module is imported at its first use, and replaces it.

    Args:
        primitive: the name of the primitive.
        module: the module of this package that computes its eager calls.
    """

    def __init__(self, primitive: str, module: str) -> None:
        self._primitive, self._module = primitive, f"{__name__}.{module}"

    def forward(self, arrays: tuple[Array, ...], attrs: dict[str, Any]) -> Any:
        """Return the results as the imported row does."""
        importlib.import_module(self._module)
        return EAGER[self._primitive].forward(arrays, attrs)

    def backward(
        self,
        gs: Sequence[Any],
        ys: Sequence[Any],
        inputs: Sequence[Any],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> Sequence[Any] | None:
        """Return the cotangents of the inputs as the imported row does."""
        importlib.import_module(self._module)
        return EAGER[self._primitive].backward(gs, ys, inputs, needed, attrs)


for _module, _primitives in {
    "loops": ("scan",),
    "convolutions": ("conv",),
    "windows": ("window_sum", "window_max", "window_argmax", "window_max_pullback"),
    "rows": ("gelu", "gelu_tanh", "silu", "softmax", "log_softmax", "layer_norm"),
}.items():
    for _name in _primitives:
        EAGER[_name] = Later(_name, _module)
