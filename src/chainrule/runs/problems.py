"""Problems of a run file, collected and shown together, each with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from chainrule.errors import ArgumentError, ChainruleError
from chainrule.text import Message, _, joined, translated

#: The keys that lead to a value: ``("model", "layers", 2, "p")``.
Where = tuple[str | int, ...]
#: The line of each place; or the option of the command line that stands for it.
Lines = Mapping[Where, int | str]
#: How many problems are shown, and how much of an answer; all of one alone.
SHOWN, ROOM = 10, 160


class Problem(ArgumentError):  # noqa: N818  (a file has problems, not errors)
    """An error in a run file, with its place (section and key).

    Args:
        where: the keys that lead to it.
        what: what is wrong, one sentence that goes on after the place.
        answers: what would have been right, what came, and what to do about it.
    """

    def __init__(self, where: Where, what: str, **answers: str | None) -> None:
        super().__init__(what, **answers)
        self.where = where

    @classmethod
    def of(cls, error: ChainruleError, *where: str | int) -> Problem:
        """Convert an error to a run file's problem at a place of the file."""
        if isinstance(error, Problem):
            problem = cls((*where, *error.where), error.what)
            problem.__dict__.update(error.__dict__, where=problem.where)
            return problem
        fix = error.fix and _InToml(_in_toml(error.fix), "{fix}", {"fix": error.fix})
        answers = {"expected": error.expected, "got": error.got, "fix": fix}
        return cls(where, error.what, **answers)

    @property
    def place(self) -> str:
        """The place of a run file's problem as text: ``[optimizer] lr``.

        >>> Problem(("model", "layers", 2, "p"), "").place
        '[model] layers[2].p'
        >>> Problem(("callbacks", 0, "patience"), "").place
        '[[callbacks]] number 1, patience'
        """
        if not self.where:
            return ""
        section, *keys = self.where
        head: str = f"[{section}]"
        separator = " "
        if section == "callbacks" and keys:
            number = int(keys.pop(0)) + 1
            head, separator = _("[[callbacks]] number {number}", number=number), ", "
        text = "".join(f"[{k}]" if isinstance(k, int) else f".{k:.40}" for k in keys)
        return joined(separator, filter(None, [head, text.removeprefix(".")]))

    def with_place(self, lines: Lines, file: str = "") -> str:
        """Return a run file's problem with its line: ``line 12, [optimizer] lr: …``."""
        line = line_of(self.where, lines)
        if isinstance(line, str):
            return _("{place}: {what}", place=line, what=self.what)
        places = [file, _("line {line}", line=line) if line else "", self.place]
        place = joined(", ", filter(None, places))
        return _("{place}: {what}", place=place, what=self.what) if place else self.what

    def shortened(self, lines: Lines, text: Callable[[str], str]) -> str:
        """Return a run file's problem as text for a list, with short lines.

        Args:
            lines: the line of each place.
            text: the text of a message in the language of the list.
        """
        answers = {name: getattr(self, name) for name in ("expected", "got", "fix")}
        for name, answer in answers.items():
            if answer is not None and len(shown := text(answer)) > ROOM:
                answers[name] = f"{shown[:ROOM]} …"
        error = ArgumentError(self.with_place(lines), **answers)
        return str(error) if text is str else error.translated()


def _in_toml(fix: str) -> str:
    """Rewrite an error's fix from Python arguments to keys of a run file.

    >>> _in_toml("leave out size=(3, 4), or mode='min'")
    'leave out size = [3, 4], or mode = "min"'
    """
    fix = re.sub(r"size=\((\d+), (\d+)\)", r"size = [\1, \2]", fix)
    fix = re.sub(r"dtype=\{'(.*?)': '(\w+)'\}", r'dtype = {"\1" = "\2"}', fix)
    fix = re.sub(r"\b(\w+)='(.*?)'", r'\1 = "\2"', fix)
    fix = fix.replace("batch_size=None", 'batch_size = "all"')
    return fix.replace("=False", " = false")


class _InToml(Message):
    """The suggested fix of an error, in the syntax of run files, in any language."""

    __slots__ = ()

    def translated(self) -> str:
        return _in_toml(translated(self.values["fix"]))


class Refused(NamedTuple):
    """A key or value that a run file's section refuses, for a message."""

    by: Any
    """the section, or the family of classes, that refuses it"""
    kind: str
    """the kind of error, as pydantic calls it"""
    key: str
    """what it is about; empty for the whole section"""
    value: Any
    """what the file has"""


class SectionError(ValueError):
    """The errors of one section of a run file, which pydantic passes on.

    Attributes:
        problems: what is wrong, by its place within the section.
    """

    def __init__(self, problems: Mapping[Where, Refused | ChainruleError]) -> None:
        super().__init__("")
        self.problems = problems


@contextmanager
def at(*where: str | int) -> Iterator[None]:
    """Convert errors within a block to problems at a place of a run file."""
    try:
        yield
    except ChainruleError as error:
        raise Problem.of(error, *where) from error


class RunFileError(ArgumentError):
    """The error for a run file, with one or several problems.

    Attributes:
        file: the file's name.
        problems: all of its problems.
    """

    def __init__(self, file: str, problems: Sequence[Problem], lines: Lines) -> None:
        def order(problem: Problem) -> int:
            line = line_of(problem.where, lines)
            return line if isinstance(line, int) else 0

        self.file, self.problems = file, tuple(sorted(problems, key=order))
        self._lines = lines
        count, one = len(self.problems), self.problems[0]
        if count == 1:
            answers = {"expected": one.expected, "got": one.got, "fix": one.fix}
            super().__init__(one.with_place(lines, file), **answers)
        else:
            super().__init__(_("{file} has {count} problems.", file=file, count=count))

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return super().__str__()
        return self._list(str)

    def translated(self) -> str:
        """Return all problems of a run file in the current language."""
        if len(self.problems) == 1:
            return super().translated()
        return self._list(translated)

    def _list(self, text: Callable[[str], str]) -> str:
        """Return a run file's first problems as a numbered list, as text."""
        lines, left = [text(self.what)], len(self.problems) - SHOWN
        for number, problem in enumerate(self.problems[:SHOWN], 1):
            lines.append(f"{number}. {problem.shortened(self._lines, text)}")
        if left > 0:
            lines.append(text(_("… and {many} more.", many=left)))
        return "\n".join(lines)


def line_of(where: Where, lines: Lines) -> int | str | None:
    """Return the line of a place in a run file, or that of an enclosing place.

    >>> line_of(("model", "layers", 2), {("model",): 5})
    5
    """
    around = (where[:length] for length in range(len(where), 0, -1))
    return next((lines[place] for place in around if place in lines), None)
