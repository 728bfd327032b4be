"""The linear layer, and checks of the parameters and inputs of layers."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.context import get_default_dtype
from chainrule.graph.node import Array
from chainrule.graph.types import Dim, Shape, size_of
from chainrule.nn import init as initialisers
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    layer_name,
    positive_integers,
)
from chainrule.nn.module import Module, Parameter
from chainrule.nn.parameter import drawn
from chainrule.operations.arithmetic import add
from chainrule.operations.autocasting import is_mixed, short
from chainrule.operations.narrow import NARROW, wide
from chainrule.operations.operands import broadcast_to, promoted
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import reshape
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor, tensor, wrap
from chainrule.text import _

__all__ = ["Linear", "linear"]


class Linear(Module):
    """A layer of neurons before its activation: z = W x + b (2.2.2).

    On a batch, whose samples are rows, that is Z = X Wᵀ + b.

    Args:
        in_features: the number of inputs n.
        out_features: the number of neurons m.
        bias: whether there is a b.
        init: how W starts: the name of a function of :mod:`chainrule.nn.init`, such as
            ``"xavier_uniform"`` (for tanh and sigmoid), ``"kaiming_normal"`` (for
            ReLU), ``"lecun_normal"`` (for SELU) or ``"orthogonal"``; b then starts
            from 0. Without it both start from U(−1/√n, 1/√n), as PyTorch's do.
        dtype: of the parameters.

    Shapes:
        ``weight`` (m, n), ``bias`` (m,); input (…, n), output (…, m).

    The default has a third of LeCun's variance 1/n (LeCun et al. 1998, "Efficient
    BackProp"): small networks learn well from it, deep ones want a name.

    >>> import chainrule as cr
    >>> cr.nn.Linear(784, 128)(cr.tensor([[0.0] * 784])).shape
    (1, 128)
    >>> cr.nn.Linear(2, 3, init="orthogonal")
    Linear(in_features=2, out_features=3, init='orthogonal')
    """

    weight: Parameter
    #: None where the layer has none.
    bias: Parameter | Any

    def __init__(
        self,
        in_features: Count,
        out_features: Count,
        bias: bool = True,
        *,
        init: str | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_features, self.out_features = positive_integers(
            "Linear", in_features=in_features, out_features=out_features
        )
        self.init = init
        fill = None if init is None else initialisers.by_name(init)
        bound = 1 / math.sqrt(self.in_features)
        draw = {
            "low": -bound,
            "high": bound,
            "dtype": floating("Linear", dtype, device),
        }
        self.weight = drawn(uniform, self.out_features, self.in_features, **draw)
        biased = flag("Linear", "bias", bias)
        self.bias = drawn(uniform, self.out_features, **draw) if biased else None
        if fill is not None:
            fill(self.weight)
            if self.bias is not None:
                initialisers.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the linear layer Z = X Wᵀ + b of a batch of rows."""
        return linear(x, self.weight, self.bias)


