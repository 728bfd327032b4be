"""Tokens/s of a GPT's training step with the engine ``xla`` beside JAX by hand.

    python benchmarks/gpu/gpt.py
    python benchmarks/gpu/gpt.py --layers 1 --width 32 --heads 2 --block 16 --batch 4

The network is that of the recipe ``gpt``, with the sizes of GPT-2's smallest; the step
is forward, backward and AdamW. Both sides begin with the same weights and see the same
windows, in turns within one process; their losses are compared first. Printed are
tokens/s, the median over the turns, and the ratio, Chainrule over JAX, with the least
and the greatest of the turns.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

import chainrule as cr
from chainrule import optim
from chainrule.recipes.gpt import GPT, Settings
from chainrule.training import compile_program

LR, BETA1, BETA2, EPS, DECAY = 1e-4, 0.9, 0.999, 1e-8, 0.1
Arrays = dict[str, Any]


def ours(model: GPT, devices: Any) -> Callable[[np.ndarray], Any]:
    """Return a function of windows (steps, N, T + 1) that trains, and gives losses."""
    adamw = optim.AdamW(lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY)

    def train(window: cr.Tensor) -> dict[str, cr.Tensor]:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        adamw.step()
        return {"loss": loss}

    block = model.positions.weight.shape[0]
    program = compile_program(
        {"train": train},
        {"window": f"i32[N,{block + 1}]"},
        model=model,
        optimizers=[adamw],
        each=["window"],
        engine="xla",
        devices=devices,
    )

    def run(windows: np.ndarray) -> Any:
        inputs = {"window": windows}
        return np.asarray(program.run("train", inputs, steps=len(windows))["loss"])

    return run


def by_hand(weights: Arrays, s: Settings) -> Callable[[np.ndarray], Any]:
    """Return the same in JAX: a jitted scan over the steps, its state donated."""

    def normed(x: Any, weight: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * weight

    def loss_of(w: Arrays, window: Any) -> Any:
        ids, target = window[:, :-1], window[:, 1:]
        n, t = ids.shape
        x = w["characters.weight"][ids] + w["positions.weight"][:t]
        causal = jnp.tril(jnp.ones((t, t), bool))
        for i in range(s.layers):
            at = f"blocks.{i}."
            qkv = normed(x, w[at + "norm1.weight"]) @ w[at + "qkv.weight"].T
            qkv = qkv.reshape(n, t, 3, s.heads, s.width // s.heads)
            q, k, v = qkv.transpose(2, 0, 3, 1, 4)
            scores = q @ k.swapaxes(-1, -2) / math.sqrt(s.width // s.heads)
            share = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), -1)
            mixed = (share @ v).swapaxes(1, 2).reshape(n, t, s.width)
            x = x + mixed @ w[at + "out.weight"].T
            up = normed(x, w[at + "norm2.weight"]) @ w[at + "up.weight"].T
            x = x + jax.nn.gelu(up, approximate=False) @ w[at + "down.weight"].T
        logits = normed(x, w["norm.weight"]) @ w["characters.weight"].T
        picked = jnp.take_along_axis(logits, target[..., None], -1)[..., 0]
        return (jax.nn.logsumexp(logits, -1) - picked).mean()

    def step(state: Any, window: Any) -> Any:
        w, m, v, count = state
        loss, g = jax.value_and_grad(loss_of)(w, window)
        count = count + 1
        rest1, rest2 = 1 - BETA1**count, 1 - BETA2**count
        m = jax.tree.map(lambda a, b: BETA1 * a + (1 - BETA1) * b, m, g)
        v = jax.tree.map(lambda a, b: BETA2 * a + (1 - BETA2) * b * b, v, g)
        w = jax.tree.map(
            lambda p, a, b: (
                p * (1 - LR * DECAY) - LR * (a / rest1) / (jnp.sqrt(b / rest2) + EPS)
            ),
            w,
            m,
            v,
        )
        return (w, m, v, count), loss

    scan = jax.jit(lambda state, ids: lax.scan(step, state, ids), donate_argnums=0)
    w = {name: jnp.asarray(array) for name, array in weights.items()}
    zeros = {name: jnp.zeros_like(array) for name, array in w.items()}
    held: list[Any] = [(w, zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(0))]

    def run(windows: np.ndarray) -> Any:
        with jax.default_matmul_precision("highest"):
            held[0], losses = scan(held[0], jnp.asarray(windows))
        return np.asarray(losses)

    return run


def main() -> None:
    """Compare the losses, take turns, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    sizes = {"layers": 12, "width": 768, "heads": 12, "block": 1024, "batch": 8}
    for name, size in {**sizes, "vocabulary": 50257, "steps": 8, "rounds": 11}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--devices", help="of ours: a number, or all; JAX has one")
    asked = parser.parse_args()
    devices = asked.devices
    if devices is not None and devices != "all":
        devices = int(devices)
    cr.manual_seed(0)
    s = Settings(**{name: getattr(asked, name) for name in sizes})
    model = GPT(asked.vocabulary, s)
    weights = {k: np.array(v) for k, v in model.state_dict().items()}
    shape = asked.rounds + 1, asked.steps, s.batch, s.block + 1
    rng = np.random.default_rng(0)
    windows = rng.integers(0, asked.vocabulary, shape).astype(np.int32)
    sides = {"Chainrule": ours(model, devices), "JAX": by_hand(weights, s)}
    first = [run(windows[0]) for run in sides.values()]
    np.testing.assert_allclose(first[0], first[1], rtol=1e-4)
    tokens, rates = asked.steps * s.batch * s.block, {name: [] for name in sides}
    for turn in range(1, asked.rounds + 1):
        order = list(sides) if turn % 2 else list(sides)[::-1]
        for name in order:
            begun = time.perf_counter()
            sides[name](windows[turn])
            rates[name].append(tokens / (time.perf_counter() - begun))
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(jax.devices())
    for name, values in rates.items():
        print(f"{name:10} {median(values):12,.0f} tokens/s")
    low, middle, high = min(ratios), median(ratios), max(ratios)
    print(f"ratio      {middle:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
