"""Loading of a run's data: reading, splitting into parts, targets for the loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data, nn
from chainrule.data import Dataset
from chainrule.data.files import classes_of
from chainrule.errors import ArgumentError, nearest
from chainrule.nn.losses.margins import SignLoss
from chainrule.runs.data_section import (
    BUNDLED,
    DRAWING,
    NAMES,
    Arrays,
    Data,
    Named,
    Table,
)
from chainrule.runs.problems import Problem, at
from chainrule.text import _, joined, ngettext

#: The factor from the bytes of an image to 0 … 1.
GREY = 1 / 255
#: Losses that take one output for two classes.
BINARY = (nn.BCELoss, nn.BCEWithLogitsLoss, SignLoss, nn.PerceptronLoss)
#: Where data lie: the path, from where the program runs.
Finder = Callable[[str], Path]


@dataclass(frozen=True)
class Parts:
    """The data of a run, split into training, validation and test parts.

    Attributes:
        train: what the network learns from.
        validation: what is looked at after each epoch, or None.
        test: what is looked at when the run is over, or None.
        rows: how many rows the source has.
        incomplete: how many of them are left out for empty cells.
        files: by the name of each part, the file that it comes from.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    rows: int
    incomplete: int = 0
    files: Mapping[str, Path | None] = field(default_factory=dict)

    def for_loss(self, loss: Any) -> Parts:
        """Return all parts of a run's data with targets that ``loss`` takes."""
        parts = self._named()
        parts = {name: part and for_loss(part, loss) for name, part in parts.items()}
        return replace(self, **parts)

    def sizes(self) -> dict[str, int]:
        """Return the number of samples of each part of a run's data."""
        parts = self._named()
        return {name: 0 if p is None else len(p) for name, p in parts.items()}

    def _named(self) -> dict[str, Dataset | None]:
        return {n: getattr(self, n) for n in ("train", "validation", "test")}


def rows_of(read: Dataset) -> int:
    """Return the number of rows in a data set's file, omitted rows included."""
    return len(read) if read.report is None else read.report.rows


def load(settings: Data, find: Finder) -> Parts:
    """Load a run's data, split into training, validation and test parts.

    Raises:
        ChainruleError: data that cannot be read, or are too few; a Problem where its
            place is known.
    """
    with at("data", "source"):
        whole = _read(settings, find)
        test = data.mnist()[1] if settings.source == "mnist" else None
        rows, incomplete = rows_of(whole), rows_of(whole) - len(whole)
        file = _file(settings.source, find)
    if settings.limit is not None:
        whole = whole.take(min(settings.limit, len(whole)))
        test = test and test.take(min(settings.limit, len(test)))
    named: dict[str, Dataset | None] = {"validation": None, "test": test}
    files = dict.fromkeys(("train", *named), file)
    counts: dict[str, int] = {}
    for name in named:
        source = getattr(settings, name)
        if isinstance(source, str | list):
            with at("data", name):
                format = whole.format
                assert format is not None  # it was read from a file
                named[name] = data.read(_paths(source, find), format=format)
                files[name] = _file(source, find)
        elif named[name] is None:
            share = settings.share(name) or 0.0
            counts[name] = max(1, round(share * len(whole))) if share > 0 else 0
    train = _split(settings, whole, counts, named)
    return Parts(train, **named, rows=rows, incomplete=incomplete, files=files)


# -- reading -----------------------------------------------------------------------


def _paths(names: str | list[str], find: Finder) -> Path | tuple[Path, ...]:
    """Return the path, or the pair of paths, of a run file's data source."""
    return find(names) if isinstance(names, str) else tuple(map(find, names))


def _file(names: str | list[str], find: Finder) -> Path | None:
    """Return the single file of a run file's data source, or None."""
    path = find(names) if isinstance(names, str) and names not in NAMES else None
    return path if path is not None and path.is_file() else None


def _read(settings: Data, find: Finder) -> Dataset:
    """Read all rows of a run file's data source, by its format."""
    source, options = settings.source, settings.reading
    if isinstance(settings, Named):
        if source in BUNDLED:
            return data.mnist()[0]
        options = {DRAWING[k][0]: v for k, v in options.items() if k in DRAWING}
        return getattr(data, source)(**options, seed=settings.seed)
    place = _paths(source, find)
    if settings.kind == "images" and isinstance(place, Path) and not place.exists():
        near = nearest(source, NAMES)
        if near is not None:
            raise ArgumentError(
                _("there is nothing at {source!r}.", source=source[:200]),
                expected=_(
                    "a folder of images, or one of {NAMES}", NAMES=", ".join(NAMES)
                ),
                got=repr(str(place)[:200]),
                fix=_("did you mean {near!r}?", near=near),
            )
    if isinstance(settings, Table):
        read = data.read_text if settings.kind == "text" else data.read_csv
        return read(place, **options)
    if isinstance(options.get("size"), int):
        options["size"] = [options["size"]] * 2
    if isinstance(options.get("classes"), list):
        options["class_names"] = options.pop("classes")
    task = options.pop("task", None)
    read = data.read(place, format={"kind": settings.kind, **options})
    if isinstance(settings, Arrays) and isinstance(place, Path):
        return _arrays(read, place, task)
    return read


