"""Vectorisation over samples: ``vmap``, a function of one sample for many at once.

The function is traced for one sample; the graph is then computed for all of them, node
by node (:mod:`chainrule.graph.batching`). In eager code that computes at once, within a
trace it records, and derivatives of it are taken as of anything else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, TypeVar, overload

from chainrule.errors import ArgumentError, ChainruleError, GraphError, ShapeError
from chainrule.graph.batching import graph_of_samples, moved, repeated
from chainrule.graph.body import BodyTrace, refuse_escaped
from chainrule.graph.context import context, within
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, Shape, as_number
from chainrule.primitives.movement import concatenate, section
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.transforms.signatures import Transformed
from chainrule.util.blocks import settled
from chainrule.util.pytree import flatten, unflatten

__all__ = ["vmap"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Transformed)
RANDOMNESS = ("error", "different", "same")


@dataclass
class _Draws:
    """The random draws of one call of a vectorised function.

    Attributes:
        randomness: as for :func:`vmap`.
        same: what was drawn for all samples; each chunk of them goes through it anew.
        place: the next of them.
    """

    randomness: str
    same: list[Tensor] = field(default_factory=list[Tensor])
    place: int = 0


class SampleTrace(BodyTrace):
    """The trace of a function for one sample, of which there will be many.

    Attributes:
        size: the number of samples.
        drawn: what was drawn for each sample: the inputs for one and for all of them.
    """

    def __init__(self, inputs: Sequence[Value], size: Dim, draws: _Draws) -> None:
        super().__init__(inputs)
        self.around = context.trace
        self.size, self.draws = size, draws
        self.drawn: list[tuple[Value, Value]] = []
        self.arguments: dict[int, Tensor] = {}

    def note_change(self, tensor: Any) -> None:
        here = tensor._value
        if id(tensor) in self.arguments or (
            here.array is None and id(here) not in self.own
        ):
            raise self._state(_("changes a tensor from outside"), _("x = x.clone()"))

    def draw(self, shape: Shape, bits: Callable[[Shape], Tensor]) -> Tensor:
        """Return random bits for one sample: refused, its own, or those of all."""
        if self.draws.randomness == "error":
            raise GraphError(
                _("The function of vmap draws random numbers."),
                expected=_("a choice: numbers for each sample, or the same for all"),
                got="randomness='error'",
                fix="randomness='different', randomness='same'",
            )
        with within("trace", self.around):
            if self.draws.randomness == "different":
                shape = (self.size, *shape)
                words = self._outer_bits(shape, bits)
            else:
                same = self.draws.same
                if self.draws.place == len(same):
                    same.append(self._outer_bits(shape, bits))
                words = same[self.draws.place]
                self.draws.place += 1
            value = words.value
        if self.draws.randomness == "same":
            return wrap(self.operand(value))
        one = Value(None, shape[1:], value.dtype)
        self.own[id(one)] = one
        self.drawn.append((one, value))
        return wrap(one)

    def _outer_bits(self, shape: Shape, bits: Callable[[Shape], Tensor]) -> Tensor:
        return bits(shape) if self.around is None else self.around.draw(shape, bits)

    def _state(self, does: str, instead: str) -> GraphError:
        return GraphError(
            _("The function of vmap {does}.", does=does),
            expected=_("a function of its arguments that returns what is new"),
            got=_(
                "a change in place, a layer that keeps statistics in training, an "
                "optimiser's step or backward() within it"
            ),
            fix=_(
                "return the new numbers and change the tensor outside; model.eval() "
                "for batch normalisation; cr.grad for derivatives"
            ),
        )


@overload
def vmap(
    function: F,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: Literal["error", "different", "same"] = "error",
    *,
    chunk_size: int | None = None,
) -> F: ...
@overload
def vmap(
    function: Callable[P, R],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: Literal["error", "different", "same"] = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[P, R]: ...
def vmap(
    function: Callable[P, Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: Literal["error", "different", "same"] = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[P, Any]:
    """Vectorise a function over a further axis of its arguments, without a loop.

        vmap(f)(x)ᵢ = f(xᵢ)    for each sample i

    The function is written for one sample. It is traced once, and each operation of it
    is applied to all samples at once. Derivatives within and around it are as of any
    function: ``vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)`` is the
    gradient for each sample.

    Args:
        function: of tensors and nests of them; returns a tensor or a nest of them.
            Tensors that it finds outside are the same for all samples.
        in_dims: the axis of the samples in each argument: a number for all, or a tuple
            with an entry for each; an entry may be a nest like its argument. None: the
            argument is the same for all samples, and need not be a tensor. Arguments
            by name are such.
        out_dims: the axis of the samples in each result, alike; None for a result that
            is the same for all samples.
        randomness: what a random draw in the function does: "error" refuses it,
            "different" draws for each sample, "same" once for all.
        chunk_size: how many samples are computed at once, where memory is short; all
            by default.

    Raises:
        ArgumentError: in_dims or out_dims that do not fit; no argument with samples.
        ShapeError: arguments with different numbers of samples, or without that axis.
        GraphError: a function that changes tensors from outside, or draws random
            numbers where ``randomness`` is "error".

    Source: JAX's ``vmap``, PyTorch's ``torch.func.vmap``.

    >>> import chainrule as cr
    >>> x, y = cr.tensor([[1.0, 2.0], [3.0, 4.0]]), cr.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> cr.vmap(cr.dot)(x, y)
    tensor([1., 4.])
    >>> cr.vmap(cr.grad(lambda w, x: (w * x).sum() ** 2), in_dims=(None, 0))(x[0], x)
    tensor([[10., 20.],
            [66., 88.]])
    """
    if randomness not in RANDOMNESS:
        raise ArgumentError(
            _("vmap does not know this randomness."),
            expected=", ".join(map(repr, RANDOMNESS)),
            got=repr(randomness),
        )
    if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
        raise ArgumentError(
            _("A chunk of vmap has at least one sample."),
            expected=_("a whole number ≥ 1, or None"),
            got=repr(chunk_size),
        )

    @functools.wraps(function)
    @settled
    def vectorised(*args: P.args, **kwargs: P.kwargs) -> Any:
        leaves, structure = flatten(args)
        dims = _axes("in_dims", in_dims, args, leaves)
        values, size = _samples(leaves, dims)
        draws = _Draws(randomness)

        def one(*items: Any) -> Any:
            return function(*unflatten(structure, items), **kwargs)

        if chunk_size is None:
            return _vectorised(one, leaves, values, size, out_dims, draws)
        if not isinstance(size, int):
            raise ShapeError(
                _("vmap makes chunks of a fixed number of samples."),
                expected=_("an axis of fixed length"),
                got=str(size),
                fix=_("leave chunk_size out; {other}", other=as_number(size)),
            )
        parts: list[Any] = []
        for start in range(0, max(size, 1), chunk_size):
            stop = min(start + chunk_size, size)
            chunk = {i: section(v, 0, start, stop) for i, v in values.items()}
            draws.place = 0
            parts.append(_vectorised(one, leaves, chunk, stop - start, out_dims, draws))
        return _joined(parts, out_dims)

    return vectorised


def _vectorised(
    function: Callable[..., Any],
    leaves: Sequence[Any],
    values: dict[int, Value],
    size: Dim,
    out_dims: Any,
    draws: _Draws,
) -> Any:
    """Call a function with some of its arguments' leaves for one sample, for all."""
    inputs = [
        Value(None, v.shape[1:], v.dtype, tracked=v.tracked) for v in values.values()
    ]
    inner = SampleTrace(inputs, size, draws)
    arguments = list(leaves)
    with within("trace", inner):
        for i, value in zip(values, inputs):
            arguments[i] = wrap(value)
            inner.arguments[id(arguments[i])] = arguments[i]
        result = function(*arguments)
        results, structure = flatten(result)
        outputs = [inner.operand(_tensor(r).value) for r in results]
    captured = list(inner.outside.values())
    every = [
        *((one, outer, False) for outer, one in captured),
        *((one, drawn, True) for one, drawn in inner.drawn),
        *((one, value, True) for one, value in zip(inputs, values.values())),
    ]
    graph = Graph("vmap", [one for one, __, __ in every], outputs)
    refuse_escaped(graph)
    whole = graph_of_samples(
        graph, [v for __, v, __ in every], [b for *__, b in every], size
    )
    dims = _axes("out_dims", out_dims, result, results)
    placed = [
        wrap(_placed(value, batched, dim, size))
        for (value, batched), dim in zip(whole, dims)
    ]
    return unflatten(structure, placed)


