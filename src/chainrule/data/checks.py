"""Checks of a data set's features, targets, names and counts."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.data.arrow import array_of
from chainrule.data.column import Column, unrepresentable
from chainrule.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    warn,
)
from chainrule.text import _, joined, ngettext
from chainrule.util import validation
from chainrule.util.dlpack import from_dlpack
from chainrule.util.pytree import is_nest, leaves

CHUNK = 1 << 20  # values looked at together in the search for NaN and infinity


def numbers(value: Any, what: str) -> np.ndarray:
    """Return features or targets as an array of real numbers in native byte order."""
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            array = from_dlpack(value)
        else:
            array = array_of(value) if hasattr(value, "to_numpy") else np.asarray(value)
    except Exception as error:
        raise DataError(
            _("{what} cannot be read as an array.", what=what),
            expected=_(
                "an array on the CPU (anything with __array__ or __dlpack__), "
                "or lists of equal length"
            ),
            got=f"{type(value).__name__}: {error}",
            fix=_(
                "make it an array first, such as numpy.array(rows); a PyTorch "
                "tensor needs .detach().cpu()"
            ),
        ) from error
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise DTypeError(
            _("{what} does not hold real numbers.", what=what),
            expected=_("booleans, integers or floats of up to 64 bits"),
            got=_("dtype {dtype}", dtype=array.dtype),
            fix=_(
                "turn text and dates into numbers first, such as "
                "numpy.unique(labels, return_inverse=True)[1] for names of classes; "
                "a sparse matrix needs .toarray(), a table only its numeric columns"
            ),
        )
    narrow = np.dtype(np.float32)
    listed = isinstance(value, list | tuple) and array.dtype == np.float64
    if listed and unrepresentable(array, narrow) is None:  # whole numbers stay whole
        array = array.astype(narrow)
    if array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def targets(y: np.ndarray) -> np.ndarray:
    """Convert a data set's targets to a dtype for losses: int32, float32 or float64."""
    if y.dtype.kind == "f":
        return y.astype(np.float32) if y.dtype == np.float16 else y
    if y.dtype.itemsize >= 4 and y.dtype != np.int32 and y.size:
        limit = np.iinfo(np.int32)
        wrong = (y > limit.max) | (y < limit.min)
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            raise ArgumentError(
                _("y holds an integer too large for a label{where}.", where=_at(where)),
                expected=_(
                    "integers from {min} to {max}", min=limit.min, max=limit.max
                ),
                got=f"{y[where]}",
                fix=_(
                    "for a target that is a quantity, pass floats: y.astype('float32')"
                ),
            )
    return y.astype(np.int32, copy=False)


def check_one_each(
    x: Any, y: Any, of_inputs: tuple[Any, ...], of_targets: tuple[Any, ...]
) -> None:
    """Refuse settings of one input or one target beside several, and odd nests.

    Args:
        x, y: as they were given.
        of_inputs: settings that belong to a single input.
        of_targets: settings that belong to a single target.
    """
    for what, tree, settings in (("x", x, of_inputs), ("y", y, of_targets)):
        if not is_nest(tree):
            continue
        check_nest(tree, what)
        if any(setting is not None for setting in settings):
            raise ArgumentError(
                _(
                    "Scale, classes and names belong to one array, and {what} is more.",
                    what=what,
                ),
                expected=_("several inputs or targets without them"),
                got=", ".join(leaves(tree, what)),
                fix=_("a Column with its scale for each input; labels from 0"),
            )


def check_nest(tree: Any, what: str) -> None:
    """Refuse several inputs or targets whose names are no texts, or frames in them."""
    names = leaves(tree, what)
    keys = list(_keys(tree))
    wrong = [k for k in keys if not isinstance(k, str) or not k or "." in k]
    if not names or wrong:
        raise ArgumentError(
            _("The names of several inputs or targets are texts."),
            expected=_("a dictionary with names without dots, or a tuple, not empty"),
            got=repr(wrong or tree)[:80],
            fix=_("the names of the arguments of the network's forward"),
        )
    for name, part in names.items():
        if hasattr(part, "columns") or hasattr(part, "column_names"):
            raise ArgumentError(
                _("{name} is a frame beside other arrays.", name=name),
                expected=_(
                    "arrays: the columns of a frame are found by their names "
                    "where it is all of x"
                ),
                got=type(part).__name__,
                fix="frame.to_numpy()",
            )


