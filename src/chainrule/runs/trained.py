"""A finished training run loaded for use: its Trainer, and data in its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule import data
from chainrule.data import Dataset
from chainrule.data.images import SUFFIXES
from chainrule.errors import ArgumentError, CheckpointError, DataError, NonFiniteError
from chainrule.runs import source
from chainrule.runs.data_section import FORMATS, format_of
from chainrule.runs.file import RunFile
from chainrule.runs.session import Origin, origin_of
from chainrule.runs.values import show
from chainrule.text import _
from chainrule.training import Trainer, checkpoint

#: How images are read for a network that was trained on MNIST.
DIGITS = {
    "kind": "images",
    "size": [28, 28],
    "mode": "L",
    "flatten": True,
    "class_names": [str(digit) for digit in range(10)],
}


@dataclass(frozen=True)
class Trained:
    """A trained run, loaded from its checkpoint for prediction or evaluation.

    Attributes:
        place: where its checkpoint is.
        trainer: its Trainer.
        origin: what it was made from; None for a Python program's.
    """

    place: Path
    trainer: Trainer
    origin: Origin | None

    @classmethod
    def load(cls, place: Path, **resources: Any) -> Trained:
        """Load a trained run from its directory or checkpoint.

        Args:
            place: the directory, or the checkpoint.
            resources: ``threads`` and ``devices``, as for :class:`Trainer`.

        Raises:
            CheckpointError: nothing there that can be read, or data of a kind that is
                not known.
        """
        trainer = Trainer.load(place, **resources)
        kind = "csv" if trainer.format is None else trainer.format.get("kind")
        if not isinstance(kind, str) or kind not in (*FORMATS, "windows"):
            raise CheckpointError(
                _(
                    "{place} was trained on data of a kind that this version "
                    "cannot read.",
                    place=place,
                ),
                expected=" or ".join(FORMATS),
                got=show(kind),
                fix=_("use the version that it was trained with"),
            )
        return cls(checkpoint.locate(place), trainer, origin_of(trainer.notes, place))

    @property
    def name(self) -> str:
        """The name of the trained run: of its file, recipe or directory."""
        return self.origin.name if self.origin else self.place.parent.name

    def own_data(self) -> tuple[str, Dataset, Path | None]:
        """Return the trained run's own data for evaluation: part name, data set, file.

        Raises:
            ArgumentError: there is none.
        """
        if self.origin is None:
            raise ArgumentError(
                _("{place} does not say which data it belongs to.", place=self.place),
                expected=_("data to measure it on"),
                got=_("a run of a Python program"),
                fix=_("chainrule evaluate {parent} DATA", parent=self.place.parent),
            )
        parts = self.origin.parts().for_loss(self.trainer.loss)
        name = [name for name, rows in parts.sizes().items() if rows][-1]
        return name, getattr(parts, name), parts.files.get(name)

    def measurable(self, path: Path) -> Dataset:
        """Read labelled data from a file or folder, to evaluate the trained run."""
        with reading_input(path):
            read = data.read(path, format=self.format_for(path))
        return source.for_loss(read, self.trainer.loss)

    def format_for(self, path: Path) -> dict[str, Any]:
        """Return the format for reading a file or folder as the run's training data.

        Arrays of an NPZ file may stand for any data.
        """
        kind, own = kind_of(path), self.trainer.format
        if own is not None and (own["kind"], kind) == ("text", "csv"):
            return own
        if own is not None and kind in (own["kind"], None):
            return own
        if own is None and kind == "images" and self._source() == "mnist":
            return DIGITS
        if kind is not None and (own is None or kind == "npz"):
            return {"kind": kind}
        names = {**FORMATS, "windows": FORMATS["npz"]}
        names["images"] = _("an image, or a folder of images")
        known = _("a CSV or NPZ file, or {images}", images=names["images"])
        got = path.name if kind is None else FORMATS[kind]
        raise ArgumentError(
            _("'{path}' is of another kind than the data of the run.", path=path),
            expected=known if own is None else names[own["kind"]],
            got=_("an image") if kind == "images" and path.is_file() else got,
            fix=_(
                "give data like those that it was trained on, or an NPZ file "
                "with the array x; the end of a name tells its format, such as "
                ".csv"
            ),
        )

    def _source(self) -> Any:
        """Return the trained run's data source: a name, or a file's path."""
        file = self.origin if isinstance(self.origin, RunFile) else None
        return self.name if file is None else file.settings.data.source


@contextmanager
def reading_input(path: Path) -> Iterator[None]:
    """Convert a NonFiniteError within a block to one that names the input file."""
    try:
        yield
    except NonFiniteError as error:
        answers = {"expected": error.expected, "got": error.got, "fix": error.fix}
        what = _("{place}: {what}", place=f"'{path}'", what=error.what)
        raise DataError(what, **answers) from error


def kind_of(path: Path) -> str | None:
    """Return the data format of a file or folder by its name, or None.

    >>> kind_of(Path("photo.PNG")), kind_of(Path("new.csv")), kind_of(Path("x.bin"))
    ('images', 'csv', None)
    """
    if path.suffix.lower() in SUFFIXES or path.is_dir():
        return "images"
    return format_of(path.name, None) if path.suffix else None