def _tensor(result: Any) -> Tensor:
    if isinstance(result, Tensor | int | float):
        return as_tensor(result)
    raise ArgumentError(
        _("The function of vmap returns tensors, or nests of them."),
        expected=_("tensors, tuples, lists and dictionaries of them"),
        got=f"{result!r:.80}",
    )


def _placed(value: Value, batched: bool, dim: int | None, size: Dim) -> Value:
    """Return a result with the axis of the samples where ``out_dims`` has it."""
    if dim is None:
        if batched:
            raise ArgumentError(
                _("A result of vmap differs from sample to sample."),
                expected=_("an axis for it"),
                got="out_dims=None",
                fix="out_dims=0",
            )
        return value
    value = value if batched else repeated(value, size)
    to = _axis("out_dims", dim, value.shape)
    return value if to == 0 else moved(value, 0, to)


def _axis(name: str, dim: int, shape: Shape) -> int:
    rank = len(shape)
    if not -rank <= dim < rank:
        raise ShapeError(
            _("{name} of vmap names an axis that is not there.", name=name),
            expected=_("from {low} to {high}", low=-rank, high=rank - 1)
            if rank
            else _("None: a single number has no axis"),
            got=_("{dim} for the shape {shape}", dim=dim, shape=show(shape)),
        )
    return dim % rank


