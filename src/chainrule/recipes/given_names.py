"""A letter-by-letter language model of first names that invents names (1.6).

Bengio, Ducharme, Vincent & Jauvin 2003, "A neural probabilistic language model": each
letter is a row of a table of embeddings, the rows of the last six stand side by side,

    z = W⁽²⁾ tanh(W⁽¹⁾ [e(c₁) … e(c₆)] + b⁽¹⁾) + b⁽²⁾,    p(next) = softmax(z),

and the loss is the mean of −ln p(the letter that came): the nats that a letter costs.
Its rivals are tables of counts, p(next | the last n − 1) = (count + α) / Σ (count + α),
and a recurrent network, which reads a name from its beginning (Cho et al. 2014). The
names are 5,163 first names of the US census of 1990, from the package `names`; a tenth
of them chooses settings, another tenth is the test, looked at once. What to look at:

    1   Counting. With each letter more in its memory a table fits what it has seen
        better; what it has not seen, from some length on worse.
    2   The network's made-up names, from noise to names that nobody has.
    3   The recurrent network, with the same data.
    4   What a letter of unseen names costs each of them.
    5   embeddings.png: nobody has told the network which letters are vowels (1.4).

    pip install names
    chainrule train names
    python -m chainrule.recipes.given_names
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference, numbered
from chainrule.text import _, say
from chainrule.training import Callback
from chainrule.viz import gallery

SUMMARY = _("makes up first names: counts, the network of Bengio (2003), and a GRU")
#: The point begins and ends a name.
LETTERS = ".abcdefghijklmnopqrstuvwxyz"
NUMBER_OF = {letter: i for i, letter in enumerate(LETTERS) if i}
CONTEXT, WIDTH, HIDDEN, DROPOUT = 6, 16, 200, 0.1
MLP = {"epochs": 20, "batch_size": 64, "lr": 3e-3}
UNITS = 128
GRU = {"epochs": 15, "batch_size": 32, "lr": 5e-3}
#: What is added to counts; the validation names choose.
ALPHAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
#: After how many epochs some names are shown.
SHOWN = (1, 2, 5, 10, 15, 20)
SECONDS = 5
REFERENCES = [
    Reference(
        "gain.network",
        at_least=0.35,
        source="bigram 2.45, network 2.1: A. Karpathy, makemore (2022), 32,033 names",
    ),
    Reference(
        "gain.gru",
        at_least=0.35,
        source=_("no worse than the network: Mikolov et al. 2010"),
    ),
]

#: Scores or probabilities of the next letter, (n, 27), after n beginnings of names.
Following = Callable[[Sequence[str]], np.ndarray]

# -- the names -------------------------------------------------------------------------


def read(folder: Path) -> list[str]:
    """Read the first names, without duplicates, in alphabetical order."""
    files = (folder / f"dist.{kind}.first" for kind in ("female", "male"))
    lines = [line for file in files for line in file.read_text("ascii").splitlines()]
    return sorted({line.split()[0].lower() for line in lines})


def split(names: list[str]) -> dict[str, list[str]]:
    """Split names: 8/10 training, 1/10 validation, 1/10 test."""
    order = np.random.default_rng(0).permutation(len(names))
    mixed = [names[i] for i in order]
    a, b = len(names) * 8 // 10, len(names) * 9 // 10
    return {"train": mixed[:a], "validation": mixed[a:b], "test": mixed[b:]}


def numbers(name: str, before: int = 1) -> list[int]:
    """Return a name as letter numbers, with points in front."""
    return [0] * before + numbered("names", name, NUMBER_OF)


def windows(beginnings: Sequence[str]) -> np.ndarray:
    """Return the last six letters of each beginning, (n, 6)."""
    return np.array([numbers(b, CONTEXT)[-CONTEXT:] for b in beginnings])


def prefixes(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return every prefix of every name, and the number of its next letter."""
    beginnings = [name[:i] for name in names for i in range(len(name) + 1)]
    following = [number for name in names for number in [*numbers(name, 0), 0]]
    return beginnings, np.array(following)


