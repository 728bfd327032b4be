"""Functions on tensors that layers are made of; the layers hold their parameters.

>>> import chainrule as cr
>>> from chainrule.nn import functional
>>> functional.leaky_relu(cr.tensor([-1.0, 0.0, 2.0]))
tensor([-0.01,  0.  ,  2.  ])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

from chainrule.errors import ArgumentError, DTypeError, ShapeError, nearest, warn
from chainrule.functions.elementwise import maximum, where
from chainrule.graph.build import constant, context, no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, Shape, Size, size_of
from chainrule.nn.arguments import drop_probability
from chainrule.primitives.indexing import check_indices, take
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import broadcast_to
from chainrule.primitives.rules import show
from chainrule.random import bits
from chainrule.regions import activations, normalization
from chainrule.tensor import Tensor, as_tensor, count_of, wrap

__all__ = [
    "batch_norm",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "step",
    "tanh",
]


def place(kind: str) -> str:
    """How messages call the layer that is at work: ``Linear '0'``."""
    return f"{kind} {context.scope!r}" if context.scope else kind


# -- activations ----------------------------------------------------------------------


def relu(x: Any) -> Tensor:
    """max(x, 0), with derivative 0 at 0 (2.7)."""
    return as_tensor(x).relu()


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e⁻ˣ) (2.7)."""
    return as_tensor(x).sigmoid()


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent (2.7)."""
    return as_tensor(x).tanh()


def softmax(x: Any, dim: int = -1) -> Tensor:
    """e^xᵢ / Σⱼ e^xⱼ along ``dim`` (3.2.3)."""
    return as_tensor(x).softmax(dim)


def log_softmax(x: Any, dim: int = -1) -> Tensor:
    """ln softmax along ``dim``, without underflow."""
    return as_tensor(x).log_softmax(dim)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else ``negative_slope`` · x, with that slope at 0 too (2.7)."""
    x = as_tensor(x)
    return wrap(activations.leaky_relu(x.value, alpha=float(negative_slope)))


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x Φ(x) (2.7), or with ``"tanh"`` its approximation by tanh.

    >>> gelu([-1.0, 0.0, 1.0])
    tensor([-0.15865526,  0.        ,  0.8413447 ])
    """
    return wrap(gelu_form(approximate)(as_tensor(x).value))


def gelu_form(approximate: str) -> Callable[[Value], Value]:
    """The region that computes GELU in this way.

    Raises:
        ArgumentError: an unknown name.
    """
    forms = {"none": activations.gelu, "tanh": activations.gelu_tanh}
    if approximate not in forms:
        near = nearest(str(approximate), forms)
        raise ArgumentError(
            "GELU is computed exactly, or approximated by tanh.",
            expected="approximate='none' or 'tanh'",
            got=repr(approximate),
            fix=f"did you mean {near!r}?" if near else "approximate='none'",
        )
    return forms[approximate]


def silu(x: Any) -> Tensor:
    """x σ(x), also called swish."""
    return wrap(activations.silu(as_tensor(x).value))


def softplus(x: Any) -> Tensor:
    """ln(1 + eˣ), a smooth ReLU, with derivative σ(x)."""
    return wrap(activations.softplus(as_tensor(x).value))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else α(eˣ − 1)."""
    return wrap(activations.elu(as_tensor(x).value, alpha=float(alpha)))


def selu(x: Any) -> Tensor:
    """λ · elu(x, α) with the two numbers that keep mean 0 and variance 1."""
    return wrap(activations.selu(as_tensor(x).value))


def step(x: Any) -> Tensor:
    """1 where x ≥ 0, else 0; its derivative is 0."""
    return wrap(activations.step(as_tensor(x).value))


# -- layers ---------------------------------------------------------------------------


