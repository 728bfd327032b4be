"""Recurrent layers: a state that each step of a sequence changes.

The products with the inputs, x Wᵀ, do not wait for the state: they are made for all
steps at once. What is left of a step runs in ``scan``, one node whatever the length.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.control import scan
from chainrule.errors import ArgumentError, ShapeError, warn
from chainrule.functions.creation import zeros
from chainrule.functions.movement import concat, stack
from chainrule.nn import functional
from chainrule.nn.arguments import Count, counts, flag, floating, number, place
from chainrule.nn.functional.layers import same_dtype
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor

States = tuple[Tensor, ...]


class _Recurrent(Module):
    """Base: weights of each layer and direction, and how sequences pass through them.

    Attributes:
        gates: rows of weights for each unit.
        carried: what the states are called; the first is the output.
    """

    gates: ClassVar[int]
    carried: ClassVar[tuple[str, ...]]
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
                f"{kind} drops between its layers, and has one.",
                expected="num_layers of at least 2, or dropout=0",
                got=f"dropout={dropout}, num_layers=1",
                fix="nn.Dropout behind it",
            )
        bound, made = 1 / math.sqrt(self.hidden_size), floating(kind, dtype)
        rows = self.gates * self.hidden_size
        for layer in range(self.num_layers):
            inputs = self.hidden_size * self._directions if layer else self.input_size
            for suffix in self._suffixes(layer):
                shapes = {
                    f"weight_ih_{suffix}": (rows, inputs),
                    f"weight_hh_{suffix}": (rows, self.hidden_size),
                    f"bias_ih_{suffix}": (rows,),
                    f"bias_hh_{suffix}": (rows,),
                }
                for name, shape in shapes.items():
                    if self.bias or name.startswith("weight"):
                        drawn = uniform(*shape, low=-bound, high=bound, dtype=made)
                        setattr(self, name, Parameter(drawn))

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"l{layer}", f"l{layer}_reverse"][: self._directions]

    def forward(self, x: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """What the last layer gives at each step, and the last states of all layers."""
        kind = type(self).__name__
        x = as_tensor(x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "N, T" if self.batch_first else "T, N"
            raise ShapeError(
                f"{place(kind)} cannot read its input.",
                expected=f"({axes}, {self.input_size}), or (T, {self.input_size}) for "
                "one sequence",
                got=show(x.shape),
                fix=f"build nn.{kind}({x.shape[-1] if x.shape else '…'}, …)",
            )
        x = same_dtype(kind, x, self.weight_ih_l0)
        single = x.ndim == 2
        over = self.batch_first and not single
        x = x.transpose(0, 1) if over else x
        if x.shape[0] == 0:
            raise ShapeError(
                f"{place(kind)} has no last state of a sequence without steps.",
                expected="at least one step",
                got=show(x.shape),
            )
        states = self._states(x, hx)
        x = x.unsqueeze(1) if single else x
        last: list[States] = []
        for layer in range(self.num_layers):
            passes = [
                self._pass(suffix, x, tuple(s[len(last) + i] for s in states))
                for i, suffix in enumerate(self._suffixes(layer))
            ]
            last += [state for state, _ in passes]
            x = concat([y for _, y in passes], axis=-1) if passes[1:] else passes[0][1]
            if layer + 1 < self.num_layers:
                x = functional.dropout(x, self.dropout, self.training)
        made = [stack([state[i] for state in last]) for i in range(len(states))]
        if single:
            x, made = x.squeeze(1), [s.squeeze(1) for s in made]
        x = x.transpose(0, 1) if over else x
        return x, made[0] if len(made) == 1 else tuple(made)

    def _states(self, x: Tensor, given: Any) -> States:
        """The first states of all layers and directions, (layers, N, hidden) each."""
        rows = self.num_layers * self._directions
        wanted = (rows, *x.shape[1:-1], self.hidden_size)
        if given is None:
            zero = zeros(
                rows, *(x.shape[1:-1] or (1,)), self.hidden_size, dtype=x.dtype
            )
            return (zero,) * len(self.carried)
        several = len(self.carried) > 1
        if several and not (isinstance(given, tuple | list) and len(given) == 2):
            raise ArgumentError(
                f"{place(type(self).__name__)} begins with two states.",
                expected="a pair (h_0, c_0)",
                got=f"{type(given).__name__}",
            )
        made = [as_tensor(s) for s in (given if several else (given,))]
        for name, state in zip(self.carried, made):
            if state.shape != wanted:
                raise ShapeError(
                    f"{place(type(self).__name__)} has a state for each layer and "
                    "direction, and for each sequence.",
                    expected=f"{name}_0 of shape {show(wanted)}",
                    got=show(state.shape),
                )
        made = [same_dtype(type(self).__name__, s, self.weight_ih_l0) for s in made]
        return tuple(s.unsqueeze(1) if x.ndim == 2 else s for s in made)

    def _pass(self, suffix: str, x: Tensor, first: States) -> tuple[States, Tensor]:
        """One direction of one layer: the last states, and the output at each step."""
        weights, recurrent = self._of("weight", suffix)
        bias, inner = self._of("bias", suffix) if self.bias else (None, None)
        products = functional.linear(x, weights, bias)

        def step(state: States, product: Tensor) -> tuple[States, Tensor]:
            new = self._step(
                state, product, functional.linear(state[0], recurrent, inner)
            )
            return new, new[0]

        return scan(step, first, products, reverse=suffix.endswith("reverse"))

    def _of(self, what: str, suffix: str) -> tuple[Tensor, Tensor]:
        names = f"{what}_ih_{suffix}", f"{what}_hh_{suffix}"
        return getattr(self, names[0]), getattr(self, names[1])

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        """The next states, from W x + b and U h + c of all gates."""
        raise NotImplementedError


class LSTM(_Recurrent):
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
        ``lstm(x, (h_0, c_0))`` gives ``(output, (h_n, c_n))``: output (T, N, D·m) with
        D directions; states (layers·D, N, m), 0 at first unless they are given. A
        single sequence (T, n) has no N anywhere.

    >>> import chainrule as cr
    >>> lstm = cr.nn.LSTM(3, 8, num_layers=2, bidirectional=True)
    >>> output, (h, c) = lstm(cr.zeros(5, 4, 3))
    >>> output.shape, h.shape, c.shape
    ((5, 4, 16), (4, 4, 8), (4, 4, 8))
    """

    gates = 4
    carried = ("h", "c")

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        i, f, g, o = (inputs + hidden).chunk(4, dim=-1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRU(_Recurrent):
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

    gates = 3
    carried = ("h",)

    def _step(self, state: States, inputs: Tensor, hidden: Tensor) -> States:
        (r, z, n), (s, u, m) = inputs.chunk(3, dim=-1), hidden.chunk(3, dim=-1)
        r, z = (r + s).sigmoid(), (z + u).sigmoid()
        n = (n + r * m).tanh()
        return (n + z * (state[0] - n),)
