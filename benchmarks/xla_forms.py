"""Functions with a fused form in JAX, as the engine ``xla`` lowers them and in JAX.

    python benchmarks/xla_forms.py

The engine opens softmax, layer norm, GELU and attention into the operations that they
are made of, with the derivatives of our own graphs. Beside each stands JAX's own form
(``jax.nn``), with JAX's derivative. Both are jitted and take turns; printed is the
ratio of each round's processor times, ours over JAX's, forwards and with the
derivative: the median, and the 10th and 90th percentile in brackets. Below 1 ours is
faster. ``apart`` is the largest difference of the results, over the largest result.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax
import jax.numpy as jnp

import chainrule as cr
from chainrule import nn
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.engines.xla.checks import Checks
from chainrule.engines.xla.control import opened
from chainrule.engines.xla.lower import results
from chainrule.graph.types import ArrayType, DType

F = nn.functional
ROWS, WIDTH = (768, 512), 512
#: Name → ours, JAX's own, the shapes of the operands.
FORMS: dict[str, tuple[Any, Any, list[tuple[int, ...]]]] = {
    "softmax": (lambda x: x.softmax(-1), jax.nn.softmax, [ROWS]),
    "log_softmax": (lambda x: x.log_softmax(-1), jax.nn.log_softmax, [ROWS]),
    "layer norm": (
        lambda x: F.layer_norm(x, WIDTH),
        lambda x: jax.nn.standardize(x, epsilon=1e-5),
        [ROWS],
    ),
    "GELU": (F.gelu, lambda x: jax.nn.gelu(x, approximate=False), [ROWS]),
}
for _time, _heads, _width, _batch in ((64, 4, 32, 12), (512, 8, 64, 2)):
    FORMS[f"attention, {_time} places"] = (
        # Ours has the heads before the places.
        lambda *qkv: F.scaled_dot_product_attention(
            *(t.transpose(1, 2) for t in qkv), is_causal=True
        ).transpose(1, 2),
        lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True),
        [(_batch, _time, _heads, _width)] * 3,
    )


def lowered(f: Callable[..., Any], shapes: list[tuple[int, ...]]) -> Callable[..., Any]:
    """Our function as the engine has JAX trace it."""
    inputs = [
        Input(f"x{i}", ArrayType(shape, DType.float32))
        for i, shape in enumerate(shapes)
    ]
    graph = opened(trace_entry("form", f, inputs).entry.graph)
    return lambda *xs: results(graph, xs, Checks())


def both_ways(of: Any, grad: Any, shapes: list[tuple[int, ...]]) -> Any:
    """The derivatives of the sum of the cubes of what ``of`` gives."""
    places = tuple(range(len(shapes)))
    return lambda *xs: grad(lambda *xs: (of(*xs) ** 3).sum(), places)(*xs)


def compare(ours: Any, theirs: Any, shapes: Any, rounds: int) -> tuple[Any, float]:
    """The ratio's percentiles, and how far the results are apart."""
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.normal(size=s).astype(np.float32)) for s in shapes]
    runs = [jax.jit(ours), jax.jit(theirs)]
    mine, other = (jax.tree.leaves(run(*xs)) for run in runs)
    apart = max(float(abs(a - b).max() / abs(b).max()) for a, b in zip(mine, other))
    ratios = []
    for _ in range(rounds):
        seconds = []
        for run in runs:
            started = time.process_time()
            for _ in range(5):
                made = run(*xs)
            jax.block_until_ready(made)
            seconds.append(time.process_time() - started)
        ratios.append(seconds[0] / seconds[1])
    return np.percentile(ratios, [50, 10, 90]), apart


def main() -> None:
    """Measure all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    for name, (ours, theirs, shapes) in FORMS.items():
        ways = {
            "forwards": (ours, theirs),
            "and back": (
                both_ways(ours, cr.grad, shapes),
                both_ways(theirs, jax.grad, shapes),
            ),
        }
        for way, (mine, other) in ways.items():
            (median, low, high), apart = compare(
                lowered(mine, shapes), other, shapes, rounds
            )
            print(
                f"{name:22} {way} {median:.2f} ({low:.2f} to {high:.2f})"
                f"   apart {apart:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
