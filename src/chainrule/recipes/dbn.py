"""Layer by layer without labels, then all together with them: deep belief nets (1.3).

What set off the third wave in 2006. A restricted Boltzmann machine has pixels v and
features h, on or off, with weights between the two and none within; it gives each pair

    p(v, h) = e^−E(v,h) / Z,   E = −b·v − c·h − h·W v

so that, one layer given, the units of the other are on independently of each other:

    p(hⱼ = 1 | v) = σ(c + W v)ⱼ       p(vᵢ = 1 | h) = σ(b + Wᵀ h)ᵢ

It learns by contrastive divergence (Hinton 2002): what it sees is to become likelier,
what it makes of that in one step to and fro (v → h → v′) less likely. In terms of the
free energy F(v) = −b·v − Σⱼ ln(1 + e^(c + W v)ⱼ), for which p(v) = e^−F(v) / Z, that is
the gradient of F(v) − F(v′) with v′ held fast, and the chain rule finds it:

    ΔW = η (h vᵀ − h′ v′ᵀ)

What to look at, in this order:

    1   Three machines, 784-500, 500-500, 500-2000, each on what the one below it says
        of the digits; what the first one's units look for; digits after one step to and
        fro; and what the uppermost believes in, left to itself (Gibbs sampling).
    2   With ten scores on top and all labels, fine-tuned by back-propagation, beside
        the same network from random weights. Sigmoid units, the same budget.
    3   The same with few labels: what was learned without any is worth the more.

Settings were chosen on the last 10,000 training images.

Sources: Hinton 2002, "Training products of experts by minimizing contrastive
divergence"; Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief
nets"; Hinton 2012, "A practical guide to training restricted Boltzmann machines".

    chainrule train dbn
    python -m chainrule.recipes.dbn
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Reference, Study
from chainrule.training import Batches, Loop, compile_program

SUMMARY = "Boltzmann machines, one upon the other, then back-propagation: 1.25 % errors"
REFERENCES = [
    Reference("all_labels.pretrained", at_most=0.0125, source="Hinton et al. 2006"),
]
SIZES, QUICK_SIZES = (500, 500, 2000), (64, 64, 128)
EPOCHS, BATCH_SIZE = 10, 100
LR, MOMENTUM, DECAY = 0.05, 0.9, 2e-4
TUNING_EPOCHS, TUNING_LR, TUNING_DECAY = 30, 1e-3, 0.01
FEW, FEW_EPOCHS = (1000, 100), 40
#: Chains of Gibbs sampling, and their steps.
FANTASIES, GIBBS = 20, 1000

# -- 1: Boltzmann machines -------------------------------------------------------------


class Boltzmann(nn.Module):
    """A restricted Boltzmann machine of units that are 0 or 1."""

    def __init__(self, visible: int, hidden: int) -> None:
        self.weight = nn.Parameter(0.01 * cr.randn(hidden, visible))
        self.visible_bias = nn.Parameter(cr.zeros(visible))
        self.hidden_bias = nn.Parameter(cr.zeros(hidden))

    def hidden(self, v: cr.Tensor) -> cr.Tensor:
        """p(h = 1 | v)."""
        return nn.functional.linear(v, self.weight, self.hidden_bias).sigmoid()

    def visible(self, h: cr.Tensor) -> cr.Tensor:
        """p(v = 1 | h)."""
        return (h @ self.weight + self.visible_bias).sigmoid()

    def free_energy(self, v: cr.Tensor) -> cr.Tensor:
        """F(v) of each row."""
        features = nn.functional.linear(v, self.weight, self.hidden_bias)
        return -(v @ self.visible_bias) - nn.functional.softplus(features).sum(1)

    def divergence(self, v: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Mean of F(v) − F(v′), whose gradient is CD-1's, and v′."""
        with cr.no_grad():
            again = self.visible(draw(self.hidden(v)))
        return (self.free_energy(v) - self.free_energy(again)).mean(), again


def draw(p: cr.Tensor) -> cr.Tensor:
    """Units that are on with probability p, by the engine's own random numbers."""
    return (cr.rand_like(p) < p).astype(p.dtype)


