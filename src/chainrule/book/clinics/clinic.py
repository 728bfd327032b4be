"""A clinic: a patient, what a learner may ask about it, the doctor's view, the cure.

Numbers are measured once; all that is told is made of them, in the language in use.
"""

from __future__ import annotations

import inspect
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import doctor, viz
from chainrule.book.clinics import measuring
from chainrule.book.clinics.tables import TABLES
from chainrule.book.experiments import panels
from chainrule.book.experiments.experiment import WIDTH, Setting, listed
from chainrule.data import Dataset
from chainrule.doctor import Diagnosis
from chainrule.errors import ArgumentError, nearest
from chainrule.text import _, numbers, tr, translated
from chainrule.text.numbers import number, percent
from chainrule.text.tables import Table, text_table, wrapped
from chainrule.training import Trainer
from chainrule.util import atomic_files
from chainrule.viz import drawing

#: A Trainer, rows to train on, rows to test on.
Program = tuple[Trainer, Dataset, Dataset]
#: Digits, and with ``quick``; the plan of the run; the doctor's budget in seconds.
ROWS, QUICK_ROWS, EPOCHS, BATCH, SECONDS = 1000, 400, 10, 32, 10.0
#: The size of the picture in inches.
SIZE = (9.0, 3.8)
#: What may be wrong, for the learner to choose from: letters, codes, words.
CHOICES = {
    "a": ("vanishing-gradient", _("the gradient vanishes on its way back")),
    "b": ("learning-rate-too-large", _("the learning rate is too large")),
    "c": ("constant-weights", _("all units begin equal, and stay equal")),
    "d": ("unscaled-inputs", _("the inputs are not scaled")),
    "e": ("output-activation-twice", _("softmax is applied twice")),
    "f": ("too-few-epochs", _("the run ends too early")),
}
#: What a learner may ask for.
ASKS = {
    "loss": _("losses and accuracy after each epoch"),
    "gradients": _("‖∂ℒ/∂W⁽ˡ⁾‖ of each layer, at the first step and at the last"),
    "activations": _("the spread of each layer's outputs, and dead units"),
    "weights": _("the spread of initial weights, and how far a step moves them"),
    "data": _("the numbers of the inputs, and the classes"),
    "outputs": _("the first outputs of the untrained network"),
    "program": _("the program"),
}


def checked_ask(what: str) -> str:
    """Return what a learner asks for, if a clinic shows it.

    Raises:
        ArgumentError: none does.
    """
    if what not in ASKS:
        raise ArgumentError(
            _("A clinic does not show {what}.", what=repr(what)),
            expected=", ".join(ASKS),
            got=str(what),
            fix=f"--ask {nearest(str(what), ASKS) or 'gradients'}",
        )
    return what


def checked_answer(letter: str) -> str:
    """Return a learner's answer, if it is one of :data:`CHOICES`.

    Raises:
        ArgumentError: it is none.
    """
    if letter not in CHOICES:
        raise ArgumentError(
            _("There is no answer {letter}.", letter=repr(letter)),
            expected=", ".join(CHOICES),
            got=str(letter),
            fix="--answer a",
        )
    return letter


@dataclass(frozen=True)
class Clinic:
    """A clinic: a program with one mistake, and what is told about it.

    Attributes:
        name: of the clinic.
        program: makes the Trainer and its data, from a number of rows and a seed.
        sections: of the book.
        title, complaint: what one sees, without its cause.
        shows: what to ask for: one of :data:`ASKS`.
        code: of the doctor's symptom.
        lesson: why it is so, and what the cure does.
    """

    name: str
    program: Callable[[int, int], Program]
    sections: tuple[str, ...]
    title: str
    complaint: str
    shows: str
    code: str
    lesson: str

    def outline(self) -> dict[str, Any]:
        """Return name, title, complaint and sections as JSON data."""
        return {
            "name": self.name,
            "title": translated(self.title),
            "complaint": translated(self.complaint),
            "sections": list(self.sections),
        }


