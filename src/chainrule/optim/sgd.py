"""The SGD optimiser: gradient descent, with or without momentum."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.errors import ArgumentError
from chainrule.optim.arguments import nonnegative, share
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule_optimizer import RuleOptimizer
from chainrule.text import _


class SGD(RuleOptimizer):
    """Gradient descent (2.6.2), with momentum (2.6.3) where it is asked for.

        θ ← θ − η g
        v ← μ v + (1 − τ) g,  θ ← θ − η v        with momentum; v = g at first
        v ← μ v + g,  θ ← θ − η (g + μ v)        with Nesterov's momentum

    Args:
        momentum: μ, 0 ≤ μ < 1.
        dampening: τ, 0 ≤ τ < 1.
        nesterov: look ahead along the velocity; it needs μ > 0 and τ = 0.

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.SGD``; Polyak
    1964; Sutskever et al. 2013.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.SGD([w], lr=0.25).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    momentum: float = share(default=0.0, of=_("the velocity"))
    dampening: float = share(default=0.0, of=_("the gradient"), verb="held back")
    weight_decay: float = nonnegative(default=0.0)
    nesterov: bool = False

    source = "textbook 2.6.2, 2.6.3 and 3.4.3; Polyak 1964; Sutskever et al. 2013"
    rows_alone: ClassVar[str] = "too"
    letters: ClassVar = {"velocity": "v"}
    variants = ({}, {"momentum": 0.5, "nesterov": True}, {"momentum": 0.5})

    def check(self, o: Options) -> None:
        if o["nesterov"] and not (o["momentum"] and not o["dampening"]):
            raise ArgumentError(
                _("Nesterov's momentum looks ahead along an undampened velocity."),
                expected=_("momentum > 0 and dampening = 0"),
                got=f"momentum={o['momentum']}, dampening={o['dampening']}",
                fix="SGD(lr=0.01, momentum=0.9, nesterov=True)",
            )

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("velocity",) if o["momentum"] else ()

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        if not o["momentum"]:
            return {"lr": lr}
        if o["nesterov"]:
            return {"momentum": o["momentum"], "lr": lr}
        rest = 1.0 if step == 1 else 1.0 - o["dampening"]
        return {"momentum": o["momentum"], "rest": rest, "lr": lr}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        if "velocity" not in s:
            return p - s.lr * g
        if "rest" in s:
            s.velocity = s.momentum * s.velocity + s.rest * g
            return p - s.lr * s.velocity
        s.velocity = s.momentum * s.velocity + g
        return p - s.lr * (g + s.momentum * s.velocity)  # Nesterov's
