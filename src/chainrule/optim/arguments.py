"""Declaration and checks of the arguments of optimisers and schedules."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, dataclass_transform

from chainrule.errors import ArgumentError, warn
from chainrule.graph.build import context
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.keywords import strict_function
from chainrule.util.validation import Check, count, maybe, number, truth, whole


def rate(name: str, value: Any) -> float:
    """Check a learning rate: it must be finite; warn if it is not positive."""
    made = validation.real(value)
    if not math.isfinite(made):
        optimizer = hasattr(value, "param_groups")
        raise ArgumentError(
            _("A learning rate is a finite number."),
            expected=_("for example {name}=1e-3", name=name),
            got=f"{name}={value!r:.80}",
            fix=_(
                "a schedule goes into the optimiser, not the other way round: "
                "{kind}(lr=optim.StepLR(0.1, step_size=30))",
                kind=type(value).__name__,
            )
            if optimizer
            else None,
        )
    if made <= 0:
        happens = (
            _("climbs the loss") if made < 0 else _("leaves the weights as they are")
        )
        warn(
            _(
                "With a learning rate of {made:g} every step {happens}.",
                made=made,
                happens=happens,
            ),
            expected=f"{name} > 0",
            got=f"{name}={made:g}",
            fix=_(
                "keep it if that is what you want to see; else {name}=1e-3", name=name
            ),
        )
    return made


def _kept(what: str, how: str = "kept") -> Check:
    said = _("{name} is the share of {what} that is {how}.", what=what, how=how)
    return partial(number, least=0, below=1, what=said)


def _betas(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise validation.refused(
            name, value, _("{name} must be two betas."), "betas=(0.9, 0.999)"
        )
    first, second = value
    return _kept(_("the mean gradient"))("β", first), _kept(_("the mean square"))(
        "β", second
    )


def _milestones(name: str, value: Any) -> list[int]:
    try:
        marks = [whole(_("a milestone"), m) for m in value]
    except (TypeError, ArgumentError):
        marks = []
    if not marks or any(a >= b for a, b in pairwise(marks)):
        ranges = _("whole numbers ≥ 1, each larger than the one before: [30, 60]")
        raise validation.refused(
            name, value, _("{name} must follow each other."), ranges
        )
    return marks


_at_least_zero = partial(number, least=0)
_above_zero = partial(number, above=0, what=_("{name} must be a positive number."))
#: Infinity will do.
limit = partial(_above_zero, infinite=True)
_share = partial(number, least=0, most=1, what=_("{name} is a share."))

#: The arguments of all optimisers and schedules, each with its check.
ARGUMENTS: dict[str, Check] = {
    "T_max": maybe(whole),
    "alpha": _kept(_("the mean square")),
    "amsgrad": truth,
    "betas": _betas,
    "centered": truth,
    "clip_norm": maybe(limit),
    "clip_value": maybe(limit),
    "cooldown": count,
    "dampening": _kept(_("the gradient"), "held back"),
    "decoupled_weight_decay": truth,
    "div_factor": limit,
    "eps": _at_least_zero,
    "eta_min": _at_least_zero,
    "factor": _kept(_("the rate")),
    "final_div_factor": limit,
    "gamma": _above_zero,
    "history_size": whole,
    "initial_accumulator_value": _at_least_zero,
    "line_search_fn": maybe(validation.choice("strong_wolfe")),
    "lr": rate,
    "lr_decay": _at_least_zero,
    "max_eval": maybe(whole),
    "max_iter": whole,
    "max_lr": rate,
    "maximize": truth,
    "milestones": _milestones,
    "min_lr": _at_least_zero,
    "mode": validation.choice("min", "max"),
    "momentum": _kept(_("the velocity")),
    "momentum_decay": _at_least_zero,
    "monitor": partial(validation.text, what=_("{name} is a key of history.epochs.")),
    "nesterov": truth,
    "patience": count,
    "pct_start": _share,
    "rho": _kept(_("the mean squares")),
    "start_factor": partial(_share, least=-math.inf, above=0),
    "step_size": whole,
    "steps": whole,
    "steps_per_epoch": maybe(whole),
    "threshold": _at_least_zero,
    "threshold_mode": validation.choice("rel", "abs"),
    "tolerance_change": _at_least_zero,
    "tolerance_grad": _at_least_zero,
    "total_steps": maybe(whole),
    "unit": validation.choice("epoch", "step"),
    "weight_decay": _at_least_zero,
}


@functools.lru_cache(maxsize=256)
def names_of(kind: type) -> tuple[str, ...]:
    """Return the names of a constructor's arguments, in their order."""
    return tuple(inspect.signature(kind).parameters)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
class Declared:
    """Base class whose subclasses declare arguments as dataclasses declare fields.

    They become attributes of the same names, checked whenever they are set. Another
    default for an inherited one stands behind the bases: ``class B(A, lr=0.1)``.
    """

    #: What checks each argument; those of other names are taken as they come.
    checks: ClassVar[Mapping[str, Check]] = ARGUMENTS

    def __init_subclass__(cls, **defaults: Any) -> None:
        super().__init_subclass__()
        for name, default in defaults.items():
            inherited = inspect.signature(cls).parameters[name]
            cls.__annotations__[name] = inherited.annotation
            setattr(cls, name, default)
        dataclass(eq=False, repr=False)(cls)
        cls.__init__ = strict_function(cls.__init__)
        for name in inspect.get_annotations(cls).keys() & vars(cls).keys():
            if isinstance(getattr(super(cls, cls), name, None), property):
                delattr(cls, name)  # or the default would hide the property

    def __setattr__(self, name: str, value: Any) -> None:
        self.refuse_in_trace(name)
        if name in self.checks and name in names_of(type(self)):
            value = self.checks[name](name, value)
        super().__setattr__(name, value)

    def note_read(self, get: Callable[[], Any]) -> None:
        """Note that a trace depends on ``get()``: a change needs another trace."""
        trace = context.trace
        if trace is not None and not trace.is_new(self):
            trace.note_read(get)

    def refuse_in_trace(self, what: str) -> None:
        """Refuse to change, while tracing, an object from outside the function."""
        trace = context.trace
        if trace is None or trace.is_new(self):
            return
        if not vars(self):  # it is being made there
            trace.note_new(self)
            return
        kind = type(self).__name__
        raise ArgumentError(
            _(
                "{kind}.{what} is set or called in a function that is traced: that "
                "would happen once, and not at each call.",
                kind=kind,
                what=what,
            ),
            expected=_(
                "hyper-parameters that are read there, and set between two calls"
            ),
            got=_("{kind}.{what} within the function", kind=kind, what=what),
            fix=_(
                "do it outside, before the call; a rate that changes from step "
                "to step is a schedule: lr=optim.ExponentialLR(0.1, 0.5, "
                'unit="step")'
            ),
        )

    def shown(self) -> Any:
        """Return the value that represents the object in another object's ``repr``."""
        return self

    def __repr__(self) -> str:
        told = {name: vars(self).get(name) for name in names_of(type(self))}
        told |= {k: v.shown() for k, v in told.items() if isinstance(v, Declared)}
        inner = ", ".join(f"{k}={v!r}" for k, v in told.items() if v is not None)
        return f"{type(self).__name__}({inner})"
