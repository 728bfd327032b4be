"""The report of a gradient check, as text, HTML and plain data."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.gradient_check.cause import Cause
from chainrule.gradient_check.row import KINKS, WRONG, GradientRow
from chainrule.primitives.rules import show
from chainrule.text import ngettext, tr
from chainrule.text.numbers import plain
from chainrule.text.tables import html_table, text_table


@dataclass(frozen=True)
class CheckedPart:
    """An argument or a parameter whose gradient was checked.

    Attributes:
        name: its name.
        shape: its shape.
        size: how many numbers it has.
        entries: how many of them were checked one by one.
        directions: how many random directions through all of it.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    entries: int
    directions: int


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The report of :func:`chainrule.check_gradients`: a row for each derivative.

    Attributes:
        function: what was checked.
        parts: its arguments and parameters.
        rows: every derivative that was checked.
        rules: the nodes whose rule alone is wrong.
        nodes: how many nodes were checked alone.
        scalar: whether the function gives one number; of several, a random weighted sum
            was differentiated.
        traced: whether it was traced; else it was called again for each quotient, and
            parameters that it finds outside were not checked.
        tolerance: the largest relative error allowed.
        seed: of what was drawn.
    """

    function: str
    parts: tuple[CheckedPart, ...]
    rows: tuple[GradientRow, ...]
    rules: tuple[Cause, ...]
    nodes: int
    scalar: bool
    traced: bool
    tolerance: float
    seed: int

    @property
    def ok(self) -> bool:
        """True if a gradient check found no wrong gradient and no wrong rule.

        Kinks, where there is no derivative, are left out, and so is what quotients
        cannot tell; :meth:`counts` says how many there are of them.
        """
        return not self.rules and not any(row.kind in WRONG for row in self.rows)

    @property
    def worst(self) -> GradientRow | Any:
        """A gradient check's row with the largest error, wrong ones first."""
        order = (WRONG, ("agrees", "precision"), KINKS)
        for kinds in order:
            matching = [row for row in self.rows if row.kind in kinds]
            if matching:
                return _largest(matching)
        return None

    @property
    def complete(self) -> bool:
        """True if a gradient check covered every entry, not only a sample."""
        return all(part.entries == part.size for part in self.parts)

    def counts(self) -> dict[str, int]:
        """Return the number of a gradient check's rows by kind of result."""
        return dict(Counter(row.kind for row in self.rows))

    def of(self, name: str) -> list[GradientRow]:
        """Return a gradient check's rows for an argument or a parameter."""
        return [row for row in self.rows if row.name == name]

    def to_dict(self) -> dict[str, Any]:
        """Return a gradient check as JSON data; NaN and infinity become None."""
        worst = self.worst
        return plain(
            {
                "ok": self.ok,
                "function": self.function,
                "complete": self.complete,
                "counts": self.counts(),
                "worst": worst and worst.to_dict(),
                "rules": [asdict(rule) for rule in self.rules],
                "parts": [asdict(part) for part in self.parts],
                "rows": [row.to_dict() for row in self.rows],
                "nodes": self.nodes,
                "scalar": self.scalar,
                "traced": self.traced,
                "tolerance": self.tolerance,
                "seed": self.seed,
            }
        )

    # -- as text ----------------------------------------------------------------------

    def __repr__(self) -> str:
        verdict = tr("nothing is wrong") if self.ok else tr("something is WRONG")
        return f"<{self._title()}: {verdict}>"

    def __str__(self) -> str:
        lines = [self._title(), *text_table(self._table(), left=2), *self._notes()]
        for finding, row in self._findings():
            lines += ["", finding]
            if row is not None:
                reasons = [tr(row.reason()), str(row.why or "")]
                lines += [f"  {line}" for line in (row.sentence(), *reasons) if line]
                table = row.quotients()
                lines += [f"  {line}" for line in text_table(table)] if table else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        def paragraph(text: str) -> str:
            return f"<p>{html.escape(text)}</p>" if text else ""

        parts = [paragraph(self._title()), html_table(self._table())]
        parts += map(paragraph, self._notes())
        for finding, row in self._findings():
            parts.append(f"<p><b>{html.escape(finding)}</b></p>")
            if row is not None:
                texts = (row.sentence(), tr(row.reason()), str(row.why or ""))
                parts += map(paragraph, texts)
                table = row.quotients()
                parts += [html_table(table)] if table else []
        return "".join(parts)

    def _title(self) -> str:
        return tr(
            "derivatives of {function} and difference quotients, in float64",
            function=self.function.replace("<lambda>", tr("the function")),
        )

    def _table(self) -> list[list[str]]:
        kinds = {
            tr("at a kink"): KINKS,
            tr("unclear"): ("precision",),
            tr("wrong"): WRONG,
        }
        counts = self.counts()
        shown = {k: v for k, v in kinds.items() if any(counts.get(x) for x in v)}
        head = [tr("with respect to"), tr("shape"), tr("entries"), tr("checked")]
        table = [[*head, tr("largest error"), *shown]]
        for part in self.parts:
            mine = self.of(part.name)
            errors = [row.error for row in mine if row.kind not in KINKS]
            checked = (
                tr("every one") if part.entries == part.size else f"{part.entries:,}"
            )
            worst = f"{max(errors):.1e}" if errors else "–"
            row = [part.name, show(part.shape), f"{part.size:,}", checked, worst]
            row += [
                f"{sum(r.kind in kinds for r in mine):,}" for kinds in shown.values()
            ]
            table.append(row)
        return table

    def _notes(self) -> list[str]:
        """Return remarks about a gradient check's method: sampling, weights."""
        lines: list[str] = []
        if not self.complete:
            directions = max(part.directions for part in self.parts)
            lines.append(
                tr(
                    ngettext(
                        "Not every entry was checked: a sample (seed {seed}), and {n} "
                        "random direction through all entries of each array.",
                        "Not every entry was checked: a sample (seed {seed}), and {n} "
                        "random directions through all entries of each array.",
                        n=directions,
                        seed=self.seed,
                    )
                )
            )
        if not self.scalar:
            lines.append(
                tr(
                    "The function gives several numbers: what is differentiated is"
                    " their sum with random weights (seed {seed}).",
                    seed=self.seed,
                )
            )
        if not self.traced:
            lines.append(
                tr(
                    "The function looks at numbers, so it was called for each quotient;"
                    " parameters that it finds outside were not checked."
                )
            )
        return lines

    def _findings(self) -> list[tuple[str, GradientRow | None]]:
        """Return a gradient check's findings as sentences, each with a typical row."""
        findings: list[tuple[str, GradientRow | None]] = []
        agree, wrong, kinks, vague = (
            [row for row in self.rows if row.kind in kinds]
            for kinds in (("agrees",), WRONG, KINKS, ("precision",))
        )
        if wrong:
            sentence = tr(
                ngettext(
                    "WRONG: {count} of {n:,} derivative. The worst:",
                    "WRONG: {count} of {n:,} derivatives. The worst:",
                    n=len(self.rows),
                    count=f"{len(wrong):,}",
                )
            )
            findings.append((sentence, _largest(wrong)))
        said = {row.why for row in wrong}
        others = [rule for rule in self.rules if rule not in said]
        findings += [(tr("WRONG: {rule}", rule=rule), None) for rule in others]
        if self.ok and agree:
            sentence = tr(
                ngettext(
                    "Right: {count} of {n:,} derivative agrees within {tolerance}, and "
                    "the rule of every node alone ({nodes}). The largest error:",
                    "Right: {count} of {n:,} derivatives agree within {tolerance}, and "
                    "the rule of every node alone ({nodes}). The largest error:",
                    n=len(self.rows),
                    count=f"{len(agree):,}",
                    tolerance=f"{self.tolerance:g}",
                    nodes=f"{self.nodes:,}",
                )
            )
            findings.append((sentence, _largest(agree)))
        elif self.ok:
            sentence = tr(
                "Nothing is wrong, as far as can be told; nor is the rule of any node"
                " alone ({nodes}).",
                nodes=f"{self.nodes:,}",
            )
            findings.append((sentence, None))
        if vague:
            count = f"{len(vague):,}"
            sentence = tr(
                "{count} agree as far as quotients tell, such as", count=count
            )
            findings.append((sentence, _vaguest(vague)))
        if kinks:
            count = f"{len(kinks):,}"
            sentence = tr("{count} at a kink, and left out, such as", count=count)
            findings.append((sentence, kinks[0]))
        return findings


def _largest(rows: list[GradientRow]) -> GradientRow:
    return max(rows, key=lambda row: row.error)


def _vaguest(rows: list[GradientRow]) -> GradientRow:
    return max(rows, key=lambda row: row.known)
