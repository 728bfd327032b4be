"""The section ``[data]`` of a run's file: the keys of each format."""

from __future__ import annotations

import inspect
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Le, Len
from pydantic import Field, create_model, model_validator

from chainrule import data
from chainrule.data.tables.texts import LONGEST
from chainrule.runs.problems import Problem
from chainrule.runs.section import (
    Cell,
    Mark,
    Name,
    Names,
    Pair,
    Place,
    Positive,
    Section,
    Share,
    Text,
    Words,
)
from chainrule.runs.values import show
from chainrule.text import _, joined

#: Data sets that come with the framework, and those that are drawn at random.
BUNDLED = ("mnist",)
DRAWN = ("xor", "circles", "moons", "spiral", "blobs", "plane", "hills")
NAMES = (*BUNDLED, *DRAWN)
#: How data are read: format → what it is.
FORMATS = {
    "csv": _("a CSV file, or another table in text form"),
    "text": _(
        "a CSV file with a column of texts, which are cut into words or characters"
    ),
    "npz": _("an NPZ file of NumPy with the arrays x and y"),
    "idx": _(
        "two idx files, such as those of MNIST: [images, labels], or the images "
        "alone where the labels lie beside them"
    ),
    "images": _("a folder with one folder of images a class"),
    "named": _("data by name: {NAMES}", NAMES=joined(", ", NAMES)),
}
#: Ends of file names, and how such files are read.
_ENDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".data": "csv",
    ".npz": "npz",
    ".idx": "idx",
}
#: The share of samples for validation, and for the test, where the file is silent.
SHARE = 0.1
#: Samples that a drawn data set may have.
SAMPLES_AT_MOST = 10_000_000
_Samples = Annotated[int, Ge(1), Le(SAMPLES_AT_MOST)]
_Deviation = Annotated[float, Ge(0), Le(10**6)]
#: The side of an image.
_Side = Annotated[int, Ge(1), Le(4096)]
_Sides = Annotated[list[_Side], Len(2, 2), Words(_("[height, width]"))]
_Classes = Annotated[list[Cell], Len(2), Words(_("a list of names in quotes"))]
_Count = Annotated[int, Ge(2), Le(10_000)]
_Task = Literal["classification", "regression"]
_Transform = Literal["none", "log", "quantile"]
_Kinds = Annotated[
    dict[Cell, Literal["number", "category", "date", "dmy", "mdy", "id"]],
    Words(_("a table from columns to number, category, date, dmy, mdy or id")),
]
_Texts = Annotated[list[Cell], Words(_("a list of texts in quotes"))]
_Encoding = Annotated[Text, Words(_("the name of an encoding in quotes"))]


class Data(Section):
    """The data to learn from. Paths are relative to this file.

    Attributes:
        source: a CSV or NPZ file, a folder of images, [images, labels] of idx, or one
            of mnist, xor, circles, moons, spiral, blobs, plane, hills
        format: how to read it; else its name tells, but for text
        limit: use the first so many samples only
        validation: the share of samples to look at after each epoch, or data of their
            own; else 0.1, and 0 for the four points of xor
        test: the share of samples to test with at the end, or data of their own; else
            as for validation
        stratify: keep the share of each class the same in all parts
        seed: which samples go where, and which points are drawn
    """

    title: ClassVar[str] = "[data]"
    #: How such data are read.
    kind: ClassVar[str] = ""

    source: Place = Field(examples=["data.csv"])
    format: Literal["csv", "text", "npz", "idx", "images"] | None = Field(
        None, examples=["csv"]
    )
    limit: Positive | None = Field(None, examples=[1000])
    validation: Share | Place | None = Field(None, examples=[0.1])
    test: Share | Place | None = Field(None, examples=[0.1])
    stratify: bool = Field(False, examples=[True])
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = Field(0, examples=[1])

    @property
    def reading(self) -> dict[str, Any]:
        """The format-specific keys of the data section, as arguments of a reader."""
        others = {*Data.model_fields, "target_transform"}  # which is for the network
        return {name: v for name, v in self.set_values().items() if name not in others}

    def share(self, part: str) -> float | None:
        """Return the share of samples for validation or test; None: data of its own."""
        part_value = getattr(self, part)
        if part_value is None:
            four = self.source == "xor" and getattr(self, "copies", None) == 1
            return 0.0 if four else SHARE
        return part_value if isinstance(part_value, float) else None

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        """Check that validation and test parts leave samples for training."""
        numbers = [n for n in (self.validation, self.test) if isinstance(n, float)]
        if sum(numbers) >= 1:
            raise Problem(
                ("validation",),
                _("nothing is left to learn from."),
                expected=_(
                    "shares of validation and test that are less than 1 together"
                ),
                got=" + ".join(f"{share:g}" for share in numbers),
                fix=_("validation = 0.1 and test = 0.1 leave 80 % for training"),
            )
        return self


