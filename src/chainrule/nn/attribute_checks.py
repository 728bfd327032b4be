"""Checks of what is assigned to the attributes of modules."""

from __future__ import annotations

import sys
from collections.abc import ValuesView
from contextvars import ContextVar
from typing import Any

from chainrule.errors import ArgumentError, ChainruleError, warn
from chainrule.graph.context import context
from chainrule.nn.parameter import Parameter
from chainrule.tensor import Tensor
from chainrule.text import _


def check_unchanged_in_trace(module: Any, name: str, value: Any) -> None:
    """Refuse, during tracing, to set an attribute of a module made outside of it."""
    trace, old = context.trace, module.__dict__.get(name, module)
    if trace is None or value is old:
        return
    made_in = module.__dict__.get("_made_in")
    plain = isinstance(value, bool | int | float | str) and type(value) is type(old)
    if (made_in is not None and made_in() is trace) or (plain and value == old):
        return
    raise ArgumentError(
        _(
            "{kind}.{name} is set in a function that is compiled: that would "
            "happen once, and not at each call.",
            kind=type(module).__name__,
            name=name,
        ),
        expected=_("attributes that stay as they are; state changes in place"),
        got=f"self.{name} = {type(value).__name__}",
        fix=f"self.{name}.copy_(new)"
        if isinstance(old, Tensor)
        else _(
            "self.{name} = cr.tensor(…) in the constructor and "
            "self.{name}.copy_(new) here; what forward() computes is "
            "returned",
            name=name,
        ),
    )


#: Whether a layer is built to check an argument: its constructor checks nothing twice.
_probing: ContextVar[bool] = ContextVar("probing", default=False)


def check_argument(module: Any, name: str, value: Any) -> None:
    """Refuse a layer's attribute value that its constructor would refuse."""
    kind = type(module)
    if _probing.get() or not kind.__module__.startswith("chainrule."):
        return
    now = module.__dict__
    arguments = {key: now[key] for key in module._arguments if key in now}
    token = _probing.set(True)
    try:
        kind(**arguments | {name: value})
    except ChainruleError:
        if _is_built(kind, arguments):  # else what is stored is not what was passed
            raise
    finally:
        _probing.reset(token)


def _is_built(kind: type[Any], arguments: dict[str, Any]) -> bool:
    """Return whether a layer's constructor accepts these arguments."""
    try:
        kind(**arguments)
    except ChainruleError:
        return False
    return True


def check_attribute(module: Any, name: str, value: Any) -> None:
    """Refuse to replace a module's parameter; warn of attributes that are not found."""
    kind = type(module).__name__
    if isinstance(module.__dict__.get(name), Parameter) and value is not None:
        raise ArgumentError(
            _(
                "{kind}.{name} is a parameter, which training changes.",
                kind=kind,
                name=name,
            ),
            expected=_("a Parameter in its place, or None"),
            got=type(value).__name__,
            fix=_(
                "module.{name}.copy_(numbers) for other numbers, or "
                "module.{name} = nn.Parameter(numbers)",
                name=name,
            ),
        )
    if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
        warn(
            _(
                "{kind}.{name} is no Parameter: it has a gradient, and no "
                "optimiser finds it.",
                kind=kind,
                name=name,
            ),
            expected=_("a Parameter, or a tensor without a gradient"),
            got=_("a tensor with requires_grad=True"),
            fix=f"self.{name} = nn.Parameter(numbers)",
        )
    container = "ModuleDict" if isinstance(value, dict) else "ModuleList"
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, list | tuple | set | ValuesView) and any(
        hasattr(item, "named_children") for item in value
    ):
        warn(
            _(
                "{kind}.{name} holds modules that {kind} does not find: their "
                "parameters are neither trained nor saved.",
                kind=kind,
                name=name,
            ),
            expected=_("modules as attributes, or within one"),
            got=_("a list, tuple or dictionary"),
            fix=f"self.{name} = nn.{container}(modules)",
        )


def computed_attribute(module: Any, name: str) -> ArgumentError:
    """Return the error for an assignment to a module's computed weight."""
    return ArgumentError(
        _(
            "{kind}.{name} is computed from other parameters.",
            kind=type(module).__name__,
            name=name,
        ),
        expected=_("a change of these, such as {name}_g and {name}_v", name=name),
        got=f"module.{name} = …",
        fix=_("nn.utils.remove_weight_norm or remove_spectral_norm first"),
    )


def check_name(module: Any, name: str) -> None:
    """Refuse an invalid name of a module's parameter, buffer or submodule."""
    right = isinstance(name, str) and name and "." not in name
    if not right or (hasattr(type(module), name) and name not in module.__dict__):
        raise ArgumentError(
            _("A part of a module needs a name of its own."),
            expected=_("a text without dots that no method has"),
            got=f"{name!r:.80}",
        )


def recursion_error(kind: str) -> ArgumentError:
    """Return the error for modules nested deeper than Python's recursion allows."""
    return ArgumentError(
        _("{kind} calls modules within modules, further than Python goes.", kind=kind),
        expected=_("a few hundred calls within each other at most"),
        got=_(
            "Python's limit of {getrecursionlimit} calls",
            getrecursionlimit=sys.getrecursionlimit(),
        ),
        fix=_(
            "one flat nn.Sequential(*layers) instead of nested ones, and no "
            "forward() that calls itself; or a higher sys.setrecursionlimit(…)"
        ),
    )
