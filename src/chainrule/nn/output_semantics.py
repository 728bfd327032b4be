"""The meaning of a network's outputs: classes, probabilities, scores.

The loss decides. A score under ``BCEWithLogitsLoss`` says "class 1" from 0 on, a
probability under ``BCELoss`` from ½ on; under ``CrossEntropyLoss`` the largest score
wins. Metrics and ``predict(output=…)`` read it here. Outputs that are not finite mean
nothing, and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.errors import ArgumentError, NonFiniteError, ShapeError, nearest
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, Shape
from chainrule.nn import Module
from chainrule.nn.losses.classes import ClassLoss
from chainrule.nn.losses.margins import SignLoss
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, tensor
from chainrule.text import _, ngettext

#: What ``predict(output=…)`` knows.
OUTPUTS = ("logits", "probabilities", "classes")


def threshold(loss: Any) -> float | None:
    """Return the output from which a binary loss decides for class 1, or else None."""
    return loss.decides_from if isinstance(loss, nn.Loss) else None


def is_regression(loss: Any) -> bool:
    """Return whether the loss is a regression loss."""
    return isinstance(loss, nn.Loss) and loss.quantities


def is_classification(loss: Any) -> bool:
    """Return whether the loss is a classification loss."""
    return threshold(loss) is not None or isinstance(loss, ClassLoss)


def from_logits(loss: Any) -> bool | None:
    """Return whether a loss takes scores, not probabilities; None if unknown."""
    if isinstance(loss, nn.KLDivergence):
        return False
    if isinstance(loss, nn.KLDivLoss):
        return True  # logarithms of probabilities are scores of a softmax
    if isinstance(loss, ClassLoss):
        return getattr(loss, "from_logits", True)
    return None


def labels(prediction: Shape, target: ArrayType) -> int | None:
    """Return the number of classes if a loss's targets are labels, else None.

    Targets are labels where they are one integer a sample and the model gives one row
    of scores a sample.
    """
    single = target.dtype.is_integer and target.shape == ()
    classes = prediction[-1] if len(prediction) == 2 else None
    return classes if single and isinstance(classes, int) and classes > 1 else None


def class_axis(prediction: Tensor, loss: Any) -> int:
    """Return the axis of a network's outputs along which there is one a class.

    It is that of the loss: a loss of classes takes (N, C), and (N, C, …) of several
    places of a sample; of others it is the last one.
    """
    return 1 if isinstance(loss, ClassLoss) and prediction.ndim > 2 else -1


def decide(prediction: Tensor, cut: float | None, axis: int = -1) -> Tensor:
    """Return the predicted class of each of a network's outputs, int32.

    Args:
        prediction: of shape (N,), (N, 1), (N, C) or (N, C, …).
        cut: the threshold of a binary loss: then every output is a decision of its
            own. None: the largest of C scores wins; a single score is cut at ½.
        axis: that of the classes.
    """
    if cut is None and prediction.ndim > 1 and prediction.shape[axis] != 1:
        return prediction.argmax(axis).astype("int32")
    return (prediction >= (0.5 if cut is None else cut)).astype("int32")


def decisions(
    who: str, prediction: Tensor, target: Tensor, cut: float | None
) -> tuple[Tensor, Tensor]:
    """Return (predicted class, true class) of a batch's outputs, both int32 (k,).

    Targets are class numbers, one-hot rows or shares of each class, or for binary
    outputs {0, 1} or ±1.

    Raises:
        ShapeError: targets that do not fit the outputs.
    """
    decided = decide(prediction, cut)
    if decided.ndim < prediction.ndim:  # one of C classes
        if target.shape == prediction.shape:
            target = target.argmax(-1)
    else:
        target = target >= 0.5
    if decided.reshape(-1).shape != target.reshape(-1).shape:
        raise ShapeError(
            _("{who} cannot compare these outputs with these targets.", who=who),
            expected=_(
                "targets of shape {shape}, or one-hot rows", shape=show(decided.shape)
            ),
            got=_(
                "outputs {shape}, targets {target_shape}",
                shape=show(prediction.shape),
                target_shape=show(target.shape),
            ),
            fix=_("give one class number a sample, or leave the metric out"),
        )
    return decided.reshape(-1), target.reshape(-1).astype("int32")


def number_of_classes(prediction: Shape, cut: float | None) -> int:
    """Return the number of classes that a network's outputs distinguish."""
    last = prediction[-1] if len(prediction) > 1 else 1
    return 2 if cut is not None or not isinstance(last, int) or last == 1 else last


