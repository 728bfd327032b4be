"""Probability distributions by the names of PyTorch: ``cr.distributions.Normal``, …

A distribution has parameters in a *batch*, and each of them draws an *event*: normal
distributions of 3 means are a batch of shape (3,) of events of shape (); a multivariate
normal distribution of 3 dimensions is one event of shape (3,).

    sample(shape)    shape + batch_shape + event_shape, without derivatives
    rsample(shape)   the same as a function of the parameters, with derivatives
    log_prob(x)      shape + batch_shape

>>> import chainrule as cr
>>> d = cr.distributions.Normal(cr.tensor([0.0, 1.0]), 2.0)
>>> d.log_prob(1.0), d.sample((5,)).shape
(tensor([-1.7370857, -1.6120857]), (5, 2))
>>> cr.distributions.kl_divergence(d, cr.distributions.Normal(0.0, 2.0))
tensor([0.   , 0.125])
"""

from typing import TYPE_CHECKING, Any

from chainrule.distributions.continuous import (
    Exponential,
    Laplace,
    LogNormal,
    Normal,
    Uniform,
)
from chainrule.distributions.discrete import Bernoulli, Categorical
from chainrule.distributions.distribution import Distribution
from chainrule.distributions.divergence import kl_divergence, register_kl
from chainrule.distributions.gamma import Beta, Dirichlet, Gamma
from chainrule.distributions.multivariate import Independent, MultivariateNormal
from chainrule.errors import unknown_name

__all__ = [
    "Bernoulli",
    "Beta",
    "Categorical",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "Gamma",
    "Independent",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "Uniform",
    "kl_divergence",
    "register_kl",
]


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
