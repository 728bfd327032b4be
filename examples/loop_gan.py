"""A generative adversarial network on the loop: two entry points, two optimisers.

    python examples/loop_gan.py runs/gan

The generator learns to turn noise into numbers like those of a mixture of two normal
distributions, the discriminator to tell them apart (Goodfellow et al. 2014). Killed at
any moment and started again, it goes on bit for bit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import BatchSource, Loop, RunState, StepInputs, compile_program

BATCH, NOISE, STEPS = 64, 4, 400


class GAN(nn.Module):
    """Both networks in one module, so that every tensor has a name of its own."""

    def __init__(self) -> None:
        self.generator = nn.Sequential(
            nn.Linear(NOISE, 32), nn.Tanh(), nn.Linear(32, 1)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)
        )


class Batches(BatchSource):
    """Real numbers and noise, drawn anew for each step: no state but the position."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def take(self, state: RunState, most: int) -> StepInputs | None:
        """The discriminator and the generator in turn; an epoch is STEPS steps."""
        if state.step == STEPS:
            return None
        draw = np.random.default_rng([self.seed, state.updates])
        inputs = {"noise": draw.standard_normal((BATCH, NOISE), np.float32)}
        if state.step % 2:
            return StepInputs(inputs, entry="generator")
        centres = np.where(draw.random((BATCH, 1)) < 0.5, -2.0, 2.0)
        real = centres + 0.3 * draw.standard_normal((BATCH, 1))
        return StepInputs(
            inputs | {"real": real.astype(np.float32)}, entry="discriminator"
        )


def make(engine: str = "auto", seed: int = 0) -> Loop:
    """The loop, at its start."""
    cr.manual_seed(seed)
    gan, score = GAN(), nn.BCEWithLogitsLoss()
    generator, discriminator = (
        optim.Adam(network.parameters(), lr=2e-3, betas=(0.5, 0.999))
        for network in (gan.generator, gan.discriminator)
    )

    def tell_apart(noise: cr.Tensor, real: cr.Tensor) -> Any:
        gan.zero_grad()
        made = gan.generator(noise).detach()
        loss = score(gan.discriminator(real), real * 0 + 1)
        loss = loss + score(gan.discriminator(made), made * 0)
        loss.backward()
        discriminator.step()
        return {"loss": loss, "made": made.mean()}

    def deceive(noise: cr.Tensor) -> Any:
        gan.zero_grad()
        made = gan.generator(noise)
        loss = score(gan.discriminator(made), made.detach() * 0 + 1)
        loss.backward()
        generator.step()
        return {"loss": loss}

    program = compile_program(
        {"discriminator": tell_apart, "generator": deceive},
        {"noise": f"f32[{BATCH},{NOISE}]", "real": f"f32[{BATCH},1]"},
        model=gan,
        optimizers=(generator, discriminator),
        engine=engine,
        threads=1,
    )
    return Loop(program, "discriminator", Batches(seed))


def main(directory: Path, epochs: int = 5, engine: str = "auto") -> None:
    """Train, or go on from what is there."""
    loop = make(engine)
    if (directory / "last.ckpt").exists():
        loop.load(directory)
    print(loop.run(epochs=epochs, checkpoint=directory, checkpoint_every=0))


if __name__ == "__main__":
    usual = ("runs/loop", "5", "auto")
    place, epochs, engine = (*sys.argv[1:], *usual[len(sys.argv) - 1 :])
    main(Path(place), int(epochs), engine)
