"""What a starting file says about the data that it is for: columns, sizes, classes."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule.data.cells import MISSING
from chainrule.disk import replace
from chainrule.errors import ArgumentError, DataError, nearest
from chainrule.runs import schema, template
from chainrule.runs.data_section import format_of

#: Rows, and bytes, of a CSV file that are looked at.
ROWS, LOOKED_AT = 2000, 16 << 20
#: Whole numbers of up to so many kinds are taken for codes of classes.
CODES = 10
#: More features than this are not listed: all columns but the target are taken.
LISTED = 30
#: Larger images are scaled down in the starting file.
SIDE = 64


def _linear(units: int) -> template.Layer:
    return f'{{ class = "Linear", out_features = {units} }}', ""


_LAST: template.Layer = ('"Linear"', "with as many outputs as the data need")
_FLATTEN: template.Layer = ('"Flatten"', "one row of numbers for each sample")
_RELU: template.Layer = ('"ReLU"', "")


@dataclass
class Start:
    """The choices of a starting file.

    Attributes:
        data: keys of ``[data]``.
        layers: the lines of the network.
        format: of the data.
        training: keys of ``[training]``.
        optimizer: keys of ``[optimizer]``.
        schedule: keys of ``[schedule]``.
        notes: what to say about the data.
    """

    data: dict[str, Any]
    layers: list[template.Layer]
    format: str
    training: dict[str, Any] = field(default_factory=lambda: {"epochs": 20})
    optimizer: dict[str, Any] = field(
        default_factory=lambda: {"class": "Adam", "lr": 0.001}
    )
    schedule: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """The file."""
        chosen = {
            "data": self.data,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "training": self.training,
        }
        return template.text(name, chosen, self.layers)


def write(file: Path, place: str | None, target: str | None) -> dict[str, Any]:
    """Write a starting file; returns what it says about the data, ready for JSON.

    Raises:
        ArgumentError: there is a file already.
        SaveError: the file cannot be written.
    """
    if file.exists():
        raise ArgumentError(
            f"'{file}' is there already, and is not overwritten.",
            expected="a path that is free",
            got=str(file),
            fix="choose another name, or move the file away",
        )
    made = start(place, target, file.parent)
    replace(file, made.text(str(file)).encode(), "starting file")
    notes = {"notes": made.notes} if made.notes else {}
    return {"file": str(file), "data": made.data, **notes}


def start(place: str | None, target: str | None, folder: Path) -> Start:
    """Choices that suit the data.

    Args:
        place: a path or a name, as given on the command line; None for an example.
        target: the column to predict, or None for the last one.
        folder: where the starting file will lie: paths become relative to it.

    Raises:
        DataError: nothing there, or nothing that can be read.
        ArgumentError: a target that is no column.
    """
    if place is None:
        place = "moons"
    format = "named" if place in (*schema.BUNDLED, *schema.DRAWN) else None
    if format is None:
        format = _format(Path(place))
    if target is not None and format != "csv":
        raise ArgumentError(
            "--target names a column, which only CSV files have.",
            expected="--data FILE.csv",
            got=f"--data {place} --target {target}",
            fix="leave --target away",
        )
    if format == "named":
        return _mnist() if place == "mnist" else _drawn(place)
    source = relative(Path(place), folder)
    if format == "csv":
        return _csv(Path(place), source, target)
    if format == "npz":
        return _npz(Path(place), source)
    if format == "idx":
        layers = [_FLATTEN, _linear(64), _RELU, _LAST]
        return Start({"source": source}, layers, "idx")
    return _images(Path(place), source)


def relative(path: Path, folder: Path) -> str:
    """``path`` as a file in ``folder`` names it, with / on every system."""
    import os

    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.resolve().as_posix()


def _format(path: Path) -> str:
    if path.is_dir():
        return "images"
    if not path.exists():
        near = nearest(str(path), (*schema.BUNDLED, *schema.DRAWN))
        raise DataError(
            f"There are no data '{path}'.",
            expected="a CSV or NPZ file, a folder of images, or one of "
            f"{', '.join((*schema.BUNDLED, *schema.DRAWN))}",
            got="nothing there",
            fix=f"did you mean {near}?" if near else "look at the path",
        )
    found = format_of(path.name, None)
    if found is not None:
        return found
    raise ArgumentError(
        f"It is not clear what '{path}' holds.",
        expected="a file that ends in .csv or .npz, idx files named as MNIST's are, or "
        "a folder of images",
        got=path.name,
        fix="write the file by hand, from that of chainrule new without --data, with "
        'the keys source and format: format = "csv"',
    )


def _drawn(name: str) -> Start:
    extra = {"copies": 50, "noise": 0.1} if name == "xor" else {"samples": 400}
    tanh = ('"Tanh"', "")
    layers = [_linear(16), tanh, _linear(16), tanh, _LAST]
    return Start(
        {"source": name, **extra},
        layers,
        "named",
        training={"epochs": 100},
        optimizer={"class": "Adam", "lr": 0.01},
    )


def _mnist() -> Start:
    return Start(
        {"source": "mnist"},
        [_linear(128), _RELU, _linear(64), _RELU, _LAST],
        "named",
        training={"epochs": 10, "batch_size": 32},
        optimizer={
            "class": "AdamW",
            "lr": 0.003,
            "betas": [0.9, 0.99],
            "weight_decay": 0.1,
        },
        schedule={"class": "OneCycleLR"},
    )


def _npz(path: Path, source: str) -> Start:
    from chainrule import data

    read = data.read_npz(path)
    table = len(read.x.shape) == 2
    layers = [*([] if table else [_FLATTEN]), _linear(64), _RELU, _LAST]
    return Start({"source": source}, layers, "npz")


def _images(path: Path, source: str) -> Start:
    """A folder of images: in their own size where it is one and small, else 32 × 32."""
    sizes, grey = _looks(path)
    keys: dict[str, Any] = {"source": source}
    if format_of(source, None) != "images":  # a dot in the folder's name
        keys["format"] = "images"
    if len(sizes) > 1 or max(next(iter(sizes))) > SIDE:
        keys["size"] = [32, 32]
    if grey:
        keys["mode"] = "L"
    layers = [_FLATTEN, _linear(64), _RELU, _LAST]
    return Start(keys, layers, "images")


def _looks(path: Path) -> tuple[set[tuple[int, int]], bool]:
    """The sizes of a folder's first images, and whether all of them are grey."""
    from chainrule import data
    from chainrule.data.images import pillow
    from chainrule.runs.trained import IMAGES

    files = (f for f in sorted(path.glob("*/*")) if f.suffix.lower() in IMAGES)
    few = list(itertools.islice(files, 100))
    if not few:
        data.image_folder(path)  # says what is wrong with it
    opener = pillow()
    sizes, modes = set(), set()
    for file in few:
        try:
            with opener.open(file) as image:
                sizes.add(image.size)
                modes.add(image.mode)
        except (OSError, ValueError) as error:
            raise DataError(
                f"'{file}' is no image.",
                expected="images in a folder for each class",
                got=str(error)[:80],
                fix="take it out of the folder",
            ) from error
    return sizes or {(SIDE, SIDE)}, modes <= {"1", "L", "I;16"}


