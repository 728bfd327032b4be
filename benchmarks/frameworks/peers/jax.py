"""JAX: one jitted ``lax.scan`` over the steps of a turn, or a jitted step.

Variants are of layout (weights as (out, in) or (in, out), images as NHWC or NCHW), and
``step`` beside it, without a scan: XLA's convolutions are slow within a loop. State is
donated. Random bits are Threefry's: XLA's own generator ("rbg") is slower on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from frameworks.workloads import Job, Layers

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
from jax import lax
from jax import numpy as jnp

Arrays = dict[str, Any]
BETA1, BETA2, EPS, LR = 0.9, 0.999, 1e-8, 1e-3


@dataclass
class Pass:
    """One way through a network: its numbers, and what it leaves behind.

    Attributes:
        arrays: weights and statistics by their names in a ``state_dict``.
        layout: the variant.
        key: of this step's random bits; None when predicting.
        statistics: the new ones of batch normalisation.
    """

    arrays: Arrays
    layout: str
    key: Any = None
    statistics: Arrays = field(default_factory=dict)

    def product(self, x: Any, name: str) -> Any:
        w = self.arrays[name]
        return x @ (w if self.layout == "in-out" else w.T)

    @property
    def spatial(self) -> tuple[int, int]:
        return (1, 2) if self.layout == "nhwc" else (2, 3)


def linear(run: Pass, name: str, x: Any, *_: int) -> Any:
    return run.product(x, f"{name}weight") + run.arrays[f"{name}bias"]


def conv(run: Pass, at: str, x: Any, *sizes: int) -> Any:
    _, _, _, stride, pad = sizes
    nhwc = run.layout == "nhwc"
    made = lax.conv_general_dilated(
        x,
        run.arrays[f"{at}weight"],
        (stride, stride),
        [(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC") if nhwc else None,
    )
    bias = run.arrays[f"{at}bias"]
    return made + (bias if nhwc else bias[:, None, None])


def pooled(run: Pass, x: Any, size: int, reduce: Callable[..., Any]) -> Any:
    """Windows that do not overlap, as axes of their own."""
    shape = list(x.shape)
    for axis in reversed(run.spatial):
        shape[axis : axis + 1] = [shape[axis] // size, size]
    first = run.spatial[0]
    return reduce(x.reshape(shape), axis=(first + 1, first + 3))


def flatten(run: Pass, at: str, x: Any, start: int = 1, end: int = -1) -> Any:
    if (start, end) == (0, 1):
        return x.reshape(-1, *x.shape[2:])
    if run.layout == "nhwc":
        x = x.transpose(0, 3, 1, 2)
    return x.reshape(len(x), -1)


def batch_norm(run: Pass, at: str, x: Any, features: int) -> Any:
    axis = x.ndim - 1 if x.ndim == 2 or run.layout == "nhwc" else 1
    axes = tuple(a for a in range(x.ndim) if a != axis)
    shape = [features if a == axis else 1 for a in range(x.ndim)]
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // features
    for kind, now in ("mean", mean), ("var", var * (count / (count - 1))):
        held = f"{at}running_{kind}"
        run.statistics[held] = 0.9 * run.arrays[held] + 0.1 * now
    scale = run.arrays[f"{at}weight"] * lax.rsqrt(var + 1e-5)
    shift = run.arrays[f"{at}bias"] - mean * scale
    return x * scale.reshape(shape) + shift.reshape(shape)


def layer_norm(run: Pass, at: str, x: Any, features: int) -> Any:
    x = x - x.mean(-1, keepdims=True)
    x = x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * run.arrays[f"{at}weight"] + run.arrays[f"{at}bias"]


def dropout(run: Pass, at: str, x: Any, p: float) -> Any:
    run.key, key = jax.random.split(run.key)
    return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


def residual(run: Pass, at: str, x: Any, body: Layers, shortcut: Layers) -> Any:
    return forward(run, body, x, f"{at}body.") + forward(
        run, shortcut, x, f"{at}shortcut."
    )


def gelu(x: Any) -> Any:
    return jax.nn.gelu(x, approximate=False)


def block(run: Pass, at: str, x: Any, width: int, heads: int) -> Any:
    n, t, _ = x.shape
    made = layer_norm(run, f"{at}norm1.", x, width)
    made = run.product(made, f"{at}self_attn.in_proj_weight")
    made = made + run.arrays[f"{at}self_attn.in_proj_bias"]
    q, k, v = made.reshape(n, t, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    scores = jnp.einsum("nhqd,nhkd->nhqk", q, k) * (width // heads) ** -0.5
    scores = jnp.where(jnp.tril(jnp.ones((t, t), bool)), scores, -jnp.inf)
    seen = jnp.einsum("nhqk,nhkd->nhqd", jax.nn.softmax(scores), v)
    seen = seen.transpose(0, 2, 1, 3).reshape(n, t, width)
    x = x + linear(run, f"{at}self_attn.out_proj.", seen)
    made = gelu(linear(run, f"{at}linear1.", layer_norm(run, f"{at}norm2.", x, width)))
    return x + linear(run, f"{at}linear2.", made)


def recurrent(run: Pass, at: str, x: Any, hidden: int, gates: int) -> Any:
    """The last state; x's products are made before the loop."""
    bias = run.arrays[f"{at}bias_ih_l0"]
    own = run.arrays[f"{at}bias_hh_l0"]
    rows = run.product(x.transpose(1, 0, 2), f"{at}weight_ih_l0") + bias
    zero = jnp.zeros((len(x), hidden), x.dtype)

    def lstm(carry: Any, row: Any) -> Any:
        h, c = carry
        z = row + run.product(h, f"{at}weight_hh_l0")
        i, f, g, o = jnp.split(z, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    def gru(h: Any, row: Any) -> Any:
        r, z, n = jnp.split(row, 3, 1)
        u, v, w = jnp.split(run.product(h, f"{at}weight_hh_l0") + own, 3, 1)
        r, z = jax.nn.sigmoid(r + u), jax.nn.sigmoid(z + v)
        return (1 - z) * jnp.tanh(n + r * w) + z * h, None

    if gates == 4:
        return lax.scan(lstm, (zero, zero), rows + own)[0][0]
    return lax.scan(gru, zero, rows)[0]


#: Layer → (the pass, where it is, its input, its arguments) → its output.
LAYERS: dict[str, Callable[..., Any]] = {
    "Linear": linear,
    "Conv2d": conv,
    "BatchNorm1d": batch_norm,
    "BatchNorm2d": batch_norm,
    "LayerNorm": layer_norm,
    "Residual": residual,
    "Block": block,
    "Dropout": dropout,
    "Flatten": flatten,
    "MaxPool2d": lambda run, at, x, size: pooled(run, x, size, jnp.max),
    "AvgPool2d": lambda run, at, x, size: pooled(run, x, size, jnp.mean),
    "Embedding": lambda run, at, x, *_: run.arrays[f"{at}weight"][x],
    "Positions": lambda run, at, x, *_: x + run.arrays[f"{at}weight"],
    "LSTM": lambda run, at, x, _, hidden: recurrent(run, at, x, hidden, 4),
    "GRU": lambda run, at, x, _, hidden: recurrent(run, at, x, hidden, 3),
    "ReLU": lambda run, at, x: jnp.maximum(x, 0),
    "GELU": lambda run, at, x: gelu(x),
    "Identity": lambda run, at, x: x,
}


def forward(run: Pass, layers: Layers, x: Any, at: str = "") -> Any:
    """The network's output; each layer's weights are named by its number."""
    for number, (kind, *arguments) in enumerate(layers):
        x = LAYERS[kind](run, f"{at}{number}.", x, *arguments)
    return x


def _arrays(job: Job, layout: str) -> tuple[Arrays, Arrays]:
    """Weights and statistics, as they lie in this layout."""
    weights, statistics = {}, {}
    for name, array in job.weights.items():
        if layout == "in-out" and array.ndim == 2 and not _is_table(job, name):
            array = array.T
        elif layout == "nhwc" and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        held = statistics if "running_" in name else weights
        if not name.endswith("num_batches_tracked"):
            held[name] = jax.device_put(np.array(array, order="C"))
    return weights, statistics


def _is_table(job: Job, name: str) -> bool:
    """Whether its rows are looked up, not multiplied."""
    return job.work.layers[int(name.split(".")[0])][0] in ("Embedding", "Positions")


class Training:
    """A hand-written step; ``norms``: with the norms of the weights' gradients."""

    def __init__(
        self, job: Job, variant: str, threads: int, *, norms: bool = False
    ) -> None:
        self.work = work = job.work
        self.norms = norms
        self.layout, _, self.stepwise = variant.partition(" ")
        weights, statistics = _arrays(job, self.layout)
        self.parameters = sum(a.size for a in weights.values())
        moments = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = weights, *moments, statistics
        x = job.features
        x = x.transpose(0, 2, 3, 1) if self.layout == "nhwc" else x
        self.x, self.y = jax.device_put(np.array(x)), jax.device_put(job.y)
        self.steps = 0
        train = self._step if self.stepwise else self._scan
        self.train = jax.jit(train, donate_argnums=0)
        self.scores = jax.jit(
            lambda w, x: forward(Pass(w, self.layout), work.layers, x)
        )

    def _loss(self, weights: Arrays, statistics: Arrays, x: Any, y: Any, key: Any):
        run = Pass(weights | statistics, self.layout, key)
        scores = forward(run, self.work.layers, x)
        if self.work.classes == 1:
            z = scores[:, 0]
            cost = jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))
        else:
            logs = jax.nn.log_softmax(scores)
            cost = -jnp.take_along_axis(logs, y.reshape(-1, 1), axis=1)
        return cost.mean(), run.statistics

    def _scan(self, state: Any, x: Any, y: Any, given: Any) -> Any:
        return lax.scan(lambda s, g: self._step(s, x, y, g), state, given)

    def _step(self, state: Any, x: Any, y: Any, given: Any) -> Any:
        decay, clip = self.work.weight_decay, self.work.clip_norm
        weights, m, v, statistics = state
        index, number, rate, root = given
        key = jax.random.key(number)
        (loss, statistics), g = jax.value_and_grad(self._loss, has_aux=True)(
            weights, statistics, x[index], y[index], key
        )
        if clip is not None:
            norm = jnp.sqrt(sum(jnp.vdot(a, a) for a in g.values()))
            factor = jnp.minimum(1, clip / (norm + 1e-6))
            g = jax.tree.map(lambda a: a * factor, g)
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p * (1 - LR * decay) - rate * m / (jnp.sqrt(v) * root + EPS)

        state = jax.tree.map(moved, weights, m, v), m, v, statistics
        if not self.norms:
            return state, loss
        return state, (
            loss,
            [jnp.sqrt(jnp.vdot(a, a)) for a in g.values() if a.ndim > 1],
        )

    def run(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        # Bias corrections depend on the step alone: tables.
        numbers = self.steps + np.arange(len(order), dtype=np.int32)
        self.steps += len(order)
        t = numbers + 1.0
        rates = (LR / (1 - BETA1**t)).astype(np.float32)
        roots = (1 / np.sqrt(1 - BETA2**t)).astype(np.float32)
        given = order, numbers, rates, roots
        if not self.stepwise:
            self.state, seen = self.train(self.state, self.x, self.y, given)
            return np.asarray(seen[0] if self.norms else seen)
        found = []
        for row in zip(*given):
            self.state, seen = self.train(self.state, self.x, self.y, row)
            found.append(seen[0] if self.norms else seen)
        return np.array(found)

    def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(self.scores(self.state[0], x))


class Inference:
    def __init__(self, job: Job, variant: str, threads: int) -> None:
        weights, _ = _arrays(job, variant)
        self.parameters = sum(a.size for a in weights.values())
        self.scores = jax.jit(
            lambda x: forward(Pass(weights, variant), job.work.layers, x)
        )

    def __call__(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(self.scores(x))
