"""Functions that join, split, move and repeat tensors; matrix products."""

from __future__ import annotations

import builtins
import string
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.functions.elementwise import function, raises_call_error
from chainrule.operations import movement as ops
from chainrule.operations import products
from chainrule.operations.arguments import either, once, whole
from chainrule.operations.operands import broadcast_shapes, filled, value_of
from chainrule.primitives import movement as prims
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _

__all__ = [
    "addmm",
    "bmm",
    "broadcast_arrays",
    "broadcast_to",
    "cat",
    "chunk",
    "concat",
    "concatenate",
    "diag",
    "diagonal",
    "dot",
    "einsum",
    "expand_dims",
    "flatten",
    "flip",
    "gather",
    "hstack",
    "index_select",
    "masked_select",
    "matmul",
    "matrix_transpose",
    "mm",
    "moveaxis",
    "movedim",
    "mv",
    "narrow",
    "outer",
    "pad",
    "permute",
    "permute_dims",
    "repeat_interleave",
    "reshape",
    "roll",
    "scatter",
    "scatter_add",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "take",
    "take_along_axis",
    "tensordot",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
    "unbind",
    "unflatten",
    "unsqueeze",
    "unstack",
    "vecdot",
    "vstack",
]

bmm, mm, mv, dot, outer = map(
    function, (Tensor.bmm, Tensor.mm, Tensor.mv, Tensor.dot, Tensor.outer)
)
chunk, split = function(Tensor.chunk), function(Tensor.split)
unbind = unstack = function(Tensor.unbind)
diag, diagonal, trace = map(function, (Tensor.diag, Tensor.diagonal, Tensor.trace))
tril, triu = function(Tensor.tril), function(Tensor.triu)
flatten, unflatten = function(Tensor.flatten), function(Tensor.unflatten)
moveaxis = movedim = function(Tensor.movedim)
permute = function(Tensor.permute)
transpose = swapaxes = function(Tensor.transpose)
squeeze, unsqueeze = function(Tensor.squeeze), function(Tensor.unsqueeze)
gather, index_select = function(Tensor.gather), function(Tensor.index_select)
scatter, addmm = function(Tensor.scatter), function(Tensor.addmm)
masked_select, narrow = function(Tensor.masked_select), function(Tensor.narrow)
take, scatter_add = function(Tensor.take), function(Tensor.scatter_add)
repeat_interleave = function(Tensor.repeat_interleave)
flip, tile = function(Tensor.flip), function(Tensor.tile)


@raises_call_error
def reshape(
    x: Any, /, *sizes: Any, shape: Any = None, copy: builtins.bool | None = None
) -> Tensor:
    """Return the elements in another shape, in row-major order; one size may be −1.

    >>> reshape(Tensor([1, 2, 3, 4]), (2, -1))
    tensor([[1, 2],
            [3, 4]])
    """
    made = as_tensor(x).reshape(*once("shape", sizes, shape))
    return made.clone() if copy else made


@raises_call_error
def permute_dims(x: Any, /, *dims: Any, axes: Any = None) -> Tensor:
    """Return the axes in another order: axis ``axes[i]`` becomes axis i."""
    return as_tensor(x).permute(*once("axes", dims, axes))


@raises_call_error
def expand_dims(x: Any, /, axis: Any = 0) -> Tensor:
    """Insert an axis of length 1 at ``axis``."""
    return as_tensor(x).unsqueeze(axis)


