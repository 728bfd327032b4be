"""Modules and losses as one writes them: in Python, and as tables of run files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from chainrule import nn
from chainrule.doctor import weights
from chainrule.nn import Module


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
    return f"{type(module).__name__}(…)" if inner else repr(module)


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
    return f"loss={'nn.' if hasattr(nn, type(loss).__name__) else ''}{loss!r}"