class Table(Data):
    """The data section of a run file for a table.

    Attributes:
        target: the column to predict, or a list of columns of numbers, which count
            alike
        features: the columns to predict it from; else all others
        dtype: what columns hold, where that is not seen: a number, a category, a date
            (dmy or mdy: with the day or the month first), or an id, which is left out
        task: whether the target names a class or is a quantity; else it is seen
        classes: the names of the classes, in the order of labels; else those that come
            up
        missing: empty cells: fill them (the mean and a mark; a category of its own),
            drop the row, or refuse the table
        missing_values: texts that mean an empty cell, besides NA, null, ? and the like
        unknown: categories that come up later only: one of their own, or refused
        decimal: what stands before the decimals of numbers; else it is seen
        delimiter: what stands between cells; else it is seen
        encoding: how the file is encoded; else it is seen
        header: whether the first line names the columns; else they are called column 1
            …
        target_transform: learn a skewed quantity on another scale; predictions keep its
            own units
    """

    kind: ClassVar[str] = "csv"
    what: ClassVar[str] = _("a CSV file")

    target: Name | Names = Field(examples=["price"])
    features: Names | None = Field(None, examples=[["area", "rooms"]])
    dtype: _Kinds | None = Field(None, examples=[{"postcode": "category"}])
    task: _Task | None = Field(None, examples=["classification"])
    classes: _Classes | None = Field(None, examples=[["no", "yes"]])
    missing: Literal["fill", "drop", "error"] = Field("fill", examples=["drop"])
    missing_values: _Texts = Field([], examples=[["unknown", "-999"]])
    unknown: Literal["other", "error"] = Field("other", examples=["error"])
    decimal: Literal[".", ","] | None = Field(None, examples=[","])
    delimiter: Mark | None = Field(None, examples=[";"])
    encoding: _Encoding | None = Field(None, examples=["cp950"])
    header: bool = Field(True, examples=[False])
    target_transform: _Transform = Field("none", examples=["log"])


class Texts(Table):
    """The data section of a run file for a table with a column of texts.

    Attributes:
        text: the column of texts
        units: what texts are cut into; a punctuation mark is a word, and so is a
            Chinese character; take characters for names, and for Thai, Lao and Khmer
        length: units of each text: longer ones are cut at the end, shorter ones padded
            in front; else as many as 95 % of the texts have at most, up to 500
        vocabulary: the most frequent units that come up twice at least; all others are
            one
        lowercase: take capitals for small letters
    """

    kind: ClassVar[str] = "text"
    what: ClassVar[str] = _("texts in a CSV file")

    features: None = None
    missing: None = None
    unknown: None = None
    text: Name = Field(examples=["message"])
    units: Literal["words", "characters"] = Field("words", examples=["characters"])
    length: Annotated[int, Ge(1), Le(LONGEST)] | None = Field(None, examples=[100])
    vocabulary: Positive = Field(10000, examples=[2000])
    lowercase: bool = Field(True, examples=[False])


class Arrays(Data):
    """The data section of a run file for an NPZ file.

    Attributes:
        task: what the target is; else whole numbers are classes
        classes: how many classes, or their names by label; else those that come up
        target_transform: learn a skewed quantity on another scale; predictions keep its
            own units
    """

    kind: ClassVar[str] = "npz"
    what: ClassVar[str] = _("an NPZ file")

    task: _Task | None = Field(None, examples=["classification"])
    classes: _Count | _Classes | None = Field(None, examples=[["no", "yes"]])
    target_transform: _Transform = Field("none", examples=["log"])


class Idx(Data):
    """The data section of a run file for a pair of idx files.

    Attributes:
        source: [images, labels], or the images alone where the labels lie beside them
        validation: the share of samples to look at after each epoch, or other files;
            else 0.1
        test: the share of samples to test with at the end, or other files; else 0.1
        classes: how many classes, or their names by label; else those that come up
    """

    kind: ClassVar[str] = "idx"
    what: ClassVar[str] = _("idx files")

    source: Place | Pair = Field(examples=["train-images-idx3-ubyte"])
    validation: Share | Place | Pair | None = Field(None, examples=[0.1])
    test: Share | Place | Pair | None = Field(None, examples=[0.1])
    classes: _Count | _Classes | None = Field(None, examples=[["no", "yes"]])