# -- outputs that are no numbers ---------------------------------------------------

#: So many rows are named.
NAMED = 5


def are_finite(prediction: Tensor) -> Tensor:
    """Return the mask of a network's output rows that are free of NaN and infinity."""
    return prediction.isfinite().reshape(prediction.shape[0], -1).all(1)


def finite_rows(outputs: Array) -> Array:
    """Return the mask of an array's rows that are free of NaN and infinity."""
    n = len(outputs)
    return np.asarray(np.isfinite(outputs).reshape(n, outputs.size // max(n, 1)).all(1))


def refuse_rows(finite: Array, strange: Sequence[str] = ()) -> None:
    """Raise an error if a row of predictions has NaN or infinity.

    Args:
        finite: whether each row of outputs is, (n,).
        strange: the weights that are not.

    Raises:
        NonFiniteError: naming the first rows, and the weights.
    """
    rows = np.flatnonzero(~finite)
    if not len(rows):
        return
    named = ", ".join(map(str, rows[:NAMED])) + (", …" if len(rows) > NAMED else "")
    fix = _("look at the features of these rows: values far from those of training")
    if strange:
        fix = _("load weights of before they went wrong; the network cannot be used")
    got = _("NaN or infinity in row {rows}", rows=named)
    if strange:
        weights = ", ".join(strange[:NAMED])
        got = _(
            "{what}; the weights {weights} hold some too", what=got, weights=weights
        )
    raise NonFiniteError(
        ngettext(
            "The network gives no numbers for {rows:,} of {n:,} row.",
            "The network gives no numbers for {rows:,} of {n:,} rows.",
            n=len(finite),
            rows=len(rows),
        ),
        expected=_("outputs without NaN and infinity"),
        got=got,
        fix=fix,
    )


# -- predict(output=…) ------------------------------------------------------------


def check_output(output: Any, loss: Any) -> None:
    """Refuse an unknown kind of output (``output=``) of ``predict``.

    Args:
        output: what was asked for.
        loss: of the network; under a regression loss an output is a value.

    Raises:
        ArgumentError: with the nearest known name.
    """
    if output not in OUTPUTS:
        near, values = nearest(str(output), OUTPUTS), is_regression(loss)
        also = "" if values else _(", or {OUTPUTS}", OUTPUTS=", ".join(OUTPUTS))
        as_given = values or output in ("values", "value", "raw")
        fix = (
            _("did you mean {near!r}?", near=near) if near else "output='probabilities'"
        )
        raise ArgumentError(
            _("predict has no output {output!r}.", output=output),
            expected=_("None for what the network gives{also}", also=also),
            got=repr(output),
            fix=_("predict(x) gives the values") if as_given else fix,
        )


def translate(
    outputs: Array,
    output: str,
    *,
    model: Module,
    loss: Any,
    class_names: Sequence[str] | None,
) -> Array:
    """Convert the network's outputs to ``logits``, ``probabilities`` or ``classes``.

    Raises:
        ArgumentError: an output that this network does not have.
    """
    kind = _kind(model, loss)
    if output == "classes":
        return _classes(outputs, kind, loss, class_names)
    if kind not in ("softmax", "sigmoid", "scores", "score"):
        name = getattr(loss, "__name__", type(loss).__name__)
        raise ArgumentError(
            _("The outputs of this network have no {output}.", output=output),
            expected=_(
                "a network that ends in Softmax or Sigmoid, or one "
                "trained with CrossEntropyLoss, BCELoss or "
                "BCEWithLogitsLoss"
            ),
            got=_(
                "a network that ends in {model___name__}, and {name}",
                model___name__=type(_last(model)).__name__,
                name=name,
            ),
            fix=_(
                "predict(x) gives the outputs as they are, "
                "predict(x, output='classes') the decisions"
            )
            if kind
            else _("predict(x) gives the outputs as they are"),
        )
    x = tensor(outputs)
    if output == "probabilities":
        return _probabilities(x, kind, loss).numpy()
    with np.errstate(divide="ignore"):  # the logarithm of a probability of 0 is −∞
        if kind == "softmax":
            return x.log().numpy()
        return (x / (1 - x)).log().numpy() if kind == "sigmoid" else outputs


def meanings(output: Tensor, model: Module, loss: Any) -> dict[str, Tensor]:
    """Return a network's output by what it means, in operations that a graph records.

    ``values`` of a regression; ``logits``, ``probabilities`` and ``classes`` as
    ``predict`` gives them, classes as numbers; ``output`` of what has no meaning.
    """
    kind = _kind(model, loss)
    if is_regression(loss) or not kind:
        return {"values" if is_regression(loss) else "output": output}
    found: dict[str, Tensor] = {}
    if kind in ("scores", "score", "decision"):
        found["output" if kind == "decision" else "logits"] = output
    if kind != "decision":
        found["probabilities"] = _probabilities(output, kind, loss)
    axis = class_axis(output, loss)
    decided = decide(output, threshold(loss), axis).astype("int64")
    if decided.ndim == 2 and decided.shape[1] == 1:
        decided = decided[:, 0]
    found["classes"] = 2 * decided - 1 if isinstance(loss, SignLoss) else decided
    return found


def _probabilities(output: Tensor, kind: str, loss: Any) -> Tensor:
    """Return the probabilities of outputs that are scores, or probabilities already."""
    if kind == "scores":
        return output.softmax(class_axis(output, loss))
    return output.sigmoid() if kind == "score" else output


def layers(model: Module) -> list[Module]:
    """Return a model's layers in order; a model that is no Sequential is one layer."""
    if not isinstance(model, nn.Sequential):
        return [model]
    return [layer for child in model for layer in layers(child)]


def _last(model: Module) -> Module:
    """Return the last layer of a model."""
    return (layers(model) or [model])[-1]


def _kind(model: Module, loss: Any) -> str:
    """Return the kind of a network's outputs, such as ``softmax``; empty if unknown.

    ``softmax`` and ``sigmoid``: probabilities; ``scores`` and ``score``: what becomes
    one of these; ``decision``: something that only decides.
    """
    last = _last(model)
    if isinstance(last, nn.Softmax) or isinstance(loss, nn.KLDivergence):
        return "softmax"
    if isinstance(last, nn.Sigmoid) or isinstance(loss, nn.BCELoss):
        return "sigmoid"
    if isinstance(loss, nn.CrossEntropyLoss):
        return "scores" if loss.from_logits else "softmax"
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return "score"
    return "decision" if is_classification(loss) else ""


def _classes(
    outputs: Array, kind: str, loss: Any, class_names: Sequence[str] | None
) -> Array:
    """Return the predicted classes of outputs: names if known, else numbers or ±1."""
    several = outputs.ndim == 2 and outputs.shape[1] > 1 and not is_regression(loss)
    if not kind and not several:
        raise ArgumentError(
            _("The outputs of this network mean no classes."),
            expected=_("one score a class, or a loss for classification"),
            got=_(
                "outputs of shape {shape} and {loss}",
                shape=outputs.shape,
                loss=getattr(loss, "__name__", type(loss).__name__),
            ),
            fix=_("predict(x) gives the outputs as they are"),
        )
    x = tensor(outputs)
    decided = decide(x, threshold(loss), class_axis(x, loss)).numpy()
    if decided.ndim == 2 and decided.shape[1] == 1:
        decided = decided[:, 0]
    if class_names is not None and decided.ndim == 1:
        names = [
            *class_names,
            *range(len(class_names), int(decided.max(initial=0)) + 1),
        ]
        return np.array([str(name) for name in names])[decided]
    return 2 * decided - 1 if isinstance(loss, SignLoss) else decided
