"""The RAdam optimiser: Adam with smaller first steps."""

from __future__ import annotations

import math
from typing import Any

from chainrule.optim.adam import RunningMeans
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import select, sqrt


class RAdam(RunningMeans):
    """RAdam (Liu et al. 2020): Adam without the wild steps at the beginning.

        ρ∞ = 2/(1−β₂) − 1;   ρ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ)
        r = √((ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ))
        θ ← θ − η r m̂ √(1−β₂ᵗ) / (√v + ε)    where ρ > 5,  else  θ ← θ − η m̂

    with Adam's m, m̂ and v.

    Arguments: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.RAdam``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.RAdam([w], lr=0.25).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    decoupled_weight_decay: bool = False

    source = "Liu et al. 2020, algorithm 2"

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        rate, rest = lr / (1 - beta1**step), 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        rho = longest - 2 * step * beta2**step / rest
        rectified = rho > 5
        if rectified:
            r = (rho - 4) * (rho - 2) * longest
            r /= (longest - 4) * (longest - 2) * rho
            rate *= math.sqrt(r * rest)
        own = {"step": rate, "eps": o["eps"], "rectified": float(rectified)}
        return self.mean_scalars(o) | own

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        RunningMeans.update_means(g, s)
        s.w = select(s.rectified, sqrt(s.v) + s.eps, 1)
        return p - s.step * s.m / s.w
