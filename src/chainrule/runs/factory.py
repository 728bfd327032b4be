"""Layers, losses, optimisers, schedules and callbacks from checked settings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule import optim
from chainrule.disk import inside
from chainrule.errors import ArgumentError, ChainruleError, ChainruleWarning
from chainrule.random import Generator, stream
from chainrule.runs import classes
from chainrule.runs.problems import Problem, Where
from chainrule.runs.values import show

#: What a constructor may raise about a value that it takes on trust.
_TRUSTING = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


class ProblemError(Exception):
    """Carries a problem to where the file is known; never shown as it is."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def construct(made: type, options: Mapping[str, Any], where: Where) -> Any:
    """``made(**options)``; where it refuses them, that is a problem of the file."""
    try:
        return made(**options)
    except ChainruleError as error:
        raise ProblemError(
            Problem(
                where,
                error.what,
                expected=error.expected or "options as its documentation says",
                got=error.got or show(dict(options)),
                fix=error.fix or f"look up {made.__name__}: chainrule new --reference",
            )
        ) from error
    except _TRUSTING as error:
        raise ProblemError(
            Problem(
                where,
                f"{made.__name__} does not take these options.",
                expected="values as its documentation says",
                got=show(dict(options)),
                fix=f"{type(error).__name__}: {error}"[:200],
            )
        ) from error


@contextmanager
def on_trial() -> Iterator[None]:
    """What is made within the block is thrown away: no draws, and no warnings yet."""
    with stream(Generator(0)), warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        yield


def loss(settings: Mapping[str, Any]) -> Any:
    """The loss of ``[loss]``, which names one."""
    made = classes.losses().classes[settings["class"]]
    return construct(made, settings["options"], ("loss",))


def optimizer(settings: Mapping[str, Any], schedule: Mapping[str, Any]) -> Any:
    """The optimiser of ``[optimizer]``, its rate as ``[schedule]`` says."""
    made = classes.optimizers().classes[settings["class"]]
    options = dict(settings["options"])
    usual = classes.options_of(made)["lr"].default
    rate = options.pop("lr", usual)
    options["lr"] = _schedule(schedule, 1e-3 if rate is None else rate)
    if settings["groups"]:
        groups = settings["groups"].items()
        named = [{**given, "params": pattern} for pattern, given in groups]
        options["params"] = [*named, {"params": "*"}]
    return construct(made, options, ("optimizer",))


def _schedule(settings: Mapping[str, Any], rate: float) -> Any:
    """The schedule of ``[schedule]``, whose rate is ``rate``."""
    made = classes.schedules().classes[settings["class"]]
    name = classes.rate_of(made)
    built = construct(made, {name: rate, **settings["options"]}, ("schedule",))
    if settings["warmup"] is None:
        return built
    return optim.LinearWarmup(built, settings["warmup"])


def callback(number: int, settings: Mapping[str, Any], directory: Path) -> Any:
    """One callback of ``[[callbacks]]``; its file lies in ``directory``."""
    name = settings["class"]
    kind, options = classes.callbacks().classes[name], dict(settings["options"])
    if name in classes.FILES:
        given = options.get("path", classes.FILES[name])
        try:
            options["path"] = inside(directory, given, f"the file of {name}")
        except ArgumentError as error:
            raise ProblemError(
                Problem.of(error, "callbacks", number, "path")
            ) from error
    return construct(kind, options, ("callbacks", number))


def layer(number: int, settings: Mapping[str, Any]) -> Any:
    """One layer of ``[model] layers``, all of its sizes known."""
    made = classes.layers().classes[settings["class"]]
    return construct(made, settings["options"], ("model", "layers", number))