def linear(x: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X Wᵀ + b (2.2.2), for rows of any shape.

    Args:
        x: (…, n).
        weight: W, (m, n).
        bias: b, (m,), or None.

    Returns:
        (…, m).

    Raises:
        ShapeError: the last axis of ``x`` is not n.
        DTypeError: ``x`` and ``weight`` are floats of different dtypes.

    >>> linear([[1.0, 2.0]], Tensor([[3.0, 4.0]]), Tensor([0.5]))
    tensor([[11.5]])
    """
    x = as_tensor(x)
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


def embedding(indices: Any, weight: Tensor) -> Tensor:
    """Rows of ``weight`` by index; rows that are asked for twice add their gradients.

    Args:
        indices: integers 0 … V−1, of any shape (…).
        weight: (V, d).

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
    return wrap(take(weight.value, indices.value))


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
    x, p = as_tensor(x), drop_probability(p)
    if not training or p == 0:
        return x
    kept = bits(x.shape) < min(round((1 - p) * 2**32), 2**32 - 1)
    return where(kept, x * (1 / (1 - p)), 0.0)


# -- normalisation --------------------------------------------------------------------


def _affine(
    region: Callable[..., Any],
    x: Tensor,
    shape: Shape,
    weight: Tensor | None,
    bias: Tensor | None,
    **attrs: Any,
) -> Tensor:
    """A normalising region, with γ = 1 and β = 0 where there are none."""

    def given(parameter: Tensor | None, otherwise: float) -> Value:
        if parameter is not None:
            return parameter.value
        return broadcast_to(constant(otherwise, x.dtype), shape=shape)

    return wrap(region(x.value, given(weight, 1.0), given(bias, 0.0), **attrs))


def sizes(shape: int | Sequence[int]) -> tuple[int, ...]:
    """One size or several as a tuple; what is no positive integer is refused."""
    given: tuple[Any, ...] = (
        tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    )
    whole = all(isinstance(d, Integral) and not isinstance(d, bool) for d in given)
    if not given or not whole or min(given) < 1:
        raise ArgumentError(
            "normalized_shape names the sizes of the last axes.",
            expected="a positive integer, or several",
            got=f"{shape!r:.80}",
        )
    return tuple(map(int, given))


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² over the last axes of each sample.

    Ba, Kiros & Hinton 2016.

    Args:
        x: (…, *normalized_shape).
        normalized_shape: the sizes of the axes to normalise over.
        weight, bias: γ and β of that shape; None for 1 and 0.
        eps: ε.

    Raises:
        ShapeError: the last axes of ``x`` have other sizes.

    >>> layer_norm([[1.0, 3.0]], 2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    x = as_tensor(x)
    shape = sizes(normalized_shape)
    if x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{place('LayerNorm')} cannot normalise its input.",
            expected=f"last axes of {show(shape)}",
            got=show(x.shape),
            fix=f"build nn.LayerNorm({x.shape[-1] if x.shape else '…'})",
        )
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    attrs = {"axes": axes, "eps": float(eps)}
    return _affine(normalization.layer_norm, x, shape, weight, bias, **attrs)


def batch_norm(
    x: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² of each feature over the batch.

    Ioffe & Szegedy 2015. In training μ and σ² are those of the batch, σ² being the
    biased variance, and the running statistics move towards them (the variance towards
    the unbiased one, n/(n−1) σ²): r ← r + momentum · (batch's − r). Otherwise μ and σ²
    are the running statistics, or the batch's where there are none.

    One number a feature has no variance: then y = β, and the running statistics stay.

    Args:
        x: (N, C) or (N, C, L), a feature for each of the C.
        running_mean, running_var: (C,), changed in place; or both None.
        weight, bias: γ and β, (C,); None for 1 and 0.
        training: whether the batch's own statistics are used, and followed.
        momentum: how far the running statistics move, from 0 to 1.
        eps: ε.

    Raises:
        ShapeError: ``x`` has one axis alone.

    >>> batch_norm([[1.0], [3.0]], None, None, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(
            f"{place('BatchNorm')} normalises features over samples.",
            expected="shape (N, C) or (N, C, L)",
            got=show(x.shape),
            fix="give the samples an axis: x.reshape(-1, C)",
        )
    axes = (0, *range(2, x.ndim))
    shape = x.shape[1:2]
    if running_mean is None or running_var is None:
        training = True
    elif training:
        _follow(x, axes, running_mean, running_var, momentum)
    if training:
        attrs = {"axes": axes, "eps": float(eps)}
        return _affine(normalization.batch_norm, x, shape, weight, bias, **attrs)
    assert running_mean is not None
    assert running_var is not None
    column = (*shape, *[1] * (x.ndim - 2))
    deviation = (running_var + eps).sqrt()
    y = (x - running_mean.reshape(column)) / deviation.reshape(column)
    y = y if weight is None else weight.reshape(column) * y
    return y if bias is None else y + bias.reshape(column)


def _follow(
    x: Tensor,
    axes: tuple[int, ...],
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float | Tensor,
) -> None:
    """Move the running statistics towards those of the batch."""
    n = size_of(tuple(x.shape[a] for a in axes))
    if n == 0:
        raise ArgumentError(
            f"{place('BatchNorm')} takes means over a batch; an empty one has none.",
            expected="at least one sample",
            got=f"shape {show(x.shape)}",
            fix="leave empty batches out, or model.eval() for prediction",
        )
    if not isinstance(n, Size) and n < 2:
        warn(
            f"{place('BatchNorm')} got one number for each feature in training: "
            "there is no variance, so its output is β whatever the input.",
            expected="a batch of at least two samples",
            got=f"shape {show(x.shape)}",
            fix="larger batches, model.eval() for prediction, or nn.LayerNorm",
        )
        return
    many = count_of(n, x.dtype)
    with no_grad():
        mean, _, squares = normalization.moments(x.value, axes)
        variance = wrap(squares) / maximum(many - 1, 1.0)
        rate = (many > 1).astype(x.dtype) * momentum
        for running, new in ((running_mean, wrap(mean)), (running_var, variance)):
            running.copy_(running + (new - running) * rate)