def letters(names: Sequence[str]) -> cr.data.Dataset:
    """Return a data set with a row for each letter: letters before, and the letter."""
    before, following = prefixes(names)
    return cr.data.Dataset(windows(before), following, name="letters", classes=27)


def rows(names: Sequence[str], length: int) -> cr.data.Dataset:
    """Return a row for each name: its letters, and the next; −100 is ignored."""
    x, y = np.zeros((len(names), length), int), np.full((len(names), length), -100)
    for i, name in enumerate(names):
        told = [*numbers(name), 0]
        x[i, : len(told) - 1], y[i, : len(told) - 1] = told[:-1], told[1:]
    return cr.data.Dataset(x, y, name="names")


# -- 1: counting -----------------------------------------------------------------------


def counts(names: Sequence[str], n: int) -> np.ndarray:
    """Count the n-grams of letters, in a table with n axes."""
    table = np.zeros((27,) * n)
    for name in names:
        told = [*numbers(name, max(n - 1, 1)), 0]
        for i in range(max(n - 1, 1), len(told)):
            table[tuple(told[i - n + 1 : i + 1])] += 1
    return table


def smoothed(table: np.ndarray, alpha: float) -> np.ndarray:
    """Return p(last letter | letters before), smoothed by adding α to counts."""
    return (table + alpha) / (table + alpha).sum(-1, keepdims=True)


def cost(p: np.ndarray, table: np.ndarray) -> float:
    """Return the cross-entropy in nats a letter: the mean of −ln p over counts."""
    return float(-(table * np.log(p)).sum() / table.sum())


def count_letters(parts: dict[str, list[str]]) -> tuple[dict[str, Any], np.ndarray]:
    """Evaluate n-gram models for n = 1 … 4, each at its best α; return the bigram."""
    say("1  Counting: p(next | the last n − 1), nats a letter\n")
    say("   n      α   train  validation   test")
    found, tables = {}, {}
    for n in range(1, 5):
        seen, chosen, tested = (counts(parts[k], n) for k in parts)
        alpha = min(ALPHAS, key=lambda a: cost(smoothed(seen, a), chosen))
        tables[n] = smoothed(seen, alpha)
        costs = [cost(tables[n], table) for table in (seen, chosen, tested)]
        found[str(n)] = {"alpha": alpha, **dict(zip(parts, costs))}
        print("   {} {:6} {:7.3f} {:11.3f} {:6.3f}".format(n, alpha, *costs))
    return found, tables[2]


# -- 2 and 3: the networks -------------------------------------------------------------


def network() -> nn.Module:
    """Return Bengio's network: embeddings of six letters, a hidden layer, scores."""
    return nn.Sequential(
        nn.Embedding(27, WIDTH),
        nn.Flatten(),
        nn.Dropout(DROPOUT),
        nn.Linear(CONTEXT * WIDTH, HIDDEN),
        nn.Tanh(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, 27),
    )


