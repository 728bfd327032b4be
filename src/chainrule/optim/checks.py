"""What optimisers and schedules take, checked once and in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

from chainrule.errors import ArgumentError, nearest, warn


def _wrong(name: str, value: Any, what: str, expected: str) -> ArgumentError:
    return ArgumentError(
        f"{name} {what}.", expected=expected, got=f"{name}={value!r:.80}"
    )


def real(name: str, value: Any, *, least: float | None = None) -> float:
    """``value`` as a finite number, of at least ``least``."""
    number = _number(value)
    if not math.isfinite(number) or (least is not None and number < least):
        expected = f"{name} = 0.1" if least is None else f"{name} ≥ {least:g}"
        raise _wrong(name, value, "must be a finite number", expected)
    return number


def above_zero(name: str, value: Any, *, finite: bool = False) -> float:
    """``value`` as a number > 0; infinity will do unless it must be ``finite``."""
    number = _number(value)
    if not number > 0 or (finite and number == math.inf):
        expected = f"a finite {name} > 0" if finite else f"{name} > 0"
        raise _wrong(name, value, "must be a positive number", expected)
    return number


def share(name: str, value: Any, what: str) -> float:
    """``value`` as a share of ``what`` that is kept: 0 ≤ value < 1."""
    number = _number(value)
    if not 0 <= number < 1:
        kept = f"is the share of {what} that is kept"
        raise _wrong(name, value, kept, f"0 ≤ {name} < 1")
    return number


def _number(value: Any) -> float:
    """A real number as a float, anything else as NaN, which no range has in it."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """``value`` as a whole number of at least ``least``."""
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not good or value < least:
        raise _wrong(name, value, "must be a whole number", f"{name} ≥ {least}")
    return int(value)


def truth(name: str, value: Any) -> bool:
    """``value`` as True or False."""
    if not isinstance(value, bool):
        expected = f"{name}=True or {name}=False"
        raise _wrong(name, value, "is either on or off", expected)
    return value


def one_of(name: str, value: Any, known: Iterable[str]) -> str:
    """``value``, which must be one of the ``known`` names."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        near = nearest(value, known) if isinstance(value, str) else None
        raise ArgumentError(
            f"{name} has no such choice.",
            expected=" or ".join(f"{name}={k!r}" for k in known),
            got=f"{name}={value!r:.80}",
            fix=f"did you mean {near!r}?" if near else None,
        )
    return value


def known_names(what: str, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones, with the nearest of them."""
    known = list(known)
    for name in given:
        if name not in known:
            near = nearest(name, known) if isinstance(name, str) else None
            raise ArgumentError(
                f"{what} called {name!r} is not known.",
                expected="one of " + ", ".join(known),
                got=repr(name),
                fix=f"did you mean {near!r}?" if near else None,
            )


def rate(value: Any, name: str = "lr") -> float:
    """``value`` as a learning rate: finite; zero and less only with a warning."""
    number = _number(value)
    if not math.isfinite(number):
        optimizer = hasattr(value, "param_groups")
        raise ArgumentError(
            "A learning rate is a finite number.",
            expected=f"for example {name}=1e-3",
            got=f"{name}={value!r:.80}",
            fix="a schedule goes into the optimiser, not the other way round: "
            f"{type(value).__name__}(lr=optim.StepLR(0.1, step_size=30))"
            if optimizer
            else None,
        )
    if number <= 0:
        happens = "climbs the loss" if number < 0 else "leaves the weights as they are"
        warn(
            f"With a learning rate of {number:g} every step {happens}.",
            expected=f"{name} > 0",
            got=f"{name}={number:g}",
            fix=f"keep it if that is what you want to see; else {name}=1e-3",
        )
    return number


def _at_least_zero(name: str, value: Any) -> float:
    return real(name, value, least=0.0)


def _share_of(what: str) -> Callable[[str, Any], float]:
    return lambda name, value: share(name, value, what)


def _betas(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise _wrong(name, value, "must be two betas", "betas=(0.9, 0.999)")
    first, second = value
    return share("β", first, "the mean gradient"), share("β", second, "the mean square")


def _search(name: str, value: Any) -> str | None:
    return None if value is None else one_of(name, value, ["strong_wolfe"])


#: The options of all optimisers, each with what gives its value or refuses it. The
#: options of one optimiser are those arguments of its constructor that stand here.
OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "alpha": _share_of("the mean square"),
    "amsgrad": truth,
    "betas": _betas,
    "centered": truth,
    "dampening": _share_of("the gradient back"),
    "decoupled_weight_decay": truth,
    "eps": _at_least_zero,
    "history_size": whole,
    "initial_accumulator_value": _at_least_zero,
    "line_search_fn": _search,
    "lr_decay": _at_least_zero,
    "max_eval": lambda name, value: None if value is None else whole(name, value),
    "max_iter": whole,
    "maximize": truth,
    "momentum": _share_of("the velocity"),
    "momentum_decay": _at_least_zero,
    "nesterov": truth,
    "rho": _share_of("the mean squares"),
    "tolerance_change": _at_least_zero,
    "tolerance_grad": _at_least_zero,
    "weight_decay": _at_least_zero,
}
