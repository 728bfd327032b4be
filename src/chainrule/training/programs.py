"""The compiled programs of a Trainer: training, evaluation and prediction.

Their entry points are in :mod:`.entries`. The loop runs the training program step
by step; evaluation and prediction run here, over all rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compilation.guards.guards import Guards
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Traced
from chainrule.data import Column, Dataset, Stream
from chainrule.data.adapter import Kinds, Rows, batches, check_representable
from chainrule.data.adapter import kinds as kinds_of
from chainrule.data.source import rows_of
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, DType, as_dtype, resolve
from chainrule.metrics import Metric
from chainrule.metrics.base import number
from chainrule.metrics.named import check_names, check_quantities, defaults
from chainrule.metrics.outputs import OutputMetric
from chainrule.nn import Loss, output_semantics
from chainrule.nn.losses import check_labels
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.training.data_adapter import DataAdapter
from chainrule.training.entries import Entries, N, Step
from chainrule.training.nonfinite import all_finite
from chainrule.training.objective import Objective
from chainrule.training.state import Plan, RunState
from chainrule.util.pytree import is_nest, leaves, mapped, unflatten

if TYPE_CHECKING:
    from chainrule.engines.schedule.profile import Profile

Check = Callable[[Any], None]
#: Samples that evaluation and prediction take at a time; of large networks as many
#: fewer as the largest value needs to have no more numbers than this, but some.
EVALUATION_BATCH, LARGEST, SOME = 1000, 1 << 25, 32
#: So many kinds of data are remembered with what the model takes them as.
KINDS = 8
#: Batches that a profile is measured on, at most.
PROFILED = 2000


@dataclass
class DataProgram:
    """A compiled program, and the types of the data that the program takes.

    Attributes:
        program: with the entry ``predict``, and ``evaluate`` where there is a target.
        check: refuses targets that loss or metrics do not take.
        kinds: the inputs and targets; no targets for prediction alone.
        dtypes: what the model takes the inputs as, by name.
        metrics: what ``evaluate`` measures.
        weight: the type of the weights that ``evaluate`` takes, or None.
        training: what ``train`` was traced for, where there is such an entry.
        guards: what the model and the loss found outside.
    """

    program: CompiledProgram
    check: Check
    kinds: Kinds
    dtypes: dict[str, DType]
    metrics: tuple[Metric, ...]
    weight: ArrayType | None
    training: Step | None
    guards: Guards
    _rows: dict[str, int] = field(default_factory=dict[str, int])

    def takes(self, kinds: Kinds, dtypes: Mapping[str, DType]) -> bool:
        """Return whether the program takes inputs of these kinds, and targets."""
        mine = self.kinds
        shapes, wanted = (
            {name: t.shape for name, t in k.types_of(k.x).items()}
            for k in (mine, kinds)
        )
        if mine.x != kinds.x or shapes != wanted:
            return False
        if kinds.y is not None and (
            mine.y != kinds.y or mine.types_of(mine.y) != kinds.types_of(kinds.y)
        ):
            return False
        return all(
            dtype is self.dtypes[name]
            or np.can_cast(dtype.numpy, self.dtypes[name].numpy)
            for name, dtype in dtypes.items()
        )

    def rows(self, entry: str) -> int:
        """Return how many samples an entry takes at a time, where nobody says."""
        if entry in self._rows:
            return self._rows[entry]
        nodes = self.program.traced[entry].entry.graph.nodes
        one, two = (dict.fromkeys(N.names, n) for n in (1, 2))
        sizes = (
            math.prod(resolve(v.shape, two)) - math.prod(resolve(v.shape, one))
            for node in nodes
            for v in node.outputs
            if v is not None
        )
        each = max(sizes, default=1)
        rows = min(EVALUATION_BATCH, max(SOME, LARGEST // max(each, 1)))
        return self._rows.setdefault(entry, rows)

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
        resources: for the engine: ``threads``, ``devices``, ``mesh``, ``sharding``.

    Attributes:
        seconds: spent on tracing and compiling so far.
    """

    def __init__(
        self,
        entries: Entries,
        metrics: tuple[Metric, ...] | None,
        engine: str,
        **resources: Any,
    ) -> None:
        self.entries, self.metrics = entries, metrics
        self.engine, self._resources = engine, resources
        self.training: DataProgram | None = None
        self.other: DataProgram | None = None
        self._spent = 0.0
        self._dtypes: list[tuple[Kinds, list[DType], dict[str, DType]]] = []

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
        step, known = adapter.step, self.training
        if (
            known is None
            or known.training != step
            or not known.program.traced["train"].trains_the_same()
            or not known.program.traced["train"].reads_the_same()
            or known.changed()
        ):
            self._drop("training")
            kinds = adapter.kinds
            known = self._prepare(
                kinds, self._types(kinds), adapter.targets, None, step
            )
            self.training = known
        elif adapter.targets is not None:
            known.check(adapter.targets)
        adapter.check = known.check
        adapter.dtypes = known.dtypes
        for name, rows in adapter.rows.items():
            check_representable(
                rows, adapter.kinds.scales.get(name), known.dtypes[name]
            )
        if validation is not None:
            self._for(kinds_of(validation), validation)
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

    def columns(self, validation: Dataset | Stream | None) -> dict[str, str | None]:
        """Return the history's column names, each with ``"max"`` or ``"min"`` as best.

        None where nobody knows, of a function as a metric. Call it after
        :meth:`fit_program`.
        """
        parts = self.entries.objective.parts
        losses = ["loss", *[f"{p.prefix}loss" for p in parts if p.prefix]]
        columns: dict[str, str | None] = {"epoch": "max"}
        columns |= {f"train_{name}": "min" for name in losses}
        if validation is not None:
            columns |= {f"validation_{name}": "min" for name in losses}
            for m in self._for(kinds_of(validation), validation).metrics:
                if m.scalar:
                    columns[f"validation_{m.name}"] = m.mode
        return columns | {"lr": "min", "seconds": "min"}

    def evaluate(
        self, data: Dataset | Stream, size: int | None, weights: Array | None = None
    ) -> dict[str, Any]:
        """Compute the loss and the metrics over ``data``, batch by batch."""
        kind = None
        if weights is not None:
            kind = ArrayType((N, *weights.shape[1:]), DType.float32)
        prepared = self._for(kinds_of(data), data, kind)
        batches_out: list[Mapping[str, Any]] = []
        counts: list[int] = []
        size = size or prepared.rows("evaluate")
        for inputs, y in batches(data, size, prepared.dtypes):
            if isinstance(data, Stream):
                prepared.check(y)
            rows = rows_of(y)
            if weights is not None:
                inputs["weight"], weights = np.split(weights, [rows])
            batches_out.append(prepared.program.run("evaluate", inputs))
            counts.append(rows)
        if not batches_out:
            raise ArgumentError(
                _("There is nothing to evaluate on."),
                expected=_("at least one row"),
                got=_("a stream without any"),
                fix=_("look at what its function yields"),
            )
        finite = [leaves(out["finite"], "output").values() for out in batches_out]
        for column in zip(*finite):
            self._check_finite(np.concatenate(column))
        of_rows = np.array(counts, np.float64)
        losses = [out["loss"] for out in batches_out]
        measured = self.entries.objective.mean(losses, of_rows)
        for m in prepared.metrics:
            value = m.value([out["metrics"][m.name] for out in batches_out], of_rows)
            measured[m.name] = number(m, value) if m.scalar else value
        return measured

    def predict(self, data: Rows, size: int | None) -> Any:
        """Compute the model's outputs for each row of data, batch by batch."""
        kinds = kinds_of(data)
        kinds = replace(kinds, y=None, types=kinds.types_of(kinds.x))
        try:
            prepared = self._for(kinds, None)
        except ShapeError as error:
            known = self.training and self.training.kinds
            shape = data.shape if isinstance(data, Column) else None
            trained = known.types["x"].shape if known and known.x == "x" else ()
            if shape is None or shape not in (trained, shape[:1]):
                raise
            raise ShapeError(
                _("predict takes rows of features, and this looks like a single one."),
                expected=_("x of shape (n, …)"),
                got=show(shape),
                fix="predict(x[None])",
            ) from error
        size = size or prepared.rows("predict")
        parts = [
            prepared.program.run("predict", inputs)
            for inputs, __ in batches(data, size, prepared.dtypes)
        ]
        if not parts:
            return mapped(
                lambda v: np.zeros(resolve(v.shape, {"N": 0}), v.dtype.numpy),
                outputs_of(prepared.program.traced["predict"]),
            )
        outputs = mapped(
            lambda *pieces: np.concatenate(pieces) if pieces[1:] else pieces[0],
            *[mapped(np.asarray, part) for part in parts],
        )
        for output in leaves(outputs, "output").values():
            if not all_finite(output):
                self._check_finite(output_semantics.finite_rows(output))
        return outputs

    def _check_finite(self, rows: Array) -> None:
        """Refuse predictions with NaN or infinity; name non-finite weights."""
        if not rows.all():
            tensors = self.entries.model.named_tensors()
            strange = [n for n, t in tensors if not all_finite(t.numpy())]
            output_semantics.refuse_rows(rows, strange)

    def _for(
        self, kinds: Kinds, data: Any, weight: ArrayType | None = None
    ) -> DataProgram:
        """Return a compiled program that evaluates or predicts rows of data.

        Args:
            kinds: the inputs and targets.
            data: whose targets are looked at; None for features.
            weight: the type of the weights of a batch, or None.
        """
        dtypes = self._types(kinds)
        y = data.y if isinstance(data, Dataset) else None
        for known in (self.training, self.other):
            if known is None or not known.takes(kinds, dtypes) or known.changed():
                continue
            if kinds.y is None or known.weight == weight:
                if y is not None:
                    known.check(y)
                return known
        self._drop("other")
        self.other = self._prepare(kinds, dtypes, y, weight)
        return self.other

    def _types(self, kinds: Kinds) -> dict[str, DType]:
        """Return the dtypes of the model's inputs for rows of data."""
        own = [p.dtype for p in self.entries.model.parameters()]  # model.double()
        for known, of, dtypes in self._dtypes:
            if (known.x, known.types_of(known.x), known.scales.keys(), of) == (
                kinds.x,
                kinds.types_of(kinds.x),
                kinds.scales.keys(),
                own,
            ):
                return dtypes
        dtypes = self.entries.dtypes(kinds)
        self._dtypes = [*self._dtypes[-KINDS:], (kinds, own, dtypes)]
        return dtypes

    def _prepare(
        self,
        kinds: Kinds,
        dtypes: dict[str, DType],
        y: Any,
        weight: ArrayType | None = None,
        step: Step | None = None,
    ) -> DataProgram:
        started, entries = time.perf_counter(), self.entries
        objective = entries.objective
        losses = {f"{p.prefix}loss": p.loss for p in objective.parts}
        guards = Guards(entries.model, losses)
        measured: tuple[Metric, ...] = ()
        with guards.watching():
            traced = [entries.predict(kinds, dtypes)]
            chosen = self.metrics
            outputs = outputs_of(traced[0])
            check = partial(_check, objective, chosen or (), outputs)
            if y is not None:  # targets that cannot be are refused before all else
                check(y)
            if kinds.y is not None:
                targets = mapped(kinds.types.__getitem__, kinds.y)
                objective.check_targets(outputs, targets)
                if chosen is None:
                    chosen = _defaults(objective, outputs, targets)
                    check_names(chosen, None if objective.one else objective.given)
                measured = tuple(m.for_loss(objective.given) for m in chosen)
                traced.append(entries.evaluate(kinds, measured, weight, dtypes))
            if step is not None:
                traced.append(entries.train(step, dtypes))
                if step.accumulate > 1:
                    traced.append(entries.train(step, dtypes, update=False))
        guards.refuse_changes(type(entries.model).__name__)
        guards.add_modules({id(m): m for t in traced for m, __ in t.modes}.values())
        self._spent += time.perf_counter() - started
        program = CompiledProgram(traced, engine=self.engine, **self._resources)
        return DataProgram(
            program, check, kinds, dtypes, measured, weight, step, guards
        )

    def _drop(self, name: str) -> None:
        """Release a Trainer's compiled program, after its tensors have their values."""
        program: DataProgram | None = getattr(self, name)
        if program is not None:
            program.program.settle()
            self._spent += program.program.seconds_compile
            setattr(self, name, None)


