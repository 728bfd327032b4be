"""The objective of a training step: a loss, or a weighted sum of losses of outputs.

A single loss is a sum of one part, on whatever the model gives. Losses by the names (or
the places) of outputs are parts on one output and one target each:

    ℒ = Σₖ λₖ Σ ℓₖ / Σ wₖ

so a network of several outputs is trained, evaluated and recorded by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad, scope
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.metrics import total
from chainrule.metrics.outputs import picked
from chainrule.nn import Loss, Module
from chainrule.nn.losses import check_takes_weights
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, count_of
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.pytree import is_nest, leaves

#: Numbers of a batch by name.
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One term of an objective: the loss of an output.

    Attributes:
        output: the name or the place of the output and of its target; None for all.
        loss: a loss, or a function of an output and a target.
        weight: λ.
    """

    output: str | int | None
    loss: Any
    weight: float = 1.0

    @property
    def prefix(self) -> str:
        """The prefix of the names of its numbers, such as ``a_``; or nothing."""
        return "" if self.output is None else f"{self.output}_"

    def pick(self, tree: Any, what: str) -> Any:
        """Return the part's output, or its target, of all of them."""
        if self.output is None:
            if is_nest(tree) and isinstance(self.loss, Loss):
                raise _one_loss_of_several(self.loss, tree, what)
            return tree
        return picked(tree, self.output, what)

    def score(self, prediction: Any, truth: Any, weight: Tensor | None) -> Tensor:
        """Compute the part's loss of a batch within an entry point, a scalar."""
        output, target = self.pick(prediction, "output"), self.pick(truth, "target")
        with scope("loss"):
            loss = self.loss(output, target, **_weights(weight))
        if not isinstance(loss, Tensor) or loss.shape != ():
            raise ShapeError(
                _("The loss of a batch must be one number."),
                expected=_("a tensor of shape ()"),
                got=show(loss.shape) if isinstance(loss, Tensor) else repr(loss)[:80],
                fix=_(
                    "return its mean over the batch: loss.mean(), or reduction='mean'"
                ),
            )
        return loss

    def counts_rows(self, prediction: Any, truth: Any) -> bool:
        """Return whether the loss is a mean in which each row counts the same."""
        if not isinstance(self.loss, Loss):
            return True
        if self.loss.reduction in ("sum", "none"):
            return False
        output, target = self.pick(prediction, "output"), self.pick(truth, "target")
        with no_grad(), scope("loss"):
            return self.loss.weights(*self.loss.prepare(output, target)) is None

    def own_weight(
        self, prediction: Any, truth: Any, weight: Tensor | None
    ) -> Tensor | None:
        """Compute a batch's weight in a mean of the loss, if not its row count."""
        if not isinstance(self.loss, Loss):
            return None if weight is None else weight.sum()
        if weight is None and self.counts_rows(prediction, truth):
            return None
        output, target = self.pick(prediction, "output"), self.pick(truth, "target")
        with no_grad(), scope("loss"):
            return self.loss.totals(output, target, **_weights(weight))[1]

    def totals(self, prediction: Any, truth: Any, weight: Tensor | None) -> Numbers:
        """Compute a batch's loss as ``sum`` and ``weight``, or as its ``mean``."""
        if not isinstance(self.loss, Loss):
            mean = self.score(prediction, truth, weight)
            if weight is None:
                return {"mean": mean}
            return {"sum": mean * weight.sum(), "weight": weight.sum()}
        output, target = self.pick(prediction, "output"), self.pick(truth, "target")
        with scope("loss"):
            sums, counted = self.loss.totals(output, target, **_weights(weight))
        return {"sum": sums, "weight": counted}

    def train_loss(self, steps: Mapping[str, Array], sizes: Array) -> float:
        """Compute the part's mean over the samples of the last steps, or Σ ℓ / Σ w.

        Args:
            steps: the history's columns.
            sizes: the rows of each of the last steps.
        """
        n, name = len(sizes), f"{self.prefix}loss"
        losses = steps[name][-n:].astype(np.float64)
        weights = steps.get(f"{name}_weight", losses * np.nan)[-n:].astype(np.float64)
        if np.isnan(weights).all():
            return float(losses @ sizes / sizes.sum())
        summed = self.sums
        both = losses.sum() if summed else losses @ weights
        return float(both / (weights.sum() or 1.0))

    @property
    def sums(self) -> bool:
        """The flag for a loss of a batch that is a sum, and no mean."""
        return getattr(self.loss, "reduction", "mean") == "sum"