@dataclass(frozen=True, repr=False)
class Visit:
    """A patient that was trained, diagnosed and cured; printed as all of it.

    Attributes:
        clinic: which.
        setting: seed, and quick or full.
        numbers: of the sick run and of the cured one: dictionaries, lists, numbers.
        diagnosis: the doctor's.
        seconds: how long it took.
    """

    clinic: Clinic
    setting: Setting
    numbers: Mapping[str, Any]
    diagnosis: Diagnosis = field(compare=False)
    seconds: float = 0.0

    # -- the patient ---------------------------------------------------------------

    def complaint(self) -> str:
        """Return what the patient shows, and what may be asked, as text."""
        clinic, lines = self.clinic, [self._heading(), ""]
        lines += _paragraph(translated(clinic.complaint))
        lines += ["", *_table(self.asked("loss")), ""]
        lines += _paragraph(tr("What is wrong? Ask for what you want to see:"))
        rows = [("", ""), *((f"--ask {k}", translated(v)) for k, v in ASKS.items())]
        lines += _table(rows)[1:]
        lines += ["", *_paragraph(tr("Then say what it is:"))]
        rows = [("", ""), *((f"--answer {k}", w) for k, w in _choices())]
        return "\n".join([*lines, *_table(rows)[1:]])

    def asked(self, what: str) -> Table:
        """Return what the patient shows of one thing, as a table.

        Args:
            what: one of :data:`ASKS`.

        Raises:
            ArgumentError: nobody can ask for that.
        """
        return TABLES[checked_ask(what)](self.numbers["sick"])

    def shown(self, what: str) -> str:
        """Return what the patient shows of one thing, as text; see :meth:`asked`."""
        table = self.asked(what)
        return "\n".join([f"  {translated(ASKS[what])}", "", *_table(table)])

    # -- the answer ----------------------------------------------------------------

    def answered(self, letter: str | None = None) -> str:
        """Return whether an answer is right, the doctor's view, and the cured run.

        Args:
            letter: one of :data:`CHOICES`; None answers nothing.

        Raises:
            ArgumentError: no such letter.
        """
        right = self._letter()
        words = translated(CHOICES[right][1])
        lines: list[str] = []
        if letter == right:
            lines += _paragraph(tr("Right: {words}.", words=words))
        elif letter is not None:
            checked_answer(letter)
            told = tr("That is not it. It is this: {words}.", words=words)
            lines += _paragraph(told)
        else:
            lines += _paragraph(tr("It is this: {words}.", words=words))
        ask = self.clinic.shows
        shown = tr("It shows with --ask {ask}:", ask=ask)
        lines += ["", *_paragraph(shown), *_table(self.asked(ask)), ""]
        lines += [f"  {tr('The doctor says')}", ""]
        said = str(self.diagnosis).splitlines()
        lines += [f"    {line}".rstrip() for line in said]
        lines += ["", f"  {tr('With the change')}", "", *_table(self.cured)]
        return "\n".join([*lines, "", *_paragraph(translated(self.clinic.lesson))])

    @property
    def cured(self) -> Table:
        """The sick run and the cured one, epoch by epoch."""
        sick, cured = self.numbers["sick"], self.numbers["cured"]
        head = (
            *(tr("epoch"), tr("training loss"), tr("accuracy")),
            *(tr("cured: loss"), tr("cured: accuracy")),
        )
        rows = [
            (
                str(i + 1),
                *(_loss(sick, i), _accuracy(sick, i)),
                *(_loss(cured, i), _accuracy(cured, i)),
            )
            for i in range(max(len(sick["epochs"]), len(cured["epochs"])))
        ]
        return [head, *rows]

    # -- all of it -----------------------------------------------------------------

    def __str__(self) -> str:
        return f"{self.complaint()}\n\n{self.answered()}"

    def __repr__(self) -> str:
        return f"<{self.clinic.name}, {self.seconds:.2f} s>"

    def _heading(self) -> str:
        return tr(
            "{name}: {title} ({where})",
            name=self.clinic.name,
            title=translated(self.clinic.title),
            where=listed(self.clinic.sections),
        )

    def _repr_html_(self) -> str:
        """Return the patient for a notebook; what it is stands behind a fold."""
        from chainrule.html import views

        asks = "".join(
            f"<details><summary>{escape(translated(words))}</summary>"
            f"{_html(self.asked(what))}</details>"
            for what, words in ASKS.items()
            if what != "loss"
        )
        words = "".join(f"<p>{escape(f'{k}) {w}')}</p>" for k, w in _choices())
        answer = (
            views.paragraph(translated(CHOICES[self._letter()][1])),
            self.diagnosis._repr_html_(),
            views.table(self.cured),
            views.paragraph(translated(self.clinic.lesson)),
        )
        return views.view(
            f"<p><b>{escape(self._heading())}</b></p>",
            views.paragraph(translated(self.clinic.complaint)),
            _html(self.asked("loss")),
            views.paragraph(tr("What is wrong? Ask for what you want to see:")),
            asks,
            words,
            f"<details><summary>{escape(tr('The doctor says'))}</summary>"
            f"{''.join(answer)}</details>",
        )

    def _letter(self) -> str:
        return next(k for k, (code, __) in CHOICES.items() if code == self.clinic.code)

    def png(self, *, answered: bool = True) -> bytes:
        """Return the picture as a PNG file: losses and gradients.

        Args:
            answered: whether the cured run is drawn as well.

        Raises:
            ArgumentError: matplotlib is not installed.
        """
        what = _("picture")
        shown = dict(self.numbers) if answered else {"sick": self.numbers["sick"]}
        with drawing.legible(what):
            return viz.gallery.picture(draw, shown, size=SIZE, what=what)

    def save(self, folder: str | Path, *, answered: bool = True) -> list[Path]:
        """Write ``NAME.png`` and ``NAME.json``; return their paths.

        Without matplotlib there is no picture. Before the answer neither says what it
        is.

        Raises:
            SaveError: where the file system refuses.
        """
        folder, name = Path(folder), self.clinic.name
        content: dict[str, bytes] = {}
        if viz.can_plot():
            content["png"] = self.png(answered=answered)
        told = json.dumps(self.plain(answered=answered), ensure_ascii=False)
        content["json"] = told.encode()
        atomic_files.make_directory(folder)
        for end, data in content.items():
            what = _("picture") if end == "png" else name
            atomic_files.replace(folder / f"{name}.{end}", data, what)
        return [folder / f"{name}.{end}" for end in content]

    def plain(self, *, answered: bool = True) -> dict[str, Any]:
        """Return the visit as JSON data; without its answer where none was given."""
        data = {**self.clinic.outline(), **self.setting.plain(())}
        data |= {"seconds": self.seconds, "sick": self.numbers["sick"]}
        if answered:
            data["answer"] = {
                "letter": self._letter(),
                "code": self.clinic.code,
                "lesson": translated(self.clinic.lesson),
                "diagnosis": self.diagnosis.to_dict(),
                "cured": self.numbers["cured"],
            }
        return numbers.plain(data)


