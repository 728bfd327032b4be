"""A reader of idx files, the format of MNIST: sizes, then big-endian numbers.

    00 00, type (08 … 0E), rank, then each size in 4 bytes, then the numbers

gzip around it is recognised by its first bytes.
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.dataset import Column, Dataset
from chainrule.data.features import Features
from chainrule.data.files import (
    check_memory,
    checked_path,
    classes_of,
    damaged,
    opened,
)
from chainrule.errors import DataError, ShapeError
from chainrule.text import _, ngettext
from chainrule.util.keywords import strict

TYPES = {8: "u1", 9: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
WHAT = _("an idx file")
FIX = _("get the file again; idx files are those of MNIST and its relatives")
GZIP = b"\x1f\x8b"
RANK = 8  # more axes than any data have


@strict
def read_idx(
    images: Any,
    labels: Any,
    *,
    scale: float | str | None = "auto",
    flatten: bool = False,
    classes: int | None = None,
    class_names: Any = None,
    name: str | None = None,
) -> Dataset:
    r"""Read a pair of idx files, images and labels, in the format of MNIST.

    Args:
        images: the path of the features, plain or gzipped.
        labels: the path of the targets, plain or gzipped.
        scale: the factor of x = float32(stored) · float32(scale). ``"auto"`` is 1/255
            for bytes (grey values become 0 … 1), and none for other numbers.
        flatten: whether each image becomes one row of numbers.
        classes: the number of classes. None: the largest label and one more.
        class_names: the name of each class, instead of ``classes``.
        name: the name of the data set; None: the name of the images' file.

    Shapes:
        x: (n, height, width), or (n, height·width) with ``flatten``.
        y: (n,) int32 for integers. Floats are quantities: (n, 1).

    Raises:
        DataError: a file that is missing, damaged, truncated or too long, or two that
            do not belong together.
        ArgumentError: a label outside the classes.
        NonFiniteError: NaN or infinity among floats.

    Source:
        Yann LeCun, Corinna Cortes and Christopher J.C. Burges: The MNIST database of
        handwritten digits, "File formats".

    Example:
        >>> sizes = struct.pack(">3I", 2, 1, 2)  # two images of one row of two pixels
        >>> pixels = bytes([0, 51, 102, 255])
        >>> _ = Path("images.idx3").write_bytes(b"\0\0\x08\x03" + sizes + pixels)
        >>> _ = Path("labels.idx1").write_bytes(b"\0\0\x08\x01\0\0\0\x02" + b"\1\0")
        >>> data = read_idx("images.idx3", "labels.idx1")
        >>> data.x.shape, data.y, data.classes
        ((2, 1, 2), array([1, 0], dtype=int32), 2)
        >>> data.x[1]
        array([[0.40000004, 1.        ]], dtype=float32)
    """
    x, path = _features(images, scale, flatten)
    other = checked_path(labels, _("idx file of labels"))
    y = read_array(other)
    if len(x) != len(y):
        raise DataError(
            _(
                "'{name}' and '{other_name}' do not belong together.",
                name=path.name,
                other_name=other.name,
            ),
            expected=_("as many labels as images"),
            got=_(
                "{images} and {labels}",
                images=ngettext("{n:,} image", "{n:,} images", n=len(x)),
                labels=ngettext("{n:,} label", "{n:,} labels", n=len(y)),
            ),
            fix=_("take both files of the training set, or both of the test set"),
        )
    if x.stored.ndim == 1 and y.ndim > 1:
        raise ShapeError(
            _("The two idx files are the wrong way round."),
            expected="read_idx(images, labels)",
            got=_(
                "images of shape {shape}, labels of shape {y_shape}",
                shape=x.shape,
                y_shape=y.shape,
            ),
            fix=f"read_idx('{other.name}', '{path.name}')",
        )
    if y.dtype.kind == "f" and y.ndim == 1:
        y = y[:, None]
    if (
        classes is None
        and class_names is None
        and y.dtype.kind in "iu"
        and y.ndim == 1
        and len(y)
    ):
        classes = classes_of(y, other)
    data = Dataset(
        x, y, name=name or path.name, classes=classes, class_names=class_names
    )
    data.format = {
        "kind": "idx",
        "scale": x.scale,
        "flatten": bool(flatten),
        "classes": data.classes,
        "class_names": None if data.class_names is None else list(data.class_names),
    }
    return data


def idx_features(
    images: Any,
    *,
    scale: float | str | None = "auto",
    flatten: bool = False,
    classes: Any = None,
    class_names: Any = None,
) -> Features:
    """Read the images alone of an idx file, without labels, for prediction."""
    x, __ = _features(images, scale, flatten)
    return Features.of(x.stored, x.scale)


def labels_beside(images: Path) -> Path:
    """Find the idx file of labels that belongs to an idx file of images."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    labels = images.with_name(name)
    if labels == images or not labels.is_file():
        raise DataError(
            _("There is no file of labels beside '{images}'.", images=images),
            expected=_(
                "a pair such as train-images-idx3-ubyte and train-labels-idx1-ubyte"
            ),
            got=_("no such file") if labels != images else _("a name without 'images'"),
            fix=_("give both: data.read((images, labels), format=…)"),
        )
    return labels


def read_array(path: Path) -> np.ndarray:
    """Read the array in an idx file, in native byte order.

    Raises:
        DataError: damaged, truncated, too long, or larger than memory.
    """
    import gzip  # here, as few programs need it

    with opened(path, WHAT, FIX) as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if packed else file
        zeros, code, rank = struct.unpack(">HBB", stream.read(4))
        if zeros or code not in TYPES or not 1 <= rank <= RANK:
            shown = f"{zeros:04x} {code:02x} {rank:02x}"
            raise damaged(
                path, _("{WHAT}, which begins 00 00, type, rank", WHAT=WHAT), shown, FIX
            )
        shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
        dtype = np.dtype(TYPES[code])
        content = math.prod(shape) * dtype.itemsize
        check_memory(path, content, "cr.data.Stream")
        data = stream.read(content + 1)
        if len(data) != content:
            amount = "fewer" if len(data) < content else "more"
            raise damaged(
                path,
                WHAT,
                _(
                    "{amount} bytes than the {content:,} of shape {shape}",
                    amount=amount,
                    content=content,
                    shape=shape,
                ),
                FIX,
            )
        array = np.frombuffer(data, dtype).reshape(shape)
        return array.astype(dtype.newbyteorder("="), copy=False)


def _features(images: Any, scale: Any, flatten: bool) -> tuple[Column, Path]:
    path = checked_path(images, _("idx file of images"))
    x = read_array(path)
    grey = 1 / 255 if x.dtype == np.uint8 else None
    factor: Any = grey if isinstance(scale, str) and scale == "auto" else scale
    if flatten:
        x = x.reshape(len(x), math.prod(x.shape[1:]))
    return Column(x, factor), path
