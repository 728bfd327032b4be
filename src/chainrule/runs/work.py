"""A student's work from a TOML file, or from a CSV file of answers beside one.

    network = "2-2sigmoid-1sigmoid"     # or sizes = [2, 2, 1], activations = […]
    loss = "half_squared"
    lr = 0.1
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

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule import nn
from chainrule.data.files import checked_path, opened
from chainrule.errors import ArgumentError, ChainruleError, DataError, nearest
from chainrule.explanation.derivation.keys import key_of
from chainrule.explanation.derivation.network import Network, parse
from chainrule.explanation.derivation.numbers import array_of, parameters
from chainrule.explanation.derivation.objectives import objective
from chainrule.explanation.marking import WorkReport, check_work
from chainrule.explanation.marking.written import read
from chainrule.runs import toml
from chainrule.runs.places import places
from chainrule.runs.problems import Lines, Problem, RunFileError, at
from chainrule.translation import tr

KEYS = (
    *("network", "sizes", "activations", "loss", "lr", "x", "y", "samples"),
    *("weights", "answers"),
)
#: What a file of work may have been meant to say, by what TOML says of it.
HINTS = {
    "Invalid value": 'put "?" where you have no number yet; numbers are 0.5, not .5',
    "": "look at that line; chainrule worksheet … --format toml writes a file that is"
    " right",
}
COLUMNS = ("quantity", "row", "column", "value")


@dataclass(frozen=True)
class Work:
    """What is to be marked, and the file that errors name.

    Attributes:
        name: of the file.
        lines: where each key stands.
        model: the network, with its weights.
        loss, x, y, lr, samples: as :func:`chainrule.check_work` takes them.
        answers: by the names that were written.
    """

    name: str
    lines: Lines
    model: nn.Module
    loss: str
    x: Any
    y: Any
    lr: float | None
    samples: str | None
    answers: Mapping[str, Any]

    def marked(self) -> WorkReport:
        """The marks.

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
                lr=self.lr,
                samples=self.samples,
            )


def load(path: Path, task: Path | None = None) -> Work:
    """Read a file of work.

    Args:
        path: a TOML file; or a CSV file of answers.
        task: the TOML file that belongs to a CSV file; by default that of its name.

    Raises:
        DataError: a file that is not there, or that cannot be read.
        RunFileError: what is wrong with it, with key and line.
    """
    table = path.suffix.lower() == ".csv"
    if not table and task is not None:
        raise ArgumentError(
            tr("A TOML file has its task in itself."),
            expected=tr("a CSV file of answers, with --task FILE.toml"),
            got=f"{path} --task {task}",
        )
    answers = _table(path) if table else None
    file = (task or path.with_suffix(".toml")) if table else path
    fix = tr("write a file to fill in: chainrule worksheet 2-2sigmoid-1 --format toml")
    text = toml.text_of(file, fix)
    return read_work(text, file.name, answers)


def read_work(
    text: str, name: str = "work.toml", answers: Mapping[str, Any] | None = None
) -> Work:
    """The work that a TOML text describes.

    Args:
        text: of the file.
        name: of the file.
        answers: those of a CSV file, in place of its own.

    Raises:
        DataError: no TOML.
        RunFileError: what is wrong with it, with key and line.
    """
    wanted = tr("lines such as lr = 0.1, and below [answers] such as z1 = [0.1, 0.2]")
    document = toml.document(text, name, HINTS, str, wanted)
    lines = places(text)
    with _blamed(name, lines):
        return _Reader(name, lines, document, answers).work()


@contextmanager
def _blamed(name: str, lines: Lines) -> Iterator[None]:
    """Within the block, what goes wrong is a problem of the file."""
    try:
        yield
    except RunFileError:
        raise
    except ChainruleError as error:
        raise RunFileError(name, [Problem.of(error)], lines) from error


class _Reader:
    def __init__(
        self,
        name: str,
        lines: Lines,
        document: dict[str, Any],
        answers: Mapping[str, Any] | None,
    ) -> None:
        self.name, self.lines, self.document = name, lines, document
        self.answers = answers

    def work(self) -> Work:
        for key in self.document:
            if key not in KEYS:
                near = nearest(key, KEYS)
                raise Problem(
                    (key,),
                    tr("there is no such key."),
                    expected=", ".join(KEYS),
                    got=key,
                    fix=tr("did you mean {near}?", near=near) if near else None,
                )
        network = self._network()
        loss = self._loss(network)
        given = self._numbers("weights", network)
        with at("weights"):
            found = parameters(network, given)
        model = network.module()
        names = {
            f"{letter}{k}": word
            for k in network.layers
            for letter, word in (
                ("W", f"{network.paths[k - 1]}.weight"),
                ("b", f"{network.paths[k - 1]}.bias"),
            )
        }
        model.load_state_dict({names[key]: array for key, array in found.items()})
        if self.answers is None:
            answers = self._numbers("answers", network)
        else:
            answers = _in_shape(self.answers, network)
        lr = self._plain("lr")
        samples = self._text("samples")
        x, y = self._plain("x", needed=True), self._plain("y", needed=True)
        return Work(self.name, self.lines, model, loss, x, y, lr, samples, answers)

    def _missing(self, key: str, fix: str | None = None) -> Problem:
        return Problem(
            (), tr("{key} is missing.", key=key), expected=f"{key} = …", fix=fix
        )

    def _text(self, key: str) -> str | None:
        found = self.document.get(key)
        if found is not None and not isinstance(found, str):
            raise Problem(
                (key,),
                tr("this is a text."),
                expected=f'{key} = "…"',
                got=f"{found!r:.60}",
            )
        return found

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
                        tr("each layer has its activation."),
                        expected=tr("{many} names", many=len(sizes) - 1),
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

    def _plain(self, key: str, *, needed: bool = False) -> Any:
        if key not in self.document:
            if needed:
                raise self._missing(key)
            return None
        with at(key):
            found = array_of(key, self.document[key])
            if key == "lr" and found.size != 1:
                raise ArgumentError(
                    tr("η is one number."),
                    expected="lr = 0.1",
                    got=f"{self.document[key]!r:.60}",
                )
            return found

    def _numbers(self, section: str, network: Network) -> dict[str, Any]:
        """A table of numbers, each by a name that is known."""
        table = self.document.get(section)
        if not isinstance(table, dict):
            raise self._missing(f"[{section}]")
        for name, numbers in table.items():
            with at(section, name):
                key_of(name, network)
                if section == "answers":
                    read(name, numbers)
                else:
                    array_of(name, numbers)
        return table