class Images(Data):
    """The data section of a run file for a folder of images.

    Attributes:
        size: [height, width] that images are scaled to; else theirs, where all are
            alike
        mode: grey or colour
    """

    kind: ClassVar[str] = "images"
    what: ClassVar[str] = _("a folder of images")

    size: _Side | _Sides | None = Field(None, examples=[[28, 28]])
    mode: Literal["L", "RGB"] = Field("RGB", examples=["L"])


class Named(Data):
    """The data section of a run file for data by name, such as ``moons``.

    Attributes:
        validation: the share of samples to look at after each epoch; else 0.1, and 0
            for the four points of xor
        test: the share of samples to test with at the end; else as for validation
    """

    kind: ClassVar[str] = "named"

    validation: Share | None = Field(None, examples=[0.1])
    test: Share | None = Field(None, examples=[0.1])


#: Keys of data that are drawn: the argument of the function that draws them, and what
#: the file says.
DRAWING: dict[str, tuple[str, Any, str, Any]] = {
    "samples": ("n", _Samples, "how many points to draw", 500),
    "copies": ("copies", _Samples, "how often each of the four points is drawn", 50),
    "noise": ("noise", _Deviation, "standard deviation of the noise", 0.1),
    "spread": ("spread", _Deviation, "standard deviation of each of the blobs", 1.0),
    "classes": ("classes", _Count, "how many classes", 3),
}


def _named(name: str) -> type[Data]:
    """Return the data section's model for a data set by name, from its function."""
    known = inspect.signature(getattr(data, name)).parameters
    fields: dict[str, Any] = {
        key: (
            kind,
            Field(known[argument].default, description=said, examples=[example]),
        )
        for key, (argument, kind, said, example) in DRAWING.items()
        if argument in known
    }
    if name in BUNDLED:  # their test set comes with them
        fields = {"test": (None, Field(None, description="it has its own test set"))}
    model: Any = create_model(name, __base__=Named, **fields)
    model.what = f'"{name}"'
    return model


#: The sections of all formats, and of all data that have a name.
KINDS: dict[str, type[Data]] = {
    **{section.kind: section for section in (Table, Texts, Arrays, Idx, Images)},
    **{name: _named(name) for name in NAMES},
}
for _kind in KINDS.values():
    _kind.title = _("[data] of {what}", what=_kind.what)


def format_of(source: str | list[str], format: str | None) -> str | None:
    """Return the data format of a run file's ``source``; None if its name is unclear.

    >>> format_of("houses.csv", None), format_of("moons", None), format_of("pets", None)
    ('csv', 'named', 'images')
    """
    if format is not None:
        return format
    if isinstance(source, list):
        return "idx"
    if source in NAMES:
        return "named"
    name = PurePosixPath(source.replace("\\", "/")).name.lower()
    for packed in (".gz", ".bz2", ".xz", ".zip"):
        name = name.removesuffix(packed)
    end = PurePosixPath(name).suffix
    if end in _ENDS:
        return _ENDS[end]
    if "idx" in name or "ubyte" in name:
        return "idx"
    return None if end else "images"


def section_of(source: str | list[str], format: str | None) -> type[Data] | None:
    """Return the data section's model for a ``source``; None for an unknown format."""
    kind = format_of(source, format)
    return KINDS.get(str(source) if kind == "named" else str(kind))


def read_data(value: Any) -> Data:
    """Check the ``[data]`` section of a run file by its format, and return it."""
    if not isinstance(value, dict):
        return Data.read(value)
    source, format = value.get("source"), value.get("format")
    known = format is None or (isinstance(format, str) and format in KINDS)
    if not isinstance(source, str | list) or not known:
        return Data.read({k: value[k] for k in value if k in Data.known()})
    section = section_of(source, format)
    if section is None:
        raise Problem(
            ("source",),
            _("its name does not tell how to read it."),
            expected=_(
                "a name that ends in .csv, .npz or .idx, a folder, or the key format"
            ),
            got=show(source),
            fix=_('add format = "csv" (or "text", "npz", "idx", "images")'),
        )
    return section.read(value)
