"""Data sets of Hugging Face: tables, images and arrays of one shape, whole or in turn.

What a column is, its feature type says: a ``ClassLabel`` has the names of the classes,
an ``Image`` becomes (channels, height, width) of bytes with the scale 1/255, and a
``Sequence`` of one length, or an ``Array2D``, an array of that shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.data.arrow import array_of
from chainrule.data.checks import check_rounding, checked_names, large, shortened
from chainrule.data.column import Column
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _
from chainrule.util.validation import did_you_mean

#: The factor of bytes of images.
SCALE = 1 / 255
#: Feature types whose cells are single values: the columns of a table.
SINGLE = frozenset({"Value", "ClassLabel"})
#: Kinds of iterables whose position is exact; others are read again from the start.
EXACT = frozenset(
    [
        *("Examples", "ArrowExamples", "RebatchedArrowExamples", "MappedExamples"),
        *("FilteredExamples", "FormattedExamples", "SelectColumnsExamples"),
        *("TypedExamples", "SkipExamples", "TakeExamples"),
    ]
)


class HuggingFace:
    """A data set of Hugging Face, with the columns that are features and target.

    Args:
        data: a ``datasets.Dataset`` or ``IterableDataset``.
        target: the name of the column to predict.
        features: the names of the others, or a single name; None: all.

    Raises:
        ArgumentError: something else, such as a dictionary of splits.
        DataError: a column that is not there.
    """

    def __init__(self, data: Any, target: Any, features: Any = None) -> None:
        names = getattr(data, "column_names", None)
        if not hasattr(data, "with_format") or isinstance(data, Mapping):
            splits = isinstance(data, Mapping) and ", ".join(map(repr, data))
            raise ArgumentError(
                _("This is no data set of Hugging Face."),
                expected=_("a datasets.Dataset or IterableDataset"),
                got=f"{type(data).__name__}: {splits}" if splits else repr(data)[:80],
                fix=_("choose one of the splits: data['train']")
                if splits
                else "datasets.load_dataset(path, split='train')",
            )
        form = getattr(data, "format", None) or {}
        #: Whether a function makes the rows; what their columns are is seen then.
        self.transformed = form.get("type") == "custom"
        names = [] if self.transformed else list(form.get("columns") or names or ())
        self.data, self.target = data, checked_names([target], "target", "")[0]
        self.single = isinstance(features, str)
        given = [features] if self.single else features
        if given is None:
            given = [name for name in names if name != target]
        self.features = checked_names(given, "features", "features=['image']")
        for name in (self.target, *self.features) if names else ():
            if name not in names:
                raise DataError(
                    _("The data set has no column '{name}'.", name=shortened(name)),
                    expected=shortened(", ".join(names), 200),
                    got=repr(name),
                    fix=did_you_mean(name, names, _("the columns that it shows")),
                )
        known = data.features or {}
        self.kinds = {name: type(known[name]).__name__ for name in known}
        #: Columns of float64, which NumPy's format of datasets makes float32.
        self.wide = {name for name in known if "float64" in str(known[name])}
        label: Any = known.get(target)
        #: Of a target of classes their names.
        self.class_names: tuple[str, ...] | None = None
        if type(label).__name__ == "ClassLabel" and len(label.names) > 1:
            self.class_names = tuple(label.names)

    @property
    def is_table(self) -> bool:
        """Return whether all features of a data set are single values."""
        kinds = {self.kinds.get(name) for name in self.features}
        return not self.transformed and kinds <= SINGLE

    def table(self) -> Any:
        """Return the columns as a table of Arrow, with the names of classes in it."""
        import pyarrow as pa

        self._refuse_transforms()
        table = self.data.with_format("arrow")[:].select([*self.features, self.target])
        for i, name in enumerate(table.column_names):
            if self.kinds[name] == "ClassLabel":
                codes = table[name].to_numpy().astype(np.float64)
                missing = np.isnan(codes) | (codes < 0)  # −1 is "not labelled"
                whole = np.where(missing, 0, codes).astype(np.int32)
                labels = self.data.features[name].names
                cells = pa.DictionaryArray.from_arrays(
                    pa.array(whole, mask=missing), pa.array(labels)
                )
                table = table.set_column(i, name, cells)
        return table

    def arrays(self) -> tuple[Any, Any, tuple[str, ...] | None]:
        """Return all features, one column or several by name, the target, and classes.

        Raises:
            DataError: a column whose rows differ in shape, or hold no numbers.
        """
        self._refuse_transforms()
        table = self.data.with_format("arrow")[:]
        x = {name: self._whole(name, table) for name in self.features}
        y, names = self._whole(self.target, table), self.class_names
        if not isinstance(y, Column) and y.dtype.kind in "OU":
            if None in (cells := y.tolist()):
                raise DataError(
                    _("A row has no target."),
                    expected=_("a value of '{name}' in each row", name=self.target),
                    got=_("None in row {row}", row=cells.index(None)),
                    fix=f"data.filter(lambda row: row[{self.target!r}] is not None)",
                )
            found, y = np.unique(y.astype(str), return_inverse=True)
            names = tuple(found.tolist())
        return (x[self.features[0]] if len(x) == 1 else x), y, names

    def _whole(self, name: str, table: Any) -> Any:
        """Return a column as an array, or as a Column of images."""
        if self.kinds[name] == "Image":
            rows = self.data.with_format(None).select_columns([name])
            array = [pixels(row[name]) for row in rows]
            if len({image.shape for image in array}) == 1:
                return Column(np.stack(array), SCALE)
        else:
            cells = table[name]
            if hasattr(cells.type, "storage_type"):  # an Array2D is lists of lists
                cells = cells.cast(cells.type.storage_type)
            array = array_of(cells)
            if array.dtype == object and self.kinds[name] != "Value":
                array = self.data.with_format("numpy", columns=[name])[:][name]
            if array.dtype != object or self.kinds[name] == "Value":
                return array
        raise DataError(
            _("The rows of column '{name}' differ in shape.", name=shortened(name)),
            expected=_("one shape of all rows"),
            got=", ".join(sorted({str(np.shape(row)) for row in array})[:3]),
            fix=_("bring them to one shape first: data.map(…)"),
        )

    @property
    def is_images(self) -> bool:
        """Return whether the rows of a data set are images alone, as stored."""
        kinds = [self.kinds.get(name) for name in self.features]
        return kinds == ["Image"] and not self.transformed

    def _refuse_transforms(self) -> None:
        if self.transformed:
            raise ArgumentError(
                _("The data set has a transform, which gives other rows each time."),
                expected=_("a data set whose rows are stored"),
                got="with_transform(…)",
                fix="Stream.from_huggingface(data, target=…); data.map(…)",
            )


class HuggingFaceRows:
    """The rows of a data set of Hugging Face in turn, a source of a stream.

    Args:
        chosen: the data set and its columns.
    """

    def __init__(self, chosen: HuggingFace) -> None:
        self.chosen, self.data = chosen, chosen.data
        if not chosen.transformed:  # NumPy's format has no palettes either
            names = {*chosen.features, chosen.target}
            kinds = {chosen.kinds.get(name) for name in names}
            plain = kinds <= {*SINGLE, "Image"} or chosen.wide & names
            self.data = self.data.with_format(None if plain else "numpy")
        if hasattr(self.data, "set_epoch"):
            self.set_epoch = self.data.set_epoch
        if hasattr(self.data, "state_dict") and _is_exact(self.data.state_dict()):
            self.state_dict = self.data.state_dict
            self.load_state_dict = self.data.load_state_dict

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return map(self.pair, self.data)

    def pair(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return features and target of a row."""
        names = self.chosen.features or [k for k in row if k != self.chosen.target]
        x = {name: self._cell(name, row[name]) for name in names}
        y = row[self.chosen.target]
        y = np.asarray(y) if isinstance(y, list) else y
        if len(x) == 1:
            return next(iter(x.values())), y
        if any(np.ndim(cell) or isinstance(cell, str) for cell in x.values()):
            return x, y
        table_row = np.array([*x.values()])
        if large(table_row):
            for cell in x.values():
                check_rounding(cell, table_row.dtype)
        return table_row, y

    def _cell(self, name: str, cell: Any) -> Any:
        if self.chosen.is_images:
            return pixels(cell)
        stored = self.chosen.kinds.get(name) == "Image" and not self.chosen.transformed
        if stored or hasattr(cell, "mode"):  # an array of a transform is left as it is
            return pixels(cell) * np.float32(SCALE)
        return np.asarray(cell) if isinstance(cell, int | float | list) else cell


def pixels(image: Any) -> np.ndarray:
    """Return an image as bytes of shape (channels, height, width).

    Raises:
        DataError: an image of other numbers, or none.
    """
    if getattr(image, "mode", None) in ("P", "PA"):  # numbers of a palette's colours
        image = image.convert("RGB")
    array = np.asarray(image)
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    if array.dtype != np.uint8:
        raise DataError(
            _("An image has other numbers than bytes."),
            expected="uint8",
            got=f"{array.dtype}",
            fix=_("bring them to bytes first: data.map(…)"),
        )
    return np.moveaxis(array, -1, 0) if array.ndim == 3 else array[None]


def _is_exact(state: Any) -> bool:
    """Return whether a data set goes on with the very next row at a position.

    Not so where some are in a shuffling buffer, which is no part of it.
    """
    if isinstance(state, list):
        return all(map(_is_exact, state))
    if not isinstance(state, Mapping):
        return True
    known = str(state.get("type", "Examples")).removesuffix("Iterable") in EXACT
    return known and all(map(_is_exact, state.values()))