@raises_call_error
def roll(
    x: Any,
    /,
    shift: Any = None,
    axis: Any = None,
    *,
    shifts: Any = None,
    dims: Any = None,
) -> Tensor:
    """Shift elements along an axis, with wrap-around at the ends.

    >>> roll(Tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    return as_tensor(x).roll(either(shift, shifts), either(axis, dims))


@raises_call_error
def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """Repeat the tensor along missing axes and axes of length 1."""
    return as_tensor(x).broadcast_to(shape)


@raises_call_error
def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """Return the tensors broadcast to their common shape."""
    tensors = [as_tensor(x) for x in arrays]
    shape: Any = ()
    for x in tensors:
        shape = broadcast_shapes(shape, x.shape)
    return [x.broadcast_to(shape) for x in tensors]


@raises_call_error
def concat(
    arrays: Sequence[Any], /, *dims: Any, axis: int | None = 0, dim: int | None = None
) -> Tensor:
    """Concatenate tensors along an axis; ``axis=None`` flattens them first.

    >>> concat([Tensor([1, 2]), Tensor([3])])
    tensor([1, 2, 3])
    """
    for given in (*dims, dim):
        axis = axis if given is None else given
    return wrap(ops.concatenate([value_of(x) for x in arrays], axis))


cat = concatenate = concat


@raises_call_error
def vstack(arrays: Sequence[Any]) -> Tensor:
    """Concatenate tensors along the first axis; vectors and numbers become rows."""
    tensors = [as_tensor(x) for x in arrays]
    return concat([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors])


@raises_call_error
def hstack(arrays: Sequence[Any]) -> Tensor:
    """Concatenate tensors along the second axis; vectors along their only axis."""
    tensors = [as_tensor(x) for x in arrays]
    tensors = [x if x.ndim else x.reshape(1) for x in tensors]
    return concat(tensors, axis=int(bool(tensors) and tensors[0].ndim > 1))


@raises_call_error
def stack(arrays: Sequence[Any], /, axis: int = 0, *, dim: int | None = None) -> Tensor:
    """Stack tensors of one shape along a new axis.

    >>> stack([Tensor([1, 2]), Tensor([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    return wrap(ops.stack([value_of(x) for x in arrays], either(axis, dim, 0)))


@raises_call_error
def pad(x: Any, pad: Any, mode: str = "constant", value: float = 0.0) -> Tensor:
    """Pad a tensor with a number around the elements, as PyTorch's ``pad``.

    Args:
        x: of any shape.
        pad: how many before and behind the last axis, then the one before it, …;
            negative numbers cut off.
        mode: ``"constant"``.
        value: what is put there.

    >>> pad(Tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.])
    """
    v = value_of(x)
    counts = list(pad) if isinstance(pad, tuple | list) else [pad]
    if any(isinstance(n, tuple | list) for n in counts):
        raise ArgumentError(
            _("pad takes two numbers an axis, from the last on, and a constant."),
            expected=_("numbers one behind the other"),
            got=f"{pad!r:.60}",
            fix=_("for NumPy's ((a, b), (c, d)) of two axes: (c, d, a, b)"),
        )
    counts = [whole("pad", n) for n in counts]
    if mode != "constant" or len(counts) % 2 or len(counts) > 2 * len(v.shape):
        raise ArgumentError(
            _("pad takes two numbers an axis, from the last on, and a constant."),
            expected=_(
                "an even number of at most {shape}, mode='constant'",
                shape=2 * len(v.shape),
            ),
            got=f"{pad}, mode={mode!r}",
        )
    rank = len(v.shape)
    for i in range(len(counts) // 2):
        axis, (low, high) = rank - 1 - i, counts[2 * i : 2 * i + 2]
        size = v.shape[axis]
        if (low < 0 or high < 0) and isinstance(size, int):
            v = ops.cut(v, axis, builtins.max(-low, 0), size - builtins.max(-high, 0))
        edges = [(builtins.max(low, 0), 0), (builtins.max(high, 0), 1)]
        for count, behind in edges:
            if count:
                shape = (*v.shape[:axis], count, *v.shape[axis + 1 :])
                parts = [filled(value, v.dtype, shape), v]
                v = prims.concatenate(*parts[:: -1 if behind else 1], axis=axis)
    return wrap(v)


@raises_call_error
def take_along_axis(
    x: Any, indices: Any, /, *, axis: int = -1, dim: int | None = None
) -> Tensor:
    """Take elements by index along ``axis``; the other axes are broadcast."""
    return as_tensor(x).take_along_dim(indices, either(axis, dim, -1))


# -- products -------------------------------------------------------------------------


@raises_call_error
def matmul(x1: Any, x2: Any, /) -> Tensor:
    """Return the matrix product, with NumPy's rules for vectors and stacks.

    >>> matmul(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return wrap(products.matmul(value_of(x1), value_of(x2)))


@raises_call_error
def matrix_transpose(x: Any, /) -> Tensor:
    """Return the transpose of each matrix: the last two axes exchanged."""
    return as_tensor(x).mT


@raises_call_error
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """Return the sum of products along an axis, counted from the end.

    >>> vecdot(Tensor([1.0, 2.0]), Tensor([3.0, 4.0]))
    tensor(11.)
    """
    return wrap(products.vecdot(value_of(x1), value_of(x2), axis))


@raises_call_error
def tensordot(x1: Any, x2: Any, /, axes: Any = 2, *, dims: Any = None) -> Tensor:
    """Return the sum of products over last axes of x1 and first axes of x2.

    Args:
        x1, x2: tensors.
        axes: a number, or the axes of x1 and those of x2 that go with them.
        dims: PyTorch's name of ``axes``.

    >>> tensordot(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]), axes=1)
    tensor([[11.]])
    """
    axes = axes if dims is None else dims
    return wrap(products.tensordot(value_of(x1), value_of(x2), axes))


@raises_call_error
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Return an Einstein summation; letters absent from the result are summed over.

    Operands are multiplied two at a time, from left to right. Axes may be numbered
    instead: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    >>> einsum("ij,jk->ik", Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if not isinstance(equation, str):
        equation, operands = _in_letters((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = tuple(operands[0])
    return wrap(products.einsum(equation, [value_of(x) for x in operands]))


def _in_letters(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return einsum's equation for operands that alternate with lists of axes."""

    def letters(axes: Any) -> str:
        if not isinstance(axes, tuple | list) or not all(n in range(52) for n in axes):
            raise ArgumentError(
                _("einsum reads letters or numbers for axes."),
                expected=_(
                    "einsum('ij,jk->ik', x, y), or numbers up to 51: "
                    "einsum(x, [0, 1], y, [1, 2])"
                ),
                got=f"{axes!r:.60}",
            )
        return "".join(string.ascii_letters[n] for n in axes)

    pairs = len(given) // 2
    terms = [letters(axes) for axes in given[1 : 2 * pairs : 2]]
    out = f"->{letters(given[-1])}" if len(given) % 2 else ""
    return ",".join(terms) + out, given[: 2 * pairs : 2]
