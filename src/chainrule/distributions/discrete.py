"""Discrete distributions: of two outcomes, and of classes."""

from __future__ import annotations

from typing import Any

import chainrule.functions as cr
from chainrule.distributions.distribution import (
    Distribution,
    checked,
    clamped,
    one_of_two,
    parameters_of,
    real,
)
from chainrule.errors import ShapeError
from chainrule.graph.types import DType, Shape
from chainrule.random import bernoulli, categorical
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _


class _OfProbabilities(Distribution):
    """A distribution with one parameter of two: probabilities, or scores.

    Args:
        name: of the parameter that is given, ``"probs"`` or ``"logits"``.
        x: its value.
        last: how many last axes of it are those of an event.
        validate_args: whether values are checked.
    """

    parameters = {"_given": 0}  # noqa: RUF012 - of the class
    has_enumerate_support = True

    def __init__(self, name: str, x: Tensor, last: int, validate_args: Any) -> None:
        self._name, self._given = name, x
        super().__init__(x.shape[: len(x.shape) - last], (), validate_args)

    @property
    def _from_probs(self) -> bool:
        return self._name == "probs"

    @property
    def param_shape(self) -> Shape:
        """The shape of the parameter."""
        return self._given.shape

    def __repr__(self) -> str:
        return super().__repr__().replace("_given", self._name)


class Bernoulli(_OfProbabilities):
    """Bernoulli distributions: 1 with probability p, else 0.

    Args:
        probs: p, from 0 to 1.
        logits: ln(p/(1 − p)), instead of probs.
        validate_args: whether parameters and values are checked.

    >>> Bernoulli(0.5).entropy(), Bernoulli(logits=0.0).probs
    (tensor(0.6931472), tensor(0.5))
    """

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        name, x = one_of_two("Bernoulli", ("probs", probs), ("logits", logits))
        (x,) = parameters_of(x)
        if name == "probs":
            holds, expected = (x >= 0) & (x <= 1), _("numbers from 0 to 1")
            x = checked("Bernoulli", name, x, holds, expected, validate_args)
        else:
            x = real("Bernoulli", name, x, validate_args)
        super().__init__(name, x, 0, validate_args)

    @property
    def probs(self) -> Tensor:
        """The probability p of 1."""
        return self._given if self._from_probs else self._given.sigmoid()

    @property
    def logits(self) -> Tensor:
        """The log-odds ln(p/(1 − p)), finite where they are computed from p."""
        if not self._from_probs:
            return self._given
        p = clamped(self._given)
        return p.log() - (-p).log1p()

    @property
    def mean(self) -> Tensor:
        """The mean p."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likelier outcome; NaN where p is ½."""
        p = self.probs
        return cr.where(p == 0.5, cr.nan, (p >= 0.5).astype(p.dtype))

    @property
    def variance(self) -> Tensor:
        """The variance p(1 − p)."""
        return self.probs * (1 - self.probs)

    def _draw(self, shape: Shape) -> Tensor:
        return bernoulli(self.probs.expand(shape))

    def log_prob(self, value: Any) -> Tensor:
        """Return x ln p + (1 − x) ln(1 − p)."""
        x = self._value(value, self._given.dtype)
        x = self._within(x, (x == 0) | (x == 1), _("0 or 1"))
        logits = self.logits
        return x * logits - softplus(logits)

    def entropy(self) -> Tensor:
        """Return the entropy −p ln p − (1 − p) ln(1 − p)."""
        logits = self.logits
        return softplus(logits) - self.probs * logits

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return 0 and 1 along a new first axis."""
        values = cr.arange(2, dtype=self._given.dtype)
        values = values.reshape(2, *(1 for __ in self._batch_shape))
        return values.expand((2, *self._batch_shape)) if expand else values


class Categorical(_OfProbabilities):
    """Distributions of classes 0, 1, …: the last axis of the parameter.

    Args:
        probs: ≥ 0, with a sum above 0; they are divided by it.
        logits: unnormalised log-probabilities, instead of probs.
        validate_args: whether parameters and values are checked.

    >>> d = Categorical([1.0, 3.0])
    >>> d.probs, d.log_prob(1)
    (tensor([0.25, 0.75]), tensor(-0.2876821))
    """

    parameters = {"_given": 1}  # noqa: RUF012 - of the class

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        name, x = one_of_two("Categorical", ("probs", probs), ("logits", logits))
        (x,) = parameters_of(x)
        if not x.shape:
            raise ShapeError(
                _("Categorical has its classes on the last axis."),
                expected=_("at least one axis"),
                got=_("a scalar"),
            )
        if name == "probs":
            holds = ((x >= 0) & (x.sum(-1, keepdim=True) > 0)) & x.isfinite()
            expected = _("numbers ≥ 0, not all of them 0")
            x = checked("Categorical", name, x, holds, expected, validate_args)
            x = x / x.sum(-1, keepdim=True)
        else:
            x = real("Categorical", name, x, validate_args)
            x = x - x.logsumexp(-1, keepdim=True)
        super().__init__(name, x, 1, validate_args)

    @property
    def probs(self) -> Tensor:
        """The probabilities of the classes."""
        return self._given if self._from_probs else self._given.softmax(-1)

    @property
    def logits(self) -> Tensor:
        """The logarithms of probabilities, finite where they are computed from them."""
        return clamped(self._given).log() if self._from_probs else self._given

    @property
    def mean(self) -> Tensor:
        """NaN: classes are no numbers."""
        return cr.full(self._batch_shape, cr.nan, dtype=self._given.dtype)

    variance = mean

    @property
    def mode(self) -> Tensor:
        """The most probable class."""
        return self.probs.argmax(-1)

    def _draw(self, shape: Shape) -> Tensor:
        scores = self.logits
        if self._from_probs:  # what has probability 0 never comes
            scores = cr.where(self._given == 0, -cr.inf, scores)
        return categorical(scores.expand((*shape, scores.shape[-1])))

    def log_prob(self, value: Any) -> Tensor:
        """Return the log-probability of classes."""
        classes, logits = as_tensor(value), self.logits
        count = logits.shape[-1]
        holds = (classes >= 0) & (classes < count) & (classes == classes.floor())
        places = self._within(classes, holds, _("classes 0, 1, …")).astype(DType.int64)
        shape = cr.broadcast_arrays(places, logits[..., 0])[0].shape
        places = places.expand(shape).unsqueeze(-1)
        return logits.expand((*shape, count)).gather(-1, places).squeeze(-1)

    def entropy(self) -> Tensor:
        """Return the entropy −Σ p ln p."""
        least = cr.finfo(self._given.dtype).min
        return -(self.logits.clamp(min=least) * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all classes along a new first axis."""
        count = self._given.shape[-1]
        values = cr.arange(count).reshape(count, *(1 for __ in self._batch_shape))
        return values.expand((count, *self._batch_shape)) if expand else values


def softplus(x: Tensor) -> Tensor:
    """Return ln(1 + eˣ)."""
    return cr.logaddexp(x, cr.zeros_like(x))
