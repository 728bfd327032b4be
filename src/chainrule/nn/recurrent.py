"""Recurrent layers, whose state changes with each step of a sequence.

The products with the inputs, x Wᵀ, do not wait for the state: they are computed for
all steps at once. The rest of a step runs in ``scan``, one node whatever the length.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from chainrule.errors import ArgumentError, DTypeError, ShapeError, warn
from chainrule.functions import concat, stack, where
from chainrule.graph.types import DType, size_of
from chainrule.nn.affine import same_dtype
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    integer,
    layer_name,
    number,
    positive_integers,
)
from chainrule.nn.losses.checks import check_counts, checked
from chainrule.nn.module import Parameter
from chainrule.nn.recurrent_cells import (
    ElmanStep,
    GRUStep,
    LSTMStep,
    RecurrentStep,
    Rule,
    States,
    Weights,
    next_states,
)
from chainrule.nn.regularization import dropout
from chainrule.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
)
from chainrule.operations.accepted import TensorLike
from chainrule.operations.narrow import in_single
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.transforms.control import loop

__all__ = ["GRU", "LSTM", "RNN"]

#: The states of a layer: h, or h and c.
S = TypeVar("S")


class _Recurrent(RecurrentStep, Generic[S]):
    """Base class of recurrent layers (RNN, LSTM, GRU): their weights and loops.

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
        proj_size: int = 0,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        self.input_size, self.hidden_size, self.num_layers = positive_integers(
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
        self.proj_size = integer(kind, "proj_size", proj_size, least=0)
        if self.proj_size and (
            self.gates != LSTM.gates or self.proj_size >= self.hidden_size
        ):
            raise ArgumentError(
                _("An LSTM alone projects its output, to fewer numbers."),
                expected=_("nn.LSTM(…, proj_size=n), n less than hidden_size"),
                got=f"nn.{kind}, proj_size={proj_size}, hidden_size={hidden_size}",
            )
        floats = floating(kind, dtype, device)
        for layer in range(self.num_layers):
            inputs = self.output_size * self._directions if layer else self.input_size
            for suffix in self._suffixes(layer):
                self._draw_parameters(suffix, inputs, floats)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def __call__(
            self, x: Tensor, hx: S | None = None, lengths: TensorLike | None = None
        ) -> tuple[Tensor, S]: ...
        @overload
        def __call__(
            self, x: PackedSequence, hx: S | None = None
        ) -> tuple[PackedSequence, S]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Call the layer, with sequences as a tensor or packed."""

    def forward(
        self, x: Tensor, hx: S | None = None, lengths: TensorLike | None = None
    ) -> tuple[Tensor, S]:
        """Return a recurrent layer's outputs at each step, and its final states.

        Args:
            x: the sequences; or a PackedSequence, and then the outputs are one too.
            hx: the first states; 0 by default.
            lengths: the number of steps of each sequence, integers (N,) from 1 to T.
                Later steps are ignored: their output is 0, and the reverse direction
                begins at each sequence's own end.
        """
        kind = type(self).__name__
        if isinstance(x, PackedSequence):
            return self._of_packed(x, hx, lengths)
        x = as_tensor(x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            size = self.input_size
            several = f"(N, T, {size})" if self.batch_first else f"(T, N, {size})"
            raise ShapeError(
                _("{kind} cannot read its input.", kind=layer_name(kind)),
                expected=_(
                    "{several}, or (T, {size}) for one sequence",
                    several=several,
                    size=size,
                ),
                got=show(x.shape),
                fix=self._suggestion(x),
            )
        x = same_dtype(kind, x, self.weight_ih_l0)
        single = x.ndim == 2
        over = self.batch_first and not single
        x = x.transpose(0, 1) if over else x
        if x.shape[0] == 0:
            raise ShapeError(
                _(
                    "{kind} has no last state of a sequence without steps.",
                    kind=layer_name(kind),
                ),
                expected=_("at least one step"),
                got=show(x.shape),
            )
        rows = self.num_layers * self._directions
        shape = (rows, *x.shape[1:-1])
        states = self._initial_states(hx, shape, self.weight_ih_l0, "_0")
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
                x = dropout(x, self.dropout, self.training)
        final = [stack([state[i] for state in last]) for i in range(len(states))]
        if single:
            x, final = x.squeeze(1), [s.squeeze(1) for s in final]
        x = x.transpose(0, 1) if over else x
        states_last: Any = final[0] if len(final) == 1 else tuple(final)
        return x, states_last

    def _of_packed(self, x: Any, hx: Any, lengths: Any) -> tuple[Any, Any]:
        """Return the outputs of packed sequences, packed, and their final states."""
        if lengths is not None:
            raise ArgumentError(
                _(
                    "{kind} knows the lengths of packed sequences.",
                    kind=type(self).__name__,
                ),
                expected="lengths=None",
                got=f"{lengths!r:.60}",
            )
        first = self.batch_first
        padded, lengths = pad_packed_sequence(x, first)
        y, last = self.forward(padded, hx, lengths)
        fixed = x.sorted_indices is None
        packed = pack_padded_sequence(y, lengths, first, enforce_sorted=fixed)
        return x._replace(data=packed.data), last

    def _suggestion(self, x: Tensor) -> str | None:
        """Suggest a fix for an input that a recurrent layer does not take."""
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
        """Run one direction of a recurrent layer: return final states and outputs."""

        xs = (self._product(suffix, x), *([] if within is None else [within]))
        return _looped(
            _step(self._rule()), self._weights(suffix), first, xs, suffix, within
        )


@in_single  # states that are rounded at each step lose what is added to them
def _looped(
    step: Any,
    weights: Weights,
    first: States,
    xs: tuple[Tensor, ...],
    suffix: str,
    within: Tensor | None,
) -> tuple[States, Tensor]:
    """Run the loop of one direction: return final states and outputs."""
    last, y = loop(step, weights, first, xs, reverse=suffix.endswith("reverse"))
    return last, y if within is None else where(within, y, 0.0)


@functools.lru_cache(maxsize=16)
def _step(rule: Rule) -> Any:
    """Return a recurrent layer's step as a loop's function, the same for each rule."""

    def step(
        weights: Weights, state: States, now: tuple[Tensor, ...]
    ) -> tuple[States, Tensor]:
        new = next_states(rule, weights, state, now[0])
        for goes_on in now[1:]:
            new = tuple(where(goes_on, n, s) for n, s in zip(new, state))
        return new, new[0]

    return step


def _within(kind: str, lengths: Any, x: Tensor) -> Tensor:
    """Return the mask of steps within their sequences' lengths, bool (T, N, 1)."""
    lengths, shape = as_tensor(lengths), x.shape[1:-1]
    if not lengths.dtype.is_integer:
        raise DTypeError(
            _("{kind} counts the steps of a sequence.", kind=layer_name(kind)),
            expected=_("lengths of integers"),
            got=lengths.dtype.name,
        )
    if lengths.shape != shape:
        raise ShapeError(
            _("{kind} takes a length for each sequence.", kind=layer_name(kind)),
            expected=_("lengths of shape {shape}", shape=show(shape)),
            got=show(lengths.shape),
        )
    lengths = checked(
        lengths, lambda a: check_counts(layer_name(kind), a, 1, x.shape[0])
    )
    steps = iota(shape=(x.shape[0], *[1] * len(shape)), axis=0, dtype=DType.int64)
    return (wrap(steps) < lengths.astype("int64")).unsqueeze(-1)


class RNN(ElmanStep, _Recurrent[Tensor]):
    """Elman's recurrent layer: a state h that changes with each step of a sequence.

        h ← f(W x + b + U h + c),   f = tanh or ReLU

    Elman 1990, "Finding structure in time".

    Args:
        input_size: the number of features of a step, n.
        hidden_size: the number of units of each layer and direction, m.
        num_layers: the number of layers; each reads the output of the one below.
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
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set_nonlinearity(nonlinearity)
        shared = (input_size, hidden_size, num_layers, bias, batch_first, dropout)
        super().__init__(*shared, bidirectional, device=device, dtype=dtype)


class LSTM(LSTMStep, _Recurrent[tuple[Tensor, Tensor]]):
    """Long short-term memory: a cell state c behind gates, and its output h.

        i, f, o = σ(W x + b + U h + c),  g = tanh(W x + b + U h + c)   rows of their own
        c ← f ⊙ c + i ⊙ g,   h ← o ⊙ tanh c

    Hochreiter & Schmidhuber 1997; the forget gate is of Gers, Schmidhuber & Cummins
    2000.

    Args:
        input_size: the number of features of a step, n.
        hidden_size: the number of units of each layer and direction, m.
        num_layers: the number of layers; each reads the output of the one below.
        bias: whether there are b and c.
        batch_first: whether sequences are (N, T, n); else (T, N, n).
        dropout: the probability of dropping an output between two layers.
        bidirectional: whether each layer also reads backwards; the output of both
            directions stands side by side.
        proj_size: the number p < m of outputs to which h is projected, R h, with
            ``weight_hr_lk`` (p, m) in addition (Sak et al. 2014); 0 for all of h.
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


class GRU(GRUStep, _Recurrent[Tensor]):
    """Gated recurrent units: a state h that one gate updates and another one resets.

        r, z = σ(W x + b + U h + c)                              rows of their own
        n = tanh(W x + b + r ⊙ (U h + c)),   h ← (1 − z) ⊙ n + z ⊙ h

    Cho et al. 2014, with r behind the product with U, as PyTorch and cuDNN have it.

    Args:
        input_size: the number of features of a step, n.
        hidden_size: the number of units of each layer and direction, m.
        num_layers, bias, batch_first, dropout, bidirectional, dtype: see :class:`LSTM`.
        proj_size: 0; an LSTM alone projects its outputs.

    Shapes:
        as of :class:`LSTM`, with 3m rows, the gates in the order r, z, n. ``gru(x,
        h_0)`` gives ``(output, h_n)``.

    >>> import chainrule as cr
    >>> output, h = cr.nn.GRU(3, 8, batch_first=True)(cr.zeros(4, 5, 3))
    >>> output.shape, h.shape
    ((4, 5, 8), (1, 4, 8))
    """
