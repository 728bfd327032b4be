"""The state of modules: loading a ``state_dict``, conversion to another dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import DType
from chainrule.nn.parameter import Parameter
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


class IncompatibleKeys(NamedTuple):
    """The missing and unexpected names that ``load_state_dict`` found.

    Attributes:
        missing_keys: what the module has and the ``state_dict`` has not.
        unexpected_keys: the other way round.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_state(
    own: Mapping[str, Tensor], state: Mapping[str, Any], strict: bool
) -> IncompatibleKeys:
    """Copy a ``state_dict`` into a module's tensors: :meth:`Module.load_state_dict`."""
    unknown = [name for name in state if name not in own]
    loaded = {id(own[name]) for name in state if name in own}
    missing = [name for name, t in own.items() if id(t) not in loaded]
    if strict and (missing or unknown):
        raise ArgumentError(
            _("The state_dict belongs to another architecture."),
            expected=", ".join(own),
            got=_(
                "missing {missing}, unknown {unknown}",
                missing=missing,
                unknown=unknown,
            ),
            fix=_("strict=False takes what fits"),
        )
    wanted: dict[int, tuple[Tensor, np.ndarray[Any, Any]]] = {}
    for name, t in own.items():
        if name not in state:
            continue
        array = np.asarray(state[name])
        if array.shape != t.shape:
            raise ShapeError(
                _("{name} has another shape in the state_dict.", name=name),
                expected=show(t.shape),
                got=show(array.shape),
            )
        known = wanted.setdefault(id(t), (t, array))[1]
        if known is not array and not np.array_equal(known, array, equal_nan=True):
            raise ArgumentError(
                _(
                    "{name} is shared by several modules, and the state_dict "
                    "has other numbers for it under another name.",
                    name=name,
                ),
                expected=_("the same numbers under each name"),
            )
    for t, new in [(t, tensor(array)) for t, array in wanted.values()]:
        t.copy_(new)
    return IncompatibleKeys(missing, unknown)


def convert_state(module: Any, dtype: DType) -> None:
    """Convert one module's floating-point parameters and buffers, in place."""
    for name, t in module.__dict__.items():
        is_state = isinstance(t, Parameter) or name in module._buffers
        if is_state and isinstance(t, Tensor) and t.dtype.is_float:
            array = t.numpy().astype(dtype.numpy)
            t._leave()  # its views keep the numbers that they have
            t._replace(array)
            t.grad, t.version = None, t.version + 1
    if "dtype" in module._arguments:
        settings = {**module._arguments, "dtype": dtype.name}
        module.__dict__["_arguments"] = settings
    if isinstance(module.__dict__.get("dtype"), DType):
        module.__dict__["dtype"] = dtype
