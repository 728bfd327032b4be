"""Checks of axes, sizes and shapes in the arguments of tensor functions."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, AxisError, ShapeError
from chainrule.graph.types import Dim, Shape, SymbolicDim, size_of
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext
from chainrule.util import validation

Dims = int | Sequence[int] | None


def axis_of(shape: Shape, dim: Any) -> int:
    """Check a tensor function's axis, and return it counted from 0; −1 is the last."""
    rank = len(shape)
    if not isinstance(dim, int | np.integer) or isinstance(dim, bool):
        raise ArgumentError(
            _("An axis is named by its number."),
            expected=_(
                "an integer such as -1 for the last one, or several in a "
                "tuple where several are taken"
            ),
            got=f"{dim!r:.80}",
        )
    if not -rank <= dim < rank:
        raise AxisError(
            _("Axis {dim} does not exist.", dim=dim),
            expected=f"−{rank} … {rank - 1}" if rank else _("no axis: it is a scalar"),
            got=_("{dim} for shape {shape}", dim=dim, shape=show(shape)),
        )
    return int(dim) % rank


def axes_of(shape: Shape, dim: Any) -> tuple[int, ...]:
    """Check a tensor function's axes; return them counted from 0; None means all."""
    if dim is None:
        return tuple(range(len(shape)))
    if not shape:  # a scalar has the axes 0 and −1, where axes are named
        return axes_of((1,), dim)[:0]
    if type(dim) is int:
        return (axis_of(shape, dim),)
    dims = dim if isinstance(dim, Sequence) else (dim,)
    axes = tuple(sorted([axis_of(shape, d) for d in dims]))
    if len(set(axes)) < len(axes):
        raise ShapeError(
            _("An axis is reduced once."),
            expected=_("axes that differ"),
            got=_("{dim} for shape {shape}", dim=dim, shape=show(shape)),
        )
    return axes


def numbers_of(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return sizes or axes that a function gets as ``f(2, 3)`` or as ``f((2, 3))``."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments


def shape_of(
    arguments: Any, what: str = _("A shape consists of sizes."), least: int = 0
) -> Shape:
    """Check a shape passed to a function as ``f(2, 3)``, ``f((2, 3))`` or ``f(2)``.

    Args:
        arguments: the sizes.
        what: the first sentence of the error.
        least: −1 where that stands for a size that follows from others.
    """
    sizes = numbers_of(arguments if isinstance(arguments, tuple) else (arguments,))
    shape: list[Dim] = []
    for d in sizes:
        if isinstance(d, SymbolicDim):
            shape.append(d)
            continue
        try:
            size = least - 1 if isinstance(d, bool) else operator.index(d)
        except TypeError:
            size = least - 1
        if size < least:
            raise ShapeError(
                what,
                expected=_("integers ≥ 0, or −1 for what follows from the others")
                if least
                else _("integers ≥ 0, such as (2, 3)"),
                got=f"{arguments!r:.80}",
            )
        shape.append(size)
    return tuple(shape)


def whole(name: str, value: Any, *, least: int | None = None) -> int:
    """Check a tensor function's whole number, such as an offset, and return it."""
    if type(value) is int and (least is None or value >= least):
        return value
    return validation.whole(name, value, least=least)


def fill(shape: Shape, wanted: tuple[Any, ...]) -> Shape:
    """Return a new shape of a tensor, with its −1 replaced by the implied size."""
    for d in wanted:
        if type(d) is not int or d < 0:
            break
    else:
        return wanted
    wanted = shape_of(wanted, _("reshape takes sizes."), least=-1)
    if wanted.count(-1) > 1:
        raise ShapeError(_("reshape takes one −1 at most."), got=str(wanted))
    if -1 not in wanted:
        return tuple([d if isinstance(d, SymbolicDim) else int(d) for d in wanted])
    known = size_of(tuple([d for d in wanted if d != -1]))
    total = size_of(shape)
    if isinstance(total, int) and isinstance(known, int):
        if known == 0 or total % known:
            raise ShapeError(
                _(
                    "{shape} does not reshape to {wanted}.",
                    shape=show(shape),
                    wanted=wanted,
                ),
                expected=_("a multiple of {known} elements", known=known),
                got=ngettext("{n} element", "{n} elements", n=total),
            )
        free: Dim = total // known
    else:
        free = (
            total if isinstance(total, SymbolicDim) else SymbolicDim(factor=total)
        ) // known
    return tuple([free if d == -1 else d for d in wanted])