def _arrays(read: Dataset, path: Path, task: str | None) -> Dataset:
    """Return NPZ or idx arrays as a data set; integer targets become classes.

    Images in bytes are scaled to 0 … 1, as those of idx files and of folders are.
    """
    format = {**(read.format or {})}
    if read.x.stored.dtype == np.uint8 and len(read.x.shape) > 2:
        format["scale"] = GREY
    labels = read.y.ndim == 1 and read.y.dtype.kind in "iu"
    if task == "regression" and read.classes is not None:
        raise Problem(
            ("data", "task"),
            _("the targets are names of classes."),
            expected=_("numbers for a regression"),
            got=", ".join(read.class_names or ())[:80],
            fix='task = "classification"',
        )
    if task == "classification" and not labels:
        raise Problem(
            ("data", "task"),
            _("the targets are no labels."),
            expected=_("one whole number or one name a row in the array y"),
            got=_("{dtype} of shape {shape}", dtype=read.y.dtype, shape=read.y.shape),
            fix=_('task = "regression", or save y as whole numbers'),
        )
    if labels and read.classes is None and task != "regression":
        format["classes"] = classes_of(read.y, path)
    read = read if format == read.format else data.read(path, format=format)
    if task == "regression" and labels:
        floats = read.y.astype(np.float32)[:, None]
        return Dataset(read.x, floats, name=read.name, format=read.format)
    return read


# -- parts -------------------------------------------------------------------------


def _split(
    settings: Data,
    whole: Dataset,
    counts: Mapping[str, int],
    named: dict[str, Dataset | None],
) -> Dataset:
    """Split a run's rows into validation, test and training data; return the last."""
    if sum(counts.values()) >= len(whole):
        raise Problem(
            ("data", next(iter(counts), "source")),
            _("there are too few samples for the parts."),
            expected=_("at least one sample for each part"),
            got=ngettext(
                "{n} sample; {parts}",
                "{n} samples; {parts}",
                n=len(whole),
                parts=joined(
                    ", ",
                    [
                        _("{count} for {name}", count=count, name=name)
                        for name, count in counts.items()
                    ],
                ),
            ),
            fix=_("validation = 0 and test = 0 keep all of them for training"),
        )
    rest = Dataset(np.arange(len(whole)), whole.y, classes=whole.classes)
    rows: dict[str, np.ndarray] = {}
    for name in ("test", "validation"):
        if count := counts.get(name):
            with at("data", "stratify"):
                part, rest = rest.split(
                    count, settings.seed, stratify=settings.stratify
                )
            rows[name] = part.x.stored
    if not rows:
        return whole
    rows["train"] = rest.x.stored
    if isinstance(settings, Table):
        parts = _in_place(whole, rows)
    else:
        parts = {name: whole.rows(index) for name, index in rows.items()}
    train = parts.pop("train")
    named.update(parts)
    return train


def _in_place(whole: Dataset, rows: Mapping[str, np.ndarray]) -> dict[str, Dataset]:
    """Split a run's table in place: parts are slices of its reordered arrays.

    The arrays are this run's alone, and may fill much of the memory: there would be no
    room for copies.
    """
    order = np.concatenate([*rows.values()])
    for column in whole.x.stored.T:
        column[:] = column[order]
    whole.y[:] = whole.y[order]
    if whole.lines is not None:
        whole.lines[:] = whole.lines[order]
    ends = np.cumsum([len(index) for index in rows.values()]).tolist()
    return {name: whole[end - len(rows[name]) : end] for name, end in zip(rows, ends)}


# -- what a loss takes ---------------------------------------------------------------


def outputs(train: Dataset) -> tuple[int, ...]:
    """Return the output shape that the targets of a run's data set ask of a network."""
    if train.classes is not None:
        return (train.classes,)
    return tuple(int(n) for n in train.y.shape[1:])


def for_loss(part: Dataset, loss: Any) -> Dataset:
    """Return a run's data with targets in the form that its loss takes.

    Losses for two classes compare one output with one number a sample: 0 and 1, or −1
    and 1 for the hinge. All others take the labels, or the quantities, as they are.
    """
    if part.classes != 2 or not isinstance(loss, BINARY):
        return part
    binary = copy.copy(part)
    binary.y, binary.classes = part.y.astype(np.float32)[:, None], None
    if isinstance(loss, SignLoss):
        binary.y = 2 * binary.y - 1
    # Without names a hinge loss would speak of the classes −1 and 1.
    binary.class_names = part.class_names or ("0", "1")
    return binary
