"""``chainrule export``: a run's network as a file, from raw data to classes.

What a run does to data before the network sees them is in the file too, as far as it
is arithmetic: the columns of a table come as they are measured, with gaps and texts,
images as bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import functions
from chainrule.compilation.modes import mode
from chainrule.compilation.portable.file import Saved, save_program
from chainrule.compilation.portable.function import Codes, Portable, portable
from chainrule.data.tables.cells import MISSING, MissingValues
from chainrule.data.tables.columns import Category, Date, Number
from chainrule.data.tables.schema import Schema
from chainrule.errors import ArgumentError
from chainrule.interop.onnx.writer.export import Exported, write
from chainrule.nn import output_semantics
from chainrule.nn.traced import called
from chainrule.primitives.checks import require_all
from chainrule.runs.trained import Trained
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.training import Trainer
from chainrule.training.feeding import fed

#: Texts of one column that the file may have to tell apart.
MOST = 100_000
#: 2000-01-01 in milliseconds since 1970, and a day.
_SINCE, _DAY = 946_684_800_000, 86_400_000


@dataclass
class Front:
    """The preprocessing in front of a run's network in its file.

    Attributes:
        inputs: an example of each input of the file, by name.
        features: makes the network's input of them.
        texts: of inputs that are texts, the codes.
        said: what the file says of its inputs, by name.
    """

    inputs: dict[str, np.ndarray]
    features: Callable[..., Any]
    texts: dict[str, Codes] = field(default_factory=dict[str, Codes])
    said: dict[str, str] = field(default_factory=dict[str, str])


def export(place: Path, out: Path | None = None, opset: int = 23) -> Exported:
    """Write a run's network as an ONNX file, with what comes before and after it.

    Args:
        place: the directory of a run, or a checkpoint.
        out: the file; ``model.onnx`` beside the checkpoint by default.
        opset: the version of ONNX's operators.

    Raises:
        CheckpointError, ArgumentError, SaveError: what cannot be read, or not written.
    """
    trained = Trained.load(place)
    path = trained.place.parent / "model.onnx" if out is None else out
    return write(portable_run(trained), path, opset)


def save(place: Path, out: Path) -> Saved:
    """Write a run's network as a program file, for :func:`chainrule.load_program`.

    Args:
        place: the directory of a run, or a checkpoint.
        out: the file.

    Raises:
        CheckpointError, ArgumentError, SaveError: what cannot be read, or not written.
    """
    return save_program(program_of(Trained.load(place)), out)


def program_of(trained: Trained) -> Portable:
    """Return a run's network as a program, with the format of its data beside it."""
    made = portable_run(trained)
    format = trained.trainer.format
    return made if format is None else made.saying(format=format)


def portable_run(trained: Trained) -> Portable:
    """Return a run's network as a graph, from raw data to what predictions mean."""
    trainer = trained.trainer
    front = front_of(trained)
    average = trainer.average

    def run(**given: Tensor) -> dict[str, Tensor]:
        with nullcontext() if average is None else average.in_place():
            output = called(trainer.model, front.features(**given))
        if not isinstance(output, Tensor):
            return output
        return output_semantics.meanings(output, trainer.model, trainer.loss)

    said = _metadata(trained, front)
    with mode(trainer.model, training=False):
        return portable(run, front.inputs, "N", None, said, front.texts)


def _metadata(trained: Trained, front: Front) -> dict[str, Any]:
    """Return the metadata of an exported file: run, inputs, classes, names."""
    trainer: Trainer = trained.trainer
    plan = trainer.plan
    said: dict[str, Any] = {"run": trained.name, "inputs": front.said}
    if trainer.class_names is not None:
        said["classes"] = list(trainer.class_names)
    if plan is not None:
        said["features"] = list(plan.feature_names or ())
        said["targets"] = list(plan.target_names or ())
    return {key: value for key, value in said.items() if value}


def front_of(trained: Trained) -> Front:
    """Return the preprocessing in front of a run's network, by the kind of its data."""
    format = trained.trainer.format
    front = None if format is None else FRONTS.get(format["kind"])
    if format is None or front is None:
        return _of_arrays(trained)
    return front(trained, format)


# -- tables ----------------------------------------------------------------------------


