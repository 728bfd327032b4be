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
        at the end. Who answers 1 whatever comes has the error 1/6 = 0.1667. The plain
        network stays there; the others find out, suddenly, what marks are for.
    2   One unit of the LSTM holds the sum: its input gate opens where a mark is, its
        forget gate stays near 1. gates.png shows it among all units on one sequence.
    3   MNIST, 28 rows of 28 pixels, one a step: how much is known after how many rows.
    4   reading.png: how it makes up its mind.

    chainrule train rnn
    python -m chainrule.recipes.rnn
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say, tr
from chainrule.viz import gallery

SUMMARY = _("LSTM and GRU: MNIST row by row, and the adding problem over 100 steps")
LENGTH, MEMORY, ADD_BATCH, ADD_STEPS, ADD_LR, CLIP = 100, 64, 32, 4000, 1e-2, 1.0
HIDDEN, EPOCHS, BATCH_SIZE, LR = 128, 6, 64, 4e-3
KINDS = {"plain": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
SECONDS = 80
REFERENCES = [
    *(
        Reference(
            f"adding.{kind}",
            at_most=0.001,
            source=_("solved: Hochreiter & Schmidhuber 1997, experiment 4"),
        )
        for kind in ("LSTM", "GRU")
    ),
    *(
        Reference(
            f"mnist.{kind}.accuracy",
            at_least=0.985,
            source=_("the usual figure of 128 units"),
        )
        for kind in ("LSTM", "GRU")
    ),
]

# -- the network -----------------------------------------------------------------------


class Reader(nn.Module):
    """A recurrent network with an output after each step or after the last one.

    Args:
        kind: of the recurrent layer.
        inputs, hidden, outputs: numbers of a step, of the state, of an answer.
        keep: what the gate that keeps the state starts with: forget gates (Gers et
            al. 2000), or z of the GRU.
    """

    def __init__(
        self, kind: str, inputs: int, hidden: int, outputs: int, keep: float = 0.0
    ) -> None:
        self.inputs = inputs
        self.layer = KINDS[kind](inputs, hidden, batch_first=True)
        self.output = nn.Linear(hidden, outputs)
        if keep and kind != "plain":
            with cr.no_grad():
                self.layer.bias_ih_l0[hidden : 2 * hidden] = keep

    def each(self, x: cr.Tensor) -> cr.Tensor:
        """Return the outputs after every step, for (N, T, inputs) or flat rows."""
        states, __ = self.layer(x.reshape(x.shape[0], -1, self.inputs))
        return self.output(states)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the outputs after the last step, (N, outputs)."""
        states, __ = self.layer(x.reshape(x.shape[0], -1, self.inputs))
        return self.output(states[:, -1])


# -- 1: the adding problem -------------------------------------------------------------


def problem(
    count: int, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the adding problem: numbers and marks (count, length, 2), and sums.

    There is one mark in each half; sums are (count, 1).
    """
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = rng.random((count, length))
    for low, high in ((0, length // 2), (length // 2, length)):
        x[np.arange(count), rng.integers(low, high, count), 1] = 1
    return x, x.prod(2).sum(1, keepdims=True)


def training_step(experiment: Experiment, model: Reader, adam: optim.Adam) -> Any:
    """Compile a step of training: from sequences and sums to the squared error."""

    @experiment.compile
    def train(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.mse_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return train


def adding(
    experiment: Experiment, kind: str, length: int, steps: int
) -> tuple[Reader, list[float]]:
    """Train a network on the adding problem; return it, and its errors."""
    cr.manual_seed(experiment.seed)
    model = Reader(kind, 2, MEMORY, 1, keep=1.0)
    lr = optim.OneCycleLR(ADD_LR, total_steps=steps, pct_start=0.2)
    adam = optim.Adam(model.parameters(), lr=lr, clip_norm=CLIP)
    train = training_step(experiment, model, adam)
    losses: list[float] = []
    state: dict[str, Any] = {"model": model, "adam": adam, "losses": losses}
    for step in experiment.steps(f"adding-{kind.lower()}", steps, **state):
        rng = np.random.default_rng([experiment.seed, 1, step])
        losses.append(train(*problem(ADD_BATCH, length, rng)).item())
    return model, losses


def add(
    experiment: Experiment, length: int, steps: int
) -> tuple[dict[str, Any], Reader]:
    """Train all networks on the adding problem; return the errors and the LSTM."""
    say(
        "1  The sum of two marked numbers out of {length}; {MEMORY} units, "
        "{steps} steps of {ADD_BATCH} fresh sequences\n",
        length=length,
        MEMORY=MEMORY,
        steps=steps,
        ADD_BATCH=ADD_BATCH,
    )
    say("   squared error after this share of the steps, and on 2,000 new sequences\n")
    parts = 8
    print(
        "          ",
        *(f"{(i + 1) / parts:7.0%}" for i in range(parts)),
        tr("      new"),
    )
    x, y = problem(2000, length, np.random.default_rng([experiment.seed, 2]))
    curves, errors, models = {}, {}, {}
    for kind in KINDS:
        model, losses = adding(experiment, kind, length, steps)
        curves[kind], models[kind] = np.array(losses), model
        errors[kind] = float(np.mean((answers(experiment, model, x)[:, -1] - y) ** 2))
        told = " ".join(f"{p.mean():7.4f}" for p in np.array_split(losses, parts))
        print(f"   {kind:7} {told}  {errors[kind]:7.5f}")
    experiment.draw(
        "adding",
        gallery.lines,
        {k: smooth(v) for k, v in curves.items()},
        title=_(
            "squared error of the sum, {length} steps apart; always 1 has 0.167",
            length=length,
        ),
        across=_("step"),
        log=True,
    )
    return errors, models["LSTM"]


def smooth(losses: np.ndarray, over: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Return moving averages of losses, and the steps where they end."""
    over = min(over, len(losses))
    means = np.convolve(losses, np.ones(over) / over, "valid")
    return np.arange(len(means)) + over, means


def answers(experiment: Experiment, model: Reader, x: np.ndarray) -> np.ndarray:
    """Return a network's outputs after every step, (N, T, outputs)."""
    with cr.no_grad():
        said = experiment.compile(model.each)
        return np.concatenate([said(part).numpy() for part in np.split(x, 10)])


# -- 2: inside the LSTM ----------------------------------------------------------------


def gates(weights: Mapping[str, np.ndarray], x: np.ndarray) -> dict[str, np.ndarray]:
    """Compute an LSTM step by step: its gates, c and h, (T, units) each."""
    w, u, b, bias = (
        np.asarray(weights[f"layer.{name}_l0"], float)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = c = np.zeros(u.shape[1])
    rows: list[list[np.ndarray]] = []
    for step in x:
        i, f, g, o = np.split(w @ step + b + u @ h + bias, 4)
        i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        rows.append([i, f, o, c, h])
    return dict(zip(("i", "f", "o", "c", "h"), map(np.array, zip(*rows))))


def look_inside(experiment: Experiment, model: Reader, length: int) -> dict[str, Any]:
    """Find the unit that stores the sum, over many sequences, and draw one."""
    x, y = problem(100, length, np.random.default_rng([experiment.seed, 3]))
    weights = {k: np.asarray(v) for k, v in model.state_dict().items()}
    runs = [gates(weights, row) for row in x]
    ends = np.array([run["c"][-1] for run in runs])
    ends, sums = ends - ends.mean(0), y[:, 0] - y.mean()
    kept = sums @ ends / (np.linalg.norm(ends, axis=0) * np.linalg.norm(sums) + 1e-12)
    unit = int(np.argmax(np.abs(kept)))
    say(
        "\n2  Inside the LSTM: of {MEMORY} units number {unit}, whose c at "
        "the end has the\n   correlation {kept:.3f} with the sum\n",
        MEMORY=MEMORY,
        unit=unit,
        kept=kept[unit],
    )
    say("             at a mark   elsewhere")
    marked = x[..., 1].ravel() > 0
    found: dict[str, Any] = {"unit": unit, "correlation": float(kept[unit])}
    for gate, name in (("i", "input"), ("f", "forget"), ("o", "output")):
        values = np.concatenate([run[gate][:, unit] for run in runs])
        at, elsewhere = float(values[marked].mean()), float(values[~marked].mean())
        print(f"   {name:9} {at:9.3f} {elsewhere:11.3f}")
        found[gate] = {"marked": at, "elsewhere": elsewhere}
    how = {"title": _("one sequence; all units, and the one that keeps the sum")}
    experiment.draw("gates", draw_gates, runs[0], x[0], unit, size=(7.0, 8.0), **how)
    return found


def draw_gates(figure: Any, run: Mapping[str, Any], x: np.ndarray, unit: int) -> None:
    """Draw numbers with marks, and gates and c of all units and of one, over time."""
    places = figure.subplots(5, 1, sharex=True, height_ratios=[1, 2, 2, 2, 1.5])
    places[0].bar(np.arange(len(x)), x[:, 0], color="#a9b4c0")
    places[0].bar(np.arange(len(x)), x[:, 0] * x[:, 1], color="#c2570c")
    places[0].set(ylabel="numbers")
    order, bound = np.argsort(run["c"][-1]), float(np.abs(run["c"]).max())
    looks = {"i": ("input gates", 0, 1, "viridis"), "f": ("forget gates", 0, 1, None)}
    looks["c"] = ("memories c", -bound, bound, "RdBu_r")
    for axes, (name, (label, low, high, colours)) in zip(places[1:], looks.items()):
        image, scale = run[name][:, order].T, {"vmin": low, "vmax": high}
        drawn = axes.imshow(image, aspect="auto", cmap=colours, **scale)
        axes.grid(visible=False)
        axes.set(ylabel=label, yticks=[])
        figure.colorbar(drawn, ax=axes)
    for name, look in (("i", "-"), ("f", "--"), ("c", "-.")):
        places[4].plot(run[name][:, unit], look, label=name)
    places[4].set(xlabel=tr("step"), ylabel=tr("unit {unit}", unit=unit))
    places[4].legend(ncols=3, fontsize=8)
    for axes in (places[0], places[4]):  # as wide as those that have a scale
        figure.colorbar(drawn, ax=axes).ax.set_visible(False)


# -- 3: digits row by row --------------------------------------------------------------


def read_digits(experiment: Experiment) -> tuple[dict[str, Any], Reader, np.ndarray]:
    """Train both networks on MNIST; return the accuracy after each row."""
    train, test = cr.data.mnist()
    epochs = EPOCHS
    if experiment.quick:
        train, test, epochs = train.take(1500), test.take(500), 1
    say(
        "\n3  {train:,} digits, 28 rows of 28 pixels; {HIDDEN} units, "
        "{epochs} epochs\n\n   right after this many rows, on the test "
        "set\n",
        train=len(train),
        HIDDEN=HIDDEN,
        epochs=epochs,
    )
    shown = (4, 8, 12, 16, 20, 24, 28)
    print("          ", *(f"{n:6}" for n in shown))
    found: dict[str, Any] = {}
    trainer: Any = None
    pixels = test.x[:]
    for kind in ("GRU", "LSTM"):
        cr.manual_seed(experiment.seed)
        trainer = cr.Trainer(
            Reader(kind, 28, HIDDEN, 10),
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=optim.OneCycleLR(LR), clip_norm=CLIP),
            seed=experiment.seed,
            **experiment.engine_options,
        )
        how = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
        trainer = experiment.fit(f"mnist-{kind.lower()}", trainer, train, **how)
        said = answers(experiment, trainer.model, pixels)
        right = (said.argmax(2) == test.y[:, None]).mean(0)
        print(f"   {kind:7}", *(f"{right[n - 1]:6.1%}" for n in shown))
        found[kind] = {"accuracy": float(right[-1]), "rows": right.tolist()}
    experiment.draw(
        "rows",
        gallery.lines,
        {kind: row["rows"] for kind, row in found.items()},
        title=_("right, after so many rows of the digit"),
        across="rows",
        log=False,
    )
    return found, trainer.model, pixels


def draw_reading(figure: Any, pixels: np.ndarray, shares: np.ndarray) -> None:
    """Draw digits, with the probability of each class after each row."""
    places = figure.subplots(1, 2 * len(pixels))
    for digit, share, image, belief in zip(pixels, shares, places[::2], places[1::2]):
        image.imshow(digit.reshape(28, 28), cmap="gray_r", aspect="auto")
        belief.imshow(share, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        belief.set(xticks=range(10), yticks=[])
        image.set(xticks=[], yticks=[])
        for axes in (image, belief):
            axes.grid(visible=False)
            axes.tick_params(labelsize=6, length=0)


def run(experiment: Experiment) -> dict[str, Any]:
    """Show the adding problem, the LSTM's gates, and digits.

    Args:
        experiment: the seed of weights, order and the adding problem's sequences.
    """
    length, steps = (20, 120) if experiment.quick else (LENGTH, ADD_STEPS)
    errors, lstm = add(experiment, length, steps)
    inside = look_inside(experiment, lstm, length)
    digits, reader, pixels = read_digits(experiment)
    z = answers(experiment, reader, pixels[:10])[:4]
    shares = np.exp(z - z.max(2, keepdims=True))
    experiment.draw(
        "reading",
        draw_reading,
        pixels[:4],
        shares / shares.sum(2, keepdims=True),
        title=_("four digits, and what the LSTM takes each for, row after row"),
        size=(8.0, 2.4),
    )
    return {"seed": experiment.seed, "adding": errors, "gates": inside, "mnist": digits}


if __name__ == "__main__":
    run(Experiment("rnn"))
