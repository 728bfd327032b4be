"""The Adam and AdamW optimisers: mean gradient over root mean square."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, field
from typing import Any, ClassVar

from chainrule.optim.arguments import nonnegative, option, share_check
from chainrule.optim.hyper_parameters import Options
from chainrule.optim.rule import maximum, sqrt
from chainrule.optim.rule_optimizer import RuleOptimizer
from chainrule.text import _
from chainrule.util.validation import refused


def check_betas(name: str, value: Any) -> tuple[float, float]:
    """Check Adam's decay factors β₁ and β₂ of the running means."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise refused(name, value, _("{name} must be two betas."), "betas=(0.9, 0.999)")
    first, second = value
    return (
        share_check(_("the mean gradient"))("β", first),
        share_check(_("the mean square"))("β", second),
    )


class RunningMeans(RuleOptimizer):
    """Base class of Adam-like optimisers: running means of gradients and squares.

    m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
    """

    betas: tuple[float, float] = option(default=(0.9, 0.999), check=check_betas)
    eps: float = nonnegative(default=1e-8)
    weight_decay: float = nonnegative(default=0.0)

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("m", "v")

    def mean_scalars(self, o: Options) -> dict[str, float]:
        """Return an Adam-like optimiser's β₁, β₂, 1 − β₁ and 1 − β₂."""
        beta1, beta2 = o["betas"]
        return {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "rest2": 1 - beta2}

    @staticmethod
    def update_means(g: Any, s: Any) -> None:
        """Update an Adam-like optimiser's running means m and v by a gradient."""
        s.m = s.beta1 * s.m + s.rest1 * g
        s.v = s.beta2 * s.v + s.rest2 * g**2


class Adam(RunningMeans):
    """Adam (2.6.3; Kingma & Ba 2015, algorithm 1).

        m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
        θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)

    Args:
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2. Adam divides its
            gradient by √v̂ too; :class:`AdamW` does not.
        amsgrad: divide by the largest v so far (Reddi, Kale & Kumar 2018).

    Others: see :class:`RuleOptimizer`. Source: PyTorch's ``torch.optim.Adam``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adam([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    amsgrad: bool = False
    _: KW_ONLY
    decoupled_weight_decay: bool = False

    source = "Kingma & Ba 2015, algorithm 1; amsgrad: Reddi, Kale & Kumar 2018"
    letters: ClassVar = {"max_v": "w"}
    variants = ({}, {"amsgrad": True})

    def moments(self, o: Options) -> tuple[str, ...]:
        return ("m", "v", "max_v") if o["amsgrad"] else ("m", "v")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        # With root = √(1−β₂ᵗ): η m̂/(√v̂ + ε) = (η root/(1−β₁ᵗ)) m/(√v + ε root).
        beta1, beta2 = o["betas"]
        root = math.sqrt(1 - beta2**step)
        rate = lr * root / (1 - beta1**step)
        return self.mean_scalars(o) | {"step": rate, "eps": o["eps"] * root}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        RunningMeans.update_means(g, s)
        if "max_v" not in s:
            return p - s.step * s.m / (sqrt(s.v) + s.eps)
        s.max_v = maximum(s.max_v, s.v)
        return p - s.step * s.m / (sqrt(s.max_v) + s.eps)


class AdamW(Adam, weight_decay=1e-2):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

        θ ← (1 − ηλ)θ − η m̂ / (√v̂ + ε)

    Args:
        weight_decay: λ ≥ 0; all parameters decay, biases too, as in PyTorch. Spare them
            with ``[{"params": "*.bias", "weight_decay": 0.0}, {"params": "*"}]``.

    Others: see :class:`Adam`. Source: PyTorch's ``torch.optim.AdamW``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.AdamW([w], lr=0.5, weight_decay=0.5).step()
    >>> w
    tensor([0.25], requires_grad=True)
    """

    decoupled_weight_decay: bool = field(default=True, init=False)
    decoupled = True