def _of_table(trained: Trained, format: dict[str, Any]) -> Front:
    """Return the front of a table: an input a column, as the table has it."""
    schema = Schema.restored(format)
    marks = MissingValues(schema.missing_values)
    front = Front({}, lambda **__: None)
    parts: dict[str, Callable[[Tensor], Tensor]] = {}
    for column in schema.columns:
        if isinstance(column, Number):
            front.inputs[column.name] = np.zeros(2, schema.dtype)
            front.said[column.name] = _("a number; NaN where it is missing")
            parts[column.name] = _number(column, schema, marks)
        elif isinstance(column, Category):
            front.inputs[column.name] = np.zeros(2, np.int64)
            front.texts[column.name] = _codes(column, schema, marks)
            front.said[column.name] = _("a text, without spaces around it")
            parts[column.name] = _category(column, schema)
        elif isinstance(column, Date):
            front.inputs[column.name] = np.zeros(2, np.int64)
            front.said[column.name] = _(
                "milliseconds since 1970-01-01 UTC; the smallest int64 where missing"
            )
            parts[column.name] = _date(column, schema)

    def features(**given: Tensor) -> Tensor:
        encoded = [parts[name](given[name]) for name in parts]
        return functions.concat(encoded, axis=1) if encoded[1:] else encoded[0]

    front.features = features
    return front


def _imputed(
    values: Sequence[Tensor],
    means: Sequence[float],
    missing: Tensor,
    column: Number | Date,
    schema: Schema,
) -> Tensor:
    """Return features with the means in gaps, and where these were."""
    if schema.missing != "fill":
        values = [_required(v, ~missing, column.name) for v in values]
    filled = [functions.where(missing, m, v) for v, m in zip(values, means)]
    if column.gaps:
        filled.append(missing.astype(filled[0].dtype))
    return functions.stack(filled, axis=1)


def _required(x: Tensor, holds: Tensor, name: str) -> Tensor:
    """Return values that the file passes on under a condition alone."""
    what = _("The column {name} has a cell that the run does not take.", name=name)
    expected = _("cells like those of the training data")
    return wrap(
        require_all(x.value, holds.value, what, expected=expected, got=_("another one"))
    )


def _number(
    column: Number, schema: Schema, marks: MissingValues
) -> Callable[[Tensor], Tensor]:
    def encode(x: Tensor) -> Tensor:
        missing = x.isnan()
        for value in sorted(marks.values):
            missing = missing | (x == value)
        narrow = x.astype("float32")  # beyond it a run refuses numbers of float64 too
        finite = _required(x, missing | narrow.isfinite(), column.name)
        mean = float(np.asarray(column.mean, schema.dtype))
        return _imputed([finite], [mean], missing, column, schema)

    return encode


def _codes(column: Category, schema: Schema, marks: MissingValues) -> Codes:
    """Return the number of a feature for each text; −1 for one without a feature.

    −2: for one that the run refuses. Marks of gaps count in any case of letters.
    """
    other = len(column.categories) if column.other else -1
    gap = len(column.categories) + column.other if column.gaps else other
    codes = {text: i for i, text in enumerate(column.categories)}
    refused = other if schema.unknown == "other" else -2
    codes |= {text: other for text in column.rare if text not in codes}
    codes |= {spelled: codes[text] for spelled, text in column.spellings.items()}
    texts = MISSING | marks.in_texts
    if sum(2 ** sum(c.isalpha() for c in text) for text in texts) > MOST:
        raise ArgumentError(
            _("The marks of missing values are too long for an ONNX file."),
            expected=_("short ones, which an ONNX file lists in all cases of letters"),
            got=", ".join(sorted(texts, key=len)[-3:]),
            fix=_("export the network alone: cr.export_onnx(trainer.model, …)"),
        )
    if schema.missing != "fill":
        gap = -2
    for text in texts:
        cases = itertools.product(*({c.lower(), c.upper()} for c in text))
        codes |= {"".join(letters): gap for letters in cases}
    return codes, refused


def _category(column: Category, schema: Schema) -> Callable[[Tensor], Tensor]:
    width = len(column.names())

    def encode(code: Tensor) -> Tensor:
        known = _required(code, code > -2, column.name)
        places = functions.arange(width, dtype="int64")
        return (known.unsqueeze(1) == places).astype(schema.dtype)

    return encode


