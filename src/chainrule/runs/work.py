"""A student's work from a TOML file, optionally with a CSV file of answers.

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
from chainrule.errors import ArgumentError, ChainruleError, DataError, nearest
from chainrule.explanation.derivation.formulas import Formulas
from chainrule.explanation.derivation.keys import key_of
from chainrule.explanation.derivation.network import Network, parse
from chainrule.explanation.derivation.numbers import array_of, parameters
from chainrule.explanation.derivation.objectives import objective
from chainrule.explanation.marking import WorkReport, check_work
from chainrule.explanation.marking.steps import rate_of, step_of
from chainrule.explanation.marking.written import read
from chainrule.optim import Optimizer
from chainrule.runs import toml
from chainrule.runs.answers import Table, read_table
from chainrule.runs.problems import Lines, Problem, RunFileError, at
from chainrule.text import _

KEYS = (
    *("network", "sizes", "activations", "loss", "lr", "optimizer"),
    *("x", "y", "samples", "weights", "answers"),
)
#: How to write keys whose values are wrong or missing.
FORMS = {
    "network": 'network = "2-2sigmoid-1sigmoid"',
    "activations": 'sizes = [2, 2, 1], activations = ["sigmoid", ""]',
    "loss": 'loss = "half_squared"',
    "optimizer": '{ class = "Adam", lr = 0.1 }',
}
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
    """A student's work to be marked, and its file's name for errors.

    Attributes:
        name: of the file.
        lines: the line of each key.
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
    optimizer: Optimizer | None
    lr: float | None
    samples: str | None
    answers: Mapping[str, Any]

    def marked(self) -> WorkReport:
        """Mark the work; return the report.

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
    """Read a file of work.

    Args:
        path: a TOML file; or a CSV file of answers.
        task: the TOML file that belongs to a CSV file; by default that of its name.

    Raises:
        DataError: a file that is missing, or that cannot be read.
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
    return read_work(toml.text_of(file, fix), file.name, table)


def read_work(text: str, name: str = "work.toml", table: Table | None = None) -> Work:
    """Parse a student's work from a TOML text.

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
    if "optimizer" in document:  # its options are numbers, not digits to be marked
        document["optimizer"] = tomllib.loads(text)["optimizer"]
    lines = toml.lines_of(text)
    with _blamed(name, lines):
        return _work(document, name, lines, table)


@contextmanager
def _blamed(name: str, lines: Lines) -> Iterator[None]:
    """Convert errors within a block to problems of the work's file."""
    try:
        yield
    except (RunFileError, DataError):  # of this file, or of the table with its answers
        raise
    except ChainruleError as error:
        raise RunFileError(name, [Problem.of(error)], lines) from error


def _work(
    document: dict[str, Any], name: str, lines: Lines, table: Table | None
) -> Work:
    for key in document:
        if key not in KEYS:
            near = nearest(key, KEYS)
            raise Problem(
                (key,),
                _("there is no such key."),
                expected=", ".join(KEYS),
                got=key,
                fix=_("did you mean {near}?", near=near) if near else None,
            )
    network = _network(document)
    with at("loss"):
        loss = objective(_text(document, "loss", required=True), network).name
    weights = _numbers(document, "weights", network)
    model = network.module()
    with at("weights"):
        _set_parameters(model, network, parameters(network, weights))
    optimizer, moments = _optimizer(document), ()
    if optimizer is not None:
        with at("optimizer"):
            formulas = Formulas(network, objective(loss, network))
            moments = tuple(step_of(model, formulas, optimizer).equations)
    with at("lr"):
        lr = rate_of(document["lr"]) if "lr" in document else None
    if table is None:
        answers = _numbers(document, "answers", network, moments)
    else:
        answers = table.answers(network, partial(key_of, network=network, more=moments))
    for key in ("x", "y"):
        if key not in document:
            raise _missing(key)
        with at(key):
            document[key] = array_of(key, document[key])
    x, y, samples = document["x"], document["y"], _text(document, "samples")
    return Work(name, lines, model, loss, x, y, optimizer, lr, samples, answers)


def _missing(key: str) -> Problem:
    return Problem(
        (),
        _("{key} is missing.", key=key),
        expected=f"{key} = …",
        fix=FORMS.get(key),
    )


def _text(document: Mapping[str, Any], key: str, *, required: bool = False) -> Any:
    """Return the text of a key, or None where it may be left out."""
    found = document.get(key)
    if found is None and required:
        raise _missing(key)
    if found is not None and not isinstance(found, str):
        what, got = _("this is a text."), f"{found!r:.60}"
        raise Problem((key,), what, expected=f'{key} = "…"', got=got)
    return found


def _network(document: Mapping[str, Any]) -> Network:
    spec, sizes = _text(document, "network"), document.get("sizes")
    if (spec is None) == (sizes is None):
        raise _missing("network")
    if spec is not None:
        with at("network"):
            return parse(spec)
    names = document.get("activations")
    if not isinstance(sizes, list) or not isinstance(names, list):
        raise _missing("activations")
    with at("activations"):
        if len(names) != len(sizes) - 1:
            raise ArgumentError(
                _("each layer has its activation."),
                expected=_("{many} names", many=len(sizes) - 1),
                got=str(len(names)),
            )
        return parse("-".join(f"{s}{n}" for s, n in zip(sizes, ["", *names])))


def _set_parameters(
    model: nn.Module, network: Network, found: Mapping[str, Any]
) -> None:
    """Load weights and biases, named ``W1``, ``b1``, …, into the model."""
    state = {}
    for k, path in zip(network.layers, network.paths):
        for name, key in ("weight", f"W{k}"), ("bias", f"b{k}"):
            if key in found:
                state[f"{path}.{name}"] = found[key]
    model.load_state_dict(state)


def _optimizer(document: Mapping[str, Any]) -> Optimizer | None:
    """Return the optimiser of the work, described as in run files."""
    if "optimizer" not in document:
        return None
    from chainrule.runs import messages
    from chainrule.runs.problems import SectionError
    from chainrule.runs.schema import OPTIMIZERS

    options = document["optimizer"]
    with at("optimizer"):
        if not isinstance(options, dict) or "groups" in options:
            raise ArgumentError(
                _("this is a table of options, the same for all parameters."),
                expected=FORMS["optimizer"],
                got=f"{options!r:.80}",
            )
        for key in ("class", "lr"):
            if key not in options:
                raise ArgumentError(
                    _("{key} is missing.", key=key),
                    expected=FORMS["optimizer"],
                    got=", ".join(options) or "{}",
                )
        try:
            return OPTIMIZERS.read(options).build()
        except SectionError as error:
            raise messages.problems(error)[0] from error


def _numbers(
    document: Mapping[str, Any],
    section: str,
    network: Network,
    moments: Collection[str] = (),
) -> dict[str, Any]:
    """Return a table's numbers by name; refuse unknown names."""
    table = document.get(section)
    if not isinstance(table, dict):
        raise _missing(f"[{section}]")
    for name, numbers in table.items():
        with at(section, name):
            key_of(name, network, moments)
            check = read if section == "answers" else array_of
            check(name, numbers)
    return table