# -- answers from a table --------------------------------------------------------------


def _table(path: Path) -> dict[str, Any]:
    """The answers of a CSV file: by name, nested lists or flat ones."""
    what, fix = tr("a CSV file of answers"), tr("columns quantity, value")
    with opened(checked_path(path, "CSV file"), what, fix) as file:
        content = file.read(toml.BYTES_AT_MOST + 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            tr("{name} is not in UTF-8.", name=path.name),
            expected="UTF-8",
            got=f"0x{content[error.start]:02x}",
        ) from error
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        head = [cell.strip().lower() for cell in next(rows, [])]
        _refuse_head(path.name, head)
        placed = "row" in head
        flat: dict[str, list[Any]] = {}
        cells: dict[str, dict[tuple[int, int], Any]] = {}
        for row in rows:
            where = f"{path.name}, {tr('line {line}', line=rows.line_num)}"
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(head):
                raise DataError(
                    tr("{where}: another number of cells.", where=where),
                    expected=", ".join(head),
                    got=", ".join(row)[:80],
                )
            item = dict(zip(head, (cell.strip() for cell in row), strict=True))
            if not placed:
                flat.setdefault(item["quantity"], []).append(item["value"])
                continue
            place = _at(where, item)
            held = cells.setdefault(item["quantity"], {})
            if place in held:
                raise DataError(
                    tr("{where}: this place has a number already.", where=where),
                    expected=tr("each row and column once"),
                    got=", ".join(row)[:80],
                )
            held[place] = item["value"]
    except csv.Error as error:
        raise DataError(
            tr("{name} cannot be read as CSV.", name=path.name),
            expected=", ".join(COLUMNS),
            got=str(error)[:80],
        ) from error
    made: dict[str, Any] = {n: v[0] if len(v) == 1 else v for n, v in flat.items()}
    return made | {name: _matrix(path.name, name, held) for name, held in cells.items()}


def _refuse_head(name: str, head: list[str]) -> None:
    if sorted(head) not in (sorted(COLUMNS), sorted(("quantity", "value"))):
        raise DataError(
            tr("{name} has other columns.", name=name),
            expected=f"quantity,value; {','.join(COLUMNS)}",
            got=",".join(head)[:80],
        )


def _at(where: str, item: Mapping[str, str]) -> tuple[int, int]:
    """Row and column, counted from 1; blank: 1."""
    found: list[int] = []
    for key in ("row", "column"):
        text = item[key] or "1"
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1000):
            raise DataError(
                tr("{where}: rows and columns are counted from 1.", where=where),
                expected=f"{key} 1, 2, …",
                got=f"{key} {text[:20]}",
            )
        found.append(int(text[:6]))
    return found[0], found[1]


def _matrix(file: str, name: str, held: Mapping[tuple[int, int], Any]) -> Any:
    """Rows of numbers; every place has one."""
    high, wide = (max(place[i] for place in held) for i in (0, 1))
    missing = next(
        (
            f"{name}, {tr('row {row}, column {column}', row=i, column=j)}"
            for i in range(1, high + 1)
            for j in range(1, wide + 1)
            if (i, j) not in held
        ),
        None,
    )
    if missing:
        raise DataError(
            tr("{name} is not complete.", name=file),
            expected=tr("{many} numbers", many=high * wide),
            got=tr("no {missing}", missing=missing),
        )
    return [[held[i, j] for j in range(1, wide + 1)] for i in range(1, high + 1)]


def _in_shape(answers: Mapping[str, Any], network: Network) -> dict[str, Any]:
    """Flat lists of weights and gradients in rows, as they are written down."""
    made = dict(answers)
    for name, numbers in answers.items():
        key = key_of(name, network)
        flat = isinstance(numbers, list) and not isinstance(numbers[0], list)
        if key.lstrip("d")[0] == "W" and flat:
            k = int(key.lstrip("dW"))
            high, wide = network.sizes[k], network.sizes[k - 1]
            if len(numbers) == high * wide:
                made[name] = [numbers[i * wide : (i + 1) * wide] for i in range(high)]
    return made
