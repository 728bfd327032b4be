"""A class of exercises: a sheet of its own for each student, and the key to all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.book.classroom.students import file_name
from chainrule.book.marking.worksheet import Worksheet, worksheet
from chainrule.errors import ArgumentError
from chainrule.explanation.document import Document
from chainrule.explanation.parts import Heading, Part, Sentence
from chainrule.text import _, ngettext, tr
from chainrule.text.catalogue import current
from chainrule.text.languages import language
from chainrule.util.atomic_files import make_directory, replace

#: The folders of a class: what is handed out, what comes back, and the key.
SHEETS, FORMS, ANSWERS, KEY, MARKS = "sheets", "forms", "answers", "key", "marks"
#: Seeds that are tried for a student whose numbers another one has.
TRIES = 50


@dataclass(frozen=True, eq=False, repr=False)
class Sheets(Document):
    """The sheets of a class in one document, each on pages of its own."""

    sheets: Sequence[Worksheet]
    lang: str

    def parts(self) -> list[Part]:
        """Return the parts of all sheets, one after the other."""
        return [part for sheet in self.sheets for part in sheet.parts()]


@dataclass(frozen=True, eq=False, repr=False)
class Key(Document):
    """The answers to all sheets of a class: the formulas once, then the numbers."""

    sheets: Sequence[Worksheet]
    lang: str

    def parts(self) -> list[Part]:
        """Return the parts of a class's answers: formulas, then a section a sheet."""
        parts: list[Part] = [
            Heading(tr("Answers of the class")),
            Sentence(self.sheets[0].network_line(), "note"),
            *self.sheets[0].formulas(),
        ]
        for i, sheet in enumerate(self.sheets, 1):
            title = tr(
                "{number}. {name}, seed {seed}",
                number=i,
                name=sheet.student,
                seed=sheet.seed,
            )
            parts += [Heading(title, 2), *sheet.solution()]
        return parts


@dataclass(frozen=True, eq=False)
class Classroom:
    """The exercises of a class: a sheet for each student, with other numbers.

    Attributes:
        sheets: one for each student, in the order of their names.
        lang: the language in which they were made.
    """

    sheets: tuple[Worksheet, ...]
    lang: str

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the files of a class: path within its folder, and text."""
        all_of_them, key = Sheets(self.sheets, self.lang), Key(self.sheets, self.lang)
        for i, sheet in enumerate(self.sheets, 1):
            name = file_name(i, sheet.student)
            yield f"{SHEETS}/{name}.html", sheet.to_html()
            yield f"{FORMS}/{name}.toml", sheet.to_toml()
            yield f"{KEY}/{name}.toml", sheet.solved().to_toml()
        yield f"{SHEETS}.html", all_of_them.to_html()
        yield f"{SHEETS}.tex", all_of_them.to_latex()
        yield f"{KEY}.html", key.to_html()
        yield f"{KEY}.tex", key.to_latex()

    def save(self, folder: Path) -> list[Path]:
        """Write the folder of a class; return the paths of its files.

        Raises:
            ArgumentError: something is there already.
            SaveError: where the file system refuses.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArgumentError(
                _("There is something at this place already."),
                expected=_("an empty folder, or none: a class is never overwritten"),
                got=str(folder),
                fix=_("choose another folder: --out class-2"),
            )
        for name in (SHEETS, FORMS, ANSWERS, KEY):
            make_directory(folder / name)
        paths: list[Path] = []
        for name, text in self.files():
            replace(folder / name, text.encode(), _("file of the class"))
            paths.append(folder / name)
        return paths


def classroom(
    network: str,
    names: Sequence[str],
    loss: str = "half_squared",
    *,
    seed: int = 0,
    samples: int = 1,
    lang: str | None = None,
) -> Classroom:
    """Return the exercises of a class: one sheet for each name.

    Args:
        network: sizes with activations, as for :func:`chainrule.derive`.
        names: of the students.
        loss: a name that it takes.
        seed: of the first sheet; each further one has the next seed.
        samples: 1 to 4.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Raises:
        ParseError, ArgumentError: as :func:`~.worksheet.worksheet`; a network so small
            that there are not enough sheets with numbers of their own.
    """
    sheets: list[Worksheet] = []
    seen: set[str] = set()
    with language(lang):
        for name in names:
            for _again in range(TRIES):
                sheet = worksheet(network, loss, seed=seed, samples=samples)
                seed += 1
                if sheet.to_toml() not in seen:
                    break
            else:
                raise ArgumentError(
                    _("There are not enough different numbers for this class."),
                    expected=_("a larger network, or fewer students"),
                    got=ngettext(
                        "{network} for {n} student",
                        "{network} for {n} students",
                        n=len(names),
                        network=network,
                    ),
                )
            seen.add(sheet.to_toml())
            sheets.append(sheet.named(name))
        return Classroom(tuple(sheets), current())
