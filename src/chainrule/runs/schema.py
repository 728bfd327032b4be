"""The format of a run's file, as data.

This one table is what files are checked against; the messages, the commented starting
file of ``chainrule new`` and the reference page are made from it too. Options of
layers, losses, optimisers, schedules and callbacks are those of their classes and stand
nowhere else.
"""

from __future__ import annotations

from typing import Any

from chainrule.runs import classes
from chainrule.runs.data_section import BUNDLED, DATA, DRAWN, FORMATS, PATH
from chainrule.runs.section import Key, Section
from chainrule.runs.values import (
    Choice,
    Either,
    Flag,
    ListOf,
    Options,
    Table,
    Text,
    Whole,
)

__all__ = ["BUNDLED", "DRAWN", "FORMATS", "SECTIONS", "Key", "Section", "section"]

#: The largest number of weights that a network may have: one GiB of float32.
WEIGHTS_AT_MOST = 2**28

_MODEL = Section(
    "model",
    "The network, from the input to the output. Sizes that follow from the data or "
    "from the layer before may be left out.",
    (
        Key(
            "layers",
            ListOf(
                Either(
                    (Text("the name of a layer"), Options("a table of its options"))
                ),
                "a list of layers",
                1,
                1000,
            ),
            'the layers: "ReLU", or { class = "Linear", out_features = 64 }',
            example='["Linear"]',
            required=True,
        ),
        Key(
            "standardize",
            Flag(),
            "give every feature mean 0 and deviation 1, with what the training data "
            "say; where the last layer of a regression is Linear, its output is "
            "scaled back",
            default="true for tables (CSV, and NPZ with rows of numbers), else false",
            example="false",
        ),
    ),
)

_LOSS = Section(
    "loss",
    "How far a prediction is from the truth.",
    (
        Key(
            "class",
            Text("the name of a loss"),
            "its name",
            default='"CrossEntropyLoss" for classes, "MSELoss" for quantities',
            example='"CrossEntropyLoss"',
        ),
    ),
    family=classes.losses,
)

_OPTIMIZER = Section(
    "optimizer",
    "How the weights learn.",
    (
        Key(
            "class",
            Text("the name of an optimiser"),
            "its name",
            default='"Adam"',
            example='"AdamW"',
        ),
        Key(
            "groups",
            Table(Options("a table of options"), "a table by patterns"),
            "other options for the parameters whose names match a pattern",
            default="none",
            example='{ "*.bias" = { weight_decay = 0.0 } }',
        ),
    ),
    family=classes.optimizers,
    otherwise="Adam",
)

_SCHEDULE = Section(
    "schedule",
    "How the learning rate changes during the run; the optimiser's lr is its peak.",
    (
        Key(
            "class",
            Text("the name of a schedule"),
            "its name",
            default='"Schedule", which is constant',
            example='"CosineAnnealingLR"',
        ),
        Key(
            "warmup",
            Whole(1),
            "steps over which the rate climbs to its first value",
            default="none",
            example="100",
        ),
    ),
    family=classes.schedules,
    otherwise="Schedule",
)

_TRAINING = Section(
    "training",
    "The run.",
    (
        Key("epochs", Whole(1, 10**9), "passes over the data", "10", "20"),
        Key(
            "batch_size",
            Either((Whole(1), Choice(("all",)))),
            'samples a step; "all" sees every sample in every step',
            "32, or all where there are fewer",
            "32",
        ),
        Key(
            "drop_last",
            Flag(),
            "leave out what does not fill a batch",
            "false",
            "true",
        ),
        Key(
            "seed",
            Whole(0, 2**64 - 1),
            "of the initial weights, the order of samples and dropout",
            "0",
            "1",
        ),
        Key(
            "engine",
            Choice(("auto", "native", "numpy")),
            "what computes; auto is native where it can run",
            '"auto"',
            '"numpy"',
        ),
        Key(
            "threads",
            Whole(1, 1024),
            "threads of the native engine; results do not depend on it",
            "every core",
            "4",
        ),
        Key(
            "metrics",
            ListOf(Text(), "a list of names of metrics", 0, 100),
            "what else to measure: accuracy, balanced_accuracy, f1, roc_auc, top5, "
            "confusion_matrix; r2, mae, mse, rmse",
            "accuracy for classes, r2 and mae for quantities",
            '["accuracy", "top5"]',
        ),
        Key(
            "probes",
            ListOf(Text(), "a list of patterns of probes", 0, 100),
            'what to record in every step, such as "grad_norm/*"',
            "none",
            '["grad_norm/*"]',
        ),
    ),
)

_CALLBACKS = Section(
    "callbacks",
    "What happens between epochs.",
    (
        Key(
            "class",
            Text("the name of a callback"),
            "its name",
            example='"EarlyStopping"',
            required=True,
        ),
    ),
    family=classes.callbacks,
    many=True,
)

_OUTPUT = Section(
    "output",
    "What the run leaves.",
    (
        Key(
            "directory",
            PATH,
            "where; a directory of its own for each run",
            default="runs/NAME-TIME where the command is given",
            example='"results"',
        ),
    ),
)

#: All sections, in the order in which one writes them.
SECTIONS = (
    DATA,
    _MODEL,
    _LOSS,
    _OPTIMIZER,
    _SCHEDULE,
    _TRAINING,
    _CALLBACKS,
    _OUTPUT,
)

#: Words that people know from elsewhere: of sections and keys, in lower case, and of
#: classes.
SYNONYMS = {
    "learning_rate": "lr",
    "name": "class",
    "type": "class",
    "kind": "class",
    "path": "source",
    "file": "source",
    "label": "target",
    "labels": "target",
    "columns": "features",
    "units": "out_features",
    "size": "out_features",
    "inputs": "in_features",
    "outputs": "out_features",
    "rate": "p",
    "standardise": "standardize",
    "normalize": "standardize",
    "dir": "directory",
    "out": "directory",
    "batch": "batch_size",
    "optimiser": "optimizer",
    "dataset": "data",
    "network": "model",
    "scheduler": "schedule",
    "train": "training",
    "dense": "Linear",
    "fullyconnected": "Linear",
    "batchnormalization": "BatchNorm1d",
    "layernormalization": "LayerNorm",
    "swish": "SiLU",
    "mse": "MSELoss",
    "mae": "L1Loss",
    "crossentropy": "CrossEntropyLoss",
}


def section(name: str) -> Section | None:
    """The section of that name."""
    return next((s for s in SECTIONS if s.name == name), None)


def value(text: str) -> Any:
    """A default or an example as a value; None where it is said in words."""
    import tomllib

    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return None
