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

Numbers keep the digits in which they were written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chainrule import nn
from chainrule.book.answers import Table, read_table
from chainrule.book.derivation.formulas import Formulas
from chainrule.book.derivation.keys import key_of
from chainrule.book.derivation.network import Network, parse
from chainrule.book.derivation.numbers import array_of, parameters
from chainrule.book.derivation.objectives import objective
from chainrule.book.marking import WorkReport, check_work
from chainrule.book.marking.steps import rate_of, step_of
from chainrule.book.marking.written import read
from chainrule.errors import ArgumentError, ChainruleError, DataError, nearest
from chainrule.notation.expressions import Array
from chainrule.optim import RuleOptimizer
from chainrule.runs import toml
from chainrule.runs.problems import Lines, Problem, RunFileError, at
from chainrule.text import _

KEYS = (
    *("network", "sizes", "activations", "loss", "lr", "optimizer"),
    *("x", "y", "samples", "weights", "answers"),
)
#: What a file of work may have been meant to say, by what TOML says of it.
HINTS = {
    "Invalid value": _('put "?" where you have no number yet; numbers are 0.5, not .5'),
    "": _(
        "look at that line; chainrule worksheet … --format toml writes a "
        "file that is right"
    ),
}


@dataclass(frozen=True)
class Work:
    """A student's hand-computed work to be marked, as read from a file.

    Attributes:
        name: of the file.
        lines: where each key stands.
        model: the network, with its weights.
        loss, x, y, optimizer, lr, samples: as :func:`chainrule.check_work` takes them.
        answers: by the names that were written.
    """

    name: str
    lines: Lines
    model: nn.Module
    loss: str
    x: Any
    y: Any
    optimizer: RuleOptimizer | None
    lr: float | None
    samples: str | None
    answers: Mapping[str, Any]

    def marked(self) -> WorkReport:
        """Mark a student's hand-computed work; return the report.

        Raises:
            RunFileError: what does not fit together.
        """
        with _blamed(self.name, self.lines):
            return check_work(
                self.model,
                self.x,
                self.y,
                self.loss,
                self.answers,
                self.optimizer,
                lr=self.lr,
                samples=self.samples,
            )


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
    wanted = _("lines such as lr = 0.1, and below [answers] such as z1 = [0.1, 0.2]")
    document = toml.document(text, name, HINTS, str, wanted)
    lines = toml.lines_of(text)
    with _blamed(name, lines):
        return _Reader(name, text, lines, document, table).work()


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
    def __init__(
        self,
        name: str,
        text: str,
        lines: Lines,
        document: dict[str, Any],
        table: Table | None,
    ) -> None:
        self.name, self.text, self.lines = name, text, lines
        self.document, self.table = document, table

    def work(self) -> Work:
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
        weights = self._numbers("weights", network)
        with at("weights"):
            arrays = parameters(network, weights)
        model = network.module()
        names = {
            f"{letter}{k}": word
            for k in network.layers
            for letter, word in (
                ("W", f"{network.paths[k - 1]}.weight"),
                ("b", f"{network.paths[k - 1]}.bias"),
            )
        }
        model.load_state_dict({names[key]: array for key, array in arrays.items()})
        optimizer, lr = self._optimizer(), self._rate()
        moments: Collection[str] = ()
        if optimizer is not None:
            with at("optimizer"):
                formulas = Formulas(network, objective(loss, network))
                moments = step_of(model, formulas, optimizer).equations
        if self.table is None:
            answers = self._numbers("answers", network, moments)
        else:
            known = partial(key_of, network=network, more=moments)
            answers = self.table.answers(network, known)
        return Work(
            self.name,
            self.lines,
            model,
            loss,
            self._plain("x"),
            self._plain("y"),
            optimizer,
            lr,
            self._text("samples"),
            answers,
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
                        expected=_("{many} names", many=len(sizes) - 1),
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

    def _numbers(
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
