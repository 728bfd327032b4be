"""Recurrent layers, whose state changes with each step of a sequence.

The products with the inputs, x Wᵀ, do not wait for the state: they are made for all
steps at once. What is left of a step runs in ``scan``, one node whatever the length.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.errors import ArgumentError, DTypeError, ShapeError, warn
from chainrule.functions import concat, stack, where, zeros
from chainrule.graph.types import DType, Shape, size_of
from chainrule.nn import functional
from chainrule.nn.arguments import Count, counts, flag, floating, number, place
from chainrule.nn.functional.layers import same_dtype
from chainrule.nn.losses.checks import check_counts, looked_at
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.transforms.control import scan
from chainrule.util import validation

States = tuple[Tensor, ...]


class _Steps(Module):
    """Base class of recurrent layers: the weights and the computation of one step.

    Attributes:
        gates: rows of weights for each unit.
        carried: what the states are called; the first is the output.
    """

    gates: ClassVar[int]
    carried: ClassVar[tuple[str, ...]]
    hidden_size: int
    bias: bool

    def _draw(self, suffix: str, inputs: int, dtype: DType) -> None:
        """Create the parameters with a suffix, drawn from U(−1/√m, 1/√m)."""
        rows, bound = self.gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
        shapes = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, self.hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for name, shape in shapes.items():
            if self.bias or name.startswith("weight"):
                drawn = uniform(*shape, low=-bound, high=bound, dtype=dtype)
                setattr(self, name + suffix, Parameter(drawn))

    def _product(self, which: str, suffix: str, x: Tensor) -> Tensor:
        """Compute W x + b (``which="ih"``) or U h + c (``which="hh"``)."""
        weight: Tensor = getattr(self, f"weight_{which}{suffix}")
        bias = getattr(self, f"bias_{which}{suffix}") if self.bias else None
        return functional.linear(x, weight, bias)

    def _next(self, state: States, inputs: Tensor, suffix: str) -> States:
        return self._step(state, inputs, self._product("hh", suffix, state[0]))

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        """Compute the next states, from W x + b and U h + c of all gates."""
        raise NotImplementedError

    def _states(self, given: Any, shape: Shape, like: Tensor, ending: str) -> States:
        """Return the initial states, each of a shape: those given, or zeros."""
        kind = type(self).__name__
        if given is None:
            return (zeros(*shape, dtype=like.dtype),) * len(self.carried)
        names = [f"{name}{ending}" for name in self.carried]
        several = len(names) > 1
        if several and not (isinstance(given, tuple | list) and len(given) == 2):
            raise ArgumentError(
                _("{kind} begins with two states.", kind=place(kind)),
                expected=_("a pair ({names})", names=", ".join(names)),
                got=f"{type(given).__name__}",
            )
        made = [as_tensor(s) for s in (given if several else (given,))]
        for name, state in zip(names, made):
            if state.shape != shape:
                raise ShapeError(
                    _(
                        "{kind} has a state for each sequence{choice}.",
                        kind=place(kind),
                        choice=_(", layer and direction") if ending else "",
                    ),
                    expected=_("{name} of shape {shape}", name=name, shape=show(shape)),
                    got=show(state.shape),
                )
        return tuple(same_dtype(kind, s, like, n) for s, n in zip(made, names))


class _Recurrent(_Steps):
    """Base class of recurrent layers: weights of all layers and directions.

    The shapes are those of :class:`LSTM`.
    """

    weight_ih_l0: Parameter

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        num_layers: Count = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: str = "float32",
    ) -> None:
        kind = type(self).__name__
        self.input_size, self.hidden_size, self.num_layers = counts(
            kind, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers
        )
        self.bias = flag(kind, "bias", bias)
        self.batch_first = flag(kind, "batch_first", batch_first)
        self.dropout = number(kind, "dropout", dropout, least=0, below=1)
        self.bidirectional = flag(kind, "bidirectional", bidirectional)
        if self.dropout and self.num_layers == 1:
            warn(
                _("{kind} drops between its layers, and has one.", kind=kind),
                expected=_("num_layers of at least 2, or dropout=0"),
                got=f"dropout={dropout}, num_layers=1",
                fix=_("nn.Dropout behind it"),
            )
        made = floating(kind, dtype)
        for layer in range(self.num_layers):
            inputs = self.hidden_size * self._directions if layer else self.input_size
            for suffix in self._suffixes(layer):
                self._draw(suffix, inputs, made)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def forward(
        self, x: Tensor, hx: Any = None, lengths: Any = None
    ) -> tuple[Tensor, Any]:
        """Return the last layer's outputs at each step, and the final states.

        Args:
            x: the sequences.
            hx: the first states; 0 by default.
            lengths: how many steps each sequence has, integers (N,) from 1 to T, where
                not all have T. What lies beyond is not looked at: the output there is
                0, and the other direction begins at each sequence's own end.
        """
        kind = type(self).__name__
        x = as_tensor(x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            size = self.input_size
            several = f"(N, T, {size})" if self.batch_first else f"(T, N, {size})"
            raise ShapeError(
                _("{kind} cannot read its input.", kind=place(kind)),
                expected=_(
                    "{several}, or (T, {size}) for one sequence",
                    several=several,
                    size=size,
                ),
                got=show(x.shape),
                fix=self._reading(x),
            )
        x = same_dtype(kind, x, self.weight_ih_l0)
        single = x.ndim == 2
        over = self.batch_first and not single
        x = x.transpose(0, 1) if over else x
        if x.shape[0] == 0:
            raise ShapeError(
                _(
                    "{kind} has no last state of a sequence without steps.",
                    kind=place(kind),
                ),
                expected=_("at least one step"),
                got=show(x.shape),
            )
        rows = self.num_layers * self._directions
        shape = (rows, *x.shape[1:-1], self.hidden_size)
        states = self._states(hx, shape, self.weight_ih_l0, "_0")
        within = None if lengths is None else _within(kind, lengths, x)
        if within is not None:
            x = where(within, x, 0.0)
        if single:
            x, states = x.unsqueeze(1), tuple(s.unsqueeze(1) for s in states)
            within = None if within is None else within.unsqueeze(1)
        last: list[States] = []
        for layer in range(self.num_layers):
            passes = [
                self._pass(suffix, x, tuple(s[len(last) + i] for s in states), within)
                for i, suffix in enumerate(self._suffixes(layer))
            ]
            last += [state for state, __ in passes]
            x = concat([y for __, y in passes], axis=-1) if passes[1:] else passes[0][1]
            if layer + 1 < self.num_layers:
                x = functional.dropout(x, self.dropout, self.training)
        made = [stack([state[i] for state in last]) for i in range(len(states))]
        if single:
            x, made = x.squeeze(1), [s.squeeze(1) for s in made]
        x = x.transpose(0, 1) if over else x
        return x, made[0] if len(made) == 1 else tuple(made)

    def _reading(self, x: Tensor) -> str | None:
        """Suggest a layer, or a change of the input, for an unsuitable input."""
        kind = type(self).__name__
        if x.ndim < 2:
            return (
                _("nn.{kind}Cell({shape}, …) for one step", kind=kind, shape=x.shape[0])
                if x.ndim
                else None
            )
        if x.ndim < 4:
            return _("build nn.{kind}({shape}, …)", kind=kind, shape=x.shape[-1])
        return _(
            "x.flatten(2), for nn.{kind}({shape}, …)",
            kind=kind,
            shape=size_of(x.shape[2:]),
        )

    def _pass(
        self, suffix: str, x: Tensor, first: States, within: Tensor | None
    ) -> tuple[States, Tensor]:
        """Run one direction of a layer: return final states and all outputs."""

        def step(state: States, now: tuple[Tensor, ...]) -> tuple[States, Tensor]:
            new = self._next(state, now[0], suffix)
            for goes_on in now[1:]:
                new = tuple(where(goes_on, n, s) for n, s in zip(new, state))
            return new, new[0]

        xs = (self._product("ih", suffix, x), *([] if within is None else [within]))
        last, y = scan(step, first, xs, reverse=suffix.endswith("reverse"))
        return last, y if within is None else where(within, y, 0.0)


def _within(kind: str, given: Any, x: Tensor) -> Tensor:
    """Return which steps belong to their sequence: bool (T, N, 1), or (T, 1)."""
    lengths, shape = as_tensor(given), x.shape[1:-1]
    if not lengths.dtype.is_integer:
        raise DTypeError(
            _("{kind} counts the steps of a sequence.", kind=place(kind)),
            expected=_("lengths of integers"),
            got=lengths.dtype.name,
        )
    if lengths.shape != shape:
        raise ShapeError(
            _("{kind} takes a length for each sequence.", kind=place(kind)),
            expected=_("lengths of shape {shape}", shape=show(shape)),
            got=show(lengths.shape),
        )
    lengths = looked_at(lengths, lambda a: check_counts(place(kind), a, 1, x.shape[0]))
    steps = iota(shape=(x.shape[0], *[1] * len(shape)), axis=0, dtype=DType.int64)
    return (wrap(steps) < lengths.astype("int64")).unsqueeze(-1)


class _Cell(_Steps):
    """Base class of one step of one layer, with the shapes of :class:`LSTMCell`."""

    weight_ih: Parameter

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        bias: bool = True,
        *,
        dtype: str = "float32",
    ) -> None:
        kind = type(self).__name__
        self.input_size, self.hidden_size = counts(
            kind, input_size=input_size, hidden_size=hidden_size
        )
        self.bias = flag(kind, "bias", bias)
        self._draw("", self.input_size, floating(kind, dtype))

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        """Return the next states; the initial states are 0 by default."""
        kind = type(self).__name__
        x = as_tensor(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                _("{kind} reads one step.", kind=place(kind)),
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
        shape = (*x.shape[:-1], self.hidden_size)
        state = self._states(hx, shape, self.weight_ih, "")
        new = self._next(state, self._product("ih", "", x), "")
        return new if new[1:] else new[0]


class _Elman(_Steps):
    """The computation of one RNN step."""

    gates = 1
    carried = ("h",)
    nonlinearity: str

    def _choose(self, nonlinearity: Any) -> None:
        what = _("{kind} has no such {name}.", kind=type(self).__name__)
        check = validation.choice("tanh", "relu", what=what)
        self.nonlinearity = check("nonlinearity", nonlinearity)

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        z = inputs + hidden
        return (z.tanh() if self.nonlinearity == "tanh" else z.relu(),)


class _Memory(_Steps):
    """The computation of one LSTM step."""

    gates = 4
    carried = ("h", "c")

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        i, f, g, o = (inputs + hidden).chunk(4, dim=-1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class _Gated(_Steps):
    """The computation of one GRU step."""

    gates = 3
    carried = ("h",)

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        (r, z, n), (s, u, m) = inputs.chunk(3, dim=-1), hidden.chunk(3, dim=-1)
        r, z = (r + s).sigmoid(), (z + u).sigmoid()
        n = (n + r * m).tanh()
        return (n + z * (state[0] - n),)


class RNN(_Elman, _Recurrent):
    """A state h that each step of a sequence changes.

        h ← f(W x + b + U h + c),   f = tanh or ReLU

    Elman 1990, "Finding structure in time".

    Args:
        input_size: numbers that a step reads, n.
        hidden_size: units of each layer and direction, m.
        num_layers: how many layers, each of which reads what the one below it gives.
        nonlinearity: f, ``"tanh"`` or ``"relu"``.
        bias, batch_first, dropout, bidirectional, dtype: see :class:`LSTM`.

    Shapes:
        as of :class:`LSTM`, with m rows. ``rnn(x, h_0)`` gives ``(output, h_n)``.

    >>> import chainrule as cr
    >>> rnn = cr.nn.RNN(3, 8, batch_first=True)
    >>> output, h = rnn(cr.zeros(4, 5, 3), lengths=[5, 1, 2, 5])
    >>> output.shape, h.shape
    ((4, 5, 8), (1, 4, 8))
    """

    def __init__(
        self,
        input_size: Count,
        hidden_size: Count,
        num_layers: Count = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: str = "float32",
    ) -> None:
        self._choose(nonlinearity)
        shared = (input_size, hidden_size, num_layers, bias, batch_first, dropout)
        super().__init__(*shared, bidirectional, dtype=dtype)


class RNNCell(_Elman, _Cell):
    """One step of an :class:`RNN`: h′ = f(W x + b + U h + c), f = tanh or ReLU.

    Args:
        input_size: numbers that the step reads, n.
        hidden_size: units, m.
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
        nonlinearity: str = "tanh",
        *,
        dtype: str = "float32",
    ) -> None:
        self._choose(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype=dtype)


