"""Validation of numbers for a back-propagation derivation: samples, weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.book.derivation.formulas import Formulas
from chainrule.book.derivation.keys import key_of
from chainrule.book.derivation.network import Network
from chainrule.errors import ArgumentError, DTypeError, NonFiniteError, ShapeError
from chainrule.notation.expressions import Array
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.text import _, ngettext


def array_of(name: str, value: Any) -> Array:
    """Return numbers as a float64 array; raise an error if one is not finite.

    Raises:
        DTypeError: for something else.
        NonFiniteError: for NaN and infinity.
        ShapeError: for rows of unequal lengths.
    """
    try:
        array = np.asarray(value.numpy() if isinstance(value, Tensor) else value)
        result = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DTypeError(
            _("{name} must be numbers.", name=name),
            expected=_("a number, a list, or rows of equal length"),
            got=f"{value!r:.80}",
        ) from error
    if not np.isfinite(result).all():
        at = [int(i) for i in np.argwhere(~np.isfinite(result))[0]]
        raise NonFiniteError(
            _("There is nothing to work out from numbers that are none."),
            expected=_("finite numbers"),
            got=f"{name}{at if at else ''} = {result[tuple(at)]}",
        )
    return result


def parameters(network: Network, weights: Any) -> dict[str, Array]:
    """Return the weights and biases of a network by key: ``W1``, ``b1``, ….

    Args:
        network: whose.
        weights: a model, or a mapping of keys, symbols or ``state_dict`` names.

    Raises:
        ArgumentError: for a name that is not known, or one that is missing.
        ShapeError: for another shape.
    """
    if isinstance(weights, nn.Module):
        weights = {name: t.numpy() for name, t in weights.named_parameters()}
    arrays: dict[str, Array] = {}
    for name, value in weights.items():
        arrays[key_of(name, network)] = array_of(str(name), value)
    wanted = [f"W{k}" for k in network.layers]
    wanted += [f"b{k}" for k in network.layers if network.bias(k)]
    missing = [key for key in wanted if key not in arrays]
    if missing or len(arrays) > len(wanted):
        more = [key for key in arrays if key not in wanted]
        raise ArgumentError(
            _("The network needs its weights and biases."),
            expected=", ".join(wanted),
            got=_("no {missing}", missing=", ".join(missing))
            if missing
            else ", ".join(more),
        )
    for key, array in arrays.items():
        arrays[key] = _fitted(network, key, array)
    return {key: arrays[key] for key in wanted}


def module_of(network: Network, arrays: Mapping[str, Array]) -> nn.Module:
    """Return the module of a network, with parameters by key: ``W1``, ``b1``, …."""
    model = network.module()
    words = {"W": "weight", "b": "bias"}
    model.load_state_dict(
        {
            f"{network.paths[int(key[1:]) - 1]}.{words[key[0]]}": array
            for key, array in arrays.items()
        }
    )
    return model


def _fitted(network: Network, key: str, array: Array) -> Array:
    k = int(key[1:])
    sizes = network.sizes
    shape = (sizes[k], sizes[k - 1]) if key[0] == "W" else (sizes[k],)
    line = array.size == max(array.shape, default=1)  # a row, a column, or flat
    fits = array.size == np.prod(shape) == max(shape) and line
    if array.shape == shape or fits:
        return array.reshape(shape)
    raise ShapeError(
        _("{name} has another shape.", name=key),
        expected=_("{shape}: a row for each neuron of the layer", shape=show(shape))
        if key[0] == "W"
        else show(shape),
        got=show(array.shape),
    )


def samples(formulas: Formulas, x: Any, y: Any) -> tuple[Array, Array]:
    """Return inputs x and true values y as arrays with a row for each sample.

    Args:
        formulas: of the network and its loss.
        x: rows of features; or one sample, flat or as a column.
        y: a row of truths for each sample; for classes their numbers, or one-hot rows.

    Raises:
        ShapeError: where they do not fit together.
        ArgumentError: for truths that the loss does not take.
    """
    net = formulas.network
    xs = array_of("x", x)
    first = net.sizes[0]
    if xs.ndim < 2 or (xs.shape == (first, 1) and first > 1):
        xs = xs.reshape(1, -1)
    if xs.ndim != 2 or xs.shape[1] != first or not len(xs):
        raise ShapeError(
            _("x does not fit the network {network}.", network=net),
            expected=ngettext(
                "rows of {n} number, one for each sample",
                "rows of {n} numbers, one for each sample",
                n=first,
            ),
            got=show(np.shape(array_of("x", x))),
        )
    ys = _truths(formulas, array_of("y", y), len(xs))
    return xs, ys


def _truths(formulas: Formulas, y: Array, n: int) -> Array:
    outputs = formulas.network.sizes[-1]
    shape = (n, outputs)
    if formulas.objective.truths == "classes":
        return _classes(y, shape)
    if y.size != n * outputs or not (y.shape == shape or 1 in shape):
        raise _other_truths(y, shape)
    y = y.reshape(shape)
    if formulas.objective.truths == "signs" and not np.isin(y, (-1, 1)).all():
        raise ArgumentError(
            _("The hinge loss takes y = 1 or −1."),
            expected="1, −1",
            got=f"y = {y.ravel()[~np.isin(y.ravel(), (-1, 1))][0]:g}",
            fix="y = 2*y - 1" if np.isin(y, (0, 1)).all() else None,
        )
    if formulas.objective.truths == "shares" and not ((y >= 0) & (y <= 1)).all():
        raise ArgumentError(
            _("Binary cross-entropy takes y from 0 to 1."),
            expected="0 ≤ y ≤ 1",
            got=f"y = {y.ravel()[(y.ravel() < 0) | (y.ravel() > 1)][0]:g}",
        )
    return y


def _classes(y: Array, shape: tuple[int, int]) -> Array:
    """Return true classes or probabilities y as rows with one column for each class."""
    n, classes = shape
    if y.size == n:
        labels = y.reshape(n)
        known = (labels >= 0) & (labels < classes) & (labels == np.rint(labels))
        if not known.all():
            raise ArgumentError(
                _("There is no such class."),
                expected=f"0 … {classes - 1}",
                got=f"y = {labels[~known][0]:g}",
            )
        return np.eye(classes)[labels.astype(int)]
    if y.size != n * classes or not (y.shape == shape or n == 1):
        raise _other_truths(y, shape)
    y = y.reshape(shape)
    if (y < 0).any() or not np.allclose(y.sum(1), 1, rtol=0, atol=1e-6):
        raise ArgumentError(
            _("Rows of probabilities sum to 1."),
            expected=_("one-hot rows, or class numbers 0 … {last}", last=classes - 1),
            got=f"y = {y[0].tolist()}",
        )
    return y


def _other_truths(y: Array, shape: tuple[int, int]) -> ShapeError:
    return ShapeError(
        _("y does not fit the network and x."),
        expected=_(
            "{rows} of {numbers}",
            rows=ngettext("{n} row", "{n} rows", n=shape[0]),
            numbers=ngettext("{n} number", "{n} numbers", n=shape[1]),
        ),
        got=show(y.shape),
    )
