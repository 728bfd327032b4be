"""A letter-by-letter language model of first names that invents names (1.6).

Bengio, Ducharme, Vincent & Jauvin 2003, "A neural probabilistic language model": each
letter is a row of a table of embeddings, the rows of the last six stand side by side,

    z = W⁽²⁾ tanh(W⁽¹⁾ [e(c₁) … e(c₆)] + b⁽¹⁾) + b⁽²⁾,    p(next) = softmax(z),

and the loss is the mean of −ln p(the letter that came): the nats that a letter costs.
Its rivals are tables of counts, p(next | the last n − 1) = (count + α) / Σ (count + α),
and a recurrent network, which reads a name from its beginning (Cho et al. 2014). A
tenth of the 5,163 names chooses settings, another tenth is the test, looked at once.

    1   Counting. With each letter more in its memory a table fits what it has seen
        better; what it has not seen, from some length on worse.
    2   The network's inventions, from noise to names that nobody has.
    3   The recurrent network, with the same data.
    4   What a letter of unseen names costs each of them.
    5   embeddings.png: nobody has told the network which letters are vowels (1.4).

    pip install names
    chainrule train names
    python -m chainrule.recipes.given_names
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, shuffled
from chainrule.recipes.datasets import first_names
from chainrule.recipes.evaluation import ngrams
from chainrule.recipes.pictures import given_names as pictures
from chainrule.text import _, say
from chainrule.viz import gallery

SUMMARY = _("makes up first names: counts, the network of Bengio (2003), and a GRU")
SECONDS = 10
MAKEMORE = "bigram 2.45, network 2.1: A. Karpathy, makemore (2022), 32,033 names"
MIKOLOV = _("no worse than the network: Mikolov et al. 2010")
REFERENCES = [
    Reference("gain.network", at_least=0.35, source=MAKEMORE),
    Reference("gain.gru", at_least=0.35, source=MIKOLOV),
]
LETTERS = first_names.LETTERS
CONTEXT, WIDTH, HIDDEN, UNITS = 6, 16, 200, 128
EPOCHS, QUICK_EPOCHS, BATCH_SIZE, LR = 15, 2, 32, {"network": 1e-2, "gru": 5e-3}
ALPHAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # of which the validation names choose
SHOWN = (1, 2, 5, 10, 15)  # epochs after which the networks invent names

# -- the networks ----------------------------------------------------------------------


class Feedforward(nn.Module):
    """Bengio's feed-forward language model of names: scores of each next letter."""

    def __init__(self) -> None:
        self.table = nn.Embedding(len(LETTERS), WIDTH)
        self.dropout = nn.Dropout(0.1)
        self.hidden = nn.Linear(CONTEXT * WIDTH, HIDDEN)
        self.scores = nn.Linear(HIDDEN, len(LETTERS))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return a feed-forward language model's scores of each next letter."""
        rows = self.table(cr.pad(x, (CONTEXT - 1, 0)))
        last = [rows[:, i : i + x.shape[1]] for i in range(CONTEXT)]
        hidden = self.hidden(self.dropout(cr.concat(last, axis=2))).tanh()
        return self.scores(self.dropout(hidden)).transpose(1, 2)


