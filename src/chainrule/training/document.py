"""Validation of a checkpoint's document before any object is built from it.

The signature of a file tells that nothing has happened to it, not who wrote it. So
every value that is used later is looked at: its type, its range, and whether the
position fits the run. What a class's constructor refuses it refuses itself.

Whoever reads a checkpoint imports this module then, as it needs pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)

from chainrule.nn.architecture import is_description
from chainrule.text import _
from chainrule.training.checkpoint import Place, strange


def _described(value: Any) -> Any:
    if not is_description(value):
        raise ValueError(_("a description"))
    return value


def _metric(value: Any) -> Any:
    left = dict(value) if isinstance(value, dict) else value
    is_dict = isinstance(left, dict)
    output, name = (left.pop(k, "") if is_dict else "" for k in ("output", "name"))
    texts = type(output) in (str, int) and isinstance(name, str)
    if "arguments" not in _described(left) or not texts:
        raise ValueError(_("a description with arguments"))
    return value


#: Counts are below this: every one is exact in float64.
Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(ge=1, lt=2**53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Description = Annotated[Any, AfterValidator(_described)]
MetricDescription = Annotated[Any, AfterValidator(_metric)]
Tree = dict[str, Any]


class Row(BaseModel, strict=True, extra="allow"):
    """The schema of a history row in a checkpoint; metrics may be non-finite."""

    __pydantic_extra__: dict[str, float]
    epoch: Count
    seconds: Seconds


class PlanDocument(BaseModel, strict=True, extra="forbid"):
    """The schema of a run's :class:`Plan` in a checkpoint document."""

    first: Count
    epochs: Positive
    batch_size: Positive
    rows: Count | None
    checksum: Count
    drop_last: bool
    block: Positive | None
    class_names: Annotated[list[str], Field(min_length=2)] | None
    feature_names: Annotated[list[str], Field(min_length=1)] | None
    target_names: Annotated[list[str], Field(min_length=2)] | None
    format: Tree | None
    scales: dict[str, Finite]
    accumulate: Positive

    @model_validator(mode="after")
    def whole_batches(self) -> Self:
        """Check that a block of a checkpoint's run consists of whole updates."""
        if (self.block or 0) % (self.batch_size * self.accumulate):
            raise ValueError(_("a block of whole batches"))
        return self


class StateDocument(BaseModel, strict=True, extra="ignore"):
    """The schema of a run's state in a checkpoint document."""

    epoch: Count
    step: Count
    updates: Count
    seconds: Seconds
    plan: PlanDocument | None
    epochs: list[Row]
    validation_name: str
    tables: dict[str, Tree]
    source: Tree
    callbacks: dict[str, Tree]
    starts: dict[str, Count]
    notes: Tree

    @model_validator(mode="after")
    def epochs_in_order(self) -> Self:
        """Check that the rows of the history have growing numbers of epochs."""
        numbers = [row.epoch for row in self.epochs]
        if any(a >= b for a, b in pairwise(numbers)):
            raise ValueError(_("epochs whose numbers grow"))
        return self


class LossDocument(BaseModel, strict=True, extra="forbid"):
    """The schema of a loss in a checkpoint document, one of several or the only one."""

    output: str | Annotated[int, Field(ge=0, lt=2**16)] | None
    loss: Description | None
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseModel, strict=True, extra="ignore"):
    """The schema of an optimiser's settings in a checkpoint document."""

    name: str
    lr: Any


class TransformDocument(BaseModel, strict=True, extra="forbid"):
    """The schema of a Trainer's transform; its module is None for an own function."""

    module: Description | None


class TrainerDocument(StateDocument):
    """The schema of a Trainer's checkpoint document."""

    architecture: Description | None
    model: str
    losses: Annotated[list[LossDocument], Field(min_length=1)]
    optimizer: Settings
    optimizer_steps: Count
    batch_transform: TransformDocument | None
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    engine: Annotated[str, Field(max_length=40)]
    precision: Literal["bf16-mixed"] | None = None
    metrics: list[MetricDescription | None] | None
    probes: list[str]
    frozen: list[str]

    @model_validator(mode="after")
    def outputs(self) -> Self:
        """Check that losses are one, or of different outputs, all named or in order."""
        outputs = [loss.output for loss in self.losses]
        named = all(isinstance(o, str) and o for o in outputs)
        if outputs not in ([None], [*range(len(outputs))]) and not (
            named and len(set(outputs)) == len(outputs)
        ):
            raise ValueError(_("losses of different outputs"))
        return self


def check(path: Place, document: Mapping[str, Any], kind: type[BaseModel]) -> None:
    """Refuse a checkpoint document with missing values or values of another type."""
    try:
        kind.model_validate(document)
    except ValidationError as errors:
        error = errors.errors(include_url=False)[0]
        place = ".".join(map(str, error["loc"]))
        wanted = error["msg"].removeprefix("Input should be ")
        wanted = wanted.removeprefix("Value error, ")
        got = _("nothing") if error["type"] == "missing" else repr(error["input"])
        raise strange(path, f"{place!r}: {wanted}", got) from errors
