"""Speaker recognition: nine speakers by one vowel each (1.5, 1.6).

    x₁ … x_T  →  windows of 3 and 5 steps  →  mean and deviation over time  →  9 scores
    12 numbers a step, T = 7 … 29

The data: nine men say "ae", 270 utterances to learn from and 370, recorded on other
occasions, to test with. Each step is 12 coefficients of linear prediction, which
describe the resonances of the mouth while it speaks.

Utterances are of different length, and one array holds them all: behind the end of a
short one stand zeros, and a thirteenth channel m says which steps are real (1) and
which are not (0). What sums over time takes the real ones alone:

    μ = Σₜ mₜ hₜ / Σₜ mₜ,    σ² = Σₜ mₜ (hₜ − μ)² / Σₜ mₜ

μ and σ side by side are a vector of fixed length for an utterance of any length: the
voice print. It is the x-vector of speaker recognition in miniature.

What to look at: three networks are compared on parts of the training utterances that
they have not seen; the best (by loss) is trained anew on all of them, three times, and
the three vote. The test utterances are looked at once. Then: who is taken for whom; the
voice prints on paper; how much of an utterance must be heard.

Source: Kudo, Toyama & Shimbo 1999, "Multidimensional curve classification using
passing-through regions" (the data; 94.1 %, a hidden Markov model 96.2 %); Snyder et al.
2018, "X-vectors: robust DNN embeddings for speaker recognition".

    pip install --no-deps aeon
    chainrule train speech
    python -m chainrule.recipes.speech
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say, tr

SUMMARY = _("who speaks: nine speakers' vowels, sequences of unequal length, masked")
SECONDS = 6
REFERENCES = [
    Reference("accuracy", at_least=0.97, source=_("Kudo et al. 1999: 0.941, HMM 0.962"))
]
WIDTH, EPOCHS, BATCH_SIZE, LR, WEIGHT_DECAY = 64, 40, 27, 5e-3, 0.05
FOLDS, MEMBERS = 3, 3
#: What the validation compares, and what each is.
KINDS = {
    _("windows, μ and σ"): "two convolutions; mean and deviation over time",
    _("windows, μ"): "two convolutions; mean over time",
    "LSTM, μ": "a memory that reads step by step; mean over time",
}


# -- data ------------------------------------------------------------------------------


def read(file: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Read utterances, (T, 12) each, and speakers 0 … 8 from a file of aeon's format.

    A line is an utterance: its channels, then the speaker, between colons.
    """
    utterances, speakers = [], []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, speaker = line.split(":")
            rows = [np.array(channel.split(","), np.float64) for channel in channels]
            utterances.append(np.stack(rows, 1))
            speakers.append(int(speaker) - 1)
    return utterances, np.array(speakers, np.int32)


def stacked(utterances: list[np.ndarray], known: list[np.ndarray]) -> np.ndarray:
    """Return standardised utterances (n, T, 13), zero-padded, with a mask m."""
    steps = np.concatenate(known)
    mean, deviation = steps.mean(0), steps.std(0)
    x = np.zeros((len(utterances), max(map(len, utterances)), 13), np.float32)
    for row, utterance in zip(x, utterances):
        row[: len(utterance), :12] = (utterance - mean) / deviation
        row[: len(utterance), 12] = 1
    return x


# -- networks --------------------------------------------------------------------------


class Speaker(nn.Module):
    """A network that scores nine speakers for utterances (n, T, 13)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        if kind.startswith("LSTM"):
            self.reader = nn.LSTM(12, WIDTH, batch_first=True)
        else:
            self.windows = nn.ModuleList(
                [
                    nn.Conv1d(12, WIDTH, 3, padding=1),
                    nn.Conv1d(WIDTH, WIDTH, 3, padding=2, dilation=2),
                ]
            )
            self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.drop = nn.Dropout(0.3)
        self.scores = nn.Linear(WIDTH * (2 if "σ" in kind else 1), 9)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of the speakers."""
        return self.scores(self.drop(self.print(x)))

    def print(self, x: cr.Tensor) -> cr.Tensor:
        """Return the voice print: an utterance's features pooled over time."""
        h, m = x[:, :, :12], x[:, :, 12:]
        if self.kind.startswith("LSTM"):
            h = self.reader(h)[0]  # it reads forwards: what follows the end is too late
        else:
            for window, norm in zip(self.windows, self.norms):
                h = norm(window(h.transpose(1, 2)).transpose(1, 2)).relu() * m
        steps = m.sum(1)
        mean = (h * m).sum(1) / steps
        if "σ" not in self.kind:
            return mean
        apart = (h - mean.unsqueeze(1)) * m
        return cr.cat([mean, ((apart * apart).sum(1) / steps + 1e-4).sqrt()], dim=1)