class Recurrent(nn.Module):
    """A recurrent language model: embeddings, a GRU, scores of the next letter."""

    def __init__(self) -> None:
        self.table = nn.Embedding(27, WIDTH)
        self.gru = nn.GRU(WIDTH, UNITS, batch_first=True)
        self.dropout = nn.Dropout(2 * DROPOUT)
        self.scores = nn.Linear(UNITS, 27)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of the next letters, (N, 27, T), as the loss takes them."""
        states, __ = self.gru(self.table(x))
        return self.scores(self.dropout(states)).transpose(1, 2)


def invent(following: Following, rng: np.random.Generator, count: int) -> list[str]:
    """Draw names letter by letter from p, all at the same time."""
    made, going = [""] * count, list(range(count))
    while going:
        z = following([made[i] for i in going])
        p = np.exp(z - z.max(1, keepdims=True))
        reached = p.cumsum(1) > rng.random((len(going), 1)) * p.sum(1, keepdims=True)
        drawn = reached.argmax(1)
        for i, letter in zip(going, drawn):
            made[i] += LETTERS[letter]
        going = [i for i, c in zip(going, drawn) if c and len(made[i]) < 11]
    return [name.rstrip(".") for name in made]


class Diary(Callback):
    """A callback that stores invented names in the notes of checkpoints."""

    def __init__(self, following: Callable[[cr.Trainer], Following], seed: int) -> None:
        self.following, self.seed, self.said = following, seed, set[str]()

    def note(self, trainer: cr.Trainer) -> None:
        """Store five names that the network invents at this epoch."""
        rng = np.random.default_rng([self.seed, trainer.epoch])
        made = invent(self.following(trainer), rng, 7)
        trainer.notes = {**trainer.notes, str(trainer.epoch): made}
        self.say(trainer)

    def say(self, trainer: cr.Trainer) -> None:
        """Print the stored names that were not printed yet."""
        for epoch, made in trainer.notes.items():
            if epoch not in self.said:
                self.said.add(epoch)
                say("   epoch {epoch:>2}   {made}", epoch=epoch, made=", ".join(made))

    def on_epoch(self, trainer: cr.Trainer) -> None:
        """Store names at the epochs in ``SHOWN``."""
        if trainer.epoch in SHOWN:
            self.note(trainer)


def after_windows(trainer: cr.Trainer) -> Following:
    """Return a function that scores the next letter with Bengio's network."""
    return lambda beginnings: trainer.predict(windows(beginnings))


def after_rows(trainer: cr.Trainer) -> Following:
    """Return a function that scores the next letter with the recurrent network."""

    def following(beginnings: Sequence[str]) -> np.ndarray:
        data = rows(beginnings, 12)
        ends = [len(b) for b in beginnings]
        return trainer.predict(data.x)[np.arange(len(ends)), :, ends]

    return following


def train(
    experiment: Experiment,
    name: str,
    model: Callable[[], nn.Module],
    data: Sequence[cr.data.Dataset],
    how: dict[str, Any],
    following: Callable[[cr.Trainer], Following],
) -> cr.Trainer:
    """Train one of the two networks, and print invented names meanwhile."""
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        model(),
        loss=nn.CrossEntropyLoss(ignore_index=-100),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(how["lr"]), weight_decay=0.0),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    diary = Diary(following, experiment.seed)
    diary.note(trainer)
    trainer = experiment.fit(
        name,
        trainer,
        data[0],
        epochs=2 if experiment.quick else how["epochs"],
        batch_size=how["batch_size"],
        validation=data[1],
        callbacks=diary,
        progress=False,
    )
    diary.say(trainer)
    return trainer


# -- the whole -------------------------------------------------------------------------


def compare(costs: dict[str, float]) -> None:
    """Print the models' nats a letter on unseen names, the worst first."""
    say("\n4  A letter of names that none of them has seen costs\n")
    for name, value in costs.items():
        bar = "█" * round(value * 9)
        say(
            "   {name:20}  {value:.3f} nats, like {exp_value:4.1f} letters  {bar}",
            name=name,
            value=value,
            exp_value=np.exp(value),
            bar=bar,
        )


def judge(made: Sequence[str], parts: dict[str, list[str]]) -> dict[str, float]:
    """Return the shares of invented names that exist in the training and other sets."""
    known = {k: sum(n in set(parts[k]) for n in made) / len(made) for k in parts}
    return {"seen": known["train"], "unseen": known["validation"] + known["test"]}


