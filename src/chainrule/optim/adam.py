"""Adam and related optimisers: a mean of gradients, scaled by their mean square."""

from __future__ import annotations

import functools
import math
from dataclasses import KW_ONLY, field

from chainrule.optim.optimizer import Optimizer, Options, Rule
from chainrule.regions import updates


class _Means(Optimizer):
    """Base class of optimisers with running means of gradients and of their squares."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def means(self, o: Options) -> dict[str, float]:
        """Return the scalars of both running means."""
        beta1, beta2 = o["betas"]
        return {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2, "rest2": 1 - beta2}


class Adam(_Means):
    """Adam (2.6.3; Kingma & Ba 2015, algorithm 1).

        m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
        θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)

    Args:
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2. Adam divides its
            gradient by √v̂ too; :class:`AdamW` does not.
        amsgrad: divide by the largest v so far (Reddi, Kale & Kumar 2018).

    Others: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.Adam``.

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

    def rule(self, o: Options) -> Rule:
        if o["amsgrad"]:
            return updates.amsgrad_update, ("m", "v", "max_v")
        return updates.adam_update, ("m", "v")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        root = math.sqrt(1 - beta2**step)
        rate = lr * root / (1 - beta1**step)
        return self.means(o) | {"step": rate, "eps": o["eps"] * root}


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


class Adamax(_Means, lr=2e-3):
    """Adamax (Kingma & Ba 2015, algorithm 2): Adam by the largest gradient.

        m ← β₁m + (1−β₁)g;  u ← max(β₂u, |g| + ε);  θ ← θ − η/(1−β₁ᵗ) · m/u

    Arguments: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.Adamax``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adamax([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    def rule(self, o: Options) -> Rule:
        return updates.adamax_update, ("m", "u")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        made = {"beta1": beta1, "rest1": 1 - beta1, "beta2": beta2}
        return made | {"step": lr / (1 - beta1**step), "eps": o["eps"]}


class NAdam(_Means, lr=2e-3):
    """NAdam (Dozat 2016): Adam that looks ahead, as Nesterov does.

        μ_t = β₁(1 − ½·0.96^(tψ));   Π_t = μ₁ μ₂ … μ_t
        m̂ = μ_{t+1} m / (1 − Π_{t+1}) + (1 − μ_t) g / (1 − Π_t)
        θ ← θ − η m̂ / (√v̂ + ε)

    with Adam's m and v̂.

    Args:
        momentum_decay: ψ ≥ 0.

    Others: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.NAdam``. Π_t is the
    product with the β₁ and the ψ of now, as if they had always been so.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.NAdam([w], lr=0.5, betas=(0.0, 0.75)).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False

    def rule(self, o: Options) -> Rule:
        return updates.nadam_update, ("m", "v")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        decay, root = o["momentum_decay"], math.sqrt(1 - beta2**step)
        products = _products(beta1, decay)
        while len(products) <= step + 1:
            products.append(products[-1] * _momentum(beta1, decay, len(products)))
        now, following = (_momentum(beta1, decay, t) for t in (step, step + 1))
        return self.means(o) | {
            "now": lr * root * (1 - now) / (1 - products[step]),
            "next": lr * root * following / (1 - products[step + 1]),
            "eps": o["eps"] * root,
        }


def _momentum(beta1: float, decay: float, t: int) -> float:
    """Compute NAdam's momentum factor μ_t."""
    return beta1 * (1 - 0.5 * 0.96 ** (t * decay))


@functools.lru_cache(maxsize=64)
def _products(beta1: float, decay: float) -> list[float]:
    """Return a growing list of NAdam's products Π₀, Π₁ …, cached."""
    return [1.0]


class RAdam(_Means):
    """RAdam (Liu et al. 2020): Adam without the wild steps at the beginning.

        ρ∞ = 2/(1−β₂) − 1;   ρ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ)
        r = √((ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ))
        θ ← θ − η r m̂ √(1−β₂ᵗ) / (√v + ε)    where ρ > 5,  else  θ ← θ − η m̂

    with Adam's m, m̂ and v.

    Arguments: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.RAdam``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.RAdam([w], lr=0.25).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    decoupled_weight_decay: bool = False

    def rule(self, o: Options) -> Rule:
        return updates.radam_update, ("m", "v")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        beta1, beta2 = o["betas"]
        rate, rest = lr / (1 - beta1**step), 1 - beta2**step
        most = 2 / (1 - beta2) - 1
        rho = most - 2 * step * beta2**step / rest
        rectified = rho > 5
        if rectified:
            share = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
            rate *= math.sqrt(share * rest)
        more = {"step": rate, "eps": o["eps"], "rectified": float(rectified)}
        return self.means(o) | more
