"""One optimiser step for marking: its formulas and known numbers.

Adam's rule is computed folded, with ηₜ in front. Here it is as the book's readers work
it out: m̂ and v̂ have names of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.book.derivation.formulas import (
    RATE,
    Formulas,
    slope_of,
    updated,
)
from chainrule.book.derivation.keys import CORRECTED
from chainrule.book.derivation.numbers import array_of
from chainrule.book.marking.place import DECAY
from chainrule.errors import ArgumentError, ShapeError
from chainrule.explanation.content import Explained
from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import symbol
from chainrule.explanation.run import run_step
from chainrule.explanation.sections import explained
from chainrule.explanation.signs import slope_of as slope_explained
from chainrule.explanation.updates import scalar
from chainrule.notation import functions as f
from chainrule.notation.arithmetic import Quantity
from chainrule.notation.expressions import Atom, Expr, Number, Script
from chainrule.notation.tidy import tidy
from chainrule.optim import SGD, Adagrad, Adam, AdamW, RMSprop, RuleOptimizer
from chainrule.text import _

#: The optimisers of 2.6.
MARKED = (SGD, Adagrad, RMSprop, Adam, AdamW)
T, EPSILON = Atom("t"), scalar("eps")
BETAS = scalar("beta1"), scalar("beta2")
ALPHA, MOMENTUM, DAMPENING = scalar("alpha"), scalar("momentum"), f.symbol("τ")
_HATS = {letter: Atom(rf"\hat{{{letter}}}", f"{letter}\u0302") for letter in CORRECTED}


@dataclass(frozen=True, eq=False)
class Step:
    """The next step of an optimiser: its equations and numbers.

    Attributes:
        equations: of each moment and each new parameter, by key: ``mW1``, ``vW1``,
            ``mhatW1``, …, ``W1``. What is frozen has none.
        numbers: of η and all others that they are written with.
    """

    equations: Mapping[str, Equation]
    numbers: Mapping[Expr, Quantity]


def rate_of(lr: Any) -> float:
    """Return a learning rate η as a positive number, or raise an error.

    Raises:
        ShapeError, ArgumentError, DTypeError, NonFiniteError: for something else.
    """
    rate = array_of("lr", lr)
    if rate.size != 1:
        raise ShapeError(_("η is one number."), expected="lr=0.1", got=f"{lr!r:.80}")
    value = float(rate.reshape(()))
    if value <= 0 or isinstance(lr, (bool, np.bool_)):
        raise ArgumentError(
            _("η is above zero: a step goes downhill."),
            expected=_("lr=0.1, for example"),
            got=f"lr={lr!r:.60}",
        )
    return value


def step_of(model: nn.Module, formulas: Formulas, optimizer: RuleOptimizer) -> Step:
    """Return the equations and known numbers of an optimiser's next step.

    Args:
        model: whose parameters it changes.
        formulas: of the model.
        optimizer: one of 2.6, with the same options for all parameters.

    Raises:
        ArgumentError: one that is not marked; a rate that is not above zero.
    """
    optimizer = _attached(model, optimizer)
    rate_of(optimizer.param_groups[0]["lr"])
    net = formulas.network
    x, y = (np.zeros((1, net.sizes[k])) for k in (0, -1))
    shown = explained(run_step(model, x, y, lambda output, __: output.sum(), optimizer))
    equations: dict[str, Equation] = {}
    numbers = dict(_numbers(optimizer))
    for k in net.layers:
        for letter in ("W", "b") if net.bias(k) else ("W",):
            if not _learns(model, net.paths[k - 1], letter):
                continue
            name = symbol(letter, k)
            for moment, equation in _equations(shown, name, optimizer):
                equations[f"{moment}{letter}{k}"] = equation
            for old, quantity in shown.numbers.items():
                if isinstance(old, Script) and (old.above, old.below) == (None, name):
                    numbers[old] = Quantity(quantity.array.astype(np.float64))
    return Step(equations, numbers)


def _attached(model: nn.Module, optimizer: Any) -> RuleOptimizer:
    """Return an optimiser with parameters attached; raise an error if unsupported.

    Raises:
        ArgumentError: it is no plain optimiser of all parameters.
    """
    reason = f"{optimizer!r:.80}"
    if type(optimizer) in MARKED:
        if not optimizer.params:
            optimizer = copy.deepcopy(optimizer)
            optimizer.attach_parameters(model.named_parameters())
        reason = next(_oddities(model, optimizer), None)
    if reason is None:
        return optimizer
    raise ArgumentError(
        _("The step of this optimiser is not marked."),
        expected=_(
            "{names}: without clipping, the same for all parameters of the model",
            names=", ".join(kind.__name__ for kind in MARKED),
        ),
        got=reason,
        fix=_("cr.explain shows the update of any optimiser"),
    )


def _oddities(model: nn.Module, optimizer: RuleOptimizer) -> Iterator[str]:
    """Yield the reasons why an optimiser's step cannot be marked."""
    first, *others = [dict(g.options, lr=g["lr"]) for g in optimizer.param_groups]
    for name in ("maximize", "amsgrad", "centered"):
        if first.get(name):
            yield f"{name}=True"
    if first["l1_penalty"]:
        yield f"l1_penalty={first['l1_penalty']}"
    for name in ("clip_norm", "clip_value"):
        if getattr(optimizer, name):
            yield f"{name}={getattr(optimizer, name)}"
    for name, value in first.items():
        for options in others:
            if options[name] != value:
                yield _(
                    "groups that differ: {first}, {other}",
                    first=f"{name}={value}",
                    other=f"{name}={options[name]}",
                )
    own = dict(model.named_parameters())
    trained = {id(p) for p in optimizer.params.values()}
    if not trained <= {id(p) for p in own.values()}:
        yield _("parameters of another model")
    for name, p in own.items():
        if p.requires_grad and id(p) not in trained:
            yield _("{name} is not among its parameters", name=name)


