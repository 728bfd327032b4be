"""Declaration of the arguments of optimisers and schedules: fields with checks.

A class declares its arguments as a dataclass declares its fields, and says there what
each of them may be::

    class RMSprop(RuleOptimizer):
        alpha: float = share(default=0.99, of=_("the mean square"))
        eps: float = nonnegative(default=1e-8)
        centered: bool = False
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, dataclass_transform

from chainrule.errors import ArgumentError, warn
from chainrule.graph.context import context
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.keywords import strict_function
from chainrule.util.validation import Check, maybe, number, truth, whole

# -- checks ----------------------------------------------------------------------------


def rate(name: str, value: Any) -> float:
    """Check a learning rate: it must be finite; warn if it is not positive."""
    eta = validation.real(value)
    if not math.isfinite(eta):
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
    if eta <= 0:
        happens = (
            _("climbs the loss") if eta < 0 else _("leaves the weights as they are")
        )
        warn(
            _(
                "With a learning rate of {made:g} every step {happens}.",
                made=eta,
                happens=happens,
            ),
            expected=f"{name} > 0",
            got=f"{name}={eta:g}",
            fix=_(
                "keep it if that is what you want to see; else {name}=1e-3", name=name
            ),
        )
    return eta


def share_check(of: str, verb: str = "kept") -> Check:
    """Return a check that an optimiser's argument is a share, 0 ≤ share < 1."""
    what = _("{name} is the share of {what} that is {how}.", what=of, how=verb)
    return partial(number, least=0, below=1, what=what)


#: A check for a finite number > 0.
positive_number = partial(number, above=0, what=_("{name} must be a positive number."))
#: A check for a number > 0, infinity included.
limit = partial(positive_number, infinite=True)


# -- fields ----------------------------------------------------------------------------


def option(*, default: Any = MISSING, check: Check) -> Any:
    """Return an optimiser's argument as a field with a check ``check(name, value)``."""
    return field(default=default, metadata={"check": check})


def share(*, default: float, of: str, verb: str = "kept") -> Any:
    """Return an optimiser's argument as a field for a share, 0 ≤ x < 1."""
    return option(default=default, check=share_check(of, verb))


def nonnegative(*, default: float) -> Any:
    """Return an optimiser's argument as a field for a finite number ≥ 0."""
    return option(default=default, check=partial(number, least=0))


def positive(*, default: Any = MISSING, check: Check = positive_number) -> Any:
    """Return an optimiser's argument as a field for a number > 0."""
    return option(default=default, check=check)


def positive_int(*, default: Any = MISSING) -> Any:
    """Return an optimiser's argument as a field for an integer ≥ 1, or None."""
    return option(default=default, check=maybe(whole) if default is None else whole)


@functools.lru_cache(maxsize=256)
def names_of(kind: type) -> tuple[str, ...]:
    """Return the names of a class's constructor arguments, in their order."""
    return tuple(inspect.signature(kind).parameters)


# -- classes with declared arguments ---------------------------------------------------


@dataclass_transform(
    eq_default=False,
    field_specifiers=(field, option, share, nonnegative, positive, positive_int),
)
class Declared:
    """Base class of optimisers and schedules: arguments are declared as fields.

    They become attributes of the same names, checked whenever they are set. Another
    default for an inherited one stands behind the bases: ``class B(A, lr=0.1)``.
    """

    #: The check of each argument that has one.
    checks: ClassVar[dict[str, Check]] = {}

    def __init_subclass__(cls, **defaults: Any) -> None:
        super().__init_subclass__()
        kind: Any = cls
        for name, default in defaults.items():
            inherited: Field[Any] = kind.__dataclass_fields__[name]
            cls.__annotations__[name] = inherited.type
            metadata = dict(inherited.metadata)
            setattr(cls, name, field(default=default, metadata=metadata))
        dataclass(eq=False, repr=False)(cls)
        cls.__init__ = strict_function(cls.__init__)
        cls.checks = {}
        for f in fields(kind):
            if "check" in f.metadata or f.type in ("bool", bool):
                cls.checks[f.name] = f.metadata.get("check", truth)
            # A default would hide a property of this name, and __getattr__.
            if f.init and not isinstance(vars(cls).get(f.name, property()), property):
                delattr(cls, f.name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.refuse_in_trace(name)
        if name in names_of(type(self)):
            value = self.checked(name, value)
        super().__setattr__(name, value)

    def checked(self, name: str, value: Any) -> Any:
        """Return the value of an optimiser's argument after its check."""
        check = self.checks.get(name)
        return value if check is None else check(name, value)

    def note_read(self, get: Callable[[], Any]) -> None:
        """Note that a trace depends on ``get()`` of an optimiser or schedule."""
        trace = context.trace
        if trace is not None and not trace.is_new(self):
            trace.note_read(get)

    def refuse_in_trace(self, what: str) -> None:
        """Refuse to change, while tracing, an optimiser or schedule from outside."""
        trace = context.trace
        if trace is None or trace.is_new(self):
            return
        if not vars(self):  # it is being constructed there
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

    def arguments_shown(self) -> Mapping[str, Any]:
        """Return an optimiser's or schedule's arguments by name, for ``repr``."""
        return {name: vars(self).get(name) for name in names_of(type(self))}

    def shown(self) -> Any:
        """Return the value that stands for a schedule in an optimiser's ``repr``."""
        return self

    def __repr__(self) -> str:
        arguments = dict(self.arguments_shown())
        for name, value in arguments.items():
            if isinstance(value, Declared):
                arguments[name] = value.shown()
        inner = ", ".join(f"{k}={v!r}" for k, v in arguments.items() if v is not None)
        return f"{type(self).__name__}({inner})"
