"""Marking of a whole class by the numbers of its key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from chainrule.book.classroom.collecting import collected
from chainrule.book.classroom.making import ANSWERS, KEY
from chainrule.book.classroom.report import ClassReport, Marked
from chainrule.book.classroom.students import same
from chainrule.book.classroom.submission import Student, Submission
from chainrule.book.work import read_exercise
from chainrule.errors import ChainruleError, DataError
from chainrule.runs import toml
from chainrule.text import _, joined
from chainrule.text.catalogue import current
from chainrule.text.languages import language

#: What browsers add to the name of a file that is there already.
_AGAIN = re.compile(r"\s*\(\d{1,3}\)$")


def mark_class(
    folder: Path, answers: Path | None = None, *, lang: str | None = None
) -> ClassReport:
    """Mark what a class has handed in; return the report.

    Each file is marked against the exercise of the key, whatever the file itself says
    of it. A file belongs to the student whose form has its name; under another name, to
    the one whose name and seed it states. One that cannot be read, or is another's, is
    reported, and the others are marked.

    Args:
        folder: of the class, as ``chainrule worksheet --count`` writes it.
        answers: the folder or ZIP file with the students' files; by default
            ``answers`` within the folder.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Raises:
        DataError: no class, or no answers at all.
        RunFileError: a key that was changed and cannot be read.
    """
    with language(lang):
        students = read_key(folder / KEY)
        files = [Submission.of(file) for file in collected(answers or folder / ANSWERS)]
        owned, strays = _owned(students, files)
        marks = tuple(_marked(student, owned[student.number]) for student in students)
        left = [error for mark in marks for error in mark.unused]
        return ClassReport(marks, (*strays, *left), current())


def read_key(folder: Path) -> list[Student]:
    """Read the students of a class with their exercises from the folder of its key.

    Raises:
        DataError: no such folder, or nothing in it.
        RunFileError: what is wrong with a file of it.
    """
    paths = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    if not paths:
        raise DataError(
            _("There is no key of a class at '{folder}'.", folder=folder),
            expected=_("a folder with a file for each student: 001-….toml"),
            got=_("nothing there") if not folder.is_dir() else _("an empty folder"),
            fix=_("chainrule worksheet 2-2sigmoid-1 --count 30 --out class"),
        )
    return [_student(i, path) for i, path in enumerate(paths, 1)]


def _student(number: int, path: Path) -> Student:
    fix = _("take the key that was written with the sheets")
    exercise = read_exercise(toml.text_of(path, fix), path.name)
    name, seed = (exercise.document.get(key) for key in ("student", "seed"))
    answers = exercise.document.get("answers")
    if (
        not isinstance(name, str)
        or type(seed) is not int
        or not isinstance(answers, dict)
    ):
        raise DataError(
            _("{name} is not the key of a student.", name=path.name),
            expected=_('student = "…", seed = …, and [answers]'),
            got=", ".join(exercise.document),
            fix=fix,
        )
    return Student(number, name, path.stem, seed, exercise)


def _owned(
    students: Iterable[Student], files: Iterable[Submission]
) -> tuple[Mapping[int, list[Submission]], list[ChainruleError]]:
    """Return the files of each student by number, and errors of those of nobody."""
    owned: dict[int, list[Submission]] = {s.number: [] for s in students}
    by_file = {same(s.file): s for s in students}
    strays: list[ChainruleError] = []
    for file in files:
        owner = by_file.get(same(_AGAIN.sub("", file.file.stem)))
        if owner is not None:
            file.error = file.error or file.contradicts(owner)
        else:
            owner = next((s for s in students if file.says(s)), None)
        if owner is not None:
            owned[owner.number].append(file)
        else:
            strays.append(file.error or _nobody(file))
    return owned, strays


def _nobody(file: Submission) -> DataError:
    says = [file.student or "", f"seed {file.seed}" if file.seed is not None else ""]
    return DataError(
        _("{name} is nobody's of this class.", name=file.file.path),
        expected=_("the name of a form, or student and seed as they stand in it"),
        got=joined(", ", filter(None, says)) or _("no name in it"),
        fix=_("give the file the name of the student's form"),
    )


def _marked(student: Student, files: list[Submission]) -> Marked:
    """Mark the one right file of a student, if there is one."""
    right = list({f.file.content: f for f in files if f.error is None}.values())
    wrong = [f.error for f in files if f.error is not None]
    questions = tuple(_questions(student))
    if len(right) == 1:
        return _by_key(student, right[0], questions, tuple(wrong))
    if right:
        names = ", ".join(f.file.path for f in right)
        wrong.insert(
            0,
            DataError(
                _("There are several files of {name}.", name=student.name),
                expected=_("one file"),
                got=names,
                fix=_("take away those that do not count"),
            ),
        )
    elif not wrong:
        wrong = [
            DataError(
                _("There is no file of {name}.", name=student.name),
                expected=f"{student.file}.toml",
                got=_("nothing"),
            )
        ]
    first, *more = wrong
    return Marked(student, questions, error=first, unused=tuple(more))


def _questions(student: Student) -> Iterator[str]:
    for name in student.exercise.document["answers"]:
        yield student.exercise.key_of(name)


def _by_key(
    student: Student,
    file: Submission,
    questions: tuple[str, ...],
    unused: tuple[ChainruleError, ...],
) -> Marked:
    path, exercise = file.file.path, student.exercise
    changes = tuple(file.changes(student)) if file.document else ()
    made = Marked(student, questions, path, changes=changes, unused=unused)
    try:
        answers, problems = file.answers(exercise)
        if not answers:
            return made.but(error=problems[0], problems=tuple(problems))
        return made.but(report=exercise.marked(answers), problems=tuple(problems))
    except ChainruleError as error:
        return made.but(error=error)
