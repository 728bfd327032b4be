"""JSON documents with something wrong in them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

from .dice import Dice

#: In a text ``"@nest900@"`` becomes 900 lists in each other, which no value can be.
NEST = "@nest{}@"
_DEPTHS = (1, 1, 2, 3, 10, 40, 48, 60, 240, 990, 100_000)

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 0.0, -0.0, 0.5, -2.5, 1e-300, 1e308, math.nan,
    math.inf, -math.inf, 255, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63,
    2**64, 10**6, 10**9, 10**12, -(10**12), 10**30, 10**400, "", "x", "1", "\x00",
    "\ud800", "η", "name/of/it", "*", "[", "Linear", "nan", "x" * 3000, [], {}, [[]],
    [{}], {"": 0}, [1, 2], [None], ["x"], [10**6, 10**6], {"class": "Linear"},
    {"class": "ReLU", "arguments": {}}, {"class": "Sequential", "modules": []},
    {"name": "StepLR", "lr": 0.1, "step_size": 1}, [0.5] * 300,
)  # fmt: skip

#: Words that mean something somewhere in a checkpoint, a description or a schedule.
WORDS = (
    "architecture", "arguments", "callbacks", "class", "class_names", "class_weight",
    "drop_last", "block", "rows", "epochs", "first", "batch_size", "format", "init",
    "dtype", "loss", "lr", "metrics", "modules", "name", "notes", "optimizer", "params",
    "groups", "clip_norm", "clip_value", "plan", "probes", "reduction", "state", "mark",
    "length", "total_steps", "schedule", "steps", "betas", "momentum", "nesterov",
    "weight_decay", "weight", "normalized_shape", "num_features", "in_features",
    "out_features", "frozen", "affine", "track_running_stats", "eps", "p", "margin",
    "float32", "float64", "float16", "int32", "bool", "object", "f32", "S5", "sum",
    "none", "mean", "numpy", "native", "auto", "xla", "orthogonal", "kaiming_normal",
    "ReLU", "Tanh", "Softmax", "Dropout", "Embedding", "BatchNorm1d", "LayerNorm",
    "Standardize", "Unstandardize", "Perceptron", "Module", "Loss", "Parameter",
    "Flatten", "GELU", "ELU", "MSELoss", "CrossEntropyLoss", "HuberLoss",
    "KLDivergence", "MultiMarginLoss", "BCEWithLogitsLoss", "SGD", "Adam", "AdamW",
    "RMSprop",
    "Adagrad", "Schedule", "StepLR", "MultiStepLR", "ExponentialLR", "OneCycleLR",
    "CosineAnnealingLR", "LinearWarmup", "ReduceLROnPlateau", "Accuracy", "TopK", "R2",
    "ConfusionMatrix", "threshold", "EarlyStopping", "best", "waited", "stopped",
    "0.weight", "*.bias", "grad_norm/*", "activation_mean/1", "dead/*", "lr", "epoch",
    "train_loss", "validation_loss", "seconds", "validation_accuracy", "text", "run",
)  # fmt: skip


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each value of a document, as its container and the key in it."""
    pending = [document]
    while pending:
        item = pending.pop()
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        for key, inner in list(pairs):
            yield item, key
            if isinstance(inner, dict | list):
                pending.append(inner)


def mutate(document: Any, dice: Dice) -> Any:
    """A copy of ``document`` with some changes."""
    changed = copy.deepcopy(document)
    for _ in range(dice.of((1, 1, 1, 2, 2, 4))):
        spots = list(places(changed))
        if not spots:
            return dice.of(VALUES)
        container, key = dice.of(spots)
        _change(container, key, spots, dice)
    return changed


def _change(container: Any, key: Any, spots: list[tuple[Any, Any]], dice: Dice) -> None:
    """Change the value at ``container[key]``, or what is around it."""
    value, kind = container[key], dice.pick(11)
    if kind < 2:
        container[key] = copy.deepcopy(dice.of(VALUES))
    elif kind < 4:
        container[key] = _near(value, dice)
    elif kind == 4:
        del container[key]
    elif kind == 5:
        other, name = dice.of(spots)
        if name in other if isinstance(other, dict) else name < len(other):
            container[key] = copy.deepcopy(other[name])
    elif kind == 6:
        item = copy.deepcopy(dice.of((dice.of(VALUES), dice.of(WORDS), value)))
        if isinstance(container, dict):
            container[dice.of(WORDS)] = item
        else:
            container.insert(dice.pick(len(container) + 1), item)
    elif kind == 7:
        container[key] = dice.of(WORDS)
    elif kind == 8 and isinstance(container, list):
        container.extend(copy.deepcopy(value) for _ in range(dice.of((1, 2, 30))))
    elif kind == 8:
        container[dice.of(WORDS)] = container.pop(key)
    else:
        container[key] = _deeper(value, dice)


def _near(value: Any, dice: Dice) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        makers = (
            lambda v: v + 1,
            lambda v: v - 1,
            lambda v: -v,
            lambda v: v * 1000,
            float,
            str,
            lambda v: -1 - v,
            lambda v: [v],
        )
        return dice.of(makers)(value)
    if isinstance(value, str):
        at = dice.pick(len(value) + 1)
        return value[:at] + dice.of(("", "x", "\n", "/", "é")) + value[at + 1 :]
    if isinstance(value, list):
        return dice.of((value[1:], value[::-1], value * 2, {"0": value}))
    if isinstance(value, dict):
        return dice.of((list(value), list(value.values()), [value], str(value)))
    return value


def _deeper(value: Any, dice: Dice) -> Any:
    """The value within others, or something that is deep itself."""
    depth = dice.of(_DEPTHS)
    if depth <= 60:
        for _ in range(depth):
            value = {"class": "Sequential", "modules": [value]}
        return value
    return NEST.format(depth)


def text_of(document: Any) -> str:
    """The document as JSON, with the depths that Python cannot write."""
    text = json.dumps(document)
    for depth in _DEPTHS:
        token = json.dumps(NEST.format(depth))
        if token in text:
            text = text.replace(token, "[" * depth + "]" * depth)
    return text


#: What may stand in a JSON text that Python's writer would not write.
SCRAPS = (
    "", "{", "}", "[", "]", ",", ":", '"', "\\", "\\ud800", "\\u0000", "NaN", "-",
    "1e999", "0" * 5000, "9" * 5000, "null", "true", '{"a":1,"a":2}', "//", "\n",
    "\ufeff", '"seed":', '"epoch":-1,', '"epochs":[],', "[[[[[[[[", "é",
)  # fmt: skip


def mangle(text: str, dice: Dice) -> str:
    """The text with something else in a place."""
    for _ in range(1 + dice.pick(3)):
        at = dice.pick(len(text) + 1)
        text = text[:at] + dice.of(SCRAPS) + text[at + dice.of((0, 1, 10)) :]
    return text
