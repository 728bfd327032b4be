"""Checks of the constructor arguments of layers and losses."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args, get_type_hints

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, nearest
from chainrule.graph.context import context, dtype_or_default
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.operations.device import check_device
from chainrule.tensor import Tensor, tensor
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.pytorch_hints import LAYERS

#: The names of the last axes of signals, images and volumes.
LENGTHS = ("L", "H, W", "D, H, W")
#: A number of units ≥ 1; the product of a layer's is about that of its parameters.
Count = Annotated[int, "units"]
#: An integer for all axes, or one for each.
Size = int | tuple[int, ...]
#: How losses of samples become one, or not.
ReductionName = Literal["mean", "sum", "none"]


@functools.lru_cache(maxsize=256)
def sizes_of(kind: type) -> tuple[str, ...]:
    """Return the names of a layer's constructor arguments that are numbers of units.

    >>> from chainrule import nn
    >>> sizes_of(nn.Linear), sizes_of(nn.Tanh)
    (('in_features', 'out_features'), ())
    """
    hints = get_type_hints(kind.__init__, include_extras=True)
    return tuple(name for name, hint in hints.items() if _counts(hint))


def _counts(hint: Any) -> bool:
    """Return whether a type annotation contains ``Count``, the type of layer sizes."""
    return hint == Count or any(map(_counts, get_args(hint)))


def hint(name: str, module: str, known: Sequence[str]) -> str:
    """Suggest an existing name of ``nn`` for an unknown one, in an error; or nothing.

    >>> hint("Dense", "nn", [])
    'did you mean nn.Linear?'
    """
    folded = name.lower().replace("_", "")
    for beginning, said in LAYERS.items():
        if folded.startswith(beginning.lower()):
            return said
    near = None if name.startswith("_") else nearest(name, known, 0.75)
    return _("did you mean {module}.{near}?", module=module, near=near) if near else ""


def layer_name(kind: str) -> str:
    """Return the name of the current layer for messages: ``Linear '0'``."""
    return f"{kind} {context.scope!r}" if context.scope else kind


_POSITIVE = _("{kind} needs a positive {name}.")
_WHOLE = _("{kind} needs a whole {name}.")
_FINITE = _("{kind} needs a finite {name}.")
_YES_OR_NO = _("{kind} needs yes or no for {name}.")
_SLIDING = _("{kind} needs a {name} for each axis that it slides over.")


def positive_integers(kind: str, **sizes: Any) -> tuple[int, ...]:
    """Check the sizes that a layer is built with; return them as Python integers ≥ 1.

    >>> positive_integers("Linear", in_features=784, out_features=10)
    (784, 10)
    """
    return tuple(integer(kind, name, n, least=1) for name, n in sizes.items())


def integer(kind: str, name: str, value: Any, *, least: int | None = None) -> int:
    """Check an integer argument of a layer, at least ``least``; return a Python int."""
    what = _POSITIVE if least == 1 else _WHOLE
    return validation.whole(name, value, least=least, what=what, kind=kind)


def normalized_sizes(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Check a layer's ``normalized_shape``; return it as a tuple of integers ≥ 1."""
    value: tuple[Any, ...] = (
        tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    )
    what = _("{name} names the sizes of the last axes.")
    if not value:
        raise validation.refused(
            "normalized_shape", shape, what, _("one integer or more")
        )
    return tuple(validation.whole("normalized_shape", d, what=what) for d in value)


def per_axis(
    kind: str, name: str, value: Any, axes: int, *, least: int = 1
) -> tuple[int, ...]:
    """Return a layer's option as one integer per axis; a single integer is repeated.

    >>> per_axis("Conv2d", "stride", 2, 2), per_axis("Conv2d", "stride", (2, 1), 2)
    ((2, 2), (2, 1))
    """
    several = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(several) == 1:
        several *= axes
    if len(several) != axes:
        one = _("one integer")
        expected = _("one integer, or {axes} of them", axes=axes) if axes > 1 else one
        raise validation.refused(name, value, _SLIDING, expected, kind=kind)
    return tuple(
        validation.whole(name, n, least=least, what=_SLIDING, kind=kind)
        for n in several
    )


def number(kind: str, name: str, value: Any, **limits: Any) -> float:
    """Check a layer's argument, a finite number within limits; return it as a float.

    >>> number("Dropout", "p", 0.5, least=0, below=1)
    0.5
    """
    if isinstance(value, Tensor) and value.requires_grad:
        raise ArgumentError(
            _(
                "{kind} takes {name} as a number, through which no derivative goes.",
                kind=kind,
                name=name,
            ),
            expected=_("a number, such as {name}=0.1", name=name),
            got=f"{name}={value!r:.60}",
            fix=_(
                "{name}.item() for the number alone; to learn it, write the "
                "formula with the tensor itself",
                name=name,
            ),
        )
    what = _POSITIVE if limits.get("above") == 0 else _FINITE
    return validation.number(name, value, what=what, kind=kind, **limits)


def flag(kind: str, name: str, value: Any) -> bool:
    """Check a true-or-false argument of a layer, and return it as a Python bool."""
    return validation.truth(name, value, what=_YES_OR_NO, kind=kind)


def floating(kind: str, dtype: Any, device: Any = None) -> DType:
    """Check that a layer's dtype is a floating-point type, and return it.

    Args:
        kind: the layer, for errors.
        dtype: None for the default dtype.
        device: None or the CPU; it is checked too.

    Raises:
        ArgumentError: another device.
        DTypeError: integers, or a type that is not known.
    """
    check_device(device)
    known = dtype_or_default(dtype)
    if not known.is_float:
        raise DTypeError(
            _("{kind} computes with floating-point numbers.", kind=kind),
            expected=_("dtype='float32', 'float64' or 'bfloat16'"),
            got=known.name,
        )
    return known


def factors(kind: str, name: str, value: Any, *, ndim: int | None = None) -> Tensor:
    """Check that a loss's weights are finite numbers ≥ 0; return them as a tensor."""
    if isinstance(value, Tensor) and not is_known(value):
        return value
    try:
        array: Array = np.asarray(value, np.float64)
    except (TypeError, ValueError, ArgumentError):
        array = np.array(math.nan)
    right = np.isfinite(array).all() and (array >= 0).all()
    if not right or (ndim is not None and (array.ndim != ndim or not array.any())):
        raise ArgumentError(
            _(
                "{kind} needs a {name} for each {choice}.",
                kind=kind,
                name=name,
                choice="class" if ndim else "loss",
            ),
            expected=_("a list of finite numbers ≥ 0, not all 0")
            if ndim
            else _("a finite number ≥ 0, or several"),
            got=f"{value!r:.80}",
        )
    if isinstance(value, Tensor):
        return value
    weights = tensor(array)
    weights.name = "class_weight" if ndim else name  # formulas show it
    return weights


def is_known(t: Tensor) -> bool:
    """Return whether a tensor has values; a tensor in a traced function has none."""
    if context.trace is not None:
        return False
    return t._pending is not None or t._value.known
