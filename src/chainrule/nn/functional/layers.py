"""Functions that layers are made of; the layers hold their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions.elementwise import where
from chainrule.graph.build import context
from chainrule.graph.node import Array
from chainrule.graph.types import Dim, Shape, size_of
from chainrule.nn.arguments import integer, number, place
from chainrule.nn.losses.checks import check_labels, looked_at
from chainrule.primitives.indexing import check_indices, one_hot_mask, take
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show
from chainrule.random import bits
from chainrule.tensor import Tensor, as_tensor, wrap


def linear(x: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X Wᵀ + b (2.2.2), for rows of any shape.

    Args:
        x: (…, n).
        weight: W, (m, n).
        bias: b, (m,), or None.

    Returns:
        (…, m).

    Raises:
        ShapeError: the last axis of ``x`` is not n; a weight that is no matrix.
        DTypeError: ``x`` and ``weight`` are floats of different dtypes.

    >>> linear([[1.0, 2.0]], Tensor([[3.0, 4.0]]), Tensor([0.5]))
    tensor([[11.5]])
    """
    x = as_tensor(x)
    if weight.ndim != 2:
        raise ShapeError(
            "linear multiplies by a matrix.",
            expected="a weight of shape (outputs, inputs)",
            got=show(weight.shape),
            fix="x @ w for a vector w",
        )
    outputs, inputs = weight.shape
    if not x.shape or x.shape[-1] != inputs:
        raise ShapeError(
            f"{place('Linear')} cannot multiply its input.",
            expected=f"a last axis of {inputs}",
            got=show(x.shape),
            fix=_rows_fix(x.shape, inputs, outputs),
        )
    x = same_dtype("Linear", x, weight)
    rows = x if x.ndim == 2 else x.reshape(-1, inputs)
    z = wrap(dot(rows.value, weight.value, "ni,oi->no"))
    if bias is not None:
        z = z + bias
    return z if x.ndim == 2 else z.reshape(*x.shape[:-1], outputs)


def _rows_fix(given: Shape, inputs: Dim, outputs: Dim) -> str:
    """What to write in front of, or instead of, a Linear(inputs, outputs)."""
    if len(given) < 3:
        width = given[-1] if given else "…"
        return f"feed rows of {inputs} numbers, or build nn.Linear({width}, {outputs})"
    flat = size_of(given[1:])
    other = "" if flat == inputs else f", for nn.Linear({flat}, {outputs})"
    return (
        f"nn.Flatten() as the first layer makes rows of {flat} numbers{other}; "
        "data.image_folder(…, flatten=True) reads images as rows"
    )


def same_dtype(kind: str, x: Tensor, parameter: Tensor) -> Tensor:
    """``x`` in the dtype of a layer's parameter; another floating dtype is refused."""
    if x.dtype is parameter.dtype:
        return x
    if x.dtype.is_float:
        raise DTypeError(
            f"{place(kind)} and its input have different dtypes.",
            expected=parameter.dtype.name,
            got=x.dtype.name,
            fix=f"x.astype('{parameter.dtype.name}')",
        )
    return x.astype(parameter.dtype)


