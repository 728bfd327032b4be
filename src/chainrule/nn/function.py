"""The function of a layer, derived from the class: ``F.gelu`` from ``nn.GELU``.

A layer without parameters is declared once, as a class: its constructor has the
arguments and their checks, ``forward`` computes. The function takes the inputs of
``forward``, then the arguments of the constructor. Type checkers see its signature in
``functional.pyi``, which ``tools/stubs.py`` writes.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from chainrule.nn.module import Module
from chainrule.operations.op import passed_twice
from chainrule.tensor import Tensor

P = ParamSpec("P")

#: Types whose equal values of one type mean the same: layers of them are cached.
_PLAIN = (bool, int, float, str, type(None))


def as_function(
    layer: Callable[P, Module], name: str
) -> Callable[Concatenate[Any, P], Tensor]:
    """Return the functional form of a layer with one input, such as ``F.relu``.

    Args:
        layer: a class of modules whose state is its arguments alone.
        name: of the function.

    >>> from chainrule import nn
    >>> hardshrink = as_function(nn.Hardshrink, "hardshrink")
    >>> inspect.signature(hardshrink)
    <Signature (input: 'Any', lambd: 'float' = 0.5) -> 'Tensor'>
    >>> hardshrink([-1.0, 2.0], lambd=1.5)
    tensor([0., 2.])
    """
    return _function(layer, name)


def as_loss_function(loss: Callable[..., Module], name: str) -> Callable[..., Tensor]:
    """Return the functional form of a loss, such as ``F.mse_loss``.

    The first argument is called ``input``, as in PyTorch. ``sample_weight`` comes last,
    as a keyword.
    """
    return _function(loss, name)


def _function(layer: Any, name: str) -> Any:
    """Return the functional form of a layer or loss; see :func:`as_function`."""
    inputs = [
        p.replace(annotation="Any")
        for p in list(inspect.signature(layer.forward).parameters.values())[1:]
    ]
    keywords = [
        p.replace(kind=p.KEYWORD_ONLY) for p in inputs if p.name == "sample_weight"
    ]
    inputs = [p for p in inputs if p.name != "sample_weight"]
    if inputs[0].name in ("prediction", "x"):  # PyTorch's name
        inputs[0] = inputs[0].replace(name="input")
    options = list(inspect.signature(layer).parameters.values())
    signature = inspect.Signature(
        [*inputs, *options, *keywords], return_annotation="Tensor"
    )
    count, names = len(inputs), frozenset(p.name for p in inputs)
    cached = functools.lru_cache(maxsize=256, typed=True)(layer)

    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) < count:  # inputs by name, or by default
            named = signature.bind(*args, **kwargs).arguments
            args = tuple(named.pop(p.name, p.default) for p in inputs)
            kwargs = named
        elif kwargs and not names.isdisjoint(kwargs):
            again = next(p.name for p in inputs if p.name in kwargs)
            value = args[[p.name for p in inputs].index(again)]
            raise passed_twice(again, value, again, kwargs[again])
        values, options = args[:count], args[count:]
        if keywords:
            values += (kwargs.pop("sample_weight", None),)
        plain = all(map(_is_plain, (*options, *kwargs.values())))
        return (cached if plain else layer)(*options, **kwargs).forward(*values)

    layer._checks_later_arguments = True
    function.__name__ = function.__qualname__ = name
    function.__module__ = layer.__module__
    function.layer = layer  # type: ignore[attr-defined]
    function.__signature__ = signature  # type: ignore[attr-defined]
    described = inspect.cleandoc(layer.__doc__).partition("\n>>> ")[0].rstrip()
    function.__doc__ = (
        f"{described}\n\nAs a layer: :class:`chainrule.nn.{layer.__name__}`."
    )
    return function


def in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a layer's function that changes its input: ``F.relu_`` of ``F.relu``.

    >>> from chainrule.nn.functional import relu
    >>> x = Tensor([-1.0, 2.0])
    >>> in_place(relu)(x), x
    (tensor([0., 2.]), tensor([0., 2.]))
    """

    def changing(input: Any, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, inplace=True, **kwargs)

    signature = inspect.signature(function)
    rest = [p for p in signature.parameters.values() if p.name != "inplace"]
    changing.__name__ = changing.__qualname__ = f"{function.__name__}_"
    changing.__module__ = f"{__package__}.in_place"  # where pickle finds it
    changing.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
    changing.__doc__ = f"Compute ``F.{function.__name__}`` in the input, and return it."
    return changing


def _is_plain(argument: Any) -> bool:
    """Return whether equal values of a layer's argument give equal layers."""
    if type(argument) is tuple:  # (1, 2) == (True, 2.0)
        return all(type(item) is int for item in argument)
    if type(argument) is float and argument == 0:  # 0.0 == -0.0
        return math.copysign(1.0, argument) > 0
    return type(argument) in _PLAIN
