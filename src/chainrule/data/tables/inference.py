"""Inference of a table's schema: each column's type, or a question about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.tables.cells import PARTS, Mark, Part, parsed
from chainrule.data.tables.columns import (
    Category,
    Classes,
    Date,
    Feature,
    Number,
    Target,
    ordered,
)
from chainrule.data.tables.file import File
from chainrule.data.tables.options import Options
from chainrule.data.tables.profile import COUNTED, COUNTED_IN_ALL, Profile, Statistics
from chainrule.data.tables.schema import Schema
from chainrule.data.tables.source import Source
from chainrule.data.tables.texts import Texts
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _, joined, ngettext

#: Rows that are needed to call a column an id or a constant.
ENOUGH = 10
#: From this share of distinct texts on, a column names its rows.
DIFFERENT = 0.9
#: A column of at most ``FEW`` texts keeps all of them as categories; of a column of
#: more, those that are in ``OFTEN`` rows, within ``CATEGORIES`` and so many features.
FEW, OFTEN = 20, 5
CATEGORIES, FEATURES = 1000, 100_000_000
#: Rare texts that are remembered, to tell them from unknown ones.
RARE = 1000
COUNTS, UNNAMED = _("it counts the rows"), _("row numbers without a name")
#: Classes that a target of texts may have where rows are few.
CLASSES = 50
_ID = re.compile(r"(.*[\s_-])?(id|uuid|guid|index|idx|rowid|rownum|nr|no\.?|#)", re.I)
_CAMEL_ID = re.compile(r".*[a-z]I[Dd]")


@dataclass(frozen=True)
class Question:
    """A question to the caller about an ambiguous table or column.

    Attributes:
        column: the name of the column, or None for the whole table.
        what: the question, as a sentence.
        seen: some of the cells, with lines.
        settings: a likely answer: arguments of ``read_csv``.
        means: the meaning of this answer.
    """

    column: str | None
    what: str
    seen: str
    settings: dict[str, Any]
    means: str

    def error(self, name: str) -> DataError:
        """Return a question about a table's column as an error."""
        answer = ", ".join(f"{key}={value!r}" for key, value in self.settings.items())
        return DataError(
            _("{place}: {what}", place=f"'{shortened(name)}'", what=self.what),
            expected=_("cells that tell, or an answer"),
            got=shortened(self.seen, 300),
            fix=_("{place}: {what}", place=answer, what=self.means)
            if answer
            else self.means,
        )


