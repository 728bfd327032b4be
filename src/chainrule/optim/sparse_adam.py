"""The SparseAdam optimiser: Adam for the rows of a table that have a gradient."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any, ClassVar

from chainrule.optim.adam import Adam, check_betas
from chainrule.optim.arguments import nonnegative, option
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule_optimizer import RuleOptimizer


class SparseAdam(RuleOptimizer):
    """Adam for tables whose gradient is of rows alone: those are updated, no others.

        m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
        θ ← θ − η √(1−β₂ᵗ)/(1−β₁ᵗ) m / (√v + ε)        in the rows with a gradient

    The moments of other rows stay as they are: they do not decay. t counts all steps.

    Args:
        betas: (β₁, β₂), each in [0, 1).
        eps: ε ≥ 0, beside √v without its correction.
        maximize: climb instead of descending.

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.SparseAdam``.

    Raises:
        GradientError: (from ``step``) a gradient of all elements.

    >>> import chainrule as cr
    >>> from chainrule import nn, optim
    >>> table = nn.Embedding.from_pretrained(cr.zeros(4, 1), freeze=False, sparse=True)
    >>> optimizer = optim.SparseAdam(table.parameters(), lr=0.5)
    >>> table(cr.tensor([2, 2])).sum().backward()
    >>> optimizer.step()
    >>> table.weight[:, 0].detach().round(decimals=3)
    tensor([ 0. ,  0. , -0.5,  0. ])
    """

    betas: tuple[float, float] = option(default=(0.9, 0.999), check=check_betas)
    eps: float = nonnegative(default=1e-8)
    l1_penalty: float | None = field(default=None, init=False)

    rows_alone: ClassVar[str] = "only"
    source = "torch.optim.SparseAdam; Kingma & Ba 2015, algorithm 1"

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("m", "v")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        rate = lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        means = {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "rest2": 1 - beta2}
        return means | {"step": rate, "eps": o["eps"]}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        return Adam.update(p, g, s)
