"""The entry points of a training program: training, evaluation and prediction.

    train       x, y (all rows, as stored), index (N,) → loss, probes; new weights
    accumulate  likewise, but the gradients are added up for a later step of train
    evaluate    x (N, …), y (N, …) → loss, which rows are finite, what the metrics need
    predict     x (N, …) → the model's output

Of several inputs, or targets, each is an input of its own, ``x.image``. All read one
state, so a program holds one copy of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

from chainrule.compilation.modes import mode
from chainrule.compilation.tracing import Input, Traced, trace_entry
from chainrule.data.adapter import Kinds
from chainrule.errors import ArgumentError
from chainrule.graph.context import context, no_grad, scope
from chainrule.graph.types import ArrayType, DType, Shape, SymbolicDim
from chainrule.metrics import Metric
from chainrule.metrics.named import LIBRARY
from chainrule.nn import Module
from chainrule.nn.first_use import input_dtypes
from chainrule.nn.losses import targets_checked
from chainrule.nn.output_semantics import are_finite
from chainrule.nn.traced import called
from chainrule.operations.autocasting import autocast
from chainrule.operations.narrow import from_single
from chainrule.optim import RuleOptimizer
from chainrule.primitives.indexing import take
from chainrule.primitives.rules import show
from chainrule.random import Generator, stream
from chainrule.random.generator import StepStream
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.training.accumulation import Accumulator
from chainrule.training.averaging import WeightAverage
from chainrule.training.objective import Objective
from chainrule.training.probes import Probes
from chainrule.util.blocks import Block
from chainrule.util.pytree import is_nest, leaves, mapped

N = SymbolicDim("N")


class _Draws(StepStream):
    """The random bits of a training step, from a key and the number of the step.

    Args:
        key: uint32[2].
        optimizer: whose updates are counted.
        turn: the number of the batch within its update, where there are several.
        turns: how many there are at most.
    """

    def __init__(
        self, key: Tensor, optimizer: RuleOptimizer, turn: Tensor | None, turns: int
    ) -> None:
        super().__init__(key, key)
        self.optimizer, self.turn, self.turns = optimizer, turn, turns

    def bits(self, shape: Shape) -> Tensor:
        """Draw random bits within a training step, for a module such as dropout."""
        if self.step is self.key:
            trace: Any = context.trace
            self.step = wrap(trace.tabulated(self.optimizer, "number", DType.uint32))
            if self.turn is not None:
                self.step = self.step * self.turns + self.turn
        return super().bits(shape)


@dataclass(frozen=True)
class Step:
    """The key of a traced training step: the data, and how gradients are used.

    Attributes:
        kinds: the inputs and targets, with the types of all rows as they are stored.
        weight: the type of the weights of all rows; None where they have none.
        accumulate: how many batches make up an update.
        by_rows: whether a step takes the rows of a batch; otherwise all rows, and the
            numbers of those of the batch.
    """

    kinds: Kinds
    weight: ArrayType | None
    accumulate: int
    by_rows: bool = False

    def input(self, name: str, kind: ArrayType) -> Input:
        """Return the input of a step for data: all rows, or those of a batch."""
        if not self.by_rows:
            return Input(name, kind)
        return Input(name, ArrayType((N, *kind.shape[1:]), kind.dtype), each=True)


@dataclass(frozen=True)
class Entries:
    """The entry points of a training program, traced from model, loss and optimiser.

    Attributes:
        model: as the Trainer was given it.
        objective: what is minimised.
        optimizer: as the Trainer was given it.
        probes: the probes of a training step.
        key: uint32[2], the seed of dropout.
        average: the running mean of the weights, or None.
        accumulator: the sums of gradients of several batches.
        mixed: whether the model's products are computed in bfloat16.
        transform: changes the inputs and targets of a training step; None: nothing.
    """

    model: Module
    objective: Objective
    optimizer: RuleOptimizer
    probes: Probes
    key: Tensor
    average: WeightAverage | None
    accumulator: Accumulator
    mixed: bool = False
    transform: Any = None

    @classmethod
    def of(
        cls,
        model: Module,
        loss: Any,
        optimizer: RuleOptimizer,
        probes: str | Iterable[str] = (),
        *,
        seed: int = 0,
    ) -> Self:
        """Return the entry points of a model with one loss, without an average."""
        parts = Objective(loss), optimizer, Probes(probes, model), Generator(seed).key
        return cls(model, *parts, None, Accumulator(model))

    def dtypes(self, kinds: Kinds) -> dict[str, DType]:
        """Return the dtypes of the model's inputs, from the stored data's types."""
        types = kinds.types_of(kinds.x)
        own = next((p.dtype for p in self.model.parameters()), DType.float32)
        dtypes = {name: own for name in types if name in kinds.scales}
        if len(dtypes) < len(types):
            dtypes = {**input_dtypes(self.model, kinds.x, types), **dtypes}
        return dtypes

    def train(
        self, step: Step, dtypes: Mapping[str, DType], *, update: bool = True
    ) -> Traced:
        """Trace a training step on the rows of all data selected by ``index``.

        Args:
            step: what for.
            dtypes: what the model takes its inputs as.
            update: whether the optimiser makes its step; else gradients are added up
                for a later one.
        """
        kinds = step.kinds
        if step.accumulate > 1:
            self.accumulator.make()  # outside of the trace
        inputs = [step.input(name, kind) for name, kind in kinds.types.items()]
        if step.weight is not None:
            inputs.append(step.input("weight", step.weight))
        if step.accumulate > 1:
            inputs.append(Input("turn", ArrayType((), DType.uint32), each=True))
        if not step.by_rows:
            inputs.append(Input("index", ArrayType((N,), DType.int32), each=True))

        def function(*values: Tensor) -> Any:
            with fresh_gradients(self.model):
                given = dict(zip([i.name for i in inputs], values, strict=True))
                turn = given.pop("turn", None)
                return compute(turn, given if step.by_rows else taken(given))

        def taken(given: dict[str, Tensor]) -> dict[str, Tensor]:
            index = given.pop("index").value
            return {k: wrap(take(t.value, index)) for k, t in given.items()}

        def compute(turn: Tensor | None, rows: dict[str, Tensor]) -> Any:
            x = mapped(
                lambda name: features(rows[name], kinds.scales.get(name), dtypes[name]),
                kinds.x,
            )
            truth, weight = mapped(rows.__getitem__, kinds.y), rows.get("weight")
            draws = _Draws(self.key, self.optimizer, turn, step.accumulate)
            with stream(draws):
                if self.transform is not None:
                    x, truth = transformed(self.transform, x, truth)
                with self.probes.listening() as heard:
                    prediction = self.call(x)
                loss, outputs = self.objective.score(prediction, truth, weight)
            if turn is None:
                loss.backward()
            else:
                counted = self.objective.batch_weight(
                    prediction, truth, weight, next(iter(rows.values())).shape[0]
                )
                self.accumulator.backward(loss, counted, last=update)
            outputs |= self.probes.after_backward(loss, heard)
            if update:
                with self.probes.around_update(outputs):
                    self.optimizer.step()
                if self.average is not None:
                    self.average.update()
            return outputs

        with mode(self.model, training=True):
            return self._traced("train" if update else "accumulate", function, inputs)

    def evaluate(
        self,
        kinds: Kinds,
        metrics: Sequence[Metric],
        weight: ArrayType | None,
        dtypes: Mapping[str, DType],
    ) -> Traced:
        """Trace the evaluation of a batch: its loss and its metrics' statistics."""

        def function(*values: Tensor) -> Any:
            given = dict(zip([i.name for i in inputs], values, strict=True))
            prediction = self.averaged_call(mapped(given.__getitem__, kinds.x))
            y, weights = mapped(given.__getitem__, kinds.y), given.get("weight")
            return {
                "loss": self.objective.loss_parts(prediction, y, weights),
                "finite": mapped(are_finite, prediction),
                "metrics": {m.name: _batch(m, prediction, y) for m in metrics},
            }

        inputs = _rows(kinds, dtypes)
        types = kinds.types_of(kinds.y)
        inputs += [
            Input(n, ArrayType((N, *t.shape), t.dtype)) for n, t in types.items()
        ]
        if weight is not None:
            inputs.append(Input("weight", weight))
        with no_grad(), mode(self.model, training=False):
            return self._traced("evaluate", function, inputs)

    def predict(self, kinds: Kinds, dtypes: Mapping[str, DType]) -> Traced:
        """Trace the prediction of a batch: the model's outputs."""

        def function(*values: Tensor) -> Any:
            given = dict(zip([i.name for i in inputs], values, strict=True))
            return self.averaged_call(mapped(given.__getitem__, kinds.x))

        inputs = _rows(kinds, dtypes)
        with no_grad(), mode(self.model, training=False):
            return self._traced("predict", function, inputs)

    def call(self, x: Any) -> Any:
        """Call the model; return its outputs, a tensor or a nest of tensors."""
        with autocast(enabled=self.mixed):
            prediction = as_tuples(called(self.model, x))
        several = is_nest(prediction)
        for name, output in leaves(prediction, "output").items():
            rows = output.shape[:1] if isinstance(output, Tensor) else ()
            if not rows or (several and isinstance(rows[0], int)):
                raise ArgumentError(
                    _("A Trainer needs a model that returns tensors of rows."),
                    expected=_("forward(x) → tensor, or a dictionary or tuple of them"),
                    got=f"{name}: {show(output.shape)}"
                    if isinstance(output, Tensor)
                    else f"{name}: {type(output).__name__}",
                    fix=_(
                        "return the predictions alone; put what else the loss needs "
                        "into them, one row a sample"
                    ),
                )
        return prediction

    def averaged_call(self, x: Any) -> Any:
        """Call the model with the averages of its weights, where there are some."""
        with nullcontext() if self.average is None else self.average.in_place():
            return self.call(x)

    def _traced(
        self, name: str, function: Callable[..., Any], inputs: list[Input]
    ) -> Traced:
        """Trace an entry point of a training program, with the model's tensor names."""
        names = {id(self.key): "trainer.key"}
        for prefix, loss in self.objective.modules.items():
            names |= {id(t): f"{prefix}.{n}" for n, t in loss.named_tensors()}
        states = {"accumulated": self.accumulator.state}
        if self.average is not None:
            states["average"] = self.average.state
        for prefix, tensors in states.items():
            names |= {id(t): f"{prefix}.{n}" for n, t in tensors.items()}
        names |= {id(t): n for n, t in self.model.named_tensors()}
        # Losses of the library have seen all targets; a function's are seen in the run.
        with targets_checked() if self.objective.checks_targets else nullcontext():
            traced = trace_entry(name, function, inputs, names)
        self._check_saved(traced)
        return traced

    def _check_saved(self, traced: Traced) -> None:
        """Refuse a training step that changes tensors which no checkpoint stores."""
        modules = [self.model, *self.objective.modules.values()]
        saved = {id(t) for m in modules for __, t in m._named_state()}
        named = {id(t): n for m in modules for n, t in m.named_tensors()}
        for key in traced.entry.replaces:
            slot = traced.slots[key]
            name = named.get(id(slot.tensor))
            if name is None or slot.gradient or id(slot.tensor) in saved:
                continue
            raise ArgumentError(
                _(
                    "{entry_name} changes {name}, which is a plain attribute: no "
                    "state_dict and no checkpoint would keep it.",
                    entry_name=traced.entry.name,
                    name=name,
                ),
                expected=_("a buffer"),
                got=f"self.{name.rpartition('.')[2]} = tensor",
                fix=f"self.register_buffer({name.rpartition('.')[2]!r}, tensor)",
            )


