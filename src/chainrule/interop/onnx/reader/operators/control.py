"""Branches and loops: by Python where their course is known, in the graph where not."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.types import UnknownSizeError
from chainrule.interop.onnx.reader.evaluation import Body
from chainrule.interop.onnx.reader.operators.shapes import axes_of
from chainrule.interop.onnx.reader.table import constant, in_trace, known, operator
from chainrule.primitives.checks import require
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.transforms.control import cond, scan, while_loop

#: Steps of a loop of known length that are written out one after the other in a graph.
UNROLLED = 64
#: Steps that a loop in a graph may have.
LONGEST = 1_000_000


@operator("If", since=1, folds=False)
def if_(which: Any, *, then_branch: Body, else_branch: Body) -> Any:
    """The branch that a known condition says, or both in the graph."""
    if isinstance(which, np.ndarray) or not in_trace():
        return (then_branch if bool(known(which).reshape(())) else else_branch)()
    holds, branches = fn.reshape(which, ()), (then_branch, else_branch)
    try:
        return cond(holds, *(lambda b=b: tuple(map(constant, b())) for b in branches))
    except UnknownSizeError:
        raise
    except ChainruleError:
        then, other = map(_tried, branches)
        if (then is None) == (other is None):
            raise
        if then is not None:
            return _required(then, holds, True)
        assert other is not None
        return _required(other, fn.logical_not(holds), False)


def _tried(branch: Body) -> tuple[Tensor, ...] | None:
    """Return the results of a branch; None where its shapes do not fit together."""
    try:
        return tuple(map(constant, branch()))
    except UnknownSizeError:
        raise
    except ChainruleError:
        return None


def _required(
    results: tuple[Tensor, ...], holds: Tensor, truth: bool
) -> tuple[Tensor, ...]:
    """Return results on the condition that their branch is the one to take.

    A file may have a branch for each of some kinds of input, such as two rates of
    sampling, of which only one fits the shapes at hand.
    """
    return tuple(
        wrap(
            require(
                result.value,
                holds.value,
                what=_("The branch that the ONNX model takes does not fit its inputs."),
                expected=_("a condition that is {truth}", truth=str(truth)),
                got=_("the other branch"),
                fix="",
            )
        )
        for result in results
    )


@operator("Loop", since=1, folds=False)
def loop(most: Any = None, going: Any = None, *carried: Any, body: Body) -> Any:
    """Steps while a condition holds, at most so many; outputs of steps are stacked.

    Eager code goes through them in Python. A traced loop whose course is known and
    short is written out; another is a loop in the graph, of carries whose shapes stay.
    """
    if in_trace():
        return _traced(most, going, list(carried), body)
    steps = None if most is None else int(known(most).reshape(()))
    goes = going is None or bool(known(going).reshape(()))
    states, rows, i = list(carried), [], 0
    while goes and (steps is None or i < steps):
        outputs = body(_step(i, most), np.array(True), *states)
        goes = bool(known(outputs[0]).reshape(()))
        states = outputs[1 : 1 + len(carried)]
        rows.append(outputs[1 + len(carried) :])
        i += 1
    return (*states, *_stacked(rows, body, len(carried)))


def _step(i: int, most: Any) -> Any:
    """Return the number of a step in the shape that the body declares."""
    return np.array(i, np.int64).reshape(() if most is None else most.shape)


def _stacked(rows: list[Any], body: Body, carried: int) -> list[Any]:
    """Return the outputs of all steps along a new first axis."""
    count = len(body.graph.outputs) - 1 - carried
    if rows:
        return [fn.stack([constant(v) for v in parts]) for parts in zip(*rows)]
    if count:
        raise ArgumentError(
            _("A Loop of no steps has outputs of no shape."),
            expected=_("at least one step"),
            got="0",
        )
    return []


def _traced(most: Any, going: Any, carried: list[Any], body: Body) -> Any:
    """Loop in a traced function."""
    steps = int(most.reshape(())) if isinstance(most, np.ndarray) else None
    sure = going is None or isinstance(going, np.ndarray)
    goes = going is None or (sure and bool(going.reshape(())))
    if steps == 0 or (sure and not goes):
        return (*carried, *_stacked([], body, len(carried)))
    if steps is not None and sure and steps <= UNROLLED:
        result = _unrolled(steps, most, carried, body)
        if result is not None:
            return result
    if steps is None or steps > LONGEST:
        raise ArgumentError(
            _("The number of steps of a Loop depends on data."),
            expected=_("a known number of steps while a function is traced"),
            got=_("a number that is computed") if steps is None else str(steps),
            fix=_("call the module itself, without cr.compile"),
        )
    return _in_graph(steps, most, going, carried, body)


def _unrolled(steps: int, most: Any, carried: list[Any], body: Body) -> Any:
    """Unroll an ONNX Loop in the graph; None if its number of steps depends on data."""
    states, rows = list(carried), []
    for i in range(steps):
        goes, *outputs = body(_step(i, most), np.array(True), *states)
        if not isinstance(goes, np.ndarray):
            return None
        states = outputs[: len(carried)]
        rows.append(outputs[len(carried) :])
        if not bool(goes.reshape(())):
            break
    return (*states, *_stacked(rows, body, len(carried)))


def _in_graph(steps: int, most: Any, going: Any, carried: list[Any], body: Body) -> Any:
    """Loop in the graph: a scan of all steps, else a loop while a condition holds."""
    count, starts = len(carried), tuple(map(constant, carried))
    every = len(body.graph.outputs) - 1 - count
    sure: list[bool] = []

    def step(states: Any, i: Tensor) -> Any:
        goes, *outputs = body(fn.reshape(i, most.shape), np.array(True), *states)
        sure.append(isinstance(goes, np.ndarray) and bool(goes.reshape(())))
        new = tuple(map(constant, outputs))
        return new[:count], new[count:]

    numbers = fn.arange(steps, dtype="int64")
    states, stacked = scan(step, starts, numbers)
    if all(sure) and not isinstance(going, Tensor):
        return (*states, *stacked)
    if every:
        raise ArgumentError(
            _("The number of outputs of a Loop depends on data."),
            expected=_("a known number of steps while a function is traced"),
            got=_("a condition that is computed"),
            fix=_("call the module itself, without cr.compile"),
        )

    def again(all_states: Any) -> Any:
        i, __, *rest = all_states
        goes, *outputs = body(fn.reshape(i, most.shape), np.array(True), *rest)
        return (i + 1, fn.reshape(constant(goes), ()), *map(constant, outputs))

    first = fn.reshape(constant(np.array(True) if going is None else going), ())
    start = (constant(np.array(0, np.int64)), first, *starts)
    __, __, *last = while_loop(lambda s: s[1], again, start, max_steps=steps)
    return tuple(last)


@operator("Scan", since=9, folds=False)
def scan_(
    *values: Any,
    body: Body,
    num_scan_inputs: int,
    scan_input_axes: tuple[int, ...] | None = None,
    scan_input_directions: tuple[int, ...] | None = None,
    scan_output_axes: tuple[int, ...] | None = None,
    scan_output_directions: tuple[int, ...] | None = None,
) -> Any:
    """A loop over entries of sequences, each along an axis and in a direction."""
    n = num_scan_inputs
    if not 0 < n <= len(values):
        raise ArgumentError(
            _("Scan goes through sequences."), expected=f"1 … {len(values)}", got=str(n)
        )
    count = len(values) - n
    starts = tuple(map(constant, values[:count]))
    sequences = []
    for i, value in enumerate(map(constant, values[count:])):
        (axis,) = axes_of(scan_input_axes[i] if scan_input_axes else 0, value.ndim)
        sequence = fn.movedim(value, axis, 0)
        if scan_input_directions and scan_input_directions[i]:
            sequence = fn.flip(sequence, 0)
        sequences.append(sequence)

    def step(states: Any, entries: Any) -> Any:
        outputs = tuple(map(constant, body(*states, *entries)))
        return outputs[:count], outputs[count:]

    states, stacked = scan(step, starts, tuple(sequences))
    results = []
    for i, y in enumerate(stacked):
        if scan_output_directions and scan_output_directions[i]:
            y = fn.flip(y, 0)
        (axis,) = axes_of(scan_output_axes[i] if scan_output_axes else 0, y.ndim)
        results.append(fn.movedim(y, 0, axis))
    return (*states, *results)
