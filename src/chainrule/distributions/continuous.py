"""Continuous distributions of numbers: normal, uniform, exponential, Laplace."""

from __future__ import annotations

import math
from typing import Any

import chainrule.functions as cr
from chainrule.distributions.distribution import (
    Distribution,
    between,
    checked,
    parameters_of,
    positive,
    real,
)
from chainrule.graph.types import Shape
from chainrule.random import randn
from chainrule.tensor import Tensor
from chainrule.text import _

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Normal(Distribution):
    """Normal distributions N(μ, σ²).

    p(x) = exp(−((x − μ)/σ)²/2) / (σ √(2π)).

    Args:
        loc: μ.
        scale: σ > 0.
        validate_args: whether parameters and values are checked.

    >>> Normal(0.0, 1.0).entropy(), Normal(1.0, 2.0)
    (tensor(1.4189385), Normal(loc: 1, scale: 2))
    """

    parameters = {"loc": 0, "scale": 0}  # noqa: RUF012 - of the class, as its base says
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        loc, scale = parameters_of(loc, scale)
        self.loc = real("Normal", "loc", loc, validate_args)
        self.scale = positive("Normal", "scale", scale, validate_args)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean μ."""
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        """The variance σ²."""
        return self.scale.square()

    def _draw(self, shape: Shape) -> Tensor:
        return self.loc + self.scale * randn(shape, dtype=self.loc.dtype)

    def _standard(self, value: Any) -> Tensor:
        x = self._value(value, self.loc.dtype)
        return (self._within(x, ~x.isnan(), _("numbers")) - self.loc) / self.scale

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the normal density at a value."""
        z = self._standard(value)
        return -0.5 * z * z - self.scale.log() - HALF_LOG_2PI

    def cdf(self, value: Any) -> Tensor:
        """Return the probability ½(1 + erf(z/√2)) of a normal draw up to a value."""
        return 0.5 * (1 + (self._standard(value) * math.sqrt(0.5)).erf())

    def icdf(self, value: Any) -> Tensor:
        """Return the quantile μ + √2 σ erf⁻¹(2p − 1)."""
        share = self._value(value, self.loc.dtype)
        return self.loc + self.scale * (2 * share - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        """Return the entropy ½ + ½ ln 2π + ln σ."""
        return 0.5 + HALF_LOG_2PI + self.scale.log()


class LogNormal(Normal):
    """Log-normal distributions, of eˣ for x from N(μ, σ²).

    Args:
        loc: μ, the mean of the logarithm.
        scale: σ > 0, its standard deviation.
        validate_args: whether parameters and values are checked.

    >>> LogNormal(0.0, 1.0).entropy()
    tensor(1.4189385)
    """

    @property
    def mean(self) -> Tensor:
        """The mean e^(μ + σ²/2)."""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def mode(self) -> Tensor:
        """The mode e^(μ − σ²)."""
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        """The variance (e^σ² − 1) e^(2μ + σ²)."""
        square = self.scale.square()
        return square.expm1() * (2 * self.loc + square).exp()

    def _draw(self, shape: Shape) -> Tensor:
        return super()._draw(shape).exp()

    def _log(self, value: Any) -> Tensor:
        x = self._value(value, self.loc.dtype)
        return self._within(x, x > 0, _("numbers > 0")).log()

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the log-normal density at a value."""
        log = self._log(value)
        return super().log_prob(log) - log

    def cdf(self, value: Any) -> Tensor:
        """Return the probability of a log-normal draw up to a value."""
        return super().cdf(self._log(value))

    def icdf(self, value: Any) -> Tensor:
        """Return the exponential of the normal quantile."""
        return super().icdf(value).exp()

    def entropy(self) -> Tensor:
        """Return the entropy ½ + ½ ln 2π + ln σ + μ."""
        return super().entropy() + self.loc


class Uniform(Distribution):
    """Uniform distributions on [low, high).

    Args:
        low, high: the ends.
        validate_args: whether parameters and values are checked.

    >>> Uniform(0.0, 4.0).variance
    tensor(1.3333334)
    """

    parameters = {"low": 0, "high": 0}  # noqa: RUF012 - of the class
    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, high = parameters_of(low, high)
        holds, expected = self.low < high, _("numbers above low")
        self.high = checked("Uniform", "high", high, holds, expected, validate_args)
        super().__init__(self.low.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean of both ends."""
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: no value is likelier than another."""
        return cr.nan * self.high

    @property
    def variance(self) -> Tensor:
        """The variance (high − low)²/12."""
        return (self.high - self.low).square() / 12

    def _draw(self, shape: Shape) -> Tensor:
        unit = between(shape).astype(self.low.dtype)
        return self.low + unit * (self.high - self.low)

    def _inside(self, value: Any) -> Tensor:
        x = self._value(value, self.low.dtype)
        holds = (x >= self.low) & (x <= self.high)
        return self._within(x, holds, _("numbers from low to high"))

    def log_prob(self, value: Any) -> Tensor:
        """Return −ln(high − low), or −∞ outside of the interval."""
        x = self._inside(value)
        inside = (x >= self.low) & (x < self.high)
        return cr.where(inside, -(self.high - self.low).log(), -cr.inf)

    def cdf(self, value: Any) -> Tensor:
        """Return the share of the interval up to a value."""
        share = (self._inside(value) - self.low) / (self.high - self.low)
        return share.clamp(0, 1)

    def icdf(self, value: Any) -> Tensor:
        """Return the place in the interval with a share before it."""
        return self._value(value, self.low.dtype) * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        """Return the entropy ln(high − low)."""
        return (self.high - self.low).log()


class Exponential(Distribution):
    """Exponential distributions, p(x) = λ e^(−λx) for x ≥ 0.

    Args:
        rate: λ > 0.
        validate_args: whether parameters and values are checked.

    >>> Exponential(2.0).mean
    tensor(0.5)
    """

    parameters = {"rate": 0}  # noqa: RUF012 - of the class
    has_rsample = True

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (rate,) = parameters_of(rate)
        self.rate = positive("Exponential", "rate", rate, validate_args)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean 1/λ."""
        return self.rate.reciprocal()

    stddev = mean

    @property
    def mode(self) -> Tensor:
        """The mode 0."""
        return cr.zeros_like(self.rate)

    @property
    def variance(self) -> Tensor:
        """The variance 1/λ²."""
        return self.rate.square().reciprocal()

    def _draw(self, shape: Shape) -> Tensor:
        return -between(shape).log().astype(self.rate.dtype) / self.rate

    def _positive(self, value: Any) -> Tensor:
        x = self._value(value, self.rate.dtype)
        return self._within(x, x >= 0, _("numbers ≥ 0"))

    def log_prob(self, value: Any) -> Tensor:
        """Return ln λ − λx."""
        return self.rate.log() - self.rate * self._positive(value)

    def cdf(self, value: Any) -> Tensor:
        """Return 1 − e^(−λx)."""
        return -(-self.rate * self._positive(value)).expm1()

    def icdf(self, value: Any) -> Tensor:
        """Return −ln(1 − p)/λ."""
        return -(-self._value(value, self.rate.dtype)).log1p() / self.rate

    def entropy(self) -> Tensor:
        """Return the entropy 1 − ln λ."""
        return 1 - self.rate.log()


class Laplace(Distribution):
    """Laplace distributions, p(x) = e^(−|x − μ|/b) / 2b.

    Args:
        loc: μ.
        scale: b > 0.
        validate_args: whether parameters and values are checked.

    >>> Laplace(0.0, 1.0).variance
    tensor(2.)
    """

    parameters = {"loc": 0, "scale": 0}  # noqa: RUF012 - of the class
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        loc, scale = parameters_of(loc, scale)
        self.loc = real("Laplace", "loc", loc, validate_args)
        self.scale = positive("Laplace", "scale", scale, validate_args)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean μ."""
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        """The variance 2b²."""
        return 2 * self.scale.square()

    @property
    def stddev(self) -> Tensor:
        """The standard deviation √2 b."""
        return math.sqrt(2) * self.scale

    def _draw(self, shape: Shape) -> Tensor:
        u = 2 * between(shape) - 1
        noise = -u.sign() * (-u.abs()).log1p()
        return self.loc + self.scale * noise.astype(self.loc.dtype)

    def _centred(self, value: Any) -> Tensor:
        x = self._value(value, self.loc.dtype)
        return self._within(x, ~x.isnan(), _("numbers")) - self.loc

    def log_prob(self, value: Any) -> Tensor:
        """Return −|x − μ|/b − ln 2b."""
        return -(2 * self.scale).log() - self._centred(value).abs() / self.scale

    def cdf(self, value: Any) -> Tensor:
        """Return ½ − ½ sign(z)(e^(−|z|) − 1), z = (x − μ)/b."""
        z = self._centred(value)
        return 0.5 - 0.5 * z.sign() * (-z.abs() / self.scale).expm1()

    def icdf(self, value: Any) -> Tensor:
        """Return μ − b sign(p − ½) ln(1 − 2|p − ½|)."""
        term = self._value(value, self.loc.dtype) - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        """Return the entropy 1 + ln 2b."""
        return 1 + (2 * self.scale).log()