def _keys(tree: Any) -> Iterator[Any]:
    """Yield the keys of all dictionaries of a nest."""
    if isinstance(tree, Mapping):
        yield from tree
    if is_nest(tree):
        for part in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _keys(part)


def check_lengths(x: Any, y: Any, *, lists: bool = False) -> None:
    """Refuse features x and targets y without rows, or with different row counts.

    Args:
        x, y: the arrays.
        lists: whether some came as a list of arrays, which other libraries take for
            several inputs.
    """
    shapes = {k: a.shape for k, a in (leaves(x, "x") | leaves(y, "y")).items()}
    for what, shape in shapes.items():
        if not shape:
            raise ShapeError(
                _("{what} is a single number and has no rows.", what=what),
                expected=_("shape (n, …), one row a sample"),
                got=_("shape ()"),
                fix=_("for a single sample, pass [{what}]", what=what),
            )
    (first, shape), *others = shapes.items()
    for what, other in others:
        if other[0] != shape[0]:
            raise ShapeError(
                _("{first} and {what} have different lengths.", first=first, what=what),
                expected=_("as many targets as samples")
                if what == "y"
                else _("one row a sample in each"),
                got=_(
                    "{x} of {first} {shape} and {y} of {what} {y_shape}",
                    first=first,
                    what=what,
                    x=ngettext("{n} row", "{n} rows", n=shape[0]),
                    shape=shape,
                    y=ngettext("{n} row", "{n} rows", n=other[0]),
                    y_shape=other,
                ),
                fix=_("(inputs, targets), each of which may be a dictionary or a tuple")
                if lists
                else _("pair them up again; if samples are columns, pass x.T"),
            )
    if any(0 in shape for shape in shapes.values()):
        got = [_("{k} of shape {s}", k=k, s=s) for k, s in shapes.items()]
        raise ArgumentError(
            _("The data set is empty."),
            expected=_("at least one row with at least one value"),
            got=joined(_(" and "), got),
            fix=_("look at the file, filter or slice that the rows came from"),
        )


def checked_batch_size(batch_size: Any, rows: int | None) -> int:
    """Check a batch size for data of ``rows`` rows or a stream; None: all rows."""
    if batch_size is None and rows is not None:
        return rows
    fix = _("batch_size=32: a stream has no batch of all its rows")
    size = validation.whole("batch_size", batch_size, fix=fix if rows is None else None)
    if rows is not None and size > rows:
        raise ArgumentError(
            _("A batch cannot be larger than the data."),
            expected=_("batch_size from 1 to {rows}", rows=rows),
            got=f"batch_size={size}",
            fix=_("batch_size=None makes one batch of all rows"),
        )
    return size


