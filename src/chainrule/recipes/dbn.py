"""Deep belief nets: layer-wise pretraining without labels, then fine-tuning (1.3).

What set off the third wave in 2006. A restricted Boltzmann machine has binary pixels v
and features h, with weights between the two and none within; each pair has

    p(v, h) = e^−E(v,h) / Z,   E = −b·v − c·h − h·W v
    p(hⱼ = 1 | v) = σ(c + W v)ⱼ       p(vᵢ = 1 | h) = σ(b + Wᵀ h)ᵢ

Contrastive divergence makes data likelier, and reconstructions after one Gibbs step
(v → h → v′) less likely. With the free energy F, for which p(v) = e^−F(v) / Z, it is
the gradient of F(v) − F(v′) with v′ constant, and the chain rule finds it:

    F(v) = −b·v − Σⱼ ln(1 + e^(c + W v)ⱼ),   ΔW = η (h vᵀ − h′ v′ᵀ)

What to look at, in this order:

    1   Three machines, each trained on the features of the one below it; what the units
        of the first respond to; and samples. A machine whose v′ are a step away from v
        soon leaves the digits, for states where learning never looked. One whose v′
        come from persistent chains (Tieleman 2008) goes on from digit to digit.
    2   With ten scores on top and all labels, fine-tuned by back-propagation, beside
        the same network from random weights: sigmoid units, dropout, the same budget.
    3   The same with few labels, where features learned without any help the more.

Settings were chosen on the last 10,000 training images, those of dropout twice.

Sources: Hinton 2002, "Training products of experts by minimizing contrastive
divergence"; Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief
nets"; Tieleman 2008, "Training restricted Boltzmann machines using approximations to
the likelihood gradient".

    chainrule train dbn
    python -m chainrule.recipes.dbn
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, by_batches, shuffled
from chainrule.recipes.datasets.classes import first_of_each_class
from chainrule.recipes.evaluation.fine_tuning import fine_tuning_errors
from chainrule.text import _, ngettext, say

SUMMARY = _("Boltzmann machines, one upon the other, then back-propagation")
SECONDS = 1500
REFERENCES = [
    Reference(
        "errors.60000.pretrained", at_most=0.0125, source=_("Hinton et al. 2006")
    ),
]
BATCH_SIZE, LR, MOMENTUM, WEIGHT_DECAY = 100, 0.05, 0.9, 2e-4


@dataclass(frozen=True)
class Settings:
    """The layer sizes and training budgets of the deep-belief-net recipe."""

    sizes: tuple[int, ...] = (500, 500, 2000)
    epochs: int = 10  # of a machine
    gibbs: tuple[int, ...] = (1, 10, 100, 1000)  # steps whose samples are drawn
    fine_tuning_lr: float = 1e-3
    #: Labels, epochs and samples a step of back-propagation.
    budgets: Any = (60_000, 40, 100), (1000, 40, 20), (100, 80, 20)


FULL = Settings()
QUICK = Settings((64, 64, 128), 2, (1, 10), 5e-3, ((5000, 6, 50), (1000, 12, 20)))


class Boltzmann(nn.Module):
    """A restricted Boltzmann machine of binary units, with or without Gibbs chains."""

    chains: cr.Tensor | None

    def __init__(self, visible: int, hidden: int, chains: int = 0) -> None:
        self.weight = nn.Parameter(0.01 * cr.randn(hidden, visible))
        self.visible_bias = nn.Parameter(cr.zeros(visible))
        self.hidden_bias = nn.Parameter(cr.zeros(hidden))
        states = bernoulli(cr.full((chains, visible), 0.1)) if chains else None
        self.register_buffer("chains", states)

    def hidden(self, v: cr.Tensor) -> cr.Tensor:
        """Return a Boltzmann machine's hidden probabilities p(h = 1 | v)."""
        return nn.functional.linear(v, self.weight, self.hidden_bias).sigmoid()

    def visible(self, h: cr.Tensor) -> cr.Tensor:
        """Return a Boltzmann machine's visible probabilities p(v = 1 | h)."""
        return (h @ self.weight + self.visible_bias).sigmoid()

    def reconstructed(self, v: cr.Tensor) -> cr.Tensor:
        """Return a Boltzmann machine's reconstruction p(v′ = 1 | h) of its input."""
        return self.visible(bernoulli(self.hidden(v)))

    def free_energy(self, v: cr.Tensor) -> cr.Tensor:
        """Return a Boltzmann machine's free energy F(v) of each row."""
        features = nn.functional.linear(v, self.weight, self.hidden_bias)
        return -(v @ self.visible_bias) - nn.functional.softplus(features).sum(1)

    def divergence(self, v: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Return the contrastive-divergence loss, mean F(v) − F(v′), and v′."""
        with cr.no_grad():
            start = v if self.chains is None else self.chains
            sample = self.reconstructed(start)
            if self.chains is not None:
                sample = bernoulli(sample)
                self.chains.copy_(sample)
        return (self.free_energy(v) - self.free_energy(sample)).mean(), sample


def bernoulli(p: cr.Tensor) -> cr.Tensor:
    """Sample binary (Bernoulli) units that are 1 with probability p."""
    return (cr.rand_like(p) < p).astype(p.dtype)


def training_step(
    experiment: Experiment, machine: Boltzmann, steps: int
) -> tuple[optim.SGD, Any]:
    """Return a Boltzmann machine's optimiser, and a compiled training step."""
    options: dict[str, Any] = {"lr": LR, "momentum": MOMENTUM}
    if machine.chains is not None:  # they follow a machine that moves slowly only
        options = {"lr": optim.CosineAnnealingLR(LR, T_max=steps, unit="step")}
    biases = [machine.visible_bias, machine.hidden_bias]
    weights = {"params": [machine.weight], "weight_decay": WEIGHT_DECAY}
    sgd = optim.SGD([weights, {"params": biases}], **options)

    @experiment.compile
    def train(v: cr.Tensor) -> cr.Tensor:
        loss, sample = machine.divergence(v)
        machine.zero_grad()
        loss.backward()
        sgd.step()
        return (v - sample).square().sum(1).mean()

    return sgd, train


def learn(
    experiment: Experiment, x: np.ndarray, hidden: int, epochs: int, level: int
) -> tuple[Boltzmann, list[float]]:
    """Train a Boltzmann machine (level 0: with chains); return it, and its errors."""
    seed = experiment.seed + level
    cr.manual_seed(seed)
    machine = Boltzmann(x.shape[1], hidden, 0 if level else BATCH_SIZE)
    sgd, train = training_step(experiment, machine, epochs * (len(x) // BATCH_SIZE))
    errors: list[float] = []
    state: dict[str, Any] = {"machine": machine, "sgd": sgd, "errors": errors}
    for epoch in experiment.steps(f"machine-{level}", epochs, **state):
        batches = shuffled(len(x), BATCH_SIZE, seed, epoch)
        errors.append(float(np.mean([train(x[rows]).item() for rows in batches])))
    return machine, errors


def gibbs(
    experiment: Experiment, machine: Boltzmann, v: np.ndarray, shown: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Draw samples of a Boltzmann machine by Gibbs sampling; return p(v) of some."""

    @experiment.compile
    def step(v: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        p = machine.reconstructed(v)
        return p, bernoulli(p)

    cr.manual_seed(experiment.seed)
    samples = {}
    with cr.no_grad():
        for number in range(1, shown[-1] + 1):
            p, v = step(v)
            if number in shown:
                samples[_("step {n}", n=number)] = p.numpy()
    return samples


def pretrain(
    experiment: Experiment, x: np.ndarray, digits: np.ndarray, s: Settings
) -> list[Boltzmann]:
    """Pretrain a stack of Boltzmann machines, each on the last one's features."""
    say("   visible  hidden   ‖v − v′‖² in the first epoch, in the last\n")
    machines: list[Boltzmann] = []
    rows, start = x, digits
    for level, hidden in enumerate(s.sizes, 1):
        if machines:
            below = machines[-1]
            rows, start = (by_batches(below.hidden, v, 1000) for v in (rows, start))
        machine, errors = learn(experiment, rows, hidden, s.epochs, level)
        machines.append(machine)
        print(f"   {rows.shape[1]:7} {hidden:7} {errors[0]:11.2f} {errors[-1]:11.2f}")

    filters = machines[0].weight.numpy()
    largest = filters[np.argsort(-np.square(filters).sum(1))[:50]]
    title = _("What fifty units of the first machine respond to: strokes and gaps")
    experiment.draw("features", viz.gallery.images, largest, title=title, signed=True)
    samples = gibbs(experiment, machines[-1], start, s.gibbs)
    for machine in machines[-2::-1]:
        samples = {n: by_batches(machine.visible, p) for n, p in samples.items()}
    samples = {_("test digit"): digits, **samples}
    title = _("Samples of the uppermost machine, starting from test digits")
    experiment.draw("samples", viz.gallery.rows, samples, title=title, size=(7.0, 2.6))

    machine, __ = learn(experiment, x, s.sizes[0], s.epochs, level=0)
    chains: Any = machine.chains
    samples = gibbs(experiment, machine, chains.numpy()[:10], s.gibbs)
    title = _("Samples of a machine that learned from persistent chains")
    experiment.draw("chains", viz.gallery.rows, samples, title=title, size=(7.0, 1.8))
    return machines


def run(experiment: Experiment) -> dict[str, Any]:
    """Pretrain stacked Boltzmann machines; fine-tune them with many and few labels.

    Args:
        experiment: the seed of initial weights, orders and what units draw.
    """
    s, (train, test) = QUICK if experiment.quick else FULL, cr.data.mnist()
    if experiment.quick:
        train, test = train.take(5000), test.take(1000)
    say(
        ngettext(
            "1  Machines on {n} digit, by contrastive divergence\n",
            "1  Machines on {n} digits, by contrastive divergence\n",
            n=len(train),
        )
    )
    digits = test.x[:][first_of_each_class(test.y)]
    machines = pretrain(experiment, train.x[:], digits, s)
    say("\n2 and 3  Fine-tuned with labels: errors on test images\n")
    say("   labels   epochs   from random   pretrained\n")
    layers = [(m.weight.numpy(), m.hidden_bias.numpy()) for m in machines]
    errors = {}
    for labels, epochs, batch_size in s.budgets:
        options = {"epochs": epochs, "batch_size": batch_size, "lr": s.fine_tuning_lr}
        row = fine_tuning_errors(experiment, train, test, layers, labels, **options)
        random, pretrained = row["random"], row["pretrained"]
        print(f"   {labels:6} {epochs:8} {random:14.2%} {pretrained:12.2%}")
        errors[str(labels)] = row
    return {"errors": errors}


if __name__ == "__main__":
    run(Experiment("dbn"))
