"""Sequences of several lengths in one tensor: padded, or packed step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import concat, full, pad, stack
from chainrule.graph.node import Array
from chainrule.nn.arguments import flag, is_known
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.text import _, ngettext
from chainrule.util.validation import choice, whole

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """Sequences of several lengths, step by step without padding.

    ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` take one, and give one as their output.

    Attributes:
        data: the first steps of all sequences, the longest first; then the second ones.
        batch_sizes: how many sequences have a first step, a second one, …
        sorted_indices: the order of the sequences in ``data``; None where they came in
            this order.
        unsorted_indices: the inverse of that.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the inverse of a permutation; None for None."""
    return None if permutation is None else permutation.argsort()


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences: the steps that belong to them, one after the other.

    Args:
        input: (T, N, …); (N, T, …) with ``batch_first``.
        lengths: the number of steps of each sequence, from 1 to T.
        batch_first: whether the axis of the sequences comes first.
        enforce_sorted: whether lengths that do not fall are refused.

    >>> import chainrule as cr
    >>> x = cr.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    >>> packed = pack_padded_sequence(x, [3, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1., 4., 2., 3.]), tensor([2, 1, 1]))
    """
    x = _steps_first(as_tensor(input), batch_first)
    counts, steps, rows = _known(lengths, "lengths"), *(int(n) for n in x.shape[:2])
    right = counts.dtype.kind in "iu" and counts.shape == (rows,) and rows != 0
    if not right or counts.min() < 1 or counts.max() > steps:
        raise ArgumentError(
            _("pack_padded_sequence takes the length of each sequence."),
            expected=ngettext(
                "{n} integer from 1 to {steps}",
                "{n} integers from 1 to {steps}",
                n=rows,
                steps=steps,
            ),
            got=f"{counts!r:.80}",
        )
    falling = bool((np.diff(counts) <= 0).all())
    if flag("pack_padded_sequence", "enforce_sorted", enforce_sorted):
        if not falling:
            raise ArgumentError(
                _("pack_padded_sequence takes the longest sequences first."),
                expected=_("lengths that do not rise"),
                got=f"{counts!r:.80}",
                fix="enforce_sorted=False",
            )
        order = np.arange(rows)
    else:
        order = np.argsort(-counts, kind="stable")
    sizes = (counts[None] > np.arange(int(counts.max()))[:, None]).sum(1)
    places = np.concatenate([t * rows + order[:n] for t, n in enumerate(sizes)])
    data = x.flatten(0, 1).index_select(0, places)
    if enforce_sorted:
        return PackedSequence(data, tensor(sizes))
    inverse = tensor(np.argsort(order))
    return PackedSequence(data, tensor(sizes), tensor(order), inverse)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Unpack a packed sequence: return padded sequences, and their lengths.

    Args:
        sequence: what :func:`pack_padded_sequence` or a recurrent layer gave.
        batch_first: whether the axis of the sequences shall come first.
        padding_value: what stands behind the end of a sequence.
        total_length: the number of steps T; that of the longest one by default.
    """
    sizes = _known(sequence.batch_sizes, "batch_sizes")
    steps, rows = len(sizes), int(sizes[0])
    total = whole("total_length", steps if total_length is None else total_length)
    if total < steps:
        raise ArgumentError(
            _("pad_packed_sequence cuts nothing off."),
            expected=f"total_length ≥ {steps}",
            got=f"{total}",
        )
    lengths = (sizes[:, None] > np.arange(rows)).sum(0)
    begin = np.cumsum(sizes) - sizes
    places = np.full((total, rows), int(sizes.sum()))  # the padding
    within = np.arange(rows) < sizes[:, None]
    places[:steps][within] = (begin[:, None] + np.arange(rows))[within]
    if sequence.unsorted_indices is not None:
        inverse = _known(sequence.unsorted_indices, "unsorted_indices")
        places, lengths = places[:, inverse], lengths[inverse]
    data = sequence.data
    filler = full((1, *data.shape[1:]), padding_value, dtype=data.dtype)
    padded = concat([data, filler]).index_select(0, places.ravel())
    padded = padded.unflatten(0, (total, rows))
    return (padded.transpose(0, 1) if batch_first else padded), tensor(lengths)


def pad_sequence(
    sequences: Sequence[Any],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: Literal["right", "left"] = "right",
) -> Tensor:
    """Stack sequences of several lengths, padded to the longest.

    Args:
        sequences: tensors (T, …), which differ in T alone.
        batch_first: whether the result is (N, T, …); else (T, N, …).
        padding_value: what is added.
        padding_side: ``"right"`` or ``"left"`` of the steps.

    >>> pad_sequence([[1.0, 2.0], [3.0]], batch_first=True)
    tensor([[1., 2.],
            [3., 0.]])
    """
    right = choice("right", "left")("padding_side", padding_side) == "right"
    tensors = [as_tensor(s) for s in sequences]
    if not tensors or any(
        t.ndim < 1 or t.shape[1:] != tensors[0].shape[1:] for t in tensors
    ):
        raise ShapeError(
            _("pad_sequence stacks sequences."),
            expected=_("tensors (T, …) that differ in T alone, at least one"),
            got=", ".join(show(t.shape) for t in tensors)[:80],
        )
    most = max(int(t.shape[0]) for t in tensors)
    rows: list[Tensor] = []
    for t in tensors:
        count = most - int(t.shape[0])
        sides = (0, count) if right else (count, 0)
        rows.append(pad(t, [*(0, 0) * (t.ndim - 1), *sides], value=padding_value))
    return stack(rows, 0 if batch_first else 1)


def pack_sequence(
    sequences: Sequence[Any], enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences (T, …) of several lengths, the longest first."""
    lengths = [len(s) for s in sequences]
    return pack_padded_sequence(
        pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted
    )


def unpad_sequence(
    padded_sequences: Any, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """Return padded sequences as a list of sequences, each of its own length."""
    x = _steps_first(as_tensor(padded_sequences), batch_first)
    return [x[:n, i] for i, n in enumerate(_known(lengths, "lengths").tolist())]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Return a packed sequence as a list of sequences, each of its own length."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def _steps_first(x: Tensor, batch_first: bool) -> Tensor:
    """Return sequences with the axis of their steps in front: (T, N, …)."""
    if x.ndim < 2:
        raise ShapeError(
            _("Sequences have an axis of steps, and one of sequences."),
            expected="(T, N, …)",
            got=show(x.shape),
        )
    return x.transpose(0, 1) if flag("rnn", "batch_first", batch_first) else x


def _known(numbers: Any, name: str) -> Array:
    """Return lengths as an array; refuse those of a function that is compiled."""
    if isinstance(numbers, Tensor) and not is_known(numbers):
        raise ArgumentError(
            _("The shape of packed sequences depends on {name}.", name=name),
            expected=_("numbers that are known"),
            got=_("those of a function that is compiled"),
            fix=_("rnn(x, lengths=lengths) of padded sequences, or pack them outside"),
        )
    return np.asarray(numbers)
