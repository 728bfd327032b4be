"""Students who work with NumPy alone, and who slip in one place.

Nothing here comes from the package: forward and backward are written once more, and
every slip is what somebody would do in place of one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
Answers = dict[str, Array]


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


_erf = np.vectorize(math.erf, otypes=[float])
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "leakyrelu": lambda z: np.where(z > 0, z, 0.01 * z),
    "gelu": lambda z: z * (1 + _erf(z / math.sqrt(2))) / 2,
    "softmax": _softmax,
}
SLOPES: dict[str, Callable[[Array], Array]] = {
    "": np.ones_like,
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0) * 1.0,
    "leakyrelu": lambda z: np.where(z > 0, 1.0, 0.01),
    "gelu": lambda z: (
        (1 + _erf(z / math.sqrt(2))) / 2
        + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    ),
}
#: f′ written with a, with z put there.
AT_Z: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda z: z * (1 - z),
    "tanh": lambda z: 1 - z**2,
}
ENDS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "hinge": ""}
LOSSES = ("half_squared", "mse", "cross_entropy", "binary_cross_entropy", "hinge")


def rounded(values: Array, digits: int | None) -> Array:
    """To significant digits; below zero, to decimals."""
    if digits is None:
        return np.asarray(values, float)
    if digits < 0:
        return np.round(np.asarray(values, float), -digits)
    flat = [float(f"{v:.{digits - 1}e}") for v in np.ravel(values)]
    return np.array(flat).reshape(np.shape(values))


@dataclass
class Task:
    """A network, numbers, and what is asked."""

    sizes: list[int]
    names: list[str]
    loss: str
    parameters: dict[str, Array]
    x: Array
    y: Array
    lr: float

    @property
    def depth(self) -> int:
        return len(self.names)

    @property
    def spec(self) -> str:
        parts = [f"{s}{a}" for s, a in zip(self.sizes[1:], self.names)]
        return "-".join([str(self.sizes[0]), *parts])

    def labels(self) -> Array:
        """What is given to the framework: class numbers for cross-entropy."""
        return self.y.argmax(1) if self.loss == "cross_entropy" else self.y


def task(
    rng: np.random.Generator,
    *,
    loss: str | None = None,
    n: int = 1,
    depth: int | None = None,
    names: tuple[str, ...] = ("sigmoid", "tanh", "relu"),
    square: bool = False,
) -> Task:
    """A random one; ``square``: all layers of one size, where W and Wᵀ both fit."""
    loss = loss or str(rng.choice(LOSSES))
    depth = depth or int(rng.integers(2, 5))
    sizes = [int(s) for s in rng.integers(2, 5, depth + 1)]
    if square:
        sizes = [sizes[0]] * (depth + 1)
    acts = [str(rng.choice(names)) for _ in range(depth)]
    acts[-1] = ENDS.get(loss, str(rng.choice(("", "sigmoid", "tanh"))))
    parameters: dict[str, Array] = {}
    for k in range(1, depth + 1):
        parameters[f"W{k}"] = np.round(rng.normal(size=(sizes[k], sizes[k - 1])), 2)
        parameters[f"b{k}"] = np.round(rng.normal(size=sizes[k]), 2)
    x = np.round(rng.normal(size=(n, sizes[0])), 2)
    outputs = sizes[-1]
    y: Array = np.round(rng.normal(size=(n, outputs)), 2)
    if loss == "cross_entropy":
        y = np.eye(outputs)[rng.integers(0, outputs, n)]
    elif loss == "binary_cross_entropy":
        y = rng.integers(0, 2, (n, outputs)).astype(float)
    elif loss == "hinge":
        y = rng.choice([-1.0, 1.0], (n, outputs))
    return Task(sizes, acts, loss, parameters, x, y, 0.1)


def loss_of(name: str, p: Array, y: Array) -> Array:
    """ℒ of each output; and by what their sum is divided, besides n."""
    if name == "half_squared":
        return (p - y) ** 2 / 2
    if name == "mse":
        return (p - y) ** 2 / p.shape[1]
    if name == "cross_entropy":
        return -y * np.log(p)
    if name == "binary_cross_entropy":
        return -(y * np.log(p) + (1 - y) * np.log(1 - p)) / p.shape[1]
    return np.maximum(0, 1 - y * p) / p.shape[1]


def gradient_of(name: str, p: Array, y: Array) -> Array:
    """∂ℒ/∂ŷ, without the 1/n."""
    outputs = p.shape[1]
    if name == "half_squared":
        return p - y
    if name == "mse":
        return 2 * (p - y) / outputs
    if name == "cross_entropy":
        return -y / p
    if name == "binary_cross_entropy":
        return (p - y) / (p * (1 - p)) / outputs
    return -y * (y * p < 1) / outputs


class Student:
    """Works a task out; ``digits`` rounds at every step and goes on with that."""

    def __init__(
        self,
        task: Task,
        slip: str = "",
        key: str = "",
        digits: int | None = None,
    ) -> None:
        self.task, self.slip, self.key, self.digits = task, slip, key, digits
        self.answers: Answers = {}
        self.used: Answers = {}
        self.done = False
        self._work()

    def _put(self, key: str, value: Array, **slips: Callable[[], Array]) -> None:
        """An answer; where the slip is planted, what it makes of it."""
        right = value
        if key == self.key and self.slip in slips:
            try:
                value, self.done = slips[self.slip](), True
            except NotImplementedError:
                self.done = False
        self.answers[key] = rounded(value, self.digits)
        # With another shape nobody can go on: what comes next takes the right one.
        fits = np.shape(value) == np.shape(right)
        self.used[key] = rounded(value if fits else right, self.digits)

    def _work(self) -> None:
        t = self.task
        n, depth, A = len(t.x), t.depth, self.used
        a: list[Array] = [t.x]
        for k in range(1, depth + 1):
            self._forward(k, a)
        p, y = a[-1], t.y
        parts = loss_of(t.loss, p, y)
        L = parts.sum() / n
        squared = t.loss in ("half_squared", "mse")
        entropy = "entropy" in t.loss
        self._put(
            "loss",
            L,
            half=lambda: L / 2,
            double=lambda: 2 * L,
            sign=lambda: -L,
            sum=lambda: parts.sum() if n > 1 else _never(),
            other_logarithm=lambda: L / math.log(10) if entropy else _never(),
            square_forgotten=lambda: (
                np.abs(p - y).sum()
                * (0.5 if t.loss == "half_squared" else 1 / p.shape[1])
                / n
                if squared
                else _never()
            ),
            loss_of_z=lambda: (
                loss_of(t.loss, A[f"z{depth}"], y).sum() / n
                if squared and t.names[-1]
                else _never()
            ),
        )
        for k in range(depth, 0, -1):
            self._error(k, p, y, a)
        for k in range(depth, 0, -1):
            self._gradients(k, a)
        for k in range(1, depth + 1):
            for letter in "Wb":
                self._update(letter, k)

    def _forward(self, k: int, a: list[Array]) -> None:
        t, P, A = self.task, self.task.parameters, self.used
        W, b, f = P[f"W{k}"], P[f"b{k}"], FUNCTIONS[t.names[k - 1]]
        h = a[k - 1]
        self._put(
            f"z{k}",
            h @ W.T + b,
            bias_forgotten=lambda: h @ W.T,
            bias_twice=lambda: h @ W.T + 2 * b,
            bias_subtracted=lambda: h @ W.T - b,
            weights_turned=lambda: h @ W + b if _square(W) else _never(),
            z_for_a=lambda: (
                A[f"z{k - 1}"] @ W.T + b if k > 1 and t.names[k - 2] else _never()
            ),
            other_input=lambda: (
                t.x @ W.T + b if k > 1 and t.sizes[0] == t.sizes[k - 1] else _never()
            ),
            sign=lambda: -(h @ W.T + b),
        )
        z = A[f"z{k}"]
        name = t.names[k - 1]
        self._put(
            f"a{k}",
            f(z),
            function_forgotten=lambda: z if name else _never(),
            other_function=lambda: FUNCTIONS[
                "tanh" if name == "sigmoid" else "sigmoid"
            ](z),
            function_of_minus=lambda: f(-z) if name else _never(),
            slope_for_function=lambda: (
                SLOPES[name](z) if name not in ("", "softmax") else _never()
            ),
            not_normalised=lambda: np.exp(z) if name == "softmax" else _never(),
            exp_forgotten=lambda: (
                z / z.sum(-1, keepdims=True) if name == "softmax" else _never()
            ),
        )
        a.append(A[f"a{k}"])

    def _error(self, k: int, p: Array, y: Array, a: list[Array]) -> None:
        t, A = self.task, self.used
        n, depth, name = len(t.x), t.depth, self.task.names[k - 1]
        z = A[f"z{k}"]
        if k == depth:
            g = gradient_of(t.loss, p, y) / n
        else:
            W, d = t.parameters[f"W{k + 1}"], A[f"delta{k + 1}"]
            g = d @ W
        if name == "softmax":
            right = p * (g - (g * p).sum(-1, keepdims=True))
            slope = p * (1 - p)
        else:
            slope = SLOPES[name](z)
            right = g * slope

        def through(other: Array) -> Array:
            return other * slope

        def behind(make: Callable[[Array, Array], Array]) -> Array:
            if k == depth:
                _never()
            return through(make(W, d))

        flat = not name or name == "softmax"
        self._put(
            f"delta{k}",
            right,
            slope_forgotten=lambda: g if name else _never(),
            slope_at_a=lambda: _never() if flat else g * SLOPES[name](a[k]),
            slope_at_z=lambda: g * AT_Z[name](z) if name in AT_Z else _never(),
            function_for_slope=lambda: g * a[k] if name else _never(),
            other_slope=lambda: (
                _never()
                if flat
                else g * SLOPES["tanh" if name == "sigmoid" else "sigmoid"](z)
            ),
            diagonal_alone=lambda: g * slope if name == "softmax" else _never(),
            slope_twice=lambda: right * slope if name else _never(),
            sign=lambda: -right,
            half=lambda: right / 2,
            double=lambda: right * 2,
            sum=lambda: right * n if n > 1 else _never(),
            other_mean=lambda: right / n if n > 1 else _never(),
            matrix_product=lambda: (
                _never() if flat or n > 1 else np.array([[float((g * slope).sum())]])
            ),
            weights_turned_back=lambda: behind(
                lambda W, d: d @ W.T if _square(W) else _never()
            ),
            new_weights=lambda: behind(lambda W, d: d @ (W - t.lr * d.T @ a[k])),
            weights_forgotten=lambda: behind(
                lambda W, d: d if _square(W) else _never()
            ),
            z_for_prediction=lambda: (
                through(gradient_of(t.loss, z, y) / n)
                if k == depth and t.loss in ("half_squared", "mse") and name
                else _never()
            ),
            label_forgotten=lambda: (
                through(gradient_of(t.loss, p, 0 * y) / n)
                if k == depth and t.loss in ("half_squared", "mse")
                else _never()
            ),
        )

    def _gradients(self, k: int, a: list[Array]) -> None:
        t, A = self.task, self.used
        n, h, d = len(t.x), a[k - 1], A[f"delta{k}"]
        sums = {"sum": n, "other_mean": 1 / n}
        scaled = {"sign": -1, "half": 0.5, "double": 2, **(sums if n > 1 else {})}
        dW, db = d.T @ h, d.sum(0)
        self._put(
            f"dW{k}",
            dW,
            turned=lambda: dW.T,
            z_for_input=lambda: (
                d.T @ A[f"z{k - 1}"] if k > 1 and t.names[k - 2] else _never()
            ),
            input_elsewhere=lambda: (
                d.T @ a[k] if t.sizes[k] == t.sizes[k - 1] else _never()
            ),
            elementwise=lambda: d * h if t.sizes[k] == t.sizes[k - 1] else _never(),
            input_forgotten=lambda: d.T @ np.ones_like(h),
            **{name: _constant(c * dW) for name, c in scaled.items()},
        )
        self._put(
            f"db{k}",
            db,
            not_added_up=lambda: d if n > 1 else _never(),
            wrong_error=lambda: (
                next(
                    (
                        A[f"delta{j}"].sum(0)
                        for j in range(1, t.depth + 1)
                        if j != k and t.sizes[j] == t.sizes[k]
                    ),
                    None,
                )
                if t.sizes[1:].count(t.sizes[k]) > 1
                else _never()
            ),
            **{name: _constant(c * db) for name, c in scaled.items()},
        )

    def _update(self, letter: str, k: int) -> None:
        old, g, lr = (
            self.task.parameters[f"{letter}{k}"],
            self.used[f"d{letter}{k}"],
            self.task.lr,
        )
        self._put(
            f"{letter}{k}",
            old - lr * g,
            uphill=lambda: old + lr * g,
            rate_forgotten=lambda: old - g,
            other_rate=lambda: old - 0.37 * g,
            step_alone=lambda: -lr * g,
            turned_step=lambda: (
                old - lr * g.T if old.ndim == 2 and _square(old) else _never()
            ),
            not_updated=lambda: old,
            step_of_sums=lambda: (
                old - lr * len(self.task.x) * g if len(self.task.x) > 1 else _never()
            ),
        )


def _square(W: Array) -> bool:
    return W.shape[0] == W.shape[1] > 1


def _never() -> Any:
    raise NotImplementedError


def _constant(value: Array) -> Callable[[], Array]:
    return lambda: value


#: Every slip, by the kind of quantity.
KINDS = {
    "z": (
        *("bias_forgotten", "bias_twice", "bias_subtracted", "weights_turned"),
        *("z_for_a", "other_input", "sign"),
    ),
    "a": (
        *("function_forgotten", "other_function", "function_of_minus"),
        *("slope_for_function", "not_normalised", "exp_forgotten"),
    ),
    "loss": (
        *("half", "double", "sign", "sum", "other_logarithm", "square_forgotten"),
        "loss_of_z",
    ),
    "delta": (
        *("slope_forgotten", "slope_at_a", "slope_at_z", "function_for_slope"),
        *("other_slope", "diagonal_alone", "slope_twice", "sign", "half", "double"),
        *("sum", "other_mean", "matrix_product", "weights_turned_back", "new_weights"),
        *("weights_forgotten", "z_for_prediction", "label_forgotten"),
    ),
    "dW": (
        *("turned", "z_for_input", "input_elsewhere", "elementwise"),
        *("input_forgotten", "sum", "other_mean", "sign", "half", "double"),
    ),
    "db": (
        "not_added_up",
        "wrong_error",
        "sum",
        "other_mean",
        "sign",
        "half",
        "double",
    ),
    "W": (
        *("uphill", "rate_forgotten", "other_rate", "step_alone", "turned_step"),
        *("not_updated", "step_of_sums"),
    ),
    "b": ("uphill", "rate_forgotten", "other_rate", "step_alone", "not_updated"),
}

#: The misconceptions that the marker names, and the slips that come of them.
MISCONCEPTIONS = {
    "missing": (
        *("bias_forgotten", "function_forgotten", "not_normalised", "slope_forgotten"),
        "exp_forgotten",
        *("square_forgotten", "weights_forgotten", "label_forgotten", "not_added_up"),
        *("input_forgotten", "rate_forgotten", "step_alone", "correction_forgotten"),
        *("root_forgotten", "division_forgotten", "epsilon_forgotten", "not_squared"),
        *("share_forgotten", "moment_forgotten", "decay_of_moment_forgotten"),
        *("hat_forgotten", "power_forgotten", "look_ahead_forgotten"),
        *("decay_forgotten", "decay_without_rate"),
    ),
    "twice": ("bias_twice", "slope_twice"),
    "sign": (
        *("sign", "bias_subtracted", "function_of_minus", "uphill", "decay_sign"),
        *("momentum_sign", "gradient_sign"),
    ),
    "transposed": ("weights_turned", "weights_turned_back", "turned", "turned_step"),
    "other_quantity": (
        *("z_for_a", "other_input", "loss_of_z", "z_for_prediction", "z_for_input"),
        *("slope_at_z", "input_elsewhere", "wrong_error", "rate_of_parameter"),
    ),
    "other_function": (
        *("other_function", "other_slope", "slope_for_function", "slope_at_a"),
        "function_for_slope",
    ),
    "other_product": ("elementwise", "matrix_product", "diagonal_alone"),
    "old_for_new": ("new_weights", "not_updated", "old_moment"),
    "exchanged": ("shares_exchanged", "other_beta"),
    "multiplied": ("correction_multiplied",),
    "factor_more": ("squared", "share_of_momentum", "rate_in_moment"),
    "factor_two": ("half", "double"),
    "other_mean": ("sum", "other_mean", "step_of_sums"),
}
#: Which misconception a planted slip is named as; some have names of their own.
NAMED = {slip: name for name, slips in MISCONCEPTIONS.items() for slip in slips}


def named(slip: str) -> str:
    """The misconception that a marker has to name for a planted slip."""
    return NAMED.get(slip, slip)


def planted(task: Task, digits: int | None = None) -> Iterator[Student]:
    """The student of every slip in every place where it makes a difference."""
    right = Student(task, digits=digits).answers
    for kind, slips in KINDS.items():
        layers = [""] if kind == "loss" else map(str, range(1, task.depth + 1))
        for layer in layers:
            for slip in slips:
                key = f"{kind}{layer}"
                made = Student(task, slip, key, digits)
                if made.done and _differs(made.answers[key], right[key]):
                    yield made


def _differs(a: Array, b: Array) -> bool:
    if np.shape(a) != np.shape(b):
        return True
    apart = np.abs(np.asarray(a) - b).max()
    return bool(apart > 0.05 * np.abs(b).max() and apart > 1e-6)
