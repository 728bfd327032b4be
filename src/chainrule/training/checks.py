"""What a Trainer refuses or warns of before a run begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset, Stream
from chainrule.errors import ArgumentError, warn
from chainrule.nn import Module
from chainrule.optim import Optimizer, Schedule
from chainrule.training.plan import Plan, positive
from chainrule.training.stopping import check_monitor

#: Layers that take away the scale of what they are given.
_SCALING = (nn.Standardize, nn.BatchNorm1d, nn.LayerNorm)
#: Layers that change no number.
_PASSING = (nn.Flatten, nn.Dropout, nn.Sequential)
#: So many features a row may be an image.
_PIXELS = 64


def kind(name: str, given: Any, wanted: Any, example: str) -> None:
    """Refuse an argument that is not of the kind that a Trainer is made of."""
    if isinstance(given, type) or not isinstance(given, wanted):
        shown = given.__name__ if isinstance(given, type) else repr(given)[:80]
        raise ArgumentError(
            f"{name} is not what a Trainer needs.",
            expected=f"for example {name}={example}",
            got=f"the class {shown}" if isinstance(given, type) else shown,
            fix=f"write {shown}() with parentheses"
            if isinstance(given, type)
            else f"pass {name}={example}",
        )


def batch_size(given: Any, rows: int | None) -> int:
    """The rows of a batch: all of them for None.

    Args:
        given: what fit was given.
        rows: of the data; None for a stream.
    """
    if given is None:
        if rows is None:
            raise ArgumentError(
                "A stream has no batch of all its rows.",
                expected="batch_size=32 or another number",
                got="batch_size=None",
                fix="give a number, or make a Dataset of what fits into memory",
            )
        return rows
    size = positive("batch_size", given, "32")
    if rows is not None and size > rows:
        raise ArgumentError(
            "A batch cannot be larger than the data.",
            expected=f"batch_size from 1 to {rows}",
            got=f"batch_size={size}",
            fix="batch_size=None makes every step see all samples",
        )
    return size


def schedule(optimizer: Optimizer, plan: Plan) -> None:
    """Refuse a run that a learning-rate schedule cannot follow to its end."""
    total = plan.total_steps
    for given in optimizer.schedules():
        if total is None:
            _knows_its_length(given, optimizer.steps)
        reach, done = given.total_steps, optimizer.steps
        if reach is not None and total is not None and reach < done + total:
            raise ArgumentError(
                "The learning-rate schedule ends before the run does.",
                expected=f"total_steps ≥ {done + total}",
                got=f"total_steps={reach}, of which {done} are done",
                fix="resume() finishes an interrupted run; for a new run make a new "
                "Trainer whose schedule has total_steps=None or the right number",
            )


def _knows_its_length(given: Schedule, step: int) -> None:
    """Refuse a schedule that only the length of a stream would complete."""
    try:
        given(step)
    except ArgumentError as error:
        raise ArgumentError(
            f"How long a stream is shows at its end, and {type(given).__name__} needs "
            "it from the start.",
            expected=error.expected,
            got=error.got,
            fix=error.fix,
        ) from error


def monitors(optimizer: Optimizer, columns: Mapping[str, str]) -> None:
    """Refuse a schedule that watches a number which the run does not measure."""
    for given in optimizer.schedules():
        monitor = getattr(given, "monitor", None)
        if isinstance(monitor, str):
            check_monitor(type(given).__name__, monitor, columns)


def same_data(plan: Plan, data: Dataset | Stream, checksum: int) -> None:
    """Refuse to resume a run on other data than it was begun with."""
    streams = isinstance(data, Stream)
    if streams != (plan.block is not None):
        got, was = ("a stream", "a data set") if streams else ("a data set", "a stream")
    elif checksum == plan.checksum and (streams or len(data) == plan.rows):
        return
    else:
        was, got = f"the CRC-32 {plan.checksum:08x}", f"{checksum:08x}"
        if not streams:
            was, got = f"{plan.rows} rows with {was}", f"{len(data)} rows with {got}"
    raise ArgumentError(
        "A run resumes exactly only on the data that it was trained on.",
        expected=was,
        got=got,
        fix="pass the same training data in the same order; for other data "
        "start a new run with fit()",
    )


def scaling(data: Dataset | Stream, model: Module) -> None:
    """Warn of images from 0 to 255 that neither the data nor the model scale."""
    if isinstance(data, Stream) or data.x.scale is not None:
        return
    stored = data.x.stored
    features = int(np.prod(stored.shape[1:]))
    if (stored.ndim < 3 and features < _PIXELS) or isinstance(
        _first(model), (*_SCALING, nn.Embedding)
    ):
        return
    some = stored[: max(1, 100_000 // max(1, features))]
    low, high = some.min(), some.max()
    if low < 0 or not 64 < high <= 255 or (some % 1 != 0).any():
        return
    warn(
        "These look like images whose grey values nothing scales; training on numbers "
        "this large is slow or diverges.",
        expected="features of about −1 to 1",
        got=f"{stored.dtype} from {low} to {high}, and a first layer "
        f"{type(_first(model)).__name__}",
        fix="cr.data.Dataset(x, y, scale=1/255) for training and test data, or begin "
        "the network with nn.Standardize.of(x)",
    )


def _first(model: Module) -> Module:
    """The first layer that changes numbers, in the order of definition."""
    layers = [m for _, m in model.named_modules() if not any(m.children())]
    return next((m for m in layers if not isinstance(m, _PASSING)), model)
