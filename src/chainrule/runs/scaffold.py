"""Settings of a new run file that suit the data: columns, sizes, classes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from chainrule import data
from chainrule.data import Examined
from chainrule.data.images import SUFFIXES, pillow
from chainrule.data.tables.file import source_of
from chainrule.data.tables.texts import words
from chainrule.errors import ArgumentError, DataError, nearest
from chainrule.runs import template
from chainrule.runs.data_section import NAMES, format_of
from chainrule.runs.values import to_toml
from chainrule.text import _
from chainrule.util.atomic_files import open_file, replace

#: The settings of each section.
Sections = dict[str, dict[str, Any]]
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
#: A network that reads texts.
READING = [
    {"class": "Embedding", "embedding_dim": 32},
    {"class": "GRU", "hidden_size": 32},
    "Steps",
    {"class": "Dropout", "p": 0.2},
    "Linear",
]
#: Larger images are scaled down in the starting file.
SIDE = 64


def _sections(data: dict[str, Any], layers: list[Any], **others: Any) -> Sections:
    """Return the sections of a minimal new run file."""
    usual: Sections = {
        "training": {"epochs": 20},
        "optimizer": {"class": "Adam", "lr": 0.001},
    }
    return {"data": data, "model": {"layers": [*layers, "Linear"]}, **usual, **others}


def _linear(units: int) -> dict[str, Any]:
    return {"class": "Linear", "out_features": units}


def write(
    file: Path, place: str | None, target: str | None, text: str | None = None
) -> dict[str, Any]:
    """Write a new run file that suits the data; return observations, for JSON.

    Raises:
        ArgumentError: there is a file already.
        SaveError: the file cannot be written.
    """
    if file.exists():
        raise ArgumentError(
            _("'{file}' is there already, and is not overwritten.", file=file),
            expected=_("a path that is free"),
            got=str(file),
            fix=_("choose another name, or move the file away"),
        )
    sections, notes = start(place, target, file.parent, text)
    replace(file, template.text(str(file), sections).encode(), _("starting file"))
    written = {"file": str(file), "data": sections["data"]}
    return written | ({"notes": notes} if notes else {})


def start(
    place: str | None, target: str | None, folder: Path, text: str | None = None
) -> tuple[Sections, list[str]]:
    """Return a new run file's settings that suit the data, and observations.

    Args:
        place: a path or a name, as given on the command line; None for an example.
        target: the column to predict, or None for the last one.
        folder: where the starting file will lie: paths become relative to it.
        text: the column of texts to predict it from, or None.

    Raises:
        DataError: nothing there, or nothing that can be read.
        ArgumentError: a target that is no column.
    """
    place = "moons" if place is None else place
    format = "named" if place in NAMES else _format(Path(place))
    for option, column in ("--target", target), ("--text", text):
        if column is not None and format != "csv":
            raise ArgumentError(
                _("{option} names a column, which only tables have.", option=option),
                expected=_("--data FILE.csv"),
                got=_(
                    "--data {place} {option} {column}",
                    place=place,
                    option=option,
                    column=column,
                ),
                fix=_("leave {option} away", option=option),
            )
    if format == "named":
        return (_mnist() if place == "mnist" else _drawn(place)), []
    path, keys = Path(place), {"source": relative(Path(place), folder)}
    if format_of(keys["source"], None) != format:
        keys["format"] = format
    if format == "csv":
        keys |= {} if text is None else {"format": "text"}
        return _table(path, keys, target, text)
    if format == "images":
        keys |= _image_options(path)
    flat = format == "npz" and len(data.read_npz(path).x.shape) == 2
    layers = [*([] if flat else ["Flatten"]), _linear(64), "ReLU"]
    return _sections(keys, layers), []


def relative(path: Path, folder: Path) -> str:
    """Return a data path relative to a run file's folder, with / on every system."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.resolve().as_posix()


def _format(path: Path) -> str:
    if path.is_dir():
        return "images"
    if not path.exists():
        near = nearest(str(path), NAMES)
        raise DataError(
            _("There are no data '{path}'.", path=path),
            expected=_(
                "a CSV or NPZ file, a folder of images, or one of {NAMES}",
                NAMES=", ".join(NAMES),
            ),
            got=_("nothing there"),
            fix=_("did you mean {near}?", near=near) if near else _("look at the path"),
        )
    known_format = format_of(path.name, None)
    if known_format is not None:
        return known_format
    raise ArgumentError(
        _("It is not clear what '{path}' holds.", path=path),
        expected=_(
            "a file that ends in .csv or .npz, idx files named as MNIST's "
            "are, or a folder of images"
        ),
        got=path.name,
        fix=_(
            "write the file by hand, from that of chainrule new without "
            '--data, with the keys source and format: format = "csv"'
        ),
    )


