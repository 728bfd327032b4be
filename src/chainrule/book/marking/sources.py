"""Dependencies between a network's quantities: the symbols in each one's formula."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from chainrule.book.derivation.formulas import (
    Formulas,
    name_of,
    split,
)
from chainrule.book.marking.place import BETWEEN, ways_of
from chainrule.notation.expressions import Expr


class Sources:
    """The dependencies between the quantities of a network.

    Args:
        formulas: of the network.
        order: all quantities, in the order in which they are worked out.
    """

    def __init__(self, formulas: Formulas, order: Sequence[str]) -> None:
        self.formulas, self.order = formulas, order
        self.names: dict[Expr, str] = {}
        for key in order:
            for side in (name_of(formulas, key), *formulas.all[key].sides[1:-1]):
                self.names.setdefault(side, key)
        self._direct: dict[str, set[str]] = {}

    def direct(self, key: str) -> set[str]:
        """Return the keys of the quantities that a quantity's formulas use directly."""
        if key not in self._direct:
            self._direct[key] = self.used(key, *ways_of(self.formulas, key))
        return self._direct[key]

    def used(self, key: str, *formulas: Expr) -> set[str]:
        """Return the keys of earlier quantities that occur in some formulas."""
        before = set(self.order[: self.order.index(key)])
        sources = {self.names.get(part) for e in formulas for part in e.walk()}
        return {source for source in sources if source in before}

    def nearest(self, key: str, known: Collection[str]) -> Iterator[str]:
        """Yield the quantities that a quantity depends on, back to the known ones.

        What is not given comes along too.
        """
        seen: set[str] = set()
        ahead = list(self.direct(key))
        while ahead:
            source = ahead.pop()
            if source not in seen:
                seen.add(source)
                yield source
                if source not in known:
                    ahead += self.direct(source)

    def after(self, changed: str, later: Iterable[str]) -> list[str]:
        """Return the later quantities that depend on a changed one, in order."""
        reached = {changed: None}
        for key in later:
            if not self.direct(key).isdisjoint(reached):
                reached[key] = None
        return list(reached)[1:]

    def hidden(self, key: str, known: Collection[str]) -> list[str]:
        """Return the unanswered quantities between a quantity and the known ones."""
        nearest = {k for k in self.nearest(key, known) if k not in known}
        own = [k for k in nearest if split(k)[0] not in BETWEEN]
        return sorted(own, key=self.order.index, reverse=True)
