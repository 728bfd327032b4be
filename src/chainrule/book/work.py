"""A reader of a student's hand-computed work: a TOML file, or a CSV of answers.

    network = "2-2sigmoid-1sigmoid"     # or sizes = [2, 2, 1], activations = […]
    loss = "half_squared"
    lr = 0.1                            # or optimizer = { class = "Adam", lr = 0.1 }
    x = [1.0, 0.5]
    y = [1.0]
    [weights]
    W1 = [[0.1, 0.4], [-0.2, 0.3]]
    …
    [answers]
    z1 = [0.40, -0.15]
    …

A form of a class has ``student`` and ``seed`` too. Numbers keep the digits in which
they were written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule import nn
from chainrule.book.answers import Table, read_table
from chainrule.book.derivation.formulas import Formulas
from chainrule.book.derivation.keys import key_of
from chainrule.book.derivation.network import Network, parse
from chainrule.book.derivation.numbers import array_of, module_of, parameters
from chainrule.book.derivation.objectives import objective
from chainrule.book.marking import WorkReport, check_work
from chainrule.book.marking.steps import rate_of, step_of
from chainrule.book.marking.written import read
from chainrule.errors import ArgumentError, ChainruleError, DataError, nearest
from chainrule.notation.expressions import Array
from chainrule.optim import RuleOptimizer
from chainrule.runs import toml
from chainrule.runs.problems import Lines, Problem, RunFileError, at
from chainrule.text import _, ngettext

KEYS = (
    *("network", "sizes", "activations", "loss", "lr", "optimizer"),
    *("x", "y", "samples", "weights", "answers", "student", "seed"),
)
#: What a file of work may have been meant to say, by what TOML says of it.
HINTS = {
    "Invalid value": _('put "?" where you have no number yet; numbers are 0.5, not .5'),
    "full width": _("write digits, points and brackets in half width: 0.5, not ０．５"),
    "comma": _("a decimal point is a point: 0.5, not 0,5"),
    "minus": _("a minus is the sign of the keyboard: -0.5, not −0.5"),
    "fraction": _('put a fraction between quotation marks: "1/3"'),
    "": _(
        "look at that line; chainrule worksheet … --format toml writes a "
        "file that is right"
    ),
}


@dataclass(frozen=True, eq=False)
class Exercise:
    """The exercise of a work file: all that is given, and nothing that is answered.

    Attributes:
        name: of the file.
        lines: where each key stands.
        document: the file, parsed.
        network, model: the network; and as a module, with its weights.
        loss, x, y, optimizer, lr, samples: as :func:`chainrule.check_work` takes them.
        moments: the keys of the optimiser's moments.
    """

    name: str
    lines: Lines
    document: Mapping[str, Any]
    network: Network
    model: nn.Module
    loss: str
    x: Any
    y: Any
    optimizer: RuleOptimizer | None
    lr: float | None
    samples: str | None
    moments: Collection[str]

    def key_of(self, name: str) -> str:
        """Return the key of a quantity of this exercise by any of its names."""
        return key_of(name, self.network, self.moments)

    def marked(self, answers: Mapping[str, Any]) -> WorkReport:
        """Mark a student's answers to this exercise; return the report.

        Raises:
            RunFileError: what does not fit together.
        """
        with _blamed(self.name, self.lines):
            return check_work(
                self.model,
                self.x,
                self.y,
                self.loss,
                answers,
                self.optimizer,
                lr=self.lr,
                samples=self.samples,
            )


@dataclass(frozen=True, eq=False)
class Work:
    """A student's hand-computed work to be marked: an exercise, and its answers.

    Attributes:
        exercise: what is given.
        answers: by the names that were written.
    """

    exercise: Exercise
    answers: Mapping[str, Any]

    def marked(self) -> WorkReport:
        """Mark a student's hand-computed work; return the report.

        Raises:
            RunFileError: what does not fit together.
        """
        return self.exercise.marked(self.answers)


def load(path: Path, task: Path | None = None) -> Work:
    """Read a file of a student's hand-computed work.

    Args:
        path: a TOML file; or a CSV file of answers.
        task: the TOML file that belongs to a CSV file; by default that of its name.

    Raises:
        DataError: a file that is not there, or that cannot be read.
        RunFileError: what is wrong with it, with key and line.
    """
    is_table = path.suffix.lower() == ".csv"
    if not is_table and task is not None:
        raise ArgumentError(
            _("A TOML file has its task in itself."),
            expected=_("a CSV file of answers, with --task FILE.toml"),
            got=_("{path} --task {task}", path=path, task=task),
        )
    table = read_table(path) if is_table else None
    file = (task or path.with_suffix(".toml")) if is_table else path
    fix = _("write a file to fill in: chainrule worksheet 2-2sigmoid-1 --format toml")
    text = toml.text_of(file, fix)
    return read_work(text, file.name, table)


def read_work(text: str, name: str = "work.toml", table: Table | None = None) -> Work:
    """Parse a student's hand-computed work from a TOML text.

    Args:
        text: of the file.
        name: of the file.
        table: a CSV file of answers, in place of its own.

    Raises:
        DataError: no TOML.
        RunFileError: what is wrong with it, with key and line.
    """
    exercise = read_exercise(text, name)
    if table is not None:
        return Work(exercise, table.answers(exercise.network, exercise.key_of))
    with _blamed(name, exercise.lines):
        reader = _Reader(text, exercise.lines, exercise.document)
        answers = reader.numbers("answers", exercise.network, exercise.moments)
    return Work(exercise, answers)


def read_exercise(text: str, name: str = "work.toml") -> Exercise:
    """Parse the exercise of a TOML text: what is given, without the answers.

    Raises:
        DataError: no TOML.
        RunFileError: what is wrong with it, with key and line.
    """
    document = parsed(text, name)
    lines = toml.lines_of(text)
    with _blamed(name, lines):
        return _Reader(text, lines, document).exercise(name)


def parsed(text: str, name: str) -> dict[str, Any]:
    """Parse a TOML text of a student's work; its numbers stay texts.

    Raises:
        DataError: for what is no TOML.
    """
    wanted = _("lines such as lr = 0.1, and below [answers] such as z1 = [0.1, 0.2]")
    try:
        return toml.document(text, name, HINTS, str, wanted)
    except DataError as error:
        reason = _reason(text, str(error.got))
        if reason is None:
            raise
        number, line, hint = reason
        raise DataError(
            error.what,
            expected=error.expected,
            got=_("line {line}: {text}", line=number, text=line[:60].strip()),
            fix=HINTS[hint],
        ) from error


#: What people write for a number, by the hint that it needs.
_MEANT = {
    "full width": re.compile(r"[\uff01-\uff5e\u3000]"),
    "comma": re.compile(r"=\s*[+-]?\d+,\d"),
    "minus": re.compile(r"[\u2010-\u2015\u2212]\s*\.?\d"),
    "fraction": re.compile(r"[\s=\[,][+-]?\d+\s*/\s*\d"),
}
_LINE = re.compile(r"at line (\d+)")


def _reason(text: str, said: str) -> tuple[int, str, str] | None:
    """Return line, text and hint of what a person meant as a number, if it is that."""
    found = _LINE.search(said)
    at = int(found[1]) if found else 0
    lines = text.split("\n")
    if not 1 <= at <= len(lines):
        return None
    line = re.sub(r'"[^"]*"|#.*', "", lines[at - 1])
    hints = (hint for hint, pattern in _MEANT.items() if pattern.search(line))
    hint = next(hints, None)
    return None if hint is None else (at, lines[at - 1], hint)


@contextmanager
def _blamed(name: str, lines: Lines) -> Iterator[None]:
    """Convert errors within a block to problems of a student's work file."""
    try:
        yield
    except (RunFileError, DataError):  # of this file, or of the table beside it
        raise
    except ChainruleError as error:
        raise RunFileError(name, [Problem.of(error)], lines) from error


