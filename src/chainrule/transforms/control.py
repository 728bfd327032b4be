"""Loops and branches within graphs: ``scan``, ``cond`` and a bounded ``while_loop``.

Python's ``for`` and ``if`` are gone through once, while a function is traced: a loop of
a hundred steps becomes a hundred copies of its body. These stay what they are in the
graph, on every engine, and can be differentiated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

from chainrule.composites import control
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.apply import apply
from chainrule.graph.body import trace_body
from chainrule.graph.context import context, recording
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import as_tuple
from chainrule.graph.types import ArrayType, Dim
from chainrule.operations.autocasting import is_autocast_enabled
from chainrule.primitives.movement import reshape
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.blocks import settled
from chainrule.util.bounded import Bounded
from chainrule.util.pytree import flatten, unflatten

#: A carried state, an entry of a sequence, and a result.
C = TypeVar("C")
X = TypeVar("X")
Y = TypeVar("Y")


def _values(nest: Any) -> tuple[list[Value], Any]:
    leaves, structure = flatten(nest)
    return [as_tensor(leaf).value for leaf in leaves], structure


def _body(
    function: Callable[..., Any],
    structures: Sequence[Any],
    counts: Sequence[int],
    types: Sequence[ArrayType],
    name: str,
) -> tuple[Graph, list[Value], Any]:
    """Trace a loop body or branch, a function of nested tensors, into a graph."""
    out_structures: list[Any] = []

    def flat(*values: Value) -> list[Value]:
        arguments: list[Any] = []
        at = 0
        for structure, count in zip(structures, counts):
            part = [wrap(v) for v in values[at : at + count]]
            arguments.append(unflatten(structure, part))
            at += count
        results, structure = _values(function(*arguments))
        out_structures.append(structure)
        return results

    graph, captured = trace_body(flat, types, name)
    return graph, captured, out_structures[0]


@overload
def scan(
    function: Callable[[C, X], tuple[C, Y]],
    init: C,
    xs: X,
    length: int | None = None,
    *,
    reverse: bool = False,
) -> tuple[C, Y]: ...
@overload
def scan(
    function: Callable[[Any, Any], tuple[C, Y]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
) -> tuple[C, Y]: ...
@settled
def scan(
    function: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Run a loop over a carried state in the graph, and stack the outputs of its steps.

        carry₀ = init;  carryₜ₊₁, yₜ = function(carryₜ, xₜ)  for t = 0 … length−1

    Args:
        function: of the carry and of one entry of ``xs``; returns the new carry, of the
            same shapes and dtypes, and y (None for none). Tensors that it finds outside
            are constants of the loop, and have derivatives too.
        init: the first carry: a tensor or a nest of them.
        xs: what the steps go through along the first axis, a tensor or a nest of them;
            None where ``length`` says how many steps there are.
        length: the number of steps.
        reverse: go through t from the end.

    Returns:
        The last carry, and the ys stacked along a new first axis.

    Raises:
        ShapeError: sequences of different lengths; a carry that changes its shape.
        ArgumentError: neither ``xs`` nor ``length``.

    Source: JAX's ``lax.scan``.

    >>> import chainrule as cr
    >>> xs = cr.tensor([1.0, 2.0, 4.0])
    >>> total, sums = cr.scan(lambda c, x: (c + x, c + x), 0.0, xs)
    >>> total.item(), sums
    (7.0, tensor([1., 3., 7.]))
    """
    carry, carry_structure = _values(init)
    sequences, structure = _values(xs)
    steps = _length(sequences, length)
    types = [v.type for v in carry]
    types += [ArrayType(v.shape[1:], v.dtype) for v in sequences]

    def step(state: Any, x: Any) -> Any:
        pair = function(state, x)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ArgumentError(
                _("The function of scan returns the new carry and y."),
                expected=_("a pair (carry, y); y may be None"),
                got=f"{pair!r:.80}",
            )
        return pair

    graph, captured, pair = _body(
        step,
        [carry_structure, structure],
        [len(carry), len(sequences)],
        types,
        getattr(function, "__name__", "scan").strip("<>"),
    )
    new_carry, y_structure = pair
    if new_carry != carry_structure:
        raise ArgumentError(
            _("The carry of scan changes its structure."),
            expected=_("a nest like the first carry"),
            got=_("another one"),
        )
    outputs = as_tuple(
        apply(
            control.scan,
            (*captured, *carry, *sequences),
            {
                "body": graph,
                "length": steps,
                "constants": len(captured),
                "carries": len(carry),
                "reverse": bool(reverse),
            },
        )
    )
    results = [wrap(v) for v in outputs]
    return unflatten(carry_structure, results), unflatten(y_structure, results)


