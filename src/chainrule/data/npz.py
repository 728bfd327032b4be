"""A reader of NPZ files: several NumPy arrays in one zip file.

NumPy itself reads the arrays, and executes nothing on the way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.checks import checked_names, shortened
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.files import (
    check_memory,
    checked_path,
    damaged,
    meant,
    opened,
    reading,
)
from chainrule.errors import DataError
from chainrule.text import _
from chainrule.util.keywords import strict

if TYPE_CHECKING:
    from zipfile import ZipFile

FIX = _("write it with numpy.savez(path, x=features, y=targets)")


@strict
def read_npz(
    path: Any,
    *,
    x: str = "x",
    y: str = "y",
    scale: float | None = None,
    classes: int | None = None,
    class_names: Any = None,
    name: str | None = None,
) -> Dataset:
    """Read a data set's features and targets from an NPZ file.

    Args:
        path: the file, as ``numpy.savez`` writes it.
        x: the name of the array of features.
        y: the name of the array of targets.
        scale: the factor of x = float32(stored) · float32(scale), or None.
        classes: the number of classes, for targets that are labels.
        class_names: the name of each class. Targets of text are looked up in it; None:
            the sorted texts themselves.
        name: the name of the data set; None: the name of the file.

    Shapes:
        x: (n, …), stored as it is.
        y: integers stay as they are, and text becomes (n,) int32. Floats of shape (n,)
            are one quantity a row: (n, 1), as a ``Linear(…, 1)`` predicts it.

    Raises:
        DataError: a file that is missing, damaged, truncated, or has no such array;
            arrays of objects, which are programs rather than data.
        ArgumentError: a label outside the classes.
        ShapeError: x and y of different lengths.
        NonFiniteError: NaN or infinity.

    Example:
        >>> np.savez("points.npz", x=np.eye(3), y=np.array(["a", "b", "a"]))
        >>> data = read_npz("points.npz")
        >>> data.x.shape, data.y, data.class_names
        ((3, 3), array([0, 1, 0], dtype=int32), ('a', 'b'))
    """
    file = checked_path(path, _("NPZ file"))
    with _opened(file) as archive:
        features, labels = _member(archive, file, x), _member(archive, file, y)
        if labels.dtype.kind == "U":
            labels, class_names = _coded(labels, class_names, file, y)
    if labels.dtype.kind == "f" and labels.ndim == 1:
        labels = labels[:, None]
    data = Dataset(
        features,
        labels,
        scale=scale,
        name=name or file.name,
        classes=classes,
        class_names=class_names,
    )
    data.format = {
        "kind": "npz",
        "x": x,
        "y": y,
        "scale": data.x.scale,
        "classes": data.classes,
        "class_names": None if data.class_names is None else list(data.class_names),
    }
    return data


def npz_features(
    path: Any,
    *,
    x: str = "x",
    y: Any = None,
    scale: float | None = None,
    classes: Any = None,
    class_names: Any = None,
) -> Features:
    """Read the features alone of an NPZ file, for prediction."""
    file = checked_path(path, _("NPZ file"))
    with _opened(file) as archive:
        features = _member(archive, file, x)
    return Features.of(features, scale)


@contextmanager
def _opened(path: Path) -> Iterator["ZipFile"]:
    from zipfile import ZipFile  # here, as it takes a while to load

    with opened(path, _("an NPZ file"), FIX) as file:
        file.read(1)  # an error of the disk: ZipFile would take it for no zip file
        yield ZipFile(file)


def _coded(
    texts: np.ndarray, names: Any, path: Path, array: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert an NPZ file's text labels to integers; return them with class names."""
    if texts.ndim != 1 or not len(texts):
        raise damaged(
            path,
            _("names of classes"),
            _("text of shape {shape}", shape=texts.shape),
            FIX,
        )
    "".join(texts.tolist()).encode()  # raises where it is not Unicode
    distinct, codes = np.unique(texts, return_inverse=True)
    if names is None:
        return codes.astype(np.int32), tuple(str(text) for text in distinct)
    names = checked_names(names, "class_names", "class_names=('cat', 'dog')")
    codes_by_name = {name: i for i, name in enumerate(names)}
    for text in distinct.tolist():
        if text not in codes_by_name:
            row = int(np.argmax(texts == text))
            raise DataError(
                _(
                    "'{path}' names an unknown class in '{array}' at row {row} "
                    "(counting from 0).",
                    path=path,
                    array=array,
                    row=row,
                ),
                expected=_("one of {names}", names=shortened(", ".join(names), 200)),
                got=repr(shortened(text)),
                fix=meant(text, names, _("correct it, or add it to class_names")),
            )
    known = np.array([codes_by_name[text] for text in distinct.tolist()], np.int32)
    return known[codes], names


def _member(archive: "ZipFile", path: Path, name: str) -> np.ndarray:
    """Read the array with a name from an NPZ archive."""
    from numpy.lib import format

    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    info = members.get(name)
    if info is None:
        raise DataError(
            _("'{path}' has no array '{name}'.", path=path, name=shortened(str(name))),
            expected=_(
                "one of its arrays: {members}",
                members=shortened(", ".join(members), 200) or _("none"),
            ),
            got=shortened(repr(name)),
            fix=meant(str(name), members, _("say which: read_npz(path, x=…, y=…)")),
        )
    what = _("an NPZ file with a plain array '{name}'", name=shortened(name))
    check_memory(path, info.file_size, _("write smaller files, or cr.data.Stream"))
    with archive.open(info) as stream, reading(path, what, FIX):
        array = format.read_array(stream, allow_pickle=False)
        if stream.read(1):  # also compares the checksum
            raise damaged(
                path,
                what,
                _("more bytes than shape {shape} has", shape=array.shape),
                FIX,
            )
    if array.dtype == bool:  # any byte may stand for true
        array = array.view(np.uint8) != 0
    return array