def check_labels(y: np.ndarray, classes: int, rows: np.ndarray | None = None) -> None:
    """Refuse class labels that are not the integers 0 … classes − 1, one per row.

    Args:
        y: the targets.
        classes: the number of classes.
        rows: the number of each row, for messages; from 0 on by default.
    """
    if y.ndim != 1:
        one_hot = y.shape == (len(y), classes)
        fix = "y.argmax(1)" if one_hot else "y.reshape(-1)"
        raise ShapeError(
            ngettext(
                "y has the wrong rank for labels of {n} class.",
                "y has the wrong rank for labels of {n} classes.",
                n=classes,
            ),
            expected=_("shape ({y},), one label a row", y=len(y)),
            got=_("shape {shape}", shape=y.shape),
            fix=_("pass {fix}, or leave out classes=", fix=fix),
        )
    if y.dtype.kind == "f":
        raise DTypeError(
            ngettext(
                "y holds floats where labels of {n} class are asked for.",
                "y holds floats where labels of {n} classes are asked for.",
                n=classes,
            ),
            expected=_("integers from 0 to {classes}", classes=classes - 1),
            got=_("dtype {dtype}", dtype=y.dtype),
            fix=_("pass y.astype('int32'), or leave out classes= for regression"),
        )
    wrong = (y < 0) | (y >= classes)
    if wrong.any():
        row = int(wrong.argmax())
        number = row if rows is None else int(rows[row])
        if y.min() == 1 and y.max() == classes:
            fix = _("labels count from 0: pass y - 1")
        elif y.min() < 0:
            fix = _("number the classes: numpy.unique(y, return_inverse=True)[1]")
        else:
            fix = _("correct the label, or pass classes={max}", max=y.max() + 1)
        raise ArgumentError(
            ngettext(
                "y holds a label that is not the {n} class{first}.",
                "y holds a label that is none of {n} classes{first}.",
                n=classes,
                first=_at([number], 0),
            ),
            expected=_("labels from 0 to {classes}", classes=classes - 1),
            got=f"{y[row]}",
            fix=fix,
        )


