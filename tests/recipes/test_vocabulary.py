"""Bags of words, counted by hand."""

from __future__ import annotations

from chainrule.recipes import vocabulary

TEXTS = [text.split() for text in ("win a prize", "win now", "no prize")]


def test_bags() -> None:
    known = vocabulary.numbering(TEXTS)
    assert set(known) == {"win", "a", "prize", "now", "no"}
    assert sorted(known.values()) == [*range(1, 6)]
    x = vocabulary.bags([["win", "win", "a", "unknown"], ["nothing"]], known, 4)
    assert x.tolist() == [[known["win"], known["a"], 0, 0], [0, 0, 0, 0]]
    assert vocabulary.bags(TEXTS[:1], known, 2).tolist() == [[known["win"], known["a"]]]
    assert vocabulary.bags(TEXTS, known, 3).dtype == "int32"
