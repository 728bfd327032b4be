"""A traced training step in float64, and rounding errors of its float32 numbers.

What float32 has rounded cannot tell a wrong formula from a right one where numbers
cancel: −ln p at p = 0.9999 is right to three digits. So formulas are held against the
step in float64, and each number of float32 against its own operation in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.explanation.loops import is_loop
from chainrule.explanation.meant import meant
from chainrule.explanation.run import Run
from chainrule.graph.emit import emit
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import attrs_at, evaluate_all
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES
from chainrule.graph.types import ArrayType
from chainrule.nn.picture.numbers import loop_steps
from chainrule.passes.upcast import upcast, upcast_attrs, upcast_dtype
from chainrule.primitives.creation import constant

#: The error that an operation may have, in units in the last place of its result.
LAST_PLACES = 4
#: The further error of a sum of k terms, in units in the last place of the sum of
#: their sizes times √(k − 1): errors of either sign, as in Higham and Mary, A New
#: Approach to Probabilistic Rounding Error Analysis (2019).
OF_SUMS = 4
#: Draws of inputs that are off by a last place.
DRAWS = 3


def is_float64(run: Run) -> bool:
    """Return whether a traced training step computes in float64 throughout."""
    narrow = (v.dtype.is_float and v.dtype.itemsize < 8 for v in run.graph.values())
    return not any(narrow)


def upcast_run(run: Run) -> Run:
    """Return a traced training step recomputed in float64, with equal inputs."""
    graph, new = upcast(run.graph, _record)
    with np.errstate(all="ignore"):
        inputs = [
            np.asarray(run.scalars[v][1] if v in run.scalars else _wide(run.arrays[v]))
            for v in run.graph.inputs
        ]
        arrays = evaluate_all(graph, inputs, run.sizes)

    def each(items: Mapping[Value, Any]) -> dict[Value, Any]:
        return {new[v]: item for v, item in items.items() if v in new}

    def pairs(values: Mapping[Value, Value]) -> dict[Value, Value]:
        return {new[v]: new[g] for v, g in values.items() if v in new}

    return replace(
        run,
        graph=graph,
        x=tuple([new[v] for v in run.x]),
        y=new[run.y],
        predictions=tuple([new[v] for v in run.predictions]),
        loss=new[run.loss],
        cotangents=pairs(run.cotangents),
        tensors=each(run.tensors),
        parameters=frozenset(new[v] for v in run.parameters if v in new),
        scalars=each(run.scalars),
        updates=pairs(run.updates),
        slots=each(run.slots),
        arrays=arrays,
    )


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _attrs(node: Node, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a graph node's attributes in float64, with constants as written."""
    wide = upcast_attrs(attrs, _record)
    if node.primitive is constant and attrs["dtype"].is_float:
        wide["value"] = tuple([meant(v, attrs["dtype"]) for v in attrs["value"]])
    return wide


def _record(node: Node, inputs: tuple[Value, ...]) -> Iterable[Value]:
    outputs = [v for v in node.outputs if v is not None]
    types = [ArrayType(v.shape, upcast_dtype(v.dtype)) for v in outputs]
    return emit(node.primitive, inputs, _attrs(node, node.attrs), node, types)


# -- rounding errors of single operations ----------------------------------------------


def roundings(
    graph: Graph, arrays: Mapping[Value, Array], n: int
) -> Iterator[tuple[Value, float]]:
    """Yield the rounding error of each graph value, relative to the allowed error.

    They are in units of what rounding explains: at most 1 where the number is right,
    infinite where NaN or infinity stands for a number.
    """
    for node in graph.nodes:
        inner = max(itertools.chain([0.0], _within(node, arrays, n)))
        for value, share in zip(node.outputs, _off(node, arrays, n)):
            if value is not None and value in arrays:
                yield value, max(inner, share)


def _within(node: Node, arrays: Mapping[Value, Array], n: int) -> Iterator[float]:
    """Yield the rounding errors of the nodes within a composite node or a loop."""
    if is_loop(node):
        for body, known in loop_steps(node, arrays, n):
            yield from (share for _, share in roundings(body, known, n))
    elif node.primitive in BODIES:
        types = [v.type.at({"N": n}) for v in node.inputs]
        body = BODIES[node.primitive](types, attrs_at(node, {"N": n}))
        known = evaluate_all(body, [arrays[v] for v in node.inputs], {"N": n})
        yield from (share for _, share in roundings(body, known, n))