def trainer(experiment: Experiment, kind: str, number: int) -> cr.Trainer:
    """Return a Trainer with a new network; ``number`` varies the seed."""
    seed = (experiment.seed * 100 + number) % 2**64
    cr.manual_seed(seed)
    return cr.Trainer(
        Speaker(kind),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=WEIGHT_DECAY),
        seed=seed,
        **experiment.engine_options,
    )


# -- choosing --------------------------------------------------------------------------


def validated(experiment: Experiment, kind: str, x: np.ndarray, y: np.ndarray) -> Any:
    """Return loss and accuracy of three-fold cross-validation in training data."""
    fold = np.empty(len(y), int)
    for speaker in range(9):
        mine = np.flatnonzero(y == speaker)
        order = np.random.default_rng([experiment.seed, speaker]).permutation(len(mine))
        fold[mine] = order % FOLDS
    found = []
    for number in range(1 if experiment.quick else FOLDS):
        known, new = fold != number, fold == number
        run = trainer(experiment, kind, number)
        fit(experiment, run, (x[known], y[known]))
        found.append(run.evaluate((x[new], y[new])))
    return {k: float(np.mean([f[k] for f in found])) for k in ("loss", "accuracy")}


def fit(
    experiment: Experiment, run: cr.Trainer, data: Any, stage: str = ""
) -> cr.Trainer:
    """Train on utterances, as a stage or within one."""
    epochs = 10 if experiment.quick else EPOCHS
    how: Any = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    if stage:
        return experiment.fit(stage, run, data, **how)
    run.fit(data, **how)
    return run


def choose(
    experiment: Experiment, x: np.ndarray, y: np.ndarray
) -> tuple[str, dict[str, Any]]:
    """Choose the network with the least validation loss; return figures of all."""
    say("Validation on training utterances that were left out:\n")
    say("                        loss   accuracy")
    found = {}
    for number, kind in enumerate(KINDS):
        found[kind] = experiment.cached(
            f"validated-{number}", validated, experiment, kind, x, y
        )
        f = found[kind]
        print(f"  {kind:18} {f['loss']:9.4f} {f['accuracy']:9.1%}")
    best = min(found, key=lambda kind: found[kind]["loss"])
    say("\nChosen: {best} ({KINDS})\n", best=best, KINDS=KINDS[best])
    return best, found


# -- looking ---------------------------------------------------------------------------


def vote(members: list[cr.Trainer], x: np.ndarray) -> np.ndarray:
    """Return the mean of an ensemble's probabilities, (n, 9)."""
    return np.mean([m.predict(x, output="probabilities") for m in members], axis=0)


def heard(members: list[cr.Trainer], x: np.ndarray, y: np.ndarray) -> dict[int, float]:
    """Return the accuracy on the first steps only; the mask hides the rest."""
    found = {}
    for steps in (1, 2, 3, 5, 7, 10, 15, 20, 29):
        part = x.copy()
        part[:, steps:] = 0
        found[steps] = float((vote(members, part).argmax(1) == y).mean())
    return found


def flat(vectors: np.ndarray) -> np.ndarray:
    """Return vectors projected to the plane of their largest variance, (n, 2)."""
    apart = vectors - vectors.mean(0)
    left, sizes, __ = np.linalg.svd(apart, full_matrices=False)
    made = left[:, :2] * sizes[:2]
    return made * np.sign(made[np.abs(made).argmax(0), [0, 1]])


