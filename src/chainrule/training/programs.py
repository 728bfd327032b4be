"""The compiled programs of a Trainer: training, evaluation and prediction.

Their entry points are in :mod:`.entries`. The loop runs the training program step
by step; evaluation and prediction run here, over all rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compilation.guards.guards import Guards
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Traced
from chainrule.data import Column, Dataset, Stream
from chainrule.data.adapter import Rows, batches, check_representable, kinds, stored_as
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, DType, as_dtype, resolve
from chainrule.metrics import Metric, total
from chainrule.metrics.base import number
from chainrule.metrics.named import check_quantities, defaults
from chainrule.nn import Loss, output_semantics
from chainrule.nn.losses import check_labels
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.training.data_adapter import DataAdapter
from chainrule.training.entries import Entries
from chainrule.training.nonfinite import all_finite
from chainrule.training.state import Plan, RunState

if TYPE_CHECKING:
    from chainrule.engines.schedule.profile import Profile

Check = Callable[[Array], None]
#: The dtypes of stored numbers that a program takes without conversion.
_KNOWN = {dtype.numpy for dtype in DType}
#: Samples that evaluation and prediction take at a time.
EVALUATION_BATCH = 1000
#: Batches that a profile is measured on, at most.
PROFILED = 2000


@dataclass
class DataProgram:
    """A compiled program, and the types of the data that the program takes.

    Attributes:
        program: with the entry ``predict``, and ``evaluate`` where there is a target.
        check: refuses targets that loss or metrics do not take.
        row: the shape of one row of features.
        dtype: what the model takes them as.
        target: the type of one row of targets; None for prediction alone.
        metrics: what ``evaluate`` measures.
        weighted: whether ``evaluate`` takes weights of the rows.
        training: what ``train`` was traced for, where there is such an entry.
        guards: what the model and the loss found outside.
    """

    program: CompiledProgram
    check: Check
    row: tuple[int, ...]
    dtype: DType
    target: ArrayType | None
    metrics: tuple[Metric, ...]
    weighted: bool
    training: Any
    guards: Guards

    def changed(self) -> str | None:
        """Return the name of a value whose change outdates the program, or None."""
        if self.guards.holds() and not any(
            module.changed() for module in self.guards.modules
        ):
            return None
        return next((w.source.name for w in self.guards.changes()), _("an attribute"))


class Programs:
    """A Trainer's programs, traced and compiled when first needed.

    At most two are held: the one of the last run, and one for data of another shape.
    Tensors know which program has their newest numbers.

    Args:
        entries: what to trace.
        metrics: what to measure; None: what suits the loss and the data.
        engine: the engine's name.
        threads: for the engine.

    Attributes:
        seconds: spent on tracing and compiling so far.
    """

    def __init__(
        self,
        entries: Entries,
        metrics: tuple[Metric, ...] | None,
        engine: str,
        threads: int | None,
    ) -> None:
        self.entries, self.metrics = entries, metrics
        self.engine, self.threads = engine, threads
        self.training: DataProgram | None = None
        self.other: DataProgram | None = None
        self._spent = 0.0
        self._dtypes: dict[Any, DType] = {}

    @property
    def seconds(self) -> float:
        """The seconds spent on tracing and compiling a Trainer's programs."""
        programs = [p for p in (self.training, self.other) if p is not None]
        return self._spent + sum(p.program.seconds_compile for p in programs)

    def fit_program(
        self, adapter: DataAdapter, validation: Dataset | Stream | None
    ) -> CompiledProgram:
        """Return the compiled program that trains on some data; refuse unsuitable data.

        Raises:
            ShapeError: rows that do not fit the model, named by its first layer.
            ArgumentError: targets that the loss does not take.
        """
        key = (adapter.x, adapter.y, adapter.scale, adapter.weighted)
        known = self.training
        if (
            known is None
            or known.training != key
            or not known.program.traced["train"].trains_the_same()
            or not known.program.traced["train"].reads_the_same()
            or known.changed()
        ):
            self._drop("training")
            row = tuple(int(d) for d in adapter.x.shape[1:])
            target = ArrayType(adapter.y.shape[1:], adapter.y.dtype)
            dtype = self._dtype(row, adapter.x.dtype.numpy, adapter.scale)
            known = self._prepare(row, dtype, target, adapter.targets, training=key)
            self.training = known
        elif adapter.targets is not None:
            known.check(adapter.targets)
        adapter.check = known.check
        adapter.dtype = known.dtype
        if adapter.rows is not None:
            check_representable(adapter.rows, adapter.scale, known.dtype)
        if validation is not None:
            self._for(validation)
        return known.program

    def refuse_changed(self) -> None:
        """Refuse to continue a run if a value has changed that its program has read."""
        name = self.training and self.training.changed()
        if name:
            raise ArgumentError(
                _(
                    "{name} has changed while a run goes on, whose program was "
                    "compiled with what it was before.",
                    name=name,
                ),
                expected=_("what the model reads stays as it is during a run"),
                got=_("another {name} than when fit() was called", name=name),
                fix=_(
                    "make {name} a tensor, cr.tensor(…), and change it by "
                    "copy_; or call fit() again for each value",
                    name=name,
                ),
            )

    def profile(self, adapter: DataAdapter, plan: Plan) -> Profile:
        """Profile a training step on the first batches of a run."""
        program = self.fit_program(adapter, None)
        adapter.bind(program)
        try:
            work = adapter.take(RunState(plan=plan), PROFILED)
            assert work is not None
            return program.profile("train", work.inputs, steps=work.steps)
        finally:
            adapter.close()

    def columns(self, validation: Dataset | Stream | None) -> dict[str, str]:
        """Return the history's column names, each with ``"max"`` or ``"min"`` as best.

        Call it after :meth:`fit_program`.
        """
        columns = {"epoch": "max", "train_loss": "min"}
        if validation is not None:
            columns["validation_loss"] = "min"
            for m in self._for(validation).metrics:
                if m.scalar:
                    columns[f"validation_{m.name}"] = m.mode
        return columns | {"lr": "min", "seconds": "min"}

    def evaluate(
        self, data: Dataset | Stream, size: int, weights: Array | None = None
    ) -> dict[str, Any]:
        """Compute the loss and the metrics over ``data``, batch by batch."""
        prepared = self._for(data, weights is not None)
        batches_out: list[Mapping[str, Any]] = []
        counts: list[int] = []
        for x, y in batches(data, size, prepared.dtype):
            if isinstance(data, Stream):
                prepared.check(y)
            inputs = {"x": x, "y": y}
            if weights is not None:
                inputs["weight"], weights = np.split(weights, [len(y)])
            batches_out.append(prepared.program.run("evaluate", inputs))
            counts.append(len(y))
        if not batches_out:
            raise ArgumentError(
                _("There is nothing to evaluate on."),
                expected=_("at least one row"),
                got=_("a stream without any"),
                fix=_("look at what its function yields"),
            )
        self._check_finite(np.concatenate([out["finite"] for out in batches_out]))
        rows = np.array(counts, np.float64)
        measured: dict[str, Any] = {
            "loss": _mean([out["loss"] for out in batches_out], rows)
        }
        for m in prepared.metrics:
            value = m.value([out[m.name] for out in batches_out], rows)
            measured[m.name] = number(m, value) if m.scalar else value
        return measured

    def predict(self, data: Rows, size: int) -> Array:
        """Compute the model's output for each row of data, batch by batch."""
        try:
            prepared = self._for(data, predicts=True)
        except ShapeError as error:
            known = self.training.row if self.training is not None else ()
            if not isinstance(data, Column) or data.shape not in (
                known,
                data.shape[:1],
            ):
                raise
            raise ShapeError(
                _("predict takes rows of features, and this looks like a single one."),
                expected=_("x of shape (n, …)"),
                got=show(data.shape),
                fix="predict(x[None])",
            ) from error
        parts = [
            prepared.program.run("predict", {"x": x})
            for x, __ in batches(data, size, prepared.dtype)
        ]
        if parts:
            outputs: Array = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if not all_finite(outputs):
                self._check_finite(output_semantics.finite_rows(outputs))
            return outputs
        value = prepared.program.program.entries["predict"].graph.outputs[0]
        return np.zeros(resolve(value.shape, {"N": 0}), value.dtype.numpy)

    def _check_finite(self, rows: Array) -> None:
        """Refuse predictions with NaN or infinity; name non-finite weights."""
        if not rows.all():
            tensors = self.entries.model.named_tensors()
            strange = [n for n, t in tensors if not all_finite(t.numpy())]
            output_semantics.refuse_rows(rows, strange)

    def _for(
        self, data: Rows, weighted: bool = False, *, predicts: bool = False
    ) -> DataProgram:
        """Return a compiled program that evaluates or predicts rows of data."""
        row, target = kinds(data)
        dtype = self._dtype(row, *stored_as(data))
        y = data.y if isinstance(data, Dataset) else None
        if predicts:
            target = y = None
        for known in (self.training, self.other):
            if known is None or known.row != row or known.changed():
                continue
            other = known.dtype is not dtype
            if other and not np.can_cast(dtype.numpy, known.dtype.numpy):
                continue
            if target is None or (known.target, known.weighted) == (target, weighted):
                if y is not None:
                    known.check(y)
                return known
        self._drop("other")
        self.other = self._prepare(row, dtype, target, y, weighted)
        return self.other

    def _dtype(
        self, row: tuple[int, ...], stored: np.dtype, scale: float | None
    ) -> DType:
        """Return the model's input dtype for rows of data of a shape and type."""
        key = row, stored, scale is None
        if key not in self._dtypes:
            kind = as_dtype(stored) if stored in _KNOWN else DType.float32  # float16
            self._dtypes[key] = self.entries.dtype(row, kind, scale)
        return self._dtypes[key]

    def _prepare(
        self,
        row: tuple[int, ...],
        dtype: DType,
        target: ArrayType | None,
        y: Array | None,
        weighted: bool = False,
        training: Any = None,
    ) -> DataProgram:
        started, entries = time.perf_counter(), self.entries
        guards = Guards(entries.model, {"loss": entries.loss})
        traced: list[Traced] = [entries.predict(row, dtype)]
        loss, chosen = entries.loss, self.metrics
        shape = traced[0].entry.graph.outputs[0].shape
        check = partial(_check, loss, chosen or (), shape)
        if y is not None:  # targets that cannot be are refused before all else
            check(y)
        measured: tuple[Metric, ...] = ()
        if target is not None:
            if chosen is None:
                chosen = defaults(loss, shape, target)
            measured = tuple(m.for_loss(loss) for m in chosen)
            traced.append(
                entries.evaluate(row, target, measured, weighted, dtype=dtype)
            )
        if training is not None:
            traced.append(entries.train(*training, dtype=dtype))
        guards.refuse_changes(type(entries.model).__name__)
        guards.add_modules({id(m): m for t in traced for m, __ in t.modes}.values())
        self._spent += time.perf_counter() - started
        program = CompiledProgram(traced, engine=self.engine, threads=self.threads)
        return DataProgram(
            program,
            check,
            row,
            dtype,
            target,
            measured,
            weighted,
            training,
            guards,
        )

    def _drop(self, name: str) -> None:
        """Release a Trainer's compiled program, after its tensors have their values."""
        program: DataProgram | None = getattr(self, name)
        if program is not None:
            program.program.settle()
            self._spent += program.program.seconds_compile
            setattr(self, name, None)


def _check(loss: Any, measured: tuple[Metric, ...], prediction: Any, y: Array) -> None:
    """Refuse, before compilation, targets that the loss or the metrics do not take."""
    check_quantities(measured, loss, y)
    if isinstance(loss, Loss):
        loss.check_target(y, prediction)
    else:
        row = ArrayType(y.shape[1:], as_dtype(y.dtype))
        classes = output_semantics.labels(prediction, row)
        if classes is not None:
            check_labels(y, classes)


def _mean(parts: list[Mapping[str, Array]], rows: Array) -> float:
    """Compute the loss over all batches: Σ ℓ / Σ w, or the mean of the batch means."""
    if "mean" in parts[0]:
        return float(np.array([float(p["mean"]) for p in parts]) @ rows / rows.sum())
    weight = total(parts, "weight")
    with np.errstate(invalid="ignore"):  # weights near float32's largest: ∞ / ∞
        return float(total(parts, "sum") / (weight or 1.0))
