"""A textbook experiment: settings, and results as texts, a table and a picture.

The numbers know no language and no expectation. All that is said is a function of
them, so it says what was found; what theory or the book expects stands beside it where
that is something else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule import viz
from chainrule.book.experiments.parameters import Setting
from chainrule.text import _, numbers, tr
from chainrule.text.numbers import width
from chainrule.text.tables import Table, text_table, wrapped
from chainrule.util import atomic_files
from chainrule.viz import drawing

#: Columns of text.
WIDTH = 88
#: Seed 0, in full, and no parameter set.
USUAL = Setting()


@dataclass(frozen=True)
class About:
    """A textbook experiment's title, question and method in the current language.

    Attributes:
        title: what it is about, in a line.
        question: what it asks.
        done: what is done and measured.
    """

    title: str
    question: str
    done: str


@dataclass(frozen=True)
class Finding:
    """A sentence of a textbook experiment's answer, and the expected one if different.

    Attributes:
        text: what the numbers say.
        expected: what the book or theory says, where that is something else.
    """

    text: str
    expected: str = ""


def compared(holds: Any, text: str, expected: str) -> Finding:
    """Return an experiment's answer sentence, with the expected one if it is false.

    >>> compared(3 > 2, "It grows.", "It should grow.")
    Finding(text='It grows.', expected='')
    """
    return Finding(text, "" if holds else expected)


@dataclass(frozen=True, repr=False)
class Experiment:
    """A completed textbook experiment; printed as its question, table and answer.

    Attributes:
        name: of the experiment.
        module: its file.
        setting: how it was done.
        numbers: all that was measured: dictionaries, lists, numbers and texts.
        seconds: how long it took.

    What it tells is in the language in use when it is asked.
    """

    name: str
    module: ModuleType
    setting: Setting
    numbers: dict[str, Any]
    seconds: float

    @property
    def about(self) -> About:
        """A textbook experiment's title, question and method."""
        return self.module.about(self.setting)

    @property
    def table(self) -> Table:
        """A textbook experiment's table of results: column headings and rows."""
        return self.module.table(self.numbers)

    @property
    def answer(self) -> list[Finding]:
        """A textbook experiment's answer as sentences."""
        return self.module.answer(self.numbers)

    def __str__(self) -> str:
        return "\n".join(
            [heading(self.name, self.module, self.setting), "", *self._lines()]
        )

    def __repr__(self) -> str:
        return f"<experiment {self.name}, {self.seconds:.2f} s>"

    def _lines(self) -> list[str]:
        rows = [f"  {line}" for line in text_table(self.table, self.module.LEFT)]
        lines = [
            *described(self.module, self.setting),
            "",
            *rows,
            "",
            f"  {tr('Answer')}",
        ]
        for said in self.answer:
            lines += _item("•", said.text)
            if said.expected:
                lines += _item("  " + tr("what was expected:"), said.expected)
        return lines

    def _repr_html_(self) -> str:
        """Return an experiment as HTML for a notebook: question, picture, answer."""
        from chainrule.html import views
        from chainrule.viz.images import png_uri

        about = self.about
        picture = png_uri(self.png()) if viz.can_plot() else ""
        answers = [said.text for said in self.answer]
        answers += [
            f"{tr('what was expected:')} {said.expected}"
            for said in self.answer
            if said.expected
        ]
        return views.view(
            f"<p><b>{escape(heading(self.name, self.module, self.setting))}</b></p>",
            *map(views.paragraph, (about.question, self.module.FORMULA, about.done)),
            f'<p><img alt="" src="{picture}" style="image-rendering:auto"></p>'
            if picture
            else "",
            views.table(self.table),
            *map(views.paragraph, answers),
        )

    def png(self) -> bytes:
        """Return a textbook experiment's picture as a PNG file.

        Raises:
            ArgumentError: matplotlib is not installed.

        Warns:
            ChainruleWarning: no installed font has Chinese characters; its words are
                English.
        """
        what, draw, size = _("picture"), self.module.draw, self.module.SIZE
        with drawing.legible(what):
            return viz.gallery.picture(draw, self.numbers, size=size, what=what)

    def save(self, folder: str | Path) -> list[Path]:
        """Write an experiment's ``NAME.png`` and ``NAME.json``; return their paths.

        Without matplotlib there is no picture.

        Raises:
            SaveError: where the file system refuses.
        """
        import json

        folder, written = Path(folder), []
        content = {}
        if viz.can_plot():
            content["png"] = self.png()
        content["json"] = json.dumps(self.plain(), ensure_ascii=False).encode()
        atomic_files.make_directory(folder)
        for end, data in content.items():
            written.append(folder / f"{self.name}.{end}")
            atomic_files.replace(
                written[-1], data, _("picture") if end == "png" else self.name
            )
        return written

    def plain(self) -> dict[str, Any]:
        """Return a textbook experiment's results as plain, JSON-compatible data."""
        data = {
            "name": self.name,
            **outline(self.module, self.setting),
            **self.setting.plain(self.module.PARAMETERS),
            "seconds": self.seconds,
            "table": [list(row) for row in self.table],
            "answer": [asdict(said) for said in self.answer],
            "numbers": self.numbers,
        }
        return numbers.plain(data)


def performed(name: str, module: ModuleType, setting: Setting) -> Experiment:
    """Run a textbook experiment; return its results and its time."""
    began = time.perf_counter()
    numbers = module.measure(setting)
    return Experiment(name, module, setting, numbers, time.perf_counter() - began)


def outline(module: ModuleType, setting: Setting = USUAL) -> dict[str, Any]:
    """Return a textbook experiment's description, sections and formula as JSON data."""
    data = {"sections": list(module.SECTIONS), "formula": module.FORMULA}
    return {**asdict(module.about(setting)), **data}


def heading(name: str, module: ModuleType, setting: Setting) -> str:
    """Return the heading of a textbook experiment: name, title and sections."""
    about, sections = module.about(setting), listed(module.SECTIONS)
    return tr("{name}: {title} ({where})", name=name, title=about.title, where=sections)


def described(module: ModuleType, setting: Setting) -> list[str]:
    """Return question, formula and method of a textbook experiment as text lines."""
    about = module.about(setting)
    rows = {
        tr("Question"): about.question,
        tr("Formula"): module.FORMULA,
        tr("Done"): about.done,
    }
    room = 4 + max(map(width, rows))
    lines = []
    for word, text in rows.items():
        first, *rest = wrapped(text, WIDTH - room)
        lines.append(f"  {word}{' ' * (room - 2 - width(word))}{first}")
        lines += [" " * room + line for line in rest]
    return lines


def _item(mark: str, text: str) -> list[str]:
    indent = f"  {mark}" + " " * (not mark.endswith("："))
    first, *rest = wrapped(text, WIDTH - width(indent))
    return [indent + first, *(" " * width(indent) + line for line in rest)]


def listed(items: Sequence[str]) -> str:
    """Return words as a comma-separated list within a sentence; a dash for none.

    >>> listed(["tanh", "ReLU"])
    'tanh, ReLU'
    """
    return tr(", ").join(items) or "–"


def paired(items: Mapping[Any, str]) -> str:
    """Return names with their values as text within a sentence.

    >>> paired({"tanh": "0.4", "ReLU": "0.28"})
    'tanh: 0.4; ReLU: 0.28'
    """
    return tr("; ").join(tr("{a}: {b}", a=a, b=b) for a, b in items.items())
