"""Recurrent networks: digits row by row, and sums over 100 time steps (1.5).

A recurrent network reads a sequence step by step and carries a state h along. The plain
one, h ← tanh(W x + U h + b), forgets: what reaches back through T steps is a product of
T matrices, and it vanishes. Gates keep it, for through c it is a product of f alone:

    LSTM   i, f, o = σ(W x + U h + b),   g = tanh(W x + U h + b)
           c ← f ⊙ c + i ⊙ g,            h ← o ⊙ tanh c
    GRU    r, z = σ(W x + U h + b),      n = tanh(W x + b + r ⊙ (U h + c))
           h ← (1 − z) ⊙ n + z ⊙ h

Hochreiter & Schmidhuber 1997; forget gates: Gers, Schmidhuber & Cummins 2000; GRU: Cho
et al. 2014. What to look at:

    1   The adding problem: 100 numbers, two of them marked, and their sum is asked for
        at the end. The constant 1 has the error 1/6 = 0.1667. The plain network stays
        there; the others learn, suddenly, what marks are for.
    2   One unit of the LSTM stores the sum: its input gate opens where a mark is, its
        forget gate stays near 1. gates.png shows it among all units on one sequence.
    3   MNIST, 28 rows of 28 pixels, one a step: how many digits are recognised after
        how many rows; reading.png: the probabilities of classes, row after row.

    chainrule train rnn
    python -m chainrule.recipes.rnn
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets import adding
from chainrule.recipes.evaluation import lstm
from chainrule.recipes.pictures import rnn as pictures
from chainrule.text import _, padded, say, tr, translated
from chainrule.viz import gallery

SUMMARY = _("LSTM and GRU: MNIST row by row, and the adding problem")
LENGTH, MEMORY, ADD_BATCH, ADD_STEPS, ADD_LR, CLIP = 100, 64, 32, 4000, 1e-2, 1.0
HIDDEN, EPOCHS, BATCH_SIZE, LR = 128, 6, 64, 4e-3
LAYERS = {_("plain"): nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
SECONDS = 80
SOLVED = _("solved: Hochreiter & Schmidhuber 1997, experiment 4")
USUAL = _("the usual figure of 128 units")
REFERENCES = [
    Reference("adding.LSTM", at_most=0.001, source=SOLVED),
    Reference("adding.GRU", at_most=0.001, source=SOLVED),
    Reference("mnist.LSTM.accuracy", at_least=0.985, source=USUAL),
    Reference("mnist.GRU.accuracy", at_least=0.985, source=USUAL),
]


class Reader(nn.Module):
    """A recurrent network with an output after each step or after the last one.

    Args:
        kind: of the recurrent layer.
        inputs, hidden, outputs: numbers of a step, of the state, of an answer.
        keep: initial bias of the gate that keeps the state: f, or z of the GRU.
    """

    def __init__(
        self, kind: str, inputs: int, hidden: int, outputs: int, keep: float = 0.0
    ) -> None:
        self.inputs = inputs
        self.layer = LAYERS[kind](inputs, hidden, batch_first=True)
        self.output = nn.Linear(hidden, outputs)
        if keep and kind != "plain":
            with cr.no_grad():
                self.layer.bias_ih_l0[hidden : 2 * hidden] = keep

    def each(self, x: cr.Tensor) -> cr.Tensor:
        """Return a recurrent network's outputs after every step, (N, T, outputs)."""
        states, __ = self.layer(x.reshape(x.shape[0], -1, self.inputs))
        return self.output(states)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return a recurrent network's outputs after the last step, (N, outputs)."""
        states, __ = self.layer(x.reshape(x.shape[0], -1, self.inputs))
        return self.output(states[:, -1])


