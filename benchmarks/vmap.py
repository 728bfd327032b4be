"""``cr.vmap`` compiled beside JAX: gradients for each sample, and functions of one.

    pip install jax
    python benchmarks/vmap.py --rounds 15

``gradients``  the gradient of a network 784-128-64-10 for each of 256 samples;
``rows``       the functions of ``tests/test_vmap.py`` that JAX has too, of 512 samples.

Both sides run in one process and take turns, on one thread. Printed is the ratio
JAX/Chainrule of each round's times: the median, and the 10th and 90th percentile in
brackets. Above 1 Chainrule is faster. Times are by the processor's clock, which does
not count what other processes do, nor how long JAX waits for its own thread. Before it
is timed, each pair is held against each other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
if hasattr(os, "sched_setaffinity"):  # one thread, of whatever library
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])

import jax
import jax.numpy as jnp
import numpy as np

import chainrule as cr
from chainrule.nn import functional as F

SAMPLES, SIZES = 256, (784, 128, 64, 10)
MANY = 512

Pair = tuple[Callable[[], Any], Callable[[], Any]]


def gradients(rng: np.random.Generator) -> Pair:
    """The gradient of each sample: ours, and JAX's."""
    weights = [
        (rng.normal(size=(o, i)) / np.sqrt(i)).astype(np.float32)
        for i, o in itertools.pairwise(SIZES)
    ]
    biases = [np.zeros(o, np.float32) for o in SIZES[1:]]
    x = rng.normal(size=(SAMPLES, SIZES[0])).astype(np.float32)
    y = rng.integers(0, SIZES[-1], SAMPLES)

    def ours(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        for w, b in zip(weights[:-1], biases[:-1]):
            x = F.linear(x, w, b).relu()
        return F.cross_entropy(F.linear(x, weights[-1], biases[-1]), y)

    def theirs(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        for w, b in zip(weights[:-1], biases[:-1]):
            x = jax.nn.relu(w @ x + b)
        return -jax.nn.log_softmax(weights[-1] @ x + biases[-1])[y]

    dims = (None, None, 0, 0)
    mine = cr.compile(cr.vmap(cr.grad(ours, (0, 1)), in_dims=dims))
    other = jax.jit(jax.vmap(jax.grad(theirs, (0, 1)), in_axes=dims))
    arrays = weights, biases, x, y
    a = jax.tree.map(cr.tensor, arrays)
    b = jax.tree.map(jnp.asarray, arrays)
    return lambda: mine(*a), lambda: other(*b)


def _lstm(lib: Any, sigmoid: Any) -> Callable[..., Any]:
    def cell(x: Any, h: Any, c: Any, w: Any, u: Any) -> Any:
        z = w @ x + u @ h
        i, f, g, o = (z[k * 32 : (k + 1) * 32] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * lib.tanh(g)
        return sigmoid(o) * lib.tanh(c)

    return cell


def _conv(x: Any, w: Any) -> Any:
    return jax.lax.conv(x[None], w, (1, 1), "VALID")[0]


def _attention(q: Any, k: Any, v: Any) -> Any:
    return jax.nn.softmax(q @ k.T / np.sqrt(q.shape[-1]), -1) @ v


def _normed(x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def _jax_scan(x: Any) -> Any:
    return jax.lax.scan(lambda c, v: (jnp.tanh(c * v), None), x[0], x)[0]


def _our_scan(x: Any) -> Any:
    return cr.scan(lambda c, v: ((c * v).tanh(), None), x[0], x)[0]


def _huber(x: Any, y: Any) -> Any:
    e = jnp.abs(x - y)
    return jnp.where(e < 1, 0.5 * e * e, e - 0.5).mean()


V, M = (64,), (32, 32)
#: Name: ours, JAX's, the shapes of the arguments (an int: an index below it), in_dims.
ROWS: dict[str, tuple[Any, Any, tuple[Any, ...], tuple[int | None, ...]]] = {
    "add": (lambda x, y: x + y, lambda x, y: x + y, (M, M), (0, 0)),
    "shared operand": (lambda x, y: x * y, lambda x, y: x * y, (M, M), (0, None)),
    "exp log": (
        lambda x: x.exp().log1p().sqrt(),
        lambda x: jnp.sqrt(jnp.log1p(jnp.exp(x))),
        (M,),
        (0,),
    ),
    "tanh": (lambda x: x.tanh(), jnp.tanh, (M,), (0,)),
    "gelu": (F.gelu, lambda x: jax.nn.gelu(x, approximate=False), (M,), (0,)),
    "silu": (F.silu, jax.nn.silu, (M,), (0,)),
    "softplus": (F.softplus, jax.nn.softplus, (M,), (0,)),
    "pow": (lambda x, y: x**y, lambda x, y: x**y, (V, V), (0, 0)),
    "sum": (lambda x: x.sum(), jnp.sum, (M,), (0,)),
    "mean": (lambda x: x.mean(0), lambda x: x.mean(0), (M,), (0,)),
    "var": (lambda x: x.var(0), lambda x: x.var(0, ddof=1), (M,), (0,)),
    "max": (lambda x: x.amax(1), lambda x: x.max(1), (M,), (0,)),
    "prod": (lambda x: x.prod(1), lambda x: x.prod(1), (M,), (0,)),
    "norm": (lambda x: x.norm(), jnp.linalg.norm, (V,), (0,)),
    "logsumexp": (
        lambda x: x.logsumexp(-1),
        lambda x: jax.nn.logsumexp(x, -1),
        (M,),
        (0,),
    ),
    "softmax": (lambda x: x.softmax(-1), lambda x: jax.nn.softmax(x, -1), (M,), (0,)),
    "log softmax": (
        lambda x: x.log_softmax(0),
        lambda x: jax.nn.log_softmax(x, 0),
        (M,),
        (0,),
    ),
    "dot": (lambda x, y: x @ y, lambda x, y: x @ y, (V, V), (0, 0)),
    "matrix vector": (lambda w, x: w @ x, lambda w, x: w @ x, ((64, 64), V), (None, 0)),
    "matrices vector": (
        lambda w, x: w @ x,
        lambda w, x: w @ x,
        ((64, 64), V),
        (0, None),
    ),
    "each its matrix": (lambda w, x: w @ x, lambda w, x: w @ x, ((64, 64), V), (0, 0)),
    "matmul": (lambda x, y: x @ y, lambda x, y: x @ y, (M, M), (0, 0)),
    "matmul left": (lambda x, y: x @ y, lambda x, y: x @ y, (M, M), (0, None)),
    "matmul right": (lambda x, y: x @ y, lambda x, y: x @ y, (M, M), (None, 0)),
    "outer": (cr.outer, jnp.outer, (V, V), (0, 0)),
    "conv2d": (F.conv2d, _conv, ((3, 16, 16), (8, 3, 3, 3)), (0, None)),
    "conv2d each": (F.conv2d, _conv, ((3, 16, 16), (8, 3, 3, 3)), (0, 0)),
    "attention": (
        F.scaled_dot_product_attention,
        _attention,
        ((16, 32), (16, 32), (16, 32)),
        (0, 0, 0),
    ),
    "layer norm": (lambda x: F.layer_norm(x, (32,)), _normed, (M,), (0,)),
    "cross entropy": (
        F.cross_entropy,
        lambda z, y: -jax.nn.log_softmax(z)[y],
        ((100,), 100),
        (0, 0),
    ),
    "mse": (F.mse_loss, lambda x, y: ((x - y) ** 2).mean(), (M, M), (0, 0)),
    "huber": (F.huber_loss, _huber, (M, M), (0, 0)),
    "index": (lambda x, i: x[i], lambda x, i: x[i], (M, 32), (0, 0)),
    "embedding": (lambda i, w: w[i], lambda i, w: w[i], (1000, (1000, 32)), (0, None)),
    "slice": (lambda x: x[1:, ::2] * 2, lambda x: x[1:, ::2] * 2, (M,), (0,)),
    "sort": (lambda x: x.sort(-1).values, lambda x: jnp.sort(x, -1), (M,), (0,)),
    "cumsum": (lambda x: x.cumsum(0), lambda x: jnp.cumsum(x, 0), (M,), (0,)),
    "where": (
        lambda x, y: cr.where(x > y, x.log(), y * y),
        lambda x, y: jnp.where(x > y, jnp.log(x), y * y),
        (M, M),
        (0, 0),
    ),
    "transpose": (lambda x: x.T * 2, lambda x: x.T * 2, (M,), (0,)),
    "lstm cell": (
        _lstm(cr, cr.Tensor.sigmoid),
        _lstm(jnp, jax.nn.sigmoid),
        (V, (32,), (32,), (128, 64), (128, 32)),
        (0, 0, 0, None, None),
    ),
    "scan": (_our_scan, _jax_scan, (M,), (0,)),
}


def row(name: str, rng: np.random.Generator) -> Pair:
    """A function of one sample for all: ours, and JAX's."""
    function, other, shapes, dims = ROWS[name]
    arrays: list[Any] = []
    for shape, dim in zip(shapes, dims):
        many = () if dim is None else (MANY,)
        if isinstance(shape, int):
            arrays.append(rng.integers(0, shape, many).astype(np.int32))
        else:
            arrays.append(rng.uniform(0.3, 1.5, (*many, *shape)).astype(np.float32))
    mine = cr.compile(cr.vmap(function, in_dims=dims))
    theirs = jax.jit(jax.vmap(other, in_axes=dims))
    a, b = [cr.tensor(x) for x in arrays], [jnp.asarray(x) for x in arrays]
    return lambda: mine(*a), lambda: theirs(*b)


def ratios(pair: Pair, rounds: int) -> tuple[list[float], float]:
    """JAX's time over ours, round by round, and our shortest time in seconds."""
    ours, theirs = pair
    for a, b in zip(jax.tree.leaves(_arrays(ours())), jax.tree.leaves(theirs())):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
    jobs = (ours, lambda: jax.block_until_ready(theirs()))
    number = max(1, min(200, int(0.01 / max(_seconds(ours, 1), 1e-6))))
    times = [[_seconds(job, number) for job in jobs] for __ in range(rounds)]
    return [b / a for a, b in times], min(a for a, __ in times)


def _arrays(nest: Any) -> Any:
    return jax.tree.map(lambda t: t.numpy(), nest)


def _seconds(job: Callable[[], Any], number: int) -> float:
    started = time.process_time()
    for __ in range(number):
        job()
    return (time.process_time() - started) / number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    made: dict[str, dict[str, float]] = {}
    for name in args.only or ("gradients", *ROWS):
        rng = np.random.default_rng(0)
        pair = gradients(rng) if name == "gradients" else row(name, rng)
        found, fastest = ratios(pair, args.rounds)
        low, middle, high = np.percentile(found, (10, 50, 90))
        made[name] = {"ratio": middle, "low": low, "high": high, "seconds": fastest}
        if not args.json:
            print(
                f"{name:16} {middle:6.2f} [{low:.2f} … {high:.2f}]   "
                f"{fastest * 1e6:9.1f} µs",
                flush=True,
            )
    if args.json:
        print(json.dumps(made))
    else:
        middle = np.exp(np.mean([np.log(r["ratio"]) for r in made.values()]))
        print(f"{'geometric mean':16} {middle:6.2f}")


if __name__ == "__main__":
    main()