# -- CSV ---------------------------------------------------------------------------


def _csv(path: Path, source: str, target: str | None) -> Start:
    """Look at the columns: which hold text, which gaps, and what is to be predicted."""
    encoding, content = _decoded(path)
    delimiter = _delimiter(content)
    rows = list(
        itertools.islice(
            csv.reader(content.splitlines(), delimiter=delimiter), ROWS + 1
        )
    )
    columns = [name.strip() for name in rows[0]] if rows else []
    if len(columns) < 2 or len(rows) < 2:
        raise DataError(
            f"'{path}' is no table to learn from.",
            expected="a line of at least two column names, and rows below it",
            got=f"{len(columns)} columns and {max(len(rows) - 1, 0)} rows",
            fix="is the first line the names of the columns?",
        )
    wanted = columns[-1] if target is None else target
    if wanted not in columns:
        near = nearest(wanted, columns)
        raise ArgumentError(
            f"'{path}' has no column {wanted!r}.",
            expected=", ".join(columns),
            got=f"--target {wanted}",
            fix=f"--target {near}" if near else "choose one of its columns",
        )
    cells = {
        name: [row[i].strip() if i < len(row) else "" for row in rows[1:] if row]
        for i, name in enumerate(columns)
    }
    keys: dict[str, Any] = {"source": source, "target": wanted}
    features = [name for name in columns if name != wanted]
    if len(features) <= LISTED:
        keys["features"] = features
    words = [name for name in features if not _numeric(cells[name])]
    if words:
        keys["dtype"] = dict.fromkeys(words, "category")
    if _codes(cells[wanted]):
        keys["task"] = "classification"
    gaps = [name for name in columns if _has_gap(cells[name])]
    if gaps:  # there is no mean of names, and nothing to learn without a target
        without_mean = wanted in gaps or any(name in words for name in gaps)
        keys["missing"] = "drop" if without_mean else "fill"
    if delimiter != ",":
        keys["delimiter"] = delimiter
    if encoding != "utf-8":
        keys["encoding"] = encoding
    layers = [_linear(64), _RELU, _linear(64), _RELU, _LAST]
    return Start(keys, layers, "csv", notes=_notes(cells, wanted, keys))


