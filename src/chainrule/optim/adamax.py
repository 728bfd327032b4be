"""The Adamax optimiser: Adam scaled by the largest gradient."""

from __future__ import annotations

from typing import Any

from chainrule.optim.adam import RunningMeans
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import absolute, maximum


class Adamax(RunningMeans, lr=2e-3):
    """Adamax (Kingma & Ba 2015, algorithm 2): Adam by the largest gradient.

        m ← β₁m + (1−β₁)g;  u ← max(β₂u, |g| + ε);  θ ← θ − η/(1−β₁ᵗ) · m/u

    Arguments: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.Adamax``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adamax([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    source = "Kingma & Ba 2015, algorithm 2, with ε as in PyTorch"

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("m", "u")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        means = {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2}
        return means | {"step": lr / (1 - beta1**step), "eps": o["eps"]}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        s.m = s.beta1 * s.m + s.rest1 * g
        s.u = maximum(s.beta2 * s.u, absolute(g) + s.eps)
        return p - s.step * s.m / s.u
