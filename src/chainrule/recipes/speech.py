"""Speaker recognition: nine speakers by one vowel each (1.5, 1.6).

    x₁ … x_T  →  windows of 3 and 5 steps  →  mean and deviation over time  →  9 scores
    12 numbers a step, T = 7 … 29

The data: nine men say "ae", 270 utterances to learn from and 370, recorded on other
occasions, to test with. Each step is 12 coefficients of linear prediction, which
describe the resonances of the mouth while it speaks.

Utterances are of different length, and one array has them all: behind the end of a
short one stand zeros, and a thirteenth channel m is 1 for the steps of the utterance
and 0 for the padding. Sums over time are sums over the steps with m = 1:

    μ = Σₜ mₜ hₜ / Σₜ mₜ,    σ² = Σₜ mₜ (hₜ − μ)² / Σₜ mₜ

μ and σ side by side are a vector of fixed length for an utterance of any length: the
voice print. It is the x-vector of speaker recognition in miniature.

What to look at: the best of three networks, by cross-validation, is trained anew on all
training utterances, three times, and the three vote on the test utterances. Then: who
is taken for whom; the voice prints on paper; how much of an utterance must be heard.

Source: Snyder et al. 2018, "X-vectors: robust DNN embeddings for speaker recognition";
Kudo, Toyama & Shimbo 1999 (the data; 94.1 %, a hidden Markov model 96.2 %).

    pip install --no-deps aeon
    chainrule train speech
    python -m chainrule.recipes.speech
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets import japanese_vowels
from chainrule.recipes.evaluation import projection
from chainrule.recipes.pictures import speech as pictures
from chainrule.text import _, ngettext, padded, say, tr
from chainrule.viz import gallery

SUMMARY = _("who speaks: nine speakers' vowels, sequences of unequal length, masked")
SECONDS = 6
REFERENCES = [
    Reference("accuracy", at_least=0.97, source=_("Kudo et al. 1999: 0.941, HMM 0.962"))
]
WIDTH, EPOCHS, BATCH_SIZE, LR, WEIGHT_DECAY = 64, 40, 27, 5e-3, 0.05
FOLDS, MEMBERS = 3, 3
#: The networks that the validation compares: windows or an LSTM, μ and σ or μ alone.
NETWORKS = {
    _("windows, μ and σ"): {"lstm": False, "deviation": True},
    _("windows, μ"): {"lstm": False, "deviation": False},
    "LSTM, μ": {"lstm": True, "deviation": False},
}


class SpeakerNetwork(nn.Module):
    """A network that scores nine speakers for utterances (n, T, 13).

    Args:
        lstm: whether an LSTM reads the steps, or two convolutions.
        deviation: whether the voice print is μ and σ, or μ alone.
    """

    def __init__(self, lstm: bool, deviation: bool) -> None:
        self.lstm, self.deviation = lstm, deviation
        if lstm:
            self.reader = nn.LSTM(12, WIDTH, batch_first=True)
        else:
            narrow = nn.Conv1d(12, WIDTH, 3, padding=1)
            wide = nn.Conv1d(WIDTH, WIDTH, 3, padding=2, dilation=2)
            self.windows = nn.ModuleList([narrow, wide])
            self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.drop = nn.Dropout(0.3)
        self.scores = nn.Linear(WIDTH * (2 if deviation else 1), 9)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of nine speakers for utterances."""
        return self.scores(self.drop(self.voice_print(x)))

    def voice_print(self, x: cr.Tensor) -> cr.Tensor:
        """Return an utterance's voice print: its features pooled over time."""
        h, m = x[:, :, :12], x[:, :, 12:]
        if self.lstm:
            h = self.reader(h)[0]  # it reads forwards: the padding comes too late
        else:
            for window, norm in zip(self.windows, self.norms):
                h = norm(window(h.transpose(1, 2)).transpose(1, 2)).relu() * m
        steps = m.sum(1)
        mean = (h * m).sum(1) / steps
        if not self.deviation:
            return mean
        apart = (h - mean.unsqueeze(1)) * m
        return cr.cat([mean, ((apart * apart).sum(1) / steps + 1e-4).sqrt()], dim=1)


def trainer(experiment: Experiment, name: str, number: int) -> cr.Trainer:
    """Return a Trainer with a new speaker network; ``number`` varies the seed."""
    seed = (experiment.seed * 100 + number) % 2**64
    cr.manual_seed(seed)
    return cr.Trainer(
        SpeakerNetwork(**NETWORKS[name]),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=WEIGHT_DECAY),
        seed=seed,
        **experiment.engine_options,
    )


