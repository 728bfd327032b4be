"""The state of modules: loading a ``state_dict``, conversion to another dtype."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, ChainruleError, ShapeError
from chainrule.graph.types import DType
from chainrule.nn.parameter import Parameter
from chainrule.nn.uninitialized import has_numbers
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, tensor
from chainrule.text import _, joined, ngettext
from chainrule.util.dlpack import from_dlpack


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
    if not isinstance(state, Mapping):
        raise _no_state(type(state).__name__)
    unexpected = [str(name) for name in state if name not in own]
    arrays = {name: _array(name, state[name]) for name in own if name in state}
    loaded = {id(own[name]) for name in arrays}
    missing = [name for name, t in own.items() if id(t) not in loaded]
    shapes = {
        name: (own[name].shape, array.shape)
        for name, array in arrays.items()
        if array.shape != own[name].shape
    }
    if shapes or (strict and (missing or unexpected)):
        names = (missing, unexpected) if strict else ([], [])
        raise _misfit(*names, shapes, len(own))
    wanted: dict[int, tuple[Tensor, np.ndarray[Any, Any]]] = {}
    for name, array in arrays.items():
        t = own[name]
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
    return IncompatibleKeys(missing, unexpected)


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return a value of a ``state_dict`` as an array."""
    own = isinstance(value, Tensor)
    if isinstance(value, Parameter) if own else getattr(value, "is_leaf", False):
        value = value.detach()  # numbers of a parameter, ours or PyTorch's
    try:
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # no array for NumPy
            return from_dlpack(value)
        return np.asarray(value)
    except ChainruleError:
        raise  # a parameter without numbers says so itself
    except (TypeError, ValueError, RuntimeError) as error:
        # rows that differ; PyTorch's tensors in half precision, or with gradients
        text = _("{name}: {error:.200}", name=name, error=str(error))
        raise _no_state(text) from error


def _no_state(got: str) -> ArgumentError:
    """Return the error for what is no ``state_dict``, or for one without arrays."""
    return ArgumentError(
        _("load_state_dict takes arrays by name."),
        expected=_("a dictionary of arrays, as module.state_dict() returns it"),
        got=got,
        fix=_("of PyTorch: cr.load_torch(torch_model.state_dict())"),
    )


#: The names of one kind that a message shows.
_SHOWN = 8


def _misfit(
    missing: list[str],
    unexpected: list[str],
    shapes: Mapping[str, tuple[Any, Any]],
    count: int,
) -> ArgumentError | ShapeError:
    """Return the error for a ``state_dict`` that does not fit, with all that is wrong.

    Args:
        missing, unexpected: the names that are.
        shapes: that of the module and that of the state_dict, where they differ.
        count: the tensors that the module has.
    """
    differing = [
        _("{name} {theirs}, not {ours}", name=name, theirs=show(got), ours=show(wanted))
        for name, (wanted, got) in shapes.items()
    ]
    parts = {"missing_keys": missing, "unexpected_keys": unexpected}
    parts[_("of another shape")] = differing
    lines: list[str] = []
    for kind, names in parts.items():
        more = _(" and {n} more", n=len(names) - _SHOWN) if names[_SHOWN:] else ""
        shown = joined(", ", names[:_SHOWN])
        lines += [_("{kind}: {shown}{more}", kind=kind, shown=shown, more=more)]
    got = joined("; ", [line for line, names in zip(lines, parts.values()) if names])
    expected = ngettext(
        "the module's {n} name and its shape",
        "the module's {n} names and shapes",
        n=count,
    )
    if not missing and not unexpected:
        return ShapeError(
            _("The state_dict has tensors of another shape."),
            expected=expected,
            got=got,
            fix=_("strict=False with a state_dict without these"),
        )
    return ArgumentError(
        _("The state_dict belongs to another architecture."),
        expected=expected,
        got=got,
        fix=_renaming(missing, unexpected) or _("strict=False takes what fits"),
    )


def _renaming(missing: list[str], unexpected: list[str]) -> str:
    """Return the code that takes off a prefix, or puts one before, where that helps."""
    for ours, theirs in itertools.product(missing[:1], unexpected):
        if theirs.endswith(f".{ours}"):
            prefix = theirs.removesuffix(ours)
            return f"{{k.removeprefix({prefix!r}): v for k, v in state.items()}}"
    for ours, theirs in itertools.product(missing, unexpected[:1]):
        if ours.endswith(f".{theirs}"):
            prefix = ours.removesuffix(theirs)
            return f"{{{prefix!r} + k: v for k, v in state.items()}}"
    return ""


def convert_state(module: Any, dtype: DType) -> None:
    """Convert one module's floating-point parameters and buffers, in place."""
    for name, t in module.__dict__.items():
        is_state = isinstance(t, Parameter) or name in module._buffers
        if is_state and isinstance(t, Tensor) and t.dtype.is_float:
            known = has_numbers(t)
            new = np.empty(t.shape, dtype.numpy)
            array = t.numpy().astype(dtype.numpy) if known else new
            t._leave()  # its views keep the numbers that they have
            t._replace(array)
            t.grad, t.version = None, t.version + 1
    if "dtype" in module._arguments:
        settings = {**module._arguments, "dtype": dtype.name}
        module.__dict__["_arguments"] = settings
    if isinstance(module.__dict__.get("dtype"), DType):
        module.__dict__["dtype"] = dtype