def machine_loop(
    study: Study, x: np.ndarray, hidden: int, level: int
) -> tuple[Boltzmann, Loop]:
    """A machine on rows x, and what trains it, at its start."""
    cr.manual_seed(study.seed + level)
    machine = Boltzmann(x.shape[1], hidden)
    sgd = optim.SGD(
        [
            {"params": [machine.weight], "weight_decay": DECAY},
            {"params": [machine.visible_bias, machine.hidden_bias]},
        ],
        lr=LR,
        momentum=MOMENTUM,
    )

    def learn(v: cr.Tensor) -> Any:
        loss, again = machine.divergence(v)
        machine.zero_grad()
        loss.backward()
        sgd.step()
        return {"loss": loss, "error": (v - again).square().sum(1).mean()}

    program = compile_program(
        {"learn": learn},
        {"v": f"f32[{BATCH_SIZE},{x.shape[1]}]"},
        model=machine,
        optimizers=[sgd],
        each=["v"],
        **study.how,
    )
    source = Batches({"v": x}, BATCH_SIZE, study.seed + level)
    return machine, Loop(program, "learn", source, finite=("loss", "error"))


def stack(study: Study, x: np.ndarray) -> list[Boltzmann]:
    """Machine upon machine: each one's data are the probabilities of the last one."""
    sizes = QUICK_SIZES if study.quick else SIZES
    print("   visible  hidden   ‖v − v′‖² in the first epoch, in the last\n")
    machines: list[Boltzmann] = []
    for level, hidden in enumerate(sizes, 1):
        if machines:
            x = upwards(machines[-1:], x)
        machine, loop = machine_loop(study, x, hidden, level)
        loop = study.loop(f"machine-{level}", loop, epochs=2 if study.quick else EPOCHS)
        errors = [row["learn_error"] for row in loop.history.epochs]
        print(f"   {x.shape[1]:7} {hidden:7} {errors[0]:11.2f} {errors[-1]:11.2f}")
        machines.append(machine)
    return machines


def upwards(machines: list[Boltzmann], x: np.ndarray) -> np.ndarray:
    """Probabilities of the features, machine by machine, a thousand rows at a time."""
    parts = []
    with cr.no_grad():
        for first in range(0, len(x), 1000):
            v = cr.tensor(x[first : first + 1000])
            for machine in machines:
                v = machine.hidden(v)
            parts.append(v.numpy())
    return np.concatenate(parts)


def downwards(machines: list[Boltzmann], h: np.ndarray) -> np.ndarray:
    """Probabilities of the pixels, given those of the uppermost features."""
    with cr.no_grad():
        v = cr.tensor(h)
        for machine in reversed(machines):
            v = machine.visible(v)
    return v.numpy()


def fantasies(study: Study, machines: list[Boltzmann]) -> np.ndarray:
    """What the uppermost machine believes in, carried down to the pixels.

    Gibbs sampling: h and v are drawn by turns, beginning with units on by chance.
    """
    *below, top = machines

    def to_and_fro(v: cr.Tensor) -> Any:
        p = top.visible(draw(top.hidden(v)))
        return {"p": p, "v": draw(p)}

    cr.manual_seed(study.seed)
    width = top.weight.shape[1]
    types = {"v": f"f32[{FANTASIES},{width}]"}
    program = compile_program({"step": to_and_fro}, types, **study.how)
    v = np.random.default_rng(study.seed).integers(2, size=(FANTASIES, width))
    made = {"v": v.astype(np.float32)}
    for _ in range(50 if study.quick else GIBBS):
        made = program.run("step", {"v": made["v"]})
    return downwards(below, made["p"])


def show(study: Study, machines: list[Boltzmann], test: cr.data.Dataset) -> None:
    """Features, reconstructions, fantasies."""
    filters = machines[0].weight.numpy()
    loudest = np.argsort(-np.square(filters).sum(1))[:50]
    title = "What fifty units of the first machine look for: strokes and gaps"
    study.draw(
        "features", viz.gallery.images, filters[loudest], title=title, signed=True
    )
    digits = [int(np.flatnonzero(test.y == digit)[0]) for digit in range(10)]
    x = test.x[np.array(digits)]
    rows = {
        "test digit": x,
        "1 machine": downwards(machines[:1], upwards(machines[:1], x)),
        "3 machines": downwards(machines, upwards(machines, x)),
    }
    title = "Up through the machines, and down again"
    study.draw("rebuilt", viz.gallery.rows, rows, title=title, size=(7.0, 2.5))
    title = f"Fantasies, after {GIBBS} steps to and fro from units on by chance"
    study.draw("fantasies", viz.gallery.images, fantasies(study, machines), title=title)