class LSTM(_Memory, _Recurrent):
    """A memory c behind gates, and what it shows, h, at each step of a sequence.

        i, f, o = σ(W x + b + U h + c),  g = tanh(W x + b + U h + c)   rows of their own
        c ← f ⊙ c + i ⊙ g,   h ← o ⊙ tanh c

    Hochreiter & Schmidhuber 1997; the forget gate is of Gers, Schmidhuber & Cummins
    2000.

    Args:
        input_size: numbers that a step reads, n.
        hidden_size: units of each layer and direction, m.
        num_layers: how many layers, each of which reads what the one below it gives.
        bias: whether there are b and c.
        batch_first: whether sequences are (N, T, n); else (T, N, n).
        dropout: the probability of dropping what one layer gives to the next.
        bidirectional: whether each layer also reads backwards; the output of both
            directions stands side by side.
        dtype: of the parameters.

    Shapes:
        for layer k, with ``_reverse`` behind the name for the other direction:
        ``weight_ih_lk`` (4m, n) (from layer 1 on n is what the layer below gives),
        ``weight_hh_lk`` (4m, m), ``bias_ih_lk`` and ``bias_hh_lk`` (4m,), the gates in
        the order i, f, g, o, all from U(−1/√m, 1/√m) as PyTorch's.
        ``lstm(x, (h_0, c_0), lengths)`` gives ``(output, (h_n, c_n))``: output
        (T, N, D·m) with D directions; states (layers·D, N, m), 0 at first unless they
        are given. A single sequence (T, n) has no N anywhere.

    >>> import chainrule as cr
    >>> lstm = cr.nn.LSTM(3, 8, num_layers=2, bidirectional=True)
    >>> output, (h, c) = lstm(cr.zeros(5, 4, 3))
    >>> output.shape, h.shape, c.shape
    ((5, 4, 16), (4, 4, 8), (4, 4, 8))
    """


