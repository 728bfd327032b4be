"""Problems of a run's file: all of a file are shown at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule.errors import ArgumentError, ChainruleError

#: The keys that lead to a value: ``("model", "layers", 2, "p")``.
Where = tuple[str | int, ...]
#: How many problems are shown; the others are counted.
SHOWN = 10


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
        """What ``error`` says, at this place."""
        return cls(where, error.what, error.expected, error.got, error.fix)

    @property
    def place(self) -> str:
        """Its place in words.

        >>> Problem(("model", "layers", 2, "p"), "").place
        '[model] layers[2].p'
        >>> Problem(("callbacks", 0, "patience"), "").place
        '[[callbacks]] number 1, patience'
        """
        section, *rest = self.where or ("",)
        if rest and section == "callbacks" and isinstance(rest[0], int):
            number = f"[[callbacks]] number {rest[0] + 1}"
            return ", ".join(filter(None, [number, dotted(rest[1:])]))
        return f"[{section}] {dotted(rest)}".rstrip() if section else ""


def dotted(keys: Sequence[str | int]) -> str:
    """Keys as one writes them.

    >>> dotted(["layers", 2, "p"])
    'layers[2].p'
    """
    text = ""
    for item in keys:
        if isinstance(item, int):
            text += f"[{item}]"
        else:
            text += f".{item:.40}" if text else f"{item:.40}"
    return text


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
        self, file: str, problems: Sequence[Problem], lines: dict[Where, int]
    ) -> None:
        by_line = sorted(problems, key=lambda p: line_of(p.where, lines) or 0)
        self.file, self.problems = file, tuple(by_line)
        sentences = [_sentence(p, lines) for p in self.problems]
        if len(sentences) == 1:
            (one,) = self.problems
            placed = sentences[0] != one.what
            what = f"{file}{',' if placed else ':'} {sentences[0]}"
            super().__init__(what, expected=one.expected, got=one.got, fix=one.fix)
            return
        parts = [f"{file} has {len(sentences)} problems."]
        for number, (problem, sentence) in enumerate(
            zip(self.problems[:SHOWN], sentences), 1
        ):
            said = replace(problem, what=f"{number}. {sentence}")
            parts.append(str(ArgumentError(*_answers(said)[0], **_answers(said)[1])))
        if len(sentences) > SHOWN:
            parts.append(f"… and {len(sentences) - SHOWN} more.")
        super().__init__("\n".join(parts))


def _answers(p: Problem) -> tuple[tuple[str], dict[str, str | None]]:
    return (p.what,), {"expected": p.expected, "got": p.got, "fix": p.fix}


def _sentence(problem: Problem, lines: dict[Where, int]) -> str:
    """``line 12, [optimizer] lr: it must be positive.``"""
    line = line_of(problem.where, lines)
    place = ", ".join(filter(None, [f"line {line}" if line else "", problem.place]))
    return f"{place}: {problem.what}" if place else problem.what


def line_of(where: Where, lines: dict[Where, int]) -> int | None:
    """The line of a place, or of the nearest one around it.

    >>> line_of(("model", "layers", 2), {("model",): 5})
    5
    """
    for length in range(len(where), 0, -1):
        if where[:length] in lines:
            return lines[where[:length]]
    return None
