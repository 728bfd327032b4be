"""The report of a marked class: a page for the teacher, a page for each student."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from chainrule.book.classroom import tables
from chainrule.book.classroom.making import MARKS
from chainrule.book.classroom.slips import Count, counted, unknown
from chainrule.book.classroom.submission import Student
from chainrule.book.derivation.formulas import name_of
from chainrule.book.marking import Mark, WorkReport
from chainrule.book.marking.marks import CONSEQUENCE, OPEN, RIGHT, WRONG
from chainrule.errors import ChainruleError
from chainrule.explanation.document import Document
from chainrule.explanation.parts import Heading, Part, Rows, Sentence
from chainrule.text import ngettext, tr, translated
from chainrule.text.catalogue import current
from chainrule.text.languages import language
from chainrule.text.numbers import NONE, percent
from chainrule.util import atomic_files

#: What is in the place of a mark where no number was given.
BLANK = "blank"
STATUSES = (RIGHT, CONSEQUENCE, WRONG, OPEN, BLANK)


@dataclass(frozen=True, eq=False)
class Marked:
    """The marks of one student of a class, or why there are none.

    Attributes:
        student: whose.
        questions: the keys of what was asked.
        file: the path of the file that was marked; empty where there is none.
        report: the marks of the answers.
        error: why there is no report.
        problems: the answers that cannot be read, which count as blank.
        changes: what the file says of the exercise otherwise than the key.
        unused: what is wrong with further files of the student.
    """

    student: Student
    questions: tuple[str, ...]
    file: str = ""
    report: WorkReport | None = None
    error: ChainruleError | None = None
    problems: tuple[ChainruleError, ...] = ()
    changes: tuple[str, ...] = ()
    unused: tuple[ChainruleError, ...] = ()

    def but(self, **changed: Any) -> Marked:
        """Return a student's marks with some fields changed."""
        return replace(self, **changed)

    @cached_property
    def marks(self) -> dict[str, Mark]:
        """The marks of a student's answers to the questions, by key."""
        given = self.report.marks if self.report else ()
        return {mark.key: mark for mark in given if mark.key in self.questions}

    def status(self, key: str) -> str:
        """Return the status of a student's answer to a question, or ``blank``."""
        return self.marks[key].status if key in self.marks else BLANK

    def many(self, status: str) -> int:
        """Return how many of a student's answers have a status."""
        return sum(self.status(key) == status for key in self.questions)

    @property
    def points(self) -> int:
        """A point for each answer that is right, or right from a wrong one."""
        return self.many(RIGHT) + self.many(CONSEQUENCE)

    @property
    def first(self) -> str | None:
        """The key of a student's first wrong answer, in the order of computation."""
        return next((m.key for m in self.marks.values() if m.status == WRONG), None)

    def slips(self) -> list[str]:
        """Return the likely slips of each wrong answer as text, with its symbol."""
        wrong = [mark for mark in self.marks.values() if mark.status == WRONG]
        return [f"{self.symbol(mark.key)}: {self._slip(mark)}" for mark in wrong]

    def _slip(self, mark: Mark) -> str:
        assert self.report is not None
        slips = [self.report.says(slip, mark.key) for slip in mark.slips[:2]]
        said = slips or list(self.report.remarks(mark)) or [unknown().text]
        return tr(", or: ").join(dict.fromkeys(said))

    def about(self, key: str) -> str:
        """Return the mark of a student's answer to a question as a sentence."""
        word = words_of_statuses()[self.status(key)]
        mark = self.marks.get(key)
        text = self.report.about(mark) if self.report and mark else ""
        said = f"{self.symbol(key)}: {word}"
        return "\n".join([f"{said}, {text}" if text else said, *self.notes()])

    def page(self) -> StudentPage:
        """Return the page of a student's marks, in the language in use."""
        return StudentPage(self, current())

    def symbol(self, key: str) -> str:
        """Return the symbol of a quantity of a marked exercise: ``δ⁽²⁾``."""
        return name_of(self.report.formulas, key).text() if self.report else key

    def notes(self) -> list[str]:
        """Return what else the teacher has to know of a student's file, as texts."""
        errors = [self.error] if self.error else []
        said = [in_a_line(e) for e in [*errors, *self.problems] if e is not None]
        return [*dict.fromkeys(said), *self._changed()]

    def _changed(self) -> Iterator[str]:
        if self.changes:
            yield tr(
                "The exercise in {file} was changed; marked is the one that was set."
                " {changes}",
                file=self.file,
                changes=tr("; ").join(map(translated, self.changes)),
            )


