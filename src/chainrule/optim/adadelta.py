"""The Adadelta optimiser: steps as large as the steps before."""

from __future__ import annotations

from typing import Any

from chainrule.optim.arguments import nonnegative, share
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import sqrt
from chainrule.optim.rule_optimizer import RuleOptimizer
from chainrule.text import _


class Adadelta(RuleOptimizer, lr=1.0):
    """Adadelta (Zeiler 2012): steps as large as the steps before, and no unit lost.

        v ← ρ v + (1−ρ) g²;  d = g √(a + ε) / √(v + ε);  a ← ρ a + (1−ρ) d²
        θ ← θ − η d

    Args:
        rho: ρ, 0 ≤ ρ < 1, of both running means.

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.Adadelta``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adadelta([w], lr=0.5, rho=0.0, eps=4.0 / 3).step()
    >>> w                                            # d = 2 √(4/3) / √(4 + 4/3) = 1
    tensor([0.5], requires_grad=True)
    """

    rho: float = share(default=0.9, of=_("the mean squares"))
    eps: float = nonnegative(default=1e-6)
    weight_decay: float = nonnegative(default=0.0)

    source = "Zeiler 2012, algorithm 1, with a learning rate as in PyTorch"

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("v", "a")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        rho = o["rho"]
        return {"rho": rho, "rest": 1 - rho, "lr": lr, "eps": o["eps"]}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        s.v = s.rho * s.v + s.rest * g**2
        s.d = sqrt(s.a + s.eps) / sqrt(s.v + s.eps) * g
        s.a = s.rho * s.a + s.rest * s.d**2
        return p - s.lr * s.d