class Recurrent(nn.Module):
    """A GRU language model of names: scores of each next letter, (N, 27, T)."""

    def __init__(self, letters: int = len(LETTERS), units: int = UNITS) -> None:
        self.table = nn.Embedding(letters, WIDTH)
        self.gru = nn.GRU(WIDTH, units, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.scores = nn.Linear(units, letters)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return a GRU language model's scores of each next letter."""
        states, __ = self.gru(self.table(x))
        return self.scores(self.dropout(states)).transpose(1, 2)


# -- training --------------------------------------------------------------------------


@cr.no_grad()
def invent(model: nn.Module, rng: np.random.Generator, count: int) -> list[str]:
    """Draw names letter by letter from a language model, all at the same time."""
    names = [""] * count
    for __ in range(first_names.LONGEST):
        x, __ = first_names.sequences([name.rstrip(".") for name in names])
        z = model(cr.tensor(x)).numpy()[range(count), :, [len(n) for n in names]]
        p = np.exp(z - z.max(1, keepdims=True)).cumsum(1)
        drawn = (p > rng.random((count, 1)) * p[:, -1:]).argmax(1)
        names = [n if "." in n else n + LETTERS[i] for n, i in zip(names, drawn)]
    return [name.rstrip(".") for name in names]


def train(
    experiment: Experiment, stage: str, model: nn.Module, names: dict[str, list[str]]
) -> dict[str, Any]:
    """Train a language model of names; return its losses, and names it invents."""
    seed, epochs = experiment.seed, QUICK_EPOCHS if experiment.quick else EPOCHS
    (x, y), validation, test = map(first_names.sequences, names.values())
    lr = optim.OneCycleLR(LR[stage], total_steps=epochs * (len(x) // BATCH_SIZE))
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)

    def loss_of(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return nn.functional.cross_entropy(model(x), y, ignore_index=-100)

    @experiment.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = loss_of(x, y)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    evaluate = experiment.compile(cr.no_grad()(loss_of))
    losses: list[float] = []
    samples: dict[str, list[str]] = {}
    state = {"model": model, "optimizer": optimizer, "losses": losses}
    for epoch in experiment.steps(stage, epochs, **state, samples=samples):
        model.train()
        for rows in shuffled(len(x), BATCH_SIZE, seed, epoch):
            step(x[rows], y[rows])
        model.eval()
        losses.append(evaluate(*validation).item())
        if epoch + 1 in SHOWN:
            made = invent(model, np.random.default_rng([seed, epoch + 1]), 7)
            samples[str(epoch + 1)] = made
            say("   epoch {epoch:>2}   {made}", epoch=epoch + 1, made=", ".join(made))
    model.eval()
    return {"losses": losses, "samples": samples, "test": evaluate(*test).item()}


# -- the lesson ------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and compare language models of first names: n-grams, two networks.

    Args:
        experiment: the seed of weights, order and invented names, not of the split.
    """
    names = first_names.read(experiment.folder("names", "names"))
    if experiment.quick:
        names["train"] = names["train"][:1500]
    say(
        "{names:,} names: {train:,} to learn from, {validation} to choose "
        "settings with, {test} to test\n",
        names=sum(map(len, names.values())),
        **{part: len(names[part]) for part in names},
    )
    say("1  Counting: p(next | the last n − 1), nats a letter\n")
    say("   n      α   train  validation   test")
    results: dict[str, dict[str, Any]] = {}
    for n in range(1, 5):
        rows = {k: [first_names.encode(m, n - 1) for m in v] for k, v in names.items()}
        figures = ngrams.evaluate(rows, n, len(LETTERS), ALPHAS)
        print("   {} {:6} {:7.3f} {:11.3f} {:6.3f}".format(n, *figures.values()))
        results[f"{n}-gram"] = figures
    cr.manual_seed(experiment.seed)
    network, gru = Feedforward(), Recurrent()
    sizes = {"CONTEXT": CONTEXT, "WIDTH": WIDTH, "HIDDEN": HIDDEN}
    say("\n2  {CONTEXT} letters × {WIDTH} → {HIDDEN} tanh → 27 scores\n", **sizes)
    results["network"] = train(experiment, "network", network, names)
    say("\n3  The recurrent network, a GRU of {UNITS} units\n", UNITS=UNITS)
    results["gru"] = train(experiment, "gru", gru, names)
    say("\n4  A letter of names that none of them has seen costs\n")
    costs = {name: figures["test"] for name, figures in results.items()}
    for name, value in costs.items():
        row = {"name": name, "value": value, "letters": np.exp(value)}
        say("   {name:8} {value:.3f} nats, like {letters:4.1f} letters", **row)
    made = invent(gru, np.random.default_rng([experiment.seed, 99]), 1000)
    real = {k: sum(name in v for name in made) / 1000 for k, v in names.items()}
    known = {"seen": real["train"], "unseen": real["validation"] + real["test"]}
    say(
        "\n   Of 1,000 names made up by the GRU {seen:.1%} stood in what it\n"
        "   learned from, and {unseen:.1%} are real ones that it never saw.",
        **known,
    )
    curves = {name: results[name]["losses"] for name in LR}
    title, across = _("nats a letter, names of the validation set"), _("epoch")
    shown = {_("network"): curves["network"], "GRU": curves["gru"]}
    axes: Any = {"across": across, "up": _("nats a letter")}
    experiment.draw("losses", gallery.lines, shown, title=title, **axes)
    rows, title = network.table.weight.numpy(), _("27 letters by their embeddings")
    experiment.draw("embeddings", pictures.embeddings, rows, LETTERS, title=title)
    gain = {name: costs["2-gram"] - costs[name] for name in curves}
    return {"models": results, "gain": gain, "invented": known}


if __name__ == "__main__":
    run(Experiment("names"))
