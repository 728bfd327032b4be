"""Basis expansion: functions of the features as further features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions import concat
from chainrule.nn.arguments import layer_name
from chainrule.nn.module import Module
from chainrule.operations.narrow import in_single
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = ["BasisExpansion"]

#: A power of a feature, and a sine or cosine of one; the features count from 1.
_POWER = re.compile(r"x([1-9]\d{0,5})(?:\^([1-9]\d?))?", re.ASCII)
_WAVE = re.compile(r"(sin|cos)\(x([1-9]\d{0,5})\)", re.ASCII)
#: A factor: the function of a feature, its place, and the exponent.
_Factor = tuple[str, int, int]


class BasisExpansion(Module):
    """Replace the features x₁, …, x_C by functions φ₁(x), …, φ_M(x) of them.

    A network that is linear in its inputs is then linear in the φ: with ``"x1^2"`` and
    ``"x2^2"`` a single unit cuts out a circle. The layer has nothing to learn;
    derivatives go through it, such as ∂x₁²/∂x₁ = 2x₁, ∂(x₁x₂)/∂x₁ = x₂ and
    ∂ sin x₁/∂x₁ = cos x₁.

    Args:
        terms: the φ, in their order, each a product of powers ``"x1"``, ``"x1^2"``,
            ``"x1*x2"``, or a wave, ``"sin(x1)"`` or ``"cos(x1)"``, or a product of
            them all, ``"x1^2*sin(x2)"``. Features count from 1, exponents are at most
            99.

    Shapes:
        (…, C) with C at least the largest feature that is named, and (…, M).

    Raises:
        ArgumentError: another term, or none.
        ShapeError: fewer features than the terms name.
        DTypeError: no floats.

    Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 5.1.

    >>> import chainrule as cr
    >>> basis = cr.nn.BasisExpansion(["x1", "x1^2", "x1*x2", "sin(x2)"])
    >>> basis(cr.tensor([[3.0, 0.5]]))
    tensor([[3.        , 9.        , 1.5       , 0.47942555]])
    """

    def __init__(self, terms: str | Sequence[str]) -> None:
        several = [terms] if isinstance(terms, str) else terms
        if not isinstance(several, list | tuple) or not several:
            raise _refused(terms)
        self.terms = tuple(_checked(term) for term in several)

    def forward(self, x: Tensor) -> Tensor:
        """Return the functions of x that the layer's terms name."""
        x = as_tensor(x)
        place = layer_name("BasisExpansion")
        if not x.dtype.is_float:
            raise DTypeError(
                _("{kind} takes vectors.", kind=place),
                expected=_("floats"),
                got=x.dtype.name,
            )
        products = [_factors(term) for term in self.terms]
        most = max(i for product in products for __, i, __ in product)
        if not x.shape or not isinstance(x.shape[-1], int) or x.shape[-1] < most:
            raise ShapeError(
                _("{place} names features that the input does not have.", place=place),
                expected=_("(…, C) with C ≥ {most}", most=most),
                got=show(x.shape),
                fix=_("terms of the features that there are"),
            )
        return _expanded(x, products)


@in_single
def _expanded(x: Tensor, products: Sequence[Sequence[_Factor]]) -> Tensor:
    return concat([_product(x, factors) for factors in products], -1)


def _product(x: Tensor, factors: Sequence[_Factor]) -> Tensor:
    first, *others = (_factor(x, *factor) for factor in factors)
    for other in others:
        first = first * other
    return first


def _factor(x: Tensor, function: str, feature: int, exponent: int) -> Tensor:
    column = x[..., feature - 1 : feature]
    if function == "sin":
        return column.sin()
    if function == "cos":
        return column.cos()
    return column if exponent == 1 else column**exponent


def _factors(term: str) -> list[_Factor]:
    """Return the factors of a term; none of what is no term.

    >>> _factors("x1^2*sin(x2)"), _factors("exp(x1)")
    ([('power', 1, 2), ('sin', 2, 1)], [])
    """
    found: list[_Factor] = []
    for factor in term.split("*"):
        if power := _POWER.fullmatch(factor):
            found.append(("power", int(power[1]), int(power[2] or 1)))
        elif wave := _WAVE.fullmatch(factor):
            found.append((wave[1], int(wave[2]), 1))
        else:
            return []
    return found


def _checked(term: Any) -> str:
    """Return a term without spaces, if it is one."""
    compact = term.replace(" ", "") if isinstance(term, str) else ""
    if not _factors(compact):
        raise _refused(term)
    return compact


def _refused(got: Any) -> ArgumentError:
    return ArgumentError(
        _("BasisExpansion does not know such a term."),
        expected=_(
            "terms such as x1, x1^2, x1*x2, sin(x1), cos(x1); features count from 1"
        ),
        got=f"{got!r:.200}",
        fix='nn.BasisExpansion(["x1", "x2", "x1^2", "x2^2", "x1*x2"])',
    )
