"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.optim.checks import real, share, truth
from chainrule.optim.optimizer import Groups, Optimizer, Params, Rate, Scalars
from chainrule.primitives.elementwise import mul
from chainrule.regions import updates


class SGD(Optimizer):
    """Gradient descent (2.6.2), with momentum (2.6.3) where it is asked for.

        g ← g + λ θ                        (weight decay)
        v ← μ v + (1 − τ) g                (momentum; v = g at the first update)
        θ ← θ − η v                        (θ ← θ − η g without momentum)
        θ ← θ − η (g + μ v)                (with Nesterov's momentum)

    Args:
        params: see :class:`Optimizer`.
        lr: the learning rate η.
        momentum: μ, 0 ≤ μ < 1.
        dampening: τ, 0 ≤ τ < 1.
        nesterov: look ahead along the velocity; it needs μ > 0 and τ = 0.
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2.
        clip_norm: see :class:`Optimizer`.
        clip_value: see :class:`Optimizer`.
        groups: see :class:`Optimizer`.

    Source: PyTorch's ``torch.optim.SGD``; Polyak 1964; Sutskever et al. 2013.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.SGD([w], lr=0.25).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: Rate = 1e-2,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        options = {
            "momentum": momentum,
            "dampening": dampening,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
        }
        super().__init__(
            params,
            lr=lr,
            options=options,
            clip_norm=clip_norm,
            clip_value=clip_value,
            groups=groups,
        )

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """μ and τ are shares, λ ≥ 0, and Nesterov has what it needs."""
        checked = {
            "momentum": share("momentum", options["momentum"], "the velocity"),
            "dampening": share("dampening", options["dampening"], "the gradient back"),
            "nesterov": truth("nesterov", options["nesterov"]),
            "weight_decay": real("weight_decay", options["weight_decay"], least=0.0),
        }
        if checked["nesterov"] and not (
            checked["momentum"] and not checked["dampening"]
        ):
            raise ArgumentError(
                "Nesterov's momentum looks ahead along an undampened velocity.",
                expected="momentum > 0 and dampening = 0",
                got=f"momentum={checked['momentum']}, dampening={checked['dampening']}",
                fix="SGD(lr=0.01, momentum=0.9, nesterov=True)",
            )
        return checked

    def moments(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The velocity, where there is momentum."""
        return ("velocity",) if options["momentum"] else ()

    def scalars(
        self, step: int, lr: float, options: Mapping[str, Any]
    ) -> dict[str, float]:
        """η, μ, 1 − τ and λ."""
        made = {"lr": lr, "decay": options["weight_decay"]}
        if options["momentum"]:
            rest = 1.0 if step == 1 else 1.0 - options["dampening"]
            made |= {"momentum": options["momentum"], "rest": rest}
            made["decay"] *= rest
        return made

    def update(
        self,
        p: Value,
        g: Value,
        moments: Mapping[str, Value],
        options: Mapping[str, Any],
        s: Scalars,
        scale: Value | None,
    ) -> tuple[Value, dict[str, Value]]:
        """One step."""
        decay = s("decay") if options["weight_decay"] else None
        if not options["momentum"]:
            return updates.sgd_update(p, g, s("lr"), scale=scale, decay=decay), {}
        if options["dampening"]:  # (1 − τ)(s g + λ θ) is a scaled gradient too
            scale = s("rest") if scale is None else mul(s("rest"), scale)
        rule = (
            updates.nesterov_update if options["nesterov"] else updates.momentum_update
        )
        v, numbers = moments["velocity"], (s("momentum"), s("lr"))
        new, velocity = rule(p, g, v, *numbers, scale=scale, decay=decay)
        return new, {"velocity": velocity}