def outputs_of(traced: Traced) -> Any:
    """Return the types of the outputs of a traced entry point, in their nest."""
    graph = traced.entry.graph
    types = [v.type for v in graph.outputs[: traced.entry.outputs]]
    return unflatten(traced.structure, types)


def _defaults(objective: Objective, outputs: Any, targets: Any) -> tuple[Metric, ...]:
    """Return the metrics that suit the losses, the outputs and the targets."""
    if objective.one and (is_nest(outputs) or is_nest(targets)):
        return ()
    chosen: list[Metric] = []
    for part in objective.parts:
        output, target = part.pick(outputs, "output"), part.pick(targets, "target")
        suiting: Any = defaults(part.loss, output.shape, target)
        if part.output is not None:
            suiting = [OutputMetric(m, part.output) for m in suiting]
        chosen += suiting
    return tuple(chosen)


def _check(
    objective: Objective, measured: tuple[Metric, ...], outputs: Any, y: Any
) -> None:
    """Refuse, before compilation, targets that the loss or the metrics do not take."""
    if objective.one and (is_nest(outputs) or is_nest(y)):
        return
    objective.check_targets(outputs, y)
    for part in objective.parts:
        output, target = part.pick(outputs, "output"), part.pick(y, "target")
        of = [
            m.metric if isinstance(m, OutputMetric) else m
            for m in measured
            if getattr(m, "output", None) == part.output
        ]
        check_quantities(of, part.loss, target)
        if isinstance(part.loss, Loss):
            part.loss.check_target(target, output.shape)
        else:
            row = ArrayType(target.shape[1:], as_dtype(target.dtype))
            classes = output_semantics.labels(output.shape, row)
            if classes is not None:
                check_labels(target, classes)
