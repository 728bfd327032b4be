"""A reader of tables with a text column, whose texts become token indices."""

from __future__ import annotations

from typing import Any

from chainrule.data.checks import shortened
from chainrule.data.dataset import Dataset
from chainrule.data.tables.file import source_of
from chainrule.data.tables.inference import SchemaInference
from chainrule.data.tables.options import Options
from chainrule.data.tables.schema import Schema
from chainrule.data.tables.table_reader import TableReader
from chainrule.data.tables.texts import Texts, learned
from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.util.keywords import strict


@strict
def read_text(
    path: Any,
    *,
    text: str,
    target: Any,
    units: str = "words",
    length: int | None = None,
    vocabulary: int = 10_000,
    lowercase: bool = True,
    dtype: Any = None,
    task: Any = None,
    classes: Any = None,
    missing_values: Any = (),
    decimal: Any = None,
    delimiter: Any = None,
    encoding: Any = None,
    header: Any = True,
    name: str | None = None,
) -> Dataset:
    """Read a table with a text column, for a network that begins with an `Embedding`.

    A text becomes the numbers of its units in a vocabulary of the most frequent ones:
    0 is padding, 1 is a unit that is not in it. It needs the extra ``data`` (pandas).

    Spaces and punctuation marks separate words, and every punctuation mark is a word
    too. Languages that put no spaces between words: each Chinese character and
    each Hiragana is a word by itself; Thai, Lao and Khmer run on until the next space,
    so take their characters.

    Args:
        path: the file, or a data frame.
        text: the column of texts.
        target: the column to predict, or a list of several columns of numbers.
        units: ``"words"`` or ``"characters"``.
        length: the number of units of a row. Of longer texts the beginning is kept;
            shorter ones get 0 in front, so that the last number is that of the last
            unit. None: as many as 95 % of the texts have at most, and not more than
            500.
        vocabulary: the size of the vocabulary: the most frequent units, of those that
            come up twice at least.
        lowercase: whether capitals are replaced by small letters.
        dtype, task, classes, missing_values, decimal: of the target, and
        delimiter, encoding, header, name: see :func:`read_csv`.

    Shapes:
        x: (n, length), int32; an empty text is padding alone.
        y: (n, targets), float32, for a regression; (n,) int32 for a classification.

    Raises:
        DataError: a file that is missing or no table; a column that is missing or tells
            nothing; a question about the target, with its answer.
        ArgumentError: an invalid argument, or pandas is not installed.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("said.csv").write_text("said,mood\\nso good,1\\nso so bad,0\\n")
        >>> data = read_text("said.csv", text="said", target="mood", length=4)
        >>> data.x.stored
        array([[0, 0, 2, 1],
               [0, 2, 2, 1]], dtype=int32)
        >>> shown(data, 0)
        {'said': 'so □'}
    """
    source = source_of(path, delimiter, encoding, header)
    options = Options(
        target=target,
        dtype=dtype,
        task=task,
        classes=classes,
        missing_values=missing_values,
        decimal=decimal,
    )
    if not isinstance(text, str) or text in options.target:
        raise ArgumentError(
            _("text is no column to predict the target from."),
            expected=_("the name of a column, another one than the target"),
            got=shortened(f"text={text!r}, target={target!r}"),
            fix="text='message'",
        )
    column, notes = learned(
        source,
        text,
        units=units,
        length=length,
        vocabulary=vocabulary,
        lowercase=lowercase,
    )
    options.features = ()  # types are inferred for the target alone
    inference = SchemaInference.of(source, options)
    inference.notes += notes
    schema = inference.schema((column,))
    return Dataset._of_table(TableReader(source, schema, inference), name)


def texts_of(data: Dataset) -> Texts | None:
    """Return the text column of a data set; None for other data."""
    format = data.format or {}
    return Schema.restored(format).texts if format.get("kind") == "text" else None


def shown(data: Dataset, row: int) -> dict[str, str]:
    """Return the text of a data set's row, decoded from its token indices."""
    column = texts_of(data)
    assert column is not None
    return {column.name: column.shown(data.x.stored[row].tolist())}
