"""Every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b of a network, with formulas and numbers.

The formulas are read off the graph that training runs, so what is explained is what is
computed. Its notation is the textbook's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chainrule.explanation.checking import Check
from chainrule.explanation.derivation import derive
from chainrule.explanation.explanation import Explanation
from chainrule.explanation.layers import Equation, LayerExplanation
from chainrule.explanation.network import run_network
from chainrule.nn import Linear, Module, Sequential, Sigmoid
from chainrule.tensor import Tensor

__all__ = [
    "Check",
    "Equation",
    "Explanation",
    "LayerExplanation",
    "example",
    "explain",
]


def explain(
    model: Module,
    x: Any,
    y: Any = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    layer: int | str | None = None,
) -> Explanation:
    """Explain one forward and backward pass through a feed-forward network.

    Args:
        model: a network with layers z = W a + b (``nn.Linear``), nested or not.
        x: a batch, one row for each sample, or a single sample (one row).
        y: the truth for each sample: targets, or class numbers.
        loss: a function of prediction and truth that gives one number:
            ``nn.CrossEntropyLoss()``, ``nn.MSELoss()``, or your own of tensors.
        layer: show this layer alone: its number 1 … L, or its name (``"2.weight"``).

    Returns:
        An :class:`Explanation`: print it, or take its layers' formulas and numbers.

    Floating-point data are taken in the dtype of the model's parameters. Nothing is
    changed: no weight, no gradient, no random state.

    Raises:
        ArgumentError: no model, x, y, loss or layer of neurons; a loop (``nn.LSTM``) or
            a branch; an unknown ``layer``.
        ShapeError: x, y, the model and the loss do not fit together.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(2, 1, bias=False))
    >>> _ = model.load_state_dict({"0.weight": [[2.0, -1.0]]})
    >>> e = cr.explain(model, [1.0, 3.0], [0.0], nn.MSELoss())
    >>> print(e.layer(1).texts["delta"])
    δ⁽¹⁾ = ∇_ŷ ℒ = 2 (ŷ − y)
    >>> e.layer(1).delta, e.layer(1).dW
    (array([[-2.]], dtype=float32), array([[-2., -6.]], dtype=float32))
    """
    explanation = derive(run_network(model, x, y, loss))
    if layer is not None:
        explanation = replace(explanation, only=(explanation.layer(layer).l,))
    return explanation


def example() -> Explanation:
    """A network with two sigmoid neurons and one output (3.2.2), loss ½(ŷ − y)² (3.7).

    >>> print(example().texts["loss"])
    ℒ = ½ (ŷ − y)²
    """
    model = Sequential(
        Linear(2, 2, dtype="float64"),
        Sigmoid(),
        Linear(2, 1, dtype="float64"),
        Sigmoid(),
    )
    model.load_state_dict(
        {
            "0.weight": [[0.1, 0.4], [-0.2, 0.3]],
            "0.bias": [0.1, -0.1],
            "2.weight": [[0.5, -0.6]],
            "2.bias": [0.2],
        }
    )

    def half_square(prediction: Tensor, truth: Tensor) -> Tensor:
        return ((prediction - truth) * (prediction - truth)).sum() * 0.5

    return explain(model, [1.0, 0.5], [1.0], half_square)
