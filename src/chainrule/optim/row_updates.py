"""Updates of the rows of a table that have a gradient, and of no others.

``nn.Embedding(…, sparse=True)`` has such gradients. Equal indices are added up first,
then the rows and their moments are read, updated and put back: O(rows) work, whatever
the size of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from chainrule.composites.embedding import (
    RowGradient,
    by_row,
    is_padding,
    row_gradient,
)
from chainrule.errors import ArgumentError, DTypeError, GradientError, ShapeError
from chainrule.graph.context import context, scope
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim, size_of
from chainrule.optim.groups import LIMITS
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, convert, equal, maximum, sub, where
from chainrule.primitives.indexing import put_rows, scatter_add, take
from chainrule.primitives.movement import concatenate, full, full_like, reshape
from chainrule.primitives.reduce import cumsum
from chainrule.primitives.sorting import argsort
from chainrule.tensor import Tensor, wrap
from chainrule.text import _


class Rows(NamedTuple):
    """A gradient of rows: indices (n,), their gradients (n, …), and which are held.

    Attributes:
        indices: int64.
        gradients: of each row, whole: equal indices have equal ones.
        sums: the same, but each different index has one row, and the others are 0.
        held: of each index, whether its row is not trained: it was looked up as padding
            alone. None where no lookup has a padding.
    """

    indices: Value
    gradients: Value
    sums: Value
    held: Value | None

    def of(self, table: Value) -> Value:
        """Return the rows of a table, or of its moments, that have a gradient."""
        return take(table, self.indices)

    def kept(self, old: Value, new: Value) -> Value:
        """Return new rows, but the old ones of those that are held."""
        return new if self.held is None else where(by_row(self.held, new), old, new)


class RowChange(NamedTuple):
    """Rows that a step puts into a tensor."""

    indices: Value
    rows: Value

    def into(self, t: Tensor) -> None:
        """Put the rows into a tensor, in place where nothing else shows its numbers."""
        rows: Any = self.rows.array
        if context.trace is None and t._write(self.indices.array, rows):
            return
        t.copy_(wrap(put_rows(t.value, self.indices, self.rows)))


def is_of_rows(gradient: Value) -> bool:
    """Return whether a gradient is that of a table's rows alone."""
    return bool(_parts(gradient))


def rows_of(gradient: Value) -> Rows:
    """Return a gradient of rows alone, those of equal indices added up."""
    indices, updates, paddings = zip(*_parts(gradient))
    width = gradient.shape[1:]
    flat = [reshape(i, shape=(size_of(i.shape),)) for i in indices]
    flat = [convert(i, dtype=DType.int64) for i in flat]
    rows = [reshape(g, shape=(*i.shape, *width)) for i, g in zip(flat, updates)]
    together = _joined(flat), _joined(rows)
    group, sums = _summed(*together)
    held = _held(flat, paddings, together[0], group)
    return Rows(together[0], take(sums, group), sums, held)


def _held(
    parts: list[Value], paddings: Sequence[int], indices: Value, group: Value
) -> Value | None:
    """Return which indices no lookup trains; None where each trains all of its own.

    Args:
        parts: the indices of each lookup.
        paddings: the padding of each, or −1.
        indices: all of them.
        group: the number of each among those that differ.
    """
    if max(paddings) < 0:
        return None
    if len(set(paddings)) == 1:
        return is_padding(indices, paddings[0])
    pads = [
        convert(is_padding(i, padding), dtype=DType.int64)
        for i, padding in zip(parts, paddings)
    ]
    trained = [sub(full_like(pad, 1), pad) for pad in pads]
    counts = scatter_add(full_like(indices, 0), group, _joined(trained))
    own = take(counts, group)
    return equal(own, full_like(own, 0))


def rows_by_name(optimizer: Any, gradients: Mapping[str, Value]) -> dict[str, Rows]:
    """Return the gradients that are of rows alone, where an optimiser takes them.

    Raises:
        ArgumentError: the optimiser changes all rows, or is asked to.
        DTypeError: a table of bfloat16, where it takes rows alone.
        GradientError: one of all elements, where it takes rows alone.
    """
    kind, rows = type(optimizer).__name__, {}
    clips = any(optimizer.defaults.get(name) is not None for name in LIMITS)
    options = {n: g.current() for g in optimizer.param_groups for n in g.names}
    for name, gradient in gradients.items():
        if is_of_rows(gradient):
            takes = optimizer.rows_alone != "never"
            _check_sparse(kind, options[name], takes=takes, clips=clips)
            with scope(name.rpartition(".")[0]):
                rows[name] = rows_of(gradient)
        elif optimizer.rows_alone == "only":
            _refuse_narrow(kind, name, optimizer.params.get(name))
            raise _of_all_elements(kind, name)
    return rows


