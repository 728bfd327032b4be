"""One file of a student: whose it is, whether it is the exercise set, and its answers.

The exercise is that of the key. What the student's file says of it is only compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.book.answers import table_of
from chainrule.book.classroom.collecting import Collected
from chainrule.book.classroom.students import same
from chainrule.book.marking.written import read
from chainrule.book.work import KEYS, Exercise, parsed
from chainrule.errors import ChainruleError, DataError
from chainrule.runs import toml
from chainrule.text import _, ngettext

#: What belongs to the exercise; the weights are compared one by one.
_GIVEN = ("network", "sizes", "activations", "loss", "lr", "optimizer", "samples")


@dataclass(frozen=True)
class Student:
    """A student of a class, with the exercise that was set.

    Attributes:
        number: in the class, from 1.
        name: as it was given.
        file: the name of the files, without ending.
        seed: of the numbers.
        exercise: the exercise, as the key has it.
    """

    number: int
    name: str
    file: str
    seed: int
    exercise: Exercise = field(repr=False)

    def called(self) -> str:
        """Return the name of a student with the seed of the sheet."""
        return _("{name} (seed {seed})", name=self.name, seed=self.seed)


@dataclass
class Submission:
    """One file of a student, parsed as far as it can be.

    Attributes:
        file: as it was collected.
        document: what is in it; for a table, its answers alone.
        error: why it cannot be read.
    """

    file: Collected
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: ChainruleError | None = None

    @classmethod
    def of(cls, file: Collected) -> Submission:
        """Parse a collected file, if it is one of answers in TOML."""
        if file.error is not None or file.ending == ".csv":
            return cls(file, error=file.error)
        name = file.path
        try:
            if not file.content.strip():
                raise DataError(
                    _("{name} is empty.", name=name),
                    expected=_("the form of the class, filled in"),
                    got=ngettext("{n} byte", "{n} bytes", n=len(file.content)),
                )
            wanted = _("TOML text in UTF-8, as the format demands")
            return cls(file, parsed(toml.decoded(file.content, name, wanted), name))
        except ChainruleError as error:
            return cls(file, error=error)

    @cached_property
    def student(self) -> str | None:
        """The name of the student in a file, where it says one."""
        name = self.document.get("student")
        return name if isinstance(name, str) and name.strip() else None

    @cached_property
    def seed(self) -> int | None:
        """The seed in a file, where it says one."""
        seed = self.document.get("seed")
        return seed if type(seed) is int else None

    def says(self, student: Student) -> bool:
        """Return whether a file names a student, and the seed of the sheet."""
        names = self.student is not None and same(self.student) == same(student.name)
        return names and self.seed == student.seed

    def contradicts(self, student: Student) -> DataError | None:
        """Return the error of a file that names another student or another seed."""
        other = self.student is not None and same(self.student) != same(student.name)
        if not other and self.seed in (None, student.seed):
            return None
        got = self.student or student.name
        return DataError(
            _("{name} is the sheet of somebody else.", name=self.file.path)
            if other
            else _("{name} has the numbers of another sheet.", name=self.file.path),
            expected=student.called(),
            got=got
            if self.seed is None
            else _("{name} (seed {seed})", name=got, seed=self.seed),
            fix=_("ask for the form {form}, filled in", form=f"{student.file}.toml"),
        )

    # -- the exercise ------------------------------------------------------------------

    def changes(self, student: Student) -> list[str]:
        """Return what a file says of the exercise otherwise than the key, as texts."""
        ours, theirs = dict(student.exercise.document), self.document
        found = [
            _("there is no such key: {key}", key=f"{key:.40}")
            for key in theirs
            if key not in KEYS
        ]
        given = {key: theirs[key] for key in (*_GIVEN, "x", "y") if key in theirs}
        weights = theirs.get("weights", {})
        if isinstance(weights, dict):
            given, ours = given | weights, ours | ours["weights"]
        else:
            found.append(_changed("weights", weights, "…"))
        found += [
            _changed(key, value, ours.get(key))
            for key, value in given.items()
            if not _equal(value, ours.get(key))
        ]
        return found

    # -- the answers -------------------------------------------------------------------

    def answers(
        self, exercise: Exercise
    ) -> tuple[dict[str, Any], list[ChainruleError]]:
        """Return a file's answers that can be read, and what is wrong with others.

        Raises:
            DataError: no answers at all.
        """
        answers = self._raw(exercise)
        known, problems = readable(answers, exercise)
        if not known and not problems:
            raise DataError(
                _("{name} has no answers.", name=self.file.path),
                expected=_('numbers in place of each "?" below [answers]'),
                got=ngettext(
                    "{n} name, all blank", "{n} names, all blank", n=len(answers)
                ),
            )
        return known, problems

    def _raw(self, exercise: Exercise) -> Mapping[str, Any]:
        if self.file.ending == ".csv":
            table = table_of(self.file.content, self.file.path)
            return table.answers(exercise.network, exercise.key_of)
        answers = self.document.get("answers")
        if not isinstance(answers, dict):
            raise DataError(
                _("{name} has no answers.", name=self.file.path),
                expected="[answers]",
                got=", ".join(list(_texts(self.document))[:6]) or _("nothing"),
                fix=_("fill in the form of the class, and leave its lines as they are"),
            )
        return answers


def readable(
    answers: Mapping[str, Any], exercise: Exercise
) -> tuple[dict[str, Any], list[ChainruleError]]:
    """Return the answers that can be read and are not blank; and errors of others."""
    known: dict[str, Any] = {}
    keys: dict[str, str] = {}
    problems: list[ChainruleError] = []
    for name, numbers in answers.items():
        try:
            key = exercise.key_of(name)
            if key in keys:
                raise DataError(
                    _("One quantity is given twice."),
                    expected=_("{name} once", name=key),
                    got=f"{keys[key]!r}, {name!r}",
                )
            keys[key] = name
            if read(name, numbers) is not None:
                known[name] = numbers
        except ChainruleError as error:
            problems.append(error)
    return known, problems


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key:.40}" for key in document)


def _equal(theirs: Any, ours: Any) -> bool:
    """Return whether two values of a file are the same, numbers by their value."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return theirs.keys() == ours.keys() and all(
            _equal(theirs[key], ours[key]) for key in theirs
        )
    if isinstance(theirs, str) and isinstance(ours, str) and theirs == ours:
        return True
    try:
        a, b = (np.asarray(value, np.float64) for value in (theirs, ours))
    except (TypeError, ValueError, OverflowError):
        return False
    return a.shape == b.shape and bool(np.array_equal(a, b))


def _changed(key: str, theirs: Any, ours: Any) -> str:
    text = _(
        "{key} = {theirs}, where {ours} was set",
        key=f"{key:.20}",
        theirs=_shown(theirs),
        ours=_shown(ours),
    )
    return text


def _shown(value: Any) -> str:
    if value is None:
        return _("nothing")
    text = str(value).replace("'", "") if isinstance(value, list) else str(value)
    return f"{text:.60}"
