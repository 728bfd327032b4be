"""Optimisers that divide each step by a statistic of the previous gradients."""

from __future__ import annotations

from chainrule.optim.optimizer import Optimizer, Options, Rule
from chainrule.regions import updates


class Adagrad(Optimizer, lr=1e-2):
    """Adagrad (2.6.3; Duchi, Hazan & Singer 2011): steps shrink where gradients were.

        s ← s + g²;  η_t = η / (1 + (t−1) γ);  θ ← θ − η_t g / (√s + ε)

    Args:
        lr_decay: γ ≥ 0, by which the rate falls on top of its schedule.
        initial_accumulator_value: what s starts from, ≥ 0.

    Others: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.Adagrad``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adagrad([w], lr=0.5).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def rule(self, o: Options) -> Rule:
        return updates.adagrad_update, ("sum",)

    def initial(self, o: Options) -> float:
        return o["initial_accumulator_value"]

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        rate = lr / (1 + (step - 1) * o["lr_decay"])
        return {"lr": rate, "eps": o["eps"]}


class Adadelta(Optimizer, lr=1.0):
    """Adadelta (Zeiler 2012): steps as large as the steps before, and no unit lost.

        v ← ρ v + (1−ρ) g²;  d = g √(a + ε) / √(v + ε);  a ← ρ a + (1−ρ) d²
        θ ← θ − η d

    Args:
        rho: ρ, 0 ≤ ρ < 1, of both running means.

    Others: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.Adadelta``.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.Adadelta([w], lr=0.5, rho=0.0, eps=4.0 / 3).step()
    >>> w                                            # d = 2 √(4/3) / √(4 + 4/3) = 1
    tensor([0.5], requires_grad=True)
    """

    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0

    def rule(self, o: Options) -> Rule:
        return updates.adadelta_update, ("v", "a")

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        rho = o["rho"]
        return {"rho": rho, "rest": 1 - rho, "lr": lr, "eps": o["eps"]}


class RMSprop(Optimizer, lr=1e-2):
    """RMSProp (2.6.3; Tieleman & Hinton 2012): steps by the gradient's recent size.

        v ← α v + (1−α) g²;  θ ← θ − η g / (√v + ε)

    With ``centered`` √v becomes √(v − m²), where m ← α m + (1−α) g. With momentum

        u ← μ u + g / (√v + ε);  θ ← θ − η u

    Args:
        alpha: α, 0 ≤ α < 1.
        momentum: μ, 0 ≤ μ < 1.
        centered: divide by the deviation from the mean gradient (Graves 2013).

    Others: see :class:`Optimizer`. Source: PyTorch's ``torch.optim.RMSprop``. Where
    rounding makes v − m² negative it counts as 0 here.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.RMSprop([w], lr=0.05, alpha=0.75).step()
    >>> w
    tensor([0.9], requires_grad=True)
    """

    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def rule(self, o: Options) -> Rule:
        names = ("v", *["m"] * o["centered"], *["velocity"] * bool(o["momentum"]))
        return _RMSPROP[names], names

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        alpha, momentum = o["alpha"], o["momentum"]
        made = {"alpha": alpha, "rest": 1 - alpha, "lr": lr, "eps": o["eps"]}
        return made | ({"momentum": momentum} if momentum else {})


#: The rule for the moments that there are.
_RMSPROP = {
    ("v",): updates.rmsprop_update,
    ("v", "velocity"): updates.rmsprop_momentum_update,
    ("v", "m"): updates.rmsprop_centered_update,
    ("v", "m", "velocity"): updates.rmsprop_centered_momentum_update,
}