class Objective:
    """A sum of losses, each with a weight, of a model's outputs and targets.

    Args:
        loss: a loss or a function; or a dictionary or a tuple of them, by outputs, in a
            dictionary by names or by places from 0.
        loss_weights: the factors of several losses, in the same form; 1 each by
            default.

    Raises:
        ArgumentError: something that is no loss; weights of other outputs.
    """

    def __init__(self, loss: Any, loss_weights: Any = None) -> None:
        if isinstance(loss, dict) and loss and loss.keys() == {*range(len(loss))}:
            loss = tuple(loss[place] for place in range(len(loss)))
        self.given, self.loss_weights = loss, loss_weights
        if isinstance(loss, tuple | list):
            losses: dict[Any, Any] = dict(enumerate(loss))
        else:
            losses = loss if isinstance(loss, dict) else {None: loss}
        for name, item in losses.items():
            what = "loss" if name is None else f"loss[{name!r}]"
            validation.instance(what, item, Callable, "nn.CrossEntropyLoss()")
        named = all(isinstance(k, str) and k for k in losses)
        if not losses or (isinstance(loss, dict) and not named):
            raise ArgumentError(
                _("loss names no outputs."),
                expected=_("a loss for each output that is trained"),
                got=repr(loss)[:80],
                fix='loss={"label": nn.CrossEntropyLoss(), "size": nn.MSELoss()}',
            )
        factors = self._factors(losses, loss_weights)
        self.parts = [Part(k, item, factors[k]) for k, item in losses.items()]

    @staticmethod
    def _factors(losses: dict[Any, Any], given: Any) -> dict[Any, float]:
        factors = dict.fromkeys(losses, 1.0)
        if given is None:
            return factors
        items = dict(enumerate(given)) if isinstance(given, tuple | list) else given
        if (
            None in losses
            or not isinstance(items, dict)
            or items.keys() - losses.keys()
        ):
            raise ArgumentError(
                _("loss_weights are the factors of several losses."),
                expected=_("numbers, by the names or in the order of the losses"),
                got=repr(given)[:80],
                fix='loss={"a": …, "b": …}, loss_weights={"b": 0.1}',
            )
        for name, factor in items.items():
            what = f"loss_weights[{name!r}]"
            factors[name] = float(validation.number(what, factor, least=0))
        return factors

    @property
    def one(self) -> bool:
        """The flag for a single loss, on all outputs."""
        return self.parts[0].output is None

    @property
    def modules(self) -> dict[str, Module]:
        """Its losses that are modules, by what their tensors' names begin with."""
        return {
            "loss" if p.output is None else f"loss.{p.output}": p.loss
            for p in self.parts
            if isinstance(p.loss, Module)
        }

    @property
    def checks_targets(self) -> bool:
        """The flag for losses that all check targets before anything is run."""
        return all(isinstance(part.loss, Loss) for part in self.parts)

    def check_takes_weights(self) -> None:
        """Refuse a loss that takes no weights of samples."""
        for part in self.parts:
            check_takes_weights(part.loss)

    def check_targets(self, prediction: Any, truth: Any) -> None:
        """Refuse outputs without a loss's target, and targets without a loss."""
        for part in self.parts:
            part.pick(prediction, "output")
            part.pick(truth, "target")
        if self.one:
            return
        keys = truth if isinstance(truth, dict) else range(len(truth))
        left = [k for k in keys if k not in {p.output for p in self.parts}]
        if left:
            raise ArgumentError(
                _("There are targets without a loss."),
                expected=_("a loss for each target"),
                got=_("none for {left}", left=", ".join(map(str, left))),
                fix=_("leave these targets out, or give them a loss"),
            )

    # -- in entry points -----------------------------------------------------------

    def score(
        self, prediction: Any, truth: Any, weight: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch, a scalar, and what is recorded of it by name."""
        scores = [part.score(prediction, truth, weight) for part in self.parts]
        recorded: dict[str, Tensor] = {}
        for part, score in zip(self.parts, scores):
            recorded[f"{part.prefix}loss"] = score
            own = part.own_weight(prediction, truth, weight)
            if own is not None:
                recorded[f"{part.prefix}loss_weight"] = own
        if self.one:
            return scores[0], recorded
        terms = [
            s if p.weight == 1 else s * p.weight for p, s in zip(self.parts, scores)
        ]
        loss = reduce(add, terms)
        return loss, {"loss": loss, **recorded}

    def batch_weight(
        self, prediction: Any, truth: Any, weight: Tensor | None, rows: Any
    ) -> Tensor | None:
        """Compute by what the loss of a batch counts in one mean over several.

        Args:
            prediction, truth: of the batch.
            weight: those of its rows, or None.
            rows: their number, a size.

        Returns:
            Σ w, or the number of rows; None where losses are sums, which add up.

        Raises:
            ArgumentError: losses that count differently: their sum over several
                batches is no weighted sum of sums.
        """
        if all(part.sums for part in self.parts):
            return None
        others = [p for p in self.parts if not p.counts_rows(prediction, truth)]
        if others and len(self.parts) > 1:
            raise ArgumentError(
                _(
                    "These losses weigh a batch differently, so that the gradients of "
                    "several batches do not add up to those of one."
                ),
                expected=_(
                    "means over all samples, without class weights and labels "
                    "that are ignored"
                ),
                got=f"loss[{others[0].output!r}]",
                fix=_("accumulate_grad_batches=1, or one loss function of your own"),
            )
        if others:
            return others[0].own_weight(prediction, truth, weight)
        return count_of(rows, DType.float32) if weight is None else weight.sum()

    def loss_parts(
        self, prediction: Any, truth: Any, weight: Tensor | None
    ) -> dict[str, Numbers]:
        """Compute the loss of a batch for a mean over several, part by part."""
        return {
            part.prefix: part.totals(prediction, truth, weight) for part in self.parts
        }

    # -- on the host -------------------------------------------------------------------

    def together(self, losses: Mapping[str, float], name: str = "loss") -> Numbers:
        """Return the loss under its name, and those of its parts under theirs.

        Args:
            losses: those of the parts, by their prefixes.
            name: such as ``train_loss``.
        """
        if self.one:
            return {name: losses[""]}
        head = name.removesuffix("loss")
        each = {f"{head}{p.prefix}loss": losses[p.prefix] for p in self.parts}
        return {name: sum(p.weight * losses[p.prefix] for p in self.parts)} | each

    def mean(self, batches: list[Mapping[str, Numbers]], rows: Array) -> Numbers:
        """Return the loss, and its parts, over all batches, from ``loss_parts``."""
        prefixes = [part.prefix for part in self.parts]
        return self.together(
            {k: _mean([b[k] for b in batches], rows) for k in prefixes}
        )


def _mean(parts: list[Numbers], rows: Array) -> float:
    """Compute a loss over all batches: Σ ℓ / Σ w, or the mean of the batch means."""
    if "mean" in parts[0]:
        return float(np.array([float(p["mean"]) for p in parts]) @ rows / rows.sum())
    weight = total(parts, "weight")
    with np.errstate(invalid="ignore"):  # weights near float32's largest: ∞ / ∞
        return float(total(parts, "sum") / (weight or 1.0))


def _weights(weight: Tensor | None) -> dict[str, Tensor]:
    return {} if weight is None else {"sample_weight": weight}


def _one_loss_of_several(loss: Any, tree: Any, what: str) -> ArgumentError:
    kind = type(loss).__name__
    return ArgumentError(
        _("{kind} compares one output with one target.", kind=kind),
        expected=_("a loss for each output, or a function of all of them"),
        got=_("several: {names}", names=", ".join(leaves(tree, what))),
        fix=f'loss={{"…": nn.{kind}(), …}}',
    )
