"""Tensor methods that fill a tensor with random numbers, such as ``normal_``.

Numbers are drawn as by the functions of the package, in the shape and dtype of the
tensor, which is changed in place: a leaf only within ``no_grad()``.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph.types import DType
from chainrule.methods.declared import Declared
from chainrule.operations.op import raises_call_error
from chainrule.random.distributions import bernoulli, between, randint, randn, uniform
from chainrule.random.generator import bits, drawing
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.validation import number

#: The methods by name.
METHODS: dict[str, Callable[..., Tensor]] = {}


def _method(kinds: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Decorate a draw in a tensor's shape and dtype to make it a method in place.

    Args:
        kinds: the kinds of dtypes that the numbers have: "float", "int" and "bool".
    """

    def declared(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(draw)
        def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            dtype = self.dtype
            kind = "float" if dtype.is_float else "int" if dtype.is_integer else "bool"
            if kind not in kinds:
                raise DTypeError(
                    _("{name} draws other numbers.", name=draw.__name__),
                    expected=_("a tensor of {kinds}", kinds=kinds),
                    got=dtype.name,
                    fix="x.float()",
                )
            drawn = draw(self, *args, **kwargs)
            return self._become(drawn.astype(dtype).value, draw.__name__)

        own = inspect.signature(draw)
        more = inspect.Parameter(
            "generator",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation="Generator | None",
        )
        parameters = [*own.parameters.values(), more]
        method.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        call = raises_call_error(drawing(method))
        call.__qualname__ = f"Tensor.{draw.__name__}"
        METHODS[draw.__name__] = call
        setattr(Declared, draw.__name__, call)
        return call

    return declared


def _unit(x: Tensor) -> Tensor:
    """Draw numbers between 0 and 1, without both, in float64."""
    return wrap(between(bits(x.shape).value))


@_method("float")
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill the tensor with numbers from N(mean, std²), in place.

    >>> import chainrule as cr
    >>> cr.manual_seed(0)
    >>> bool(abs(cr.zeros(1000).normal_(5.0, 0.1).mean() - 5) < 0.1)
    True
    """
    std = number("std", std, least=0, what=_("A standard deviation is not negative."))
    return randn(self.shape, mean=mean, std=std, dtype=self.dtype)


@_method("float")
def uniform_(self: Tensor, low: float = 0.0, to: float = 1.0) -> Tensor:
    """Fill the tensor with numbers from U(low, to), in place."""
    to = number("to", to, least=number("low", low))
    return uniform(self.shape, low=low, high=to, dtype=self.dtype)


@_method("float int bool")
def bernoulli_(self: Tensor, p: Any = 0.5) -> Tensor:
    """Fill the tensor with 1 where a draw of probability p succeeds, else 0, in place.

    Args:
        p: a number, or a tensor that broadcasts to this one.
    """
    chance = p if isinstance(p, Tensor) else as_tensor(p, dtype="float64")
    return bernoulli(chance, self.shape)


@_method("float")
def exponential_(self: Tensor, lambd: float = 1.0) -> Tensor:
    """Fill the tensor with numbers of density λ e^(−λx), in place."""
    return -_unit(self).log() / number("lambd", lambd, above=0)


@_method("float")
def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0) -> Tensor:
    """Fill the tensor with e to the power of numbers from N(mean, std²), in place."""
    std = number("std", std, above=0)
    return randn(self.shape, mean=mean, std=std, dtype="float64").exp()


@_method("float")
def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0) -> Tensor:
    """Fill the tensor with numbers of density σ/(π(σ² + (x − median)²)), in place."""
    sigma = number("sigma", sigma, above=0)
    return median + sigma * ((_unit(self) - 0.5) * math.pi).tan()


@_method("float int")
def geometric_(self: Tensor, p: float) -> Tensor:
    """Fill the tensor with the number of draws until the first success, in place.

    The probability of k = 1, 2, … is (1 − p)ᵏ⁻¹ p.
    """
    p = number("p", p, above=0, below=1)
    return (_unit(self).log() / math.log1p(-p)).ceil()


@_method("float int bool")
def random_(self: Tensor, low: int | None = None, to: int | None = None) -> Tensor:
    """Fill the tensor with integers, all equally likely, in place.

    ``x.random_(n)`` draws from 0 to n − 1, ``x.random_(low, to)`` from low to to − 1;
    without arguments from 0 on whatever the dtype holds: of floats the integers up to
    2²⁴ or 2⁵³, between which there are no gaps.
    """
    dtype = self.dtype
    if dtype.is_float:
        smallest, most = -(2**63), 2 ** (dtype.limits.nmant + 1)
    elif dtype is DType.bool:
        smallest, most = 0, 1
    else:
        smallest, most = (
            int(n) for n in (np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max)
        )
    first, end = (low or 0, to) if to is not None else (0, low)
    end = min(most + 1, 2**63 - 1) if end is None else end
    if not smallest <= first < end or (end > most + 1 and not dtype.is_float):
        raise ArgumentError(
            _("random_ draws integers that the dtype holds."),
            expected=_("low < to, within those of {name}", name=dtype.name),
            got=f"low={first}, to={end}",
        )
    return randint(first, end, self.shape)
