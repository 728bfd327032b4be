"""Two networks against each other: one makes numbers, one tells them from real ones.

Real numbers come from N(4, 1.25²). The generator G makes numbers of uniform noise, the
discriminator D says how likely a number is real; they take turns:

    D:  min  −ln D(x) − ln(1 − D(G(z)))
    G:  min  −ln D(G(z))

Two optimisers and two compiled functions work on one state. While D learns, what G made
is a constant (``no_grad``); while G learns, D has gradients too, and nothing moves it.

Source: Goodfellow et al. 2014, "Generative adversarial nets"; the normal distribution
as the task after Dev Nag 2017.

    python examples/gan.py
"""

from __future__ import annotations

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

MEAN, SPREAD = 4.0, 1.25
BATCH, NOISE = 64, 4


def network(inputs: int, hidden: int) -> nn.Sequential:
    """One hidden layer and a number."""
    return nn.Sequential(
        *(nn.Linear(inputs, hidden), nn.LeakyReLU(0.1)),
        *(nn.Linear(hidden, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, 1)),
    )


def setup(engine=None, dtype="float32", seed=0):
    """The generator, and a function that makes step i and returns both losses."""
    cr.manual_seed(seed)
    generator = network(NOISE, 16).to(dtype)
    discriminator = network(1, 32).to(dtype)
    for_g = optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    for_d = optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    real, fake = cr.ones(BATCH, 1, dtype=dtype), cr.zeros(BATCH, 1, dtype=dtype)

    def noise():
        return cr.uniform(BATCH, NOISE, low=-1.0, dtype=dtype)

    def judge():
        for_d.zero_grad()
        x = cr.randn(BATCH, 1, mean=MEAN, std=SPREAD, dtype=dtype)
        with cr.no_grad():
            made = generator(noise())
        loss = F.binary_cross_entropy_with_logits(discriminator(x), real)
        loss = loss + F.binary_cross_entropy_with_logits(discriminator(made), fake)
        loss.backward()
        for_d.step()
        return loss

    def make():
        for_g.zero_grad()
        loss = F.binary_cross_entropy_with_logits(
            discriminator(generator(noise())), real
        )
        loss.backward()
        for_g.step()
        return loss

    if engine is not None:
        judge, make = (cr.compile(f, engine=engine) for f in (judge, make))
    return generator, lambda i: (judge(), make())


def run(engine=None, steps=3000, dtype="float32", seed=0) -> dict:
    """Train; the losses of both, and mean and spread of what G makes."""
    generator, update = setup(engine, dtype, seed)
    losses = [[loss.item() for loss in update(i)] for i in range(steps)]
    with cr.no_grad():
        made = generator(cr.uniform(5000, NOISE, low=-1.0, dtype=dtype))
    return {
        "losses": losses,
        "mean": made.mean().item(),
        "spread": made.std().item(),
    }


def main() -> None:
    """Train on the fastest engine and compare the two distributions."""
    made = run("auto")
    print(f"real: mean {MEAN:.2f}, spread {SPREAD:.2f}")
    print(f"made: mean {made['mean']:.2f}, spread {made['spread']:.2f}")


if __name__ == "__main__":
    main()
