"""A piece: a graph compiled to machine code, for eager calls with arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from chainrule.engines import load_engine, native_problem
from chainrule.engines.threads import RunLock
from chainrule.errors import EngineError
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import DERIVATIVES, Primitive
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, Sizes
from chainrule.util.bounded import Bounded

#: So many pieces are kept of each kind, and so many kinds of calls that lead to them.
PIECES, CALLS = 128, 512

#: A window slides over as many axes or more: sequences are NumPy's, since their lengths
#: differ from batch to batch.
AXES = 2


class _Switch:
    """The switch of machine code for eager calls, of the whole process."""

    enabled: bool = True


switch = _Switch()


@functools.cache
def is_available() -> bool:
    """Return whether the native engine can run here."""
    return native_problem() is None


def allowed() -> bool:
    """Return whether eager calls may run pieces here and now."""
    return switch.enabled and is_available() and "raise" not in np.geterr().values()


#: The largest array whose memory glibc's malloc ever keeps for the next one, less what
#: it needs for itself.
_KEPT = (32 << 20) - (1 << 16)


@functools.cache
def keep_memory() -> None:
    """Have the C library keep the memory of freed arrays, once in a process.

    A step frees arrays that the next one allocates again. Where their memory goes back
    to the system, it comes back page by page, and in a step of a small convolutional
    network that takes longer than its convolutions. glibc's malloc learns from the
    largest array that it frees: from then on arrays up to that size stay in its heap,
    and of free memory at the heap's end it keeps twice as much. So it is shown one,
    which is never written to and so takes no memory. Other C libraries do not mind.
    """
    with suppress(MemoryError):  # of a process that may not have as much
        np.empty(_KEPT, np.uint8)


class Piece:
    """A graph as machine code, called with arrays.

    Attributes:
        places: of a derivative, the inputs whose cotangents it gives.
    """

    def __init__(self, graph: Graph, places: Sequence[int] = ()) -> None:
        keep_memory()
        self.places = tuple(places)
        self._names = tuple([v.name or "" for v in graph.inputs])
        entry = Entry(graph.name, graph, self._names, (), (), {}, len(graph.outputs))
        self._entry, self._lock = graph.name, RunLock()
        self._executable = load_engine("native", Program({graph.name: entry}))

    def __call__(self, arrays: Sequence[Array], sizes: Sizes) -> list[Array] | None:
        """Return a piece's outputs; None within a signal's handler that stopped it."""
        inputs = dict(zip(self._names, arrays, strict=True))
        try:
            return self._lock.run(self._run, inputs, sizes)
        except EngineError:
            return None

    def _run(self, inputs: dict[str, Array], sizes: Sizes) -> list[Array]:
        return self._executable.run(self._entry, inputs, steps=None, sizes=sizes)


class Pieces:
    """The pieces of one kind of calls.

    Attributes:
        by_call: pieces by all that may differ between two calls.
        by_types: pieces by what another piece is compiled for, which is less.
    """

    def __init__(self) -> None:
        self.by_call: Bounded[Any, Piece] = Bounded(CALLS)
        self.by_types: Bounded[Any, Piece] = Bounded(PIECES)

    def known(self, key: Any, make: Callable[[], Piece]) -> Piece:
        """Return the piece of a key, compiled where there is none."""
        piece = self.by_types.get(key)
        if piece is None:
            piece = self.by_types[key] = make()
        return piece


def forward_piece(
    primitive: Any, types: Sequence[ArrayType], attrs: dict[str, Any]
) -> Piece:
    """Return the piece that computes a primitive for these types."""
    name = primitive.name
    return Piece(trace(lambda *values: primitive(*values, **attrs), types, name=name))


def backward_piece(
    primitive: Primitive,
    types: Sequence[ArrayType],
    attrs: dict[str, Any],
    present: Sequence[bool],
    needed: Sequence[bool],
    *,
    outputs: bool,
) -> Piece:
    """Return the piece that computes the cotangents of a primitive's inputs.

    Args:
        primitive, types, attrs: what was computed.
        present: which outputs have cotangents; the piece takes these, and the inputs.
        needed: which inputs have cotangents.
        outputs: whether the piece takes the outputs too, between the two.
    """
    places: list[int] = []
    results = primitive.output_types(types, attrs)

    def function(*values: Value) -> list[Value]:
        rest = iter(values)
        gs = tuple([next(rest) if there else None for there in present])
        ys = tuple([next(rest) for __ in results]) if outputs else ()
        inputs = tuple(rest)
        cotangents: Sequence[Cotangent] = DERIVATIVES[primitive](
            gs, ys, inputs, tuple(needed), **attrs
        )
        wanted = zip(needed, cotangents, strict=True)
        found = {i: g for i, (need, g) in enumerate(wanted) if need and g is not None}
        places[:] = found
        return list(found.values())

    of = [t for t, there in zip(results, present) if there]
    of += [*(results if outputs else ()), *types]
    graph = trace(function, of, name=f"{primitive.name}_vjp", tracked=True)
    return Piece(graph, places)


def cotangents_of(
    piece: Piece, results: Sequence[Array], inputs: Sequence[Value]
) -> list[Cotangent]:
    """Return a derivative's results as the cotangents of all inputs."""
    cotangents: list[Cotangent] = [None] * len(inputs)
    for place, array in zip(piece.places, results, strict=True):
        cotangents[place] = Value(array.reshape(inputs[place].shape))
    return cotangents
