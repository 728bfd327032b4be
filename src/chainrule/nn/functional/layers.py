"""The functions of linear, embedding, dropout, resizing and related layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions import where
from chainrule.graph.build import context
from chainrule.graph.node import Array
from chainrule.graph.room import check_room
from chainrule.graph.types import Dim, Shape, size_of
from chainrule.nn.arguments import flag, integer, number, option, place, spread
from chainrule.nn.losses.checks import check_labels, looked_at
from chainrule.operations.arithmetic import add
from chainrule.operations.operands import broadcast_to, promoted
from chainrule.primitives.indexing import check_indices, one_hot_mask, take
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show
from chainrule.random import bits
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.validation import choice, whole


def linear(x: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute X Wᵀ + b (2.2.2), for rows of any shape.

    Args:
        x: (…, n).
        weight: W, (m, n).
        bias: b, (m,), or None.

    Returns:
        (…, m).

    Raises:
        ShapeError: the last axis of ``x`` is not n; a weight that is no matrix; a bias
            that is not (m,).
        DTypeError: ``x``, ``weight`` and ``bias`` are floats of different dtypes.

    >>> linear([[1.0, 2.0]], Tensor([[3.0, 4.0]]), Tensor([0.5]))
    tensor([[11.5]])
    """
    x = x if isinstance(x, Tensor) else as_tensor(x)
    weight = weight if isinstance(weight, Tensor) else as_tensor(weight)
    rows, w = x.value, weight.value  # whose shapes and dtypes are plain attributes
    shape, matrix = rows.shape, w.shape
    if len(matrix) != 2:
        raise ShapeError(
            _("linear multiplies by a matrix."),
            expected=_("a weight of shape (outputs, inputs)"),
            got=show(matrix),
            fix=_("x @ w for a vector w"),
        )
    outputs, inputs = matrix
    if not shape or shape[-1] != inputs:
        raise ShapeError(
            _("{place} cannot multiply its input.", place=place("Linear")),
            expected=_("a last axis of {inputs}", inputs=inputs),
            got=show(shape),
            fix=_rows_fix(shape, inputs, outputs),
        )
    if rows.dtype is not w.dtype:
        x = same_dtype("Linear", x, weight)
        rows = x.value
    if len(shape) != 2:
        rows = x.reshape(-1, inputs).value
    z = dot(rows, w, "ni,oi->no")
    if bias is not None:
        b = bias.value if isinstance(bias, Tensor) else as_tensor(bias).value
        if b.shape == (outputs,) and b.dtype is w.dtype:
            z = add(z, broadcast_to(b, z.shape))
        else:
            other = parameter("Linear", "bias", bias, (outputs,), weight)
            z = add(*promoted(z, as_tensor(other).value))
    made = wrap(z)
    return made if len(shape) == 2 else made.reshape(*shape[:-1], outputs)


def _rows_fix(given: Shape, inputs: Dim, outputs: Dim) -> str:
    """Return the remedy for an input that does not fit a Linear(inputs, outputs)."""
    if len(given) < 3:
        width = given[-1] if given else "…"
        return _(
            "feed rows of {inputs} numbers, or build nn.Linear({width}, {outputs})",
            inputs=inputs,
            width=width,
            outputs=outputs,
        )
    flat = size_of(given[1:])
    other = (
        ""
        if flat == inputs
        else _(", for nn.Linear({flat}, {outputs})", flat=flat, outputs=outputs)
    )
    return _(
        "nn.Flatten() as the first layer makes rows of {flat} numbers{other}; "
        "data.image_folder(…, flatten=True) reads images as rows",
        flat=flat,
        other=other,
    )


def floats(x: Any) -> Tensor:
    """Return ``x`` unchanged if it holds floats, else converted to float32."""
    x = as_tensor(x)
    return x if x.dtype.is_float else x.astype("float32")


