"""Connectionist temporal classification (CTC): label sequences without time stamps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.errors import DTypeError, ShapeError
from chainrule.functions import concat, full, maximum, minimum, stack, where
from chainrule.graph.types import DType, Shape
from chainrule.nn.arguments import ReductionName, flag, integer
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import Reduction
from chainrule.nn.losses.checks import (
    check_counts,
    check_symbols,
    checked,
    numbers,
)
from chainrule.operations.narrow import from_single
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _, ngettext
from chainrule.transforms.control import scan

__all__ = ["CTCLoss", "ctc_loss"]

#: The logarithm of no probability: finite, so that differences of two are no NaN.
NOTHING = -1e30


class CTCLoss(Reduction):
    """The CTC loss −ln p(labels), summed over all alignments of labels with steps.

        p = Σ Πₜ pₜ(πₜ)  over the paths π that are the labels once repetitions are
        merged and blanks left out

    Added up step by step in logarithms (the forward algorithm): each of the 2S+1
    places blank, y₁, blank, y₂, …, blank is reached from itself, from the one before,
    and over a blank from another label.

    Graves, Fernández, Gomez & Schmidhuber 2006, "Connectionist temporal
    classification".

    Args:
        blank: the class that is no label.
        reduction: ``"mean"`` divides each loss by the length of its target (by 1 for an
            empty one) and takes the mean, as in PyTorch; ``"sum"``, or ``"none"``.
        zero_infinity: whether a target that is too long for its input costs 0, not ∞,
            and has no gradient.

    Shapes:
        log_probs (T, N, C) or (T, C), logarithms of probabilities; targets (N, S), or
        those of all sequences one behind the other; input_lengths and target_lengths
        (N,), or () for one sequence.

    Raises:
        ArgumentError: labels that are no class or the blank; lengths that do not fit.
        ShapeError, DTypeError: other shapes; labels or lengths that are no integers.

    PyTorch's gradient with respect to ``log_probs`` takes for granted that they are the
    output of a log-softmax; here it is the derivative. Behind one they are the same.

    >>> import chainrule as cr
    >>> steps = cr.zeros(2, 1, 3).log_softmax(2)
    >>> cr.nn.CTCLoss()(steps, [[1]], [2], [1])  # 11, 10 and 01, of nine: ln 3
    tensor(1.0986123)
    """

    def __init__(
        self,
        blank: int = 0,
        *,
        reduction: ReductionName = "mean",
        zero_infinity: bool = False,
    ) -> None:
        super().__init__(reduction=reduction)
        self.blank = integer("CTCLoss", "blank", blank, least=0)
        self.zero_infinity = flag("CTCLoss", "zero_infinity", zero_infinity)

    @from_single
    def forward(
        self,
        log_probs: Any,
        targets: Any,
        input_lengths: Any,
        target_lengths: Any,
        sample_weight: Any = None,
    ) -> Tensor:
        """Compute the CTC loss of label sequences."""
        steps = as_tensor(log_probs)
        if steps.ndim not in (2, 3) or not steps.dtype.is_float:
            raise ShapeError(
                _("CTCLoss reads logarithms of probabilities, step by step."),
                expected=_("floats (T, N, C), or (T, C) for one sequence"),
                got=f"{steps.dtype.name} {show(steps.shape)}",
            )
        single = steps.ndim == 2
        steps = steps.unsqueeze(1) if single else steps
        length, n, classes = steps.shape
        if not isinstance(classes, int) or self.blank >= classes:
            raise ShapeError(
                _("CTCLoss has no such class for its blank."),
                expected=ngettext(
                    "more than {n} class", "more than {n} classes", n=self.blank
                ),
                got=show(steps.shape),
            )
        inputs = _lengths("input_lengths", input_lengths, (n,), single)
        wanted = _lengths("target_lengths", target_lengths, (n,), single)
        inputs = checked(inputs, lambda a: check_counts("CTCLoss", a, 0, length))
        labels, wanted = self._labels(as_tensor(targets), wanted, single, classes)
        losses = self._losses(steps, labels, inputs, wanted)
        if self.zero_infinity:
            losses = where(losses < -NOTHING / 2, losses, 0.0)
        else:
            losses = where(losses < -NOTHING / 2, losses, float("inf"))
        if self.reduction == "mean":
            losses = losses / maximum(wanted, 1).astype(losses.dtype)
        return self.reduced(
            losses.squeeze(0) if single else losses, None, sample_weight
        )

    def _labels(
        self, targets: Tensor, wanted: Tensor, single: bool, classes: int
    ) -> tuple[Tensor, Tensor]:
        """Return CTC's checked labels, (N, S) padded with blanks, and their lengths."""
        n = wanted.shape[0]
        if not targets.dtype.is_integer:
            raise DTypeError(
                _("CTCLoss takes labels."),
                expected=_("integers"),
                got=targets.dtype.name,
            )
        if targets.ndim not in (1, 2) or (targets.ndim == 2 and targets.shape[0] != n):
            raise ShapeError(
                _("CTCLoss takes the labels of each sequence."),
                expected=_("targets ({n}, S), or all of them in one row", n=n),
                got=show(targets.shape),
            )
        targets = targets.astype("int64")
        if targets.ndim == 1 and not single:
            targets = _rows(targets, wanted)
        targets = targets.unsqueeze(0) if targets.ndim == 1 else targets
        most = targets.shape[1]
        wanted = checked(wanted, lambda a: check_counts("CTCLoss", a, 0, most))
        position = wrap(iota(shape=(1, most), axis=1, dtype=DType.int64))
        filler = (self.blank + 1) % classes
        labels = where(position < wanted.unsqueeze(1), targets, filler)
        labels = checked(labels, lambda a: check_symbols(a, classes, self.blank))
        return labels, wanted

    def _losses(
        self, steps: Tensor, labels: Tensor, inputs: Tensor, wanted: Tensor
    ) -> Tensor:
        """Compute the CTC loss −ln p(labels) of each sequence."""
        (length, n, __), most = steps.shape, labels.shape[1]
        blanks = labels * 0 + self.blank
        positions = stack([blanks, labels], 2).flatten(1)
        positions = concat([positions, full((n, 1), self.blank, dtype="int64")], axis=1)
        size = 2 * most + 1
        index = positions.unsqueeze(0).broadcast_to(length, n, size)
        emissions = maximum(steps.take_along_dim(index, 2), NOTHING)
        before = concat([full((n, 2), self.blank, dtype="int64"), positions], axis=1)
        over = (positions != self.blank) & (positions != before[:, :size])
        start = full((n, size + 2), NOTHING, dtype=steps.dtype)
        column = wrap(iota(shape=(1, size + 2), axis=1, dtype=DType.int32))
        first = where(column == 2, 0.0, start)
        goes_on = wrap(iota(shape=(length, 1), axis=0, dtype=DType.int64)) < inputs

        def step(known: Tensor, now: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
            same, one, two = known[:, 2:], known[:, 1:-1], known[:, :-2]
            two = where(over, two, NOTHING)
            top = maximum(maximum(same, one), two).detach()
            total = (same - top).exp() + (one - top).exp() + (two - top).exp()
            new = top + total.log() + now[0]
            new = where(now[1].unsqueeze(1), new, same)
            return concat([start[:, :2], new], axis=1), None

        last, __ = scan(step, first, (emissions, goes_on))
        ends = stack([wanted * 2 + 2, wanted * 2 + 1], 1)
        return -last.take_along_dim(ends, 1).logsumexp(1)


def _lengths(name: str, value: Any, shape: Shape, single: bool) -> Tensor:
    """Check the lengths of sequences for the CTC loss; return them as int64 (N,)."""
    lengths = as_tensor(value)
    if not lengths.dtype.is_integer:
        raise DTypeError(
            _("CTCLoss counts {name}.", name=name),
            expected=_("integers"),
            got=lengths.dtype.name,
        )
    lengths = lengths.reshape(1) if single and lengths.ndim == 0 else lengths
    if lengths.shape != shape:
        raise ShapeError(
            _("CTCLoss takes a length for each sequence."),
            expected=_("{name} of shape {shape}", name=name, shape=show(shape)),
            got=show(lengths.shape),
        )
    return lengths.astype("int64")


def _rows(targets: Tensor, wanted: Tensor) -> Tensor:
    """Convert CTC's concatenated labels to one padded row per sequence, (N, S)."""
    known = numbers(wanted)
    count = targets.shape[0] if known is None else int(known.max(initial=0))
    most = targets.shape[0]
    ends = wanted.cumsum(0)
    ends = checked(ends, lambda a: check_counts("CTCLoss", a, 0, most))
    positions = wrap(iota(shape=(1, count), axis=1, dtype=DType.int64))
    at = (ends - wanted).unsqueeze(1) + positions
    return targets[maximum(minimum(at, most - 1), 0)]


ctc_loss: Callable[..., Tensor] = as_loss_function(CTCLoss, "ctc_loss")