def _refuse_narrow(kind: str, name: str, table: Tensor | None) -> None:
    """Refuse a table of bfloat16, whose gradients are rounded as a whole."""
    if table is not None and table.dtype is DType.bfloat16:
        raise DTypeError(
            _("{kind} takes tables of float32 or float64.", kind=kind),
            expected="float32 or float64",
            got=_("{dtype} of {name}", dtype=table.dtype.name, name=name),
            fix=_("optim.Adam for it, or the table in float32"),
        )


def _parts(gradient: Value) -> list[tuple[Value, Value, int]]:
    """Return the terms of a gradient of rows: indices, rows, padding of each lookup.

    It is none, and so the list is empty, if one of the parts has all elements.
    """
    if isinstance(gradient, RowGradient):
        return [(Value(i), Value(g), padding) for i, g, padding in gradient.parts]
    node = gradient.node
    if node is None:
        return []
    if node.primitive is row_gradient:
        indices, rows = node.inputs
        return [(indices, rows, node.attrs["padding"])]
    parts = [_parts(v) for v in node.inputs] if node.primitive is add else []
    return list(chain(*parts)) if all(parts) else []


def _joined(parts: list[Value]) -> Value:
    """Return arrays one behind another, along their first axis.

    Those of one named size, or of multiples of it, are laid beside each other instead:
    N and 3N together are N times 4.
    """
    if len(parts) == 1:
        return parts[0]
    sizes = [p.shape[0] for p in parts]
    named = [size for size in sizes if isinstance(size, SymbolicDim)]
    if not named:
        return concatenate(*parts, axis=0)
    if len(named) < len(sizes) or len({size.names for size in named}) > 1:
        raise ShapeError(
            _("These lookups of one table have no number of rows together."),
            expected=_("multiples of one size"),
            got=", ".join(map(str, sizes)),
            fix=_("nn.Embedding(…, sparse=False), or fixed sizes"),
        )
    unit, rest = SymbolicDim(*named[0].names), parts[0].shape[1:]
    beside = [reshape(p, shape=(unit, n.factor, *rest)) for p, n in zip(parts, named)]
    shape = (unit * sum(size.factor for size in named), *rest)
    return reshape(concatenate(*beside, axis=1), shape=shape)


def _summed(indices: Value, rows: Value) -> tuple[Value, Value]:
    """Return the number of each index among those that differ, and sums of rows."""
    (n,) = indices.shape
    order = argsort(indices, axis=0, descending=False)
    line = iota(shape=(n,), axis=0, dtype=DType.int64)
    last = maximum(sub(line, full_like(line, 1)), full_like(line, 0))
    ordered = take(indices, order)
    same = convert(equal(ordered, take(ordered, last)), dtype=DType.int64)
    number = cumsum(sub(full_like(same, 1), same), axis=0, reverse=False)
    group = put_rows(full(0, DType.int64, (n,)), order, number)
    return group, scatter_add(full(0.0, rows.dtype, rows.shape), group, rows)


def _check_sparse(kind: str, options: Any, *, takes: bool, clips: bool) -> None:
    """Refuse a gradient of rows where an optimiser has no rule for it."""
    if not takes:
        raise ArgumentError(
            _("{kind} changes all rows of a table at each step.", kind=kind),
            expected=_("a gradient of all rows"),
            got=_("one of rows alone, of nn.Embedding(…, sparse=True)"),
            fix=_("optim.SparseAdam, optim.SGD or optim.Adagrad; or sparse=False"),
        )
    asked = [
        name for name in ("weight_decay", "l1_penalty", "momentum") if options.get(name)
    ]
    if clips:
        asked.append("clip_norm or clip_value")
    if asked:
        raise ArgumentError(
            _("{kind} does this to all rows of a table.", kind=kind),
            expected=_("{name} left out, for a gradient of rows alone", name=asked[0]),
            got=", ".join(asked),
            fix=_("a group of its own for the table, or nn.Embedding(…, sparse=False)"),
        )


def _of_all_elements(kind: str, name: str) -> GradientError:
    """Return the error for a gradient of all elements where rows are needed."""
    return GradientError(
        _("{kind} takes gradients of rows alone.", kind=kind),
        expected=_("tables of nn.Embedding(…, sparse=True), read by index"),
        got=_("a gradient of all elements of {name}", name=name),
        fix=_("optim.Adam for it: two optimisers, a step of each"),
    )
