"""Exact matches of translations with their references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def by_form(
    translate: Callable[[Sequence[str]], Sequence[str]],
    pairs: Mapping[str, Sequence[tuple[str, str]]],
    most: int = 2,
) -> dict[str, Any]:
    """Return the share of exactly right translations of each form, and mistakes.

    Args:
        translate: of sources.
        pairs: sources and references by form.
        most: the largest number of mistakes of a form.

    Returns:
        ``"accuracy"`` by form, and ``"mistakes"``: source, reference, translation.

    >>> pairs = {"digits": [("1", "one"), ("2", "two")]}
    >>> by_form(lambda sources: ["one", "ten"], pairs)
    {'accuracy': {'digits': 0.5}, 'mistakes': [('2', 'two', 'ten')]}
    """
    accuracy, mistakes = {}, []
    for form, rows in pairs.items():
        texts = translate([source for source, __ in rows])
        wrong = [(*row, text) for row, text in zip(rows, texts) if text != row[1]]
        accuracy[form] = 1 - len(wrong) / len(rows)
        mistakes += wrong[:most]
    return {"accuracy": accuracy, "mistakes": mistakes}
