"""Kullback–Leibler divergences D(p ‖ q) = E_p ln(p/q), by the pair of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import chainrule.functions as cr
from chainrule import linalg
from chainrule.distributions.continuous import (
    Exponential,
    Laplace,
    LogNormal,
    Normal,
    Uniform,
)
from chainrule.distributions.discrete import Bernoulli, Categorical, softplus
from chainrule.distributions.distribution import Distribution
from chainrule.distributions.gamma import Beta, Dirichlet, Gamma
from chainrule.distributions.multivariate import Independent, MultivariateNormal
from chainrule.errors import ArgumentError
from chainrule.tensor import Tensor
from chainrule.text import _

Rule = TypeVar("Rule", bound=Callable[[Any, Any], Tensor])

#: The divergence of each pair of classes that has one.
RULES: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """Decorate a function of two distributions as the divergence of their classes.

    Args:
        type_p, type_q: the classes; subclasses have it too, unless they have their own.
    """

    def declared(rule: Rule) -> Rule:
        RULES[type_p, type_q] = rule
        return rule

    return declared


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return the divergence D(p ‖ q) of two distributions, for each of the batch.

    Raises:
        ArgumentError: there is no formula for this pair of classes.

    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5)
    """
    for first in type(p).__mro__:
        for second in type(q).__mro__:
            if (first, second) in RULES:
                return RULES[first, second](p, q)
    raise ArgumentError(
        _("No divergence is known for these distributions."),
        expected=", ".join(sorted(f"{a.__name__} ‖ {b.__name__}" for a, b in RULES)),
        got=f"{type(p).__name__} ‖ {type(q).__name__}",
        fix="@register_kl(P, Q)",
    )


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    chance, other = p.probs, q.probs
    one = chance * (softplus(-q.logits) - softplus(-p.logits))
    none = (1 - chance) * (softplus(q.logits) - softplus(p.logits))
    one = cr.where(chance == 0, 0.0, cr.where(other == 0, cr.inf, one))
    none = cr.where(chance == 1, 0.0, cr.where(other == 1, cr.inf, none))
    return one + none


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = cr.where(p.probs == 0, 0.0, cr.where(q.probs == 0, cr.inf, terms))
    return terms.sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b, other = p.concentration, p.rate, q.concentration
    sizes = other * (b / q.rate).log() + other.lgamma() - a.lgamma()
    return sizes + (a - other) * a.digamma() + (q.rate - b) * (a / b)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p.dirichlet, q.dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, other = p.concentration, q.concentration
    logs = a.digamma() - a.sum(-1, keepdim=True).digamma()
    return q._log_norm() - p._log_norm() + ((a - other) * logs).sum(-1)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, far = p.scale / q.scale, (p.loc - q.loc).abs()
    return far / q.scale + ratio * (-far / p.scale).exp() - ratio.log() - 1


@register_kl(LogNormal, LogNormal)
@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio, far = (p.scale / q.scale).square(), ((p.loc - q.loc) / q.scale).square()
    return 0.5 * (ratio + far - 1 - ratio.log())


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    inside = (q.low <= p.low) & (p.high <= q.high)
    return cr.where(inside, ((q.high - q.low) / (p.high - p.low)).log(), cr.inf)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    spread = linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    far = (q.loc - p.loc).unsqueeze(-1)
    z = linalg.solve_triangular(q.scale_tril, far, upper=False)
    terms = spread.square().sum((-2, -1)) + z.square().sum((-2, -1))
    half = q._half_log_det() - p._half_log_det()
    return half + 0.5 * (terms - int(p.event_shape[0]))


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise ArgumentError(
            _("A divergence is of events of one shape."),
            expected=str(p.reinterpreted_batch_ndims),
            got=str(q.reinterpreted_batch_ndims),
        )
    return p.summed(kl_divergence(p.base_dist, q.base_dist))
