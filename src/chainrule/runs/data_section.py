"""The section ``[data]`` of a run's file, as data."""

from __future__ import annotations

from chainrule.data.tables.options import DTYPES, MISSING, UNKNOWN
from chainrule.runs.section import Key, Section
from chainrule.runs.values import (
    Choice,
    Either,
    Flag,
    ListOf,
    Number,
    Table,
    Text,
    Whole,
)

#: Data sets that come with the framework, and those that are drawn at random.
BUNDLED = ("mnist",)
DRAWN = ("xor", "circles", "moons", "spiral", "blobs")
#: How data are read: format → what it is.
FORMATS = {
    "csv": "a CSV file, or another table in text form",
    "npz": "an NPZ file of NumPy with the arrays x and y",
    "idx": "two idx files, such as those of MNIST: [images, labels], or the images "
    "alone where the labels lie beside them",
    "images": "a folder with one folder of images a class",
    "named": f"data by name: {', '.join((*BUNDLED, *DRAWN))}",
}
#: Samples that a drawn data set may have.
SAMPLES_AT_MOST = 10_000_000
#: The longest side of an image.
PIXELS_AT_MOST = 4096

PATH = Text("a path in quotes")
NAMES = ListOf(Text(), "a list of column names in quotes")
SHARE = Number(0, 1)

DATA = Section(
    "data",
    "What to learn from. Paths are relative to this file.",
    (
        Key(
            "source",
            Either((PATH, ListOf(PATH, "a list of two paths", 2, 2))),
            "a CSV or NPZ file, a folder of images, [images, labels] of idx, or "
            f"one of {', '.join((*BUNDLED, *DRAWN))}",
            example='"data.csv"',
            required=True,
        ),
        Key(
            "format",
            Choice(("csv", "npz", "idx", "images")),
            "how to read it, where the name does not tell",
            default="from the name",
            example='"csv"',
            formats=("csv", "npz", "idx", "images"),
        ),
        Key(
            "target",
            Either((Text("the name of a column in quotes"), NAMES)),
            "the column to predict, or a list of columns of numbers",
            example='"price"',
            formats=("csv",),
        ),
        Key(
            "features",
            NAMES,
            "the columns to predict it from",
            default="all others",
            example='["area", "rooms"]',
            formats=("csv",),
        ),
        Key(
            "dtype",
            Table(Choice(DTYPES), "a table of column names"),
            "what columns are, where that is not seen: number, category, date, dmy or "
            "mdy (a date with the day first, or the month), id (left out)",
            default="seen from the cells",
            example='{zip = "category"}',
            formats=("csv",),
        ),
        Key(
            "task",
            Choice(("classification", "regression")),
            "whether the target names a class or is a quantity",
            default="text names classes, numbers are quantities; in NPZ and idx "
            "whole numbers are classes",
            example='"classification"',
            formats=("csv", "npz"),
        ),
        Key(
            "classes",
            Either((Whole(2, 10_000), ListOf(Text(), "a list of names in quotes", 2))),
            "the names of the classes, in the order of the labels; for spiral and "
            "blobs how many there are",
            default="those that come up",
            example='["no", "yes"]',
            formats=("csv", "npz", "idx", "named"),
        ),
        Key(
            "missing",
            Choice(MISSING),
            "what becomes of missing features: the mean of the column and a marker (of "
            "text a category of its own), leaving out the row, or an error",
            default='"fill"',
            example='"drop"',
            formats=("csv",),
        ),
        Key(
            "missing_values",
            ListOf(Text(), "a list of texts in quotes"),
            "texts that stand for a missing value, besides NA, null, ? and others",
            default="none",
            example='["unknown"]',
            formats=("csv",),
        ),
        Key(
            "unknown",
            Choice(UNKNOWN),
            "what becomes of texts that were not there in training, or rarely",
            default='"other"',
            example='"error"',
            formats=("csv",),
        ),
        Key(
            "decimal",
            Choice((".", ",")),
            "the decimal mark, where the cells do not tell",
            default="seen from the cells",
            example='","',
            formats=("csv",),
        ),
        Key(
            "delimiter",
            Text("a character in quotes", blank=True),
            "what stands between cells",
            default="seen from the file",
            example='";"',
            formats=("csv",),
        ),
        Key(
            "encoding",
            Text("the name of an encoding in quotes"),
            "how the file is encoded",
            default="seen from the file",
            example='"cp950"',
            formats=("csv",),
        ),
        Key(
            "header",
            Flag(),
            "whether the first line names the columns; else they are called "
            '"column 1" and so on',
            default="true",
            example="false",
            formats=("csv",),
        ),
        Key(
            "size",
            Either(
                (
                    Whole(1, PIXELS_AT_MOST),
                    ListOf(
                        Whole(1, PIXELS_AT_MOST),
                        "[height, width] of up to 4096 each",
                        2,
                        2,
                    ),
                )
            ),
            "[height, width] in pixels that images are scaled to",
            default="theirs, where all have the same",
            example="[28, 28]",
            formats=("images",),
        ),
        Key(
            "mode",
            Choice(("L", "RGB")),
            "grey or colour",
            default='"RGB"',
            example='"L"',
            formats=("images",),
        ),
        Key(
            "samples",
            Whole(1, SAMPLES_AT_MOST),
            "how many points to draw",
            default="that of the data set",
            example="500",
            formats=("named",),
        ),
        Key(
            "copies",
            Whole(1, SAMPLES_AT_MOST // 4),
            "how often xor has each of its four points",
            default="that of the data set",
            example="50",
            formats=("named",),
        ),
        Key(
            "noise",
            Number(0, 1e6),
            "standard deviation of the noise on the points",
            default="that of the data set",
            example="0.1",
            formats=("named",),
        ),
        Key(
            "spread",
            Number(0, 1e6),
            "standard deviation of each of the blobs",
            default="that of the data set",
            example="1.0",
            formats=("named",),
        ),
        Key(
            "limit",
            Whole(1),
            "use the first so many samples only",
            default="all",
            example="1000",
        ),
        Key(
            "validation",
            Either((SHARE, PATH, ListOf(PATH, "a list of two paths", 2, 2))),
            "the share of samples to look at after each epoch, or a file of its own",
            default="0.1; the four points of xor: 0",
            example="0.1",
        ),
        Key(
            "test",
            Either((SHARE, PATH, ListOf(PATH, "a list of two paths", 2, 2))),
            "the share of samples to test with at the end, or a file of its own",
            default="0.1; the four points of xor: 0; mnist: its own test set",
            example="0.1",
        ),
        Key(
            "stratify",
            Flag(),
            "keep the share of each class the same in all parts",
            default="false",
            example="true",
        ),
        Key(
            "seed",
            Whole(0),
            "which samples go where, and which points are drawn",
            default="0",
            example="1",
        ),
    ),
)
