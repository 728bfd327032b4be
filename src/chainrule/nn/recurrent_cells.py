"""Recurrent cells: one step of an RNN, an LSTM or a GRU."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Literal, TypeVar

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import zeros
from chainrule.graph.types import DType, Shape
from chainrule.nn.affine import linear, same_dtype
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    layer_name,
    positive_integers,
)
from chainrule.nn.module import Module, Parameter
from chainrule.nn.parameter import drawn
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.transforms.control import loop
from chainrule.util import validation

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

States = tuple[Tensor, ...]
#: The states of a cell: h, or h and c.
S = TypeVar("S")
Weights = tuple[Tensor | None, ...]
#: (states, W x + b, U h + c) → next states; it looks at nothing else.
Rule = Callable[[States, Tensor, Tensor], States]


def next_states(rule: Rule, weights: Weights, state: States, inputs: Tensor) -> States:
    """Compute a recurrent step's next states, from W x + b and its other weights."""
    weight, bias, projection = weights
    assert weight is not None
    new = rule(state, inputs, linear(state[0], weight, bias))
    return new if projection is None else (linear(new[0], projection), *new[1:])


def elman_tanh(state: States, inputs: Tensor, hidden: Tensor) -> States:
    """Compute one step of an RNN with tanh, for its layer and its cell."""
    return ((inputs + hidden).tanh(),)


def elman_relu(state: States, inputs: Tensor, hidden: Tensor) -> States:
    """Compute one step of an RNN with ReLU, for its layer and its cell."""
    return ((inputs + hidden).relu(),)