def same_dtype(kind: str, x: Tensor, like: Tensor, name: str = "") -> Tensor:
    """Convert integers ``x`` to a layer's dtype; refuse another floating dtype.

    Args:
        kind: the layer.
        x: its input, or what ``name`` says.
        like: the parameter.
        name: of an argument beside the input, or of another parameter.
    """
    if x.dtype is like.dtype:
        return x
    if x.dtype.is_float:
        what = _("{kind} and its input have different dtypes.", kind=place(kind))
        raise DTypeError(
            _(
                "{kind} and its {name} have different dtypes.",
                kind=place(kind),
                name=name,
            )
            if name
            else what,
            expected=like.dtype.name,
            got=x.dtype.name,
            fix=f"{name or 'x'}.astype('{like.dtype.name}')",
        )
    return x.astype(like.dtype)


def parameter(
    kind: str, name: str, given: Any, shape: Shape, like: Tensor
) -> Tensor | None:
    """Check a parameter's exact shape, and return it in ``like``'s dtype; or None.

    A shape that would broadcast is refused: it is a slip, and its derivative a sum.

    Raises:
        ShapeError: another shape.
        DTypeError: another floating dtype.
    """
    if given is None:
        return None
    made = as_tensor(given)
    if made.shape != shape:
        raise ShapeError(
            _("{kind} needs another shape of its {name}.", kind=place(kind), name=name),
            expected=show(shape),
            got=show(made.shape),
            fix=f"{name}.reshape{show(shape)}" if made.size == size_of(shape) else None,
        )
    return same_dtype(kind, made, like, name) if like.dtype.is_float else made


