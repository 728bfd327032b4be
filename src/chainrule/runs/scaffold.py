"""What a starting file says about the data that it is for: columns, sizes, classes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule.data import Examined
from chainrule.disk import open_file, replace
from chainrule.errors import ArgumentError, DataError, nearest
from chainrule.runs import schema, template
from chainrule.runs.data_section import format_of
from chainrule.runs.values import written

#: Tables of fewer rows are for training as a whole.
SMALL = 20
#: Of fewer rows none are kept for a test at the end.
MEASURED = 1000
#: Rows that each class needs to be dealt into three parts.
EACH = 5
#: Steps that a run has at least, as far as 400 epochs go.
STEPS = 3000
#: Up to so many rows, so many of them are a batch.
BATCHES = ((500, 16), (20_000, 32), (100_000, 64), (400_000, 128), (10**12, 256))
#: More features than this are not listed: all columns but the target are taken.
LISTED = 30
#: Larger images are scaled down in the starting file.
SIDE = 64


def _linear(units: int) -> template.Layer:
    return f'{{ class = "Linear", out_features = {units} }}', ""


_LAST: template.Layer = ('"Linear"', "with as many outputs as the data need")
_FLATTEN: template.Layer = ('"Flatten"', "one row of numbers for each sample")
_RELU: template.Layer = ('"ReLU"', "")
_DROPOUT: template.Layer = ('{ class = "Dropout", p = 0.1 }', "")


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
        callbacks: keys of ``[[callbacks]]``.
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
    callbacks: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """The file."""
        chosen = {
            "data": self.data,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "training": self.training,
            "callbacks": self.callbacks,
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
            "--target names a column, which only tables have.",
            expected="--data FILE.csv",
            got=f"--data {place} --target {target}",
            fix="leave --target away",
        )
    if format == "named":
        return _mnist() if place == "mnist" else _drawn(place)
    source = relative(Path(place), folder)
    if format == "csv":
        return _table(Path(place), source, target)
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
            with open_file(file) as content, opener.open(content) as image:
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


# -- tables ------------------------------------------------------------------------


def _table(path: Path, source: str, target: str | None) -> Start:
    """Look at all rows: what the columns are, and what is to be predicted."""
    from chainrule import data

    found = data.examine(path, target=target)
    wanted = found.target if isinstance(found.target, str) else list(found.target)
    keys: dict[str, Any] = {"source": source, "target": wanted}
    if format_of(source, None) != "csv":
        keys["format"] = "csv"
    features = [
        column.name
        for column in found.columns
        if column.reason is None and column.name != wanted
    ]
    if len(features) <= LISTED:
        keys["features"] = features
    keys |= found.settings
    notes = [f"the target is '{wanted}', the task a {found.task}"]
    other = {"regression": "classification"}.get(found.task, "regression")
    if not found.classes or "task" in found.settings:
        notes[0] += f'; for the other: task = "{other}"'
    notes += found.notes
    notes += [f"{_answer(q)}: {q.what} {q.seen}; {q.means}" for q in found.questions]
    made = Start(keys, [], "csv", notes=notes)
    _suit(made, found)
    return made


def _answer(question: Any) -> str:
    """A proposed answer as the file says it."""
    return ", ".join(f"{k} = {written(v)}" for k, v in question.settings.items())


def _suit(made: Start, found: Examined) -> None:
    """Network and training that suit the size of a table.

    A step sees a batch; the run is long enough for some thousands of steps, and ends
    early where the validation part has stopped improving.
    """
    rows = found.rows
    if rows < SMALL:
        made.data |= {"validation": 0, "test": 0}
    elif rows < MEASURED:
        made.data["test"] = 0
        made.notes.append(
            "all rows but those of the validation part are learned from: measure it on "
            "rows of your own with chainrule evaluate"
        )
    if rows >= SMALL and found.classes and min(found.classes.values()) >= EACH:
        made.data["stratify"] = True
    wide = found.features > rows
    units = 32 if wide else 64 if rows < 20_000 else 128
    hidden = [_linear(units), _RELU, _DROPOUT]
    made.layers = [*hidden, *hidden, _LAST]
    batch = next(size for most, size in BATCHES if rows < most)
    per_epoch = max(1, rows * 8 // 10 // batch)
    epochs = min(max(-(-STEPS // per_epoch), 20), 400)
    made.training = {"epochs": epochs, "batch_size": min(batch, max(1, rows // 2))}
    decay = 1.0 if wide else 0.1
    made.optimizer = {"class": "AdamW", "lr": 0.001, "weight_decay": decay}
    if rows >= SMALL:
        made.callbacks = {"class": "EarlyStopping", "patience": max(10, epochs // 5)}
