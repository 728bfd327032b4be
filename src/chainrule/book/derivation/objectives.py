"""Losses as formulas: definitions, derivatives by ŷ, and the true values allowed.

The textbook has three squared losses, which differ by a factor, and so by the size of a
step: ½ (2.6.1 and 3.7), 1/2n (3.3) and 1/n (2.5.1). They have three names here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule import nn
from chainrule.book.derivation.activations import IDENTITY, SOFTMAX
from chainrule.book.derivation.network import Network
from chainrule.errors import ArgumentError, nearest
from chainrule.explanation.naming import PREDICTION
from chainrule.explanation.signs import COUNT, LABEL
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product, Quotient, Sum
from chainrule.notation.tidy import tidy
from chainrule.text import _, tr

P, Y = PREDICTION, LABEL


@dataclass(frozen=True)
class Objective:
    """A loss function as formulas: its definition and its derivative.

    Attributes:
        name: what it is asked for by.
        each: the loss of one output, or of one class.
        slopes: its derivative by ŷ, one way after the other.
        over_outputs: whether the mean is taken over the outputs too.
        factor: what stands in front of the sum.
        ends: the activation that the network ends in; None for any but softmax's own.
        delta: what δ⁽ᴸ⁾ comes to with that activation; None where nothing is shorter.
        truths: what the truths are: ``numbers``, ``classes``, ``shares`` or ``signs``.
        why: the sentence about the loss.
        module: its class in ``chainrule.nn``.
        of_scores: ``each`` from z, where digits are lost from ŷ; None where none are.
    """

    name: str
    each: Callable[[Expr, Expr], Expr]
    slopes: Callable[[Expr, Expr], tuple[Expr, ...]]
    over_outputs: bool
    factor: float
    ends: str | None
    delta: Callable[[Expr, Expr], Expr] | None
    truths: str
    why: Callable[[], str]
    module: str
    of_scores: Callable[[Expr, Expr], Expr] | None = None


def _table() -> tuple[Objective, ...]:
    def square(p: Expr, y: Expr) -> Expr:
        return (p - y) ** 2

    def gap(p: Expr, y: Expr) -> Expr:
        return p - y

    return (
        Objective(
            "half_squared",
            square,
            lambda p, y: (gap(p, y),),
            over_outputs=False,
            factor=0.5,
            ends=None,
            delta=None,
            truths="numbers",
            why=lambda: tr(
                "Half of the squared error, as in 2.6.1 and 3.7. The ½ is there to"
                " cancel the 2 of its derivative."
            ),
            module="HalfSquaredErrorLoss",
        ),
        Objective(
            "mse",
            square,
            lambda p, y: (f.scale(Number(2), gap(p, y)),),
            over_outputs=True,
            factor=1.0,
            ends=None,
            delta=None,
            truths="numbers",
            why=lambda: tr(
                "The mean squared error with 1/n, as in 2.5.1; 3.3 has 1/2n (half_mse),"
                " 2.6.1 and 3.7 have ½ (half_squared)."
            ),
            module="MSELoss",
        ),
        Objective(
            "half_mse",
            square,
            lambda p, y: (gap(p, y),),
            over_outputs=True,
            factor=0.5,
            ends=None,
            delta=None,
            truths="numbers",
            why=lambda: tr(
                "Half of the mean squared error, 1/2n, as in 3.3 (1); 2.5.1 has 1/n"
                " (mse), 2.6.1 and 3.7 have ½ (half_squared)."
            ),
            module="HalfMSELoss",
        ),
        Objective(
            "cross_entropy",
            lambda p, y: -(y * f.ln(p)),
            lambda p, y: (-(y / p),),
            over_outputs=False,
            factor=1.0,
            ends=SOFTMAX,
            delta=gap,
            truths="classes",
            why=lambda: tr(
                "The cross-entropy of 3.3 (2), with the natural logarithm. y is a"
                " column with 1 at the right class and 0 elsewhere, so ℒ is −ln of the"
                " probability that the right class was given."
            ),
            module="CrossEntropyLoss",
        ),
        Objective(
            "binary_cross_entropy",
            lambda p, y: -(y * f.ln(p) + (1 - y) * f.ln(1 - p)),
            lambda p, y: (-(y / p) + (1 - y) / (1 - p), (p - y) / (p * (1 - p))),
            over_outputs=True,
            factor=1.0,
            ends="sigmoid",
            delta=gap,
            truths="shares",
            why=lambda: tr(
                "The cross-entropy of 3.3 (2) for yes or no: y is 1 or 0, and ŷ the"
                " probability of yes. As 1 − σ(z) = σ(−z), it can be worked out from z,"
                " where no digits are lost when ŷ is near 1."
            ),
            module="BCELoss",
            of_scores=lambda z, y: (
                -(y * f.ln(f.sigmoid(z)) + (1 - y) * f.ln(f.sigmoid(-z)))
            ),
        ),
        Objective(
            "hinge",
            lambda p, y: f.apply("max", 0, 1 - y * p),
            lambda p, y: (-(y * f.bracket(f.less(y * p, 1))),),
            over_outputs=True,
            factor=1.0,
            ends=IDENTITY,
            delta=None,
            truths="signs",
            why=lambda: tr(
                "The hinge loss of 2.5.1 takes a raw score and y = 1 or −1 (not 0). A"
                " score on the right side by 1 or more costs nothing."
            ),
            module="HingeLoss",
        ),
    )


#: By name.
OBJECTIVES: dict[str, Objective] = {row.name: row for row in _table()}
_OTHER_NAMES = {
    "half_squared_error": "half_squared",
    "mean_squared_error": "mse",
    "half_mean_squared_error": "half_mse",
    "crossentropy": "cross_entropy",
    "ce": "cross_entropy",
    "bce": "binary_cross_entropy",
}


# -- written ---------------------------------------------------------------------------


def _divisor(o: Objective, outputs: int, batch: bool) -> Expr | None:
    """Return the divisor of a summed loss (outputs, samples, or both), or None."""
    k = Number(outputs) if o.over_outputs and outputs > 1 else None
    if not batch:
        return k
    return COUNT if k is None else Product("scale", (k, COUNT))


def losses(o: Objective, outputs: int, batch: bool, z: Expr) -> tuple[Expr, ...]:
    """Return a loss ℒ as formulas of ŷ and, if more precise, of the scores z."""
    loss = _whole(o, o.each(P, Y), outputs, batch)
    if o.of_scores is None:
        return (loss,)
    return loss, _whole(o, o.of_scores(z, Y), outputs, batch)


def _whole(o: Objective, each: Expr, outputs: int, batch: bool) -> Expr:
    """Return the formula of a loss: the sum or mean of ``each`` element's loss."""
    sign = 1
    if isinstance(each, Sum) and len(each.terms) == 1:
        ((sign, each),) = each.terms
    if outputs > 1 or batch:
        each = f.total(each)
    divisor = _divisor(o, outputs, batch)
    if divisor is not None:
        half = divisor == Number(2)
        each = f.scale(Number(0.5) if half else Quotient(Number(1), divisor), each)
    if o.factor != 1:
        each = _by(Number(o.factor), each)
    return each if sign > 0 else -each