# -- 2 and 3: fine-tuning --------------------------------------------------------------


def network(machines: list[Boltzmann] | None, sizes: tuple[int, ...]) -> nn.Sequential:
    """Sigmoid layers and ten scores; from machines, or from Glorot's random weights."""
    widths = (784, *sizes, 10)
    linear = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    for layer in linear:
        nn.init.xavier_uniform_(layer.weight)
    for layer, machine in zip(linear, machines or ()):
        layer.load_state_dict(
            {"weight": machine.weight.numpy(), "bias": machine.hidden_bias.numpy()}
        )
    *hidden, scores = linear
    steps = [part for layer in hidden for part in (layer, nn.Sigmoid())]
    return nn.Sequential(*steps, scores)


def evenly(data: cr.data.Dataset, count: int) -> cr.data.Dataset:
    """The first ``count`` samples with as many of each digit."""
    digits = [np.flatnonzero(data.y == digit)[: count // 10] for digit in range(10)]
    return data.rows(np.sort(np.concatenate(digits)))


def tuned(
    study: Study,
    name: str,
    data: tuple[cr.data.Dataset, cr.data.Dataset],
    machines: list[Boltzmann] | None,
    **how: Any,
) -> np.ndarray:
    """Train with labels; the share of errors on test images, epoch after epoch."""
    train, test = data
    cr.manual_seed(study.seed)
    trainer = cr.Trainer(
        network(machines, QUICK_SIZES if study.quick else SIZES),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(
            lr=optim.OneCycleLR(TUNING_LR), weight_decay=TUNING_DECAY
        ),
        seed=study.seed,
        **study.how,
    )
    how |= {"validation": test, "validation_name": "test"}
    trainer = study.fit(name, trainer, train, **how)
    return 1 - np.array([r["validation_accuracy"] for r in trainer.history.epochs])


def compare(
    study: Study,
    name: str,
    data: tuple[cr.data.Dataset, cr.data.Dataset],
    machines: list[Boltzmann],
    **how: Any,
) -> dict[str, float]:
    """The same network, the same budget, from machines and from random weights."""
    curves = {
        "random": tuned(study, f"{name}-random", data, None, **how),
        "pretrained": tuned(study, f"{name}-pretrained", data, machines, **how),
    }
    last = {start: float(curve[-1]) for start, curve in curves.items()}
    print(f"   {len(data[0]):6} {how['epochs']:8}", end="")
    print(f" {last['random']:14.2%} {last['pretrained']:12.2%}")
    study.draw(
        name.replace("_", "-"),
        viz.gallery.lines,
        {f"from {start} weights": 100 * curve for start, curve in curves.items()},
        across="epoch",
        up="test errors, %",
        title=f"{len(data[0])} labels",
    )
    return last


# -- the whole -------------------------------------------------------------------------


def run(study: Study) -> dict[str, Any]:
    """Learn without labels, then with all of them, then with few.

    Args:
        study: the seed is that of initial weights, orders and what units draw.
    """
    train, test = cr.data.mnist()
    if study.quick:
        train, test = train.take(5000), test.take(1000)
    print(f"1  Machines on {len(train)} digits, by contrastive divergence\n")
    machines = stack(study, train.x[:])
    show(study, machines, test)
    print("\n2 and 3  Fine-tuned with labels: errors on test images\n")
    print("   labels   epochs   from random   pretrained\n")
    epochs = 2 if study.quick else TUNING_EPOCHS
    how = {"epochs": epochs, "batch_size": BATCH_SIZE}
    found = {"all_labels": compare(study, "all_labels", (train, test), machines, **how)}
    for count in FEW[:1] if study.quick else FEW:
        name, few = f"labels_{count}", evenly(train, count)
        how = {"epochs": 20 if study.quick else FEW_EPOCHS, "batch_size": 20}
        found[name] = compare(study, name, (few, test), machines, **how)
    return {"seed": study.seed, **found}


if __name__ == "__main__":
    run(Study("dbn"))