def _drawn(name: str) -> Sections:
    extra = {"copies": 50, "noise": 0.1} if name == "xor" else {"samples": 400}
    return _sections(
        {"source": name, **extra},
        [_linear(16), "Tanh", _linear(16), "Tanh"],
        training={"epochs": 100},
        optimizer={"class": "Adam", "lr": 0.01},
    )


def _mnist() -> Sections:
    rate = {"class": "AdamW", "lr": 0.003}
    return _sections(
        {"source": "mnist"},
        [_linear(128), "ReLU", _linear(64), "ReLU"],
        training={"epochs": 10, "batch_size": 32},
        optimizer={**rate, "betas": [0.9, 0.99], "weight_decay": 0.1},
        schedule={"class": "OneCycleLR"},
    )


def _image_options(path: Path) -> dict[str, Any]:
    """Return the image size and mode of a new run file, from a folder's images.

    Their own size where it is one and small, else 32 × 32.
    """
    files = (f for f in sorted(path.glob("*/*")) if f.suffix.lower() in SUFFIXES)
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
                _("'{file}' is no image.", file=file),
                expected=_("images in a folder for each class"),
                got=str(error)[:80],
                fix=_("take it out of the folder"),
            ) from error
    large = len(sizes) != 1 or max(next(iter(sizes))) > SIDE
    keys: dict[str, Any] = {"size": [32, 32]} if large else {}
    return keys | ({"mode": "L"} if modes <= {"1", "L", "I;16"} else {})


# -- tables ------------------------------------------------------------------------


def _table(
    path: Path, keys: dict[str, Any], target: str | None, text: str | None
) -> tuple[Sections, list[str]]:
    """Return a new run file's sections for a table, by its columns and target."""
    if text is not None and target is None:
        source = source_of(path)
        source.require([text], _("the text"))
        target = next(
            (c for c in source.columns[::-1] if c not in (text, *source.index)), None
        )
    features = {} if text is None else {"features": [text]}
    examined = data.examine(path, target=target, **features)
    wanted = (
        examined.target if isinstance(examined.target, str) else list(examined.target)
    )
    keys = {"source": keys["source"], "target": wanted, **keys}
    features = [
        column
        for column in examined.columns
        if column.reason is None and column.name != wanted
    ]
    if text is not None:
        names = all(len(words(cell)) < 2 for cell in features[0].examples)
        keys |= {"text": text, "units": "characters" if names else "words"}
    elif len(features) <= LISTED:
        keys["features"] = [column.name for column in features]
    keys |= examined.settings
    numbers = examined.task == "regression"
    notes = [
        _("the target is '{wanted}', the task a regression", wanted=wanted)
        if numbers
        else _("the target is '{wanted}', the task a classification", wanted=wanted)
    ]
    other = "classification" if numbers else "regression"
    if not examined.classes or "task" in examined.settings:
        notes[0] = _(
            '{note}; for the other: task = "{other}"', note=notes[0], other=other
        )
    notes += [n for n in examined.notes if text is None or f"column '{text}'" not in n]
    for question in examined.questions:
        answer = ", ".join(f"{k} = {to_toml(v)}" for k, v in question.settings.items())
        notes.append(
            _(
                "{answer}: {what} {seen}; {means}",
                answer=answer,
                what=question.what,
                seen=question.seen,
                means=question.means,
            )
        )
    if SMALL <= examined.rows < MEASURED:
        notes.append(
            _(
                "all rows but those of the validation part are learned from: "
                "measure it on rows of your own with chainrule evaluate"
            )
        )
    sections = _settings_for(keys, examined)
    if text is not None:
        sections["model"]["layers"] = READING
        sections["optimizer"]["weight_decay"] = 0.1
    return sections, notes


def _settings_for(keys: dict[str, Any], examined: Examined) -> Sections:
    """Return a new run file's data split, network and training for a table.

    A step sees a batch; the run is long enough for some thousands of steps, and ends
    early where the validation part has stopped improving.
    """
    rows = examined.rows
    if rows < SMALL:
        keys["validation"] = 0
    if rows < MEASURED:
        keys["test"] = 0
    if rows >= SMALL and examined.classes and min(examined.classes.values()) >= EACH:
        keys["stratify"] = True
    wide = examined.features > rows
    units = 32 if wide else 64 if rows < 20_000 else 128
    hidden = [_linear(units), "ReLU", {"class": "Dropout", "p": 0.1}]
    batch = next(size for most, size in BATCHES if rows < most)
    per_epoch = max(1, rows * 8 // 10 // batch)
    epochs = min(max(-(-STEPS // per_epoch), 20), 400)
    decay = 1.0 if wide else 0.1
    stopping = {"class": "EarlyStopping", "patience": max(10, epochs // 5)}
    return _sections(
        keys,
        [*hidden, *hidden],
        training={"epochs": epochs, "batch_size": min(batch, max(1, rows // 2))},
        optimizer={"class": "AdamW", "lr": 0.001, "weight_decay": decay},
        **({"callbacks": stopping} if rows >= SMALL else {}),
    )
