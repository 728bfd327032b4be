"""Recurrent cells: one step of an RNN, an LSTM or a GRU."""

from __future__ import annotations

import math
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
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util import validation

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

States = tuple[Tensor, ...]
#: The states of a cell: h, or h and c.
S = TypeVar("S")


class RecurrentStep(Module):
    """Base class of recurrent layers and cells: weights, and one step's computation.

    Attributes:
        gates: rows of weights for each unit.
        state_names: what the states are called; the first is the output.
    """

    gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
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
                drawn = uniform(*shape, low=-bound, high=bound, dtype=dtype)
                setattr(self, name + suffix, Parameter(drawn))

    def _product(self, which: str, suffix: str, x: Tensor) -> Tensor:
        """Compute a recurrent step's W x + b (``"ih"``) or U h + c (``"hh"``)."""
        weight: Tensor = getattr(self, f"weight_{which}{suffix}")
        bias = getattr(self, f"bias_{which}{suffix}") if self.bias else None
        return linear(x, weight, bias)

    def _next_states(self, state: States, inputs: Tensor, suffix: str) -> States:
        new = self._step(state, inputs, self._product("hh", suffix, state[0]))
        if not self.proj_size:
            return new
        return (linear(new[0], getattr(self, f"weight_hr{suffix}")), *new[1:])

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        """Compute a recurrent step's next states, from W x + b and U h + c."""
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
    """The computation of one step of an RNN, for its layer and its cell."""

    gates = 1
    state_names = ("h",)
    nonlinearity: str

    def _set_nonlinearity(self, nonlinearity: Any) -> None:
        what = _("{kind} has no such {name}.", kind=type(self).__name__)
        check = validation.choice("tanh", "relu", what=what)
        self.nonlinearity = check("nonlinearity", nonlinearity)

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        z = inputs + hidden
        return (z.tanh() if self.nonlinearity == "tanh" else z.relu(),)


class LSTMStep(RecurrentStep):
    """The computation of one step of an LSTM, for its layer and its cell."""

    gates = 4
    state_names = ("h", "c")

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        i, f, g, o = (inputs + hidden).chunk(4, dim=-1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRUStep(RecurrentStep):
    """The computation of one step of a GRU, for its layer and its cell."""

    gates = 3
    state_names = ("h",)

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        (r, z, n), (s, u, m) = inputs.chunk(3, dim=-1), hidden.chunk(3, dim=-1)
        r, z = (r + s).sigmoid(), (z + u).sigmoid()
        n = (n + r * m).tanh()
        return (n + z * (state[0] - n),)


class _Cell(RecurrentStep, Generic[S]):
    """Base class of recurrent cells: one step of one layer."""

    weight_ih: Parameter

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
        new = self._next_states(state, self._product("ih", "", x), "")
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
