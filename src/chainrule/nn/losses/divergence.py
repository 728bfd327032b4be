"""The Kullback–Leibler divergence between distributions, and between Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, cast

from chainrule.composites import activations, losses
from chainrule.errors import ShapeError
from chainrule.graph.types import Shape
from chainrule.nn.arguments import ReductionName
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.nn.losses.checks import (
    check_distributions,
    check_logarithms,
    check_nonnegative,
)
from chainrule.nn.losses.origin import behind, refuse, warn_of_scores
from chainrule.nn.losses.pairs import PairLoss
from chainrule.operations.narrow import from_single
from chainrule.primitives.movement import full_like
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util import validation

__all__ = [
    "GaussianKLDivLoss",
    "KLDivLoss",
    "KLDivergence",
    "gaussian_kl_div",
    "kl_div",
    "kl_divergence",
]


class KLDivergence(ElementwiseLoss):
    """The Kullback–Leibler divergence KL(p‖q) = Σᵢ pᵢ ln(pᵢ/qᵢ) (2.5.1).

    The target is p, the prediction is q, and both are probabilities. A term with pᵢ = 0
    is 0; one with qᵢ = 0 < pᵢ is ∞, and so is the divergence. Where q is the output of
    a softmax, it is computed from the scores, so that no q underflows to 0.

    Its name is Keras'. PyTorch's :class:`KLDivLoss` takes ln q in place of q.

    Args:
        reduction: ``"mean"`` over the samples, ``"sum"``, or ``"none"`` (one divergence
            a sample).

    Shapes:
        prediction and target (…, C) of one shape; each row along the last axis is a
        distribution.

    Raises:
        ArgumentError: rows that are none: a negative number, or a sum that is not 1.
        ShapeError: other shapes.

    Source: Kullback & Leibler 1951, "On information and sufficiency".

    >>> import chainrule as cr
    >>> q, p = cr.tensor([[0.25, 0.75]]), cr.tensor([[0.5, 0.5]])
    >>> round(cr.nn.KLDivergence()(q, p).item(), 4)  # ½ ln 2 + ½ ln 2/3
    0.1438
    """

    hint: ClassVar[str] = _("give one row of probabilities p for each row q")

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Match the target to KL divergence's prediction; refuse log-probabilities."""
        refuse(
            "KLDivergence",
            prediction,
            (activations.log_softmax,),
            expected=_("probabilities q, not their logarithms"),
            fix=_("end the network in nn.Softmax(), or take nn.KLDivLoss()"),
        )
        if not prediction.ndim:
            raise ShapeError(
                _("KLDivergence compares distributions."),
                expected=_("rows of probabilities, of shape (…, C)"),
                got=_("a single number"),
                fix=_("nn.BCELoss() takes the probability of one of two classes"),
            )
        return super().match(prediction, target)

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that KL divergence's targets are distributions, and return them."""
        if not y.ndim or y.ndim != len(prediction_shape):
            return y
        fix = _("divide each row by its sum: y / y.sum(-1)[..., None]")
        return check_distributions("KLDivergence", _("the target"), y, fix)

    def is_sure(self, prediction: Tensor) -> bool:
        """Return whether KL divergence's prediction is a softmax's output, so valid."""
        last = prediction.ndim - 1
        return behind(prediction, activations.softmax, axis=last) is not None

    def right_prediction(self, prediction: Any) -> Any:
        """Check that KL divergence's predictions are distributions; return them."""
        fix = _(
            "end the network in nn.Softmax(); probabilities go in, not their logarithms"
        )
        return check_distributions("KLDivergence", _("the prediction"), prediction, fix)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the Kullback–Leibler divergence of each row of probabilities."""
        scores = (
            behind(prediction, activations.softmax, axis=1)
            if prediction.ndim == 2
            else None
        )
        if scores is not None:
            cross = wrap(losses.soft_cross_entropy(scores.value, target.value))
            one = full_like(target.value, 1.0)
            return cross + wrap(losses.kl_divergence(one, target.value)).sum(-1)
        warn_of_scores("KLDivergence", prediction, _("end the network in nn.Softmax()"))
        terms = wrap(losses.kl_divergence(prediction.value, target.value))
        return terms.sum(-1)


class KLDivLoss(ElementwiseLoss):
    """The Kullback–Leibler divergence p (ln p − ln q) of logarithms ln q (2.5.1).

    The prediction is ln q, for a network that ends in ``nn.LogSoftmax()``; the target
    is p, or ln p. It is PyTorch's. :class:`KLDivergence` takes probabilities q.

    Args:
        reduction: ``"batchmean"``, Σ ℓ / n, is the divergence, meant over n samples.
            ``"mean"``, Σ ℓ / (n·C), divides by the number of classes too. ``"sum"``:
            Σ ℓ. ``"none"``: the terms ℓ.
        log_target: whether the target is ln p.

    Shapes:
        prediction and target of one shape (n, …).

    Raises:
        ArgumentError: a negative probability; a prediction that is no logarithm.
        ShapeError: other shapes.

    Source: Kullback & Leibler 1951, "On information and sufficiency".

    >>> import chainrule as cr
    >>> log_q, p = cr.tensor([[0.25, 0.75]]).log(), cr.tensor([[0.5, 0.5]])
    >>> round(cr.nn.KLDivLoss(reduction="batchmean")(log_q, p).item(), 4)
    0.1438
    >>> of_logarithms = cr.nn.KLDivLoss(reduction="sum", log_target=True)
    >>> round(of_logarithms(log_q, p.log()).item(), 4)
    0.1438
    """

    reductions: ClassVar[tuple[str, ...]] = ("mean", "batchmean", "sum", "none")

    def __init__(
        self,
        *,
        reduction: ReductionName | Literal["batchmean"] = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(reduction=cast(ReductionName, reduction))
        self.log_target = validation.truth("log_target", log_target)

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Match the target to the logarithms ln q; refuse a softmax's output."""
        refuse(
            "KLDivLoss",
            prediction,
            (activations.softmax,),
            expected=_("logarithms of probabilities"),
            fix=_("end the network in nn.LogSoftmax(), or take nn.KLDivergence()"),
        )
        return super().match(prediction, target)

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that targets have no negative probability, and return them."""
        if self.log_target:
            return y
        fix = _("targets that are logarithms: log_target=True")
        return check_nonnegative("KLDivLoss", _("the target"), y, fix)

    def right_prediction(self, prediction: Any) -> Any:
        """Check that predictions can be logarithms of probabilities; return them."""
        return check_logarithms("KLDivLoss", _("the prediction"), prediction, "q.log()")

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the terms p (ln p − ln q), summed over a sample for the batchmean."""
        if self.log_target:
            terms = target.exp() * (target - prediction)
        else:
            terms = target.xlogy(target) - target * prediction
        if self.reduction == "batchmean" and terms.ndim > 1:
            return terms.flatten(1).sum(1)
        return terms


