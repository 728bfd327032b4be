"""An entry point as functions that JAX compiles: once, and several steps in a loop.

The loop carries the replaced state and is left where a condition does not hold. It is
compiled for blocks of a few lengths and runs as many steps of one as it is told. So the
same code runs every step, however a run is divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.engines.runtime_checks import distinct_conditions
from chainrule.engines.xla.backend import Array, jax, jnp, lax
from chainrule.engines.xla.checks import Checks, may_refuse
from chainrule.engines.xla.elementwise import ELEMENTWISE
from chainrule.engines.xla.indexing import INDEXING
from chainrule.engines.xla.lower import results
from chainrule.engines.xla.movement import MOVEMENT
from chainrule.graph.graph import Graph
from chainrule.graph.program import Entry
from chainrule.primitives.checks import require

Arrays = tuple[Array, ...]


#: What may be computed twice to know conditions ahead of a step: so many elements.
_CHEAP = 1 << 16


def conditions_ahead(graph: Graph) -> Graph | None:
    """Return the graph of the values that a graph's conditions are about, if cheap.

    None: they take a product, a loop or many elements, or stand within a loop.
    """
    found = [c for __, some in distinct_conditions(graph.nodes) for c in some]
    if any(condition.value is None for condition in found):
        return None
    values = [c.value for c in found if c.value is not None]
    part = Graph(f"{graph.name}_conditions", graph.inputs, values)
    made = [v for node in part.nodes for v in node.outputs if v is not None]
    cheap = all(node.primitive in _CHEAPLY for node in part.nodes)
    count = sum(math.prod(map(int, v.shape)) for v in made)  # pyright: ignore
    return part if cheap and count <= _CHEAP else None


_CHEAPLY = {**ELEMENTWISE, **MOVEMENT, **INDEXING, require: None}.keys()


class Step:
    """An entry point's step for fixed sizes: functions of JAX's arrays.

    A step whose conditions are known ahead is not begun where one of them does not
    hold. Otherwise it is computed, and its new state is not taken.

    Attributes:
        entry: the entry point.
        graph: its graph with numbers for sizes.
        replaced: the names of the state that it replaces.
        kept: those of the state that it only reads.
        refuses: whether there are conditions.
        ahead: the graph of their values where it is cheap.
        before: whether that reads nothing that a step replaces: then the conditions of
            all steps of a block are known before the first.
        checks: what their records mean, once they were traced.
        bytes_out: of all outputs.
    """

    def __init__(self, entry: Entry, graph: Graph) -> None:
        self.entry, self.graph = entry, graph
        self.replaced = tuple(n for n in entry.state if n in entry.replaces)
        self.kept = tuple(n for n in entry.state if n not in entry.replaces)
        self.refuses = may_refuse(graph)
        self.ahead = conditions_ahead(graph) if self.refuses else None
        self.before = self.ahead is not None and not self._read(self.ahead)
        self.checks = Checks()
        outputs = graph.outputs[: entry.outputs]
        self.bytes_out = sum(
            math.prod(map(int, v.shape)) * v.dtype.itemsize  # pyright: ignore
            for v in outputs
        )

    def first_read(self) -> set[str]:
        """Return the names of the inputs that each device reads before each step.

        What is read before all steps of a block may be divided over the devices.
        """
        if self.ahead is None or self.before:
            return set()
        read = {v for node in self.ahead.nodes for v in node.inputs}
        read |= set(self.ahead.outputs)
        inputs = zip(self.entry.inputs, self.graph.inputs)
        return {name for name, value in inputs if value in read}

    def _arguments(
        self, replaced: Arrays, kept: Arrays, inputs: Sequence[Array]
    ) -> list[Array]:
        held = dict(zip(self.replaced + self.kept, replaced + kept, strict=True))
        return [*inputs, *(held[name] for name in self.entry.state)]

    def _read(self, part: Graph) -> set[str]:
        """Return the names of replaced state that a part of the graph reads."""
        entry = self.entry
        values = {v for node in part.nodes for v in node.inputs} | {*part.outputs}
        states = zip(entry.state, part.inputs[len(entry.inputs) :], strict=True)
        return {n for n, v in states if v in values and n in entry.replaces}

    def _known_ahead(
        self, replaced: Arrays, kept: Arrays, inputs: Sequence[Array]
    ) -> Array:
        """Return the record of a step's conditions, before it."""
        assert self.ahead is not None
        inner = self.checks.within()
        values = results(
            self.ahead, self._arguments(replaced, kept, inputs), inner, check=False
        )
        found = [c for __, some in distinct_conditions(self.graph.nodes) for c in some]
        for condition, value in zip(found, values, strict=True):
            inner.check(condition, value)
        return inner.record()

    def _step(
        self, replaced: Arrays, kept: Arrays, inputs: Sequence[Array]
    ) -> tuple[Arrays, Arrays, Array | None]:
        """Return the new state, the outputs and the record of a step's conditions."""
        entry, inner = self.entry, self.checks.within()
        after = self.refuses and self.ahead is None
        arguments = self._arguments(replaced, kept, inputs)
        made = results(self.graph, arguments, inner, check=after)
        new = tuple(made[entry.replaces[name]] for name in self.replaced)
        outputs = tuple(made[: entry.outputs])
        if not after:
            return new, outputs, None
        record = inner.record()
        good = record[0] == 0
        new = tuple(jnp.where(good, a, b) for a, b in zip(new, replaced, strict=True))
        return new, outputs, record

    def function(
        self,
        length: int | None,
        rows: Sequence[Any] = (),
        state: Sequence[Any] = (),
    ) -> Callable[..., Any]:
        """Return the function that runs the step once (None), or several times.

        Several times is on the first rows of a block of ``length`` rows. It takes the
        state (replaced and kept), the inputs, how many steps to run, how many were
        completed before, and the record of a condition that did not hold; it returns
        the new state, the outputs, with a row for each step of a block, and the last
        two anew. One step that has no conditions takes and returns neither steps nor
        record: each array that a call takes or gives has a cost.

        ``rows`` and ``state``: on several devices, how one step's inputs and the state
        that it replaces are spread over them.
        """
        entry = self.entry
        if length is None and not self.refuses:

            def once(replaced: Arrays, kept: Arrays, inputs: Arrays) -> Any:
                return self._step(replaced, kept, spread(inputs, rows))[:2]

            once.__name__ = entry.name
            return once
        each = set[str]() if length is None else set(entry.each)
        lead = () if length is None else (length,)

        def run(
            replaced: Arrays,
            kept: Arrays,
            inputs: Arrays,
            count: Array,
            completed: Array,
            record: Array | None,
        ) -> Any:
            def inputs_of(i: Array) -> list[Array]:
                return [
                    lax.dynamic_index_in_dim(x, i, keepdims=False)
                    if name in each
                    else x
                    for name, x in zip(entry.inputs, inputs, strict=True)
                ]

            def ahead(i: Array) -> Array:
                return self._known_ahead(replaced, kept, inputs_of(i))

            def goes_on(carry: Any) -> Array:
                i, replaced, __, record = carry
                more = i < count
                if self.ahead is not None and not self.before:
                    record = self._known_ahead(replaced, kept, inputs_of(i))
                return more if record is None else more & (record[0] == 0)

            def step(carry: Any) -> Any:
                i, replaced, outputs, __ = carry
                given = spread(inputs_of(i), rows)
                replaced, made, record = self._step(replaced, kept, given)
                replaced = spread(replaced, state)
                if length is not None:
                    made = [
                        lax.dynamic_update_index_in_dim(out, row, i, 0)
                        for out, row in zip(outputs, made, strict=True)
                    ]
                done = 1 if record is None else (record[0] == 0).astype(i.dtype)
                return i + done, replaced, tuple(made), record

            if record is not None:
                count = jnp.where(record[0] == 0, count, 0)
            outputs = tuple(
                jnp.zeros((*lead, *v.shape), v.dtype.numpy)
                for v in self.graph.outputs[: entry.outputs]
            )
            held = None if self.ahead is not None else record
            met = record
            if self.before:
                numbers = jnp.arange(length or 1, dtype=count.dtype)
                met = jax.vmap(ahead)(numbers)
                wrong = (met[:, 0] != 0) & (numbers < count)
                place = jnp.argmax(wrong)
                count = jnp.where(jnp.any(wrong), place, count).astype(count.dtype)
                assert record is not None
                met = jnp.where(jnp.any(wrong), met[place], record)
            first = (jnp.zeros_like(count), replaced, outputs, held)
            i, replaced, outputs, held = lax.while_loop(goes_on, step, first)
            if self.before:
                record = met
            elif self.ahead is not None:
                last = jnp.where(i < count, i, 0)
                met = self._known_ahead(replaced, kept, inputs_of(last))
                record = jnp.where(i < count, met, record)
            else:
                record = held
            return replaced, outputs, completed + i, record

        run.__name__ = entry.name
        return run


def spread(arrays: Sequence[Array], over: Sequence[Any]) -> tuple[Array, ...]:
    """Return arrays of a step, spread over devices where there are several."""
    if not over:
        return tuple(arrays)
    return tuple(map(lax.with_sharding_constraint, arrays, over))