def in_a_line(error: ChainruleError) -> str:
    """Return an error as one line in the language in use."""
    head, *lines = error.translated().splitlines()
    kept = [" ".join(line.split()) for line in lines]
    return " ".join([head, *(f"({line})" for line in kept if line.strip("^ "))])


@dataclass(frozen=True, eq=False, repr=False)
class StudentPage(Document):
    """The page of one student: points, marks and slips."""

    marked: Marked
    lang: str

    def parts(self) -> list[Part]:
        """Return the parts of a student's page."""
        m = self.marked
        name = m.student.name
        parts: list[Part] = [
            Heading(tr("{name}: marks", name=name) if name else tr("Marks")),
            Sentence(_points(m), "check" if m.points == len(m.questions) else ""),
            *(Sentence(text, "wrong") for text in m.notes()),
        ]
        return parts if m.report is None else [*parts, *m.report.parts()[1:]]


def _points(m: Marked) -> str:
    return tr(
        ngettext(
            "{points} of {n} point: one for each answer that is right, or right from "
            "an earlier wrong one.",
            "{points} of {n} points: one for each answer that is right, or right from "
            "an earlier wrong one.",
            n=len(m.questions),
            points=m.points,
        )
    )


@dataclass(frozen=True, eq=False, repr=False)
class ClassReport(Document):
    """The report of a marked class, for its teacher.

    Attributes:
        students: the marks of each, in the order of the key.
        strays: what is wrong with files that belong to nobody, or were not used.
        lang: the language in which it was made, and is shown.
    """

    students: tuple[Marked, ...]
    strays: tuple[ChainruleError, ...]
    lang: str

    @property
    def ok(self) -> bool:
        """True if every student has handed in a file in which all is right."""
        return not self.strays and all(
            m.points == len(m.questions) and not m.notes() for m in self.students
        )

    @cached_property
    def slips(self) -> list[Count]:
        """The kinds of slip of the class, the most frequent first."""
        with language(self.lang):
            return counted([m.report for m in self.students])

    @property
    def handed_in(self) -> list[Marked]:
        """The students of whom there is a file that was marked."""
        return [m for m in self.students if m.report is not None]

    # -- shown -------------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Return the parts of a class's report."""
        many, marked = len(self.students), self.handed_in
        parts: list[Part] = [
            Heading(tr("The class, marked")),
            Sentence(
                tr(
                    ngettext(
                        "{few} of {n} sheet is marked.",
                        "{few} of {n} sheets are marked.",
                        n=many,
                        few=len(marked),
                    )
                )
            ),
        ]
        if marked:
            parts.append(Sentence(self._mean()))
        parts += self._slips()
        parts += self._questions() if marked else ()
        parts += [Heading(tr("students"), 2), self._table()]
        notes = [
            f"{m.student.name}: {note}" for m in self.students for note in m.notes()
        ]
        notes += map(in_a_line, self.strays)
        if notes:
            parts.append(Heading(tr("files to look at"), 2))
            parts += [Sentence(note, "wrong") for note in notes]
        return parts

    def _mean(self) -> str:
        marked = self.handed_in
        shares = [m.points / len(m.questions) for m in marked]
        return tr(
            "On average they have {share} of the points; {few} have all of them.",
            share=percent(sum(shares) / len(shares), 0),
            few=sum(share == 1 for share in shares),
        )

    def _slips(self) -> Iterator[Part]:
        if not self.slips:
            return
        yield Heading(tr("what was misunderstood"), 2)
        many = len(self.handed_in)
        head = tr("slip"), tr("where"), tr("numbers of the students")
        rows = [
            (
                count.kind.sentence(len(count.students), many),
                tr(", ").join(f"{name} {n}×" for name, n in count.where),
                ", ".join(str(self.students[i].student.number) for i in count.students),
            )
            for count in self.slips
        ]
        yield Rows((head, *rows))

    def _questions(self) -> Iterator[Part]:
        """Yield the table of the questions: how many are right, follow, are wrong."""
        marked = self.handed_in
        questions = dict.fromkeys(key for m in marked for key in m.questions)
        words = words_of_statuses()
        head = tr("answer"), *(words[status] for status in STATUSES)
        rows = [
            (
                marked[0].symbol(key),
                *(str(sum(m.status(key) == s for m in marked)) for s in STATUSES),
            )
            for key in questions
        ]
        yield Heading(tr("question by question"), 2)
        yield Rows((head, *rows))

    def _table(self) -> Rows:
        head = (
            *(tr("name"), tr("points"), tr("first wrong answer"), tr("likely slip")),
            tr("to look at"),
        )
        rows, links = list[tuple[str, ...]](), list[str]()
        for m in self.students:
            slips = m.slips()
            first = m.symbol(m.first) if m.first else NONE
            rows.append(
                (
                    f"{m.student.number}. {m.student.name}",
                    f"{m.points}/{len(m.questions)}" if m.report else NONE,
                    first,
                    slips[0].partition(": ")[2] if slips else "",
                    "!" if m.notes() else "",
                )
            )
            links.append(f"{MARKS}/{m.student.file}.html")
        return Rows((head, *rows), tuple(links))

    def __repr__(self) -> str:
        many = ngettext("{n} student", "{n} students", n=len(self.students))
        return f"<{type(self).__name__}: {many}>"

    # -- written -----------------------------------------------------------------------

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the files of a class's report: path within its folder, and text."""
        with language(self.lang):
            yield f"{MARKS}.csv", tables.as_csv(self._rows())
        yield f"{MARKS}.html", self.to_html()
        for m in self.students:
            yield f"{MARKS}/{m.student.file}.html", StudentPage(m, self.lang).to_html()

    def save(self, folder: Path) -> list[Path]:
        """Write a class's marks into its folder; return the paths of the files.

        Raises:
            SaveError: where the file system refuses.
        """
        atomic_files.make_directory(folder / MARKS)
        paths: list[Path] = []
        for name, text in self.files():
            atomic_files.replace(folder / name, text.encode(), tr("file of marks"))
            paths.append(folder / name)
        return paths

    def _rows(self) -> Iterator[Iterable[Any]]:
        """Yield the lines of the CSV of marks, the head first."""
        questions = dict.fromkeys(key for m in self.students for key in m.questions)
        words = words_of_statuses()
        yield (
            *(tr("student number"), tr("name"), tr("seed"), tr("file")),
            *(tr("points"), tr("of")),
            *(words[status] for status in STATUSES),
            *(tr("first wrong answer"), tr("likely slip"), tr("to look at")),
            *questions,
        )
        for m in self.students:
            there = m.report is not None
            yield (
                *(m.student.number, m.student.name, m.student.seed, m.file),
                *((m.points if there else ""), len(m.questions)),
                *((m.many(status) if there else "") for status in STATUSES),
                *(m.first or "", "; ".join(m.slips()), "; ".join(m.notes())),
                *((words[m.status(key)] if there else "") for key in questions),
            )

    def to_json(self) -> dict[str, Any]:
        """Return a class's marks as JSON data."""
        with language(self.lang):
            return {
                "students": [_as_json(m) for m in self.students],
                "slips": [
                    {
                        "says": c.kind.sentence(len(c.students), len(self.handed_in)),
                        "slip": c.kind.text,
                        "students": [self.students[i].student.name for i in c.students],
                        "where": dict(c.where),
                    }
                    for c in self.slips
                ],
                "strays": [in_a_line(error) for error in self.strays],
                "ok": self.ok,
            }


def _as_json(m: Marked) -> dict[str, Any]:
    return {
        "number": m.student.number,
        "name": m.student.name,
        "seed": m.student.seed,
        "file": m.file or None,
        "marked": m.report is not None,
        "points": m.points if m.report else None,
        "of": len(m.questions),
        "first": m.first,
        "notes": m.notes(),
        "changed": bool(m.changes),
        "marks": {key: m.status(key) for key in m.questions} if m.report else {},
        "slips": m.slips(),
    }


def words_of_statuses() -> dict[str, str]:
    """Return the words for the statuses of answers, in the language in use."""
    return {
        RIGHT: tr("right"),
        CONSEQUENCE: tr("follows"),
        WRONG: tr("wrong"),
        OPEN: tr("open"),
        BLANK: tr("blank"),
    }
