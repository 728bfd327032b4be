"""The base class of probability distributions, and what they are written with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import chainrule.functions as cr
from chainrule.errors import ArgumentError, GradientError, ShapeError
from chainrule.graph.context import get_default_dtype, no_grad
from chainrule.graph.types import DType, Shape
from chainrule.operations.arguments import shape_of
from chainrule.operations.operands import broadcast_shapes
from chainrule.primitives.checks import require_all
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.blocks import settled


class Distribution:
    """A batch of probability distributions.

    Subclasses name their parameters and give ``log_prob``, ``entropy``, ``mean``,
    ``variance`` and a way to draw: ``_draw``, which has derivatives where
    ``has_rsample`` is true.

    Args:
        batch_shape: the shape of the batch of distributions.
        event_shape: the shape of what one of them draws.
        validate_args: whether parameters and values are checked; by default they are.
    """

    #: The parameters, and how many last axes of each are those of an event.
    parameters: ClassVar[dict[str, int]] = {}
    has_rsample = False
    has_enumerate_support = False

    def __init__(
        self,
        batch_shape: Shape = (),
        event_shape: Shape = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape, self._event_shape = batch_shape, event_shape
        self._validate_args = validate_args is not False

    @property
    def batch_shape(self) -> Shape:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Shape:
        """The shape of what one distribution draws."""
        return self._event_shape

    # -- what subclasses give --------------------------------------------------------

    def _draw(self, shape: Shape) -> Tensor:
        """Return draws of a shape, sample, batch and event, before they are cut off."""
        raise self._missing("sample")

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the density, or of the probability, at a value."""
        raise self._missing("log_prob")

    def cdf(self, value: Any) -> Tensor:
        """Return the probability of a draw up to a value."""
        raise self._missing("cdf")

    def icdf(self, value: Any) -> Tensor:
        """Return the value up to which draws come with a probability (a quantile)."""
        raise self._missing("icdf")

    def entropy(self) -> Tensor:
        """Return the entropy −E ln p of the distributions, in nats."""
        raise self._missing("entropy")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all values of a discrete distribution along a new first axis."""
        raise self._missing("enumerate_support")

    @property
    def mean(self) -> Tensor:
        """The mean of the distributions."""
        raise self._missing("mean")

    @property
    def mode(self) -> Tensor:
        """The value of the largest density or probability."""
        raise self._missing("mode")

    @property
    def variance(self) -> Tensor:
        """The variance of the distributions."""
        raise self._missing("variance")

    # -- what follows ----------------------------------------------------------------

    @property
    def stddev(self) -> Tensor:
        """The standard deviation of the distributions."""
        return self.variance.sqrt()

    def perplexity(self) -> Tensor:
        """Return the exponential of the entropy."""
        return self.entropy().exp()

    @settled
    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:
        """Draw values, without derivatives.

        Args:
            sample_shape: the shape of independent draws.
        """
        with no_grad():
            return self._draw(self._extended_shape(sample_shape)).detach()

    def rsample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:
        """Draw values as functions of the parameters, so that these get derivatives."""
        if not self.has_rsample:
            raise GradientError(
                _("{name} has no rsample.", name=type(self).__name__),
                expected=_("a draw that is a smooth function of the parameters"),
                fix=_("sample(), and log_prob(x) times what x brings"),
            )
        return self._draw(self._extended_shape(sample_shape))

    def expand(self, batch_shape: int | Sequence[Any]) -> Self:
        """Return these distributions repeated into a larger batch."""
        made, wanted = copy.copy(self), shape_of(batch_shape)
        for name, last in self.parameters.items():
            parameter = getattr(self, name)
            shape = parameter.shape[len(parameter.shape) - last :]
            setattr(made, name, parameter.expand((*wanted, *shape)))
        made._batch_shape = wanted
        return made

    def _extended_shape(self, sample_shape: int | Sequence[int] = ()) -> Shape:
        return (*shape_of(sample_shape), *self._batch_shape, *self._event_shape)

    def _value(self, value: Any, dtype: DType) -> Tensor:
        """Return a value as a tensor that fits the distributions' shapes."""
        x = as_tensor(value)
        x = x if x.dtype.is_float else x.astype(dtype)
        rank = len(self._event_shape)
        if self._validate_args:
            if x.shape[len(x.shape) - rank :] != self._event_shape:
                raise ShapeError(
                    _("A value ends in the shape of an event."),
                    expected=_("(…, {shape})", shape=show(self._event_shape)[1:-1]),
                    got=show(x.shape),
                )
            broadcast_shapes(x.shape[: len(x.shape) - rank], self._batch_shape)
        return x

    def _within(self, x: Tensor, holds: Tensor, expected: str) -> Tensor:
        """Return a value if it is in the distribution's support, else raise."""
        if not self._validate_args:
            return x
        what = _("A value is not in the support of {name}.", name=type(self).__name__)
        return valid(x, holds, what, expected)

    def _missing(self, what: str) -> ArgumentError:
        return ArgumentError(
            _("{name} has no {what}.", name=type(self).__name__, what=what),
            expected=_("what its docstring names"),
            got=what,
        )

    def __repr__(self) -> str:
        def shown(name: str) -> str:
            x = getattr(self, name)
            return f"{name}: {x.item():.6g}" if not x.shape else f"{name}: {x.shape}"

        return f"{type(self).__name__}({', '.join(map(shown, self.parameters))})"