def _by(number: Number, e: Expr) -> Expr:
    if isinstance(e, Product) and e.kind == "scale":
        return Product("scale", (number, *e.factors))
    return f.scale(number, e)


def slopes(o: Objective, outputs: int, batch: bool) -> tuple[Expr, ...]:
    """Return equivalent formulas of a loss's derivative ∂ℒ/∂ŷ."""
    divisor = _divisor(o, outputs, batch)
    return tuple([_over(e, divisor) for e in o.slopes(P, Y)])


def delta(o: Objective, outputs: int, batch: bool) -> Expr | None:
    """Return a loss's short formula of the last layer's error δ⁽ᴸ⁾, or None."""
    if o.delta is None:
        return None
    return _over(o.delta(P, Y), _divisor(o, outputs, batch))


def _over(e: Expr, divisor: Expr | None) -> Expr:
    if divisor is None:
        return e
    if isinstance(e, Quotient):
        return Quotient(e.top, Product("scale", (*_factors(divisor), e.bottom)))
    return tidy(e / divisor)


def _factors(e: Expr) -> tuple[Expr, ...]:
    return e.factors if isinstance(e, Product) else (e,)


# -- asked for -------------------------------------------------------------------------


def objective(name: str, network: Network) -> Objective:
    """Return a loss's formulas by name; raise an error if it does not fit the network.

    Raises:
        ArgumentError: no such loss, or a network that ends otherwise.
    """
    known = str(name).lower().replace("-", "_").replace(" ", "_")
    known = _OTHER_NAMES.get(known, known)
    row = OBJECTIVES.get(known) if isinstance(name, str) else None
    if row is None:
        near = nearest(known, [*OBJECTIVES, *_OTHER_NAMES])
        near = _OTHER_NAMES.get(near, near) if near else None
        raise ArgumentError(
            _("There is no such loss."),
            expected=", ".join(OBJECTIVES),
            got=repr(name),
            fix=_("did you mean {near}?", near=repr(near)) if near else None,
        )
    _refuse_other_ends(row, network)
    return row


