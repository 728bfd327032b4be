"""Recurrent layers of the standard: RNN, GRU and LSTM, in both directions.

Gates stand in the order of the standard (i o f c; z r h), the products with the inputs
are computed for all steps at once, and the steps are one loop in the graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from chainrule import functions as fn
from chainrule.errors import ArgumentError
from chainrule.interop.onnx.reader.operators.shapes import reversed_rows
from chainrule.interop.onnx.reader.table import operator
from chainrule.nn import functional
from chainrule.tensor import Tensor
from chainrule.text import _, ngettext
from chainrule.transforms.control import loop

Activation = Callable[[Tensor], Tensor]
States = tuple[Tensor, ...]
#: (constants, states, inputs) → next states.
Step = Callable[[Any, States, Tensor], States]

#: Activations by name in lower case: of z, α and β, with the defaults of α and β.
ACTIVATIONS: dict[
    str, tuple[Callable[[Tensor, float, float], Tensor], float, float]
] = {
    "affine": (lambda z, a, b: a * z + b, 1.0, 0.0),
    "elu": (
        lambda z, a, b: fn.where(z < 0, a * fn.expm1(fn.clamp_max(z, 0.0)), z),
        1.0,
        0,
    ),
    "hardsigmoid": (lambda z, a, b: fn.clamp(a * z + b, 0.0, 1.0), 0.2, 0.5),
    "leakyrelu": (lambda z, a, b: fn.where(z < 0, a * z, z), 0.01, 0),
    "relu": (lambda z, a, b: fn.relu(z), 0, 0),
    "scaledtanh": (lambda z, a, b: a * fn.tanh(b * z), 1.0, 1.0),
    "sigmoid": (lambda z, a, b: fn.sigmoid(z), 0, 0),
    "softplus": (lambda z, a, b: functional.softplus(z), 0, 0),
    "softsign": (lambda z, a, b: functional.softsign(z), 0, 0),
    "tanh": (lambda z, a, b: fn.tanh(z), 0, 0),
    "thresholdedrelu": (
        lambda z, a, b: fn.where(z > a, z, fn.zeros_like(z)),
        1.0,
        0,
    ),
}

#: A name, α and β.
Named = tuple[str, float, float]


def _activation(named: Named) -> Activation:
    name, alpha, beta = named
    if name == "sigmoid":
        return fn.sigmoid
    if name == "tanh":
        return fn.tanh
    function = ACTIVATIONS[name][0]
    return lambda z: function(z, alpha, beta)


def _named(
    names: Any, alphas: Any, betas: Any, defaults: tuple[str, ...], directions: int
) -> list[tuple[Named, ...]]:
    """Return the activations of each direction, α and β of those that have one."""
    every = [name.lower() for name in names or defaults * directions]
    if len(every) != len(defaults) * directions or not {*every} <= ACTIVATIONS.keys():
        raise ArgumentError(
            _("A recurrent layer has activations for each direction."),
            expected=f"{len(defaults) * directions}: {', '.join(ACTIVATIONS)}",
            got=", ".join(every)[:200],
        )
    alphas, betas, result = [*(alphas or ())], [*(betas or ())], []
    for name in every:
        __, alpha, beta = ACTIVATIONS[name]
        if alpha and alphas:
            alpha = alphas.pop(0)
        if (beta or name == "affine") and betas:
            beta = betas.pop(0)
        result.append((name, alpha, beta))
    count = len(defaults)
    return [tuple(result[i * count : (i + 1) * count]) for i in range(directions)]


# -- steps -----------------------------------------------------------------------------


def _bounded(z: Tensor, clip: float) -> Tensor:
    return fn.clamp(z, -clip, clip) if clip else z


def _rnn(acts: tuple[Named, ...], clip: float, __: int) -> Step:
    f = _activation(acts[0])

    def step(constants: Any, states: States, x: Tensor) -> States:
        weight, bias, *__ = constants
        return (f(_bounded(x + _hidden(states[0], weight, bias), clip)),)

    return step


def _gru(acts: tuple[Named, ...], clip: float, before_reset: int) -> Step:
    f, g = map(_activation, acts)

    def step(constants: Any, states: States, x: Tensor) -> States:
        weight, bias, *__ = constants
        (h,), n = states, states[0].shape[-1]
        if before_reset:
            hidden = _hidden(h, weight, bias)
            z, r = f(_bounded(x[:, : 2 * n] + hidden[:, : 2 * n], clip)).chunk(2, -1)
            new = x[:, 2 * n :] + r * hidden[:, 2 * n :]
        else:
            gates = x[:, : 2 * n] + _hidden(h, weight[: 2 * n], bias[: 2 * n])
            z, r = f(_bounded(gates, clip)).chunk(2, -1)
            new = x[:, 2 * n :] + _hidden(r * h, weight[2 * n :], bias[2 * n :])
        new = g(_bounded(new, clip))
        return ((1 - z) * new + z * h,)

    return step


def _lstm(acts: tuple[Named, ...], clip: float, input_forget: int) -> Step:
    f, g, last = map(_activation, acts)

    def step(constants: Any, states: States, x: Tensor) -> States:
        weight, bias, peep = constants
        h, c = states
        i, o, forget, new = (x + _hidden(h, weight, bias)).chunk(4, -1)
        if peep is not None:
            pi, po, pf = peep.chunk(3, -1)
            i, forget = i + pi * c, forget + pf * c
        i = f(_bounded(i, clip))
        forget = 1 - i if input_forget else f(_bounded(forget, clip))
        c = forget * c + i * g(_bounded(new, clip))
        if peep is not None:
            o = o + po * c
        return f(_bounded(o, clip)) * last(c), c

    return step


def _hidden(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.linear(h, weight, bias)


@functools.lru_cache(maxsize=128)
def _looped(
    make: Callable[..., Step],
    acts: tuple[Named, ...],
    clip: float,
    option: int,
    ends: bool,
) -> Any:
    """Return the body of a layer's loop, the same object for the same attributes.

    Args:
        make, acts, clip, option: of the step.
        ends: whether the sequences end at different steps: then a truth value for each
            row says whether it goes on, and the output after its end is 0.
    """
    step = make(acts, clip, option)

    def body(constants: Any, states: States, inputs: Any) -> tuple[States, Tensor]:
        new = step(constants, states, inputs[0])
        if not ends:
            return new, new[0]
        going = inputs[1] > 0
        kept = tuple(fn.where(going, n, old) for n, old in zip(new, states))
        return kept, fn.where(going, new[0], fn.zeros_like(new[0]))

    return body


# -- layers ----------------------------------------------------------------------------


def _run(
    make: Callable[..., Step],
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    initial: tuple[Tensor | None, ...],
    peepholes: Tensor | None,
    *,
    activations: list[tuple[Named, ...]],
    clip: float,
    direction: str,
    hidden_size: int | None,
    layout: int,
    option: int,
) -> tuple[Tensor, ...]:
    """Return the outputs of all steps, and the last states, of every direction."""
    directions = _directions(direction)
    if layout:
        x = fn.movedim(x, 0, 1)
        initial = tuple(s if s is None else fn.movedim(s, 0, 1) for s in initial)
    rows, size = x.shape[1], recurrent.shape[-1]
    if weights.shape[0] != len(directions) or hidden_size not in (None, size):
        raise ArgumentError(
            _("The weights of a recurrent layer do not fit its attributes."),
            expected=ngettext("{n} direction", "{n} directions", n=len(directions))
            + f", {hidden_size}",
            got=f"{tuple(weights.shape)}, {tuple(recurrent.shape)}",
        )
    outputs, last = [], []
    for d, backwards in enumerate(directions):
        both = (
            fn.zeros(2 * weights.shape[1], dtype=x.dtype) if bias is None else bias[d]
        )
        of_inputs, of_states = both[: weights.shape[1]], both[weights.shape[1] :]
        start = tuple(
            fn.zeros((rows, size), dtype=x.dtype) if s is None else s[d]
            for s in initial
        )
        order = x
        if backwards and lengths is not None:
            order = reversed_rows(x, lengths)
        sequences = [functional.linear(order, weights[d], of_inputs)]
        if lengths is not None:
            going = fn.arange(x.shape[0], dtype="int64").reshape(-1, 1) < lengths
            shape = (*going.shape, size)
            sequences.append(
                fn.broadcast_to(fn.unsqueeze(going.astype(x.dtype), -1), shape)
            )
        final, y = loop(
            _looped(make, activations[d], clip, option, lengths is not None),
            (recurrent[d], of_states, None if peepholes is None else peepholes[d]),
            start,
            tuple(sequences),
            reverse=backwards and lengths is None,
        )
        if backwards and lengths is not None:
            y = reversed_rows(y, lengths)
        outputs.append(y)
        last.append(final)
    y = fn.stack(outputs, dim=1)
    states = tuple(fn.stack(parts, dim=0) for parts in zip(*last))
    if layout:
        y = fn.permute(y, (2, 0, 1, 3))
        states = tuple(fn.movedim(s, 0, 1) for s in states)
    return y, *states


def _directions(direction: str) -> tuple[bool, ...]:
    """Return a flag for each direction of a recurrent operator: is it reversed?"""
    known = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    if direction not in known:
        raise ArgumentError(
            _("There is no such direction."),
            expected=", ".join(known),
            got=f"{direction!r:.40}",
        )
    return known[direction]


Floats = tuple[float, ...]
Names = tuple[str, ...]


@operator("RNN", since=7)
def rnn(
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    *,
    activation_alpha: Floats | None = None,
    activation_beta: Floats | None = None,
    activations: Names | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> tuple[Tensor, ...]:
    n = len(_directions(direction))
    return _run(
        *(_rnn, x, weights, recurrent, bias, lengths, (h,), None),
        activations=_named(
            activations, activation_alpha, activation_beta, ("tanh",), n
        ),
        clip=clip,
        direction=direction,
        hidden_size=hidden_size,
        layout=layout,
        option=0,
    )


@operator("GRU", since=7)
def gru(
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    *,
    activation_alpha: Floats | None = None,
    activation_beta: Floats | None = None,
    activations: Names | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> tuple[Tensor, ...]:
    default, n = ("sigmoid", "tanh"), len(_directions(direction))
    return _run(
        *(_gru, x, weights, recurrent, bias, lengths, (h,), None),
        activations=_named(activations, activation_alpha, activation_beta, default, n),
        clip=clip,
        direction=direction,
        hidden_size=hidden_size,
        layout=layout,
        option=linear_before_reset,
    )


@operator("LSTM", since=7)
def lstm(
    x: Tensor,
    weights: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    peepholes: Tensor | None = None,
    *,
    activation_alpha: Floats | None = None,
    activation_beta: Floats | None = None,
    activations: Names | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> tuple[Tensor, ...]:
    default, n = ("sigmoid", "tanh", "tanh"), len(_directions(direction))
    return _run(
        *(_lstm, x, weights, recurrent, bias, lengths, (h, c), peepholes),
        activations=_named(activations, activation_alpha, activation_beta, default, n),
        clip=clip,
        direction=direction,
        hidden_size=hidden_size,
        layout=layout,
        option=input_forget,
    )