class LSTMCell(_Memory, _Cell):
    """One step of an :class:`LSTM`, for loops of one's own.

    Args:
        input_size: numbers that the step reads, n.
        hidden_size: units, m.
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


class GRU(_Gated, _Recurrent):
    """A state h that one gate renews and another one leaves out of account.

        r, z = σ(W x + b + U h + c)                              rows of their own
        n = tanh(W x + b + r ⊙ (U h + c)),   h ← (1 − z) ⊙ n + z ⊙ h

    Cho et al. 2014, with r behind the product with U, as PyTorch and cuDNN have it.

    Args:
        input_size: numbers that a step reads, n.
        hidden_size: units of each layer and direction, m.
        num_layers, bias, batch_first, dropout, bidirectional, dtype: see :class:`LSTM`.

    Shapes:
        as of :class:`LSTM`, with 3m rows, the gates in the order r, z, n. ``gru(x,
        h_0)`` gives ``(output, h_n)``.

    >>> import chainrule as cr
    >>> output, h = cr.nn.GRU(3, 8, batch_first=True)(cr.zeros(4, 5, 3))
    >>> output.shape, h.shape
    ((4, 5, 8), (1, 4, 8))
    """


class GRUCell(_Gated, _Cell):
    """One step of a :class:`GRU`, for loops of one's own.

    Args:
        input_size, hidden_size, bias, dtype: see :class:`LSTMCell`.

    Shapes:
        as of :class:`LSTMCell`, with 3m rows. ``cell(x, h)`` gives h′.

    >>> import chainrule as cr
    >>> cr.nn.GRUCell(3, 8)(cr.zeros(4, 3)).shape
    (4, 8)
    """
