"""Explanations of a training step: every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b with numbers.

The formulas are read off the graph that training runs, so what is explained is what is
computed. Its notation is the textbook's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from chainrule.explanation.checking import Check
from chainrule.explanation.content import LayerExplanation, Shown
from chainrule.explanation.equations import Equation
from chainrule.explanation.explanation import Explanation
from chainrule.explanation.run import Loss, run_step
from chainrule.explanation.sections import explained
from chainrule.explanation.trace import Trace
from chainrule.explanation.worked import Section
from chainrule.nn import HalfSquaredErrorLoss, Linear, Module, Sequential, Sigmoid
from chainrule.optim import RuleOptimizer
from chainrule.text.languages import language
from chainrule.util.keywords import strict

__all__ = [
    "Check",
    "Equation",
    "Explanation",
    "LayerExplanation",
    "Section",
    "Shown",
    "Trace",
    "example",
    "explain",
]


@strict
def explain(
    model: Module,
    x: Any,
    y: Any = None,
    loss: Loss | None = None,
    optimizer: RuleOptimizer | None = None,
    *,
    layer: int | str | None = None,
    composites: Collection[str] = (),
    inputs: bool = False,
    lang: str | None = None,
) -> Explanation:
    """Explain a model's training step with numbers: forward, loss, backward, update.

    Args:
        model: any module that trains here: layers z = W a + b are found by what they
            compute, in modules of your own too.
        x: a batch, one row for each sample, or a single sample; a tuple of several
            inputs for a model that takes several.
        y: the truth for each sample: targets, or class numbers.
        loss: a function of prediction and truth that gives one number:
            ``nn.CrossEntropyLoss()``, ``nn.MSELoss()``, or your own of tensors.
        optimizer: shows its next update of each parameter, too; one without parameters
            (``optim.Adam(lr=0.1)``) is shown with all of the model's.
        layer: show this layer alone: its number 1 … L, or its name (``"2.weight"``).
        composites: the names of composites that are opened: what softmax, a
            normalisation or an activation consists of is shown in its place, forward
            and back; ``["all"]`` opens all.
        inputs: whether samples of floating type have a derivative too: then
            ``explanation["x"].grad`` is ∂ℒ/∂x, and ``element("x", …)`` its path.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Returns:
        An :class:`Explanation`: print it, show it in a notebook, write it as HTML,
        Markdown, LaTeX or JSON, or take its formulas and numbers.

    Floating-point data are taken in the dtype of the model's parameters. Nothing is
    changed: no weight, no gradient, no moment, no random state.

    Raises:
        ArgumentError: no model, x, y or loss; an unknown ``layer`` or composite.
        ShapeError: x, y, the model and the loss do not fit together.
        DTypeError: parameters or x of bfloat16, or products within ``autocast``.
        NonFiniteError: NaN or infinity among x, y or the parameters, or in the loss.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(2, 1, bias=False))
    >>> _ = model.load_state_dict({"0.weight": [[2.0, -1.0]]})
    >>> e = cr.explain(model, [1.0, 3.0], [0.0], nn.MSELoss())
    >>> print(e.layer(1).texts["delta"])
    δ⁽¹⁾ = 2 (z⁽¹⁾ − y)
    >>> e.layer(1).delta, e.layer(1).dW
    (array([[-2.]], dtype=float32), array([[-2., -6.]], dtype=float32))
    >>> cr.explain(model, [1.0, 3.0], [0.0], nn.MSELoss(), inputs=True)["x"].grad
    array([[-4.,  2.]], dtype=float32)
    """
    with language(lang):
        names = (composites,) if isinstance(composites, str) else tuple(composites)
        explanation = explained(run_step(model, x, y, loss, optimizer, names, inputs))
        if layer is not None:
            explanation = replace(explanation, only=(explanation.layer(layer).l,))
        return explanation


def example() -> Explanation:
    """Explain a training step of an example network with two sigmoid neurons.

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
    return explain(model, [1.0, 0.5], [1.0], HalfSquaredErrorLoss())
