"""Search of a prediction's graph for the activation that computed it, for losses.

A softmax in front of a cross-entropy from probabilities is computed together with it,
from the scores, so that nothing underflows and δ = ŷ − y. A softmax in front of a
cross-entropy that applies one itself is a mistake, and named. The node is there while a
function is traced (training, evaluation, ``cr.compile``) and, of eager tensors, where a
derivative can be asked for.
"""

from __future__ import annotations

from chainrule.errors import ArgumentError, warn
from chainrule.graph.node import Value
from chainrule.graph.primitive import Primitive
from chainrule.primitives.checks import require
from chainrule.primitives.elementwise import add, convert
from chainrule.primitives.matmul import dot_general
from chainrule.tensor import Tensor, wrap
from chainrule.text import _


def behind(
    prediction: Tensor, activation: Primitive, axis: int | None = None
) -> Tensor | None:
    """Return the input of the activation that computed a loss's prediction, or None."""
    node = prediction.value.node
    if node is None or node.primitive is not activation or not node.inputs:
        return None
    if axis is not None and node.attrs["axis"] != axis:
        return None
    return wrap(node.inputs[0])


def _maker(value: Value) -> Primitive | None:
    """Return the primitive that computed a value, behind reshapes and conversions."""
    while (node := value.node) is not None:
        if not (node.primitive.view or node.primitive is convert) or not node.inputs:
            return node.primitive
        value = node.inputs[0]
    return None


def is_output_of(prediction: Tensor, *activations: Primitive) -> bool:
    """Return whether one of several activations computed a loss's prediction."""
    return _maker(prediction.value) in activations


def refuse(
    loss: str, prediction: Tensor, activations: tuple[Primitive, ...], **answers: str
) -> None:
    """Refuse a loss's prediction that an unsuitable activation computed.

    Args:
        loss: the loss's name.
        prediction: what the network predicts.
        activations: activations.
        answers: ``expected`` and ``fix`` of the message.
    """
    maker = _maker(prediction.value)
    if maker is not None and maker in activations:
        name = maker.name
        raise ArgumentError(
            _(
                "The network ends in {name}, which does not belong in front of {loss}.",
                name=name,
                loss=loss,
            ),
            got=_("the output of {name}", name=name),
            **answers,
        )


def warn_of_scores(loss: str, prediction: Tensor, fix: str) -> None:
    """Warn of raw scores as the prediction of a loss that takes probabilities.

    Numbers that are none are refused where they are known; a trace has no numbers.
    """
    value = prediction.value
    if value.array is not None or value.node is None:
        return
    while (node := value.node) is not None and node.primitive is require:
        value = node.inputs[0]
    if node is None:
        return
    parents = (value, *node.inputs) if node.primitive is add else (value,)
    if dot_general in map(_maker, parents):
        warn(
            _(
                "{loss} takes probabilities, and the network ends in scores W a + b.",
                loss=loss,
            ),
            expected=_("an activation at the end that gives numbers from 0 to 1"),
            got=_("the output of a linear layer"),
            fix=fix,
        )