def linear(input: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute X Wᵀ + b as :class:`Linear` does, with W (m, n) and b (m,), or None.

    Raises:
        ShapeError: the last axis of ``x`` is not n; a weight that is no matrix; a bias
            that is not (m,).
        DTypeError: ``x``, ``weight`` and ``bias`` are floats of different dtypes.

    >>> linear([[1.0, 2.0]], Tensor([[3.0, 4.0]]), Tensor([0.5]))
    tensor([[11.5]])
    """
    input = input if isinstance(input, Tensor) else as_tensor(input)
    weight = weight if isinstance(weight, Tensor) else as_tensor(weight)
    rows, w = input.value, weight.value  # whose shapes and dtypes are plain attributes
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
            _("{place} cannot multiply its input.", place=layer_name("Linear")),
            expected=_("a last axis of {inputs}", inputs=inputs),
            got=show(shape),
            fix=_rows_fix(shape, inputs, outputs),
        )
    if rows.dtype is not w.dtype:
        input = same_dtype("Linear", input, weight)
        rows = input.value
    if len(shape) != 2:
        rows = reshape(rows, shape=(size_of(shape[:-1]), inputs))
    if w.dtype is NARROW:
        return _of_narrow(input, weight, bias)
    mixed = is_mixed(w.dtype)
    if mixed:
        rows, w = short(rows), short(w)
    z = dot(rows, w, "ni,oi->no")
    if bias is not None:
        b = bias.value if isinstance(bias, Tensor) else as_tensor(bias).value
        if b.shape == (outputs,) and b.dtype is w.dtype:
            z = add(z, broadcast_to(b, z.shape))
        else:
            other = parameter("Linear", "bias", bias, (outputs,), weight)
            assert other is not None
            z = add(*promoted(z, other.value))
    if mixed:
        z = short(z)
    return wrap(z if len(shape) == 2 else reshape(z, shape=(*shape[:-1], outputs)))


def _of_narrow(input: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """Compute a linear layer of bfloat16 in float32, and round it once."""
    bias = bias if bias is None else as_tensor(bias)
    z = linear(wide(input), wide(weight), wide(bias))
    return z if bias is not None and bias.dtype is not NARROW else z.astype(NARROW)


def _rows_fix(shape: Shape, inputs: Dim, outputs: Dim) -> str:
    """Return the suggested fix for an input that does not fit a linear layer."""
    if len(shape) < 3:
        width = shape[-1] if shape else "…"
        return _(
            "feed rows of length {inputs}, or build nn.Linear({width}, {outputs})",
            inputs=inputs,
            width=width,
            outputs=outputs,
        )
    flat = size_of(shape[1:])
    other = (
        ""
        if flat == inputs
        else _(", for nn.Linear({flat}, {outputs})", flat=flat, outputs=outputs)
    )
    return _(
        "nn.Flatten() as the first layer makes rows of length {flat}{other}; "
        "data.image_folder(…, flatten=True) reads images as rows",
        flat=flat,
        other=other,
    )


def floats(x: Any) -> Tensor:
    """Return a layer's input ``x`` unchanged if floating, else converted to float32."""
    x = as_tensor(x)
    return x if x.dtype.is_float else x.astype(get_default_dtype())


def same_dtype(kind: str, x: Tensor, like: Tensor, name: str = "") -> Tensor:
    """Convert a layer's integer input to its parameters' dtype; refuse other floats.

    Args:
        kind: the layer.
        x: its input, or what ``name`` says.
        like: the parameter.
        name: of an argument beside the input, or of another parameter.
    """
    if x.dtype is like.dtype:
        return x
    if x.dtype.is_float:
        what = _("{kind} and its input have different dtypes.", kind=layer_name(kind))
        raise DTypeError(
            _(
                "{kind} and its {name} have different dtypes.",
                kind=layer_name(kind),
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
    kind: str, name: str, value: Any, shape: Shape, like: Tensor
) -> Tensor | None:
    """Check the shape of a layer's parameter; return it in ``like``'s dtype, or None.

    A shape that would broadcast is refused: it is a slip, and its derivative a sum.

    Raises:
        ShapeError: another shape.
        DTypeError: another floating dtype.
    """
    if value is None:
        return None
    result = as_tensor(value)
    if result.shape != shape:
        raise ShapeError(
            _(
                "{kind} needs another shape of its {name}.",
                kind=layer_name(kind),
                name=name,
            ),
            expected=show(shape),
            got=show(result.shape),
            fix=f"{name}.reshape{show(shape)}"
            if result.size == size_of(shape)
            else None,
        )
    return same_dtype(kind, result, like, name) if like.dtype.is_float else result


def along(x: Tensor, axis: int, matrix: Array) -> Tensor:
    """Multiply a tensor by a constant matrix along one axis."""
    y = x.transpose(axis, -1) @ tensor(matrix.T.astype(x.dtype.numpy))
    return y.transpose(axis, -1)