def draw_letters(figure: Any, table: np.ndarray) -> None:
    """Draw the letters' embeddings in the plane of their largest variance."""
    axes, centred = figure.subplots(), table - table.mean(0)
    across = centred @ np.linalg.svd(centred)[2][:2].T
    for letter, (x, y) in zip(LETTERS, across):
        colour = "#c2570c" if letter in "aeiouy" else "#2563c9"
        axes.text(x, y, letter, color=colour, ha="center", va="center", fontsize=13)
    axes.set(xlim=(across[:, 0].min() - 0.3, across[:, 0].max() + 0.3))
    axes.set(ylim=(across[:, 1].min() - 0.3, across[:, 1].max() + 0.3))


def run(experiment: Experiment) -> dict[str, Any]:
    """Count n-grams, train both networks, and compare.

    Args:
        experiment: the seed of weights, order and made-up names, not of the split.

    Raises:
        ArgumentError: the package names is not installed.
    """
    names = read(experiment.folder("names", "names"))
    parts = split(names)
    if experiment.quick:
        parts["train"] = parts["train"][:1500]
    _seen, _chosen, _tested = parts.values()
    say(
        "{names:,} names: {train:,} to learn from, {validation} to choose "
        "settings with, {test} to test\n",
        **{name: len(part) for name, part in {"names": names, **parts}.items()},
    )
    tables, bigram = count_letters(parts)

    say(
        "\n2  {CONTEXT} letters × {WIDTH} → {HIDDEN} tanh → 27 scores\n",
        CONTEXT=CONTEXT,
        WIDTH=WIDTH,
        HIDDEN=HIDDEN,
    )
    data = [letters(part) for part in parts.values()]
    mlp = train(experiment, "network", network, data, MLP, after_windows)
    say("\n3  The recurrent network, a GRU of {UNITS} units\n", UNITS=UNITS)
    series = [rows(part, 12) for part in parts.values()]
    gru = train(experiment, "gru", Recurrent, series, GRU, after_rows)

    costs = {"guessing": float(np.log(27)), "how often it comes": tables["1"]["test"]}
    costs |= {f"the last {n} counted": tables[str(n + 1)]["test"] for n in (1, 2, 3)}
    costs["the network"] = mlp.evaluate(data[2])["loss"]
    costs["the GRU"] = gru.evaluate(series[2])["loss"]
    compare(costs)
    made = invent(after_rows(gru), np.random.default_rng([experiment.seed, 99]), 1000)
    known = judge(made, parts)
    say(
        "\n   Of 1,000 names made up by the GRU {seen:.1%} stood in what it\n"
        "   learned from, and {unseen:.1%} are real ones that it never saw.",
        **known,
    )

    history = {"network": mlp.history.epochs, "GRU": gru.history.epochs}
    curves = {k: [row["validation_loss"] for row in v] for k, v in history.items()}
    experiment.draw(
        "losses",
        gallery.lines,
        curves | {"bigram": [tables["2"]["validation"]] * MLP["epochs"]},
        title=_("nats a letter, names of the validation set"),
        across=_("epoch"),
        log=False,
    )
    table = mlp.model.state_dict()["0.weight"]
    experiment.draw(
        "embeddings", draw_letters, table, title=_("27 letters, as the network")
    )
    experiment.draw(
        "bigram",
        gallery.heat,
        bigram,
        title=_("p(next letter | letter), counted"),
        rows=LETTERS,
        columns=LETTERS,
        across=_("next"),
        up=_("letter"),
        size=(7.0, 6.0),
    )
    gain = {
        k: costs["the last 1 counted"] - costs[f"the {v}"] for k, v in NAMED.items()
    }
    return {
        "seed": experiment.seed,
        "names": {k: len(part) for k, part in parts.items()},
        "counts": tables,
        "test": costs,
        "gain": gain,
        "made": {"network": mlp.notes, "gru": gru.notes},
        "known": known,
    }


#: The networks in the results, and in the table.
NAMED = {"network": "network", "gru": "GRU"}

if __name__ == "__main__":
    run(Experiment("names"))