@dataclass
class SchemaInference:
    """The inference of a table's column types from statistics of all rows.

    Attributes:
        source: the table.
        options: what the caller has declared.
        profiles: the statistics of the columns, by name.
        rows: the number of rows.
        left_out: columns that are no features, with the reason.
        questions: what the cells do not tell.
        notes: remarks, one sentence each.
    """

    source: Source
    options: Options
    profiles: dict[str, Profile]
    rows: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, options: Options) -> SchemaInference:
        """Collect the statistics of all rows of a table, to infer its schema.

        Raises:
            DataError: a column that is not there; a table that cannot be read.
        """
        source.require(options.target, _("the target"))
        source.require(options.features or (), _("a feature"))
        source.require(tuple(options.dtype or ()), _("in dtype"))
        names = source.columns
        if options.features is not None and options.target:
            names = (*options.features, *options.target)
        limit = max(200, min(COUNTED, COUNTED_IN_ALL // len(names)))
        categories = {n for n in names if options.declared(n) == "category"}
        if options.task == "classification":
            categories |= {*options.target}
        marks = options.marks
        profiles = {n: Profile(n, marks, limit, n in categories) for n in names}
        inference = cls(source, options, profiles, notes=list(source.notes))
        numbers: set[str] = set()
        for chunk in source.chunks(names, numbers):
            for name, cells in chunk.cells.items():
                profiles[name].add(cells, chunk.lines)
                if not profiles[name].needs_texts:
                    numbers.add(name)
            inference.rows += chunk.rows
        inference._decide_decimals()
        inference._check_header()
        return inference

    def schema(self, columns: tuple[Feature | Texts, ...] | None = None) -> Schema:
        """Return the inferred schema of the table; raise an error for questions.

        Raises:
            DataError: a question that the caller has to answer; nothing to learn from.
            ArgumentError: no target.
        """
        options = self.options
        if not options.target:
            raise ArgumentError(
                _("No column is named as the target."),
                expected=_("the column to predict, or several of numbers"),
                got="target=None",
                fix=_(
                    "target='price'; for features alone: "
                    "data.read(path, format=…, target=False)"
                ),
            )
        targets = self.targets()
        columns = columns or self.features(options.target)
        target = options.target[0] if len(options.target) == 1 else options.target
        return self._schema(target, targets, columns)

    def schema_of_features(self) -> Schema:
        """Return the inferred schema of a table that has no target.

        Raises:
            DataError: as :meth:`schema`.
        """
        return self._schema((), (), self.features(()))

    def _schema(
        self,
        target: str | tuple[str, ...],
        targets: tuple[Target, ...],
        columns: tuple[Feature | Texts, ...],
    ) -> Schema:
        """Return a schema of these columns; raise an error for questions."""
        if self.questions:
            raise self.questions[0].error(self.source.name)
        options = self.options
        return Schema(
            target,
            targets,
            columns,
            options.missing,
            options.missing_values,
            options.unknown,
            **self.source.settings,
        )

    # -- the whole table -----------------------------------------------------------

    def _decide_decimals(self) -> None:
        """Decide on a table's ambiguous decimal marks by the other columns, or ask."""
        numeric = [p for p in self.profiles.values() if p.numeric]
        clear: set[Mark] = {p.decimal() for p in numeric if len(p.numbers) == 1}
        likely: Mark = "," if getattr(self.source, "delimiter", ",") == ";" else "."
        known: Mark | None = self.options.decimal or (
            clear.pop() if len(clear) == 1 else None
        )
        for profile in (p for p in numeric if p.ambiguous and len(p.numbers) == 2):
            mark: Mark = known or "."
            text = next((text for text in profile.counts if "," in text), None)
            if known is None and text is not None and profile.mostly_numbers:
                mark = likely
                self._ask(
                    profile.name,
                    _(
                        "in column {column} the comma may be a decimal mark, or "
                        "part thousands."
                    ),
                    repr(text),
                    {"decimal": likely},
                    _(
                        "{text} is {likely:.15g}",
                        text=text,
                        likely=parsed([text], likely)[0],
                    ),
                )
            profile.numbers = {mark: profile.numbers[mark]}
        if any(profile.decimal() == "," for profile in numeric):
            self.notes.append(_("numbers have decimal commas"))

    def _check_header(self) -> None:
        """Ask whether a table's first line, which looks like data, is a header."""
        source = self.source
        if not isinstance(source, File) or not source.header or source.index:
            return
        if self.rows < 2 or any(name not in self.profiles for name in source.columns):
            return
        numbers = parsed([re.sub(r"\.[0-9]$", "", name) for name in source.columns])
        number = ~np.isnan(numbers)
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            steps = np.diff(numbers[number])
        evenly = len(steps) > 0 and steps[0] > 0 and bool((steps == steps[0]).all())
        # Of two numbers any two are evenly apart.
        counts = len(steps) > 1 or (evenly and steps[0] == 1)
        if evenly and counts and (numbers[number] % 1 == 0).all():
            return  # years, or numbers of columns
        like = [
            own if profile.mostly_numbers else name in profile.counts
            for own, name, profile in zip(
                number.tolist(), source.columns, self.profiles.values(), strict=True
            )
        ]
        if all(like) or number.sum() > len(number) / 2:
            self._ask(
                None,
                _("the first line looks like a row, and not like names of columns."),
                shortened(", ".join(source.columns)),
                {"header": False},
                _("columns are called 'column 1' and so on"),
            )

    def _ask(
        self, column: str | None, what: str, seen: str, settings: Any, means: str
    ) -> None:
        """Add a question about a column whose type is ambiguous."""
        what = what.format(column=f"'{shortened(column or '')}'")
        self.questions.append(Question(column, what, seen, settings, means))

    def _positions(self, first: dict[str, int]) -> str:
        """Format cell texts with their lines: ``'x' in line 7, 'y' in line 9``."""
        word = self.source.word
        return joined(
            ", ",
            [
                _(
                    "{text!r} in {word} {line}",
                    text=shortened(text, 40),
                    word=word,
                    line=line,
                )
                for text, line in first.items()
            ],
        )

    # -- features ------------------------------------------------------------------

    def features(self, targets: Iterable[str]) -> tuple[Feature, ...]:
        """Return the table's columns that are usable as features, with types.

        Raises:
            DataError: there are none.
        """
        targets = set(targets)
        columns = []
        for name in self.options.features or self.profiles:
            if name in targets:
                continue
            profile = self.profiles[name]
            if (reason := self.reason(profile)) is not None:
                self.left_out[name] = reason
            else:
                columns.append(self._feature(profile))
        if not columns:  # what counts the rows may be all that there is
            for name in [n for n, why in self.left_out.items() if why == COUNTS]:
                del self.left_out[name]
                columns.append(self._feature(self.profiles[name]))
        if not columns:
            whose = "; ".join(f"{n}: {r}" for n, r in self.left_out.items())
            raise DataError(
                _("'{name}' has no features.", name=self.source.name),
                expected=_(
                    "at least one column besides the target that tells something"
                ),
                got=shortened(
                    whose
                    or _("the columns {profiles}", profiles=", ".join(self.profiles)),
                    300,
                ),
                fix=_(
                    "is the delimiter another one? dtype={'…': 'category'} takes a "
                    "column that was left out; read_text(path, text='…') reads texts"
                ),
            )
        return tuple(columns)

    def reason(self, profile: Profile) -> str | None:
        """Return the reason why a table's column is left out, or None."""
        name, declared = profile.name, self.options.declared(profile.name)
        if declared == "id":
            return _("said to be an id")
        if declared is not None or name in (self.options.features or ()):
            return None
        if name in self.source.index:
            return UNNAMED
        if profile.rows < ENOUGH:
            return None
        if profile.no_number == profile.rows or profile.empty == profile.rows:
            return _("empty in all rows")
        if not profile.full and len(profile.counts) == 1 and not profile.empty:
            return _(
                "{counts!r} in all rows",
                counts=shortened(next(iter(profile.counts)), 40),
            )
        number = profile.numeric and profile.numeric + profile.no_number == profile.rows
        if number and profile.whole:
            if profile.counting and not profile.no_number:
                return COUNTS
            named = _ID.fullmatch(name) or _CAMEL_ID.fullmatch(name)
            if named and profile.different >= DIFFERENT:
                return _("an id, by its name and its numbers, which differ")
        if not number and not profile.mostly_numbers and not self._dates(profile):
            more = _("more than ") if profile.full else ""
            texts = ngettext(
                "{more}{n:,} text",
                "{more}{n:,} different texts",
                n=len(profile.counts),
                more=more,
            )
            if profile.different >= DIFFERENT:
                return ngettext(
                    "{texts} in {n:,} row",
                    "{texts} in {n:,} rows",
                    n=profile.rows - profile.empty,
                    texts=texts,
                )
            if not self._often(profile):
                return _("{texts}, each in few rows", texts=texts)
        return None

    def kind(self, profile: Profile) -> str:
        """Return the inferred type of a table's column: number, date or category."""
        declared = self.options.declared(profile.name)
        if declared is not None and declared != "id":
            return "date" if declared in ("dmy", "mdy") else declared
        if profile.mostly_numbers:
            return "number"
        return "date" if self._dates(profile) else "category"

    def _feature(self, profile: Profile) -> Feature:
        kind = self.kind(profile)
        if kind == "number":
            return self.number(profile)
        return self._date(profile) if kind == "date" else self._category(profile)

    def number(self, profile: Profile, *, gaps: bool = True) -> Number:
        """Return a column's encoding as numbers; ask about irregular cells."""
        name = profile.name
        declared = self.options.declared(name) == "number"
        shown = shortened(name)
        if not declared:
            self._ask_about_units(profile)
        if profile.infinite:
            self._ask(
                name,
                _("column {column} holds numbers that are not finite."),
                self._positions(profile.infinite),
                {"missing_values": list(profile.infinite)},
                _("they are missing values (float32 goes up to 3.4e+38)"),
            )
        if not profile.numeric:
            raise DataError(
                _(
                    "Column '{shown}' of '{name}' has no numbers.",
                    shown=shown,
                    name=self.source.name,
                ),
                expected=_("numbers, as it is said to hold"),
                got=", ".join(repr(shortened(text, 20)) for text in profile.odd)
                or _("empty cells"),
                fix="task='classification'"
                if name in self.options.target
                else f"dtype={{{name!r}: 'category'}}",
            )
        strange = profile.rows - profile.numeric - profile.no_number
        spread = profile.numbers[profile.decimal()]
        lost = 0 if profile.infinite else profile.numeric - spread.count
        if (strange or lost) and not declared:
            what = ngettext(
                "column {column} holds a number, and texts.",
                "column {column} holds {n:,} numbers, and texts.",
                n=profile.numeric,
            )
            if lost:
                what = _("column {column} holds decimal points and decimal commas.")
            self._ask(
                name,
                what,
                shortened(self._positions(profile.odd), 200),
                {"dtype": {name: "number"}},
                _("the others are missing values; 'category' takes all as texts"),
            )
        return Number(
            name,
            profile.decimal(),
            float(np.float32(spread.mean)),
            gaps and bool(profile.no_number or strange or lost),
            loose=bool(strange or lost),
            wide=profile.whole and max(-spread.min, spread.max) > 2**24,
        )

    def _ask_about_units(self, profile: Profile) -> None:
        """Ask about a column's numbers with different units, such as two currencies."""
        units = dict(profile.units)
        if "%" not in units:
            units.pop("", None)
        if len(units) > 1:
            self._ask(
                profile.name,
                _("numbers of column {column} have different units."),
                self._positions(units),
                {"dtype": {profile.name: "number"}},
                _("the units do not count"),
            )

    def _category(self, profile: Profile) -> Category:
        counts = profile.counts
        often = self._often(profile)
        rest = sorted(counts.keys() - often, key=lambda text: (-counts[text], text))
        if rest and counts[rest[0]] >= OFTEN:
            self.notes.append(
                _(
                    "column '{name}': the {often:,} commonest of its texts have a "
                    "feature each, all others one together",
                    name=shortened(profile.name),
                    often=len(often),
                )
            )
        return Category(
            profile.name,
            ordered(often),
            profile.full or bool(rest),
            bool(profile.empty),
            tuple(rest[:RARE]),
        )

    def _often(self, profile: Profile) -> list[str]:
        """Return a column's categories that get a feature of their own."""
        counts = profile.counts
        few = len(counts) <= FEW and not profile.full
        if few or self.options.unknown == "error":
            return list(counts)
        most = max(50, min(CATEGORIES, FEATURES // max(1, profile.rows)))
        often = [text for text, count in counts.items() if count >= OFTEN]
        return sorted(often, key=lambda text: (-counts[text], text))[:most]

    def _dates(self, profile: Profile) -> list[str]:
        """Return the date formats that all cells of a column fit."""
        return [f for f, spread in profile.dates.items() if spread.count]

    def _date(self, profile: Profile) -> Date:
        name, declared = profile.name, self.options.declared(profile.name)
        formats = self._dates(profile)
        if not formats:
            raise DataError(
                _(
                    "Column '{name}' of '{own_name}' holds no dates of one kind.",
                    name=shortened(name),
                    own_name=self.source.name,
                ),
                expected=_("such as 2024-03-31, 31.3.2024 or 31 Mar 2024, all alike"),
                got=", ".join(repr(shortened(text, 30)) for text in profile.odd)
                or _("numbers or empty cells"),
                fix=f"dtype={{{name!r}: 'category'}}",
            )
        first = [f for f in formats if f.startswith("%d")]
        last = [f for f in formats if f.startswith("%m")]
        if declared == "mdy":
            formats = last or formats
        elif first and last and declared is None:
            self._ask(
                name,
                _(
                    "in column {column} the day may stand before the month or "
                    "behind it."
                ),
                self._positions(dict(list(profile.odd.items())[:1])),
                {"dtype": {name: "dmy"}},
                _("the day stands first; 'mdy' is for the month"),
            )
        chosen = formats[0]
        spreads: dict[Part, Statistics] = {p: profile.parts[chosen, p] for p in PARTS}
        vary: list[Part] = [p for p, s in spreads.items() if s.min < s.max]
        means = (profile.dates[chosen].mean, *(spreads[part].mean for part in vary))
        return Date(name, chosen, tuple(vary), means, bool(profile.no_number))

    # -- targets -------------------------------------------------------------------

    def targets(self) -> tuple[Target, ...]:
        """Return the table's target columns with their types.

        Raises:
            DataError: columns that cannot be predicted.
        """
        options = self.options
        return tuple(
            Classes(name, options.classes)
            if options.classes
            else self._target(self.profiles[name])
            for name in options.target
        )

    def _target(self, profile: Profile) -> Target:
        task, name = self.options.task, profile.name
        several = len(self.options.target) > 1
        if profile.rows == profile.no_number == profile.empty:
            raise DataError(
                _(
                    "The target '{name}' of '{own_name}' is empty.",
                    name=shortened(name),
                    own_name=self.source.name,
                ),
                expected=_("a number or a class in some rows"),
                got=ngettext("{n:,} empty cell", "{n:,} empty cells", n=profile.rows),
                fix=_("choose another target"),
            )
        numbers = self.kind(profile) == "number" or several or task == "regression"
        if numbers and task != "classification":
            return self.number(profile, gaps=False)
        classes = ordered(profile.counts)
        if len(classes) < 2:
            raise DataError(
                _(
                    "The target '{name}' of '{own_name}' names one class only.",
                    name=shortened(name),
                    own_name=self.source.name,
                ),
                expected=_("at least two classes"),
                got=shortened(", ".join(classes)),
                fix=_(
                    "is it the right target? classes=[…] names classes that do not "
                    "come up"
                ),
            )
        known = profile.rows - profile.empty
        many = len(classes) > max(CLASSES, known // 10) or profile.full
        many |= known >= ENOUGH and len(classes) > known // 2
        if many and task is None:
            self._ask(
                name,
                _(
                    "the target {column} would have {classes} in {rows}.",
                    classes=ngettext("{n:,} class", "{n:,} classes", n=len(classes)),
                    rows=ngettext("{n:,} row", "{n:,} rows", n=known),
                ),
                ", ".join(repr(shortened(text, 20)) for text in classes[:5]),
                {"task": "classification"},
                _("each of the texts is a class; or choose another target"),
            )
        return Classes(name, classes)