@overload
def loop(
    function: Callable[[Any, Any, Any], tuple[Any, None]],
    constants: tuple[Tensor | None, ...],
    init: tuple[Tensor, ...],
    xs: tuple[Tensor, ...],
    *,
    once: Literal[True],
) -> tuple[tuple[Tensor, ...], None]: ...
@overload
def loop(
    function: Callable[[Any, Any, Any], tuple[Any, Tensor]],
    constants: tuple[Tensor | None, ...],
    init: tuple[Tensor, ...],
    xs: tuple[Tensor, ...],
    *,
    reverse: bool,
) -> tuple[tuple[Tensor, ...], Tensor]: ...
@settled
def loop(
    function: Callable[[Any, Any, Any], tuple[Any, Any]],
    constants: tuple[Tensor | None, ...],
    init: tuple[Tensor, ...],
    xs: tuple[Tensor, ...],
    *,
    reverse: bool = False,
    once: bool = False,
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Run a layer's loop as :func:`scan` does; eager calls share its traced body.

    So they are one node each, which the native engine may compute: see
    :mod:`chainrule.engines.eager`.

    Args:
        function: of the constants, the carry and one entry of ``xs``, all in tuples; it
            returns the new carry and a tensor y, or None for none. It finds nothing
            outside, and it is one object for all calls.
        constants, init, xs: carries are (rows, units), and an entry of ``xs`` has as
            many rows first; rows do not know of each other.
        reverse: as for :func:`scan`.
        once: ``xs`` are the entries of a single step, which has no y.
    """
    if context.trace is not None:
        if once:
            return function(constants, init, xs)

        def step(carry: Any, x: Any) -> tuple[Any, Any]:
            return function(constants, carry, x)

        return scan(step, init, xs, reverse=reverse)
    fixed = [t.value for t in constants if t is not None]
    carry, sequences = [t.value for t in init], [t.value for t in xs]
    if once:
        sequences = [reshape(v, shape=(1, *v.shape)) for v in sequences]
    types = [(v.shape, v.dtype) for v in (*fixed, *carry)]
    types += [(v.shape[1:], v.dtype) for v in sequences]
    present = tuple([t is not None for t in constants])
    attrs = {
        "body": _shared_body(function, present, len(carry), tuple(types)),
        "length": sequences[0].shape[0],
        "constants": len(fixed),
        "carries": len(carry),
        "reverse": reverse,
    }
    made = as_tuple(apply(control.scan, (*fixed, *carry, *sequences), attrs))
    last = tuple([wrap(v) for v in made[: len(carry)]])
    return last, wrap(made[-1]) if len(made) > len(carry) else None


_bodies: Bounded[Any, Graph] = Bounded(128)


def _shared_body(
    function: Callable[..., Any],
    present: tuple[bool, ...],
    carries: int,
    types: tuple[Any, ...],
) -> Graph:
    """Return the body graph of :func:`loop` for these types, the same for each call."""
    key = (function, present, carries, types, is_autocast_enabled())
    body = _bodies.get(key)
    if body is None:

        def flat(*values: Value) -> list[Value]:
            rest = iter([wrap(v) for v in values])
            constants = tuple([next(rest) if there else None for there in present])
            carry = tuple(itertools.islice(rest, carries))
            new, y = function(constants, carry, tuple(rest))
            return [as_tensor(t).value for t in (*new, y) if t is not None]

        def retrace(types: Sequence[ArrayType]) -> Graph:
            others = tuple([(t.shape, t.dtype) for t in types])
            return _shared_body(function, present, carries, others)

        with recording():
            body, __ = trace_body(flat, [ArrayType(*t) for t in types], "step")
        body.retrace = retrace
        _bodies[key] = body
    return body


def _length(sequences: Sequence[Value], length: int | None) -> Dim:
    if not sequences and length is None:
        raise ArgumentError(
            _("scan does not know how many steps to make."),
            expected=_("xs, or length="),
            got=_("neither"),
        )
    for value in sequences:
        if not value.shape or (length is not None and value.shape[0] != length):
            raise ShapeError(
                _("scan's sequences have one entry a step."),
                expected=_("a first axis of {length}", length=length)
                if length
                else _("a first axis"),
                got=show(value.shape),
            )
    return length if length is not None else sequences[0].shape[0]


@settled
def cond(
    which: Any,
    true: Callable[..., Y],
    false: Callable[..., Y],
    *operands: Any,
) -> Y:
    """Apply one of two functions, selected by a truth value: a branch in the graph.

    Only the branch that is taken is run, on every engine, and only it has a derivative.

    Args:
        which: a tensor of one truth value.
        true, false: functions of the operands with results of the same shapes and
            dtypes. What they find outside is an operand too.
        operands: tensors or nests of them.

    Source: JAX's ``lax.cond``, PyTorch's ``torch.cond``.

    >>> import chainrule as cr
    >>> x = cr.tensor(-2.0)
    >>> cr.cond(x > 0, lambda x: x.sqrt(), lambda x: -x, x)
    tensor(2.)
    """
    value = as_tensor(which).value
    flat = [_values(operand) for operand in operands]
    branch_inputs = [v for values, __ in flat for v in values]
    types = [v.type for v in branch_inputs]
    structures, counts = [s for __, s in flat], [len(v) for v, __ in flat]
    branches: list[tuple[Graph, list[Value], Any]] = [
        _body(function, structures, counts, types, name)
        for function, name in ((true, "true"), (false, "false"))
    ]
    if branches[0][2] != branches[1][2]:
        raise ArgumentError(
            _("Both branches of cond give results of the same structure."),
            expected=_("nests alike"),
            got=_("two different ones"),
        )
    outside = list(
        {id(v): v for __, captured, __ in branches for v in captured}.values()
    )
    graphs = [
        _with_inputs(graph, captured, outside) for graph, captured, __ in branches
    ]
    attrs = {"true": graphs[0], "false": graphs[1]}
    results = as_tuple(apply(control.cond, (value, *outside, *branch_inputs), attrs))
    return unflatten(branches[0][2], [wrap(v) for v in results])


def _with_inputs(graph: Graph, captured: list[Value], outside: list[Value]) -> Graph:
    """Return a ``cond`` branch's graph with the outside values of both as inputs."""
    mine = dict(zip(map(id, captured), graph.inputs))
    first = [
        mine.get(id(v)) or Value(None, v.shape, v.dtype, tracked=v.tracked)
        for v in outside
    ]
    return Graph(graph.name, [*first, *graph.inputs[len(captured) :]], graph.outputs)


@overload
def while_loop(
    going: Callable[[C], Any],
    function: Callable[[C], C],
    init: C,
    *,
    max_steps: int,
) -> C: ...
@overload
def while_loop(
    going: Callable[..., Any],
    function: Callable[..., C],
    init: Any,
    *,
    max_steps: int,
) -> C: ...
@settled
def while_loop(
    going: Callable[..., Any],
    function: Callable[..., Any],
    init: Any,
    *,
    max_steps: int,
) -> Any:
    """Apply a function to a state while a condition holds: a bounded ``while`` loop.

        state ← function(state)  while  going(state), at most ``max_steps`` times

    The bound makes it a loop that can be differentiated: steps after the end change
    nothing and run nothing.

    Args:
        going: of the state; a tensor of one truth value.
        function: of the state; returns the new one, of the same shapes and dtypes.
        init: the first state, a tensor or a nest of them.
        max_steps: how many steps there are at most.

    Returns:
        The last state. Whether the bound ended the loop is ``going(state)``.

    >>> import chainrule as cr
    >>> x = cr.tensor(2.0)
    >>> cr.while_loop(lambda x: x < 100.0, lambda x: x * 3.0, x, max_steps=9)
    tensor(162.)
    """

    def step(state: Any, __: Any) -> Any:
        return cond(going(state), function, lambda same: same, state), None

    last, __ = scan(step, init, length=max_steps)
    return last


C = TypeVar("C")
X = TypeVar("X")
Y = TypeVar("Y")

__all__ = ["cond", "scan", "while_loop"]
