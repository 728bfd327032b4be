"""What a prediction was computed by: the graph knows it.

A softmax in front of a cross-entropy from probabilities is computed together with it,
from the scores, so that nothing underflows and δ = ŷ − y. A softmax in front of a
cross-entropy that applies one itself is a mistake, and named. The node is there while a
function is traced (training, evaluation, ``cr.compile``) and, of eager tensors, where a
derivative can be asked for.
"""

from __future__ import annotations

from chainrule.errors import ArgumentError, warn
from chainrule.graph.node import Value
from chainrule.tensor import Tensor, wrap

_VIEWS = ("reshape", "convert")


def behind(
    prediction: Tensor, activation: str, axis: int | None = None
) -> Tensor | None:
    """What ``activation`` made the prediction of; None if something else made it."""
    node = prediction.value.node
    if node is None or node.primitive.name != activation or not node.inputs:
        return None
    if axis is not None and node.attrs["axis"] != axis:
        return None
    return wrap(node.inputs[0])


def _maker(value: Value) -> str | None:
    """The name of the primitive that computed a value, seen through views."""
    while value.node is not None and value.node.primitive.name in _VIEWS:
        if not value.node.inputs:
            return None
        value = value.node.inputs[0]
    return None if value.node is None else value.node.primitive.name


def refuse(
    loss: str, prediction: Tensor, made_by: tuple[str, ...], **answers: str
) -> None:
    """Refuse a prediction that one of these activations computed.

    Args:
        loss: the loss's name.
        prediction: what the network predicts.
        made_by: names of activations.
        answers: ``expected`` and ``fix`` of the message.
    """
    maker = _maker(prediction.value)
    if maker in made_by:
        raise ArgumentError(
            f"The network ends in {maker}, which does not belong in front of {loss}.",
            got=f"the output of {maker}",
            **answers,
        )


def warn_of_scores(loss: str, prediction: Tensor, fix: str) -> None:
    """Warn where traced predictions are W a + b and the loss takes probabilities.

    Numbers that are none are refused where they are known; a trace has no numbers.
    """
    value = prediction.value
    if value.array is not None or value.node is None:
        return
    node = value.node
    parents = (value, *node.inputs) if node.primitive.name == "add" else (value,)
    if "dot_general" in map(_maker, parents):
        warn(
            f"{loss} takes probabilities, and the network ends in scores W a + b.",
            expected="an activation at the end that gives numbers from 0 to 1",
            got="the output of a linear layer",
            fix=fix,
        )
