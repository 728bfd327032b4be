"""Reference figures from the literature, with which recipes are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.text import tr, translated


@dataclass(frozen=True)
class Reference:
    """A reference figure from the literature for a recipe's result: a bound.

    Attributes:
        key: of the recipe's result; within nested results joined by dots.
        at_least, at_most: what it should be; one of them is given.
        source: who has reported it.

    >>> figure = Reference("accuracy", at_least=0.985, source="the book's network")
    >>> figure.value({"accuracy": 0.9852}), figure.reached({"accuracy": 0.9852})
    (0.9852, True)"""

    key: str
    at_least: float | None = None
    at_most: float | None = None
    source: str = ""

    def value(self, result: Mapping[str, Any]) -> float:
        """Return the value of a recipe's result that a reference figure is for."""
        found: Any = result
        for part in self.key.split("."):
            found = found[part]
        return float(found)

    def reached(self, result: Mapping[str, Any]) -> bool:
        """Return whether a recipe's result reaches its reference figure."""
        value = self.value(result)
        if self.at_least is not None and not value >= self.at_least:
            return False
        return self.at_most is None or value <= self.at_most


def worded(figure: Mapping[str, Any]) -> str:
    """Return a recipe's result and its reference figure as text.

    >>> worded(compared([Reference("accuracy", at_least=0.985)], {"accuracy": 0.98})[0])
    'accuracy 0.98 (reference ≥ 0.985)'
    """
    low, most = figure["at_least"], figure["at_most"]
    bound = f"≥ {low:g}" if low is not None else f"≤ {most:g}"
    if figure["source"]:
        bound += tr(": ") + translated(figure["source"])
    value = f"{figure['value']:.4g}"
    return tr(
        "{key} {value} (reference {bound})",
        key=figure["key"],
        value=value,
        bound=bound,
    )


def compared(
    references: Sequence[Reference], result: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Compare a recipe's result with reference figures from the literature."""
    return [
        {**asdict(r), "value": r.value(result), "reached": r.reached(result)}
        for r in references
    ]
