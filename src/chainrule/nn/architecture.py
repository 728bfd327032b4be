"""Architectures, losses and optimisers as JSON descriptions, without ``pickle``.

    {"class": "Sequential", "modules": [{"class": "Linear", "arguments": {…}}, …]}

Classes are those that ``chainrule.nn`` and ``chainrule.optim`` export, by name; a
module of the user's own has no such description.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from chainrule import nn, optim
from chainrule.errors import ChainruleError, CheckpointError
from chainrule.nn.arguments import sizes_of
from chainrule.random.generator import NoBits, stream
from chainrule.text import _, ngettext

#: Classes that only others are made from, and those that nothing can be fed to.
_BASES = (nn.Module, nn.Loss, nn.ModuleList, nn.ModuleDict)
_MODULES = {
    name: item
    for name, item in vars(nn).items()
    if name in nn.__all__
    and isinstance(item, type)
    and issubclass(item, nn.Module)
    and item not in _BASES
}
#: Initial weights are drawn so many times at most: some initialisers draw again.
_DRAWS = 4
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
    """Return the JSON description of a layer, network or loss; None for others."""
    name = type(module).__name__
    if _MODULES.get(name) is not type(module):
        return None
    if not isinstance(module, nn.Sequential):
        return {"class": name, "arguments": module.settings()}
    if [n for n, __ in module.named_children()] != [str(i) for i in range(len(module))]:
        return None  # names of their own
    inner = [module_spec(child) for child in module]
    return None if None in inner else {"class": name, "modules": inner}


def is_description(value: Any) -> bool:
    """Return whether a value has the form of a JSON description of a module."""
    pending = [value]
    while pending:
        spec = pending.pop()
        if not isinstance(spec, dict) or not isinstance(spec.get("class"), str):
            return False
        inner = spec.get("modules", [])
        known = spec.keys() in ({"class", "modules"}, {"class", "arguments"})
        if not known or not isinstance(inner, list):
            return False
        if not isinstance(spec.get("arguments", {}), dict):
            return False
        pending += inner
    return True


def difference(
    one: Mapping[str, Any], other: Mapping[str, Any], path: tuple[int, ...] = ()
) -> tuple[str, str] | None:
    """Describe the first difference between two model descriptions; None if equal.

    Args:
        one, other: what :func:`module_spec` returns.
        path: the positions of the layers that lead to them.
    """
    name = _("the model")
    if path:
        name = _("layer {i}", i=".".join(map(str, path)))
    layers, others = one.get("modules"), other.get("modules")
    if layers is None or others is None:
        if one == other:
            return None
        return _("{one} for {name}", one=_layer(one), name=name), _layer(other)
    if len(layers) != len(others):
        return (
            ngettext(
                "{n} layer in {name}", "{n} layers in {name}", n=len(layers), name=name
            ),
            ngettext("{n} layer", "{n} layers", n=len(others)),
        )
    for i, pair in enumerate(zip(layers, others)):
        inner = difference(*pair, (*path, i))
        if inner is not None:
            return inner
    return None


def _layer(spec: Mapping[str, Any]) -> str:
    arguments = spec.get("arguments", {})
    return f"{spec['class']}({', '.join(f'{k}={v}' for k, v in arguments.items())})"


#: So many elements more than a checkpoint holds a network may have: layers without
#: parameters have sizes too.
_ROOM = 1 << 16


def build_module(spec: dict[str, Any], available: int | None = None) -> nn.Module:
    """Build a module from its JSON description, with placeholders as weights.

    Args:
        spec: what :func:`module_spec` gave.
        available: how many numbers there are for it. A network that has more is refused
            before it is built: no file asks for memory that it does not fill.

    Raises:
        CheckpointError: a class or arguments that this version does not know.
    """
    try:
        if available is not None and (wanted := elements(spec)) > available + _ROOM:
            raise ValueError(
                _(
                    "{wanted:.3g} weights, and {held:,} in the file",
                    wanted=float(wanted),
                    held=available,
                )
            )
        most = None if available is None else _DRAWS * (available + _ROOM)
        with stream(NoBits(most)):
            return _build(spec)
    except _STRANGE as error:
        raise CheckpointError(
            _("The checkpoint describes a network that this version cannot build."),
            expected=_("classes among {MODULES}", MODULES=", ".join(sorted(_MODULES))),
            got=f"{spec!r:.200}: {error!s:.500}",
            fix=_(
                "build the network in Python and pass it: Trainer.load(path, model=…)"
            ),
        ) from error


def elements(spec: dict[str, Any]) -> int:
    """Estimate an upper bound of the number of weights of a network's description."""
    pending, count = [spec], 0
    while pending:
        spec = pending.pop()
        pending += spec.get("modules", [])
        pending += filter(is_description, spec.get("arguments", {}).values())
        kind = _MODULES.get(spec["class"], nn.Module)
        sizes = [spec.get("arguments", {}).get(name) for name in sizes_of(kind)]
        counts = [n for s in sizes for n in (s if isinstance(s, list) else [s])]
        # A size that is no whole number is refused by the layer itself.
        whole = [n for n in counts if type(n) is int and n > 0]
        count += math.prod(whole) if whole else 0
    return count


def _build(spec: dict[str, Any]) -> nn.Module:
    kind = _MODULES[spec["class"]]
    if "modules" in spec:
        return kind(*map(_build, spec["modules"]))
    arguments = spec["arguments"].items()
    module = kind(**{k: _build(v) if is_description(v) else v for k, v in arguments})
    has = module.settings()
    for name, value in spec["arguments"].items():
        if name not in has or _text(value) != _text(has[name]):
            raise ValueError(
                _(
                    "{name}={value!r:.80} is no setting of {made!r:.80}",
                    name=name,
                    value=value,
                    made=module,
                )
            )
    return module


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def build_optimizer(settings: dict[str, Any]) -> optim.RuleOptimizer:
    """Build an optimiser from its settings (``RuleOptimizer.settings()``).

    Raises:
        CheckpointError: an optimiser or a schedule that this version does not know.
    """
    try:
        arguments = {k: v for k, v in settings.items() if k not in ("name", "lr")}
        return optim.OPTIMIZERS[settings["name"]](lr=settings["lr"], **arguments)
    except _STRANGE as error:
        raise CheckpointError(
            _(
                "The checkpoint was made with an optimiser that this version "
                "cannot build."
            ),
            expected=_("one of {OPTIMIZERS}", OPTIMIZERS=", ".join(optim.OPTIMIZERS)),
            got=f"{settings!r:.200}: {error!s:.500}",
            fix=_("pass it: Trainer.load(path, optimizer=…)"),
        ) from error
