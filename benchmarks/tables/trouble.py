"""Trouble planted into a table's files, and what a session made of it."""

import bz2
import csv
import gzip
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from contest import Session
from sources import Table

#: How far below the score without trouble a right model may be.
REACH = 0.1
#: Names of settings that answer questions.
SETTINGS = re.compile(
    r"\b(dtype|features|task|classes|missing|missing_values|unknown|decimal|delimiter"
    r"|encoding|header|target)\b\s*(=|\[)|--target"
)


class UnfitError(Exception):
    """There is no such trouble for this table."""


@dataclass
class Case:
    """The text of a table's cells, and how its files are written.

    Attributes:
        table: what it is.
        train: its rows to learn from, missing cells empty; the first column has no
            name and counts the rows.
        held: rows held out, likewise.
        random: where choices come from.
        numbers: features that are numbers.
        words: features that are text.
        targets: what is to be predicted; nothing for the last column.
        column: the column that a question should name, if any.
        delimiter: of the files, as encoding, ending and header.
        encoding: what the files are written in.
        ending: of the files' names.
        header: whether the first line names the columns.
        line: what to write in the place of a line of the training file.
        edit: what a user makes of the run's file.
        answerable: whether a setting answers the question; else the file is repaired.
    """

    table: Table
    train: pd.DataFrame
    held: pd.DataFrame
    random: np.random.Generator
    numbers: list[str]
    words: list[str]
    targets: list[str]
    column: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    ending: str = ".csv"
    header: bool = True
    line: Callable[[str], str] | None = None
    edit: Callable[[str], str] | None = None
    answerable: bool = True

    @property
    def both(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows to learn from and rows held out."""
        return self.train, self.held

    def change(self, name: str, how: Callable[[str], str]) -> None:
        """Write a column's cells in another way, the missing ones excepted."""
        for frame in self.both:
            frame[name] = [how(cell) if cell else "" for cell in frame[name]]

    def some(self, frame: pd.DataFrame, name: str, share: float, text: str) -> None:
        """Put ``text`` into a share of a column's cells, at least into one."""
        count = max(1, int(share * len(frame)))
        rows = self.random.choice(len(frame), count, replace=False)
        frame.iloc[rows, frame.columns.get_loc(name)] = text

    def write(self, folder: Path) -> tuple[str, str, str]:
        """Write the files; returns their names."""
        new = self.held.drop(columns=self.targets or [self.held.columns[-1]])
        names = []
        for name, frame in (("train", self.train), ("held", self.held), ("new", new)):
            text = io.StringIO()
            writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
            if self.header:
                writer.writerow(map(str, frame.columns))
            writer.writerows(frame.to_numpy().tolist())
            lines = text.getvalue().splitlines(keepends=True)
            if name == "train" and self.line:
                middle = len(lines) // 2
                lines[middle] = self.line(lines[middle].rstrip("\n")) + "\n"
            content = "".join(lines).encode(self.encoding)
            pack = {".gz": gzip.compress, ".bz2": bz2.compress}
            pack = pack.get(Path(self.ending).suffix, bytes)
            names.append(f"{name}{self.ending}")
            (folder / names[-1]).write_bytes(pack(content))
        return names[0], names[1], names[2]


def case(table: Table, train: pd.DataFrame, held: pd.DataFrame, seed: int) -> Case:
    """A table without trouble, its target last."""
    features = [name for name in train.columns if name != table.target]
    numbers = [n for n in features if pd.api.types.is_numeric_dtype(train[n])]
    words = [n for n in features if n not in numbers and n not in table.names]

    def text(frame: pd.DataFrame) -> pd.DataFrame:
        cells = frame[[*features, table.target]].reset_index(names="")
        cells = cells.astype(object).where(cells.notna(), "")
        return cells.map(str)

    return Case(
        table=table,
        train=text(train),
        held=text(held),
        random=np.random.default_rng(seed),
        numbers=numbers,
        words=words,
        targets=[table.target],
    )


def _decimal_comma(c: Case) -> None:
    c.delimiter = ";"
    for name in [*c.numbers, *c.targets]:
        c.change(name, lambda cell: cell.replace(".", ","))


def _money(c: Case) -> None:
    c.column = c.numbers[-1]
    c.change(c.column, lambda cell: f"${float(cell) * 100:,.2f}")


def _euros(c: Case) -> None:
    c.column = c.numbers[-1]
    swap = str.maketrans(",.", ".,")
    c.change(c.column, lambda x: f"{float(x) * 100:,.2f} €".translate(swap))


def _percent(c: Case) -> None:
    c.column = c.numbers[-1]
    c.change(c.column, lambda cell: f"{float(cell):g} %")


def _target_in_money(c: Case) -> None:
    if c.table.classifies:
        raise UnfitError
    c.column = c.targets[0]
    c.change(c.column, lambda cell: f"${float(cell):,.2f}")


def _question_mark(c: Case) -> None:
    for frame in c.both:
        for name in [*c.numbers, *c.words]:
            c.some(frame, name, 0.03, "?")


def _date(c: Case, form: str, days: int = 3000) -> None:
    for frame in c.both:
        rows = c.random.integers(0, days, len(frame))
        dates = pd.Timestamp(2003, 1, 1) + pd.to_timedelta(rows, "D")
        frame.insert(1, "entered", dates.strftime(form))
    c.column = "entered"


def _id(c: Case) -> None:
    for frame in c.both:
        keys = c.random.integers(16**8, 16**9, len(frame))
        frame.insert(1, "reference", [f"{key:X}" for key in keys])
    c.column = "reference"


def _unknown_category(c: Case) -> None:
    c.column = c.words[0]
    c.some(c.held, c.words[0], 0.05, "Atlantis")


def _text_in_number(c: Case) -> None:
    c.column = c.numbers[0]
    c.some(c.train, c.column, 0.01, "see below")


def _text_in_held_out(c: Case) -> None:
    c.column = c.numbers[0]
    c.some(c.held, c.column, 0.01, "see below")


def _bad_after(c: Case) -> None:
    c.column = c.numbers[0]
    rows = np.arange(min(2000, len(c.train) * 3 // 4), len(c.train), 97)
    c.train.iloc[rows, c.train.columns.get_loc(c.column)] = "see below"


def _latin_1(c: Case) -> None:
    c.encoding = "latin-1"
    c.train, c.held = (f.rename(columns={c.numbers[0]: "größe"}) for f in c.both)
    if c.words:
        first = next(cell for cell in c.train[c.words[0]] if cell)
        c.change(c.words[0], lambda cell: "Île" if cell == first else cell)


def _utf_16(c: Case) -> None:
    c.encoding, c.delimiter = "utf-16", "\t"


def _compressed(c: Case) -> None:
    c.ending = ".csv.gz"


def _no_header(c: Case) -> None:
    c.header, c.targets = False, []


def _ragged(c: Case) -> None:
    c.answerable = False
    c.line = lambda line: f"{line},surplus"


def _short(c: Case) -> None:
    c.answerable = False
    c.line = lambda line: line.rpartition(",")[0]


def _two_targets(c: Case) -> None:
    if c.table.classifies:
        raise UnfitError
    c.targets = [c.targets[0], c.numbers[-1]]
    one, two = c.targets
    targets = f'target = ["{one}", "{two}"]'
    c.edit = lambda text: re.sub(
        r"features = .*", lambda found: found[0].replace(f', "{two}"', ""), text
    ).replace(f'target = "{one}"', targets)


def _twice(c: Case) -> None:
    c.column = c.numbers[0]
    c.train, c.held = (f.rename(columns={c.numbers[1]: c.column}) for f in c.both)


KINDS: dict[str, Callable[[Case], Any]] = {
    "none": lambda c: None,
    "decimal comma": _decimal_comma,
    "$1,100.00": _money,
    "1.100,00 €": _euros,
    "12 %": _percent,
    "target in $": _target_in_money,
    "? for missing": _question_mark,
    "date 2003-02-01": lambda c: _date(c, "%Y-%m-%d"),
    "date 31/12/2003": lambda c: _date(c, "%d/%m/%Y"),
    "date 01/02/2003": lambda c: _date(c, "%d/%m/2003", 12),
    "date and time": lambda c: _date(c, "%Y-%m-%dT%H:%M:%SZ"),
    "id column": _id,
    "unknown category": _unknown_category,
    "text in numbers": _text_in_number,
    "text held out": _text_in_held_out,
    "bad after 2,000": _bad_after,
    "Latin-1": _latin_1,
    "UTF-16": _utf_16,
    ".csv.gz": _compressed,
    "no header": _no_header,
    "surplus cell": _ragged,
    "cell too few": _short,
    "two targets": _two_targets,
    "name twice": _twice,
}


def plant(kind: str, c: Case) -> None:
    """Plant a kind of trouble.

    Raises:
        UnfitError: the table does not have what it takes.
    """
    try:
        KINDS[kind](c)
    except IndexError as error:
        raise UnfitError from error


def outcome(c: Case, session: Session) -> str:
    """How a session ended: ``done``, ``question``, ``unclear`` or ``crash``.

    A question is exit code 2 and a message that names the column, where trouble is in
    one, the lines and a setting; ``unclear`` is exit code 2 and another message.
    """
    last = session.commands[-1]
    if "Traceback" in last.err or last.code not in (0, 2):
        return "crash"
    if last.code == 2:
        named = c.column is None or c.column in last.err
        lines = re.search(r"(?<!\.toml, )\blines?:? [\d,]+", last.err)
        answered = SETTINGS.search(last.err) or not c.answerable
        return "question" if named and lines and answered else "unclear"
    return "done"


def judged(made: dict[str, Any], clean: float) -> str:
    """The outcome in the end: ``right`` or ``nonsense`` where all commands ran."""
    if made["outcome"] != "done":
        return made["outcome"]
    return "right" if made["score"] >= clean - REACH else "nonsense"
