"""The data of a run: read, cut into parts, and in the form that its loss takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule import data, nn
from chainrule.data import Dataset
from chainrule.data.files import classes_of
from chainrule.errors import nearest
from chainrule.nn.losses.margins import SignLoss
from chainrule.runs import gaps
from chainrule.runs.consistency import share_of
from chainrule.runs.data_section import (
    BUNDLED,
    DRAWING,
    DRAWN,
    Arrays,
    Idx,
    Named,
    Table,
)
from chainrule.runs.file import RunFile
from chainrule.runs.problems import Problem, ProblemError
from chainrule.runs.schema import Data

#: Data that are named and not read.
NAMES = (*BUNDLED, *DRAWN)
#: The factor from the bytes of an image to 0 … 1.
GREY = 1 / 255
#: Losses that take one output for two classes.
BINARY = (nn.BCELoss, nn.BCEWithLogitsLoss, SignLoss, nn.PerceptronLoss)


@dataclass(frozen=True)
class Parts:
    """The data of a run.

    Attributes:
        train: what the network learns from.
        validation: what is looked at after each epoch, or None.
        test: what is looked at when the run is over, or None.
        rows: how many rows the source has.
        incomplete: how many of them are left out for empty cells.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    rows: int
    incomplete: int

    def for_loss(self, loss: Any) -> Parts:
        """All parts with targets as ``loss`` takes them."""
        return replace(
            self,
            train=for_loss(self.train, loss),
            validation=self.validation and for_loss(self.validation, loss),
            test=self.test and for_loss(self.test, loss),
        )

    def sizes(self) -> dict[str, int]:
        """How many samples each part has."""
        parts = {n: getattr(self, n) for n in ("train", "validation", "test")}
        return {name: 0 if p is None else len(p) for name, p in parts.items()}


def load(run: RunFile) -> Parts:
    """Read the data of a run and cut them into parts.

    Raises:
        RunFileError: data that cannot be read, or are too few.
    """
    settings = run.settings.data
    with run.blamed("data", "source"):
        _check_there(run, settings.source)
        whole = _read(run)
        test = data.mnist()[1] if settings.source == "mnist" else None
        rows = gaps.rows(whole)
        incomplete = rows - len(whole)
    if settings.limit is not None:
        whole = whole.take(min(settings.limit, len(whole)))
        test = test and test.take(min(settings.limit, len(test)))
    named: dict[str, Dataset | None] = {"validation": None, "test": test}
    counts: dict[str, int] = {}
    for name in ("validation", "test"):
        given = getattr(settings, name)
        if isinstance(given, str | list):
            with run.blamed("data", name):
                _check_there(run, given)
                named[name] = _read_like(run, given, whole)
        elif named[name] is None:
            share = share_of(settings, name) or 0.0
            counts[name] = max(1, round(share * len(whole))) if share > 0 else 0
    with run.blamed("data", next(iter(counts), "source")):
        train = _dealt(run, whole, counts, named)
    return Parts(train, named["validation"], named["test"], rows, incomplete)


def _check_there(run: RunFile, given: str | list[str]) -> None:
    """Refuse paths that lead nowhere, with what may have been meant."""
    if given in NAMES:
        return
    for path in [given] if isinstance(given, str) else given:
        found = run.path(path)
        try:
            there = found.exists()
            around = [*NAMES, *(os.listdir(found.parent) if not there else ())]
        except (OSError, ValueError):
            there, around = False, [*NAMES]
        if not there:
            near = nearest(found.name, around)
            counted = f"paths count from {run.folder.resolve()}"
            raise ProblemError(
                Problem(
                    ("data",),
                    f"there is nothing at '{path[:200]}'.",
                    expected=f"a file or a folder, or one of {', '.join(NAMES)}",
                    got=f"no {str(found)[:200]}",
                    fix=f"did you mean '{near}'? {counted}" if near else counted,
                )
            )


# -- reading -----------------------------------------------------------------------


def _read(run: RunFile) -> Dataset:
    """All rows of the source, by the keys of its format."""
    settings: Any = run.settings.data
    source, given = settings.source, settings.reading
    given.pop("target_transform", None)  # of the network, not of the reader
    if isinstance(settings, Named):
        return _named(settings)
    if isinstance(settings, Table):
        return data.read_csv(run.path(source), **given)
    if isinstance(given.get("size"), int):
        given["size"] = [given["size"]] * 2
    if isinstance(given.get("classes"), list):
        given["class_names"] = given.pop("classes")
    if isinstance(settings, Arrays):
        return _npz(run, source, given.pop("task", None), given)
    if isinstance(settings, Idx):
        if isinstance(source, str):  # the labels lie beside the images
            return data.read(run.path(source), format={"kind": "idx", **given})
        images, labels = source
        return data.read_idx(run.path(images), run.path(labels), **given)
    return data.image_folder(run.path(source), **given)


