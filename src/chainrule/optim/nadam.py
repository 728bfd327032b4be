"""The NAdam optimiser: Adam with Nesterov momentum."""

from __future__ import annotations

import functools
import math
from typing import Any

from chainrule.optim.adam import RunningMeans
from chainrule.optim.arguments import nonnegative
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import sqrt


class NAdam(RunningMeans, lr=2e-3):
    """NAdam (Dozat 2016): Adam that looks ahead, as Nesterov does.

        μ_t = β₁(1 − ½·0.96^(tψ));   Π_t = μ₁ μ₂ … μ_t
        m̂ = μ_{t+1} m / (1 − Π_{t+1}) + (1 − μ_t) g / (1 − Π_t)
        θ ← θ − η m̂ / (√v̂ + ε)

    with Adam's m and v̂.

    Args:
        momentum_decay: ψ ≥ 0.

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.NAdam``. Π_t is
    the product with the β₁ and the ψ of now, as if they had always been so.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.NAdam([w], lr=0.5, betas=(0.0, 0.75)).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    momentum_decay: float = nonnegative(default=4e-3)
    decoupled_weight_decay: bool = False

    source = "Dozat 2016, algorithm 2, with the schedule of momentum as in PyTorch"

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        decay, root = o["momentum_decay"], math.sqrt(1 - beta2**step)
        products = _products(beta1, decay)
        while len(products) <= step + 1:
            products.append(products[-1] * _momentum(beta1, decay, len(products)))
        now, following = (_momentum(beta1, decay, t) for t in (step, step + 1))
        return self.mean_scalars(o) | {
            "now": lr * root * (1 - now) / (1 - products[step]),
            "next": lr * root * following / (1 - products[step + 1]),
            "eps": o["eps"] * root,
        }

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        RunningMeans.update_means(g, s)
        return p - (s.now * g + s.next * s.m) / (sqrt(s.v) + s.eps)


def _momentum(beta1: float, decay: float, t: int) -> float:
    """Compute NAdam's momentum factor μ_t of update t."""
    return beta1 * (1 - 0.5 * 0.96 ** (t * decay))


@functools.lru_cache(maxsize=64)
def _products(beta1: float, decay: float) -> list[float]:
    """Return the growing list of products of NAdam's momentum factors, cached."""
    return [1.0]
