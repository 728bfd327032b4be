"""The entry points of a training program: training, evaluation and prediction.

    train     x, y (all rows, as stored), index (N,) → loss, probes; new weights
    evaluate  x (N, …), y (N, …) → loss, which rows are finite, what the metrics need
    predict   x (N, …) → the model's output

All three read one state, so a program holds one copy of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chainrule.compilation.tracing import Input, Traced, trace_entry
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import context, no_grad, scope
from chainrule.graph.types import ArrayType, DType, Shape, SymbolicDim
from chainrule.metrics import Metric
from chainrule.nn import Loss, Module
from chainrule.nn.first_use import input_dtype
from chainrule.nn.losses import targets_checked
from chainrule.nn.output_semantics import are_finite
from chainrule.nn.traced import mode
from chainrule.optim import RuleOptimizer
from chainrule.primitives.indexing import take
from chainrule.primitives.rules import show
from chainrule.random import StepStream, stream
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.training.probes import Probes

N = SymbolicDim("N")


class _Draws(StepStream):
    """The random bits of a training step, from a key and the number of the step."""

    def __init__(self, key: Tensor, optimizer: RuleOptimizer) -> None:
        super().__init__(key, key)
        self.optimizer = optimizer

    def bits(self, shape: Shape) -> Tensor:
        """Draw random bits within a training step, for a module such as dropout."""
        if self.step is self.key:
            trace: Any = context.trace
            self.step = wrap(trace.tabulated(self.optimizer, "number", DType.uint32))
        return super().bits(shape)


@dataclass(frozen=True)
class Entries:
    """The entry points of a training program, traced from model, loss and optimiser.

    Attributes:
        model, loss, optimizer: as the Trainer was given them.
        probes: the probes of a training step.
        key: uint32[2], the seed of dropout.
    """

    model: Module
    loss: Callable[[Any, Any], Any]
    optimizer: RuleOptimizer
    probes: Probes
    key: Tensor

    def dtype(self, row: Shape, stored: DType, scale: float | None) -> DType:
        """Return the dtype of the model's input rows, from the stored data's dtype."""
        if scale is not None:
            return next((p.dtype for p in self.model.parameters()), DType.float32)
        return input_dtype(self.model, row, stored)

    def train(
        self,
        x: ArrayType,
        y: ArrayType,
        scale: float | None,
        weighted: bool = False,
        *,
        dtype: DType,
    ) -> Traced:
        """Trace a training step on the rows of x, y and weights selected by ``index``.

        Args:
            x, y: as they are stored, all rows.
            scale: of x, or None.
            weighted: whether rows have weights.
            dtype: what the model takes.
        """

        def function(*columns_and_index: Tensor) -> Any:
            with fresh_gradients(self.model):
                return step(*columns_and_index)

        def step(*columns_and_index: Tensor) -> Any:
            *columns, index = columns_and_index
            taken = [wrap(take(column.value, index.value)) for column in columns]
            rows, truth, weight = taken if weighted else (*taken, None)
            with stream(_Draws(self.key, self.optimizer)):
                with self.probes.listening() as heard:
                    prediction = self.model(features(rows, scale, dtype))
                loss = self.score(prediction, truth, weight)
            loss.backward()
            outputs = {"loss": loss, **self.weight(prediction, truth, weight)}
            outputs |= self.probes.after_backward(loss, heard)
            with self.probes.around_update(outputs):
                self.optimizer.step()
            return outputs

        inputs = [Input("x", x), Input("y", y)]
        if weighted:
            inputs.append(Input("weight", ArrayType(x.shape[:1], DType.float32)))
        inputs.append(Input("index", ArrayType((N,), DType.int32), each=True))
        with mode(self.model, training=True):
            return self._traced("train", function, inputs)

    def evaluate(
        self,
        row: Shape,
        target: ArrayType,
        metrics: Sequence[Metric],
        weighted: bool = False,
        *,
        dtype: DType,
    ) -> Traced:
        """Trace the evaluation of a batch: its loss and its metrics' statistics."""

        def function(x: Tensor, y: Tensor, weight: Tensor | None = None) -> Any:
            prediction = self.model(x)
            return {
                "loss": self.loss_parts(prediction, y, weight),
                "finite": are_finite(prediction),
                **{metric.name: _batch(metric, prediction, y) for metric in metrics},
            }

        y = ArrayType((N, *target.shape), target.dtype)
        inputs = [_rows(row, dtype), Input("y", y)]
        if weighted:
            inputs.append(Input("weight", ArrayType((N,), DType.float32)))
        with no_grad(), mode(self.model, training=False):
            return self._traced("evaluate", function, inputs)

    def predict(self, row: Shape, dtype: DType) -> Traced:
        """Trace the prediction of a batch: the model's output."""

        def function(x: Tensor) -> Tensor:
            prediction = self.model(x)
            if not isinstance(prediction, Tensor):
                raise ArgumentError(
                    _("A Trainer needs a model that returns one tensor."),
                    expected=_("forward(x) → tensor, one row a sample"),
                    got=type(prediction).__name__,
                    fix=_(
                        "return the prediction alone; put what else the loss needs "
                        "into its columns"
                    ),
                )
            return prediction

        with no_grad(), mode(self.model, training=False):
            return self._traced("predict", function, [_rows(row, dtype)])

    def _traced(
        self, name: str, function: Callable[..., Any], inputs: list[Input]
    ) -> Traced:
        """Trace an entry point of a training program, with the model's tensor names."""
        names = {id(self.key): "trainer.key"}
        if isinstance(self.loss, Module):
            names |= {id(t): f"loss.{n}" for n, t in self.loss.named_tensors()}
        names |= {id(t): n for n, t in self.model.named_tensors()}
        with targets_checked():
            traced = trace_entry(name, function, inputs, names)
        self._check_saved(traced)
        return traced

    def _check_saved(self, traced: Traced) -> None:
        """Refuse a training step that changes tensors which no checkpoint stores."""
        modules = [m for m in (self.model, self.loss) if isinstance(m, Module)]
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

    # -- the loss ----------------------------------------------------------------------

    def score(self, prediction: Tensor, truth: Tensor, weight: Tensor | None) -> Tensor:
        """Compute the loss of a batch within an entry point, a scalar."""
        with scope("loss"):
            loss = self.loss(prediction, truth, **_weights(weight))
        if not isinstance(loss, Tensor) or loss.shape != ():
            raise ShapeError(
                _("The loss of a batch must be one number."),
                expected=_("a tensor of shape ()"),
                got=show(loss.shape) if isinstance(loss, Tensor) else repr(loss),
                fix=_(
                    "return its mean over the batch: loss.mean(), or reduction='mean'"
                ),
            )
        return loss

    def weight(
        self, prediction: Tensor, truth: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Compute a batch's weight in the epoch's mean loss, if not its row count."""
        loss = self.loss
        if not isinstance(loss, Loss):
            return {} if weight is None else {"loss_weight": weight.sum()}
        with no_grad(), scope("loss"):
            own = loss.weights(*loss.prepare(prediction, truth))
            if weight is own is None and loss.reduction == "mean":
                return {}
            counted = loss.totals(prediction, truth, **_weights(weight))[1]
            return {"loss_weight": counted}

    def loss_parts(
        self, prediction: Tensor, truth: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Compute a batch's loss as ``sum`` and ``weight``, or as its ``mean``."""
        if not isinstance(self.loss, Loss):
            mean = self.score(prediction, truth, weight)
            if weight is None:
                return {"mean": mean}
            return {"sum": mean * weight.sum(), "weight": weight.sum()}
        with scope("loss"):
            total, counted = self.loss.totals(prediction, truth, **_weights(weight))
        return {"sum": total, "weight": counted}


def _rows(row: Shape, dtype: DType) -> Input:
    return Input("x", ArrayType((N, *row), dtype))


def _weights(weight: Tensor | None) -> dict[str, Tensor]:
    return {} if weight is None else {"sample_weight": weight}


def _batch(metric: Metric, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
    with scope(metric.name):
        statistics = metric.batch(prediction, truth)
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


def features(rows: Tensor, scale: float | None, dtype: DType) -> Tensor:
    """Convert stored rows to the model's input: a dtype, after scaling if set."""
    if scale is not None:
        rows = rows.astype("float32") * scale
    return rows.astype(dtype)


@contextmanager
def fresh_gradients(model: Module) -> Iterator[None]:
    """Clear all gradients of a model within the block, and restore them afterwards."""
    before = [(p, p.grad) for p in model.parameters()]
    try:
        model.zero_grad()
        yield
    finally:
        for p, gradient in before:
            p.grad = gradient
