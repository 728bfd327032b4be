"""Gamma distributions, and what is made of them: beta and Dirichlet distributions."""

from __future__ import annotations

from typing import Any

import chainrule.functions as cr
from chainrule.distributions.distribution import (
    Distribution,
    between,
    parameters_of,
    positive,
)
from chainrule.errors import ShapeError
from chainrule.graph.types import DType, Shape
from chainrule.random import randn
from chainrule.tensor import Tensor
from chainrule.text import _

#: Proposals for each draw. One is accepted with probability 0.95 or more, and none of
#: them with 2·10⁻¹⁶ at most.
TRIES = 12


def log_standard_gamma(shape: Shape, concentration: Tensor) -> Tensor:
    """Draw logarithms from gamma distributions of rate 1, in float64.

    Marsaglia & Tsang 2000: d v is accepted for v = (1 + x/√(9d))³ with x normal. For
    α < 1 a draw for α + 1 is multiplied by u^(1/α), which may be below 10⁻³⁰⁰.
    """
    alpha = concentration.double().expand(shape)
    d = cr.where(alpha < 1, alpha + 1, alpha) - 1 / 3
    x = randn((TRIES, *shape), dtype=DType.float64)
    root = 1 + x / (9 * d).sqrt()
    v = cr.where(root > 0, root, 1.0) ** 3
    likely = between((TRIES, *shape)).log() < 0.5 * x.square() + d * (1 - v + v.log())
    first = ((root > 0) & likely).astype(DType.int32).argmax(0)
    drawn = (d * v.gather(0, first.unsqueeze(0)).squeeze(0)).log()
    return cr.where(alpha < 1, drawn + between(shape).log() / alpha, drawn)


def standard_gamma(shape: Shape, concentration: Tensor) -> Tensor:
    """Draw from gamma distributions of rate 1, in float64."""
    return log_standard_gamma(shape, concentration).exp()