def lstm(state: States, inputs: Tensor, hidden: Tensor) -> States:
    """Compute one step of an LSTM, for its layer and its cell."""
    i, f, g, o = (inputs + hidden).chunk(4, dim=-1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru(state: States, inputs: Tensor, hidden: Tensor) -> States:
    """Compute one step of a GRU, for its layer and its cell."""
    (r, z, n), (s, u, m) = inputs.chunk(3, dim=-1), hidden.chunk(3, dim=-1)
    r, z = (r + s).sigmoid(), (z + u).sigmoid()
    n = (n + r * m).tanh()
    return (n + z * (state[0] - n),)


class RecurrentStep(Module):
    """Base class of recurrent layers and cells: weights, and one step's computation.

    Attributes:
        gates: rows of weights for each unit.
        state_names: what the states are called; the first is the output.
    """

    gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
    _opens = True
    hidden_size: int
    proj_size: int = 0
    bias: bool

    @property
    def output_size(self) -> int:
        """The number of outputs of a recurrent step, of each unit or projected."""
        return self.proj_size or self.hidden_size

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        """The sizes of a recurrent step's states: of its output, and of its cell."""
        return (self.output_size, self.hidden_size)[: len(self.state_names)]

    def _draw_parameters(self, suffix: str, inputs: int, dtype: DType) -> None:
        """Create a recurrent layer's parameters with a suffix, from U(−1/√m, 1/√m)."""
        rows, bound = self.gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
        shapes = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, self.output_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        for name, shape in shapes.items():
            if self.bias or name.startswith("weight"):
                limits = {"low": -bound, "high": bound, "dtype": dtype}
                setattr(self, name + suffix, drawn(uniform, *shape, **limits))

    def _product(self, suffix: str, x: Tensor) -> Tensor:
        """Compute what a recurrent step takes of its inputs, W x + b."""
        weight: Tensor = getattr(self, f"weight_ih{suffix}")
        bias = getattr(self, f"bias_ih{suffix}") if self.bias else None
        return linear(x, weight, bias)

    def _weights(self, suffix: str) -> Weights:
        """Return a step's parameters that meet its state: U, c and R, or None each."""
        names = ("weight_hh", "bias_hh", "weight_hr")
        has = (True, self.bias, self.proj_size)
        return tuple(
            getattr(self, name + suffix) if there else None
            for name, there in zip(names, has)
        )

    def _rule(self) -> Rule:
        """Return the computation of a recurrent step's states."""
        raise NotImplementedError

    def _initial_states(
        self, value: Any, shape: Shape, like: Tensor, ending: str
    ) -> States:
        """Return a recurrent layer's initial states: those passed, or zeros."""
        kind = type(self).__name__
        if value is None:
            return tuple(
                zeros(*shape, size, dtype=like.dtype) for size in self._state_sizes
            )
        names = [f"{name}{ending}" for name in self.state_names]
        several = len(names) > 1
        if several and not (isinstance(value, tuple | list) and len(value) == 2):
            raise ArgumentError(
                _("{kind} begins with two states.", kind=layer_name(kind)),
                expected=_("a pair ({names})", names=", ".join(names)),
                got=f"{type(value).__name__}",
            )
        states = [as_tensor(s) for s in (value if several else (value,))]
        for name, state, size in zip(names, states, self._state_sizes):
            if state.shape != (*shape, size):
                raise ShapeError(
                    _(
                        "{kind} has a state for each sequence{choice}.",
                        kind=layer_name(kind),
                        choice=_(", layer and direction") if ending else "",
                    ),
                    expected=_(
                        "{name} of shape {shape}", name=name, shape=show((*shape, size))
                    ),
                    got=show(state.shape),
                )
        return tuple(same_dtype(kind, s, like, n) for s, n in zip(states, names))


class ElmanStep(RecurrentStep):
    """The base class of an RNN's layer and of its cell."""

    gates = 1
    state_names = ("h",)
    nonlinearity: str

    def _set_nonlinearity(self, nonlinearity: Any) -> None:
        what = _("{kind} has no such {name}.", kind=type(self).__name__)
        check = validation.choice("tanh", "relu", what=what)
        self.nonlinearity = check("nonlinearity", nonlinearity)

    def _rule(self) -> Rule:
        return elman_tanh if self.nonlinearity == "tanh" else elman_relu


class LSTMStep(RecurrentStep):
    """The base class of an LSTM's layer and of its cell."""

    gates = 4
    state_names = ("h", "c")

    def _rule(self) -> Rule:
        return lstm


class GRUStep(RecurrentStep):
    """The base class of a GRU's layer and of its cell."""

    gates = 3
    state_names = ("h",)

    def _rule(self) -> Rule:
        return gru


@functools.lru_cache(maxsize=16)
def _step(rule: Rule) -> Any:
    """Return a recurrent cell's step as a loop's function, the same for each rule."""

    def step(
        weights: Weights, state: States, now: tuple[Tensor, ...]
    ) -> tuple[States, None]:
        weight, bias, *others = weights
        assert weight is not None
        inputs = linear(now[0], weight, bias)
        return next_states(rule, tuple(others), state, inputs), None

    return step


class _Cell(RecurrentStep, Generic[S]):
    """Base class of recurrent cells: one step of one layer."""

    weight_ih: Parameter
    bias_ih: Parameter

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        self.input_size, self.hidden_size = positive_integers(
            kind, input_size=input_size, hidden_size=hidden_size
        )
        self.bias = flag(kind, "bias", bias)
        self._draw_parameters("", self.input_size, floating(kind, dtype, device))

    def forward(self, x: Tensor, hx: S | None = None) -> S:
        """Return a recurrent cell's next states; the initial ones default to 0."""
        kind = type(self).__name__
        x = as_tensor(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                _("{kind} reads one step.", kind=layer_name(kind)),
                expected=_(
                    "(N, {input_size}), or ({input_size},)", input_size=self.input_size
                ),
                got=show(x.shape),
                fix=_(
                    "nn.{removesuffix} for whole sequences",
                    removesuffix=kind.removesuffix("Cell"),
                )
                if x.ndim == 3
                else None,
            )
        x = same_dtype(kind, x, self.weight_ih)
        state = self._initial_states(hx, x.shape[:-1], self.weight_ih, "")
        weights = (self.weight_ih, self.bias_ih if self.bias else None)
        weights = (*weights, *self._weights(""))
        step = _step(self._rule())
        if x.ndim == 2:  # the loop around it is Python's
            new, __ = loop(step, weights, state, (x,), once=True)
        else:
            new, __ = step(weights, state, (x,))
        states: Any = new if new[1:] else new[0]
        return states


class RNNCell(ElmanStep, _Cell[Tensor]):
    """One step of an :class:`RNN`: h′ = f(W x + b + U h + c), f = tanh or ReLU.

    Args:
        input_size: the number of features of the step, n.
        hidden_size: the number of units, m.
        bias: whether there are b and c.
        nonlinearity: f, ``"tanh"`` or ``"relu"``.
        dtype: of the parameters.

    Shapes:
        as of :class:`LSTMCell`, with m rows. ``cell(x, h)`` gives h′.

    >>> import chainrule as cr
    >>> cr.nn.RNNCell(3, 8, nonlinearity="relu")(cr.zeros(4, 3)).shape
    (4, 8)
    """

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype)


class LSTMCell(LSTMStep, _Cell[tuple[Tensor, Tensor]]):
    """One step of an :class:`LSTM`, for loops of one's own.

    Args:
        input_size: the number of features of the step, n.
        hidden_size: the number of units, m.
        bias: whether there are b and c.
        dtype: of the parameters.

    Shapes:
        ``weight_ih`` (4m, n), ``weight_hh`` (4m, m), ``bias_ih`` and ``bias_hh`` (4m,),
        as those of a layer of an LSTM. ``cell(x, (h, c))`` gives ``(h′, c′)``: x (N, n)
        or (n,), states (N, m) or (m,), 0 at first unless they are given.

    >>> import chainrule as cr
    >>> cell = cr.nn.LSTMCell(3, 8)
    >>> h, c = cell(cr.zeros(4, 3))
    >>> h, c = cell(cr.zeros(4, 3), (h, c))
    >>> h.shape, c.shape
    ((4, 8), (4, 8))
    """


class GRUCell(GRUStep, _Cell[Tensor]):
    """One step of a :class:`GRU`, for loops of one's own.

    Args:
        input_size, hidden_size, bias, dtype: see :class:`LSTMCell`.

    Shapes:
        as of :class:`LSTMCell`, with 3m rows. ``cell(x, h)`` gives h′.

    >>> import chainrule as cr
    >>> cr.nn.GRUCell(3, 8)(cr.zeros(4, 3)).shape
    (4, 8)
    """