def embedding(indices: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of ``weight`` by index; rows that are asked for twice add their gradients.

    Args:
        indices: integers 0 … V−1, of any shape (…).
        weight: (V, d).
        padding_idx: a row that gets no gradient.

    Returns:
        (…, d).

    Raises:
        DTypeError: ``indices`` are not integers.
        ArgumentError: an index outside 0 … V−1.

    >>> embedding([2, 0], Tensor([[1.0], [2.0], [3.0]]))
    tensor([[3.],
            [1.]])
    """
    indices = as_tensor(indices)
    if not indices.dtype.is_integer:
        raise DTypeError(
            f"{place('Embedding')} takes the numbers of rows.",
            expected="integers",
            got=indices.dtype.name,
            fix="x.astype('int64'), or nn.Linear for numbers that are measurements",
        )
    if context.trace is None:
        check_indices(place("Embedding"), indices.numpy(), int(weight.shape[0]))
    rows = wrap(take(weight.value, indices.value))
    if padding_idx is None:
        return rows
    padding = (indices == padding_idx).unsqueeze(-1)
    return where(padding, rows.detach(), rows)


def dropout(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """In training each element 0 with probability p, else divided by 1 − p.

    Args:
        x: of any shape.
        p: 0 ≤ p < 1.
        training: otherwise ``x`` passes as it is.

    Raises:
        ArgumentError: another p.

    >>> dropout([1.0, 2.0], training=False)
    tensor([1., 2.])
    """
    x, p = as_tensor(x), number("Dropout", "p", p, least=0, below=1)
    if not training or p == 0:
        return x
    kept = bits(x.shape) < min(round((1 - p) * 2**32), 2**32 - 1)
    return where(kept, x * (1 / (1 - p)), 0.0)


def one_hot(x: Any, num_classes: int = -1) -> Tensor:
    """int64 (…, C): 1 at the class, else 0.

    Args:
        x: integers 0 … C−1, of any shape (…).
        num_classes: C; −1 for the largest class and one.

    >>> one_hot([0, 2], 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    x = as_tensor(x)
    if not x.dtype.is_integer:
        raise DTypeError(
            "one_hot takes class indices.", expected="integers", got=x.dtype.name
        )
    if num_classes == -1:
        num_classes = int(x.numpy().max(initial=0)) + 1
    num_classes = integer("one_hot", "num_classes", num_classes, least=1)
    x = looked_at(x, lambda a: check_labels(a, num_classes))
    return wrap(one_hot_mask(x.value, num_classes)).astype("int64")


def interpolate(
    x: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """Signals and images of another size.

    Args:
        x: (N, C, L), (N, C, H, W) or with more axes behind the channels.
        size: of those axes; or
        scale_factor: by which they grow or shrink.
        mode: ``"nearest"`` repeats; ``"linear"`` or ``"bilinear"``, the same thing, is
            straight between neighbours.
        align_corners: whether first and last elements keep their places; else the
            edges of the picture do.

    >>> interpolate([[[1.0, 2.0]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    x = as_tensor(x)
    axes = x.ndim - 2
    if mode not in ("nearest", "linear", "bilinear") or axes < 1:
        raise ArgumentError(
            "interpolate resizes the axes behind (N, C).",
            expected="mode='nearest', 'linear' or 'bilinear', and 3 or more axes",
            got=f"mode={mode!r:.80}, shape {show(x.shape)}",
        )
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate takes a size or a scale_factor.")

    def each(given: Any) -> list[Any]:
        return list(given) if isinstance(given, Sequence) else [given] * axes

    scales = [None if scale_factor is None else float(s) for s in each(scale_factor)]
    for i in range(axes):
        axis, held = i + 2, x.shape[i + 2]
        if not isinstance(held, int):
            raise ShapeError(
                "interpolate needs sizes that are known.", got=show(x.shape)
            )
        scale = scales[i]
        wanted = each(size)[i] if scale is None else int(held * scale)
        wanted = integer("interpolate", "size", wanted, least=1)
        if wanted == held:
            continue
        step = held / wanted if scale is None else 1 / scale
        m = _resizing(held, wanted, step, mode == "nearest", align_corners)
        x = along(x, axis, m)
    return x


def along(x: Tensor, axis: int, matrix: Array) -> Tensor:
    """Each line of ``x`` along an axis multiplied by a matrix (wanted, held)."""
    y = x.transpose(axis, -1) @ Tensor(matrix.T.astype(x.dtype.numpy))
    return y.transpose(axis, -1)


def _resizing(
    held: int, wanted: int, step: float, nearest: bool, align_corners: bool
) -> Array:
    """(wanted, held): the share that each old element has in each new one."""
    at = np.arange(wanted)
    if nearest:
        place = np.minimum(np.floor(at * step), held - 1)
    elif align_corners:
        place = at * ((held - 1) / max(wanted - 1, 1))
    else:
        place = np.maximum((at + 0.5) * step - 0.5, 0)
    low = np.minimum(place.astype(int), held - 1)
    high, share = np.minimum(low + 1, held - 1), place - low
    made = np.zeros((wanted, held))
    np.add.at(made, (at, low), 1 - share)
    np.add.at(made, (at, high), share)
    return made
