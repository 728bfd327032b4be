"""Composites for loops and branches in graphs: ``scan`` and ``cond``.

    carry₀ given;  carryₜ₊₁, yₜ = body(constants, carryₜ, xₜ)   for t = 0 … length−1

The inputs are the constants, the first carry and the stacked xs; the outputs are the
last carry and the stacked ys. ``reverse`` walks t downwards.

Its derivative is again a scan, in the other direction: it carries ∂ℒ/∂carry, adds up
∂ℒ/∂constants, and computes each step's body anew from the carry that entered it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chainrule import notation as write
from chainrule.autodiff import inline, vjp
from chainrule.composites.composite import graph_once
from chainrule.errors import ShapeError
from chainrule.graph.batching import (
    Samples,
    batched_graph,
    batched_outputs,
    moved,
    one_by_one,
    repeated,
)
from chainrule.graph.context import context
from chainrule.graph.declare import declare
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import EAGER, Case, as_tuple, of_any
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.elementwise import add, mul, tanh
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import full, full_like
from chainrule.primitives.rules import need_type, need_types, show
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

Values = tuple[Value, ...]


class _Loop(NamedTuple):
    body: Graph
    length: int
    constants: int
    carries: int
    reverse: bool


def _rule(*types: ArrayType, **attrs: Any) -> tuple[ArrayType, ...]:
    body, length, constants, carries, __ = _Loop(**attrs)
    fixed = constants + carries
    want = [v.type for v in body.inputs]
    got = list(types[:fixed])
    for t in types[fixed:]:
        if not t.shape or t.shape[0] != length:
            raise ShapeError(
                _("scan's sequences have one entry a step."),
                expected=_("a first axis of {length}", length=length),
                got=show(t.shape),
            )
        got.append(ArrayType(t.shape[1:], t.dtype))
    need_types(_("scan's inputs do not fit its body."), want, got)
    outputs = [v.type for v in body.outputs]
    problem = _("scan's body must give back a carry of the type that it takes.")
    need_types(problem, want[constants:fixed], outputs[:carries])
    stacked = [ArrayType((length, *t.shape), t.dtype) for t in outputs[carries:]]
    return (*outputs[:carries], *stacked)


def _inline(body: Graph) -> Callable[..., tuple[Value, ...]]:
    """Return a loop's or branch's body graph as a function of values."""
    return lambda *values: inline(body, values, keep_constants=True)


def _or_zero(g: Cotangent, like: Value | ArrayType) -> Value:
    return full(0.0, like.dtype, like.shape) if g is None else g


def _vjp(
    gs: Sequence[Cotangent], ys: Any, inputs: Values, needed: Any, **attrs: Any
) -> Sequence[Cotangent]:
    body, length, constants, carries, reverse = _Loop(**attrs)
    fixed = constants + carries
    consts, carry, xs = inputs[:constants], inputs[constants:fixed], inputs[fixed:]
    # Once more forwards, keeping the carry that entered each step.
    history = Graph(
        f"{body.name}_history",
        body.inputs,
        (*body.outputs[:carries], *body.inputs[constants:fixed]),
    )
    entered: Values = as_tuple(scan(*inputs, **attrs | {"body": history}))[carries:]

    def floats(values: Sequence[Value]) -> list[int]:
        return [i for i, v in enumerate(values) if v.dtype.is_float]

    f_const, f_carry, f_xs = floats(consts), floats(carry), floats(xs)
    f_ys = [i for i, v in enumerate(body.outputs[carries:]) if v.dtype.is_float]
    counts = (constants, len(f_carry), len(f_const), carries, len(xs), len(f_ys))

    def step(*values: Value) -> tuple[Value, ...]:
        rest = iter(values)
        parts = [tuple(itertools.islice(rest, count)) for count in counts]
        k, g_carry, total, c, x, g_y = parts
        out_gs: list[Cotangent] = [None] * len(body.outputs)
        for i, g in zip(f_carry, g_carry):
            out_gs[i] = g
        for i, g in zip(f_ys, g_y):
            out_gs[carries + i] = g
        want = tuple(v.dtype.is_float for v in (*k, *c, *x))
        back = vjp(_inline(body), (*k, *c, *x), tuple(out_gs), want, {})
        new_carry = [_or_zero(back[constants + i], c[i]) for i in f_carry]
        new_total = [
            t if (g := back[i]) is None else add(t, g) for t, i in zip(total, f_const)
        ]
        steps = [_or_zero(back[fixed + i], x[i]) for i in f_xs]
        return (*new_carry, *new_total, *steps)

    y_types = [ArrayType((length, *v.shape), v.dtype) for v in body.outputs[carries:]]
    first = (
        *consts,
        *(_or_zero(gs[i], carry[i]) for i in f_carry),
        *(full_like(consts[i], 0.0) for i in f_const),
        *entered,
        *xs,
        *(_or_zero(gs[carries + i], y_types[i]) for i in f_ys),
    )
    state = constants + len(f_carry) + len(f_const)
    types = [v.type for v in first[:state]]
    types += [ArrayType(v.shape[1:], v.dtype) for v in first[state:]]
    back = _Loop(
        body=trace(step, types, name=f"{body.name}_vjp", tracked=True),
        length=length,
        constants=constants,
        carries=len(f_carry) + len(f_const),
        reverse=not reverse,
    )
    results: Values = as_tuple(scan(*first, **back._asdict()))
    places = [constants + i for i in f_carry] + f_const + [fixed + i for i in f_xs]
    gradients = dict(zip(places, results, strict=True))
    return [gradients.get(i) for i in range(len(inputs))]


_vjp_once = graph_once("scan", _vjp)


def _derivative(
    gs: Sequence[Cotangent], ys: Any, inputs: Values, needed: Any, **attrs: Any
) -> Sequence[Cotangent]:
    """Return the derivative of ``scan``; for eager use that of a layer is kept."""
    if attrs["body"].retrace is None or context.trace is not None or context.grad:
        return _vjp(gs, (), inputs, needed, **attrs)
    if scan.name in EAGER:
        found = EAGER[scan.name].backward(gs, (), inputs, needed, attrs)
        if found is not None:
            return found
    return _vjp_once(gs, (), inputs, needed, **attrs)


def _rnn_body(dtype: DType, *, plain: bool = False) -> Graph:
    """Return a recurrent network's step as a loop body, for the test cases.

    The step is hₜ₊₁ = tanh(W hₜ + xₜ), yₜ = hₜ₊₁ ⊙ hₜ₊₁.

    ``plain``: the loop gives hₜ₊₁ itself, twice, and the hₜ and xₜ that it was given.
    """

    def step(w: Value, h: Value, x: Value) -> tuple[Value, ...]:
        new = tanh(add(dot(w, h, "oi,i->o"), x))
        return (new, new, new, h, x) if plain else (new, mul(new, new))

    types = [ArrayType(s, dtype) for s in ((3, 3), (3,), (3,))]
    return trace(step, types, name="rnn", tracked=True)


def _cases() -> tuple[Case, ...]:
    cases: list[Case] = []
    for dtype in (DType.float32, DType.float64):
        body, plain_body = _rnn_body(dtype), _rnn_body(dtype, plain=True)
        ways = (
            (body, 5, False),
            (body, 4, True),
            (body, 1, False),
            (plain_body, 3, True),
        )
        for inner, length, reverse in ways:
            loop = _Loop(inner, length, constants=1, carries=1, reverse=reverse)
            inputs = tuple(f"{dtype.short}[{s}]" for s in ("3,3", "3", f"{length},3"))
            cases.append(Case(inputs, loop._asdict()))
    return tuple(cases)


def _written(*inputs: Expr, body: Graph, **__: Any) -> Expr:
    return write.apply(f"scan_{body.name}", *inputs)


def _scan_samples(s: Samples) -> tuple[Value, ...]:
    """Run one loop for all samples; a carry is batched where a step makes it so."""
    body, __, constants, carries, __ = _Loop(**s.attrs)
    fixed = constants + carries
    consts, carry = s.batched[:constants], list(s.batched[constants:fixed])
    while True:
        flags = (*consts, *carry, *s.batched[fixed:])
        becomes = batched_outputs(body, flags)[:carries]
        new = [a or b for a, b in zip(carry, becomes)]
        if new == carry:
            break
        carry = new
    results = [*carry, *(True for __ in body.outputs[carries:])]
    inputs = [
        s.whole(i) if i < fixed and flag else v
        for i, (v, flag) in enumerate(zip(s.inputs, flags))
    ]
    inputs[fixed:] = [  # time first
        moved(v, 0, 1) if flag else v for v, flag in zip(inputs[fixed:], flags[fixed:])
    ]
    outputs = as_tuple(
        s.apply(*inputs, body=batched_graph(body, flags, s.size, results))
    )
    last = [v if b else repeated(v, s.size) for v, b in zip(outputs, carry)]
    return (*last, *(moved(v, 1, 0) for v in outputs[carries:]))


@declare(
    rule=_rule,
    joint_vjp=_derivative,
    batch=_scan_samples,
    shown=of_any(_written),
    moves=True,
    source="Rumelhart, Hinton & Williams 1986 (back-propagation through time)",
    cases=_cases,
)
def scan(*arrays: Array, **attrs: Any) -> tuple[Array, ...]:
    body, length, constants, carries, reverse = _Loop(**attrs)
    fixed = constants + carries
    consts, xs = arrays[:constants], arrays[fixed:]
    carry = arrays[constants:fixed]
    ys = [np.empty((length, *v.shape), v.dtype.numpy) for v in body.outputs[carries:]]
    for t in reversed(range(length)) if reverse else range(length):
        results = evaluate(body, (*consts, *carry, *(x[t] for x in xs)))
        carry = results[:carries]
        for y, part in zip(ys, results[carries:]):
            y[t] = part
    return (*(np.array(c) for c in carry), *ys)


# -- one of two ------------------------------------------------------------------------


def _cond_rule(
    which: ArrayType, *types: ArrayType, true: Graph, false: Graph
) -> tuple[ArrayType, ...]:
    need_type(
        "cond", _("one truth value to decide by"), ArrayType((), DType.bool), which
    )
    for branch in (true, false):
        wanted = [v.type for v in branch.inputs]
        need_types(_("cond's operands do not fit a branch."), wanted, types)
    result, other = (tuple([v.type for v in b.outputs]) for b in (true, false))
    problem = _("Both branches of cond give results of the same types.")
    need_types(problem, result, other, _("make them alike, with astype or reshape"))
    return result


def _cond_vjp(
    gs: Sequence[Cotangent], ys: Any, inputs: Values, needed: Any, **branches: Graph
) -> Sequence[Cotangent]:
    """Return the derivative of ``cond``: that of the branch that was taken."""
    which, *operands = inputs
    cotangents = [g for g in gs if g is not None]
    wanted = [i for i, need in enumerate(needed[1:]) if need]

    def back(branch: Graph) -> Graph:
        def function(*values: Value) -> list[Value]:
            rest = iter(values)
            full = tuple([None if g is None else next(rest) for g in gs])
            point = tuple(rest)
            gradients = vjp(_inline(branch), point, full, needed[1:], {})
            return [_or_zero(gradients[i], point[i]) for i in wanted]

        types = [v.type for v in (*cotangents, *operands)]
        return trace(function, types, name=f"{branch.name}_vjp", tracked=True)

    turned = {name: back(branch) for name, branch in branches.items()}
    results = as_tuple(cond(which, *cotangents, *operands, **turned))
    gradients = dict(zip(wanted, results, strict=True))
    return [None, *(gradients.get(i) for i in range(len(operands)))]


def _cond_cases() -> tuple[Case, ...]:
    def rise(x: Value, y: Value) -> tuple[Value, Value]:
        return mul(x, y), tanh(y)

    def fall(x: Value, y: Value) -> tuple[Value, Value]:
        return add(y, y), mul(x, tanh(x))

    cases: list[Case] = []
    for dtype in (DType.float32, DType.float64):
        for which, shape in ((0, (3, 2)), (1, (4,))):
            array_type = ArrayType(shape, dtype)
            attrs = {
                "true": trace(rise, [array_type] * 2, name="rise", tracked=True),
                "false": trace(fall, [array_type] * 2, name="fall", tracked=True),
            }
            ranges = ((which, which + 1), None, None)
            cases.append(
                Case(("bool[]", str(array_type), str(array_type)), attrs, ranges)
            )
    return tuple(cases)


def _cond_written(which: Expr, *inputs: Expr, true: Graph, false: Graph) -> Expr:
    return write.choice(
        write.apply(true.name, *inputs), which, write.apply(false.name, *inputs)
    )


def _cond_samples(s: Samples) -> Any:
    """Take one branch for all samples, or each sample its own in a loop over them."""
    if s.batched[0]:
        return one_by_one(s)
    branches = {
        name: batched_graph(b, s.batched[1:], s.size, [True] * len(b.outputs))
        for name, b in s.attrs.items()
    }
    return s.apply(*s.inputs, **branches)


@declare(
    rule=_cond_rule,
    joint_vjp=_cond_vjp,
    batch=_cond_samples,
    shown=of_any(_cond_written),
    moves=True,
    source="McCarthy 1960 (the conditional expression): only the branch taken is run",
    cases=_cond_cases,
)
def cond(which: Array, *arrays: Array, true: Graph, false: Graph) -> tuple[Array, ...]:
    results = evaluate(true if which else false, arrays)
    return tuple([np.array(a) for a in results])