def _off(node: Node, arrays: Mapping[Value, Array], n: int) -> list[float]:
    """Return the rounding error of each output of a graph node."""
    inputs = [arrays[v] for v in node.inputs]
    shown = [None if v is None else arrays.get(v) for v in node.outputs]
    attrs, reference = attrs_at(node, {"N": n}), REFERENCES[node.primitive]
    opened = is_loop(node) or node.primitive in BODIES
    if not opened:
        inputs, attrs = [_wide(a) for a in inputs], _attrs(node, attrs)
    with np.errstate(all="ignore"):
        results = _several(reference(*inputs, **attrs))
        if opened:
            return [_unequal(a, b) for a, b in zip(shown, results)]
        sizes = results
        if not node.primitive.elementwise:
            positive = [np.abs(a) if a.dtype.kind == "f" else a for a in inputs]
            sizes = _several(reference(*positive, **attrs))
        terms = max(_terms(inputs, results), _along(node, inputs))
        shares = [_share(*each, terms) for each in zip(shown, results, sizes)]
        if node.primitive.elementwise or max(shares, default=0.0) <= 1:
            return shares
        # Such as the solution of equations, and an element of a transform where all
        # cancels: right is what belongs to inputs that are off by a last place.
        sizes = _moved(
            lambda *a: _several(reference(*a, **attrs)), inputs, shown, sizes
        )
        return [_share(*each, terms) for each in zip(shown, results, sizes)]


def _moved(
    apply: Callable[..., Sequence[Array]],
    inputs: Sequence[Array],
    shown: Sequence[Array | None],
    sizes: Sequence[Array],
) -> list[Array]:
    """Return sizes of results, at least what a last place of the inputs moves them by.

    Of each result it is one size, in units of its last place: the largest difference
    over some draws of signs.
    """
    kinds = [a.dtype for a in shown if a is not None and a.dtype.kind == "f"]
    if not kinds:
        return [*sizes]
    eps = max(float(np.finfo(kind).eps) for kind in kinds)
    known, rng, largest = apply(*inputs), np.random.default_rng(0), [0.0] * len(sizes)
    for __ in range(DRAWS):
        others = apply(
            *[
                a * (1 + eps * rng.choice([-1.0, 1.0], a.shape))
                if a.dtype.kind == "f"
                else a
                for a in inputs
            ]
        )
        for i, (a, b) in enumerate(zip(known, others)):
            if a.dtype.kind == "f" and a.shape == b.shape:
                apart = np.abs(a - b)
                apart = apart[np.isfinite(apart)]
                largest[i] = max(largest[i], float(apart.max(initial=0.0)))
    return [np.maximum(np.abs(a), most / eps) for a, most in zip(sizes, largest)]


def _several(result: Any) -> Sequence[Array]:
    return [np.asarray(a) for a in (result if isinstance(result, tuple) else (result,))]


def _unequal(shown: Array | None, exact: Array) -> float:
    same = shown is None or np.array_equal(
        shown, exact, equal_nan=exact.dtype.kind == "f"
    )
    return 0.0 if same else math.inf


def _terms(inputs: Sequence[Array], results: Sequence[Array]) -> float:
    """Return the number of terms summed in an element of a node's result."""
    floats = [a.size for a in inputs if a.dtype.kind == "f" and a.size]
    whole = math.prod(floats) / max(max([a.size for a in results]), 1)
    return max(whole ** (1 / max(len(floats), 1)) if len(floats) < 3 else whole, 1.0)


def _along(node: Node, inputs: Sequence[Array]) -> float:
    """Return the number of steps of a node's running sum or product, else 1."""
    axis = node.attrs.get("axis")
    return inputs[0].shape[axis] if isinstance(axis, int) and inputs else 1.0


def _share(shown: Array | None, exact: Array, sizes: Array, terms: float) -> float:
    """Return an array's largest error against an exact one, relative to the allowed."""
    if shown is None:
        return 0.0
    if shown.dtype.kind != "f":
        return _unequal(shown, exact)
    kind = np.finfo(shown.dtype)
    known = shown.astype(np.float64)
    large = np.abs(exact) > float(kind.max)  # which overflows, rightly
    gap = np.where(large | (known == exact), 0.0, np.abs(known - exact))
    gap = np.where(np.isnan(known) & np.isnan(exact), 0.0, gap)
    size = np.maximum(np.abs(sizes), np.abs(exact))
    allowed = (LAST_PLACES + OF_SUMS * math.sqrt(terms - 1)) * float(kind.eps) * size
    allowed = np.where(np.isfinite(allowed), allowed, 0.0) + 4 * float(kind.tiny)
    share = gap / allowed
    return float(np.max(np.where(np.isfinite(share), share, math.inf), initial=0.0))