def embedding(indices: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Return rows of ``weight`` by index; repeated rows sum up their gradients.

    Args:
        indices: integers 0 … V−1, of any shape (…).
        weight: (V, d).
        padding_idx: a row that gets no gradient; −1 is the last.

    Returns:
        (…, d).

    Raises:
        ShapeError: a weight that is no table.
        DTypeError: ``indices`` are not integers.
        ArgumentError: an index outside 0 … V−1, a padding_idx outside −V … V−1.

    >>> embedding([2, 0], Tensor([[1.0], [2.0], [3.0]]))
    tensor([[3.],
            [1.]])
    """
    indices, weight = as_tensor(indices), as_tensor(weight)
    if weight.ndim != 2:
        raise ShapeError(
            _("{place} takes rows of a table.", place=place("Embedding")),
            expected=_("a weight of shape (V, d)"),
            got=show(weight.shape),
        )
    if not indices.dtype.is_integer:
        raise DTypeError(
            _("{place} takes the numbers of rows.", place=place("Embedding")),
            expected=_("integers"),
            got=indices.dtype.name,
            fix=_("x.astype('int64'), or nn.Linear for numbers that are measurements"),
        )
    if context.trace is None:
        check_indices(place("Embedding"), indices.numpy(), int(weight.shape[0]))
    rows = wrap(take(weight.value, indices.value))
    if padding_idx is None:
        return rows
    row = padding_row(padding_idx, int(weight.shape[0]))
    padding = (indices == row).unsqueeze(-1)
    return where(padding, rows.detach(), rows)


def padding_row(padding_idx: Any, rows: int) -> int:
    """Return the index of the padding row, which is not trained; −1 is the last."""
    what = _("Embedding has no row for this {name}.")
    row = whole("padding_idx", padding_idx, least=-rows, most=rows - 1, what=what)
    return row % rows


def dropout(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set elements to 0 with probability p in training, and divide others by 1 − p.

    Args:
        x: of any shape.
        p: 0 ≤ p < 1.
        training: otherwise ``x`` passes as it is.

    Raises:
        ArgumentError: another p.

    >>> dropout([1.0, 2.0], training=False)
    tensor([1., 2.])
    """
    x = as_tensor(x)
    return _dropped("Dropout", x, x.shape, p, training)


def dropout1d(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set channels of signals to 0 with probability p in training: :func:`dropout`.

    Args:
        x: (N, C, L), or (C, L).
        p, training: see :func:`dropout`.

    >>> dropout1d([[1.0, 2.0]], training=False)
    tensor([[1., 2.]])
    """
    x = as_tensor(x)
    if x.ndim not in (2, 3):
        raise _no_channels("Dropout1d", x, _("(N, C, L), or (C, L) for one sample"))
    return _dropped("Dropout1d", x, (*x.shape[:-1], 1), p, training)


def dropout2d(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set channels of images to 0 with probability p in training: :func:`dropout`.

    Args:
        x: (N, C, H, W).
        p, training: see :func:`dropout`.

    >>> dropout2d([[[[1.0, 2.0]]]], training=False)
    tensor([[[[1., 2.]]]])
    """
    x = as_tensor(x)
    if x.ndim != 4:
        fix = _("x.unsqueeze(0) for one image, nn.Dropout1d for (N, C, L)")
        raise _no_channels("Dropout2d", x, "(N, C, H, W)", fix)
    return _dropped("Dropout2d", x, (*x.shape[:2], 1, 1), p, training)


def _no_channels(
    kind: str, x: Tensor, expected: str, fix: str | None = None
) -> ShapeError:
    asked = _("{kind} drops whole channels.", kind=place(kind))
    return ShapeError(asked, expected=expected, got=show(x.shape), fix=fix)


def _dropped(kind: str, x: Tensor, shape: Shape, p: Any, training: bool) -> Tensor:
    """Apply dropout with one draw per element of ``shape``, broadcast to ``x``."""
    p = option(kind, "p", p)
    if not flag(kind, "training", training) or p == 0:
        return x
    kept = bits(shape) < min(round((1 - p) * 2**32), 2**32 - 1)
    return where(kept, x * (1 / (1 - p)), 0.0)


def one_hot(x: Any, num_classes: int = -1) -> Tensor:
    """Return one-hot vectors, int64 (…, C): 1 at the class, else 0.

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
            _("one_hot takes class indices."), expected=_("integers"), got=x.dtype.name
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
    align_corners: bool | None = False,
) -> Tensor:
    """Resize signals or images, by nearest or by linear interpolation.

    Args:
        x: (N, C, L), (N, C, H, W) or with more axes behind the channels.
        size: of those axes; or
        scale_factor: by which they grow or shrink.
        mode: ``"nearest"`` repeats; ``"linear"`` or ``"bilinear"``, the same thing, is
            straight between neighbours.
        align_corners: whether first and last elements keep their places; else (None as
            in PyTorch, too) the edges of the picture do.

    Raises:
        ShapeError: no axes behind (N, C), or of unknown lengths.
        ArgumentError: another mode; a size and a scale_factor, or neither, or one that
            is not positive; corners that keep their places with ``"nearest"``.

    >>> interpolate([[[1.0, 2.0]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    x, kind = as_tensor(x), "interpolate"
    axes = x.ndim - 2
    if axes < 1:
        raise ShapeError(
            _("interpolate resizes the axes behind (N, C)."),
            expected=_("(N, C, L), (N, C, H, W) or more axes"),
            got=show(x.shape),
            fix=_("x.unsqueeze(0) for one sample"),
        )
    align_corners = check_resizing(kind, size, scale_factor, mode, align_corners)
    nearest = mode == "nearest"
    if not nearest and not x.dtype.is_float:
        x = x.astype("float32")
    wanted = None if size is None else spread(kind, "size", size, axes)
    scales = None if scale_factor is None else _scales(kind, scale_factor, axes)
    for i in range(axes):
        held = x.shape[i + 2]
        if not isinstance(held, int) or not held:
            raise ShapeError(
                _("interpolate needs sizes that are known."),
                expected=_(
                    "a number of samples alone that varies, sizes of at least 1"
                ),
                got=show(x.shape),
            )
        scale = None if scales is None else scales[i]
        made = wanted[i] if wanted else int(held * scale) if scale else held
        made = integer(kind, "size", made, least=1)
        step = 1 / scale if scale else held / made
        if made != held or (step != 1 and not align_corners):
            x = along(x, i + 2, _resizing(held, made, step, nearest, align_corners))
    return x


#: How :func:`interpolate` may fill in.
MODES = ("nearest", "linear", "bilinear")


def check_resizing(
    kind: str, size: Any, scale_factor: Any, mode: Any, align_corners: Any
) -> bool:
    """Refuse invalid resizing arguments; return ``align_corners`` as a bool."""
    nearest = choice(*MODES, what=_("{kind} knows no such {name}."), kind=kind)(
        "mode", mode
    )
    kept = align_corners is not None and flag(kind, "align_corners", align_corners)
    if kept and nearest == "nearest":
        raise ArgumentError(
            _("{kind} keeps corners in place between neighbours alone.", kind=kind),
            expected=_("mode='linear' or 'bilinear' with align_corners=True"),
            got="mode='nearest'",
        )
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            _("{kind} takes a size or a scale_factor.", kind=kind),
            expected=_("one of the two"),
            got=f"size={size!r:.40}, scale_factor={scale_factor!r:.40}",
        )
    if size is not None:
        spread(kind, "size", size, _many(size))
    else:
        _scales(kind, scale_factor, _many(scale_factor))
    return kept


def _many(given: Any) -> int:
    """Return the number of axes that an argument has values for, at least one."""
    return max(1, len(given)) if isinstance(given, tuple | list) else 1


def _scales(kind: str, given: Any, axes: int) -> list[float]:
    """Return one scale factor per axis; a single factor is repeated."""
    several = list(given) if isinstance(given, tuple | list) else [given] * axes
    if len(several) != axes:
        raise ArgumentError(
            _("{kind} needs a scale_factor for each axis behind (N, C).", kind=kind),
            expected=_("one number, or {axes} of them", axes=axes),
            got=f"scale_factor={given}",
        )
    return [number(kind, "scale_factor", s, above=0) for s in several]


def pixel_shuffle(x: Any, upscale_factor: int) -> Tensor:
    """Rearrange channels to pixels: (…, C·r², H, W) to (…, C, H·r, W·r).

    Args:
        x: (…, C·r², H, W).
        upscale_factor: r.

    Returns:
        (…, C, H·r, W·r).

    >>> pixel_shuffle([[[1.0]], [[2.0]], [[3.0]], [[4.0]]], 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    x = as_tensor(x)
    r = integer("PixelShuffle", "upscale_factor", upscale_factor, least=1)
    channels = x.shape[-3] if x.ndim > 2 else None
    if not isinstance(channels, int) or channels % r**2:
        raise ShapeError(
            _(
                "{place} makes finer places out of channels.",
                place=place("PixelShuffle"),
            ),
            expected=_("(…, C, H, W), C a multiple of {r}", r=r**2),
            got=show(x.shape),
        )
    x = x.unflatten(-3, (channels // r**2, r, r))  # (…, c, i, j, h, w)
    x = x.movedim((-4, -3), (-3, -1))  # (…, c, h, i, w, j)
    return x.flatten(-2, -1).flatten(-3, -2)


def along(x: Tensor, axis: int, matrix: Array) -> Tensor:
    """Multiply each line of ``x`` along an axis by a matrix."""
    y = x.transpose(axis, -1) @ Tensor(matrix.T.astype(x.dtype.numpy))
    return y.transpose(axis, -1)


def _resizing(
    held: int, wanted: int, step: float, nearest: bool, align_corners: bool
) -> Array:
    """Return the resizing matrix, (new length, old length)."""
    check_room((wanted, held), 8)
    at = np.arange(wanted)
    if nearest:  # the last digit decides: as PyTorch, in float32
        place = np.floor(at.astype(np.float32) * np.float32(step))
        place = np.minimum(place, held - 1)
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
