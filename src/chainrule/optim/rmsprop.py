"""The RMSprop optimiser: steps divided by the gradients' recent size."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.optim.arguments import nonnegative, share
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import maximum, sqrt
from chainrule.optim.rule_optimizer import RuleOptimizer
from chainrule.text import _


class RMSprop(RuleOptimizer, lr=1e-2):
    """RMSProp (2.6.3; Tieleman & Hinton 2012): steps by the gradient's recent size.

        v ← α v + (1−α) g²;  θ ← θ − η g / (√v + ε)

    With ``centered`` √v becomes √(v − m²), where m ← α m + (1−α) g. With momentum

        u ← μ u + g / (√v + ε);  θ ← θ − η u

    Args:
        alpha: α, 0 ≤ α < 1.
        momentum: μ, 0 ≤ μ < 1.
        centered: divide by the deviation from the mean gradient (Graves 2013).

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.RMSprop``. Where
    rounding makes v − m² negative it counts as 0 here.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.RMSprop([w], lr=0.05, alpha=0.75).step()
    >>> w
    tensor([0.9], requires_grad=True)
    """

    alpha: float = share(default=0.99, of=_("the mean square"))
    eps: float = nonnegative(default=1e-8)
    weight_decay: float = nonnegative(default=0.0)
    momentum: float = share(default=0.0, of=_("the velocity"))
    centered: bool = False

    source = "Tieleman & Hinton 2012, lecture 6.5; centred: Graves 2013, (38) to (41)"
    letters: ClassVar = {"velocity": "u"}
    variants = (
        {},
        {"momentum": 0.5},
        {"centered": True},
        {"centered": True, "momentum": 0.5},
    )

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("v", *["m"] * o["centered"], *["velocity"] * bool(o["momentum"]))

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        alpha, momentum = o["alpha"], o["momentum"]
        scalars = {"alpha": alpha, "rest": 1 - alpha, "lr": lr, "eps": o["eps"]}
        return scalars | ({"momentum": momentum} if momentum else {})

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        s.v = s.alpha * s.v + s.rest * g**2
        square = s.v
        if "m" in s:
            s.m = s.alpha * s.m + s.rest * g
            square = maximum(0, s.v - s.m**2)  # rounding may not make it negative
        if "velocity" not in s:
            return p - s.lr * g / (sqrt(square) + s.eps)
        s.velocity = s.momentum * s.velocity + g / (sqrt(square) + s.eps)
        return p - s.lr * s.velocity
