"""Optimisers that scale each step by the size of the gradients: Adagrad to AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.optim.checks import real, share, truth
from chainrule.optim.optimizer import Groups, Optimizer, Params, Rate, Scalars
from chainrule.regions import updates


class Adagrad(Optimizer):
    """Adagrad (2.6.3; Duchi, Hazan & Singer 2011): steps shrink where gradients were.

        g ← g + λ θ;  s ← s + g²;  η_t = η / (1 + (t−1) γ)
        θ ← θ − η_t g / (√s + ε)

    Args:
        params: see :class:`Optimizer`.
        lr: the learning rate η.
        lr_decay: γ ≥ 0, by which the rate falls on top of its schedule.
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2.
        initial_accumulator_value: what s starts from, ≥ 0.
        eps: ε ≥ 0.
        clip_norm: see :class:`Optimizer`.
        clip_value: see :class:`Optimizer`.
        groups: see :class:`Optimizer`.

    Source: PyTorch's ``torch.optim.Adagrad``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adagrad([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: Rate = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        options = {
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
        }
        super().__init__(
            params,
            lr=lr,
            options=options,
            clip_norm=clip_norm,
            clip_value=clip_value,
            groups=groups,
        )

    numbers = ("lr_decay", "initial_accumulator_value", "eps")

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """All of them ≥ 0."""
        return {name: real(name, value, least=0.0) for name, value in options.items()}

    def moments(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """s, the sum of squares."""
        return ("sum",)

    def initial(self, moment: str, options: Mapping[str, Any]) -> float:
        """What s starts from."""
        return options["initial_accumulator_value"]

    def scalars(
        self, step: int, lr: float, options: Mapping[str, Any]
    ) -> dict[str, float]:
        """η_t, ε and λ."""
        return {
            "lr": lr / (1 + (step - 1) * options["lr_decay"]),
            "eps": options["eps"],
            "decay": options["weight_decay"],
        }

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
        new, total = updates.adagrad_update(
            p, g, moments["sum"], s("lr"), s("eps"), scale=scale, decay=decay
        )
        return new, {"sum": total}


class RMSprop(Optimizer):
    """RMSProp (2.6.3; Tieleman & Hinton 2012): steps by the gradient's recent size.

        g ← g + λ θ;  v ← α v + (1−α) g²
        θ ← θ − η g / (√v + ε)

    With ``centered`` √v becomes √(v − m²), where m ← α m + (1−α) g. With momentum

        u ← μ u + g / (√v + ε);  θ ← θ − η u

    Args:
        params: see :class:`Optimizer`.
        lr: the learning rate η.
        alpha: α, 0 ≤ α < 1.
        eps: ε ≥ 0.
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2.
        momentum: μ, 0 ≤ μ < 1.
        centered: divide by the deviation from the mean gradient (Graves 2013).
        clip_norm: see :class:`Optimizer`.
        clip_value: see :class:`Optimizer`.
        groups: see :class:`Optimizer`.

    Source: PyTorch's ``torch.optim.RMSprop``. Where rounding makes v − m² negative it
    counts as 0 here.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.RMSprop([w], lr=0.05, alpha=0.75).step()
    >>> w
    tensor([0.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: Rate = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        options = {
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(
            params,
            lr=lr,
            options=options,
            clip_norm=clip_norm,
            clip_value=clip_value,
            groups=groups,
        )

    numbers = ("alpha", "eps")

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """α and μ are shares, ε and λ ≥ 0."""
        return {
            "alpha": share("alpha", options["alpha"], "the mean square"),
            "eps": real("eps", options["eps"], least=0.0),
            "weight_decay": real("weight_decay", options["weight_decay"], least=0.0),
            "momentum": share("momentum", options["momentum"], "the velocity"),
            "centered": truth("centered", options["centered"]),
        }

    def moments(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """v, and m and the velocity where they are asked for."""
        names = ["v"]
        if options["centered"]:
            names.append("m")
        if options["momentum"]:
            names.append("velocity")
        return tuple(names)

    def scalars(
        self, step: int, lr: float, options: Mapping[str, Any]
    ) -> dict[str, float]:
        """α, 1 − α, η, ε, μ and λ."""
        return {
            "alpha": options["alpha"],
            "rest": 1 - options["alpha"],
            "lr": lr,
            "eps": options["eps"],
            "momentum": options["momentum"],
            "decay": options["weight_decay"],
        }

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
        rule = _RMSPROP[options["centered"], bool(options["momentum"])]
        numbers = [s("alpha"), s("rest"), s("lr"), s("eps")]
        if options["momentum"]:
            numbers.append(s("momentum"))
        decay = s("decay") if options["weight_decay"] else None
        names = self.moments(options)
        held = [moments[name] for name in names]
        new, *changed = rule(p, g, *held, *numbers, scale=scale, decay=decay)
        return new, dict(zip(names, changed, strict=True))


#: The rule for (centred or not, with momentum or not).
_RMSPROP = {
    (False, False): updates.rmsprop_update,
    (False, True): updates.rmsprop_momentum_update,
    (True, False): updates.rmsprop_centered_update,
    (True, True): updates.rmsprop_centered_momentum_update,
}


class Adam(Optimizer):
    """Adam (2.6.3; Kingma & Ba 2015, algorithm 1).

        g ← g + λ θ
        m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
        θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)

    Args:
        params: see :class:`Optimizer`.
        lr: the learning rate η.
        betas: (β₁, β₂), each in [0, 1).
        eps: ε ≥ 0.
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2. Adam divides its
            gradient by √v̂ too; :class:`AdamW` does not.
        clip_norm: see :class:`Optimizer`.
        clip_value: see :class:`Optimizer`.
        groups: see :class:`Optimizer`.

    Source: PyTorch's ``torch.optim.Adam``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adam([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            options={"betas": betas, "eps": eps, "weight_decay": weight_decay},
            clip_norm=clip_norm,
            clip_value=clip_value,
            groups=groups,
        )

    numbers = ("betas", "eps")

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """The betas are shares, ε and λ ≥ 0."""
        betas = options["betas"]
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ArgumentError(
                f"{type(self).__name__} has two betas.",
                expected="betas=(0.9, 0.999)",
                got=f"betas={betas!r:.80}",
            )
        past = ("the mean gradient", "the mean square")
        kept = [share("β", beta, what) for beta, what in zip(betas, past)]
        return {
            "betas": (kept[0], kept[1]),
            "eps": real("eps", options["eps"], least=0.0),
            "weight_decay": real("weight_decay", options["weight_decay"], least=0.0),
        }

    def moments(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """m and v."""
        return ("m", "v")

    def scalars(
        self, step: int, lr: float, options: Mapping[str, Any]
    ) -> dict[str, float]:
        """What ``adam_update`` takes, with the bias corrections folded in, and λ."""
        beta1, beta2 = options["betas"]
        root = math.sqrt(1 - beta2**step)
        return {
            "beta1": beta1,
            "rest1": 1 - beta1,
            "beta2": beta2,
            "rest2": 1 - beta2,
            "step": lr * root / (1 - beta1**step),
            "eps": options["eps"] * root,
            "decay": options["weight_decay"],
        }

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
        new, m, v = updates.adam_update(
            p, g, moments["m"], moments["v"], *_adam(s), scale=scale, decay=decay
        )
        return new, {"m": m, "v": v}


def _adam(s: Scalars) -> list[Value]:
    """The scalars of Adam's rule in its order."""
    return [s(key) for key in ("beta1", "rest1", "beta2", "rest2", "step", "eps")]


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

        θ ← (1 − ηλ)θ − η m̂ / (√v̂ + ε)

    Args:
        params: see :class:`Optimizer`.
        lr: the learning rate η.
        betas: (β₁, β₂).
        eps: ε.
        weight_decay: λ ≥ 0; all parameters decay, biases too, as in PyTorch. Spare
            them with ``groups={"*.bias": {"weight_decay": 0.0}}``.
        clip_norm: see :class:`Optimizer`.
        clip_value: see :class:`Optimizer`.
        groups: see :class:`Optimizer`.

    Source: PyTorch's ``torch.optim.AdamW``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.AdamW([w], lr=0.5, weight_decay=0.5).step()
    >>> w
    tensor([0.25], requires_grad=True)
    """

    def __init__(
        self,
        params: Params | None = None,
        lr: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
            groups=groups,
        )

    def scalars(
        self, step: int, lr: float, options: Mapping[str, Any]
    ) -> dict[str, float]:
        """Adam's, and what a parameter keeps of itself."""
        keep = 1 - lr * options["weight_decay"]
        return super().scalars(step, lr, options) | {"keep": keep}

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
        m, v = moments["m"], moments["v"]
        if options["weight_decay"]:
            numbers = (*_adam(s), s("keep"))
            new, m, v = updates.adamw_update(p, g, m, v, *numbers, scale=scale)
        else:
            new, m, v = updates.adam_update(p, g, m, v, *_adam(s), scale=scale)
        return new, {"m": m, "v": v}
