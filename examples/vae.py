"""A variational autoencoder: digits from two dozen Gaussian numbers.

The encoder gives a mean μ and a log-variance for each image, the decoder draws an image
from z. What is maximised is a lower bound of ln p(x); its negative is the loss,

    ℒ = E ‖reconstruction cross-entropy‖ + KL(N(μ, σ²) ‖ N(0, 1)),
    KL = −½ Σ (1 + ln σ² − μ² − σ²).

z = μ + σ ε with ε ~ N(0, 1): the noise comes from outside and derivatives go through
μ and σ (the reparametrisation). ε is drawn inside the compiled step.

Source: Kingma & Welling 2014, "Auto-encoding variational Bayes".

    python examples/vae.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

IMAGES, BATCH, LATENT, HIDDEN = 6000, 50, 20, 200


class VAE(nn.Module):
    """784 → 200 → (μ, ln σ²) → z → 200 → 784 logits."""

    def __init__(self) -> None:
        self.encoder = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU())
        self.heads = nn.Linear(HIDDEN, 2 * LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784)
        )

    def forward(self, x):
        mean, log_variance = self.heads(self.encoder(x)).chunk(2, dim=1)
        z = mean + (0.5 * log_variance).exp() * cr.randn_like(mean)
        return self.decoder(z), mean, log_variance


def loss_of(model, x):
    """The bound's two terms, each a mean over the images."""
    logits, mean, log_variance = model(x)
    drawn = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return drawn / len(x), kl / len(x)


def setup(engine=None, dtype="float32", seed=0):
    """The model, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = VAE().to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        optimizer.zero_grad()
        drawn, kl = loss_of(model, x)
        loss = drawn + kl
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    train, _ = cr.data.mnist()
    x = np.asarray(train.x[:IMAGES], dtype)

    def update(i):
        start = i * BATCH % IMAGES
        return run_step(x[start : start + BATCH])

    return model, update


def run(engine=None, steps=1200, dtype="float32", seed=0) -> dict:
    """Train; the losses, and the bound's two terms on test images."""
    model, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    _, test = cr.data.mnist()
    with cr.no_grad():
        drawn, kl = loss_of(model, cr.tensor(np.asarray(test.x[:500], dtype)))
    return {"losses": losses, "reconstruction": drawn.item(), "kl": kl.item()}


def main() -> None:
    """Train on the fastest engine."""
    made = run("auto")
    print(f"−bound {made['losses'][0]:.0f} → {made['losses'][-1]:.0f} nats an image")
    print(
        f"test: reconstruction {made['reconstruction']:.0f}, KL {made['kl']:.1f} nats"
    )


if __name__ == "__main__":
    main()
