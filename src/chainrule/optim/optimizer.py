"""Optimisers: θ ← θ − η ∂ℒ/∂θ (2.6.2) and its variants (2.6.3).

Each update rule is a region (``chainrule.primitives.updates``), so it is part of the
step's graph. What depends on the step alone (the schedule, Adam's bias correction) is
tabulated in float64 and comes in as scalars: changing η recompiles nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.build import context, no_grad, role, scope
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Region
from chainrule.graph.types import DType
from chainrule.optim.schedules import Schedule, as_schedule
from chainrule.primitives import updates
from chainrule.tensor import Tensor, wrap

Scalars = Callable[[str], Value]


class Optimizer(ABC):
    """Base of the optimisers.

    Args:
        params: the parameters, an iterable of tensors (``model.parameters()``); may
            be left out where a Trainer supplies them.
        lr: the learning rate η, a number or a schedule.

    Attributes:
        steps: how many updates have been made.
        state: for each parameter's name its moments, tensors like any other state.
    """

    #: Names of the moments that each parameter has.
    moments: tuple[str, ...] = ()

    def __init__(
        self, params: Iterable[Tensor] | None = None, *, lr: float | Schedule
    ) -> None:
        self.schedule = as_schedule(lr)
        self.steps = 0
        self.params: dict[str, Tensor] = {}
        self.state: dict[str, dict[str, Tensor]] = {}
        if params is not None:
            given = list(params)
            if not given or not all(isinstance(p, Tensor) for p in given):
                raise ArgumentError(
                    f"{type(self).__name__} needs parameters to change.",
                    expected="model.parameters()",
                    got=repr(given)[:80],
                )
            self.bind({p.name or f"param{i}": p for i, p in enumerate(given)})

    def bind(self, params: Mapping[str, Tensor]) -> None:
        """Take charge of these parameters, with fresh moments."""
        self.params = dict(params)
        self.state = {
            name: {m: Tensor(np.zeros(p.shape, p.dtype.numpy)) for m in self.moments}
            for name, p in self.params.items()
        }
        for name, moments in self.state.items():
            for moment, t in moments.items():
                t.name = f"{name}.{moment}"

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self.schedule(self.steps)

    @abstractmethod
    def scalars(self, step: int, lr: float) -> dict[str, float]:
        """The scalars of update number ``step`` (from 1) in float64."""

    @abstractmethod
    def update(
        self, p: Value, g: Value, moments: dict[str, Value], s: Scalars
    ) -> tuple[Value, dict[str, Value]]:
        """The new parameter and moments, as graph values."""

    def rows(self, steps: int) -> dict[str, Array]:
        """The scalars of the next ``steps`` updates, and move on."""
        first = self.steps
        table = [
            self.scalars(t + 1, self.schedule(t)) for t in range(first, first + steps)
        ]
        self.steps += steps
        return {key: np.array([row[key] for row in table]) for key in table[0]}

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        with_grad = {
            name: (p, p.grad) for name, p in self.params.items() if p.grad is not None
        }
        if not with_grad:
            raise GradientError(
                f"{type(self).__name__}.step() found no gradients.",
                expected="a backward() before it",
                got="every .grad is None",
                fix="call loss.backward() first",
            )
        supply = self._supply()
        with no_grad(), role("update"):
            for name, (p, g) in with_grad.items():
                with scope(name.rpartition(".")[0]):
                    moments = self.state[name]
                    new, changed = self.update(
                        p.value,
                        g.value,
                        {k: t.value for k, t in moments.items()},
                        lambda key, dtype=p.dtype: supply(key, dtype),
                    )
                    p.copy_(wrap(new))
                    for k, value in changed.items():
                        moments[k].copy_(wrap(value))

    def _supply(self) -> Callable[[str, DType], Value]:
        """Where the scalars come from: a table while tracing, numbers otherwise."""
        tabulated = getattr(context.trace, "tabulated", None)
        if tabulated is not None:
            return lambda key, dtype: tabulated(self, key, dtype)
        row = self.rows(1)
        return lambda key, dtype: Value(row[key][0].astype(dtype.numpy).reshape(()))

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.params.values():
            p.grad = None

    def settings(self) -> dict[str, Any]:
        """The hyper-parameters, for logs and checkpoints."""
        return {"name": type(self).__name__, "lr": self.schedule.settings()}

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v}" for k, v in self.settings().items() if k != "name")
        return f"{type(self).__name__}({inner})"


class SGD(Optimizer):
    """Gradient descent (2.6.2), with momentum (2.6.3) where it is asked for.

        v ← μ v + g;  θ ← θ − η v        (θ ← θ − η g without momentum)

    Args:
        params: see :class:`Optimizer`.
        lr: η.
        momentum: μ, 0 ≤ μ < 1.

    >>> import chainrule as cr
    >>> w = cr.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> cr.optim.SGD([w], lr=0.25).step()
    >>> w
    tensor([0.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Tensor] | None = None,
        lr: float | Schedule = 1e-2,
        *,
        momentum: float = 0.0,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ArgumentError(
                "Momentum keeps a share of the velocity.",
                expected="0 ≤ momentum < 1",
                got=repr(momentum),
            )
        self.momentum = momentum
        self.moments = ("velocity",) if momentum else ()
        super().__init__(params, lr=lr)

    def scalars(self, step: int, lr: float) -> dict[str, float]:
        """η and μ."""
        return {"lr": lr, "momentum": self.momentum}

    def update(
        self, p: Value, g: Value, moments: dict[str, Value], s: Scalars
    ) -> tuple[Value, dict[str, Value]]:
        """One step."""
        if not self.momentum:
            return updates.sgd_update(p, g, s("lr")), {}
        new, velocity = updates.momentum_update(
            p, g, moments["velocity"], s("momentum"), s("lr")
        )
        return new, {"velocity": velocity}

    def settings(self) -> dict[str, Any]:
        """η and μ."""
        return super().settings() | {"momentum": self.momentum}


class Adam(Optimizer):
    """Adam (2.6.3; Kingma & Ba 2015, algorithm 1).

        m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²
        θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)

    Args:
        params: see :class:`Optimizer`.
        lr: η.
        betas: (β₁, β₂), each in [0, 1).
        eps: ε.
    """

    moments = ("m", "v")

    def __init__(
        self,
        params: Iterable[Tensor] | None = None,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not all(0 <= b < 1 for b in betas):
            raise ArgumentError(
                "Adam's betas are shares of the past.",
                expected="0 ≤ β < 1 for both",
                got=repr(betas),
            )
        self.betas, self.eps = (float(betas[0]), float(betas[1])), eps
        super().__init__(params, lr=lr)

    def scalars(self, step: int, lr: float) -> dict[str, float]:
        """What ``adam_update`` takes; the bias corrections are folded in."""
        beta1, beta2 = self.betas
        root = math.sqrt(1 - beta2**step)
        return {
            "beta1": beta1,
            "rest1": 1 - beta1,
            "beta2": beta2,
            "rest2": 1 - beta2,
            "step": lr * root / (1 - beta1**step),
            "eps": self.eps * root,
        }

    def update(
        self, p: Value, g: Value, moments: dict[str, Value], s: Scalars
    ) -> tuple[Value, dict[str, Value]]:
        """One step."""
        return self._apply(updates.adam_update, p, g, moments, s, ())

    def _apply(
        self,
        rule: Region,
        p: Value,
        g: Value,
        moments: dict[str, Value],
        s: Scalars,
        more: tuple[str, ...],
    ) -> tuple[Value, dict[str, Value]]:
        names = ("beta1", "rest1", "beta2", "rest2", "step", "eps", *more)
        new, m, v = rule(p, g, moments["m"], moments["v"], *(s(n) for n in names))
        return new, {"m": m, "v": v}

    def settings(self) -> dict[str, Any]:
        """η, β and ε."""
        return super().settings() | {"betas": list(self.betas), "eps": self.eps}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

        θ ← (1 − ηλ)θ − η m̂ / (√v̂ + ε)

    Args:
        params: see :class:`Optimizer`.
        lr: η.
        betas: (β₁, β₂).
        eps: ε.
        weight_decay: λ; all parameters decay, biases too, as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | None = None,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        self.weight_decay = weight_decay
        super().__init__(params, lr, betas=betas, eps=eps)

    def scalars(self, step: int, lr: float) -> dict[str, float]:
        """Adam's, and what a parameter keeps of itself."""
        return super().scalars(step, lr) | {"keep": 1 - lr * self.weight_decay}

    def update(
        self, p: Value, g: Value, moments: dict[str, Value], s: Scalars
    ) -> tuple[Value, dict[str, Value]]:
        """One step."""
        return self._apply(updates.adamw_update, p, g, moments, s, ("keep",))

    def settings(self) -> dict[str, Any]:
        """Adam's and λ."""
        return super().settings() | {"weight_decay": self.weight_decay}