def _named(settings: Data) -> Dataset:
    """A data set by its name."""
    if settings.source in BUNDLED:
        return data.mnist()[0]
    given = {DRAWING[k][0]: v for k, v in settings.reading.items() if k in DRAWING}
    return getattr(data, settings.source)(**given, seed=settings.seed)


def _npz(run: RunFile, source: str, task: str | None, options: Any) -> Dataset:
    """Arrays; whole numbers, one a row, are classes unless the task says otherwise.

    Images in bytes are scaled to 0 … 1, as those of idx files and of folders are.
    """
    read = data.read_npz(run.path(source), **options)
    if read.x.stored.dtype == np.uint8 and len(read.x.shape) > 2:
        options["scale"] = GREY
        read = data.read_npz(run.path(source), **options)
    labels = read.y.ndim == 1 and read.y.dtype.kind in "iu"
    if task == "regression" and read.classes is not None:
        raise ProblemError(
            Problem(
                ("data", "task"),
                "the targets are names of classes.",
                expected="numbers for a regression",
                got=", ".join(read.class_names or ())[:80],
                fix='task = "classification"',
            )
        )
    if task == "regression" and labels:
        floats = read.y.astype(np.float32)[:, None]
        return Dataset(read.x, floats, name=read.name, format=read.format)
    if task == "classification" and not labels:
        raise ProblemError(
            Problem(
                ("data", "task"),
                "the targets are no labels.",
                expected="one whole number or one name a row in the array y",
                got=f"{read.y.dtype} of shape {read.y.shape}",
                fix='task = "regression", or save y as whole numbers',
            )
        )
    if labels and read.classes is None:
        classes = classes_of(read.y, run.path(source))
        read = data.read_npz(run.path(source), **{**options, "classes": classes})
    return read


def _read_like(run: RunFile, given: str | list[str], whole: Dataset) -> Dataset:
    """A file of its own for a part, read as the source was."""
    paths = [run.path(path) for path in ([given] if isinstance(given, str) else given)]
    place = paths[0] if isinstance(given, str) else tuple(paths)
    assert whole.format is not None  # it was read from a file
    return data.read(place, format=whole.format)


# -- parts -------------------------------------------------------------------------


def _dealt(
    run: RunFile,
    whole: Dataset,
    counts: Mapping[str, int],
    named: dict[str, Dataset | None],
) -> Dataset:
    """Deal the rows of the source; what no part takes is for training."""
    settings = run.settings.data
    if settings.stratify and whole.classes is None:
        raise ProblemError(
            Problem(
                ("data", "stratify"),
                "there are no classes to keep the shares of.",
                expected="a target that names classes",
                got="stratify = true with a quantity",
                fix="leave it away",
            )
        )
    if sum(counts.values()) >= len(whole):
        raise ProblemError(
            Problem(
                ("data",),
                "there are too few samples for the parts.",
                expected="at least one sample for each part",
                got=f"{len(whole)} samples; "
                + ", ".join(f"{count} for {name}" for name, count in counts.items()),
                fix="validation = 0 and test = 0 keep all of them for training",
            )
        )
    rest = Dataset(np.arange(len(whole)), whole.y, classes=whole.classes)
    rows: dict[str, np.ndarray] = {}
    for name in ("test", "validation"):
        if counts.get(name):
            part, rest = rest.split(
                counts[name], settings.seed, stratify=settings.stratify
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
    """The parts as slices of a table's own arrays, whose rows are put in this order.

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
    """The shape of a network's output for one sample of data that suit its loss."""
    if train.classes is not None:
        return (train.classes,)
    return tuple(int(n) for n in train.y.shape[1:])


def for_loss(part: Dataset, loss: Any) -> Dataset:
    """The data with targets as ``loss`` takes them.

    Losses for two classes compare one output with one number a sample: 0 and 1, or −1
    and 1 for the hinge. All others take the labels, or the quantities, as they are.
    """
    if part.classes != 2 or not isinstance(loss, BINARY):
        return part
    targets = part.y.astype(np.float32)[:, None]
    if isinstance(loss, SignLoss):
        targets = 2 * targets - 1
    made = Dataset(part.x, targets, name=part.name, format=part.format)
    # Without names a hinge loss would speak of the classes −1 and 1.
    made.class_names = part.class_names or ("0", "1")
    made.feature_names = part.feature_names
    made.lines, made.report = part.lines, part.report
    return made
