"""Gradient descent, with or without momentum."""

from __future__ import annotations

from chainrule.errors import ArgumentError
from chainrule.optim.optimizer import Optimizer, Options, Rule
from chainrule.regions import updates
from chainrule.text import _


class SGD(Optimizer):
    """Gradient descent (2.6.2), with momentum (2.6.3) where it is asked for.

        θ ← θ − η g
        v ← μ v + (1 − τ) g,  θ ← θ − η v        with momentum; v = g at first
        v ← μ v + g,  θ ← θ − η (g + μ v)        with Nesterov's momentum

    Args:
        momentum: μ, 0 ≤ μ < 1.
        dampening: τ, 0 ≤ τ < 1.
        nesterov: look ahead along the velocity; it needs μ > 0 and τ = 0.

    Others: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.SGD``; Polyak 1964;
    Sutskever et al. 2013.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.SGD([w], lr=0.25).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def check(self, o: Options) -> None:
        if o["nesterov"] and not (o["momentum"] and not o["dampening"]):
            raise ArgumentError(
                _("Nesterov's momentum looks ahead along an undampened velocity."),
                expected=_("momentum > 0 and dampening = 0"),
                got=f"momentum={o['momentum']}, dampening={o['dampening']}",
                fix="SGD(lr=0.01, momentum=0.9, nesterov=True)",
            )

    def rule(self, o: Options) -> Rule:
        if not o["momentum"]:
            return updates.sgd_update, ()
        nesterov = o["nesterov"]
        rule = updates.nesterov_update if nesterov else updates.momentum_update
        return rule, ("velocity",)

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        if not o["momentum"]:
            return {"lr": lr}
        if o["nesterov"]:
            return {"momentum": o["momentum"], "lr": lr}
        rest = 1.0 if step == 1 else 1.0 - o["dampening"]
        return {"momentum": o["momentum"], "rest": rest, "lr": lr}
