"""What optimisers and schedules take, checked once and in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from chainrule.errors import ArgumentError, nearest, warn

#: Gives the value of an argument, or refuses it: ``check(name, value)``.
Check = Callable[[str, Any], Any]


def _wrong(name: str, value: Any, what: str, expected: str) -> ArgumentError:
    return ArgumentError(
        f"{name} {what}.", expected=expected, got=f"{name}={value!r:.80}"
    )


def number(what: str, expected: str, fits: Callable[[float], bool]) -> Check:
    """A check for real numbers that fit; ``{}`` in ``expected`` is the name."""

    def check(name: str, value: Any) -> float:
        made = _number(value)
        if not fits(made):
            raise _wrong(name, value, what, expected.format(name))
        return made

    return check


finite = number("must be a finite number", "{} = 0.1", math.isfinite)
at_least_zero = number("must be a finite number", "{} ≥ 0", lambda x: 0 <= x < math.inf)
#: Infinity will do.
above_zero = number("must be a positive number", "{} > 0", lambda x: x > 0)
_factor = number(
    "must be a positive number", "a finite {} > 0", lambda x: 0 < x < math.inf
)
_part = number("is a share", "0 ≤ {} ≤ 1", lambda x: 0 <= x <= 1)
_start = number(
    "is the share of the rate that a warm-up starts from",
    "{0} > 0 and {0} ≤ 1",
    lambda x: 0 < x <= 1,
)


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
        raise ArgumentError(
            f"{name} has no such choice.",
            expected=" or ".join(f"{name}={k!r}" for k in known),
            got=f"{name}={value!r:.80}",
            fix=_did_you_mean(value, known),
        )
    return value


def _did_you_mean(name: Any, known: Iterable[str]) -> str | None:
    near = nearest(name, known) if isinstance(name, str) else None
    return f"did you mean {near!r}?" if near else None


def known_names(what: str, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones, with the nearest of them."""
    known = list(known)
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"{what} called {name!r} is not known.",
                expected="one of " + ", ".join(known),
                got=repr(name),
                fix=_did_you_mean(name, known),
            )


def rate(name: str, value: Any) -> float:
    """``value`` as a learning rate: finite; zero and less only with a warning."""
    made = _number(value)
    if not math.isfinite(made):
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
    if made <= 0:
        happens = "climbs the loss" if made < 0 else "leaves the weights as they are"
        warn(
            f"With a learning rate of {made:g} every step {happens}.",
            expected=f"{name} > 0",
            got=f"{name}={made:g}",
            fix=f"keep it if that is what you want to see; else {name}=1e-3",
        )
    return made


def _share_of(what: str) -> Check:
    kept = f"is the share of {what} that is kept"
    return number(kept, "0 ≤ {} < 1", lambda x: 0 <= x < 1)


_first, _second = _share_of("the mean gradient"), _share_of("the mean square")


def _betas(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise _wrong(name, value, "must be two betas", "betas=(0.9, 0.999)")
    first, second = value
    return _first("β", first), _second("β", second)


def _milestones(name: str, value: Any) -> list[int]:
    try:
        marks = [whole("a milestone", m) for m in value]
    except (TypeError, ArgumentError):
        marks = []
    if not marks or any(a >= b for a, b in pairwise(marks)):
        ranges = "whole numbers ≥ 1, each larger than the one before: [30, 60]"
        raise _wrong(name, value, "must follow each other", ranges)
    return marks


def _monitor(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, "is a key of history.epochs", "a text")
    return value


def _or_none(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def _choice(*known: str) -> Check:
    return lambda name, value: one_of(name, value, known)


def count(name: str, value: Any) -> int:
    """``value`` as a whole number of at least 0."""
    return whole(name, value, least=0)


#: The options of all optimisers, each with what gives its value or refuses it. The
#: options of one optimiser are those arguments of its constructor that stand here.
OPTIONS: dict[str, Check] = {
    "alpha": _share_of("the mean square"),
    "amsgrad": truth,
    "betas": _betas,
    "centered": truth,
    "dampening": _share_of("the gradient back"),
    "decoupled_weight_decay": truth,
    "eps": at_least_zero,
    "history_size": whole,
    "initial_accumulator_value": at_least_zero,
    "line_search_fn": _or_none(_choice("strong_wolfe")),
    "lr_decay": at_least_zero,
    "max_eval": _or_none(whole),
    "max_iter": whole,
    "maximize": truth,
    "momentum": _share_of("the velocity"),
    "momentum_decay": at_least_zero,
    "nesterov": truth,
    "rho": _share_of("the mean squares"),
    "tolerance_change": at_least_zero,
    "tolerance_grad": at_least_zero,
    "weight_decay": at_least_zero,
}

#: The arguments of all schedules, likewise.
ARGUMENTS: dict[str, Check] = {
    "T_max": _or_none(whole),
    "cooldown": count,
    "div_factor": above_zero,
    "eps": at_least_zero,
    "eta_min": at_least_zero,
    "factor": _share_of("the rate"),
    "final_div_factor": above_zero,
    "gamma": _factor,
    "lr": rate,
    "max_lr": rate,
    "milestones": _milestones,
    "min_lr": at_least_zero,
    "mode": _choice("min", "max"),
    "monitor": _monitor,
    "patience": count,
    "pct_start": _part,
    "start_factor": _start,
    "step_size": whole,
    "steps_per_epoch": _or_none(whole),
    "threshold": at_least_zero,
    "threshold_mode": _choice("rel", "abs"),
    "total_steps": _or_none(whole),
    "unit": _choice("epoch", "step"),
}