def _rows(kinds: Kinds, dtypes: Mapping[str, DType]) -> list[Input]:
    types = kinds.types_of(kinds.x)
    return [Input(k, ArrayType((N, *t.shape), dtypes[k])) for k, t in types.items()]


def as_tuples(outputs: Any) -> Any:
    """Return a model's outputs with tuples in place of lists."""
    if isinstance(outputs, Mapping):
        return {k: as_tuples(v) for k, v in outputs.items()}
    if isinstance(outputs, list):
        return tuple(map(as_tuples, outputs))
    if type(outputs) is tuple:
        return tuple(map(as_tuples, outputs))
    return outputs


def _batch(metric: Metric, prediction: Any, truth: Any) -> dict[str, Tensor]:
    if is_nest(prediction) and type(metric) in LIBRARY:
        raise ArgumentError(
            _("{metric!r} measures one output, and there are several.", metric=metric),
            expected=_("metrics by outputs, or functions of all outputs and targets"),
            got=", ".join(leaves(prediction, "output")),
            fix=_('metrics={{"…": [{name!r}]}}', name=metric.name),
        )
    with scope(metric.name):
        statistics = from_single(metric.batch)(prediction, truth)
    tensors = isinstance(statistics, dict) and all(
        isinstance(t, Tensor) for t in statistics.values()
    )
    if not tensors:
        raise ArgumentError(
            _("{kind}.batch must give tensors by name.", kind=type(metric).__name__),
            expected=_("a dictionary of tensors, such as {'sum': error.sum()}"),
            got=repr(statistics)[:80],
            fix=_("return {'sum': …} and read it in value(batches, counts)"),
        )
    return statistics


