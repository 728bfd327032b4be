"""Architectures, losses and optimisers as JSON, and back. Nothing is ever unpickled.

    {"class": "Sequential", "modules": [{"class": "Linear", "arguments": {…}}, …]}

Classes are those that ``chainrule.nn`` and ``chainrule.optim`` export, by name; a
module of the user's own has no such description.
"""

from __future__ import annotations

from typing import Any

from chainrule import nn, optim
from chainrule.errors import ChainruleError, CheckpointError
from chainrule.random import Generator, stream

_MODULES = {
    name: item
    for name, item in vars(nn).items()
    if name in nn.__all__ and isinstance(item, type) and issubclass(item, nn.Module)
}
#: Classes that only others are made from.
_BASES = (nn.Module, nn.Loss)
#: What strange arguments may raise within a constructor.
_STRANGE = (
    ChainruleError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def module_spec(module: Any) -> dict[str, Any] | None:
    """The description of a layer, network or loss; None where there is none."""
    name = type(module).__name__
    if _MODULES.get(name) is not type(module) or type(module) in _BASES:
        return None
    if not isinstance(module, nn.Sequential):
        return {"class": name, "arguments": module.settings()}
    inner = [module_spec(child) for child in module]
    return None if None in inner else {"class": name, "modules": inner}


def build_module(spec: dict[str, Any]) -> nn.Module:
    """The module that ``spec`` describes; its initial weights are to be replaced.

    Raises:
        CheckpointError: a class or arguments that this version does not know.
    """
    try:
        # Initial draws must not move the user's stream of random numbers.
        with stream(Generator(0)):
            return _build(spec)
    except _STRANGE as error:
        raise CheckpointError(
            "The checkpoint describes a network that this version cannot build.",
            expected=f"classes among {', '.join(sorted(_MODULES))}",
            got=f"{spec!r:.200}: {error}",
            fix="build the network in Python and pass it: Trainer.load(path, model=…)",
        ) from error


def _build(spec: dict[str, Any]) -> nn.Module:
    made = _MODULES[spec["class"]]
    if "modules" in spec:
        return made(*map(_build, spec["modules"]))
    return made(**spec["arguments"])


def build_optimizer(settings: dict[str, Any]) -> optim.Optimizer:
    """The optimiser with these settings (``Optimizer.settings()``).

    Raises:
        CheckpointError: an optimiser or a schedule that this version does not know.
    """
    try:
        arguments = {k: v for k, v in settings.items() if k not in ("name", "lr")}
        return optim.OPTIMIZERS[settings["name"]](lr=settings["lr"], **arguments)
    except _STRANGE as error:
        raise CheckpointError(
            "The checkpoint was made with an optimiser that this version cannot build.",
            expected=f"one of {', '.join(optim.OPTIMIZERS)}",
            got=f"{settings!r:.200}: {error}",
            fix="pass it: Trainer.load(path, optimizer=…)",
        ) from error
