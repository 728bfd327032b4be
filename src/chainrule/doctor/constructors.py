"""Modules and losses as one writes them: in Python, and as tables of run files."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from chainrule import nn, optim
from chainrule.doctor import weights
from chainrule.nn import Module
from chainrule.optim.schedule import Schedule


def code(model: Module, path: str) -> str:
    """Return the constructor of a module at a path of a model, as one writes it."""
    module = model.get_submodule(path)
    if weights.is_of_library(module) and not any(True for __ in module.children()):
        return f"nn.{module!r}"
    return f'model.get_submodule("{path}")'


def _named(model: Module, path: str) -> str:
    """Return what stands at a path of a model, in one line."""
    module, written = model.get_submodule(path), code(model, path)
    if written.startswith("nn."):
        return written
    inner = any(True for __ in module.children())
    return f"{type(module).__name__}(...)" if inner else named(module)


def named(value: Any) -> str:
    """Return an object of somebody's own as one writes it: by name, or by its repr.

    >>> from operator import add
    >>> named(add), named(lambda p, t: p - t), named(partial(add, 1)), named(object())
    ('add', 'lambda p, t: ...', 'partial(add, 1)', 'object(...)')
    """
    if isinstance(value, partial):
        made: Any = value
        given = [named(made.func), *map(named, made.args)]
        given += [f"{k}={named(v)}" for k, v in made.keywords.items()]
        return f"partial({', '.join(given)})"
    name = getattr(value, "__name__", None)
    if isinstance(name, str) and name.isidentifier():
        bound = getattr(value, "__self__", None)
        own = bound is not None and not inspect.ismodule(bound)
        return f"{named(bound)}.{name}" if own else name
    if name == "<lambda>":
        return f"lambda {', '.join(inspect.signature(value).parameters)}: ..."
    shown = repr(value)
    return shown if _is_expression(shown) else f"{type(value).__name__}(...)"


def _is_expression(text: str) -> bool:
    """Return whether a text is an expression of Python."""
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return "\n" not in text


def schedule_shown(schedule: Any) -> str:
    """Return a rate or a schedule as code: its classes are those of ``optim``.

    >>> schedule_shown(optim.StepLR(0.5, 10)).partition("(")[0]
    'optim.StepLR'
    """
    known = schedule.shown() if isinstance(schedule, Schedule) else schedule
    if isinstance(known, float):
        return rate_shown(known)

    def placed(match: re.Match[str]) -> str:
        return f"{'optim.' if hasattr(optim, match[1]) else ''}{match[0]}"

    return re.sub(r"\b([A-Z]\w*)\(", placed, repr(known))


def rate_shown(rate: float) -> str:
    """Return a learning rate, or another number, as code: without what groups digits.

    >>> rate_shown(1000.0), rate_shown(3e-5), rate_shown(0.1 * 3)
    ('1000', '3e-5', '0.3')
    """
    mantissa, sign, exponent = f"{rate:.9g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if sign else mantissa


def constructors(
    model: Module, paths: Iterable[str], new: Callable[[str], str] | None = None
) -> str:
    """Return paths of a model with the constructors of what stands there, as lines."""
    made = new or partial(_named, model)
    return "\n".join(f"{path}: {made(path)}" for path in paths)


def table(module: Module) -> tuple[dict[str, Any], ...]:
    """Return the table of a layer in a run file; none of a layer that does nothing."""
    if isinstance(module, nn.Identity):
        return ()
    kind = type(module)
    usual = inspect.signature(kind).parameters
    given = {
        k: v
        for k, v in module.settings().items()
        if k != "dtype" and v != usual[k].default
    }
    return ({"class": kind.__name__, **given},)


def loss_shown(loss: Any) -> str:
    """Return a loss as one gives it to a Trainer."""
    if getattr(nn, type(loss).__name__, None) is type(loss):
        return f"loss=nn.{loss!r}"
    name = named(loss)
    if getattr(nn.functional, name, None) is loss:
        return f"loss=nn.functional.{name}"
    return f"loss={name}"