def _notes(cells: dict[str, list[str]], target: str, keys: dict[str, Any]) -> list[str]:
    """The task that a target of numbers was taken for, and the rows with gaps."""
    notes = []
    if _numeric(cells[target]):
        chosen = keys.get("task", "regression")
        other = {"regression": "classification"}.get(chosen, "regression")
        notes.append(f'the task is a {chosen}; for the other: task = "{other}"')
    empty = {n: MISSING if _numeric(c) else {""} for n, c in cells.items()}
    rows = list(zip(*cells.values()))
    count = sum(any(c.lower() in e for c, e in zip(r, empty.values())) for r in rows)
    if count:
        first = "the first " if len(rows) >= ROWS else ""
        notes.append(f"{count:,} of {first}{len(rows):,} rows have empty cells")
    return notes


def _decoded(path: Path) -> tuple[str, str]:
    """The encoding and the text of a file, or of its beginning."""
    try:
        with path.open("rb") as file:
            content = file.read(LOOKED_AT)
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read.",
            expected="a CSV file",
            got=error.strerror or str(error),
            fix="look at the path and its permissions",
        ) from error
    last = content.rfind(b"\n") + 1 if len(content) == LOOKED_AT else len(content)
    for encoding in ("utf-8", "cp950"):
        try:
            return encoding, content[:last].decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise DataError(
        f"'{path}' is in an unknown encoding.",
        expected="text in UTF-8 (or cp950, Traditional Chinese Windows)",
        got=f"bytes that begin {content[:16]!r}",
        fix="save it as UTF-8",
    )


def _delimiter(content: str) -> str:
    """What stands between the names in the first line most often."""
    first = content.partition("\n")[0]
    return max(",;\t|", key=lambda mark: (first.count(mark), mark == ","))


def _numeric(cells: Sequence[str]) -> bool:
    """Whether all cells that are not empty are numbers."""
    try:
        return bool([float(cell) for cell in cells if cell.lower() not in MISSING])
    except ValueError:
        return False


def _codes(cells: Sequence[str]) -> bool:
    """Whether numbers look like codes of classes: few whole ones, often repeated."""
    kinds = {cell for cell in cells if cell.lower() not in MISSING}
    few = 1 < len(kinds) <= CODES and len(cells) >= 5 * len(kinds)
    return few and all(kind.isdigit() for kind in kinds)


def _has_gap(cells: Sequence[str]) -> bool:
    """Whether a cell is empty, or, among numbers, says that there is none."""
    empty = MISSING if _numeric(cells) else {""}
    return any(cell.lower() in empty for cell in cells)