class GaussianKLDivLoss(PairLoss):
    """The divergence KL(p‖q) of Gaussians with diagonal covariances, in closed form.

        KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σᵢ (μᵢ² + σᵢ² − ln σᵢ² − 1)
        KL(N(μ, σ²) ‖ N(m, s²)) = ½ Σᵢ ((μᵢ − mᵢ)²/sᵢ² + σᵢ²/sᵢ² − ln(σᵢ²/sᵢ²) − 1)

    The first is what a variational autoencoder pays for its code: Kingma & Welling
    2014, "Auto-encoding variational Bayes", appendix B.

    Args:
        reduction: ``"mean"`` over the samples, ``"sum"``, or ``"none"`` (one divergence
            a sample), as of :class:`KLDivergence`.

    Shapes:
        mu and logvar = ln σ², and those of q where they are given, (…, d) all.

    >>> import chainrule as cr
    >>> mu, logvar = cr.tensor([[1.0, 0.0]]), cr.tensor([[0.0, 0.0]])
    >>> cr.nn.GaussianKLDivLoss()(mu, logvar)
    tensor(0.5)
    """

    @from_single
    def forward(
        self,
        mu: Any,
        logvar: Any,
        q_mu: Any = None,
        q_logvar: Any = None,
        sample_weight: Any = None,
    ) -> Tensor:
        """Compute the Kullback–Leibler divergence KL(p‖q) of Gaussians; q: N(0, 1)."""
        inputs = {"mu": mu, "logvar": logvar, "q_mu": q_mu, "q_logvar": q_logvar}
        present = {name: t for name, t in inputs.items() if t is not None}
        p_and_q = dict(zip(present, self.same_shape(**present)))
        mean, log_ratio = p_and_q["mu"], p_and_q["logvar"]
        if not mean.ndim:
            raise ShapeError(
                _("GaussianKLDivLoss adds up over the last axis."),
                expected=_("mu and logvar (…, d)"),
                got=_("single numbers"),
                fix="mu.reshape(1)",
            )
        far = mean - p_and_q["q_mu"] if "q_mu" in p_and_q else mean
        far = far * far
        if "q_logvar" in p_and_q:
            log_ratio = log_ratio - p_and_q["q_logvar"]
            far = far * (-p_and_q["q_logvar"]).exp()
        terms = far + log_ratio.expm1() - log_ratio
        return self.reduced(0.5 * terms.sum(-1), None, sample_weight)


gaussian_kl_div: Callable[..., Tensor] = as_loss_function(
    GaussianKLDivLoss, "gaussian_kl_div"
)
kl_div = as_loss_function(KLDivLoss, "kl_div")
kl_divergence = as_loss_function(KLDivergence, "kl_divergence")
