"""Optimisers and schedules in plain NumPy float64, by the papers' formulas."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

import numpy as np

Array = np.ndarray


def rate(schedule: dict[str, Any], t: int) -> float:
    """η of update t, from 0, of a schedule that counts updates."""
    lr, name = schedule["lr"], schedule["name"]
    if name == "Schedule":
        return lr
    if name == "StepLR":
        return lr * schedule["gamma"] ** (t // schedule["step_size"])
    if name == "MultiStepLR":
        return lr * schedule["gamma"] ** bisect_right(schedule["milestones"], t)
    if name == "PiecewiseConstantLR":
        return [lr, *schedule["rates"]][bisect_right(schedule["milestones"], t)]
    if name == "ExponentialLR":
        return lr * schedule["gamma"] ** t
    if name == "CosineAnnealingLR":
        return lr * (1 + math.cos(math.pi * t / schedule["T_max"])) / 2
    assert name == "LinearWarmup"
    steps, start = schedule["steps"], schedule["start_factor"]
    return lr if t >= steps else lr * (start + (1 - start) * t / steps)


class Group:
    """Parameters with the same hyper-parameters.

    Attributes:
        names: of the parameters.
        o: the hyper-parameters.
        schedule: the settings of the rate.
    """

    def __init__(self, names: list[str], o: dict[str, Any], schedule: Any) -> None:
        self.names, self.o, self.schedule = names, o, schedule


class Oracle:
    """An optimiser by its name. Moments that a rule has not are forgotten."""

    def __init__(self, kind: str, groups: list[Group], limits: dict[str, Any]) -> None:
        self.kind, self.groups, self.limits = kind, groups, dict(limits)
        self.steps = 0
        self.state: dict[str, dict[str, Array]] = {n: {} for n in self.names()}

    def names(self) -> list[str]:
        """The names of all parameters."""
        return [name for group in self.groups for name in group.names]

    def step(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Change the parameters that have a gradient."""
        g = {n: np.array(grads[n]) for n in self.names() if n in grads}
        if (limit := self.limits["clip_value"]) is not None:
            g = {n: np.clip(a, -limit, limit) for n, a in g.items()}
        if (limit := self.limits["clip_norm"]) is not None:
            norm = math.sqrt(sum(float((a * a).sum()) for a in g.values()))
            g = {n: a * min(1.0, limit / (norm + 1e-6)) for n, a in g.items()}
        for group in self.groups:
            lr = rate(group.schedule, self.steps)
            for name in group.names:
                self._moments(name, params[name], group.o)
                if name in g:
                    args = params[name], g[name], self.state[name], group.o
                    params[name] = self._step(*args, self.steps + 1, lr)
        self.steps += 1

    def settle(self, params: dict[str, Array]) -> None:
        """Have the moments that the hyper-parameters ask for."""
        for group in self.groups:
            for name in group.names:
                self._moments(name, params[name], group.o)

    def _moments(self, name: str, p: Array, o: dict[str, Any]) -> None:
        kind = self.kind
        wanted = {
            "SGD": ["velocity"] if o.get("momentum") else [],
            "Adam": ["m", "v", *["max_v"] * bool(o.get("amsgrad"))],
            "Adamax": ["m", "u"],
            "NAdam": ["m", "v"],
            "RAdam": ["m", "v"],
            "Adagrad": ["sum"],
            "Adadelta": ["v", "a"],
            "RMSprop": [
                "v",
                *["m"] * bool(o.get("centered")),
                *["velocity"] * bool(o.get("momentum")),
            ],
        }["Adam" if kind == "AdamW" else kind]
        start = o["initial_accumulator_value"] if kind == "Adagrad" else 0.0
        old = self.state[name]
        self.state[name] = {k: old.get(k, np.full(p.shape, start)) for k in wanted}

    def _step(
        self, p: Array, g: Array, s: dict[str, Array], o: Any, t: int, lr: float
    ) -> Array:
        if o["maximize"]:
            g = -g
        if o.get("weight_decay"):
            if o.get("decoupled_weight_decay", self.kind == "AdamW"):
                p = p * (1 - lr * o["weight_decay"])
            else:
                g = g + o["weight_decay"] * p
        if o.get("l1_penalty"):
            g = g + o["l1_penalty"] * np.sign(p)
        kind = "adam" if self.kind == "AdamW" else self.kind.lower()
        return getattr(self, f"_{kind}")(p, g, s, o, t, lr)

    def _sgd(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        if not o["momentum"]:
            return p - lr * g
        rest = 1.0 if t == 1 else 1 - o["dampening"]
        s["velocity"] = o["momentum"] * s["velocity"] + rest * g
        if o["nesterov"]:
            return p - lr * (g + o["momentum"] * s["velocity"])
        return p - lr * s["velocity"]

    def _means(self, g: Array, s: Any, o: Any) -> tuple[float, float]:
        b1, b2 = o["betas"]
        s["m"] = b1 * s["m"] + (1 - b1) * g
        if "v" in s:
            s["v"] = b2 * s["v"] + (1 - b2) * g * g
        return b1, b2

    def _adam(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        b1, b2 = self._means(g, s, o)
        v = s["v"]
        if o["amsgrad"]:
            v = s["max_v"] = np.maximum(s["max_v"], v)
        m_hat, v_hat = s["m"] / (1 - b1**t), v / (1 - b2**t)
        return p - lr * m_hat / (np.sqrt(v_hat) + o["eps"])

    def _adamax(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        b1, b2 = self._means(g, s, o)
        s["u"] = np.maximum(b2 * s["u"], abs(g) + o["eps"])
        return p - lr / (1 - b1**t) * s["m"] / s["u"]

    def _nadam(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        b1, b2 = self._means(g, s, o)
        psi = o["momentum_decay"]
        mu = [b1 * (1 - 0.5 * 0.96 ** (i * psi)) for i in range(1, t + 2)]
        now, all_ = math.prod(mu[:-1]), math.prod(mu)
        m_hat = mu[-1] * s["m"] / (1 - all_) + (1 - mu[-2]) * g / (1 - now)
        return p - lr * m_hat / (np.sqrt(s["v"] / (1 - b2**t)) + o["eps"])

    def _radam(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        b1, b2 = self._means(g, s, o)
        m_hat, rest = s["m"] / (1 - b1**t), 1 - b2**t
        most = 2 / (1 - b2) - 1
        rho = most - 2 * t * b2**t / rest
        if rho <= 5:
            return p - lr * m_hat
        r = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
        return p - lr * math.sqrt(r * rest) * m_hat / (np.sqrt(s["v"]) + o["eps"])

    def _adagrad(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        s["sum"] = s["sum"] + g * g
        lr = lr / (1 + (t - 1) * o["lr_decay"])
        return p - lr * g / (np.sqrt(s["sum"]) + o["eps"])

    def _adadelta(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        rho, eps = o["rho"], o["eps"]
        s["v"] = rho * s["v"] + (1 - rho) * g * g
        d = g * np.sqrt(s["a"] + eps) / np.sqrt(s["v"] + eps)
        s["a"] = rho * s["a"] + (1 - rho) * d * d
        return p - lr * d

    def _rmsprop(self, p: Array, g: Array, s: Any, o: Any, t: int, lr: float) -> Array:
        a = o["alpha"]
        v = s["v"] = a * s["v"] + (1 - a) * g * g
        if o["centered"]:
            s["m"] = a * s["m"] + (1 - a) * g
            v = np.maximum(v - s["m"] ** 2, 0.0)
        d = g / (np.sqrt(v) + o["eps"])
        if o["momentum"]:
            d = s["velocity"] = o["momentum"] * s["velocity"] + d
        return p - lr * d