# -- what they are written with --------------------------------------------------------


def parameters_of(*values: Any) -> list[Tensor]:
    """Return parameters as floating tensors of one dtype and shape.

    Numbers follow the tensors; numbers alone are of the default dtype.
    """
    kinds = [v.dtype for v in values if isinstance(v, Tensor)]
    kind = cr.result_type(*kinds) if kinds else get_default_dtype()
    kind = kind if kind.is_float else get_default_dtype()
    return cr.broadcast_arrays(*(as_tensor(v).astype(kind) for v in values))


def valid(x: Tensor, holds: Tensor, what: str, expected: str) -> Tensor:
    """Return a tensor if a condition holds everywhere, else raise an error.

    A compiled function raises it when it runs.
    """
    got = _("others among its numbers")
    return wrap(require_all(x.value, holds.value, what, expected=expected, got=got))


def checked(
    kind: str, name: str, x: Tensor, holds: Tensor, expected: str, wanted: Any
) -> Tensor:
    """Return a parameter if a condition holds for all its numbers, else raise.

    Args:
        kind: the name of the distribution.
        name: of the parameter.
        x: the parameter.
        holds: the condition.
        expected: what it says.
        wanted: ``validate_args``; False checks nothing.
    """
    if wanted is False:
        return x
    what = _("{name} of {kind} is out of its range.", name=name, kind=kind)
    return valid(x, holds, what, expected)


def positive(kind: str, name: str, x: Tensor, wanted: Any) -> Tensor:
    """Return a parameter if all its numbers are above 0, else raise."""
    return checked(kind, name, x, x > 0, _("numbers > 0"), wanted)


def real(kind: str, name: str, x: Tensor, wanted: Any) -> Tensor:
    """Return a parameter if none of its numbers is NaN, else raise."""
    return checked(kind, name, x, ~x.isnan(), _("numbers, no NaN"), wanted)


def between(shape: Shape) -> Tensor:
    """Draw numbers between 0 and 1, neither of which comes, in float64."""
    return uniform(shape, dtype=DType.float64) + 2.0**-25


def one_of_two(
    kind: str, first: tuple[str, Any], second: tuple[str, Any]
) -> tuple[str, Any]:
    """Return the name and value of the one parameter of two that is given."""
    given = [(name, x) for name, x in (first, second) if x is not None]
    if len(given) != 1:
        raise ArgumentError(
            _("{kind} has one of two parameters.", kind=kind),
            expected=_("{first} or {second}", first=first[0], second=second[0]),
            got=_("both") if given else _("none"),
        )
    return given[0]


def clamped(probs: Tensor) -> Tensor:
    """Return probabilities at a distance ε from 0 and 1, for their logarithms."""
    eps = cr.finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)
