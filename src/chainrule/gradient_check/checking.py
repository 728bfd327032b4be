"""The gradient check itself: choice of entries, quotients, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.errors import NonFiniteError
from chainrule.gradient_check.arguments import (
    nothing_to_differentiate,
    refuse_non_finite,
)
from chainrule.gradient_check.causes import Causes
from chainrule.gradient_check.quotients import Question, along
from chainrule.gradient_check.report import CheckedPart, GradientReport
from chainrule.gradient_check.row import GradientRow
from chainrule.gradient_check.rules import ruled, wrong_rules
from chainrule.gradient_check.subject import Subject
from chainrule.gradient_check.walk import (
    Numbers,
    forward,
    rounding,
    walk,
    weighted,
)
from chainrule.graph.node import Array
from chainrule.text import _

#: A slope so much smaller than the function itself is small.
SMALL = 1e-3

#: Entries to check, and directions through all of them.
Chosen = tuple[Array, list[Array]]


@dataclass(frozen=True)
class Check:
    """A check of a function's gradients at a point.

    Attributes:
        subject: what is checked.
        title: how it is called.
        entries: how many are checked one by one at most.
        directions: how many random ones go through each array beyond that.
        tolerance: the largest relative error allowed.
        seed: of what is drawn.
    """

    subject: Subject
    title: str
    entries: int
    directions: int
    tolerance: float
    seed: int

    def report(self) -> GradientReport:
        """Return the report of a gradient check.

        Raises:
            ArgumentError: nothing to check.
            NonFiniteError: NaN or infinity at the point.
        """
        subject, rng = self.subject, np.random.default_rng(self.seed)
        if not subject.parts:
            raise nothing_to_differentiate()
        for part in subject.parts:
            refuse_non_finite(part.name, part.array)
        numbers = forward(subject)
        _refuse_values(subject, numbers)
        scalar = [v.shape for v in subject.outputs] == [()]
        shapes = [numbers[v].shape for v in subject.outputs]
        weights = [np.ones(s) if scalar else rng.standard_normal(s) for s in shapes]
        plan = list(self._plan(rng))
        wrong = wrong_rules(subject, numbers, self.tolerance, self.seed)
        rows: list[GradientRow] = []
        try:
            pass_walk = walk(subject, numbers, weights)
        except Exception:
            if not wrong:  # else it is said which rule it is that fails
                raise
        else:
            causes = Causes(
                subject, pass_walk, rounding(subject, pass_walk), weights, wrong
            )
            rows += self._rows(plan, causes)
        return GradientReport(
            function=self.title,
            parts=tuple(
                CheckedPart(p.name, p.array.shape, p.array.size, len(chosen), len(ds))
                for p, (chosen, ds) in zip(subject.parts, plan)
            ),
            rows=tuple(rows),
            rules=tuple(cause for __, cause in wrong),
            nodes=len(ruled(subject)),
            scalar=scalar,
            traced=subject.traced,
            tolerance=self.tolerance,
            seed=self.seed,
        )

    def _plan(self, rng: np.random.Generator) -> Iterator[Chosen]:
        """Yield the array entries and random directions to check gradients by.

        What small arrays leave of the number of entries, larger ones get.
        """
        sizes = [p.array.size for p in self.subject.parts]
        left, waiting, shares = self.entries, len(sizes), dict[int, int]()
        for k in sorted(range(len(sizes)), key=lambda k: sizes[k]):
            shares[k] = min(sizes[k], max(left // waiting, 1))
            left, waiting = left - shares[k], waiting - 1
        for k, part in enumerate(self.subject.parts):
            size, shape = sizes[k], part.array.shape
            if shares[k] == size:
                yield np.arange(size), []
                continue
            drawn = (rng.standard_normal(shape) for __ in range(self.directions))
            chosen = np.sort(rng.choice(size, shares[k], replace=False))
            yield chosen, [d / np.linalg.norm(d) for d in drawn]

    def _rows(
        self,
        plan: Sequence[Chosen],
        causes: Causes,
    ) -> Iterator[GradientRow]:
        """Yield a report row for each chosen derivative, compared with quotients."""
        subject, reverse, weights = self.subject, causes.walk, causes.weights
        gradients = [reverse.gradient(p.value) for p in subject.parts]
        terms = weighted(weights, subject.at(0, subject.parts[0].array))
        large = [float(np.abs(terms).sum()) * SMALL]
        large += [np.abs(g[np.isfinite(g)]).max(initial=0.0) for g in gradients]
        for k, part in enumerate(subject.parts):
            for index, direction in _lines(part.array, *plan[k]):

                def line(t: float, k: int = k, direction: Array = direction) -> Array:
                    if t == 0.0:
                        return terms
                    moved = subject.parts[k].array + t * direction
                    return weighted(weights, subject.at(k, moved))

                here = part.array if index is None else part.array[index]
                reach = max(1.0, float(np.sqrt(np.mean(np.square(here)))))
                judgement = Question(
                    derivative=along(gradients[k], direction),
                    line=line,
                    noise=causes.rounding.noise[k],
                    reach=reach,
                    scale=float(max(large)),
                    tolerance=self.tolerance,
                    near=0.0 if index is None else abs(float(here)),
                ).answer()
                kind, why = causes.of(k, direction, reach, judgement)
                yield GradientRow(
                    name=part.name,
                    index=index,
                    derivative=judgement.derivative,
                    quotient=judgement.quotient,
                    error=judgement.error,
                    known=judgement.known,
                    kind=kind,
                    why=why,
                    ladder=judgement.ladder,
                )


def _lines(
    array: Array, chosen: Array, directions: Sequence[Array]
) -> Iterator[tuple[tuple[int, ...] | None, Array]]:
    """Yield the directions to check a gradient along: chosen entries, random ones."""
    for i in chosen:
        direction = np.zeros(array.shape)
        direction.flat[i] = 1.0
        yield tuple(int(n) for n in np.unravel_index(i, array.shape)), direction
    yield from ((None, direction) for direction in directions)


def _refuse_values(subject: Subject, numbers: Numbers) -> None:
    """Raise an error if a checked function gives NaN or infinity, with the node."""
    if all(np.isfinite(numbers[v]).all() for v in subject.outputs):
        return
    computed = (
        (node, v) for node in subject.nodes for v in node.outputs if v is not None
    )
    bad = (node for node, v in computed if not np.isfinite(numbers[v]).all())
    node = next(bad, None)
    place = f" ({node.source})" if node is not None and node.source else ""
    raise NonFiniteError(
        _("The function gives NaN or infinity at this point."),
        expected=_("finite numbers, which have derivatives"),
        got=None if node is None else f"{node.primitive.name}{place}",
        fix=_("check it at a point within the function's domain"),
    )
