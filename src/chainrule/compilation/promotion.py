"""Promotion: Python floats outside a function become inputs of its traced graph.

A float that changes from call to call would need a graph for each of its values. So the
function is traced with a :class:`Scalar` in its place. Python that
decides by the number (``if k > 0``, ``math.log(k)``, ``range(int(k))``) refuses a
scalar, or may take it for something else (``type(k) is float``). So it is tried whether
the graph computes what one that was traced with a number computes, at a point where
nothing hides a difference: not with k = 0, nor with weights that are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compilation.guards.guards import Guards, substituted
from chainrule.compilation.guards.sources import Number
from chainrule.compilation.scalars import Scalar
from chainrule.compilation.tracing import Input, Traced, trace_entry
from chainrule.graph.interpret import evaluate, solve_sizes
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, DType, SizeGuard, guessing, has_floats
from chainrule.tensor import Tensor

#: The difference of results, relative to the largest element, by bytes of the dtype:
#: Python folds numbers in float64, a graph rounds each step to its dtype.
TOLERANCE = {2: 2e-2, 4: 1e-4, 8: 1e-9}


class FilledError(Exception):
    """A trace with other numbers than the user's has filled a cache of the user's."""


@dataclass(frozen=True)
class PromotedTrace:
    """A traced function with its guards and the outside floats that are its inputs.

    Attributes:
        traced: the entry point.
        guards: what the function found outside.
        size_guards: what must hold for the values of named sizes.
        numbers: the floats outside that are inputs, behind the arguments.
    """

    traced: Traced
    guards: Guards
    size_guards: list[SizeGuard]
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Tracing:
    """A function to trace, with the inputs, arguments and outside objects of a call.

    Attributes:
        name: of the function.
        function: as the user wrote it.
        positional: the same, called with a tensor for each input.
        inputs: the types of these, whose sizes may have names.
        arrays: what they are in this call.
        objects: the arguments that are part of the program, by name.
    """

    name: str
    function: Callable[..., Any]
    positional: Callable[..., Any]
    inputs: Sequence[Input]
    arrays: Sequence[Array]
    objects: Mapping[str, Any]

    def trace(
        self, numbers: Sequence[Number] = (), instead: Sequence[float] = ()
    ) -> PromotedTrace:
        """Trace a function with outside floats as graph inputs, or as constants."""
        count, taken = len(self.inputs), {i.name for i in self.inputs}
        outside = [
            Input(_free_name(number.name, taken), ArrayType((), DType.float64))
            for number in ([] if instead else numbers)
        ]

        def function(*tensors: Tensor) -> Any:
            standing = instead or [
                Scalar.like(number.get(), tensor)
                for number, tensor in zip(numbers, tensors[count:], strict=True)
            ]
            with substituted(self.name, numbers, standing):
                return self.positional(*tensors[:count])

        guards = Guards(self.function, self.objects, numbers)
        shapes = [i.type.shape for i in self.inputs]
        came = [a.shape for a in self.arrays]
        filled = False
        try:
            sizes = solve_sizes(list(zip(shapes, came)))
            with guards.watching(), guessing(sizes) as size_guards:
                traced = trace_entry(self.name, function, [*self.inputs, *outside])
            guards.refuse_changes(self.name)
        finally:
            if numbers:  # which are not the user's: nobody may remember what came of it
                filled = guards.take_back()
        if filled:
            raise FilledError
        return PromotedTrace(traced, guards, size_guards, tuple(numbers))

    def results(
        self, promoted: PromotedTrace, numbers: Sequence[float], whole: int
    ) -> list[Array]:
        """Evaluate a trace for changed inputs, to find numbers that became constants.

        Args:
            promoted: the trace.
            numbers: the values of its inputs behind the arguments.
            whole: what is added to integers, which may be indices.
        """
        traced = promoted.traced
        values = traced.entry.graph.inputs
        all_values = [*self.arrays, *numbers]
        all_values += [0.5 for _ in traced.tables]  # an optimiser's
        for key, value in zip(
            traced.entry.state, values[len(all_values) :], strict=True
        ):
            tensor = traced.slots[key].current()
            all_values.append(
                np.zeros(value.shape) if tensor is None else tensor.numpy()
            )
        dice = np.random.default_rng(0)
        count = len(self.arrays) + len(numbers)
        arrays: list[Array] = []
        for i, (value, array) in enumerate(zip(values, all_values, strict=True)):
            near = np.asarray(array, value.dtype.numpy)
            if has_floats(near) and not len(self.arrays) <= i < count:
                away = dice.uniform(0.2, 0.6, near.shape)
                near = (near + (np.abs(near) + 0.5) * away).astype(near.dtype)
            elif near.dtype.kind in "iu":
                near = near + near.dtype.type(whole)
            arrays.append(near)
        with np.errstate(all="ignore"):
            return list(evaluate(traced.entry.graph, arrays))


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name for a graph input that no other input has."""
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def promoted(
    tracing: Tracing, numbers: Sequence[Number]
) -> tuple[PromotedTrace, list[Number]]:
    """Trace a function with as many of its outside floats as graph inputs as possible.

    Returns:
        The trace, and the floats that are none since Python needs them as numbers.
    """
    if not numbers:
        return tracing.trace(), []
    try:
        attempt, filled = _promoted(tracing, numbers), False
    except FilledError:
        attempt, filled = None, True
    if attempt is not None:
        return attempt, []
    plain = tracing.trace()  # what is wrong without them is the user's to know
    best, chosen, constants = plain, list[Number](), list[Number]()
    for number in numbers:
        attempt = None
        if filled or len(numbers) > 1:  # caches hold now what the plain trace made
            with suppress(FilledError):
                attempt = _promoted(tracing, [*chosen, number])
        if attempt is None:
            constants.append(number)
        else:
            best, chosen = attempt, [*chosen, number]
    return best, constants


def _promoted(tracing: Tracing, numbers: Sequence[Number]) -> PromotedTrace | None:
    """Trace a function with floats as inputs; None if that would change results.

    Raises:
        FilledError: a cache would have kept what was computed with other numbers.
    """
    others = [n.kind(0.618 + 0.173 * i) for i, n in enumerate(numbers)]
    try:
        wanted = tracing.trace(numbers, others)
        result = tracing.trace(numbers)
    except FilledError:
        raise
    except Exception:  # noqa: BLE001 - whatever Python makes of a scalar
        return None
    for whole in (1, 0):
        try:
            results = tracing.results(wanted, [], whole)
            again = tracing.results(result, others, whole)
        except Exception:  # noqa: BLE001 - an index that is none; or it cannot run
            continue
        same = len(results) == len(again) and all(map(_close, again, results))
        return result if same else None
    return None


def _close(a: Array, b: Array) -> bool:
    """Return whether two result arrays are equal up to rounding."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not has_floats(a) or not b.size:
        return np.array_equal(a, b)
    rtol = TOLERANCE[a.dtype.itemsize]
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.abs(b[np.isfinite(b)])
    if not finite.size:
        return False
    atol = rtol * float(finite.max())
    return np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
