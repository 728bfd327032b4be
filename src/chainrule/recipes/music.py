"""Classification of music: genres by measured features, dances by notes.

Music for a network may be what an expert has measured, or the notes:

    genres     138 measured features a recording → 512 → 6 genres
    dances     the notes of a tune → convolutions over notes → reel, jig or hornpipe

(or the sound itself: the recipe ``timbre``).

Genres are five splits, with scikit-learn's classifiers on the same ones. Of each note
of a dance the network reads step, duration, and whether a bar begins:

    hᵢ = ReLU(norm(Σₖ Wₖ xᵢ₊ₖ + b)),  three layers;   scores = V [maxᵢ hᵢ, meanᵢ hᵢ] + c

A convolution finds a turn of a few notes wherever it stands; the largest of h over the
tune says that it occurs, the mean how often. Tunes are cut into pieces of about eight
bars, as dancers hear them: each is an example to learn from, and the pieces of a tune
vote. The readers in ``datasets`` say what the data are, and where they come from.

What to look at: how far features that somebody has thought of carry (1.2), beside
features that are learned (1.4); which dances are taken for one another, and why jigs
hardly ever are: their bars have six notes. At the end, the design in words. Settings
were chosen on parts of the rows to learn from, never on those of the test.

    pip install --no-deps pyAudioAnalysis music21
    pip install 'chainrule[sklearn]'
    chainrule train music
    python -m chainrule.recipes.music
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets import fiddle_tunes, genres
from chainrule.recipes.evaluation import baselines, folds
from chainrule.text import _, ngettext, padded, say, tr, translated

SUMMARY = _("style of music: six genres by their features, three dances by their notes")
SECONDS = 85
BEST = _("scikit-learn's best, same splits")
LINEAR = "its own bar; rhythms, linear: 0.911"
REFERENCES = [
    Reference("genres.ahead", at_least=-0.02, source=BEST),
    Reference("dances.accuracy", at_least=0.92, source=LINEAR),
]
FOLDS, BATCH_SIZE, LR, WEIGHT_DECAY = 5, 32, 4e-3, 0.3
EPOCHS, MEMBERS = {"genres": 60, "dances": 12}, {"genres": 5, "dances": 2}
DESIGN = _(
    """
How to design a network that recognises the style of music (1.8):

  data          what is to be told apart, from many sources. Split by recording, by
                player, by collection, not by piece: or the network learns the room.
  input         the notes where there are notes: they are short, and key and speed can
                be taken out of them. Else a spectrogram, which is a picture of sound;
                features that somebody has thought of where there are few examples.
  architecture  style is what recurs: turns, rhythms, colours. Convolutions find them
                wherever they stand, pooling over time forgets where. A recurrent or
                attending network where the order of whole sections matters.
  size          as small as the examples are few; dropout, several networks that vote.
  measure       accuracy beside the commonest class and a linear model; what is taken
                for what; on recordings of other people."""
)


def trainer(experiment: Experiment, model: nn.Module) -> cr.Trainer:
    """Return a Trainer for music classifiers: cross-entropy, AdamW, one cycle."""
    return cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=WEIGHT_DECAY),
        seed=experiment.seed,
        **experiment.engine_options,
    )


def ensemble(
    experiment: Experiment, task: str, fold: int, network: Any, split: baselines.Split
) -> np.ndarray:
    """Train an ensemble of networks; return their mean probabilities on test rows."""
    x, y, x_test, __ = split
    epochs, members = EPOCHS[task], MEMBERS[task]
    if experiment.quick:
        epochs, members = max(4, epochs // 5), 1
    budget = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    probabilities = []
    for i in range(members):
        cr.manual_seed((experiment.seed * 100 + i) % 2**64)
        member = trainer(experiment, network())
        member = experiment.fit(f"{task}-{fold}-{i}", member, (x, y), **budget)
        probabilities.append(member.predict(x_test, output="probabilities"))
    return np.mean(probabilities, axis=0)


def genre_network() -> nn.Sequential:
    """Return a network from 138 music features to the scores of six genres."""
    hidden = nn.Linear(138, 512), nn.ReLU(), nn.Dropout(0.5)
    return nn.Sequential(nn.Dropout(0.2), *hidden, nn.Linear(512, 6))


def show_genres(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Compare genre classification by an ensemble of networks with scikit-learn."""
    x, y = genres.read(folder / genres.FILE)
    say(
        "Genres: {pieces}, {features}, six genres\n",
        pieces=ngettext("{n} piece", "{n} pieces", n=len(x)),
        features=ngettext("{n} feature", "{n} features", n=x.shape[1]),
    )
    rows, dealt = [], folds.stratified(y, FOLDS, experiment.seed)
    for i, (train, test) in enumerate(dealt[:2] if experiment.quick else dealt):
        split = x[train], y[train], x[test], y[test]
        p = ensemble(experiment, "genres", i, genre_network, split)
        row = {"network": float((p.argmax(1) == y[test]).mean())}
        stage, models = f"baselines-{i}", baselines.feature_classifiers()
        row |= experiment.cached(stage, baselines.accuracies, models, split)
        rows.append(row)
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for name, mean in means.items():
        each = " ".join(f"{row[name]:.3f}" for row in rows)
        print(f"  {padded(tr(name), 20)} {mean:.3f}   ({each})")
    best = max(mean for name, mean in means.items() if name != "network")
    result = {"accuracy": means["network"], "best": best, "splits": rows}
    return {**result, "ahead": means["network"] - best}


