"""The parameters of a network's estimator, each with its check."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule import nn
from chainrule.engines import engine_names
from chainrule.engines.spread import spread_over
from chainrule.errors import ArgumentError
from chainrule.optim import RuleOptimizer
from chainrule.sklearn.network import ACTIVATIONS, RATES, hidden
from chainrule.text import _
from chainrule.util.validation import choice, maybe, number, truth, whole

Check = Callable[[str, Any], Any]


def _auto(check: Check) -> Check:
    """Return a check that takes ``"auto"`` too."""
    return lambda name, value: value if value == "auto" else check(name, value)


def _solver(name: str, value: Any) -> Any:
    return value if isinstance(value, RuleOptimizer) else choice(*RATES)(name, value)


def _sizes(name: str, value: Any) -> Any:
    for size in hidden(value):
        whole(name, size)
    return value


def _module(name: str, value: Any) -> Any:
    if value is None or isinstance(value, nn.Module):
        return value
    if callable(value) and not isinstance(value, type):
        return value
    raise ArgumentError(
        _("{name} is a network, or a function that makes one.", name=name),
        expected=_("a Module, or a function (inputs, outputs) → Module"),
        got=f"{name}={value!r:.80}",
        fix="lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, outputs))",
    )


def _devices(name: str, value: Any) -> Any:
    """Return a number of devices, ``"all"``, or None."""
    over = spread_over("xla", True, **{name: value})
    return None if over is None else over.devices


#: A check for each parameter that has one.
CHECKS: dict[str, Check] = {
    "hidden_layer_sizes": _sizes,
    "activation": choice(*ACTIVATIONS),
    "solver": _solver,
    "alpha": partial(number, least=0),
    "batch_size": _auto(whole),
    "learning_rate": choice("one_cycle", "constant", "adaptive"),
    "learning_rate_init": _auto(partial(number, above=0)),
    "max_iter": whole,
    "tol": partial(number, least=0),
    "early_stopping": truth,
    "validation_fraction": partial(number, above=0, below=1),
    "n_iter_no_change": whole,
    "warm_start": truth,
    "module": _module,
    "standardize": truth,
    "engine": choice(*engine_names()),
    "threads": maybe(whole),
    "devices": _devices,
    "n_components": whole,
}

#: The parameters that say what the network is; further training cannot change them.
SHAPING = "hidden_layer_sizes", "activation", "module", "standardize", "n_components"


def check(estimator: Any) -> None:
    """Check the parameters of an estimator, each by its own check.

    Raises:
        ArgumentError: naming the first of them.
    """
    for name in estimator.get_params(deep=False):
        if name in CHECKS:
            CHECKS[name](name, getattr(estimator, name))