def draw_voices(figure: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Draw three utterances of each of three speakers: coefficients over time."""
    places = figure.subplots(3, 3, sharex=True, sharey=True)
    for row, speaker in zip(places, (0, 3, 8)):
        for axes, utterance in zip(row, x[y == speaker][:3]):
            shown = np.where(utterance[:, 12:] > 0, utterance[:, :12], np.nan).T
            axes.imshow(shown, cmap="RdBu_r", vmin=-2.5, vmax=2.5, aspect="auto")
            axes.grid(visible=False)
        row[0].set_ylabel(tr("speaker {speaker}", speaker=speaker + 1))


def run(experiment: Experiment) -> dict[str, Any]:
    """Choose a network, train it, test it once, and analyse it.

    Args:
        experiment: the seed of the folds, the initial weights and the order.

    Raises:
        ArgumentError: the package aeon, which has the data, is not installed.
    """
    folder = (
        experiment.folder("aeon", "--no-deps aeon") / "datasets/data/JapaneseVowels"
    )
    known, y = read(folder / "JapaneseVowels_TRAIN.ts")
    new, truth = read(folder / "JapaneseVowels_TEST.ts")
    x, x_new = stacked(known, known), stacked(new, known)
    say(
        "{x} utterances to learn from, {x_new} to test with, {len} to "
        "{known_new} steps.\n",
        x=len(x),
        x_new=len(x_new),
        len=min(map(len, known + new)),
        known_new=max(map(len, known + new)),
    )
    experiment.draw(
        "voices", draw_voices, x, y, title=_("three utterances of three speakers")
    )
    kind, figures = choose(experiment, x, y)
    members = [
        fit(experiment, trainer(experiment, kind, 50 + i), (x, y), f"member-{i + 1}")
        for i in range(1 if experiment.quick else MEMBERS)
    ]
    shares = vote(members, x_new)
    said = shares.argmax(1)
    accuracy = float((said == truth).mean())
    single = [float((vote([m], x_new).argmax(1) == truth).mean()) for m in members]
    say(
        "Test: {accuracy:.2%} of {truth} utterances, {sum} wrong; the "
        "networks by themselves {single}.",
        accuracy=accuracy,
        truth=len(truth),
        sum=(said != truth).sum(),
        single=", ".join(f"{s:.2%}" for s in single),
    )
    confusion = np.zeros((9, 9), int)
    np.add.at(confusion, (truth, said), 1)
    names = [str(i + 1) for i in range(9)]
    experiment.draw(
        "confusion",
        viz.gallery.heat,
        confusion,
        rows=names,
        columns=names,
        up=_("speaks"),
        across=_("is taken for"),
        numbers="d",
        title=_("who is taken for whom"),
        size=(5.0, 4.0),
    )
    model: Any = members[0].model
    prints = cr.compile(model.print, **experiment.engine_options)(
        cr.tensor(x_new)
    ).numpy()
    experiment.draw(
        "prints",
        viz.gallery.points,
        flat(prints),
        truth + 1,
        title=_(
            "voice prints of the test utterances, two directions of largest spread"
        ),
        size=(6.0, 4.0),
    )
    longer = np.pad(x_new, ((0, 0), (0, 11), (0, 0)))
    change = float(np.abs(vote(members, longer) - shares).max())
    say(
        "Eleven steps of nothing at the end change a probability by {change:.0e}.\n",
        change=change,
    )
    steps = experiment.cached("heard", heard, members, x_new, truth)
    say("How much must be heard:\n")
    for count, share in steps.items():
        say(
            "  {count:>2} steps  {share:6.1%}  {round_share}",
            count=count,
            share=share,
            round_share="█" * round(40 * share),
        )
    experiment.draw(
        "heard",
        viz.gallery.lines,
        {"accuracy": (np.array(list(steps), float), list(steps.values()))},
        across=_("steps that are heard (6.4 ms each)"),
        up=_("accuracy"),
        log=False,
        title=_("how much of an utterance must be heard"),
        size=(6.0, 3.0),
    )
    return {
        "accuracy": accuracy,
        "single": single,
        "chosen": kind,
        "validation": figures,
        "padding": change,
        "heard": steps,
        "confusion": confusion.tolist(),
    }


if __name__ == "__main__":
    run(Experiment("speech"))
