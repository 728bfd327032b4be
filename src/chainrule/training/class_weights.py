"""Weights of classes, as weights of the rows that belong to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Dataset, Stream
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.nn import Loss, output_semantics
from chainrule.nn.losses.classes import ClassLoss
from chainrule.text import _
from chainrule.training.objective import Objective
from chainrule.util import validation
from chainrule.util.pytree import is_nest

#: What the targets of two classes may be.
_PAIRS = ((0, 1), (-1, 1))


@dataclass(frozen=True)
class ClassWeights:
    """The weights of classes in the loss, by label; other classes count 1.

    Attributes:
        of: the weight of each class, by its label.
        labels: whether targets are the labels; else rows with a 1 for the class.
    """

    of: tuple[tuple[int, float], ...]
    labels: bool = True

    def __call__(self, y: Array) -> Array:
        """Return the weight of each target, float32."""
        truth = y if self.labels else y.argmax(-1)
        if self.labels and y.dtype.kind == "f" and not _two_classes(y):
            raise _no_labels(y)
        weights = np.ones(truth.shape, np.float32)
        for label, weight in self.of:
            weights[truth == label] = weight
        return weights

    def beside(self, weights: Array | None, y: Array) -> Array:
        """Return the weight of each target, times that of its row.

        Raises:
            ArgumentError: nothing is left that counts.
        """
        made = self(y)
        if weights is not None:
            made *= weights.reshape(-1, *[1] * (made.ndim - 1))
        if not made.any():
            raise ArgumentError(
                _("No row counts: the classes that occur have the weight 0."),
                expected=_("a class with a weight above 0"),
                got=repr(dict(self.of))[:80],
            )
        return made


def as_class_weights(
    class_weight: Any, data: Dataset | Stream, objective: Objective
) -> ClassWeights | None:
    """Return the weights of classes for data and their losses, or None.

    Args:
        class_weight: by label or by name of a class, or ``"balanced"``.
        data: the training data.
        objective: the losses.

    Raises:
        ArgumentError: several losses; targets that are no labels; a class that is not
            there.
    """
    if class_weight is None:
        return None
    if not objective.one or is_nest(
        data.target if isinstance(data, Stream) else data.y
    ):
        raise ArgumentError(
            _("Which of several targets class_weight means cannot be told."),
            expected=_("a single target"),
            got=_("several"),
            fix="loss={'…': nn.CrossEntropyLoss(weight=[…]), …}",
        )
    objective.check_takes_weights()
    loss = objective.parts[0].loss
    ignored = getattr(loss, "ignore_index", None)
    if isinstance(data, Stream):
        return _of_stream(class_weight, data, loss)
    labels, rows_of_one = data.y, _is_one_hot(data.y)
    if rows_of_one:
        binary = output_semantics.threshold(loss) is not None
        if binary or data.y.dtype.kind != "f":
            raise _no_labels(data.y)
        labels = data.y.argmax(-1)
    elif _several(loss, data.y.shape[1:]) or (
        data.y.dtype.kind == "f" and not _two_classes(data.y)
    ):
        raise _no_labels(data.y)
    there, counts = np.unique(labels, return_counts=True)
    known = there != ignored if ignored is not None else np.ones(len(there), bool)
    there, counts = there[known].astype(int), counts[known]
    if isinstance(class_weight, str) and class_weight == "balanced":
        weights = counts.sum() / (len(counts) * counts)
        of = tuple(zip(there.tolist(), weights.tolist()))
        return ClassWeights(of, not rows_of_one)
    possible = {*there.tolist(), *range(data.classes or 0)}
    for pair in _PAIRS:  # of which a part of the data may have one alone
        possible |= {*pair} if {*there.tolist()} <= {*pair} else set()
    if rows_of_one:
        possible |= {*range(data.y.shape[-1])}
    of = _checked(class_weight, data.class_names, possible)
    return ClassWeights(of, not rows_of_one)


def _of_stream(class_weight: Any, stream: Stream, loss: Any) -> ClassWeights:
    """Return the weights of a stream's classes, whose labels are not known."""
    if isinstance(class_weight, str):
        raise ArgumentError(
            _("How often the classes of a stream occur shows at its end."),
            expected=_("a dictionary of weights by label"),
            got=f"class_weight={class_weight!r:.40}",
            fix="class_weight={0: 1.0, 1: 5.0}",
        )
    kind = stream.target
    shares = kind.dtype.is_float and kind.shape not in ((), (1,))
    if shares or _several(loss, kind.shape):
        raise _no_labels(np.zeros((0, *kind.shape), kind.dtype.numpy))
    possible = None if stream.classes is None else range(stream.classes)
    return ClassWeights(_checked(class_weight, stream.class_names, possible))


def _checked(
    given: Any, names: tuple[str, ...] | None, possible: Iterable[int] | None
) -> tuple[tuple[int, float], ...]:
    """Return weights by label, of a dictionary by labels or by names of classes."""
    if not isinstance(given, dict) or not given:
        raise ArgumentError(
            _("class_weight says how much the rows of each class count."),
            expected=_('a dictionary of weights by label, or "balanced"'),
            got=repr(given)[:80],
            fix="class_weight={0: 1.0, 1: 5.0}",
        )
    of: dict[int, float] = {}
    known = None if possible is None else {*possible}
    for key, weight in given.items():
        label = names.index(key) if names and key in names else key
        number = isinstance(label, int | np.integer) and not isinstance(label, bool)
        if not number or (known is not None and label not in known):
            classes = names or sorted(known or ())
            raise ArgumentError(
                _("class_weight has a class that is not there."),
                expected=_("labels among {known}", known=str(list(classes))[:80])
                if classes
                else _("whole numbers"),
                got=repr(key)[:80],
                fix=_("correct it, or leave it out: other classes count 1"),
            )
        what = f"class_weight[{key!r}]"
        of[int(label)] = float(validation.number(what, weight, least=0))
    return tuple(sorted(of.items()))


def _several(loss: Any, row: Shape) -> bool:
    """Return whether rows of targets are several decisions, or quantities, each."""
    own = not isinstance(loss, Loss)
    return not own and not isinstance(loss, ClassLoss) and row not in ((), (1,))


def _two_classes(y: Array) -> bool:
    """Return whether floating-point targets are labels of two classes."""
    single = y.ndim == 1 or y.shape[1:] == (1,)
    return single and any(bool(np.isin(y, pair).all()) for pair in _PAIRS)


def _is_one_hot(y: Array) -> bool:
    """Return whether targets are rows with a single 1, and 0 elsewhere."""
    if y.ndim != 2 or y.shape[1] < 2:
        return False
    return bool(np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all())


def _no_labels(y: Array) -> ArgumentError:
    return ArgumentError(
        _("class_weight needs targets that are labels of classes."),
        expected=_(
            "integers, 0 and 1 or −1 and 1, or floating-point one-hot rows of "
            "one class each"
        ),
        got=_("targets {dtype} of shape {shape}", dtype=y.dtype, shape=y.shape),
        fix=_("sample_weight=… for weights of rows; y.argmax(1) for one-hot rows"),
    )
