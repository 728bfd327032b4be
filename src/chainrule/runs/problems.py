"""Problems of a run's file: all of a file are shown at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.errors import ArgumentError, ChainruleError

#: The keys that lead to a value: ``("model", "layers", 2, "p")``.
Where = tuple[str | int, ...]
#: How many problems are shown, and how much of an answer; all of one alone.
SHOWN, ROOM = 10, 160


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: the keys that lead to it.
        what: what is wrong, one sentence that goes on after the place.
        expected: what would have been right.
        got: what came instead.
        fix: what to do about it.
    """

    where: Where
    what: str
    expected: str | None = None
    got: str | None = None
    fix: str | None = None

    @classmethod
    def of(cls, error: ChainruleError, *where: str | int) -> Problem:
        """What ``error`` says, at this place; its remedy as a file has it."""
        fix = re.sub(r"size=\((\d+), (\d+)\)", r"size = [\1, \2]", error.fix or "")
        fix = fix.replace("classes=True", 'task = "classification"')
        return cls(where, error.what, error.expected, error.got, fix or None)

    @property
    def place(self) -> str:
        """Its place in words.

        >>> Problem(("model", "layers", 2, "p"), "").place
        '[model] layers[2].p'
        >>> Problem(("callbacks", 0, "patience"), "").place
        '[[callbacks]] number 1, patience'
        """
        if not self.where:
            return ""
        section, *keys = self.where
        head, joint = f"[{section}]", " "
        if section == "callbacks" and keys:
            head, joint = f"[[callbacks]] number {int(keys.pop(0)) + 1}", ", "
        text = "".join(f"[{k}]" if isinstance(k, int) else f".{k:.40}" for k in keys)
        return joint.join(filter(None, [head, text.removeprefix(".")]))

    def told(self, lines: Mapping[Where, int], file: str = "") -> str:
        """``line 12, [optimizer] lr: it must be positive.``"""
        line = line_of(self.where, lines)
        places = [file, f"line {line}" if line else "", self.place]
        place = ", ".join(filter(None, places))
        return f"{place}: {self.what}" if place else self.what

    def short(self, number: int, lines: Mapping[Where, int]) -> str:
        """The message of one problem among several."""
        answers = (
            answer if answer is None or len(answer) <= ROOM else f"{answer[:ROOM]} …"
            for answer in (self.expected, self.got, self.fix)
        )
        names = ("expected", "got", "fix")
        error = ArgumentError(self.told(lines), **dict(zip(names, answers)))
        return f"{number}. {error}"


class ProblemError(Exception):
    """Carries a problem to where the file is known; never shown as it is."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class RunFileError(ArgumentError):
    """A run's file with one problem or several.

    Attributes:
        file: the file's name.
        problems: all of its problems.
    """

    def __init__(
        self, file: str, problems: Sequence[Problem], lines: Mapping[Where, int]
    ) -> None:
        by_line = sorted(problems, key=lambda p: line_of(p.where, lines) or 0)
        self.file, self.problems = file, tuple(by_line)
        count = len(self.problems)
        if count == 1:
            (one,) = self.problems
            what = one.told(lines, file)
            super().__init__(what, expected=one.expected, got=one.got, fix=one.fix)
            return
        super().__init__(f"{file} has {count} problems.")
        shown = [p.short(i + 1, lines) for i, p in enumerate(self.problems[:SHOWN])]
        rest = [f"… and {count - SHOWN} more."] if count > SHOWN else []
        self.args = ("\n".join([self.what, *shown, *rest]),)  # messages as they are


def line_of(where: Where, lines: Mapping[Where, int]) -> int | None:
    """The line of a place, or of the nearest one around it.

    >>> line_of(("model", "layers", 2), {("model",): 5})
    5
    """
    around = (where[:length] for length in range(len(where), 0, -1))
    return next((lines[place] for place in around if place in lines), None)