def transformed(transform: Callable[..., Any], x: Any, y: Any) -> tuple[Any, Any]:
    """Return a batch's inputs and targets as a transform changes them.

    Raises:
        ArgumentError: it gives something else than a pair.
    """
    pair = transform(x, y)
    tensors = isinstance(pair, tuple) and len(pair) == 2
    tensors = tensors and all(
        isinstance(t, Tensor) for part in pair for t in leaves(part, "").values()
    )
    if not tensors:
        raise ArgumentError(
            _("batch_transform gives the inputs and the targets of a batch."),
            expected=_("a pair of tensors, or of nests of them"),
            got=f"{type(pair).__name__}: {pair!r:.80}",
            fix="return x, y",
        )
    return pair


def features(rows: Tensor, scale: float | None, dtype: DType) -> Tensor:
    """Convert stored rows to the model's input: a dtype, after scaling if set."""
    if scale is not None:
        rows = rows.astype("float32") * scale
    return rows.astype(dtype)


class fresh_gradients(Block):  # noqa: N801 - used like a function
    """Clear all gradients of a model within the block, and restore them afterwards."""

    def __init__(self, model: Module) -> None:
        self.model = model

    def saved(self) -> list[tuple[Any, Any]]:
        return [(p, p.grad) for p in self.model.parameters()]

    def change(self) -> None:
        self.model.zero_grad()

    def undo(self, saved: list[tuple[Any, Any]]) -> None:
        for p, gradient in saved:
            p.grad = gradient