def check_finite(
    column: Column, what: str, first: int = 0, rows: np.ndarray | None = None
) -> None:
    """Refuse features with NaN or infinity, in the dtype that an engine uses.

    Args:
        column: the features, or targets as a column.
        what: ``"x"`` or ``"y"``, for messages.
        first: the number of the first row, for messages.
        rows: the number of each row, where they do not follow each other.
    """
    if column.stored.dtype.kind != "f":
        return
    together = max(1, CHUNK * len(column) // max(1, column.stored.size))
    for start in range(0, len(column), together):
        with np.errstate(over="ignore"):
            finite = np.isfinite(column[start : start + together])
        if not finite.all():
            wrong = ~finite
            row, *rest = (int(i) for i in np.argwhere(wrong)[0])
            row += start
            number = row if rows is None else rows[row]
            position = _at([number, *rest], first)
            raise NonFiniteError(
                _(
                    "{what} holds a value that is not a finite number{place}.",
                    what=what,
                    place=position,
                ),
                expected=_("finite numbers that fit {dtype}", dtype=column.dtype),
                got=f"{column.stored[(row, *rest)]}",
                fix=_(
                    "drop such rows, such as keep = numpy.isfinite(x).all(axis=1), "
                    "or fill the gaps, such as numpy.nan_to_num(x)"
                ),
            )


def large(array: np.ndarray) -> bool:
    """Return whether floats are so large that float64 has not all whole numbers there.

    >>> large(np.array([1e15, np.nan])), large(np.array([-1e16]))
    (False, True)
    """
    if array.dtype.kind != "f":
        return False
    if array.size == 1:
        return abs(array.item()) >= 2**53
    most, least = (f.reduce(array, axis=None, initial=0) for f in (np.fmax, np.fmin))
    return bool(max(most, -least) >= 2**53)


def check_rounding(stored: np.ndarray, dtype: np.dtype) -> None:
    """Warn of whole numbers that a dtype has not, such as 2²⁴ + 1 in float32."""
    if (number := unrepresentable(stored, dtype)) is None:
        return
    rounded = np.asarray(number).astype(dtype)
    warn(
        _(
            "Whole numbers among the features become others in {name}, and "
            "different ones become equal.",
            name=dtype.name,
        ),
        expected=_(
            "whole numbers that {name} has, or a network that takes them as they are",
            name=dtype.name,
        ),
        got=_("{number:.0f}, which becomes {made:.0f}", number=number, made=rounded)
        if stored.dtype.kind == "f"
        else _("{number}, which becomes {made}", number=number, made=int(rounded)),
        fix=_(
            "nn.Standardize.of(train.x) as the first layer for quantities; "
            "leave out ids, or look them up: nn.Embedding"
        ),
    )


def checked_classes(
    classes: Any, names: Any
) -> tuple[int | None, tuple[str, ...] | None]:
    """Check a data set's number of classes and their names, and return both."""
    if classes is not None:
        classes = validation.whole("classes", classes, least=2)
    if names is None:
        return classes, None
    checked = checked_names(names, "class_names", "class_names=('cat', 'dog')")
    if len(checked) < 2 or classes not in (None, len(checked)):
        raise ArgumentError(
            _("class_names are not as many as there are classes."),
            expected=_("at least two names")
            if classes is None
            else ngettext("{n} name", "{n} names", n=classes),
            got=f"{len(checked)}: {shortened(', '.join(checked))}",
            fix=_(
                "one name a class, in the order of the labels; classes= may be "
                "left out then"
            ),
        )
    return len(checked), checked


def checked_feature_names(names: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Check a data set's feature names, one for each column of x."""
    names = checked_names(names, "feature_names", "feature_names=('length', 'width')")
    if len(shape) != 2 or len(names) != shape[1]:
        raise ArgumentError(
            _("feature_names do not fit the columns of x."),
            expected=_("x of shape (n, {made}), one name a column", made=len(names)),
            got=ngettext(
                "{n} name and x of shape {shape}",
                "{n} names and x of shape {shape}",
                n=len(names),
                shape=shape,
            ),
            fix=_("one name a column; leave them out for images and sequences"),
        )
    return names


def checked_target_names(names: Any, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    """Check a data set's target names, one per column of y; return None for one."""
    names = checked_names(names, "target_names", "target_names=('width', 'height')")
    if shape[1:] != (len(names),) and (len(names) != 1 or len(shape) != 1):
        raise ArgumentError(
            _("target_names do not fit the columns of y."),
            expected=_("y of shape (n, {made}), one name a column", made=len(names)),
            got=ngettext(
                "{n} name and y of shape {shape}",
                "{n} names and y of shape {shape}",
                n=len(names),
                shape=shape,
            ),
            fix=_("one name a column; leave them out for labels"),
        )
    return names if len(names) > 1 else None


def checked_names(names: Any, what: str, example: str) -> tuple[str, ...]:
    """Check a data set's names: different texts, returned as a tuple."""
    checked = tuple(names) if isinstance(names, Sequence | np.ndarray) else (None,)
    if isinstance(names, str) or not all(isinstance(name, str) for name in checked):
        raise ArgumentError(
            _("{what} is not a list of names.", what=what),
            expected=_("a list or tuple of texts"),
            got=shortened(repr(names)),
            fix=example,
        )
    checked = tuple(str(name) for name in checked)
    if len(checked) > len(set(checked)):
        duplicate, __ = Counter(checked).most_common(1)[0]
        raise ArgumentError(
            _("{what} has a name twice.", what=what),
            expected=_("names that differ"),
            got=repr(shortened(duplicate)),
            fix=_("rename one of them"),
        )
    return checked


def checked_format(format: Any) -> dict[str, Any]:
    """Return a copy of a data set's format description; refuse what is not JSON."""
    try:
        if isinstance(format, dict):
            return json.loads(json.dumps(format, allow_nan=False))
        problem = f"{type(format).__name__}"
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise ArgumentError(
        _("format does not describe how the rows were read."),
        expected=_(
            "a dictionary that JSON can hold, such as the format of a "
            "data set from read_csv"
        ),
        got=shortened(problem),
        fix=_("leave it out: readers fill it in"),
    )


def shortened(text: str, length: int = 80) -> str:
    """Truncate a text to at most ``length`` characters, for error messages.

    >>> shortened("abcdefgh", 5)
    'abcd…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def _at(where: Any, first: int = 0) -> str:
    """Describe a wrong value's position in a data set, by row and column."""
    if not len(where):
        return ""
    row, *rest = (int(i) for i in where)
    if not rest:
        return _(" at row {first} (counting from 0)", first=row + first)
    column = rest[0] if len(rest) == 1 else tuple(rest)
    return _(
        " at row {first}, column {column} (counting from 0)",
        first=row + first,
        column=column,
    )