def train_adding(
    experiment: Experiment, kind: str, length: int, steps: int
) -> tuple[Reader, list[float]]:
    """Train a recurrent network on the adding problem; return it, and its errors."""
    cr.manual_seed(experiment.seed)
    model = Reader(kind, 2, MEMORY, 1, keep=1.0)
    lr = optim.OneCycleLR(ADD_LR, total_steps=steps, pct_start=0.2)
    adam = optim.Adam(model.parameters(), lr=lr, clip_norm=CLIP)

    @experiment.compile
    def train(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.mse_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    losses: list[float] = []
    state: dict[str, Any] = {"model": model, "adam": adam, "losses": losses}
    for step in experiment.steps(f"adding-{kind.lower()}", steps, **state):
        rng = np.random.default_rng([experiment.seed, 1, step])
        loss = train(*adding.problem(ADD_BATCH, length, rng))
        losses.append(loss.item())
    return model, losses


def outputs(experiment: Experiment, model: Reader, x: np.ndarray) -> np.ndarray:
    """Return a recurrent network's outputs after every step, in batches."""
    compiled = experiment.compile(model.each)
    with cr.no_grad():
        return np.concatenate([compiled(part).numpy() for part in np.split(x, 10)])


def show_adding(
    experiment: Experiment, length: int, steps: int
) -> tuple[dict[str, float], Reader]:
    """Train all recurrent networks on the adding problem; return errors and LSTM."""
    say("1  The sum of two marked numbers out of {n}: squared errors\n", n=length)
    x, y = adding.problem(2000, length, np.random.default_rng([experiment.seed, 2]))
    curves, errors, models = {}, {}, {}
    for kind in LAYERS:
        models[kind], losses = train_adding(experiment, kind, length, steps)
        last = outputs(experiment, models[kind], x)[:, -1]
        errors[kind] = float(np.mean((last - y) ** 2))
        curves[kind] = [part.mean() for part in np.array_split(losses, 100)]
        print(f"   {padded(tr(kind), 7)} {errors[kind]:7.5f}")
    title, across = _("squared error of the sum"), _("hundredths of the steps")
    experiment.draw("adding", gallery.lines, curves, title=title, across=across)
    return errors, models["LSTM"]


def look_inside(experiment: Experiment, model: Reader, length: int) -> dict[str, Any]:
    """Find the LSTM unit that stores the sum, and draw its gates on a sequence."""
    x, y = adding.problem(100, length, np.random.default_rng([experiment.seed, 3]))
    weights = {k: np.asarray(v) for k, v in model.layer.state_dict().items()}
    runs = [lstm.steps(weights, row) for row in x]
    correlation = lstm.correlations(np.array([run.c[-1] for run in runs]), y[:, 0])
    unit = int(np.argmax(np.abs(correlation)))
    r = float(correlation[unit])
    say("\n2  Unit {i} of the LSTM: correlation {r:.3f} with the sum\n", i=unit, r=r)
    say("             at a mark   elsewhere")
    gates = lstm.mean_gates(runs, unit, x[..., 1] > 0)
    for name, (at_mark, elsewhere) in gates.items():
        print(f"   {padded(translated(name), 9)} {at_mark:9.3f} {elsewhere:11.3f}")
    title = _("one sequence; all units, and the one that keeps the sum")
    drawn = runs[0], x[0], unit
    experiment.draw("gates", pictures.gates, *drawn, title=title, size=(7.0, 8.0))
    return {"unit": unit, "correlation": r, **gates}


def reader(experiment: Experiment, kind: str, train: cr.data.Dataset) -> cr.Trainer:
    """Train a recurrent network that reads digits row by row, as a stage."""
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        Reader(kind, 28, HIDDEN, 10),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=optim.OneCycleLR(LR), clip_norm=CLIP),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    epochs = 2 if experiment.quick else EPOCHS
    budget = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    return experiment.fit(f"mnist-{kind.lower()}", trainer, train, **budget)


def read_digits(experiment: Experiment) -> dict[str, Any]:
    """Train GRU and LSTM on digits row by row; return accuracies after each row."""
    train, test = cr.data.mnist()
    if experiment.quick:
        train, test = train.take(6000), test.take(1000)
    say("\n3  Digits of the test set, right after this many rows of 28 pixels\n")
    print("          ", *(f"{n:6}" for n in range(4, 29, 4)))
    result: dict[str, Any] = {}
    for kind in ("GRU", "LSTM"):
        trainer: Any = reader(experiment, kind, train)
        scores = outputs(experiment, trainer.model, test.x[:])
        right = (scores.argmax(2) == test.y[:, None]).mean(0)
        print(f"   {kind:7}", *(f"{share:6.1%}" for share in right[3::4]))
        result[kind] = {"accuracy": float(right[-1]), "rows": right.tolist()}
    title = _("four digits, and what the LSTM takes each for, row after row")
    drawn = test.x[:4], cr.tensor(scores[:4]).softmax(2).numpy()
    experiment.draw("reading", pictures.reading, *drawn, title=title, size=(8.0, 2.4))
    return result


def lengths(experiment: Experiment) -> tuple[int, int]:
    """Return the steps of a sequence of the adding problem, and those of training."""
    return (20, 600) if experiment.quick else (LENGTH, ADD_STEPS)


def run(experiment: Experiment) -> dict[str, Any]:
    """Compare recurrent networks on sums and digits; show an LSTM's gates.

    Args:
        experiment: the seed of weights, order and the adding problem's sequences.
    """
    length, steps = lengths(experiment)
    errors, model = show_adding(experiment, length, steps)
    gates, digits = look_inside(experiment, model, length), read_digits(experiment)
    return {"seed": experiment.seed, "adding": errors, "gates": gates, "mnist": digits}


if __name__ == "__main__":
    run(Experiment("rnn"))