def _date(column: Date, schema: Schema) -> Callable[[Tensor], Tensor]:
    def encode(instant: Tensor) -> Tensor:
        missing = instant == np.iinfo(np.int64).min
        since = functions.where(missing, 0, instant - _SINCE)
        values = [since.astype("float64") / _DAY]
        values += [PARTS[part](since).astype("float64") for part in column.parts]
        columns = _imputed(values, column.means, missing, column, schema)
        return columns.astype(schema.dtype)

    return encode


def _civil(since: Tensor) -> tuple[Tensor, Tensor]:
    """Return year and month of milliseconds since 2000.

    Years begin in March here, so that leap days come last; 400 of them are an era
    (Hinnant, "chrono-compatible low-level date algorithms").
    """
    day = since // _DAY + 730_425  # since 0000-03-01
    era = day // 146_097
    day = day - era * 146_097
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day = day - (365 * year + year // 4 - year // 100)
    month = (5 * day + 2) // 153
    late = month >= 10
    month = functions.where(late, month - 9, month + 3)
    return year + era * 400 + late.astype("int64"), month


def _hour(since: Tensor) -> Tensor:
    minutes = since % _DAY // 60_000
    hours = minutes // 60
    rest = (minutes - hours * 60).astype("float64") / 60
    return hours.astype("float64") + rest


#: The parts of a date that a table may have, of milliseconds since 2000.
PARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "year": lambda since: _civil(since)[0],
    "month": lambda since: _civil(since)[1],
    "weekday": lambda since: (since // _DAY + 5) % 7,
    "hour": _hour,
}


# -- images, texts, arrays -------------------------------------------------------------


def _of_images(trained: Trained, format: dict[str, Any]) -> Front:
    """Return the front of images: bytes of the size of the training data."""
    channels = 3 if format["mode"] == "RGB" else 1
    pixels = np.zeros((2, channels, *format["size"]), np.uint8)

    def features(image: Tensor) -> Tensor:
        rows = image.reshape(image.shape[0], -1) if format["flatten"] else image
        return _scaled(trained, "x", rows)

    said = _("bytes, channels first, {size} pixels", size=tuple(format["size"]))
    return Front({"image": pixels}, features, {}, {"image": said})


def _scaled(trained: Trained, name: str, rows: Tensor) -> Tensor:
    scale = (trained.trainer.scales or {}).get(name)
    return rows if scale is None else rows.astype("float32") * scale


def _of_texts(trained: Trained, format: dict[str, Any]) -> Front:
    """Return the front of texts: their tokens, which no operator makes."""
    texts = Schema.restored(format).texts
    assert texts is not None
    tokens = np.zeros((2, texts.length), np.int32)
    said = _("numbers of words or characters in the run's vocabulary")
    return Front({"tokens": tokens}, lambda tokens: tokens, {}, {"tokens": said})


def _of_arrays(trained: Trained) -> Front:
    """Return the front of arrays: rows like those of the run's own data."""
    __, data, __ = trained.own_data()
    if isinstance(data.x, Mapping):
        inputs = {name: column.stored[:2] for name, column in data.x.items()}
        return Front(
            inputs,
            lambda **given: {
                k: _scaled(trained, f"x.{k}", x) for k, x in given.items()
            },
        )
    x: Any = data.x
    dtype = np.dtype(np.float32) if x.stored.dtype == np.float16 else x.stored.dtype
    narrow = x.scale is None and dtype.kind != "f" and x.dtype.kind == "f"
    if narrow and fed(trained.trainer.model, x.part(slice(0, 1))).dtype.kind in "iu":
        narrow = False  # indices, as an embedding reads them

    def features(x: Tensor) -> Tensor:
        return x.astype("float32") if narrow else _scaled(trained, "x", x)

    return Front({"x": x.stored[:2].astype(dtype)}, features)


#: What is in front of the network, by the kind of data.
FRONTS: Mapping[str, Callable[[Trained, dict[str, Any]], Front]] = {
    "csv": _of_table,
    "text": _of_texts,
    "images": _of_images,
}
