"""The Adagrad optimiser: steps divided by all gradients so far."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.optim.arguments import nonnegative
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import sqrt
from chainrule.optim.rule_optimizer import RuleOptimizer


class Adagrad(RuleOptimizer, lr=1e-2):
    """Adagrad (2.6.3; Duchi, Hazan & Singer 2011): steps shrink where gradients were.

        s ← s + g²;  η_t = η / (1 + (t−1) γ);  θ ← θ − η_t g / (√s + ε)

    Args:
        lr_decay: γ ≥ 0, by which the rate falls on top of its schedule.
        initial_accumulator_value: what s starts from, ≥ 0.

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.Adagrad``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adagrad([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    lr_decay: float = nonnegative(default=0.0)
    weight_decay: float = nonnegative(default=0.0)
    initial_accumulator_value: float = nonnegative(default=0.0)
    eps: float = nonnegative(default=1e-10)

    source = "Duchi, Hazan & Singer 2011, the diagonal form"
    rows_alone: ClassVar[str] = "too"
    letters: ClassVar = {"sum": "s"}

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("sum",)

    def initial(self, o: Options) -> float:
        return o["initial_accumulator_value"]

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        return {"lr": lr / (1 + (step - 1) * o["lr_decay"]), "eps": o["eps"]}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        s.sum = s.sum + g**2
        return p - s.lr * g / (sqrt(s.sum) + s.eps)
