"""The constructor arguments of modules: stored by name, described as JSON."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.context import get_default_dtype
from chainrule.graph.types import DType
from chainrule.nn.arguments import is_known
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.keywords import unknown_keyword

#: Arrays of more numbers are described by their shape alone.
LARGEST = 1 << 16
_PLAIN = bool | int | float | str | None


class Constructor(NamedTuple):
    """The signature and the default arguments of a module's constructor.

    Attributes:
        signature: without ``self``.
        defaults: of the arguments that have one.
    """

    signature: inspect.Signature
    defaults: dict[str, Any]


@functools.lru_cache(maxsize=256)
def constructor(kind: type) -> Constructor:
    """Return the signature and default arguments of a module class's constructor."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return Constructor(inspect.Signature(parameters), defaults)


def captured(kind: type, args: tuple[Any, ...], kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a module's constructor call by name, with defaults.

    Numbers, lists and small arrays are copied: what is done to them later is not seen.

    Raises:
        CallError: a keyword that the constructor does not take.
        TypeError: too few or too many arguments, as Python says it, with the name of
            the class that was called and not of a base.
        ArgumentError: arguments for a class that takes none.
    """
    signature = constructor(kind).signature
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        if not signature.parameters:
            raise ArgumentError(
                _("{name} takes no arguments.", name=kind.__name__),
                expected=f"{kind.__name__}()",
                got=", ".join([*map(repr, args), *kwargs])[:80],
            ) from None
        copied = not (args or kwargs)  # made by copy or pickle, without a constructor
        if copied or hasattr(kind.__init__, "__wrapped__"):  # takes what it hides
            return {}
        known = signature.parameters
        for name in kwargs:
            if name not in known:
                unknown = unknown_keyword(kind.__name__, name, kwargs[name], known)
                raise unknown from None
        raise TypeError(f"{kind.__name__}(…): {error}") from None
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= value
        elif parameter.kind is not parameter.VAR_POSITIONAL or value:
            arguments[name] = value
    if "device" in arguments and "dtype" in arguments:  # of parameters
        del arguments["device"]  # which is not the same on another machine
        arguments["dtype"] = arguments["dtype"] or get_default_dtype()
    return {name: _copied(value) for name, value in arguments.items()}


def _copied(value: Any) -> Any:
    """Copy a module's constructor argument as JSON; modules and small arrays stay.

    >>> _copied(np.float32(0.5)), _copied((1, len))
    (0.5, [1, '<len>'])
    """
    if isinstance(value, _PLAIN) or hasattr(value, "named_children"):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, DType):
        return value.name
    if isinstance(value, Tensor) and is_known(value):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        small = value.size <= LARGEST
        return np.array(value) if small else f"<array of shape {show(value.shape)}>"
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {str(key): _copied(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return f"<{getattr(value, '__qualname__', type(value).__name__)}>"


def described(value: Any) -> Any:
    """Return a module's constructor argument as JSON; a module as its description.

    >>> described({"scale": np.array([1.0, 2.0])})
    {'scale': [1.0, 2.0]}
    """
    value = _copied(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [described(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, _PLAIN):
        return value
    return {"class": type(value).__name__, "arguments": value.settings()}


def shown(module: Any) -> str:
    """Format a module's constructor arguments for ``repr``, without defaults."""
    defaults = constructor(type(module)).defaults
    parts: list[str] = []
    for name, value in module.settings().items():
        argument = module._arguments.get(name)
        items = argument if isinstance(argument, list) else [argument]
        if any(hasattr(item, "named_children") for item in items):
            continue  # shown as what is within the module
        default = described(defaults.get(name))
        if name == "dtype" and default is None:
            default = get_default_dtype().name
        if name not in defaults or value != default:
            parts.append(f"{name}={_short(value)}")
    return ", ".join(parts)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