def _loss(run: Mapping[str, Any], epoch: int) -> str:
    rows = run["epochs"]
    return number(rows[epoch]["train_loss"]) if epoch < len(rows) else "–"


def _accuracy(run: Mapping[str, Any], epoch: int) -> str:
    rows = run["epochs"]
    return percent(rows[epoch]["accuracy"], 1) if epoch < len(rows) else "–"


def _choices() -> Iterator[tuple[str, str]]:
    for letter, (__, words) in CHOICES.items():
        yield letter, translated(words)


def _paragraph(text: str) -> list[str]:
    return [f"  {line}" for line in wrapped(text, WIDTH - 2)]


def _table(table: Table) -> list[str]:
    words = 1 if len(table[0]) > 2 else 2
    return [f"    {line.rstrip()}" for line in text_table(table, left=words)]


def _html(table: Table) -> str:
    from chainrule.html import views

    if len(table[0]) == 1:
        lines = "\n".join(row[0] for row in table[1:])
        return f"<pre>{escape(lines)}</pre>"
    return views.table(table, left=len(table[0]) == 2)


def visited(clinic: Clinic, setting: Setting) -> Visit:
    """Train a patient, diagnose it, and train it with the first change that helps."""
    import chainrule as cr

    began = time.perf_counter()
    cr.manual_seed(setting.seed)
    rows = QUICK_ROWS if setting.quick else ROWS
    trainer, train, test = clinic.program(rows, setting.seed)
    diagnosis = doctor.diagnose(
        trainer,
        train,
        validation=test,
        epochs=EPOCHS,
        batch_size=BATCH,
        seconds=SECONDS,
    )
    case = diagnosis.case
    assert case is not None
    change = next(f.change for f in diagnosis.findings if f.code == clinic.code)
    assert change is not None
    cured = case.setup.copy()
    change.apply(cured)
    sick = measuring.numbers_of(measuring.trained(case.setup.copy()))
    found = {"sick": sick, "cured": measuring.numbers_of(measuring.trained(cured))}
    sick |= {
        "weights": measuring.weights_of(case.own_weights, sick["updates"]),
        "data": measuring.data_of(train),
        "outputs": measuring.outputs_of(trainer, train),
        "program": inspect.getsource(clinic.program),
    }
    return Visit(clinic, setting, found, diagnosis, time.perf_counter() - began)


def draw(figure: Any, shown: Mapping[str, Any]) -> None:
    """Draw losses by step and gradients by layer, of the sick run and the cured one."""
    names = {"sick": tr("as it came"), "cured": tr("with the change")}
    left, right = figure.subplots(1, 2)
    for i, (run, found) in enumerate(shown.items()):
        name = names[run] if len(shown) > 1 else ""
        losses = np.asarray(found["losses"], np.float64)
        losses = np.where(losses > 0, losses, np.nan)
        panels.line(left, i, range(1, len(losses) + 1), losses, name)
        norms = [row["first"] for row in found["gradients"]]
        shown_norms = [v if v > 0 else math.nan for v in norms]
        layers = range(1, len(norms) + 1)
        panels.line(right, i, layers, shown_norms, name, marked=True)
    for axes in (left, right):
        panels.logarithmic(axes.yaxis)
    right.xaxis.get_major_locator().set_params(integer=True)
    panels.words(left, tr("loss"), tr("step"))
    panels.words(right, tr("‖∂ℒ/∂W⁽ˡ⁾‖ at the first step"), tr("layer l"))
