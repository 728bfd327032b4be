"""The networks of ``music`` beside PyTorch, and scikit-learn's best for quality.

    python benchmarks/recipes/music.py genres --seeds 3
    python benchmarks/recipes/music.py dances --seeds 3

One network on one split, that of the seed. Of scikit-learn's classifiers that the
recipe asks about genres, the SVM is the best; for dances a linear one on counts of up
to six durations in a row, with the bars between them, was the best of a dozen.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytorch
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn as peer_nn
from turns import Run, Side, Trial, arguments, compare, epochs, fitted

import chainrule as cr
from chainrule.recipes import Experiment, music
from chainrule.recipes.datasets import fiddle_tunes
from chainrule.recipes.datasets import genres as features
from chainrule.recipes.evaluation import folds

# -- genres ----------------------------------------------------------------------------


def genres(trial: Trial) -> tuple[Any, Any, Any, Any]:
    """Features and genres, to learn from and to ask about."""
    folder = trial.folder("pyAudioAnalysis", "--no-deps pyAudioAnalysis")
    x, y = features.read(folder / features.FILE)
    known, new = folds.stratified(y, music.FOLDS, trial.seed)[0]
    return x[known], y[known], x[new], y[new]


def budget(trial: Trial, task: str) -> dict[str, int]:
    """Epochs, of which a quick run has a fifth, and rows of a batch."""
    passes = music.EPOCHS[task] // 5 if trial.quick else music.EPOCHS[task]
    return {"epochs": max(4, passes), "batch_size": music.BATCH_SIZE}


def our_genres(trial: Trial) -> Run:
    """The recipe's Trainer."""
    x, y, asked, truth = genres(trial)
    cr.manual_seed(trial.seed)
    trainer = music.trainer(trial, music.genre_network())
    yield from epochs(trainer, (x, y), **budget(trial, "genres"))
    return {"accuracy": float(np.mean(trainer.predict(asked).argmax(1) == truth))}


def their_genres(trial: Trial) -> Run:
    """PyTorch's side."""
    x, y, asked, truth = genres(trial)
    pytorch.prepare(trial)
    cr.manual_seed(trial.seed)
    model = pytorch.twin(*music.genre_network().children())
    how: Any = {"lr": music.LR, "weight_decay": music.WEIGHT_DECAY}
    yield from pytorch.epochs(model, x, y, **how, **budget(trial, "genres"))
    return pytorch.accuracy(model, asked, truth)


# -- dances ----------------------------------------------------------------------------


@cache
def tunes() -> tuple[Any, ...]:
    """Pieces, which tune each belongs to, and the class of each tune."""
    folder = Experiment("music").folder("music21", "--no-deps music21")
    found, y = fiddle_tunes.read(folder / "corpus")
    return *fiddle_tunes.pieces(found), y


def split(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """The tunes to learn from, and the new ones."""
    known, new = folds.stratified(tunes()[-1], music.FOLDS, trial.seed)[0]
    return known[::2] if trial.quick else known, new


def dances(trial: Trial) -> tuple[Any, Any, Any, Any]:
    """Pieces and dances to learn from; new pieces, and the tune of each."""
    x, owners, y = tunes()
    mine, others = (np.isin(owners, part) for part in split(trial))
    return x[mine], y[owners[mine]], x[others], owners[others]


def voted(shares: np.ndarray, owners: np.ndarray) -> dict[str, float]:
    """The accuracy on tunes, by the probabilities of their pieces."""
    y = tunes()[-1]
    total = np.zeros((len(y), len(fiddle_tunes.DANCES)))
    np.add.at(total, owners, np.log(shares + 1e-9))
    asked = np.unique(owners)
    return {"accuracy": float(np.mean(total[asked].argmax(1) == y[asked]))}


def our_dances(trial: Trial) -> Run:
    """The recipe's Trainer."""
    x, y, asked, owners = dances(trial)
    cr.manual_seed(trial.seed)
    trainer = music.trainer(trial, music.TuneNetwork())
    yield from epochs(trainer, (x, y), **budget(trial, "dances"))
    return voted(trainer.predict(asked, output="probabilities"), owners)


class Tune(peer_nn.Module):
    """The recipe's network, of PyTorch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = peer_nn.ModuleList(
            peer_nn.Embedding(rows, 24) for rows in (32, 14, 2)
        )
        self.windows = peer_nn.ModuleList(
            pytorch.Windows(64 if i else 24, 64, 5, dilation=2**i) for i in range(3)
        )
        self.norms = peer_nn.ModuleList(peer_nn.LayerNorm(64) for _ in range(3))
        self.drop = peer_nn.Dropout(0.5)
        self.scores = peer_nn.Linear(128, len(fiddle_tunes.DANCES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of pieces (n, LENGTH, 4)."""
        real = x[:, :, 3:].float()
        h = self.tables[0](x[:, :, 0]) + self.tables[1](x[:, :, 1])
        h = h + self.tables[2](x[:, :, 2])
        for window, norm in zip(self.windows, self.norms):
            h = norm(window(h * real)).relu() * real
        pooled = torch.cat([h.amax(1), h.sum(1) / real.sum(1)], 1)
        return self.scores(self.drop(pooled))


def their_dances(trial: Trial) -> Run:
    """PyTorch's side."""
    x, y, asked, owners = dances(trial)
    pytorch.prepare(trial)
    cr.manual_seed(trial.seed)
    start = music.TuneNetwork().state_dict()
    model = Tune()
    parts = model.state_dict().items()
    model.load_state_dict({k: torch.tensor(start[k]).view_as(v) for k, v in parts})
    how: Any = {"lr": music.LR, "weight_decay": music.WEIGHT_DECAY}
    yield from pytorch.epochs(model, x, y, **how, **budget(trial, "dances"))
    scores = torch.from_numpy(pytorch.scores(model, asked))
    return voted(scores.softmax(1).numpy(), owners)


def rhythms(trial: Trial) -> Run:
    """scikit-learn's side: what follows what in a tune, counted."""
    x, owners, y = tunes()
    known, new = split(trial)
    texts = np.array([told(x[owners == tune]) for tune in range(len(y))], object)
    model: Any = make_pipeline(
        CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 6), min_df=2),
        MaxAbsScaler(),
        LinearSVC(C=0.1),
    )
    yield
    model.fit(texts[known], y[known])
    yield
    return {"accuracy": float(model.score(texts[new], y[new]))}


def told(pieces: np.ndarray) -> str:
    """The durations of a tune, and where bars begin."""
    notes = pieces[pieces[:, :, 3] > 0]
    return " ".join(f"{length}{'|' * int(bar)}" for _, length, bar, _ in notes)


if __name__ == "__main__":
    tasks: dict[str, dict[str, Side]] = {
        "genres": {
            "Chainrule": our_genres,
            "PyTorch": their_genres,
            "SVM": fitted(lambda _: SVC(C=10), genres),
        },
        "dances": {
            "Chainrule": our_dances,
            "PyTorch": their_dances,
            "counts, linear SVM": rhythms,
        },
    }
    given = arguments(__doc__, task={"choices": list(tasks)})
    compare(given, "music", f"music: {given.task}", tasks[given.task])