def _refuse_other_ends(o: Objective, network: Network) -> None:
    last = network.activation(network.depth)
    if o.ends is None or last == o.ends:
        return
    right = Network(network.sizes, (*network.activations[:-1], o.ends))
    reasons = {
        SOFTMAX: _("cross_entropy takes the probabilities that softmax gives."),
        "sigmoid": _("binary_cross_entropy takes probabilities, from sigmoid."),
        IDENTITY: _("hinge takes a raw score, with no activation."),
    }
    one = o.ends == SOFTMAX and network.sizes[-1] == 1
    raise ArgumentError(
        reasons[o.ends],
        expected=_("a network that ends in {ends}", ends=o.ends),
        got=str(network),
        fix=_("one output with sigmoid and loss='binary_cross_entropy'")
        if one
        else str(right),
    )


def objective_of(loss: Any, network: Network) -> tuple[Objective, Network]:
    """Return the formulas of a loss (name or ``nn`` loss), and the network for it.

    A loss that takes scores applies the last activation itself: then the network that
    comes back ends in it.

    Raises:
        ArgumentError: for another loss, or one with options.
    """
    if isinstance(loss, str):
        return objective(loss, network), network
    for row in OBJECTIVES.values():
        if type(loss) is getattr(nn, row.module):
            _refuse_options(loss)
            if isinstance(loss, nn.CrossEntropyLoss) and loss.from_logits:
                return row, _scores(network, row)
            return objective(row.name, network), network
    if type(loss) is nn.BCEWithLogitsLoss:
        _refuse_options(loss)
        row = OBJECTIVES["binary_cross_entropy"]
        return row, _scores(network, row)
    raise ArgumentError(
        _("This loss is not known here."),
        expected=", ".join(OBJECTIVES),
        got=f"{loss!r:.80}",
        fix=_("cr.explain shows the formulas and numbers of any loss"),
    )


def _scores(network: Network, o: Objective) -> Network:
    """Return a network with the output activation appended that its loss applies."""
    assert o.ends is not None
    if network.activation(network.depth) != IDENTITY:
        raise ArgumentError(
            _("This loss takes scores: it applies {ends} itself.", ends=o.ends),
            expected=_("a network without an activation at the end"),
            got=str(network),
            fix=f"loss={o.name!r}",
        )
    if o.ends == SOFTMAX and network.sizes[-1] == 1:
        raise ArgumentError(
            _("Softmax over one number is always 1, and nothing can be learned."),
            expected=_("two classes or more"),
            got=str(network),
        )
    activations = (*network.activations[:-1], o.ends)
    return Network(network.sizes, activations, network.biases, network.paths)


def _refuse_options(loss: Any) -> None:
    options = ("weight", "pos_weight", "ignore_index")
    given_any = any(getattr(loss, name, None) is not None for name in options)
    smoothed = getattr(loss, "label_smoothing", 0) != 0
    if given_any or smoothed or loss.reduction != "mean":
        raise ArgumentError(
            _("Losses are known here without their options."),
            expected=f"nn.{type(loss).__name__}()",
            got=f"{loss!r:.80}",
        )
