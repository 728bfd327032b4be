"""Tensor functions that cut tensors into pieces, which are views as in PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.room import check_room
from chainrule.operations import diagonals, movement
from chainrule.operations.arguments import axis_of, shape_of, whole
from chainrule.operations.indexing import indexed, narrowed
from chainrule.operations.op import Viewed, op
from chainrule.operations.operands import TensorBase, as_array, value_of
from chainrule.operations.shapes import cut, fixed_size, squeezed
from chainrule.operations.views import INDEX, NARROW, item, key_along
from chainrule.primitives.movement import copy
from chainrule.primitives.rules import show
from chainrule.text import _

# -- lengths --------------------------------------------------------------------------


def _pieces(x: Value, lengths: Sequence[int], axis: int) -> tuple[Viewed, ...]:
    """Return views of a tensor: consecutive pieces of given lengths along an axis."""
    ends = itertools.accumulate(lengths)
    return tuple(
        _piece(x, axis, end - length, end) for length, end in zip(lengths, ends)
    )


def _piece(x: Value, axis: int, start: int, end: int) -> Viewed:
    key = key_along(axis, slice(start, end))
    return Viewed(cut(x, axis, start, end), INDEX, (key,))


@op
def split(
    x: Value, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Viewed, ...]:
    """Split a tensor along ``dim`` into pieces of one given length, or of several.

    The last piece may be shorter. As in PyTorch, an integer is a piece's length;
    :meth:`chunk` takes how many pieces.
    """
    lengths = split_size_or_sections
    axis = axis_of(x.shape, dim)
    size = fixed_size(x, axis)
    if isinstance(lengths, int):
        if lengths < 1:
            raise ArgumentError(
                _("Pieces have a length."), expected=_("at least 1"), got=str(lengths)
            )
        lengths = [min(lengths, size - at) for at in range(0, size, lengths)] or [0]
    rule = _("Pieces have a length, or a length each.")
    given = tuple(lengths) if isinstance(lengths, list) else lengths
    many: tuple[Any, ...] = shape_of(given, rule)
    if sum(many) != size or min(many, default=0) < 0:
        raise ShapeError(
            _("The pieces must make up the axis."),
            expected=_("lengths ≥ 0 that add up to {size}", size=size),
            got=f"{list(many)}"[:80],
        )
    return _pieces(x, many, axis)  # type: ignore[arg-type]


@op
def chunk(x: Value, chunks: int, dim: int = 0) -> tuple[Viewed, ...]:
    """Split a tensor along ``dim`` into ``chunks`` pieces; the last may be shorter."""
    axis = axis_of(x.shape, dim)
    if not isinstance(chunks, int) or chunks < 1:
        raise ArgumentError(
            _("Chunks are counted."), expected=_("at least 1"), got=f"{chunks!r:.40}"
        )
    return split(x, max(-(-fixed_size(x, axis) // chunks), 1), axis)


@op("unstack")
def unbind(x: Value, dim: int = 0) -> tuple[Viewed, ...]:
    """Return the slices of a tensor along ``dim`` as tensors without that axis."""
    axis = axis_of(x.shape, dim)
    size = fixed_size(x, axis)
    return tuple(
        Viewed(squeezed(cut(x, axis, i, i + 1), axis), INDEX, (key_along(axis, i),))
        for i in range(size)
    )


@op
def narrow(x: Value, dim: int, start: Any, length: int) -> Viewed:
    """Return ``length`` elements of x along ``dim`` from ``start``, maybe a tensor."""
    axis, first = axis_of(x.shape, dim), value_of(start)
    size, (block,) = x.shape[axis], shape_of(length, _("A block has a length."))
    length = int(block)
    known = first.array if first.dtype.is_integer and not first.shape else None
    if known is not None and isinstance(size, int):
        begin = int(known) + size * (int(known) < 0)
        if 0 <= begin <= size - length:
            key = key_along(axis, slice(begin, begin + length))
            return Viewed(indexed(x, key), INDEX, (key,))
    result = narrowed(x, axis, first, length)
    return Viewed(result, NARROW, (axis, first, length))


@op
def select(x: Value, dim: int, index: Any) -> Any:
    """Return the slice of a tensor at ``index`` along ``dim``, without that axis."""
    return item(x, key_along(axis_of(x.shape, dim), index))


# -- counts and ends ------------------------------------------------------------------


@op
def split_with_sizes(
    x: Value, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Viewed, ...]:
    """Split a tensor along ``dim`` into pieces of given lengths."""
    return split(x, [*split_sizes], dim)


@op
def tensor_split(
    x: Value, indices_or_sections: Any, dim: int = 0
) -> tuple[Viewed, ...]:
    """Split a tensor along ``dim`` into so many pieces, or before given indices.

    Args:
        x: with an axis.
        indices_or_sections: how many pieces, of which the first may be longer by one;
            or the indices at which pieces begin.
        dim: the axis.

    >>> import chainrule as cr
    >>> cr.tensor_split(cr.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    axis, given = axis_of(x.shape, dim), indices_or_sections
    size = fixed_size(x, axis)
    if isinstance(given, TensorBase):
        given = value_of(given)
        given = as_array(given.array).tolist() if given.array is not None else given
    if isinstance(given, tuple | list):
        ends = [slice(whole("indices", n)).indices(size)[1] for n in given]
        ends = [*ends, size]
    else:
        sections = whole("sections", given, least=1)
        check_room((sections,), 64)  # of views, each a piece
        length, longer = divmod(size, sections)
        ends = [i * length + min(i, longer) for i in range(1, sections + 1)]
    starts = [0, *ends[:-1]]
    return tuple(
        _piece(x, axis, start, max(start, end)) for start, end in zip(starts, ends)
    )


def _evenly(
    x: Value, indices_or_sections: Any, axis: int, least: int, name: str
) -> tuple[Viewed, ...]:
    """Return :func:`tensor_split` into pieces of one length."""
    if len(x.shape) < least:
        raise ShapeError(
            _("{name} splits tensors of more axes.", name=name),
            expected=_("at least {least}", least=least),
            got=show(x.shape),
        )
    size, many = fixed_size(x, axis), indices_or_sections
    if isinstance(many, int) and (many < 1 or size % many):
        raise ShapeError(
            _("{name} splits into pieces of one length.", name=name),
            expected=_("a divisor of {size}", size=size),
            got=str(many),
            fix="cr.tensor_split(x, …)",
        )
    return tensor_split(x, many, axis)


@op
def hsplit(x: Value, indices_or_sections: Any) -> tuple[Viewed, ...]:
    """Split a tensor along its second axis, a vector along its only one."""
    axis = int(len(x.shape) > 1)
    return _evenly(x, indices_or_sections, axis, 1, "hsplit")


@op
def vsplit(x: Value, indices_or_sections: Any) -> tuple[Viewed, ...]:
    """Split a tensor along its first axis; it has two at least."""
    return _evenly(x, indices_or_sections, 0, 2, "vsplit")


@op
def dsplit(x: Value, indices_or_sections: Any) -> tuple[Viewed, ...]:
    """Split a tensor along its third axis."""
    return _evenly(x, indices_or_sections, 2, 3, "dsplit")


# -- copies of views ------------------------------------------------------------------


def _with_copy(function: Callable[..., Any], name: str) -> None:
    """Declare the function whose results are copies of what another's views show."""

    @wraps(function)
    def copied(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, Viewed):
            return copy(result.value)
        return tuple([copy(piece.value) for piece in result])

    copied.__doc__ = f"Return copies of what :meth:`{name}` of a tensor shows."
    copied.__module__ = __name__
    returns = function.__annotations__["return"].replace("Viewed", "Value")
    copied.__annotations__ = {**function.__annotations__, "return": returns}
    op(name=f"{name}_copy", method=name == "narrow")(copied)


for _viewing in (
    *(movement.expand, movement.permute, movement.squeeze, movement.t),
    *(movement.transpose, movement.unsqueeze, movement.view, movement.unfold),
    *(diagonals.diagonal, narrow, select, split, split_with_sizes, unbind),
):
    _with_copy(_viewing, _viewing.__name__)