# -- where the samples are -------------------------------------------------------------


def _axes(name: str, dims: Any, nest: Any, leaves: Sequence[Any]) -> list[Any]:
    """Return the axis of the samples for each leaf of a nest; dims is its prefix."""
    found = list(_spread(name, dims, nest))
    assert len(found) == len(leaves)
    return found


def _spread(name: str, dims: Any, nest: Any) -> Iterator[Any]:
    if dims is None or type(dims) is int:
        yield from [dims] * len(flatten(nest)[0])
        return
    pairs: list[tuple[Any, Any]] | None = None
    if isinstance(dims, dict) and isinstance(nest, dict) and dims.keys() == nest.keys():
        pairs = [(dims[k], part) for k, part in nest.items()]
    elif isinstance(dims, tuple | list) and isinstance(nest, tuple | list):
        if len(dims) == len(nest):
            pairs = list(zip(dims, nest))
    elif isinstance(dims, tuple | list) and len(dims) == 1 and name == "out_dims":
        pairs = [(dims[0], nest)]
    if pairs is None:
        raise ArgumentError(
            _("{name} of vmap does not fit the nest that it is for.", name=name),
            expected=_(
                "a whole number, None, or a nest of them like {nest}",
                nest=_written(nest),
            ),
            got=repr(dims),
        )
    for part in pairs:
        yield from _spread(name, *part)


def _written(nest: Any) -> str:
    leaves, structure = flatten(nest)
    return repr(unflatten(structure, [0] * len(leaves)))[:80]


def _samples(
    leaves: Sequence[Any], dims: Sequence[Any]
) -> tuple[dict[int, Value], Dim]:
    """Return the leaves with samples, now along their first axis, and their number."""
    values: dict[int, Value] = {}
    for i, (leaf, dim) in enumerate(zip(leaves, dims)):
        if dim is None:
            continue
        if not isinstance(leaf, Tensor):
            try:
                leaf = None if isinstance(leaf, int | float) else as_tensor(leaf)
            except ChainruleError:
                leaf = None
        if leaf is None:
            raise ArgumentError(
                _("vmap takes samples from tensors."),
                expected=_("a tensor, or None for it in in_dims"),
                got=f"{leaves[i]!r:.60}, in_dims={dim}",
                fix=_("in_dims=(0, None), with None for what all samples share"),
            )
        value = leaf.value
        axis = _axis("in_dims", dim, value.shape)
        values[i] = value if axis == 0 else moved(value, axis, 0)
    if not values:
        raise ArgumentError(
            _("vmap has no argument with samples."),
            expected=_("an axis for at least one tensor"),
            got=_("None for all of them, or no argument"),
            fix="in_dims=0",
        )
    sizes = list(dict.fromkeys(v.shape[0] for v in values.values()))
    if len(sizes) > 1:
        raise ShapeError(
            _("The arguments of vmap have different numbers of samples."),
            expected=_("one number along the axes of in_dims"),
            got=", ".join(map(str, sizes)),
        )
    return values, sizes[0]


def _joined(parts: Sequence[Any], out_dims: Any) -> Any:
    """Return the results of all chunks, one behind the other."""
    leaves, structure = flatten(parts[0])
    dims = _axes("out_dims", out_dims, parts[0], leaves)
    columns = zip(*(flatten(part)[0] for part in parts))
    joined: list[Any] = []
    for column, dim in zip(columns, dims):
        values = [t.value for t in column]
        if dim is None:
            joined.append(column[0])
            continue
        axis = _axis("out_dims", dim, values[0].shape)
        joined.append(wrap(concatenate(*values, axis=axis)))
    return unflatten(structure, joined)