class Gamma(Distribution):
    """Gamma distributions, p(x) = βᵅ xᵅ⁻¹ e^(−βx) / Γ(α) for x > 0.

    Args:
        concentration: α > 0.
        rate: β > 0.
        validate_args: whether parameters and values are checked.

    >>> Gamma(2.0, 4.0).mean
    tensor(0.5)
    """

    parameters = {"concentration": 0, "rate": 0}  # noqa: RUF012 - of the class

    def __init__(
        self, concentration: Any, rate: Any, validate_args: bool | None = None
    ) -> None:
        a, b = parameters_of(concentration, rate)
        self.concentration = positive("Gamma", "concentration", a, validate_args)
        self.rate = positive("Gamma", "rate", b, validate_args)
        super().__init__(a.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean α/β."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """The mode (α − 1)/β, or 0."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """The variance α/β²."""
        return self.concentration / self.rate.square()

    def _draw(self, shape: Shape) -> Tensor:
        drawn = standard_gamma(shape, self.concentration) / self.rate.double()
        return drawn.astype(self.rate.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """Return α ln β + (α − 1) ln x − βx − ln Γ(α)."""
        x, a, b = self._value(value, self.rate.dtype), self.concentration, self.rate
        x = self._within(x, x >= 0, _("numbers ≥ 0"))
        return cr.xlogy(a, b) + cr.xlogy(a - 1, x) - b * x - a.lgamma()

    def entropy(self) -> Tensor:
        """Return the entropy α − ln β + ln Γ(α) + (1 − α) ψ(α)."""
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()


class Dirichlet(Distribution):
    """Dirichlet distributions of shares, p(x) = Γ(Σα)/∏Γ(αᵢ) · ∏ xᵢ^(αᵢ − 1), Σx = 1.

    Args:
        concentration: α > 0, (…, n).
        validate_args: whether parameters and values are checked.

    >>> Dirichlet([1.0, 3.0]).mean
    tensor([0.25, 0.75])
    """

    parameters = {"concentration": 1}  # noqa: RUF012 - of the class

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        (a,) = parameters_of(concentration)
        if not a.shape:
            raise ShapeError(
                _("Dirichlet has its shares on the last axis."),
                expected=_("at least one axis"),
                got=_("a scalar"),
            )
        self.concentration = positive("Dirichlet", "concentration", a, validate_args)
        super().__init__(a.shape[:-1], a.shape[-1:], validate_args)

    @property
    def _total(self) -> Tensor:
        return self.concentration.sum(-1)

    @property
    def mean(self) -> Tensor:
        """The mean α/Σα."""
        return self.concentration / self._total.unsqueeze(-1)

    @property
    def mode(self) -> Tensor:
        """The mode (α − 1)/Σ(α − 1); NaN where no α is above 1."""
        above = (self.concentration - 1).clamp(min=0)
        total = above.sum(-1, keepdim=True)
        return cr.where(total > 0, above / cr.where(total > 0, total, 1.0), cr.nan)

    @property
    def variance(self) -> Tensor:
        """The variance m(1 − m)/(Σα + 1), m the mean."""
        return self.mean * (1 - self.mean) / (self._total + 1).unsqueeze(-1)

    def _draw(self, shape: Shape) -> Tensor:
        shares = log_standard_gamma(shape, self.concentration).softmax(-1)
        return shares.astype(self.concentration.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the Dirichlet density at shares."""
        x, a = self._value(value, self.concentration.dtype), self.concentration
        holds = (x >= 0) & ((x.sum(-1, keepdim=True) - 1).abs() < 1e-6)
        x = self._within(x, holds, _("numbers ≥ 0 with the sum 1"))
        return cr.xlogy(a - 1, x).sum(-1) - self._log_norm()

    def _log_norm(self) -> Tensor:
        return self.concentration.lgamma().sum(-1) - self._total.lgamma()

    def entropy(self) -> Tensor:
        """Return the entropy ln B(α) + (Σα − n) ψ(Σα) − Σ(α − 1) ψ(α)."""
        a, total = self.concentration, self._total
        terms = ((a - 1) * a.digamma()).sum(-1)
        count = int(self._event_shape[0])
        return self._log_norm() + (total - count) * total.digamma() - terms


class Beta(Distribution):
    """Beta distributions, p(x) = xᵃ⁻¹ (1 − x)ᵇ⁻¹ / B(a, b) from 0 to 1.

    Args:
        concentration1: a > 0.
        concentration0: b > 0.
        validate_args: whether parameters and values are checked.

    >>> Beta(1.0, 3.0).mean
    tensor(0.25)
    """

    parameters = {"concentration1": 0, "concentration0": 0}  # noqa: RUF012 - of the class

    def __init__(
        self,
        concentration1: Any,
        concentration0: Any,
        validate_args: bool | None = None,
    ) -> None:
        a, b = parameters_of(concentration1, concentration0)
        self.concentration1 = positive("Beta", "concentration1", a, validate_args)
        self.concentration0 = positive("Beta", "concentration0", b, validate_args)
        super().__init__(a.shape, (), validate_args)

    @property
    def dirichlet(self) -> Dirichlet:
        """The distribution of x and 1 − x."""
        pair = cr.stack([self.concentration1, self.concentration0], -1)
        return Dirichlet(pair, False)

    @property
    def mean(self) -> Tensor:
        """The mean a/(a + b)."""
        return self.dirichlet.mean[..., 0]

    @property
    def mode(self) -> Tensor:
        """The mode (a − 1)/(a + b − 2), or 0 or 1; NaN where neither is above 1."""
        return self.dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        """The variance ab/((a + b)²(a + b + 1))."""
        return self.dirichlet.variance[..., 0]

    def _draw(self, shape: Shape) -> Tensor:
        return self.dirichlet._draw((*shape, 2))[..., 0]

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the beta density at a value."""
        x = self._value(value, self.concentration1.dtype)
        x = self._within(x, (x >= 0) & (x <= 1), _("numbers from 0 to 1"))
        return self.dirichlet.log_prob(cr.stack([x, 1 - x], -1))

    def entropy(self) -> Tensor:
        """Return the entropy of x, that of the pair x and 1 − x."""
        return self.dirichlet.entropy()