class TuneNetwork(nn.Module):
    """A network over a tune's notes: convolutions, pooling, scores of dances."""

    def __init__(self) -> None:
        self.tables = nn.ModuleList([nn.Embedding(rows, 24) for rows in (32, 14, 2)])
        self.windows = nn.ModuleList(
            nn.Conv1d(64 if i else 24, 64, 5, padding=2 * 2**i, dilation=2**i)
            for i in range(3)
        )
        self.norms = nn.ModuleList([nn.LayerNorm(64) for __ in range(3)])
        self.drop, self.scores = nn.Dropout(0.5), nn.Linear(128, 3)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the dance scores of pieces of tunes, arrays of notes (n, T, 4)."""
        notes, mask = x.astype("int32"), x[:, :, 3:].astype("float32")
        h = cr.zeros(1)
        for i, table in enumerate(self.tables):
            h = h + table(notes[:, :, i])
        for window, norm in zip(self.windows, self.norms):
            h = window((h * mask).transpose(1, 2)).transpose(1, 2)
            h = norm(h).relu() * mask
        pooled = cr.cat([h.amax(1), h.sum(1) / mask.sum(1)], dim=1)
        return self.scores(self.drop(pooled))


def show_dances(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Train dance classifiers on pieces of tunes; test by the pieces' votes."""
    tunes, y = fiddle_tunes.read(folder / "corpus")
    x, owners = fiddle_tunes.pieces(tunes)
    votes = np.zeros((len(tunes), 3))  # Σ ln p over the pieces of a tune
    tested: list[int] = []
    dealt = folds.stratified(y, FOLDS, experiment.seed)
    for i, (train, test) in enumerate(dealt[:1] if experiment.quick else dealt):
        train = train[::2] if experiment.quick else train
        known, new = np.isin(owners, train), np.isin(owners, test)
        split = x[known], y[owners[known]], x[new], y[owners[new]]
        p = ensemble(experiment, "dances", i, TuneNetwork, split)
        np.add.at(votes, owners[new], np.log(p + 1e-9))
        tested += test.tolist()
    confusion = cr.metrics.measure("confusion_matrix", votes[tested], y[tested])
    accuracy = float(np.trace(confusion) / confusion.sum())
    say("\nDances: {share:.1%} of new tunes recognised.", share=accuracy)
    names: Any = {"rows": fiddle_tunes.DANCES, "columns": fiddle_tunes.DANCES}
    names |= {"up": _("is a"), "across": _("is taken for a")}
    look = {"numbers": "d", "title": _("dances by their notes"), "size": (4.2, 2.6)}
    experiment.draw("dances", viz.gallery.heat, confusion, **names, **look)
    counts = dict(zip(fiddle_tunes.DANCES, np.bincount(y).tolist()))
    result = {"accuracy": accuracy, "counts": counts}
    return {**result, "confusion": confusion.tolist()}


def run(experiment: Experiment) -> dict[str, Any]:
    """Classify music by genres and by dances, and print a conclusion.

    Args:
        experiment: the seed of the splits, the initial weights and the order.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    audio = experiment.folder("pyAudioAnalysis", "--no-deps pyAudioAnalysis")
    scores = experiment.folder("music21", "--no-deps music21")
    result = {"genres": show_genres(experiment, audio)}
    result["dances"] = show_dances(experiment, scores)
    print(translated(DESIGN))
    return result


if __name__ == "__main__":
    run(Experiment("music"))