class _Reader:
    def __init__(self, text: str, lines: Lines, document: Mapping[str, Any]) -> None:
        self.text, self.lines, self.document = text, lines, document

    def exercise(self, name: str) -> Exercise:
        for key in self.document:
            if key not in KEYS:
                near = nearest(key, KEYS)
                raise Problem(
                    (key,),
                    _("there is no such key."),
                    expected=", ".join(KEYS),
                    got=key,
                    fix=_("did you mean {near}?", near=near) if near else None,
                )
        network = self._network()
        loss = self._loss(network)
        weights = self.numbers("weights", network)
        with at("weights"):
            arrays = parameters(network, weights)
        model = module_of(network, arrays)
        optimizer, lr = self._optimizer(), self._rate()
        moments: Collection[str] = ()
        if optimizer is not None:
            with at("optimizer"):
                formulas = Formulas(network, objective(loss, network))
                moments = step_of(model, formulas, optimizer).equations
        return Exercise(
            name,
            self.lines,
            self.document,
            network,
            model,
            loss,
            self._plain("x"),
            self._plain("y"),
            optimizer,
            lr,
            self._text("samples"),
            moments,
        )

    def _missing(self, key: str, fix: str | None = None) -> Problem:
        return Problem(
            (), _("{key} is missing.", key=key), expected=f"{key} = …", fix=fix
        )

    def _text(self, key: str) -> str | None:
        value = self.document.get(key)
        if value is not None and not isinstance(value, str):
            raise Problem(
                (key,),
                _("this is a text."),
                expected=f'{key} = "…"',
                got=f"{value!r:.60}",
            )
        return value

    def _network(self) -> Network:
        spec, sizes = self._text("network"), self.document.get("sizes")
        if (spec is None) == (sizes is None):
            raise self._missing("network", 'network = "2-2sigmoid-1sigmoid"')
        if spec is None:
            names = self.document.get("activations")
            if not isinstance(sizes, list) or not isinstance(names, list):
                raise self._missing(
                    "activations", 'sizes = [2, 2, 1], activations = ["sigmoid", ""]'
                )
            with at("activations"):
                if len(names) != len(sizes) - 1:
                    raise ArgumentError(
                        _("each layer has its activation."),
                        expected=ngettext("{n} name", "{n} names", n=len(sizes) - 1),
                        got=str(len(names)),
                    )
                parts = [f"{s}{n}" for s, n in zip(sizes, ["", *names], strict=True)]
                return parse("-".join(parts))
        with at("network"):
            return parse(spec)

    def _loss(self, network: Network) -> str:
        loss = self._text("loss")
        if loss is None:
            raise self._missing("loss", 'loss = "half_squared"')
        with at("loss"):
            return objective(loss, network).name

    def _plain(self, key: str) -> Array:
        if key not in self.document:
            raise self._missing(key)
        with at(key):
            return array_of(key, self.document[key])

    def _optimizer(self) -> RuleOptimizer | None:
        """Return the optimiser in a student's work file, described as in run files."""
        if "optimizer" not in self.document:
            return None
        from chainrule.runs import messages
        from chainrule.runs.problems import SectionError
        from chainrule.runs.schema import OPTIMIZERS

        options = tomllib.loads(self.text)["optimizer"]
        with at("optimizer"):
            if not isinstance(options, dict) or "groups" in options:
                raise ArgumentError(
                    _("this is a table of options, the same for all parameters."),
                    expected='{ class = "Adam", lr = 0.1 }',
                    got=f"{options!r:.80}",
                )
            for key in ("class", "lr"):
                if key not in options:
                    raise ArgumentError(
                        _("{key} is missing.", key=key),
                        expected='{ class = "Adam", lr = 0.1 }',
                        got=", ".join(options) or "{}",
                    )
            try:
                return OPTIMIZERS.read(options).build()
            except SectionError as error:
                raise messages.problems(error)[0] from error

    def _rate(self) -> float | None:
        with at("lr"):
            return rate_of(self.document["lr"]) if "lr" in self.document else None

    def numbers(
        self, section: str, network: Network, moments: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return a work-file table's numbers by name; refuse unknown names."""
        table = self.document.get(section)
        if not isinstance(table, dict):
            raise self._missing(f"[{section}]")
        for name, numbers in table.items():
            with at(section, name):
                key_of(name, network, moments)
                if section == "answers":
                    read(name, numbers)
                else:
                    array_of(name, numbers)
        return table