def fit(
    experiment: Experiment, stage: str, name: str, number: int, data: Any
) -> cr.Trainer:
    """Train a speaker network on utterances as a resumable stage."""
    epochs = 10 if experiment.quick else EPOCHS
    budget = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    return experiment.fit(stage, trainer(experiment, name, number), data, **budget)


def choose(experiment: Experiment, data: cr.data.Dataset) -> tuple[str, Any]:
    """Compare speaker networks by cross-validation; return the best, and figures."""
    say("Validation on training utterances that were left out:\n")
    say("                        loss   accuracy")
    figures = {}
    for number, name in enumerate(NETWORKS):
        folds = data.folds(FOLDS, experiment.seed, stratify=True)
        count = 1 if experiment.quick else FOLDS
        scores = []
        for i, (train, validation) in enumerate(islice(folds, count)):
            fitted = fit(experiment, f"validated-{number}-{i}", name, i, train)
            scores.append(fitted.evaluate(validation))
        means = {k: float(np.mean([s[k] for s in scores])) for k in scores[0]}
        print(f"  {padded(tr(name), 18)} {means['loss']:9.4f} {means['accuracy']:9.1%}")
        figures[name] = means
    best = min(figures, key=lambda name: figures[name]["loss"])
    say("\nChosen: {best}\n", best=best)
    return best, figures


def probabilities(members: list[cr.Trainer], x: np.ndarray) -> np.ndarray:
    """Return the speakers' mean probabilities by an ensemble, (n, 9)."""
    return np.mean([m.predict(x, output="probabilities") for m in members], axis=0)


def run(experiment: Experiment) -> dict[str, Any]:
    """Choose a speaker network, train it, test it once, and analyse it.

    Args:
        experiment: the seed of the folds, the initial weights and the order.
    """
    folder = experiment.folder("aeon", "--no-deps aeon")
    utterances, y = japanese_vowels.read(folder / japanese_vowels.TRAIN)
    new, truth = japanese_vowels.read(folder / japanese_vowels.TEST)
    x = japanese_vowels.padded(utterances, utterances)
    x_test = japanese_vowels.padded(new, utterances)
    say(
        ngettext(
            "{n} utterance to learn from, {test} to test with.\n",
            "{n} utterances to learn from, {test} to test with.\n",
            n=len(x),
            test=len(new),
        )
    )
    title = _("three utterances of three speakers")
    experiment.draw("voices", pictures.voices, x, y, title=title)

    data = cr.data.Dataset(x, y, classes=9)
    name, figures = choose(experiment, data)
    members = [
        fit(experiment, f"member-{i + 1}", name, 50 + i, data)
        for i in range(1 if experiment.quick else MEMBERS)
    ]
    p = probabilities(members, x_test)
    confusion = cr.metrics.measure("confusion_matrix", p, truth)
    accuracy = float(np.trace(confusion) / len(truth))
    single = [float(m.evaluate((x_test, truth))["accuracy"]) for m in members]
    say(
        ngettext(
            "Test: {accuracy:.2%} of {n} utterance.",
            "Test: {accuracy:.2%} of {n} utterances.",
            n=len(truth),
            accuracy=accuracy,
        )
    )
    speakers = [str(i + 1) for i in range(9)]
    axes: Any = {"rows": speakers, "columns": speakers, "numbers": "d"}
    axes |= {"up": _("speaks"), "across": _("is taken for"), "size": (5.0, 4.0)}
    title = _("who is taken for whom")
    experiment.draw("confusion", gallery.heat, confusion, title=title, **axes)

    model: Any = members[0].model
    prints = experiment.compile(model.voice_print)(cr.tensor(x_test)).numpy()
    title = _("voice prints of the test utterances, each drawn as its speaker")
    points = projection.principal_plane(prints), truth + 1
    look: Any = {"across": _("direction of largest variance"), "up": _("the next one")}
    look["size"] = (6.0, 4.0)
    experiment.draw("prints", gallery.points, *points, title=title, **look)

    say("\nHow much must be heard:\n")
    heard = {}
    for steps in (1, 2, 3, 5, 7, 10, 15, 20, 29):
        part = x_test * (np.arange(x_test.shape[1])[:, None] < steps)  # the mask too
        right = probabilities(members, part).argmax(1) == truth
        heard[steps] = float(right.mean())
        line = ngettext(
            "  {n:>2} step   {share:6.1%}",
            "  {n:>2} steps  {share:6.1%}",
            n=steps,
            share=heard[steps],
        )
        say(line)
    result = {"accuracy": accuracy, "single": single, "chosen": name, "heard": heard}
    return {**result, "validation": figures, "confusion": confusion.tolist()}


if __name__ == "__main__":
    run(Experiment("speech"))
