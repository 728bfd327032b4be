"""An entry point as functions that JAX compiles: once, and several steps in a loop.

The loop carries the replaced state and is left where a condition does not hold: that
step's new state is not taken. It is compiled for blocks of a few lengths and runs as
many steps of one as it is told, so that the same code runs every step however a run is
divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from chainrule.engines.xla.checks import Checks
from chainrule.engines.xla.lower import results
from chainrule.graph.graph import Graph
from chainrule.graph.program import Entry

Array = jax.Array
Arrays = tuple[Array, ...]


class Step:
    """An entry point's step for fixed sizes: a function of JAX's arrays.

    Attributes:
        entry: the entry point.
        graph: its graph with numbers for sizes.
        replaced: the names of the state that it replaces.
        kept: those of the state that it only reads.
        checks: the conditions of its graph, once it was traced.
        refuses: whether there are any.
    """

    def __init__(self, entry: Entry, graph: Graph, refuses: bool) -> None:
        self.entry, self.graph, self.refuses = entry, graph, refuses
        self.replaced = tuple(n for n in entry.state if n in entry.replaces)
        self.kept = tuple(n for n in entry.state if n not in entry.replaces)
        self.checks = Checks()

    def _step(
        self, replaced: Arrays, kept: Arrays, inputs: Sequence[Array]
    ) -> tuple[Arrays, Arrays, Array | None]:
        """Return the new state, the outputs and the record of a step's conditions."""
        entry, inner = self.entry, self.checks.within()
        held = dict(zip(self.replaced + self.kept, replaced + kept, strict=True))
        arguments = [*inputs, *(held[name] for name in entry.state)]
        made = results(self.graph, arguments, inner)
        new = tuple(made[entry.replaces[name]] for name in self.replaced)
        outputs = tuple(made[: entry.outputs])
        if not self.refuses:
            return new, outputs, None
        record = inner.record()
        good = record[0] == 0
        new = tuple(jnp.where(good, a, b) for a, b in zip(new, replaced, strict=True))
        return new, outputs, record

    def once(self, replaced: Arrays, kept: Arrays, inputs: Arrays) -> Any:
        """Return the new state, the outputs and the record of one step."""
        return self._step(replaced, kept, inputs)

    def block(self, length: int) -> Callable[..., Any]:
        """Return the function that runs steps on the first rows of ``length`` rows.

        It takes the state (replaced and kept), the inputs, how many steps to run, how
        many were completed before, and their record; it returns the new state, the
        outputs with a row for each step of the block, and the last two anew.
        """
        entry, each = self.entry, set(self.entry.each)

        def run(
            replaced: Arrays,
            kept: Arrays,
            inputs: Arrays,
            count: Array,
            completed: Array,
            record: Array | None,
        ) -> Any:
            outputs = tuple(
                jnp.zeros((length, *v.shape), v.dtype.numpy)
                for v in self.graph.outputs[: entry.outputs]
            )

            def goes_on(carry: Any) -> Array:
                i, __, __, record = carry
                more = i < count
                return more & (record[0] == 0) if self.refuses else more

            def step(carry: Any) -> Any:
                i, replaced, outputs, record = carry
                rows = [
                    lax.dynamic_index_in_dim(x, i, keepdims=False)
                    if name in each
                    else x
                    for name, x in zip(entry.inputs, inputs, strict=True)
                ]
                replaced, made, record = self._step(replaced, kept, rows)
                outputs = tuple(
                    lax.dynamic_update_index_in_dim(out, row, i, 0)
                    for out, row in zip(outputs, made, strict=True)
                )
                done = 1 if record is None else (record[0] == 0).astype(i.dtype)
                return i + done, replaced, outputs, record

            first = (jnp.zeros_like(count), replaced, outputs, record)
            i, replaced, outputs, record = lax.while_loop(goes_on, step, first)
            return replaced, outputs, completed + i, record

        return run