def _learns(model: nn.Module, path: str, letter: str) -> bool:
    """Return whether a layer's weights or biases are trainable (not frozen)."""
    name = {"W": "weight", "b": "bias"}[letter]
    own = dict(model.named_parameters())
    return own[f"{path}.{name}" if path else name].requires_grad


def _numbers(optimizer: RuleOptimizer) -> Iterator[tuple[Expr, Quantity]]:
    """Yield the hyper-parameters of an optimiser's update with their numbers."""
    group = optimizer.param_groups[0]
    o, lr = group.options, group["lr"]
    scalars: dict[Expr, float] = {
        RATE: lr,
        T: optimizer.steps + 1,
        DECAY: o["weight_decay"],
        EPSILON: o.get("eps", 0.0),
        **dict(zip(BETAS, o.get("betas", ()))),
        ALPHA: o.get("alpha", 0.0),
        MOMENTUM: o.get("momentum", 0.0),
        DAMPENING: o.get("dampening", 0.0),
    }
    if isinstance(optimizer, Adagrad):
        scalars[RATE] = optimizer.scalars(optimizer.steps + 1, lr, o)["lr"]
    for name, value in scalars.items():
        yield name, Quantity(np.asarray(value, np.float64))


def _equations(
    shown: Explained, name: Expr, optimizer: RuleOptimizer
) -> Iterator[tuple[str, Equation]]:
    """Yield a parameter's update equations by an optimiser, with moment letters."""
    adam = isinstance(optimizer, Adam)
    o = optimizer.param_groups[0].options
    damped = optimizer.steps > 0 and o.get("dampening")  # never in the first step
    words: dict[Expr, Expr] = {
        slope_explained(name): slope_of(name),
        scalar("rest"): 1 - DAMPENING if damped else Number(1),
        scalar("keep"): 1 - f.scale(RATE, DECAY),
    }
    for equation in (e for section in shown.sections for e in section.update):
        new = equation.name
        assert isinstance(new, Script)
        side = tidy(equation.sides[-1].replaced(words))
        if new.below == name:
            letter = new.base.text()
            yield letter, Equation((new, side))
            if adam:
                hat = Script(_HATS[letter], below=name)
                beta = BETAS[CORRECTED.index(letter)]
                yield f"{letter}hat", Equation((hat, f.fraction(new, 1 - beta**T)))
                words |= {new: hat, scalar("step"): RATE}
        elif new == updated(name):
            yield "", Equation((name, side), sign="←")
