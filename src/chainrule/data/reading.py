"""Reading of a further data file in the format of an earlier data set."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, overload

from chainrule.data.checks import shortened
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.idx import idx_features, labels_beside, read_idx
from chainrule.data.images import image_features, image_folder
from chainrule.data.npz import npz_features, read_npz
from chainrule.data.tables.reader import features_again, read_again
from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.validation import choice, known_names


def _idx(path: Any, **options: Any) -> Dataset:
    """Read idx files of images and labels: a pair of paths, or the images' path."""
    if isinstance(path, list | tuple) and len(path) == 2:
        return read_idx(path[0], path[1], **options)
    if isinstance(path, str | os.PathLike):
        return read_idx(path, labels_beside(Path(path)), **options)
    return read_idx(path, path, **options)  # refuses the path


#: By kind: the reader, and the reader of features, whose arguments are the options of
#: the format. Tables ("csv", "text") are read by their whole format.
READERS: dict[str, tuple[Callable[..., Dataset], Callable[..., Features]]] = {
    "npz": (read_npz, npz_features),
    "idx": (_idx, idx_features),
    "images": (image_folder, image_features),
}


@overload
def read(
    path: Any, *, format: dict[str, Any], target: Literal[True] = True
) -> Dataset: ...


@overload
def read(path: Any, *, format: dict[str, Any], target: Literal[False]) -> Features: ...


@overload
def read(path: Any, *, format: dict[str, Any], target: bool) -> Dataset | Features: ...


@strict
def read(
    path: Any, *, format: dict[str, Any], target: bool = True
) -> Dataset | Features:
    """Read a further data file in the format of an earlier data set.

    Columns come in the same order, categories and classes have the same numbers, gaps
    are filled with the same means, and images get the same size.

    Args:
        path: the file or folder, or a data frame for a table. For idx a pair (images,
            labels), or the images alone where the labels are beside them under MNIST's
            names.
        format: the ``format`` of a data set that a reader made.
        target: whether to read the targets as well. False: they need not be there.

    Returns:
        A `Dataset`; without targets the pair (x, names): a `Column` of features, and
        the name of each row (its line, or its file).

    Raises:
        ArgumentError: a format that no reader made.
        DataError: a file that does not fit it.

    Example:
        >>> _ = Path("old.csv").write_text("age,team,won\\n31,b,yes\\n27,a,no\\n")
        >>> _ = Path("new.csv").write_text("team,age\\na,25\\n")
        >>> from chainrule.data import read_csv
        >>> old = read_csv("old.csv", target="won")
        >>> x, names = read("new.csv", format=old.format, target=False)
        >>> old.feature_names
        ('age', 'team=a', 'team=b')
        >>> x[:], names
        (array([[25.,  1.,  0.]], dtype=float32), ('line 2',))
    """
    if not isinstance(format, dict) or "kind" not in format:
        raise ArgumentError(
            _("The format does not say what kind of file it is of."),
            expected=_("the format of a data set that a reader made"),
            got=shortened(repr(format)),
            fix="data.read(path, format=train.format)",
        )
    options = dict(format)
    kind = options.pop("kind")
    if kind in ("csv", "text"):
        return read_again(path, format) if target else features_again(path, format)
    dataset, features = READERS[choice("csv", "text", *READERS)("kind", kind)]
    known = list(inspect.signature(features).parameters)[1:]
    known_names(_("An option of the format {kind!r}", kind=kind), options, known)
    return dataset(path, **options) if target else features(path, **options)
